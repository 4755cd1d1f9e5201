"""Fixtures of the wire cases: a test runs over every way, and opens sessions that end with it."""

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.client import Server
from wire.ways import OWN, WAYS, Session, Way

# Transports of the caller's leave sockets behind when an attempt fails.
LEAVES = pytest.mark.filterwarnings("ignore::ResourceWarning")


def each_way(ways: list[Way]) -> list[Any]:
    """Return ways as parameters of tests."""
    return [pytest.param(way, id=str(way), marks=[LEAVES] if way.module else []) for way in ways]


@pytest.fixture(params=each_way(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    """Give each way to send."""
    found: Way = request.param
    return found


# For tests of what transports of the caller's have no part in.
over_own = pytest.mark.parametrize("way", each_way(OWN))

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
def open_session(way: Way) -> Iterator[Open]:
    """Open sessions over the test's way, with a server or a URL; they end with the test."""
    sessions: list[Session] = []

    def open_session(to: Server | str, **options: Any) -> Session:
        sessions.append(Session(way, to if isinstance(to, str) else to.url, **options))
        return sessions[-1]

    yield open_session
    while sessions:
        sessions.pop().close()
    if way.module:
        # Within the test whose they are.
        gc.collect()
