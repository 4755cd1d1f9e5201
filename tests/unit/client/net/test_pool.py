"""The pool of connections."""

from typing import Any

import pytest

from taskcounts.net.pool import Pool


class Connection:
    """A connection that only says whether it can be used again."""

    def __init__(self, quiet: bool = True) -> None:
        self.quiet, self.closed, self.used = quiet, False, False

    def is_quiet(self) -> bool:
        return self.quiet

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def kept() -> Any:
    return Pool()


def test_last_used_first(kept: Any) -> None:
    """The connection that was put back last is taken first; what came unasked makes one useless."""
    first, second, third = Connection(), Connection(quiet=False), Connection()
    for each in (first, second, third):
        kept.put(each, reusable=True)
    assert [kept.take(), kept.take(), kept.take()] == [third, first, None]
    assert (first.closed, second.closed, third.closed) == (False, True, False)


def test_idle_for_too_long(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that have been idle for a minute are closed, by whoever comes by."""
    now = 1000.0
    monkeypatch.setattr("taskcounts.net.pool.time.monotonic", lambda: now)
    old, young = Connection(), Connection()
    kept.put(old, reusable=True)
    now += 59
    kept.put(young, reusable=True)
    assert not old.closed
    now += 2
    kept.put(kept.take(), reusable=True)
    assert (old.closed, young.closed) == (True, False)
    now += 61
    assert kept.take() is None
    assert young.closed


def test_a_closed_pool(kept: Any) -> None:
    """Closing closes what is idle, and what is put back later."""
    idle, in_use = Connection(), Connection()
    kept.put(idle, reusable=True)
    kept.close()
    assert idle.closed
    kept.put(in_use, reusable=True)
    assert in_use.closed
    assert kept.take() is None
