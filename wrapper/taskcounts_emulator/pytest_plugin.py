"""A pytest plugin: an emulated Batch account as a fixture.

    def test_my_code(batch_emulator):
        job_id = batch_emulator.add_job(tasks=5)
        batch_emulator.fail_next("throttled", retry_after=1)
        my_code(batch_emulator.endpoint, batch_emulator.account, batch_emulator.key, job_id)
        assert batch_emulator.counts(job_id).tasks.active == 5

pytest loads the plugin in every test run of an environment with taskcounts, so it imports only pytest; the
fixture imports the emulator.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from taskcounts_emulator import Emulator

__all__ = ["batch_emulator", "batch_environment", "pytest_configure"]

_MARKER = "batch_emulator"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(scenario=None, **settings): the initial scenario of the fixture {_MARKER}, "
        "and the settings of its Emulator, such as tls=True, seed=3 or slots=8.",
    )


@pytest.fixture
def batch_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """A taskcounts_emulator.Emulator for this test only, with an empty account and a server of its own.

    Its clock is scripted and moves only by ``advance(seconds)``. Tasks run if their job names a pool; every
    pool has 16 task slots unless ``@pytest.mark.batch_emulator(slots=…)`` or a scenario says otherwise.
    """
    settings: dict[str, Any] = {"scripted": True, "slots": 16}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        if marker.args:
            pytest.fail(f"the marker {_MARKER} takes named arguments alone", pytrace=False)
        settings |= marker.kwargs
    scenario = settings.pop("scenario", None)
    try:
        from taskcounts_emulator import Emulator, EmulatorError  # noqa: PLC0415 - see above.
    except ImportError as error:
        pytest.fail(str(error), pytrace=False)
    with ExitStack() as stack:
        try:
            emulator = stack.enter_context(Emulator(**settings))
            if scenario is not None:
                emulator.load(scenario)
        except (EmulatorError, TypeError) as error:
            pytest.fail(f"{_MARKER}: {error}", pytrace=False)
        yield emulator


@pytest.fixture
def batch_environment(batch_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The fixture ``batch_emulator``, with environment variables that name the emulator.

    They are AZURE_BATCH_ENDPOINT, AZURE_BATCH_ACCOUNT and AZURE_BATCH_ACCESS_KEY; NO_PROXY, to bypass
    proxies; with TLS also SSL_CERT_FILE and REQUESTS_CA_BUNDLE, so that clients trust the emulator.
    """
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", batch_emulator.endpoint)
    monkeypatch.setenv("AZURE_BATCH_ACCOUNT", batch_emulator.account)
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", batch_emulator.key)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost"))))
    if batch_emulator.ca_path is not None:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            monkeypatch.setenv(name, str(batch_emulator.ca_path))
    return batch_emulator
