"""Permits that nobody releases: an interruption may come anywhere, and none is lost for good."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from support.answers import answer
from support.client import ENDPOINT, KEY
from taskcounts import TaskCountsClient
from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.flow.steps import NoPermit
from taskcounts.many.limiter import ThreadLimiter

NEVER = float("inf")


def interrupted(work: Callable[[], object], at: int) -> bool:
    """Call a function and interrupt it once, where Python would: at the call of a function, or after it.

    Returns whether it came so far: ``at`` counts these moments.
    """
    moments = 0

    def look(frame: Any, event: str, argument: object) -> None:
        nonlocal moments
        # The last moment is the end of the profiling itself.
        if event in ("call", "c_return") and argument is not sys.setprofile:
            moments += 1
            if moments == at:
                raise KeyboardInterrupt

    try:
        sys.setprofile(look)
        work()
        sys.setprofile(None)
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def test_dropped_permit() -> None:
    """A permit that is dropped goes to the request that waits, or to the next one."""
    limiter = ThreadLimiter(1, SYSTEM_CLOCK)
    permit = limiter.acquire(NEVER)
    came: list[Any] = []
    thread = threading.Thread(target=lambda: came.append(limiter.acquire(NEVER)))
    thread.start()
    while not any(limiter._queues):
        time.sleep(0.001)
    assert isinstance(limiter.acquire(time.monotonic() + 0.001), NoPermit)
    del permit
    thread.join(20)
    assert (len(came), limiter.in_flight) == (1, 1)
    limiter.release(came[0], 200, 0)
    assert limiter.in_flight == 0
    came.clear()
    assert limiter.in_flight == 0


def test_interrupted_call() -> None:
    """After an interruption of a call, the client's only permit is free again."""
    handler = httpx.MockTransport(
        lambda request: answer(client_request_id=request.headers["client-request-id"]).response()
    )
    with TaskCountsClient(ENDPOINT, KEY, transport=handler, concurrency=1, deadline=5) as client:
        limiter: Any = client._settings.limiter
        client.get_job_task_counts("job-1")
        at = 1
        while interrupted(lambda: client.get_job_task_counts("job-1"), at):
            assert limiter.in_flight == 0, at
            at += 1
        assert at > 50
        assert client.get_job_task_counts("job-1").total == 12


def test_interrupted_waiting() -> None:
    """After an interruption of the waiting for a permit, no later request waits in vain."""
    limiter, at = ThreadLimiter(1, SYSTEM_CLOCK), 0
    going_on = True
    while going_on:
        at += 1
        mine: Any = limiter.acquire(NEVER)
        going_on = interrupted(lambda: limiter.acquire(time.monotonic() + 0.002), at)
        limiter.release(mine, 200, 0)
        permit: Any = limiter.acquire(time.monotonic() + 5)
        assert not isinstance(permit, NoPermit), at
        limiter.release(permit, 200, 0)
        assert limiter.in_flight == 0
        assert not any(limiter._queues)
    assert at > 20


def test_interrupted_while_a_permit_is_released() -> None:
    """After an interruption of a release, the waiting request gets the permit at the next call."""
    limiter, at = ThreadLimiter(1, SYSTEM_CLOCK), 0
    going_on = True
    while going_on:
        at += 1
        mine: list[Any] = [limiter.acquire(NEVER)]
        waiter = limiter._enqueue(list[None]().clear, is_retry=False)
        going_on = interrupted(lambda: limiter.release(mine[0], 200, 0), at)  # noqa: B023 - called at once.
        mine.clear()
        with contextlib.suppress(AttributeError):
            limiter.release(limiter._check(waiter, NEVER), 200, 0)  # type: ignore[arg-type]
        limiter._leave(waiter)
        assert (limiter.in_flight, any(limiter._queues)) == (0, False), at
    assert at > 3
