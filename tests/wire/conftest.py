"""Fixtures of the wire cases: a test runs over every way, and opens sessions that end with it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support import Server
from wire.ways import WAYS, Session, Way


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    """Give each way to send."""
    found: Way = request.param
    return found


Open = Callable[..., Session]


@pytest.fixture
def open_session(way: Way) -> Iterator[Open]:
    """Open sessions over the test's way, with a server or a URL; they end with the test."""
    sessions: list[Session] = []

    def open_session(to: Server | str, **options: Any) -> Session:
        sessions.append(Session(way, to if isinstance(to, str) else to.url, **options))
        return sessions[-1]

    yield open_session
    for session in sessions:
        session.close()
