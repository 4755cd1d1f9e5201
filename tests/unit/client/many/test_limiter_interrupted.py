"""Permits that nobody releases: an interruption may come anywhere, and none is lost for good."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import httpx

from support.answers import answer
from support.client import ENDPOINT, KEY
from support.threads import in_thread, interrupted, join, until
from taskcounts import TaskCountsClient
from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.flow.steps import NoPermit
from taskcounts.many.limiter import ThreadLimiter

NEVER = float("inf")


def test_dropped_permit() -> None:
    """A permit that is dropped goes to the request that waits, or to the next one."""
    limiter = ThreadLimiter(1, SYSTEM_CLOCK)
    permit = limiter.acquire(NEVER)
    thread, came = in_thread(lambda: limiter.acquire(NEVER))
    until(lambda: any(limiter._queues))
    assert isinstance(limiter.acquire(time.monotonic() + 0.001), NoPermit)
    del permit
    join(thread)
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
