"""The pool of connections, and the permits that limit it."""

import contextlib
import gc
import threading
from typing import Any

import pytest

from taskcounts.net.base import AttemptTimedOut
from taskcounts.net.pool import Permits, Pool


class Connection:
    """A connection that only says whether it can be used again."""

    def __init__(self, quiet: bool = True) -> None:
        self.quiet, self.closed = quiet, False

    def is_quiet(self) -> bool:
        return self.quiet

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def kept() -> Any:
    return Pool()


def test_last_used_first(kept: Any) -> None:
    """The connection that was put back last is taken first, unless bytes came over it unasked."""
    first, second, third = Connection(), Connection(quiet=False), Connection()
    for each in (first, second, third):
        kept.put(each)
    assert [kept.take(), kept.take(), kept.take()] == [third, first, None]
    assert (first.closed, second.closed, third.closed) == (False, True, False)


def test_idle_for_too_long(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that have been idle for a minute are closed at the next take or put."""
    now = 1000.0
    monkeypatch.setattr("taskcounts.net.pool.time.monotonic", lambda: now)
    old, young = Connection(), Connection()
    kept.put(old)
    now += 59
    kept.put(young)
    assert not old.closed
    now += 2
    kept.put(kept.take())
    assert (old.closed, young.closed) == (True, False)
    now += 61
    assert kept.take() is None
    assert young.closed


def test_a_closed_pool(kept: Any) -> None:
    """Closing a pool closes its idle connections, and those that are put back later."""
    idle, in_use = Connection(), Connection()
    kept.put(idle)
    kept.close()
    assert idle.closed
    kept.put(in_use)
    assert in_use.closed
    assert kept.take() is None


def test_permits() -> None:
    """There are so many, and who finds none waits for a while."""
    permits = Permits(2)
    first, second = permits.take(0), permits.take(0)
    with pytest.raises(AttemptTimedOut):
        permits.take(0.01)
    threading.Timer(0.05, permits.put, [second]).start()
    assert permits.take(5) is second
    permits.put(first)
    assert permits.take(0) is first


def test_lost_permits() -> None:
    """A permit that is dropped returns by itself."""
    permits = Permits(1)
    for _ in range(3):
        with contextlib.suppress(ZeroDivisionError):
            _ = permits.take(0), 1 / 0
    permits.put(permits.take(0))
    with pytest.raises(AttemptTimedOut):
        _ = permits.take(0), permits.take(0)


def test_permits_without_an_end() -> None:
    """Those of a client that is gone are gone with it."""
    permits = Permits(2)
    late = permits.take(0)
    del permits
    gc.collect()
    del late
    assert not [each for each in gc.get_objects() if type(each).__name__ == "Permit"]
