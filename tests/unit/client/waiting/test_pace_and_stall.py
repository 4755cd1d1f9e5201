"""Stalls, jobs that have ended, intervals, and the last tick of a wait."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from support.waits import (
    LEFT,
    RUNS,
    STUCK,
    Happening,
    Numbers,
    busy,
    failing,
    kinds,
    snapshot,
    told,
    unreachable,
    waited,
)
from taskcounts.waiting.machine import begin_tick
from taskcounts.waiting.state import AskCounts, AskJob, AskTasks, End, Failed, Reason, Sleep


def test_a_stall_is_told_from_slow() -> None:
    """A change starts the time anew; a failed question is neither change nor standstill."""
    slow: list[Happening] = [(0, "add", "a"), (40, "running", "a"), (80, "succeed", "a")]
    assert waited(slow, stall=45, interval=5).end.reason is Reason.ALL_SUCCEEDED
    course = waited(slow, stall=30, interval=5)
    assert course.end == End(Reason.STALLED, task_id="a")
    assert course.ended == 30
    assert kinds(course)[-3:] == ["counts", "unfinished", "job"]
    unanswered = lambda _, at, __: unreachable() if 10 < at < 90 else None  # noqa: E731
    course = waited(slow, stall=30, interval=5, max_failures=99, how={"fails": unanswered})
    assert course.end.reason is Reason.ALL_SUCCEEDED


def test_a_stall_is_told_though_the_state_of_the_job_is_not() -> None:
    """A failed poll for the job's own state, which only explains a stall, doesn't delay the verdict."""
    course = waited(STUCK, stall=30, interval=15, max_failures=3, how={"fails": failing(AskJob)})
    assert course.end.reason is Reason.STALLED
    assert kinds(course) == ["counts"] * 3 + ["unfinished", "job", "job", "job"]


def test_a_stall_waits_for_the_state_of_the_job() -> None:
    """A poll without an answer doesn't make a job that has ended stalled."""
    script: list[Happening] = [*STUCK, (1, "job", "completed")]
    course = waited(script, stall=30, interval=15, how={"fails": failing(AskJob, 2)})
    assert course.end == End(Reason.NEVER_RAN, confirmed=True, task_id="a")
    moves: list[Happening] = [*STUCK, (50, "running", "a"), (70, "succeed", "a"), (70, "succeed", "b")]
    course = waited(moves, stall=30, interval=15, how={"fails": failing(AskJob, 2)})
    assert course.end.reason is Reason.ALL_SUCCEEDED


def test_a_stall_asks_for_failed_tasks_where_they_matter() -> None:
    """Counts that stand still may hide a failed task."""
    script: list[Happening] = [*STUCK, (20, "fail", "b")]
    course = waited(
        script, "any-failed", stall=30, interval=31, how={"report": lambda *_: snapshot(Numbers(active=2))}
    )
    assert course.end == End(Reason.FAILED, confirmed=True, task_id="b")


def test_a_task_that_never_ran_is_told_once_the_list_answers() -> None:
    """A failed last query doesn't hide that the job has ended."""
    fails = failing(AskTasks, 2)
    course = waited(LEFT, "all-succeeded", interval=10, how={"fails": fails})
    assert course.end == End(Reason.NEVER_RAN, confirmed=True, task_id="b")


def test_a_task_that_still_runs_in_a_job_that_has_ended_is_waited_for() -> None:
    """The job's own state may be ahead of its tasks."""
    script: list[Happening] = [*RUNS, (10, "job", "completed"), (300, "succeed", "a"), (300, "succeed", "b")]
    course = waited(script, interval=10)
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert course.ended >= 300


def test_the_interval_grows_shrinks_and_obeys() -> None:
    """Nothing changes: slower, up to 30 s; near the end faster; Retry-After counts in any case."""
    ticks = waited(STUCK, deadline=1e6, stall=300).ticks
    pauses = [later - earlier for earlier, later in pairwise(ticks)]
    assert pauses[:6] == [2, 3, 4.5, 6.75, 10.125, 15.1875]
    assert max(pauses) == 30
    course = waited(STUCK, interval=4, deadline=100, how={"fails": failing(AskCounts, 1, busy(33))})
    assert course.ticks[1] == 33
    course = waited(STUCK, interval=4, deadline=100, how={"fails": failing(AskCounts, 1, busy(1000))})
    assert course.ticks == [0]
    assert course.ended == 100
    # Nobody means this.
    course = waited(STUCK, interval=4, deadline=100, how={"fails": failing(AskCounts, 1, busy(1e300))})
    assert course.ticks[1] == 4


def test_the_last_look_comes_shortly_before_the_deadline() -> None:
    """The last tick comes a second before the deadline; later in a short wait, sooner for many jobs."""
    assert waited(STUCK, interval=60, deadline=90).ticks == [0, 60, 89]
    assert waited(STUCK, interval=4, deadline=8.5).ticks == [0, 4, 7.5]
    assert waited(STUCK, interval=4, deadline=9).ticks == [0, 4, 8]
    assert waited(STUCK, interval=0.25, deadline=1.5).ticks == [0, 0.25, 0.5, 0.75, 1, 1.25]
    assert waited(STUCK, interval=60, deadline=2).ticks == [0, 1.5]
    assert waited(STUCK, deadline=0.5).ticks == [0, 0.375]
    assert waited(STUCK, min_interval=100, deadline=300).ticks[-1] == 280
    assert waited(STUCK, min_interval=0.5, deadline=3).ticks[-1] == 2.5


@pytest.mark.parametrize("report", [None, lambda *_: snapshot(Numbers(running=2))])
@pytest.mark.parametrize(("interval", "deadline"), [(60, 90), (20, 30), (1000, 2), (None, 90)])
@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ([("succeed", "a"), ("succeed", "b")], Reason.ALL_SUCCEEDED),
        ([("fail", "a")], Reason.FAILED),
        ([("job", "completed"), ("active", "a"), ("active", "b")], Reason.NEVER_RAN),
        ([("job", "deleting")], Reason.GONE),
    ],
)
def test_no_wait_ends_blind(
    report: Any, interval: float | None, deadline: float, last: list[tuple[str, str]], reason: Reason
) -> None:
    """The last query finds what ended the job after the poll before, also where the counts are behind."""
    script: list[Happening] = [*RUNS, *((deadline * 0.7, what, whom) for what, whom in last)]
    course = waited(script, "all-succeeded", interval=interval, deadline=deadline, how={"report": report})
    assert course.end.reason is reason
    assert course.ended < deadline


def test_no_tick_begins_just_before_the_last_one() -> None:
    """A poll that lasts beyond the beginning of the last tick would leave the end of the job unseen."""
    stands = snapshot(Numbers(running=1))
    script: list[Happening] = [(0, "add", "a"), (0, "running", "a"), (107, "succeed", "a")]
    how = {"report": lambda *_: stands, "takes": lambda _: 0.8}
    course = waited(script, deadline=137, interval=30, min_interval=83, how=how)
    assert course.ticks == [0, 30, 60, 90, 120.4]
    assert course.end.reason is Reason.ALL_SUCCEEDED


def test_the_last_look_asks_all_anew() -> None:
    """The last tick repeats refuted claims, and a list of all tasks that took long."""
    script: list[Happening] = [*RUNS, (88, "succeed", "a"), (88, "succeed", "b")]
    report = lambda *_: snapshot(Numbers(succeeded=2))  # noqa: E731
    course = waited(script, interval=60, deadline=90, how={"report": report})
    assert course.end.reason is Reason.ALL_SUCCEEDED
    takes = lambda number: 0.3 if number == 3 else 0.0  # noqa: E731
    course = waited(
        script,
        "count>=2",
        interval=87,
        deadline=90,
        exact_at_end=True,
        how={"report": report, "takes": takes},
    )
    assert kinds(course) == ["counts", "exact", "counts", "exact", "counts", "exact"]
    assert course.end.reason is Reason.REACHED


def test_the_last_look_asks_a_few_things_once() -> None:
    """A last tick that ends nothing polls the counts, queries for each claim, and the job's own state."""
    assert kinds(waited(STUCK, interval=60, deadline=60)) == ["counts", "counts", "unfinished", "job"]
    course = waited(STUCK, "any-failed", interval=60, deadline=60)
    assert kinds(course)[1:] == ["counts", "failed", "unfinished", "job"]
    assert course.end == End(Reason.TIMED_OUT)
    # By the counts a task failed: the list was asked for it already.
    report = lambda *_: snapshot(Numbers(running=1, failed=1))  # noqa: E731
    course = waited(STUCK, "any-failed", interval=60, deadline=60, how={"report": report})
    assert kinds(course)[2:] == ["counts", "failed", "unfinished", "job"]


def test_a_last_look_without_an_answer_is_the_end() -> None:
    """No poll begins after the deadline, or before the service allows it."""
    fails = lambda number, *_: unreachable() if number == 1 else None  # noqa: E731
    course = waited(STUCK, interval=60, deadline=60, how={"fails": fails})
    assert kinds(course) == ["counts", "counts"]
    assert (course.end, course.ended) == (End(Reason.TIMED_OUT), 60)
    course = waited(STUCK, interval=4, deadline=10, how={"fails": failing(AskCounts, 1, busy(9))})
    assert course.ticks == [0, 9]
    course = waited(STUCK, interval=4, deadline=10, how={"fails": failing(AskCounts, 1, busy(9.5))})
    assert (course.ticks, course.ended) == ([0], 10)


def test_a_pause_is_never_longer_than_a_year() -> None:
    """Whatever interval is asked for, a clock can sleep for it."""
    assert waited(STUCK, interval=1e300, deadline=1e12, stall=1e9).ticks[1] == 366 * 86400


def test_failures_alone_do_not_time_out() -> None:
    """The last failure of all loses the status, even after other failures."""
    course = waited(STUCK, interval=10, max_failures=3, how={"fails": failing(AskCounts)})
    assert course.end.reason is Reason.LOST
    assert len(course.asked) == 3
    assert all(isinstance(asked.event, Failed) for asked in course.asked)


def test_a_clock_that_wakes_too_soon_asks_nothing_more() -> None:
    """The wait ends after its last sleep, whatever the clock says."""
    course = waited(STUCK, interval=4, deadline=100, how={"fails": failing(AskCounts, 1, busy(200))})
    resting = course.asked[-1].move
    assert isinstance(resting.next, Sleep)
    assert begin_tick(resting.state, resting.next.until - 1e-6).next == End(Reason.TIMED_OUT)


def test_the_interval_counts_from_start_to_start() -> None:
    """The time of a poll is part of the interval; a slow one is followed at once."""
    assert waited(STUCK, interval=10, deadline=35, how={"takes": lambda _: 3.0}).ticks[:4] == [0, 10, 20, 30]
    assert waited(STUCK, interval=10, deadline=35, how={"takes": lambda _: 12.0}).ticks[:3] == [0, 12, 24]


def test_a_stall_is_told_by_counts_of_now() -> None:
    """Counts from before the list failed for a while don't show that nothing changed since."""
    report = told(Numbers(succeeded=2))
    course = waited(STUCK, stall=30, interval=15, how={"report": report, "fails": failing(AskTasks, 3)})
    assert course.end.reason is Reason.STALLED
    assert kinds(course) == ["counts", *["any"] * 4, "counts", "unfinished", "job"]
    assert course.ended == 60


@pytest.mark.parametrize(("until", "query"), [("done", 2), ("all-succeeded", 2), ("all-succeeded", 3)])
def test_a_change_during_a_question_without_an_answer_is_no_stall(until: str, query: int) -> None:
    """A resumed proof of a stall needs fresh counts, as they may have changed meanwhile."""
    script: list[Happening] = [*STUCK, (40, "running", "a"), (50, "succeed", "a"), (60, "succeed", "b")]
    fails = lambda number, *_: unreachable() if number == query + 1 else None  # noqa: E731
    course = waited(script, until, stall=30, interval=15, how={"fails": fails})
    assert course.end.reason is Reason.ALL_SUCCEEDED


def test_a_stall_is_told_once_a_list_and_the_counts_after_it_agree() -> None:
    """A question without an answer delays it by one poll, and by a query where a failed task matters."""
    fails = lambda number, *_: unreachable() if number == 3 else None  # noqa: E731
    course = waited(STUCK, stall=30, interval=15, how={"fails": fails})
    assert course.end == End(Reason.STALLED, task_id="a")
    assert kinds(course)[4:] == ["unfinished", "counts", "job"]
    assert course.ended == 45
    fails = lambda number, *_: unreachable() if number == 4 else None  # noqa: E731
    course = waited(STUCK, "all-succeeded", stall=30, interval=15, how={"fails": fails})
    assert kinds(course)[5:] == ["failed", "counts", "unfinished", "failed", "job"]
    assert (course.end.reason, course.ended) == (Reason.STALLED, 60)
