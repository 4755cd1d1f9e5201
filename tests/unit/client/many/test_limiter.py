"""The gates: waiting for a place, in threads and in tasks."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.clocks import FakeClock
from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.flow.steps import NoPlace
from taskcounts.many.limiter import Stop, Stopped, TaskGate, ThreadGate

NEVER = float("inf")


def waiting(gate: Any) -> int:
    """Return how many wait at a gate."""
    return sum(map(len, gate._lines))


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; a test whose condition never comes true fails."""
    patience = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.001)


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start a thread; what it returns or raises ends up in the list."""
    came: list[Any] = []

    def run() -> None:
        try:
            came.append(work())
        except Stopped as stopped:
            came.append(stopped)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, came


def test_thread_waits_for_a_place() -> None:
    """A thread gets in when another one gives its place back."""
    gate = ThreadGate(1, SYSTEM_CLOCK)
    first = gate.admit(NEVER)
    assert not isinstance(first, NoPlace)
    thread, came = in_thread(lambda: gate.admit(NEVER))
    until(lambda: waiting(gate) == 1)
    assert came == []
    first.give_back(200, 0)
    thread.join(20)
    assert not isinstance(came[0], NoPlace)
    assert gate.in_flight == 1


def test_threads_get_in_by_turns() -> None:
    """Who came first gets in first, but who was refused before comes before the others."""
    gate = ThreadGate(1, SYSTEM_CLOCK)
    place = gate.admit(NEVER)
    order: list[str] = []
    threads = []

    def enter(name: str, again: bool) -> None:
        mine = gate.admit(NEVER, again)
        order.append(name)
        mine.give_back(200, 0)  # type: ignore[union-attr]

    for number, (name, again) in enumerate([("a", False), ("b", False), ("c", True), ("d", True)]):
        threads.append(in_thread(lambda name=name, again=again: enter(name, again))[0])  # type: ignore[misc]
        until(lambda number=number: waiting(gate) == number + 1)  # type: ignore[misc]
    place.give_back(200, 0)  # type: ignore[union-attr]
    for thread in threads:
        thread.join(20)
    assert order == ["c", "d", "a", "b"]
    assert gate.in_flight == 0


def test_tasks_get_in_by_turns() -> None:
    """So do tasks."""

    async def main() -> list[str]:
        gate = TaskGate(1, SYSTEM_CLOCK)
        place = await gate.admit(NEVER)
        order: list[str] = []

        async def enter(name: str, again: bool) -> None:
            mine = await gate.admit(NEVER, again)
            order.append(name)
            mine.give_back(200, 0)  # type: ignore[union-attr]

        turns = [("a", False), ("b", False), ("c", True), ("d", True)]
        tasks = [asyncio.create_task(enter(*turn)) for turn in turns]
        await asyncio.sleep(0)
        place.give_back(200, 0)  # type: ignore[union-attr]
        await asyncio.gather(*tasks)
        assert gate.in_flight == 0
        return order

    assert asyncio.run(main()) == ["c", "d", "a", "b"]


def test_nobody_sends_before_the_moment(clock: FakeClock) -> None:
    """After a refusal everybody waits until the moment that it names, tasks and threads alike."""
    gate = ThreadGate(4, clock)
    gate.admit(NEVER).give_back(429, 30)  # type: ignore[union-attr]
    gate.admit(NEVER)
    assert (clock.seconds, clock.pauses) == (1030, [30])

    async def main() -> None:
        gate = TaskGate(4, clock)
        (await gate.admit(NEVER)).give_back(503, 30)  # type: ignore[union-attr]
        await gate.admit(NEVER)

    asyncio.run(main())
    assert (clock.seconds, clock.pauses) == (1060, [30, 30])


def test_moment_beyond_the_limit_is_not_waited_for(clock: FakeClock) -> None:
    """Who can't get in in time is told at once, and how long nobody may send."""
    gate = ThreadGate(4, clock)
    gate.admit(NEVER).give_back(429, 30)  # type: ignore[union-attr]
    assert gate.admit(1029) == NoPlace(30)
    assert gate.admit(1030) == NoPlace(30)

    async def main() -> None:
        gate = TaskGate(4, clock)
        (await gate.admit(NEVER)).give_back(429, 30)  # type: ignore[union-attr]
        assert await gate.admit(1030) == NoPlace(30)

    asyncio.run(main())
    assert clock.pauses == []
    assert gate.in_flight == waiting(gate) == 0


def test_time_is_over_before(clock: FakeClock) -> None:
    """Who comes too late gets no place, though there is one."""
    gate = ThreadGate(1, clock)
    assert gate.admit(1000) == NoPlace(0)
    assert gate.in_flight == 0


def test_time_runs_out_while_waiting() -> None:
    """Who waits for a place waits no longer than it is of use."""
    gate = ThreadGate(1, SYSTEM_CLOCK)
    place = gate.admit(NEVER)
    assert gate.admit(time.monotonic() + 0.01) == NoPlace(0)

    async def main() -> None:
        gate = TaskGate(1, SYSTEM_CLOCK)
        place = await gate.admit(NEVER)
        assert await gate.admit(time.monotonic() + 0.01) == NoPlace(0)
        assert gate.in_flight == 1
        assert waiting(gate) == 0
        place.give_back(200, 0)  # type: ignore[union-attr]

    asyncio.run(main())
    assert gate.in_flight == 1
    assert waiting(gate) == 0
    place.give_back(200, 0)  # type: ignore[union-attr]


def test_waiting_without_end() -> None:
    """A place is waited for however far its limit is away, beyond what any clock can count."""
    for until_then in (NEVER, 1e300):
        gate = ThreadGate(1, SYSTEM_CLOCK)
        place = gate.admit(NEVER)
        thread, came = in_thread(lambda gate=gate, until_then=until_then: gate.admit(until_then))  # type: ignore[misc]
        until(lambda gate=gate: waiting(gate) == 1)  # type: ignore[misc]
        place.give_back(200, 0)  # type: ignore[union-attr]
        thread.join(20)
        assert came
        assert not isinstance(came[0], NoPlace)


def test_waiting_threads_hear_of_a_refusal() -> None:
    """Who waits for a place gets in after the moment, though no place comes back then."""
    gate = ThreadGate(1, SYSTEM_CLOCK)
    place = gate.admit(NEVER)
    thread, came = in_thread(lambda: gate.admit(NEVER))
    late, refused = in_thread(lambda: gate.admit(time.monotonic() + 3600))
    until(lambda: waiting(gate) == 2)
    place.give_back(429, 0.05)  # type: ignore[union-attr]
    thread.join(20)
    assert not isinstance(came[0], NoPlace)
    came[0].give_back(429, 7200)
    late.join(20)
    assert refused[0].rest == pytest.approx(7200, abs=30)


def test_waiting_tasks_hear_of_a_refusal() -> None:
    """So do tasks."""

    async def main() -> None:
        gate = TaskGate(1, SYSTEM_CLOCK)
        place = await gate.admit(NEVER)
        waits = asyncio.create_task(gate.admit(NEVER))
        late = asyncio.create_task(gate.admit(time.monotonic() + 3600))
        await asyncio.sleep(0)
        place.give_back(429, 0.05)  # type: ignore[union-attr]
        async with asyncio.timeout(20):
            (await waits).give_back(429, 7200)  # type: ignore[union-attr]
            refused = await late
        assert isinstance(refused, NoPlace)
        assert refused.rest == pytest.approx(7200, abs=30)

    asyncio.run(main())


def test_stopped_threads_leave() -> None:
    """A stop ends the waiting for a place, and for a moment, of those whom it concerns."""
    gate = ThreadGate(1, SYSTEM_CLOCK)
    place = gate.admit(NEVER)
    stop = Stop()
    for_a_place, came = in_thread(lambda: gate.admit(NEVER, stop=stop))
    until(lambda: waiting(gate) == 1)
    stop.set()
    gate.wake()
    for_a_place.join(20)
    assert isinstance(came[0], Stopped)
    place.give_back(429, 3600)  # type: ignore[union-attr]
    stop = Stop()
    for_a_moment, came = in_thread(lambda: gate.admit(NEVER, stop=stop))
    until(lambda: waiting(gate) == 1)
    stop.set()
    gate.wake()
    for_a_moment.join(20)
    assert isinstance(came[0], Stopped)
    assert gate.in_flight == waiting(gate) == 0


def test_stopped_thread_gets_no_place() -> None:
    """After the stop there is none for those whom it concerns, though others would get one."""
    gate, stop = ThreadGate(1, SYSTEM_CLOCK), Stop()
    stop.set()
    with pytest.raises(Stopped):
        gate.admit(NEVER, stop=stop)
    assert (gate.in_flight, waiting(gate)) == (0, 0)
    assert not isinstance(gate.admit(NEVER), NoPlace)


def test_place_that_came_too_late_goes_on() -> None:
    """A task that is cancelled in the moment in which it gets its place leaves it to the next."""

    async def main() -> None:
        gate = TaskGate(1, SYSTEM_CLOCK)
        place = await gate.admit(NEVER)
        first = asyncio.create_task(gate.admit(NEVER))
        second = asyncio.create_task(gate.admit(NEVER))
        await asyncio.sleep(0)
        place.give_back(200, 0)  # type: ignore[union-attr]
        first.cancel()
        async with asyncio.timeout(20):
            assert not isinstance(await second, NoPlace)
        with contextlib.suppress(asyncio.CancelledError):
            await first
        assert gate.in_flight == 1

    asyncio.run(main())


def test_cancelled_task_leaves_the_line() -> None:
    """A task that is cancelled while it waits is forgotten."""

    async def main() -> None:
        gate = TaskGate(1, SYSTEM_CLOCK)
        place = await gate.admit(NEVER)
        task = asyncio.create_task(gate.admit(NEVER))
        await asyncio.sleep(0)
        assert waiting(gate) == 1
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert (waiting(gate), gate.in_flight) == (0, 1)
        place.give_back(200, 0)  # type: ignore[union-attr]
        assert gate.in_flight == 0

    asyncio.run(main())


def test_refusals_are_logged(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """The log says that the service is busy, for how long, and how many are sent after that."""
    gate = ThreadGate(8, clock)
    with caplog.at_level(logging.INFO, "taskcounts"):
        gate.admit(NEVER).give_back(429, 30)  # type: ignore[union-attr]
    assert caplog.messages == [
        "the service is busy: nothing is sent for 30.0 s, then up to 4 requests at once"
    ]
