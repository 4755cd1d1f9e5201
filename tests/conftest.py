"""Fixtures for all tests, and Hypothesis' profiles; HYPOTHESIS_PROFILE=thorough tries 2,000 examples."""

from __future__ import annotations

import asyncio
import os
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import coverage
import pytest
from hypothesis import HealthCheck, settings

from support.certificates import Authority
from support.client import Call
from support.clocks import FakeClock
from support.servers import Behave, Server
from taskcounts.clock import SystemClock

# The processes among which the tests are divided are measured; those that tests start are not.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

# Tests choose the api-version themselves, whatever the environment of those who run them says.
os.environ.pop("AZURE_BATCH_API_VERSION", None)

settings.register_profile(
    "default",
    max_examples=60,
    deadline=None,  # A slow machine is no bug.
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("quick", settings.get_profile("default"), max_examples=15)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


TRACED = {Path(__file__).parent / name for name in ("unit", "wire")}


@pytest.fixture(autouse=True, scope="module")
def _only_unit_tests_are_traced(request: pytest.FixtureRequest) -> Iterator[None]:
    """Laws, histories and runs take twice as long if they are traced, and these tests reach every line."""
    tracing = None if TRACED & set(request.path.parents) else coverage.Coverage.current()
    if tracing is not None:
        tracing.stop()
    yield
    if tracing is not None:
        with warnings.catch_warnings():
            # It would tell that what it measures was imported before.
            warnings.simplefilter("ignore", coverage.exceptions.CoverageWarning)
            tracing.start()


@pytest.fixture(params=["sync", "async"], scope="session")
def call(request: pytest.FixtureRequest) -> Call:
    return Call(awaits=request.param == "async")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that have the machine's clock don't wait before they ask again."""

    async def sleep_async(_: SystemClock, seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(SystemClock, "sleep", lambda *_: None)
    monkeypatch.setattr(SystemClock, "sleep_async", sleep_async)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers on loopback; they end with the test."""
    servers: list[Server] = []

    def start(behave: Behave, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(behave, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authority"))
