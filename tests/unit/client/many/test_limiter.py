"""The limiters: waiting for a permit, in threads and in tasks."""

import asyncio
import contextlib
import logging
import time
from typing import Any

import pytest

from support.clocks import FakeClock
from support.threads import in_thread, join, until
from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.flow.drive import Stop, Stopped
from taskcounts.flow.steps import NoPermit
from taskcounts.many.limiter import TaskLimiter, ThreadLimiter

NEVER = float("inf")


def waiting(limiter: Any) -> int:
    """Return the number of requests that wait for a limiter."""
    return sum(map(len, limiter._queues))


def test_thread_waits_for_a_permit() -> None:
    """A waiting thread gets the permit that another one releases."""
    limiter = ThreadLimiter(1, SYSTEM_CLOCK)
    first = limiter.acquire(NEVER)
    assert not isinstance(first, NoPermit)
    thread, came = in_thread(lambda: limiter.acquire(NEVER))
    until(lambda: waiting(limiter) == 1)
    assert came == []
    limiter.release(first, 200, 0)
    join(thread)
    assert not isinstance(came[0], NoPermit)
    assert limiter.in_flight == 1


def test_threads_get_in_by_turns() -> None:
    """Requests are served in their order, and retries before the others."""
    limiter = ThreadLimiter(1, SYSTEM_CLOCK)
    permit = limiter.acquire(NEVER)
    order: list[str] = []
    threads = []

    def enter(name: str, is_retry: bool) -> None:
        mine = limiter.acquire(NEVER, is_retry)
        order.append(name)
        limiter.release(mine, 200, 0)  # type: ignore[arg-type]

    for number, (name, is_retry) in enumerate([("a", False), ("b", False), ("c", True), ("d", True)]):
        threads.append(in_thread(lambda name=name, is_retry=is_retry: enter(name, is_retry))[0])  # type: ignore[misc]
        until(lambda number=number: waiting(limiter) == number + 1)  # type: ignore[misc]
    limiter.release(permit, 200, 0)  # type: ignore[arg-type]
    for thread in threads:
        join(thread)
    assert order == ["c", "d", "a", "b"]
    assert limiter.in_flight == 0


def test_tasks_get_in_by_turns() -> None:
    """So do tasks."""

    async def main() -> list[str]:
        limiter = TaskLimiter(1, SYSTEM_CLOCK)
        permit = await limiter.acquire(NEVER)
        order: list[str] = []

        async def enter(name: str, is_retry: bool) -> None:
            mine = await limiter.acquire(NEVER, is_retry)
            order.append(name)
            limiter.release(mine, 200, 0)  # type: ignore[arg-type]

        turns = [("a", False), ("b", False), ("c", True), ("d", True)]
        tasks = [asyncio.create_task(enter(*turn)) for turn in turns]
        await asyncio.sleep(0)
        limiter.release(permit, 200, 0)  # type: ignore[arg-type]
        await asyncio.gather(*tasks)
        assert limiter.in_flight == 0
        return order

    assert asyncio.run(main()) == ["c", "d", "a", "b"]


def test_nobody_sends_before_the_moment(clock: FakeClock) -> None:
    """After a refusal all requests wait for the end of the cooldown, in tasks and threads alike."""
    limiter = ThreadLimiter(4, clock)
    limiter.release(limiter.acquire(NEVER), 429, 30)  # type: ignore[arg-type]
    limiter.acquire(NEVER)
    assert (clock.seconds, clock.pauses) == (1030, [30])

    async def main() -> None:
        limiter = TaskLimiter(4, clock)
        limiter.release(await limiter.acquire(NEVER), 503, 30)  # type: ignore[arg-type]
        await limiter.acquire(NEVER)

    asyncio.run(main())
    assert (clock.seconds, clock.pauses) == (1060, [30, 30])


def test_moment_beyond_the_limit_is_not_waited_for(clock: FakeClock) -> None:
    """A cooldown beyond the time limit is refused at once, and named."""
    limiter = ThreadLimiter(4, clock)
    limiter.release(limiter.acquire(NEVER), 429, 30)  # type: ignore[arg-type]
    assert limiter.acquire(1029) == NoPermit(30)
    assert limiter.acquire(1030) == NoPermit(30)

    async def main() -> None:
        limiter = TaskLimiter(4, clock)
        limiter.release(await limiter.acquire(NEVER), 429, 30)  # type: ignore[arg-type]
        assert await limiter.acquire(1030) == NoPermit(30)

    asyncio.run(main())
    assert clock.pauses == []
    assert limiter.in_flight == waiting(limiter) == 0


def test_time_is_over_before(clock: FakeClock) -> None:
    """A request that comes too late gets no permit, though there is one."""
    limiter = ThreadLimiter(1, clock)
    assert limiter.acquire(1000) == NoPermit(0)
    assert limiter.in_flight == 0


def test_time_runs_out_while_waiting() -> None:
    """A request waits for a permit no longer than until its time limit."""
    limiter = ThreadLimiter(1, SYSTEM_CLOCK)
    permit = limiter.acquire(NEVER)
    assert limiter.acquire(time.monotonic() + 0.01) == NoPermit(0)

    async def main() -> None:
        limiter = TaskLimiter(1, SYSTEM_CLOCK)
        permit = await limiter.acquire(NEVER)
        assert await limiter.acquire(time.monotonic() + 0.01) == NoPermit(0)
        assert limiter.in_flight == 1
        assert waiting(limiter) == 0
        limiter.release(permit, 200, 0)  # type: ignore[arg-type]

    asyncio.run(main())
    assert limiter.in_flight == 1
    assert waiting(limiter) == 0
    limiter.release(permit, 200, 0)  # type: ignore[arg-type]


def test_waiting_without_end() -> None:
    """The time limit may be further away than any clock can count."""
    for until_then in (NEVER, 1e300):
        limiter = ThreadLimiter(1, SYSTEM_CLOCK)
        permit = limiter.acquire(NEVER)
        thread, came = in_thread(lambda limiter=limiter, until_then=until_then: limiter.acquire(until_then))  # type: ignore[misc]
        until(lambda limiter=limiter: waiting(limiter) == 1)  # type: ignore[misc]
        limiter.release(permit, 200, 0)  # type: ignore[arg-type]
        join(thread)
        assert came
        assert not isinstance(came[0], NoPermit)


def test_waiting_threads_hear_of_a_refusal() -> None:
    """A cooldown that begins while requests wait delays them, and its end wakes them."""
    limiter = ThreadLimiter(1, SYSTEM_CLOCK)
    permit = limiter.acquire(NEVER)
    thread, came = in_thread(lambda: limiter.acquire(NEVER))
    late, refused = in_thread(lambda: limiter.acquire(time.monotonic() + 3600))
    until(lambda: waiting(limiter) == 2)
    limiter.release(permit, 429, 0.05)  # type: ignore[arg-type]
    join(thread)
    assert not isinstance(came[0], NoPermit)
    limiter.release(came[0], 429, 7200)
    join(late)
    assert refused[0].cooldown == pytest.approx(7200, abs=30)


def test_waiting_tasks_hear_of_a_refusal() -> None:
    """So do tasks."""

    async def main() -> None:
        limiter = TaskLimiter(1, SYSTEM_CLOCK)
        permit = await limiter.acquire(NEVER)
        waits = asyncio.create_task(limiter.acquire(NEVER))
        late = asyncio.create_task(limiter.acquire(time.monotonic() + 3600))
        await asyncio.sleep(0)
        limiter.release(permit, 429, 0.05)  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            limiter.release(await waits, 429, 7200)  # type: ignore[arg-type]
            refused = await late
        assert isinstance(refused, NoPermit)
        assert refused.cooldown == pytest.approx(7200, abs=30)

    asyncio.run(main())


def test_stopped_threads_leave() -> None:
    """A stop ends the waiting for a permit, and for the end of a cooldown."""
    limiter = ThreadLimiter(1, SYSTEM_CLOCK)
    permit = limiter.acquire(NEVER)
    stop = Stop()
    for_a_permit, came = in_thread(lambda: limiter.acquire(NEVER, stop=stop))
    until(lambda: waiting(limiter) == 1)
    stop.is_set = True
    limiter.wake()
    join(for_a_permit)
    assert isinstance(came[0], Stopped)
    limiter.release(permit, 429, 3600)  # type: ignore[arg-type]
    stop = Stop()
    for_a_moment, came = in_thread(lambda: limiter.acquire(NEVER, stop=stop))
    until(lambda: waiting(limiter) == 1)
    stop.is_set = True
    limiter.wake()
    join(for_a_moment)
    assert isinstance(came[0], Stopped)
    assert limiter.in_flight == waiting(limiter) == 0


def test_stopped_thread_gets_no_permit() -> None:
    """A stopped caller gets no permit, though others would get one."""
    limiter, stop = ThreadLimiter(1, SYSTEM_CLOCK), Stop()
    stop.is_set = True
    with pytest.raises(Stopped):
        limiter.acquire(NEVER, stop=stop)
    assert (limiter.in_flight, waiting(limiter)) == (0, 0)
    assert not isinstance(limiter.acquire(NEVER), NoPermit)


def test_permit_that_came_too_late_goes_on() -> None:
    """A task that is cancelled just as it gets its permit leaves it to the next."""

    async def main() -> None:
        limiter = TaskLimiter(1, SYSTEM_CLOCK)
        permit = await limiter.acquire(NEVER)
        first = asyncio.create_task(limiter.acquire(NEVER))
        second = asyncio.create_task(limiter.acquire(NEVER))
        await asyncio.sleep(0)
        limiter.release(permit, 200, 0)  # type: ignore[arg-type]
        first.cancel()
        async with asyncio.timeout(20):
            assert not isinstance(await second, NoPermit)
        with contextlib.suppress(asyncio.CancelledError):
            await first
        assert limiter.in_flight == 1

    asyncio.run(main())


def test_cancelled_task_leaves_the_line() -> None:
    """A task that is cancelled while it waits is forgotten."""

    async def main() -> None:
        limiter = TaskLimiter(1, SYSTEM_CLOCK)
        permit = await limiter.acquire(NEVER)
        task = asyncio.create_task(limiter.acquire(NEVER))
        await asyncio.sleep(0)
        assert waiting(limiter) == 1
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert (waiting(limiter), limiter.in_flight) == (0, 1)
        limiter.release(permit, 200, 0)  # type: ignore[arg-type]
        assert limiter.in_flight == 0

    asyncio.run(main())


def test_refusals_are_logged(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the cooldown of a busy service and the new limit."""
    limiter = ThreadLimiter(8, clock)
    with caplog.at_level(logging.INFO, "taskcounts"):
        limiter.release(limiter.acquire(NEVER), 429, 30)  # type: ignore[arg-type]
    assert caplog.messages == [
        "the service is busy: nothing is sent for 30.0 s, then up to 4 requests at once"
    ]
