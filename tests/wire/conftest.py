"""Fixtures of the tests over sockets: each transport in turn, and sessions that end with the test."""

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.servers import Server
from wire.sessions import OWN_ENGINE, TRANSPORTS, Session, Transport

# Transports of httpx leave sockets behind when an attempt fails.
LEAVES = pytest.mark.filterwarnings("ignore::ResourceWarning")


def each_transport(transports: list[Transport]) -> list[Any]:
    """Return transports as parameters of tests."""
    return [
        pytest.param(transport, id=str(transport), marks=[LEAVES] if transport.module else [])
        for transport in transports
    ]


@pytest.fixture(params=each_transport(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> Transport:
    """Run the test over every transport."""
    found: Transport = request.param
    return found


# For tests of what transports of the caller's have no part in.
over_own_engine = pytest.mark.parametrize("transport", each_transport(OWN_ENGINE))

Open = Callable[..., Session]


Jump = Callable[[float], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Let the machine's clock jump forward."""
    clock, ahead = time.monotonic, 0.0

    def jump(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(time, "monotonic", lambda: clock() + ahead)
    return jump


@pytest.fixture(autouse=True, scope="session")
def _frozen() -> Iterator[None]:
    """Let the collector pass over what was there before: it is called often."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def collected() -> Iterator[None]:
    """Let go of what a test leaves behind while it is still that test's fault."""
    yield
    gc.collect()


@pytest.fixture
def open_session(transport: Transport) -> Iterator[Open]:
    """Open sessions over the test's transport, to a server or a URL; they end with the test."""
    sessions: list[Session] = []

    def open_session(to: Server | str, **options: Any) -> Session:
        sessions.append(Session(transport, to if isinstance(to, str) else to.url, **options))
        return sessions[-1]

    yield open_session
    while sessions:
        sessions.pop().close()
    if transport.module:
        # Within the test whose they are.
        gc.collect()
