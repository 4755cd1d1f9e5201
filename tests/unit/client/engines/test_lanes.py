"""Lanes: who gets which connection, how many there can be, and what becomes of those that nobody needs."""

import asyncio
import threading
import time
from itertools import count
from typing import Any

import pytest

from taskcounts.engines.lanes import IDLE, LANES, TaskLanes, ThreadLanes
from taskcounts.engines.seam import TimeIsUp


class Lane:
    """A lane with a number, as they are made."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.good = True
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


class Threads:
    """Lanes of threads."""

    def __init__(self) -> None:
        numbers = count()
        self.made: list[Lane] = []
        self._lanes = ThreadLanes[Lane](lambda: self._make(next(numbers)), Lane.close, lambda lane: lane.good)

    def _make(self, number: int) -> Lane:
        self.made.append(Lane(number))
        return self.made[-1]

    def take(self) -> Lane:
        return self._lanes.take(0)

    def give_back(self, lane: Lane, again: bool = True) -> None:
        self._lanes.give_back(lane, again)

    def close(self) -> None:
        self._lanes.close()

    def end(self) -> None:
        """Do what comes after a test."""


class Tasks(Threads):
    """Lanes of tasks, asked for by one task after the other."""

    def __init__(self) -> None:
        super().__init__()
        numbers = count()
        self._loop = asyncio.new_event_loop()
        self._tasks = TaskLanes[Lane](lambda: self._make(next(numbers)), Lane.aclose, lambda lane: lane.good)

    def take(self) -> Lane:
        return self._loop.run_until_complete(self._tasks.take())

    def give_back(self, lane: Lane, again: bool = True) -> None:
        self._loop.run_until_complete(self._tasks.give_back(lane, again))

    def close(self) -> None:
        self._loop.run_until_complete(self._tasks.close())

    def end(self) -> None:
        self._loop.close()


@pytest.fixture(params=[Threads, Tasks])
def kept(request: pytest.FixtureRequest) -> Any:
    lanes = request.param()
    yield lanes
    lanes.end()


def test_the_last_one_comes_first(kept: Any) -> None:
    """One call after the other takes one lane; of several the one that was used last."""
    one, two = kept.take(), kept.take()
    assert (one.number, two.number) == (0, 1)
    kept.give_back(one)
    kept.give_back(two)
    assert kept.take() is two
    assert kept.take() is one
    assert kept.take().number == 2


def test_what_failed_is_closed(kept: Any) -> None:
    """A lane that can't be used again is closed at once, and nobody gets it."""
    one = kept.take()
    kept.give_back(one, again=False)
    assert one.closed == 1
    assert kept.take() is not one


def test_what_went_bad_is_closed(kept: Any) -> None:
    """Idle lanes that turn out to be useless, as those that the server closed, are closed and passed over."""
    one, two, three = kept.take(), kept.take(), kept.take()
    for lane in (one, two, three):
        kept.give_back(lane)
    two.good = three.good = False
    assert kept.take() is one
    assert [lane.closed for lane in (one, two, three)] == [0, 1, 1]


def test_what_nobody_needs_is_closed(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes that were idle for a minute are closed when another one is given back."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    one, two = kept.take(), kept.take()
    kept.give_back(one)
    now += IDLE
    kept.give_back(two)
    assert one.closed == 0
    now += 1
    kept.give_back(kept.take())
    assert (one.closed, two.closed) == (1, 0)


def test_what_was_idle_for_too_long_is_not_used(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that was idle for a minute is closed, and another one made: who knows what is left of it."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    one = kept.take()
    kept.give_back(one)
    now += IDLE
    assert kept.take().number == 1
    assert one.closed == 1


def test_all_are_closed_at_the_end(kept: Any) -> None:
    """The end closes all lanes; one that a thread uses is closed when it is handed in."""
    one, two = kept.take(), kept.take()
    kept.give_back(one)
    kept.close()
    assert (one.closed, two.closed) == (1, 1 if isinstance(kept, Tasks) else 0)
    kept.give_back(two)
    assert two.closed
    if isinstance(kept, Tasks):
        # Who waited for room is told.
        with pytest.raises(ConnectionAbortedError):
            kept.take()
    else:
        assert kept.take() not in (one, two)


def test_there_is_a_limit() -> None:
    """There are no more than 256 lanes; a thread that wants one more waits for as long as it can."""
    kept = Threads()
    used = [kept.take() for _ in range(LANES)]
    with pytest.raises(TimeIsUp):
        kept.take()
    assert len(kept.made) == LANES
    kept.give_back(used.pop())
    assert kept.take() is kept.made[-1]


def test_threads_wait_for_one_another() -> None:
    """A thread that waits gets what another one gives back."""
    kept: ThreadLanes[Lane] = ThreadLanes(lambda: Lane(0), Lane.close)
    used = [kept.take(1) for _ in range(LANES)]
    threading.Timer(0.05, lambda: kept.give_back(used[0], True)).start()
    assert kept.take(10) is used[0]


def test_tasks_wait_for_one_another() -> None:
    """A task that waits gets what another one gives back; one that is cancelled takes nothing with it."""

    async def play() -> None:
        kept: TaskLanes[Lane] = TaskLanes(lambda: Lane(0), Lane.aclose)
        used = [await kept.take() for _ in range(LANES)]
        first, second = asyncio.create_task(kept.take()), asyncio.create_task(kept.take())
        await asyncio.sleep(0)
        first.cancel()
        await kept.give_back(used[0], True)
        assert await second is used[0]

    asyncio.run(play())


def test_what_cannot_be_made_takes_no_room(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that can't be made counts for nothing."""

    def fail(_: int) -> Lane:
        raise OSError("no room")

    monkeypatch.setattr(kept, "_make", fail)
    for _ in range(LANES):
        with pytest.raises(OSError, match="no room"):
            kept.take()
    monkeypatch.undo()
    assert kept.take().closed == 0


def test_what_is_inherited() -> None:
    """A process that was forked closes what it has of the one before, and has room of its own."""
    kept = Threads()
    used = [kept.take() for _ in range(LANES)]
    kept.give_back(used[0])
    # As if another process had made them.
    kept._lanes._process = 0
    assert kept.take() not in used
    assert [lane.closed for lane in used] == [1] + [0] * (LANES - 1)


def test_threads_that_fight_for_lanes() -> None:
    """No two threads ever have the same lane, and none is forgotten."""
    kept = Threads()
    held: set[Lane] = set()
    trouble: list[str] = []
    ends = time.monotonic() + 0.3

    def work() -> None:
        while time.monotonic() < ends:
            lane = kept._lanes.take(10)
            if lane in held or lane.closed:
                trouble.append(f"{lane.number} was somebody's")
            held.add(lane)
            held.discard(lane)
            kept.give_back(lane, again=lane.number % 7 != 0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.close()
    assert trouble == []
    assert all(lane.closed for lane in kept.made)
