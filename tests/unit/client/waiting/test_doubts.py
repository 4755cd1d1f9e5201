"""A refuted or outdated answer decides nothing."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from support.answers import Script, answer
from support.client import ENDPOINT, KEY, Call
from support.waits import RUNS, STUCK, Happening, Numbers, busy, failing, kinds, notes, told, waited
from taskcounts import TaskCountsClient
from taskcounts.waiting.state import AskCounts, Reason


@pytest.mark.parametrize("later", range(120, 200, 5))
def test_a_job_that_had_ended_may_be_another_one_now(later: float) -> None:
    """A job that had ended may be deleted and added anew: the wait then goes on for its tasks."""
    script: list[Happening] = [
        *RUNS,
        (20, "job", "completed"),
        *((later, what, task) for task in "ab" for what in ("delete", "add")),
        (later, "job", "active"),
        *((300.0, what, task) for task in "ab" for what in ("running", "succeed")),
    ]
    course = waited(script)
    assert "the job has ended" in notes(course)
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert course.ended >= 300


def test_an_end_that_was_told_just_now_counts() -> None:
    """If a list query fails after the job has ended, its end is still known at the next one."""
    script: list[Happening] = [*STUCK, (5, "running", "a"), (10, "succeed", "a"), (20, "job", "completed")]
    for times in (1, 2, 3):
        left = [times]

        def fails(number: int, at: float, step: object, left: list[int] = left) -> object:
            if at < 20 or isinstance(step, AskCounts) or "Job" in type(step).__name__ or not left[0]:
                return None
            left[0] -= 1
            return busy()

        course = waited(script, how={"fails": fails})
        assert course.end.reason is Reason.NEVER_RAN
        assert course.end.task_id == "b"
        assert kinds(course).count("job") == 1


@pytest.mark.parametrize("exact", [False, True])
def test_numbers_that_a_list_contradicts_reach_nothing(exact: bool) -> None:
    """Counts that a list has just refuted aren't trusted in another respect."""
    report = told(Numbers(active=4, succeeded=5, failed=1))
    course = waited(
        STUCK, "succeeded>=5", fail_fast=True, exact_at_end=exact, deadline=60, how={"report": report}
    )
    assert "by the counts tasks failed, but the list has none that did" in notes(course)
    assert course.end.reason is Reason.TIMED_OUT


def test_a_wish_of_ages_is_no_wish() -> None:
    """A service that asks for more than a year doesn't silence a wait."""
    course = waited(STUCK, stall=60, how={"fails": failing(AskCounts, 1, busy(99999999999))})
    assert course.end.reason is Reason.STALLED


@pytest.mark.parametrize("observer", ["text", 5])
def test_an_observer_is_a_function(call: Call, observer: object) -> None:
    """An observer that can't be called is refused before anything is sent."""
    service = Script(answer())
    client = call.client_type(ENDPOINT, KEY, transport=httpx.MockTransport(service))

    def wait() -> None:
        ended = client.wait_for_job("job-1", observer=observer)
        asyncio.run(ended)

    with pytest.raises(TypeError, match="observer must be a function"):
        wait()
    assert service.requests == []


def test_an_observer_is_a_plain_function() -> None:
    """A coroutine function would never be awaited."""

    async def observe(_: object) -> None: ...

    with TaskCountsClient(ENDPOINT, KEY) as client, pytest.raises(TypeError, match="plain function"):
        client.wait_for_job("job-1", observer=observe)
