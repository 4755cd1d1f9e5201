"""Places that nobody gives back: an interruption may come anywhere, and none is lost for good."""

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
from taskcounts.flow.steps import NoPlace
from taskcounts.many.limiter import ThreadGate

NEVER = float("inf")


def interrupted(work: Callable[[], object], at: int) -> bool:
    """Do something, and interrupt it once, where Python would: at the call of a function, or after it.

    Returns whether it came so far: ``at`` counts these moments.
    """
    moments = 0

    def look(frame: Any, event: str, argument: object) -> None:
        nonlocal moments
        # The last one is the end of looking itself.
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


def test_dropped_place() -> None:
    """A place that is dropped goes to who comes next, or waits already."""
    gate = ThreadGate(1, SYSTEM_CLOCK)
    place = gate.admit(NEVER)
    came: list[Any] = []
    thread = threading.Thread(target=lambda: came.append(gate.admit(NEVER)))
    thread.start()
    while not any(gate._lines):
        time.sleep(0.001)
    assert isinstance(gate.admit(time.monotonic() + 0.001), NoPlace)
    del place
    thread.join(20)
    assert (len(came), gate.in_flight) == (1, 1)
    came[0].give_back(200, 0)
    assert gate.in_flight == 0
    came.clear()
    assert gate.in_flight == 0


def test_interrupted_call() -> None:
    """Wherever a call is interrupted, the client's only place is there for the next one."""
    handler = httpx.MockTransport(
        lambda request: answer(client_request_id=request.headers["client-request-id"]).response()
    )
    with TaskCountsClient(ENDPOINT, KEY, transport=handler, concurrency=1, deadline=5) as client:
        gate: Any = client._settings.gate
        client.get_job_task_counts("job-1")
        at = 1
        while interrupted(lambda: client.get_job_task_counts("job-1"), at):
            assert gate.in_flight == 0, at
            at += 1
        assert at > 50
        assert client.get_job_task_counts("job-1").total == 12


def test_interrupted_waiting() -> None:
    """Wherever the waiting for a place is interrupted, nobody who comes after it waits for it."""
    gate, at = ThreadGate(1, SYSTEM_CLOCK), 0
    going_on = True
    while going_on:
        at += 1
        mine: Any = gate.admit(NEVER)
        going_on = interrupted(lambda: gate.admit(time.monotonic() + 0.002), at)
        mine.give_back(200, 0)
        place: Any = gate.admit(time.monotonic() + 5)
        assert not isinstance(place, NoPlace), at
        place.give_back(200, 0)
        assert gate.in_flight == 0
        assert not any(gate._lines)
    assert at > 20


def test_interrupted_while_a_place_is_given_back() -> None:
    """Wherever the return of a place is interrupted, who waits for it gets it as soon as somebody comes."""
    gate, at = ThreadGate(1, SYSTEM_CLOCK), 0
    going_on = True
    while going_on:
        at += 1
        mine: list[Any] = [gate.admit(NEVER)]
        waiter = gate._arrive(list[None]().clear, again=False)
        going_on = interrupted(lambda: mine[0].give_back(200, 0), at)  # noqa: B023 - called at once.
        mine.clear()
        with contextlib.suppress(AttributeError):
            gate._look(waiter, NEVER).give_back(200, 0)  # type: ignore[union-attr]
        gate._leave(waiter)
        assert (gate.in_flight, any(gate._lines)) == (0, False), at
    assert at > 3
