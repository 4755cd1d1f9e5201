"""The decisions of a wait, history by history, without a client."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from support.waits import (
    DONE,
    EMPTY,
    FAILS,
    LEFT,
    ODD,
    STUCK,
    Happening,
    Numbers,
    failing,
    kinds,
    notes,
    snapshot,
    told,
    unreachable,
    waited,
)
from taskcounts.snapshot import Snapshot
from taskcounts.waiting.rules import outcome_of
from taskcounts.waiting.state import (
    AskExact,
    AskTasks,
    End,
    Reason,
)
from taskcounts.waiting.values import Outcome


@pytest.mark.parametrize(
    ("script", "until", "plan", "reason", "outcome"),
    [
        (DONE, "done", {}, Reason.ALL_SUCCEEDED, Outcome.MET),
        (DONE, "all-succeeded", {}, Reason.ALL_SUCCEEDED, Outcome.MET),
        (DONE, "any-failed", {}, Reason.ALL_SUCCEEDED, Outcome.UNMET),
        (DONE, "no-active", {}, Reason.IDLE, Outcome.MET),
        (DONE, "percent=50", {}, Reason.REACHED, Outcome.MET),
        (DONE, "percent=100", {}, Reason.REACHED, Outcome.MET),
        (DONE, "count>=1", {}, Reason.REACHED, Outcome.MET),
        (DONE, "count>=3", {}, Reason.SHORT, Outcome.UNMET),
        (DONE, "total>=2", {}, Reason.REACHED, Outcome.MET),
        (DONE, "done", {"exact_at_end": True}, Reason.ALL_SUCCEEDED, Outcome.MET),
        (FAILS, "done", {}, Reason.SOME_FAILED, Outcome.FAILED),
        (FAILS, "done", {"fail_fast": True}, Reason.FAILED, Outcome.FAILED),
        (FAILS, "all-succeeded", {}, Reason.FAILED, Outcome.FAILED),
        (FAILS, "any-failed", {}, Reason.FAILED, Outcome.MET),
        (FAILS, "failed>=1", {"fail_fast": True}, Reason.REACHED, Outcome.MET),
        (FAILS, "percent=100", {}, Reason.REACHED, Outcome.MET),
        (FAILS, "percent=100", {"fail_fast": True}, Reason.FAILED, Outcome.FAILED),
        (FAILS, "count>=2", {"exact_at_end": True}, Reason.REACHED, Outcome.MET),
        (FAILS, "done", {"exact_at_end": True}, Reason.SOME_FAILED, Outcome.FAILED),
        (FAILS, "any-failed", {"exact_at_end": True}, Reason.FAILED, Outcome.MET),
        (EMPTY, "done", {}, Reason.TIMED_OUT, Outcome.TIMED_OUT),
        (EMPTY, "done", {"empty_is_done": True}, Reason.EMPTY, Outcome.MET),
        (EMPTY, "done", {"empty_is_done": True, "exact_at_end": True}, Reason.EMPTY, Outcome.MET),
        (EMPTY, "no-active", {"empty_is_done": True}, Reason.EMPTY, Outcome.MET),
        (EMPTY, "any-failed", {"empty_is_done": True}, Reason.EMPTY, Outcome.UNMET),
        (EMPTY, "percent=50", {"empty_is_done": True}, Reason.EMPTY, Outcome.MET),
        (EMPTY, "count>=1", {"empty_is_done": True}, Reason.SHORT, Outcome.UNMET),
        (EMPTY, "done", {"stall": 30}, Reason.STALLED, Outcome.STALLED),
        ([(9, "job", "completed")], "done", {}, Reason.EMPTY, Outcome.UNMET),
        ([(9, "job", "completed")], "done", {"stall": 10}, Reason.EMPTY, Outcome.UNMET),
        ([(9, "job", "completed")], "percent=50", {}, Reason.EMPTY, Outcome.UNMET),
        ([(9, "job", "deleting")], "done", {}, Reason.GONE, Outcome.GONE),
        ([(0, "job", "deleting")], "done", {"stall": 1}, Reason.GONE, Outcome.GONE),
        (STUCK, "done", {"stall": 30}, Reason.STALLED, Outcome.STALLED),
        (STUCK, "no-active", {"stall": 30}, Reason.STALLED, Outcome.STALLED),
        (STUCK, "all-succeeded", {"stall": 30}, Reason.STALLED, Outcome.STALLED),
        (STUCK, "done", {}, Reason.TIMED_OUT, Outcome.TIMED_OUT),
        (LEFT, "done", {}, Reason.NEVER_RAN, Outcome.UNMET),
        (LEFT, "done", {"exact_at_end": True}, Reason.NEVER_RAN, Outcome.UNMET),
        (LEFT, "all-succeeded", {}, Reason.NEVER_RAN, Outcome.UNMET),
        (LEFT, "no-active", {}, Reason.NEVER_RAN, Outcome.UNMET),
        (LEFT, "percent=60", {}, Reason.SHORT, Outcome.UNMET),
        (LEFT, "percent=100", {}, Reason.NEVER_RAN, Outcome.UNMET),
        ([*LEFT, (11, "fail", "a")], "all-succeeded", {}, Reason.FAILED, Outcome.FAILED),
    ],
)
def test_a_true_history_has_the_right_end(
    script: list[Happening], until: str, plan: dict[str, Any], reason: Reason, outcome: Outcome
) -> None:
    """Each goal ends as it should where the counts are true."""
    course = waited(script, until, interval=10, **plan)
    assert course.end.reason is reason
    assert outcome_of(course.state.plan, reason) is outcome
    assert course.end.confirmed is (
        reason not in (Reason.TIMED_OUT, Reason.STALLED, Reason.GONE)
        and (reason is not Reason.REACHED or plan.get("exact_at_end", False) or until == "percent=100")
    )


@pytest.mark.parametrize(
    "until", ["done", "all-succeeded", "any-failed", "no-active", "percent=100", "count>=2"]
)
@pytest.mark.parametrize("script", [DONE, FAILS])
def test_an_end_that_the_counts_never_tell_is_found(script: list[Happening], until: str) -> None:
    """Counts that stand still for ever don't hide the end of a job."""
    stands = snapshot(Numbers(active=1, running=1))
    course = waited(script, until, how={"report": lambda *_: stands})
    assert course.end.confirmed
    assert course.ended < 200
    assert course.state.doubtful is (until != "count>=2")


def test_a_failure_that_the_end_brings_to_light_counts() -> None:
    """With fail_fast a failed task decides, also if all tasks are completed."""
    stands = snapshot(Numbers(active=1, running=1))
    course = waited(FAILS, "percent=100", fail_fast=True, interval=65, how={"report": lambda *_: stands})
    assert course.end == End(Reason.FAILED, confirmed=True, task_id="b")
    assert kinds(course)[3:] == ["unfinished", "any", "unsuccessful", "unfinished", "failed", "counts"]


def test_a_proven_end_gets_fresh_numbers() -> None:
    """An end that is proven without the counts asks for them once more, for their numbers."""
    course = waited(DONE, interval=20)
    assert kinds(course) == ["counts"] * 3 + ["unfinished", "any", "unsuccessful", "any", "counts"]
    assert course.state.snapshot is not None
    assert course.state.snapshot.completed == 2
    assert not course.state.doubtful


def test_fresh_numbers_are_not_needed() -> None:
    """A proven verdict stands even if the counts fail afterwards, or the job is deleted."""
    fails = lambda number, *_: unreachable() if number == 7 else None  # noqa: E731
    course = waited(DONE, interval=20, max_failures=1, how={"fails": fails})
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert course.state.failed_polls == 1
    assert not course.state.doubtful


def test_other_questions_take_turns_where_nothing_changes() -> None:
    """After two answers without change, every second tick asks the list, or the job's state."""
    course = waited(STUCK, "all-succeeded", interval=10, deadline=135)
    turns = [*["counts"] * 3, *["unfinished", "counts", "failed", "counts", "job", "counts"] * 2]
    assert kinds(course)[:14] == turns[:14]


def test_other_questions_are_asked_however_much_changes() -> None:
    """Counts that change with every answer don't hide a failed task for ever."""
    report = lambda _, second, number: snapshot(Numbers(active=1 + number), second)  # noqa: E731
    course = waited([*STUCK, (0, "fail", "a")], fail_fast=True, how={"report": report})
    assert course.end.reason is Reason.FAILED
    assert kinds(course)[:10] == ["counts"] * 8 + ["unfinished", "counts"]


def test_a_refuted_claim_is_not_examined_again_for_the_same_counts() -> None:
    """Counts that wrongly say done for ever cost one poll a tick, like others."""
    course = waited(STUCK, interval=10, deadline=125, how={"report": told(Numbers(succeeded=2))})
    assert kinds(course)[:8] == ["counts", "any", "counts", "counts", "unfinished", "counts", "job", "counts"]
    assert notes(course)[0] == "by the counts all tasks are completed, but 'a' is active"
    assert course.end.reason is Reason.TIMED_OUT
    assert course.state.doubtful


def test_one_refuted_claim_does_not_hide_another() -> None:
    """Failures that only the counts report don't keep a job from being done."""
    course = waited(DONE, "all-succeeded", interval=100, how={"report": told(Numbers(succeeded=1, failed=1))})
    assert kinds(course)[-4:] == ["failed", "any", "unsuccessful", "any"] or kinds(course)[-1] == "counts"
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert "by the counts tasks failed, but the list has none that did" in notes(course)


@pytest.mark.parametrize("until", ["done", "no-active"])
def test_an_empty_job_is_not_done_whatever_the_counts_say(until: str) -> None:
    """A job whose tasks are yet to come isn't done."""
    course = waited(
        [(30, "add", "a"), (40, "succeed", "a")],
        until,
        interval=5,
        how={"report": told(Numbers(succeeded=3))},
    )
    assert course.end.reason in (Reason.ALL_SUCCEEDED, Reason.IDLE)
    assert course.ended >= 40
    assert "by the counts there are tasks, but the list has none" in notes(course)


def test_zeros_of_a_fresh_job_are_not_believed() -> None:
    """A fresh 0/0/0 isn't an empty job, even where that would be done."""
    course = waited(DONE, empty_is_done=True, how={"report": told(*[Numbers()] * 3, Numbers(succeeded=2))})
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert course.ended >= 60
    assert notes(course)[0] == "by the counts there are no tasks, but 'a' is running"


def test_tasks_that_come_while_it_is_confirmed_are_seen() -> None:
    """A task that is deleted between two queries, as another is added, proves nothing."""
    script: list[Happening] = [
        (0, "add", "a"),
        (0, "succeed", "a"),
        (2.5, "delete", "a"),
        (3, "add", "b"),
        (3.2, "succeed", "b"),
    ]
    course = waited(script, interval=30, how={"takes": lambda _: 1.0})
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert course.ended > 4
    assert kinds(course) == ["counts", "any", "unsuccessful", "any", "unsuccessful", "any"]


def test_all_tasks_are_deleted_while_it_is_confirmed() -> None:
    """A job that has lost its tasks isn't done."""
    script: list[Happening] = [(0, "add", "a"), (0, "succeed", "a"), (2.1, "delete", "a")]
    course = waited(script, interval=30, deadline=50, how={"takes": lambda _: 1.0})
    assert course.end.reason is Reason.TIMED_OUT
    assert notes(course)[0] == "tasks came or went while the list was asked"


def test_a_proof_is_resumed_after_a_failure() -> None:
    """The proof of a claim isn't begun anew after a question without an answer, nor are the counts asked."""
    fails = lambda number, *_: unreachable() if number in (2, 3) else None  # noqa: E731
    course = waited([*DONE, (0, "succeed", "a"), (0, "succeed", "b")], interval=10, how={"fails": fails})
    assert kinds(course) == ["counts", "any", "unsuccessful", "unsuccessful", "unsuccessful", "any"]
    assert course.ended == 20


def test_a_mere_check_that_fails_has_its_turn_later() -> None:
    """As long as the counts answer, a check that doesn't never loses the status."""
    course = waited(STUCK, interval=10, max_failures=2, how={"fails": failing(AskTasks)})
    assert course.end.reason is Reason.TIMED_OUT
    assert course.state.failed_polls > 10


@pytest.mark.parametrize("step", [AskTasks, AskExact])
def test_what_can_not_be_confirmed_is_lost(step: Any) -> None:
    """Counts that say done are no verdict, if the list never answers."""
    script: list[Happening] = [(0, "add", "a"), (0, "succeed", "a")]
    course = waited(script, interval=10, max_failures=4, exact_at_end=True, how={"fails": failing(step)})
    assert course.end.reason is Reason.LOST
    assert course.state.failures == 4
    assert course.end.error is course.state.last_error is not None


def test_a_list_that_fails_is_asked_for_again() -> None:
    """After a list of all tasks failed, the next one decides."""
    script: list[Happening] = [(0, "add", "a"), (0, "succeed", "a")]
    course = waited(script, interval=10, exact_at_end=True, how={"fails": failing(AskExact, 2)})
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert kinds(course)[-3:] == ["exact"] * 3


def test_a_list_that_speaks_against_the_verdict_is_believed() -> None:
    """A list of all tasks refutes what counts say, and is not made anew at once if it took long."""
    report = told(Numbers(active=1, succeeded=1), Numbers(succeeded=2))
    course = waited(
        DONE, "count>=1", interval=2, exact_at_end=True, how={"report": report, "takes": lambda _: 2.0}
    )
    assert course.end.reason is Reason.REACHED
    assert course.end.confirmed
    lists = [asked.at for asked in course.asked if isinstance(asked.step, AskExact)]
    assert all(later - earlier >= 20 for earlier, later in pairwise(lists))
    assert len(lists) >= 2
    assert "the list of all tasks says otherwise: 0 of 2 are completed" in notes(course)


def test_a_proven_end_waits_for_the_next_list() -> None:
    """A list of all tasks that just refuted the end isn't made again, even for a proven end."""
    script: list[Happening] = [(0, "add", "a"), (3, "succeed", "a")]
    report = told(Numbers(succeeded=1), *[Numbers(active=1)] * 2, Numbers(succeeded=1))
    course = waited(
        script, "count>=1", interval=3, exact_at_end=True, how={"report": report, "takes": lambda _: 1.0}
    )
    assert course.end.reason is Reason.REACHED
    assert course.end.confirmed
    assert course.ended >= 10


def test_a_list_with_doubts_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of all tasks that names one twice decides nothing."""
    from support import waits

    sound = waits.snapshot
    times = [0]

    def odd(*args: Any, exact: bool = False, **options: Any) -> Snapshot:
        times[0] += exact
        return sound(*args, exact=exact, **(options | ({"odd": (ODD,)} if exact and times[0] == 1 else {})))

    monkeypatch.setattr(waits, "snapshot", odd)
    script: list[Happening] = [(0, "add", "a"), (0, "succeed", "a")]
    course = waited(script, exact_at_end=True, interval=6, how={"takes": lambda _: 1.0})
    assert course.end.reason is Reason.ALL_SUCCEEDED
    # Nor is it made again at once: it took a second, and queries alone don't decide.
    lists = [asked.at for asked in course.asked if isinstance(asked.step, AskExact)]
    assert lists[1] - lists[0] >= 10
    assert ODD.text in notes(course)


def test_contradictory_counts_meet_no_number() -> None:
    """Counts that contradict themselves aren't trusted, but their claims can be proven."""
    report = lambda job, second, _: snapshot(job.counts(second), second, odd=(ODD,))  # noqa: E731
    course = waited(DONE, "count>=1", interval=10, how={"report": report})
    assert course.end.reason is Reason.REACHED
    assert course.end.confirmed
    assert course.ended >= 60
    course = waited(DONE, how={"report": report})
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert course.state.doubtful
    assert course.state.rate is None


def test_a_change_of_the_state_of_the_job_is_told_once() -> None:
    """Disabled and enabled jobs are waited for."""
    script: list[Happening] = [*DONE, (5, "job", "disabled"), (30, "job", "active"), (40, "job", "novel")]
    course = waited([(s * 10, what, whom) for s, what, whom in script], interval=5, deadline=900)
    assert course.end.reason is Reason.ALL_SUCCEEDED
    assert [note for note in notes(course) if "job" in note] == [
        "the job is disabled: no task of it starts until it is enabled",
        "the job is active again",
        "the job's own state is 'novel', which is unknown here",
    ]


def test_counts_that_fall_are_told() -> None:
    """Reactivated, deleted and added tasks are no error; notes report them."""
    report = told(Numbers(active=1, succeeded=2, failed=1), Numbers(active=2, succeeded=1), Numbers(active=5))
    course = waited(STUCK, interval=5, deadline=20, how={"report": report})
    fell = "a task was reactivated or deleted, or the counts were wrong"
    assert notes(course) == [
        "tasks were deleted: 3 instead of 4",
        f"completed fell from 3 to 1: {fell}",
        f"succeeded fell from 2 to 1: {fell}",
        f"failed fell from 1 to 0: {fell}",
        "tasks were added: 5 instead of 3",
        f"completed fell from 1 to 0: {fell}",
        f"succeeded fell from 1 to 0: {fell}",
    ]


def test_counts_that_claim_too_much_for_ever_do_not_hide_the_end() -> None:
    """A list of all tasks that shows the end decides, also if it was made for a number of tasks."""
    report = lambda *_: snapshot(Numbers(active=1, failed=5))  # noqa: E731
    course = waited(
        DONE, "failed>=2", exact_at_end=True, interval=5, how={"report": report, "takes": lambda _: 2.0}
    )
    assert course.end == End(Reason.SHORT, confirmed=True)
    assert course.ended < 120
