"""The parts of a wait by themselves: goals, plans, proofs, pace, texts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from support.waits import ODD, START, Numbers, busy, snapshot
from taskcounts import Outcome
from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Snapshot
from taskcounts.waiting.goals import Goal, parse_goal
from taskcounts.waiting.notes import about_counts, about_job
from taskcounts.waiting.pace import Rate, interval_seconds, observe_rate, seconds_left
from taskcounts.waiting.plan import WaitPlan, plan_wait
from taskcounts.waiting.proof import Claim, Finding, Proof, Result, Stage, advance, begin_proof
from taskcounts.waiting.queries import FILTERS, Task, quoted
from taskcounts.waiting.report import seconds, verdict_text
from taskcounts.waiting.rules import contradicts, is_reached, outcome_of, supported_reason
from taskcounts.waiting.state import End, Reason, State
from taskcounts.waiting.values import Verdict

ENDS = math.inf
DONE = Task("a", "completed", failed=False, created="then")
FAILED = Task("f", "completed", failed=True)
RUNS = Task("r", "running", failed=False)
WAITS = Task("w", "active", failed=False)


@pytest.mark.parametrize(
    ("text", "goal", "shown_as"),
    [
        ("done", Goal("done"), "done"),
        (" All-Succeeded ", Goal("all-succeeded"), "all-succeeded"),
        ("percent=50", Goal("percent", 50), "percent=50"),
        ("percent = 99.5", Goal("percent", 99.5), "percent=99.5"),
        ("count>=100", Goal("completed", 100), "completed>=100"),
        ("failed >= 3", Goal("failed", 3), "failed>=3"),
        ("total>=1234567890", Goal("total", 1234567890), "total>=1234567890"),
    ],
)
def test_goals_are_read_as_people_write_them(text: str, goal: Goal, shown_as: str) -> None:
    """A goal is read in any case, and shown in one way."""
    assert parse_goal(text) == goal
    assert str(goal) == shown_as


@pytest.mark.parametrize(
    "text", ["", "finished", "percent=0", "percent=100.1", "count>=-1", "count>=0", "percent=٥"]
)
def test_what_is_no_goal_is_refused(text: str) -> None:
    """The message names the goals."""
    with pytest.raises(ValueError, match=r"can't be waited for: give done, "):
        parse_goal(text)


def test_a_plan_is_checked() -> None:
    """A plan converts its limits, and may have a longer least interval."""
    limits: dict[str, Any] = {"deadline": 9, "stall": math.inf, "interval": None, "max_failures": 1}
    assert plan_wait("done", **limits) == WaitPlan(goal=Goal("done"), deadline=9.0, max_failures=1)
    assert plan_wait("done", stall=None, min_interval=7) == WaitPlan(goal=Goal("done"), min_interval=7)


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"min_interval": 0}, ValueError, "give seconds above 0"),
        ({"interval": 0}, ValueError, "give seconds above 0"),
        ({"stall": -1}, ValueError, "give seconds above 0"),
        ({"deadline": -1}, ValueError, "give seconds above 0"),
        ({"min_interval": None}, TypeError, "min_interval must be a number of seconds"),
        ({"max_failures": 1.5}, TypeError, "max_failures must be an int"),
        ({"max_failures": True}, TypeError, "max_failures must be an int"),
        ({"max_failures": 0}, ValueError, "max_failures is 0; give 1 or more"),
        ({"dedline": 1}, TypeError, "dedline"),
    ],
)
def test_wrong_limits(wrong: dict[str, Any], error: type[Exception], text: str) -> None:
    """A limit that is out of range, of the wrong type or unknown is refused."""
    with pytest.raises(error, match=text):
        plan_wait("done", **wrong)


@pytest.mark.parametrize(
    ("claim", "found", "result", "task"),
    [
        (Claim.ENDED, [None], Result.EMPTY, None),
        (Claim.ENDED, [RUNS], Result.REFUTED, RUNS),
        (Claim.ENDED, [DONE, WAITS], Result.REFUTED, WAITS),
        (Claim.ENDED, [DONE, None, DONE], Result.PROVEN, DONE),
        (Claim.ENDED, [DONE, None, RUNS], Result.REFUTED, RUNS),
        (Claim.ENDED, [DONE, None, None], Result.OPEN, None),
        (Claim.ENDED, [DONE, None, FAILED, None, FAILED], Result.PROVEN, FAILED),
        (
            Claim.ENDED,
            [DONE, None, DONE._replace(created="now"), None, DONE, None, DONE],
            Result.PROVEN,
            DONE,
        ),
        (
            Claim.ENDED,
            [DONE, None, DONE._replace(failed=True), None, DONE._replace(failed=True)],
            Result.PROVEN,
            None,
        ),
        (Claim.ENDED, [FAILED, None, FAILED], Result.PROVEN, FAILED),
        (Claim.ENDED, [FAILED, RUNS], Result.REFUTED, RUNS),
        (Claim.ENDED, [FAILED, None, None], Result.OPEN, None),
        (Claim.ENDED, [DONE, FAILED, None, FAILED], Result.PROVEN, FAILED),
        (Claim.ENDED, [DONE, FAILED, WAITS], Result.REFUTED, WAITS),
        (Claim.IDLE, [WAITS], Result.REFUTED, WAITS),
        (Claim.IDLE, [None], Result.EMPTY, None),
        (Claim.IDLE, [RUNS, None, RUNS], Result.PROVEN, RUNS),
        (Claim.IDLE, [RUNS, None, RUNS._replace(state="completed")], Result.PROVEN, None),
        (Claim.IDLE, [RUNS, WAITS], Result.REFUTED, WAITS),
        (Claim.IDLE, [RUNS, None, RUNS._replace(created="now"), None, RUNS, None, RUNS], Result.PROVEN, RUNS),
        (Claim.IDLE, [RUNS, None, WAITS], Result.REFUTED, WAITS),
        (Claim.FAILED, [FAILED], Result.PROVEN, FAILED),
        (Claim.FAILED, [None], Result.REFUTED, None),
    ],
)
def test_a_trial_proves_or_refutes(
    claim: Claim, found: list[Task | None], result: Result, task: Task | None
) -> None:
    """The tasks that queries find prove a claim, refute it, or leave it open."""
    for first in [[], [None]] if claim is not Claim.FAILED else [[]]:
        after: Proof | Finding = begin_proof(claim, likely=not first)
        for each in [*first, *found]:
            assert isinstance(after, Proof)
            after = advance(after, each)
        assert isinstance(after, Finding)
        assert after.result is result
        if task is not None or result in (Result.EMPTY, Result.OPEN):
            assert after.task == task


def test_a_trial_ends_though_lists_have_no_order() -> None:
    """If another task comes first each time, a few rounds are a proof as well."""
    others = [DONE._replace(id=str(number)) for number in range(4)]
    found: list[Task | None] = [others[0], None, others[1], None, others[2], None, others[3]]
    after: Proof | Finding = begin_proof(Claim.ENDED, likely=True)
    for each in found:
        assert isinstance(after, Proof)
        after = advance(after, each)
    assert after == Finding(Claim.ENDED, Result.PROVEN, others[3])
    # The same one, and it failed since.
    after = Proof(Claim.ENDED, Stage.AFTER, DONE, rounds=2)
    assert advance(after, DONE._replace(failed=True)) == Finding(
        Claim.ENDED, Result.OPEN, DONE._replace(failed=True)
    )


def test_what_is_looked_for_fits_the_stage() -> None:
    """An unlikely claim begins with one query that refutes it; a failed task leads to queries for more."""
    assert begin_proof(Claim.ENDED, likely=False).query == "unfinished"
    assert begin_proof(Claim.IDLE, likely=False).query == "active"
    assert begin_proof(Claim.FAILED, likely=True).query == "failed"
    assert Proof(Claim.ENDED, Stage.MIDDLE, DONE).query == "unsuccessful"
    assert Proof(Claim.ENDED, Stage.MIDDLE, FAILED).query == "unfinished"
    assert Proof(Claim.ENDED, Stage.AFTER, FAILED).query == "failed"
    assert Proof(Claim.ENDED, Stage.AFTER, DONE).query == "any"
    assert Proof(Claim.IDLE, Stage.MIDDLE, FAILED).query == "active"
    assert Proof(Claim.IDLE, Stage.AFTER, FAILED).query == "any"


@pytest.mark.parametrize(
    ("unchanged", "left", "limit", "seconds_"),
    [
        (0, None, ENDS, 2),
        (1, None, ENDS, 3),
        (3, None, ENDS, 6.75),
        (7, None, ENDS, 30),
        (10**6, None, ENDS, 30),
        (3, 20, ENDS, 5),
        (3, 1, ENDS, 2),
        (7, None, 20, 10),
        (7, None, -5, 2),
    ],
)
def test_the_interval_is_what_its_formula_says(
    unchanged: int, left: float | None, limit: float, seconds_: float
) -> None:
    """max(least, min(30, least * 1.5 ** unchanged, left / 4, limit / 2))."""
    assert interval_seconds(2.0, unchanged, left, limit=limit) == seconds_


def test_the_least_interval_may_be_longer_than_the_most() -> None:
    """The least interval may be longer than the usual most, for very many jobs."""
    assert interval_seconds(45.0, 3, None) == 45


def test_the_rate_is_a_moving_average() -> None:
    """A rate of a minute ago weighs half; tasks completed before the wait play no part."""
    rate = observe_rate(None, 100.0, 40)
    assert rate.value is None
    rate = observe_rate(rate, 110.0, 40)
    assert rate.value is None
    rate = observe_rate(rate, 110.0, 50)
    rate = Rate(100.0, 0)
    rate = observe_rate(rate, 160.0, 60)
    assert rate.value == 1.0
    rate = observe_rate(rate, 220.0, 60)
    assert rate.value == pytest.approx(1 / 3)
    # Counts that fall are no progress.
    assert observe_rate(rate, 280.0, 10).value == pytest.approx(1 / 7)
    assert seconds_left(Rate(0, 0, 1.0, 0.5, moved=True), 10, 4) == 5
    assert seconds_left(Rate(0, 0, 1.0, 0.5, moved=True), 10, 5) is None
    assert seconds_left(Rate(0, 0, 0.0, 0.5, moved=True), 10, 0) is None
    assert seconds_left(None, 10, 0) is None
    assert seconds_left(None, 0, 9) == 0


@pytest.mark.parametrize(
    ("goal", "numbers", "reached"),
    [
        ("percent=50", Numbers(1, 0, 1, 0), True),
        ("percent=50.1", Numbers(1, 0, 1, 0), False),
        ("percent=33.333333", Numbers(2, 0, 1, 0), True),
        ("percent=50", Numbers(), False),
        ("active>=1", Numbers(active=1), True),
        ("running>=2", Numbers(running=1), False),
        ("succeeded>=1", Numbers(failed=1), False),
        ("failed>=1", Numbers(failed=1), True),
        ("total>=3", Numbers(1, 1, 1, 0), True),
        ("done", Numbers(succeeded=1), False),
    ],
)
def test_a_number_is_reached(goal: str, numbers: Numbers, reached: bool) -> None:
    """Numbers are compared without rounding."""
    assert is_reached(parse_goal(goal), snapshot(numbers)) is reached


@pytest.mark.parametrize("query", FILTERS)
@pytest.mark.parametrize("task", [None, DONE, FAILED, RUNS, WAITS])
def test_queries_contradict_counts(query: str, task: Task | None) -> None:
    """Counts are contradicted by a task that they don't have, and by one that isn't there."""
    one = {
        DONE: Numbers(succeeded=1),
        FAILED: Numbers(failed=1),
        RUNS: Numbers(running=1),
        WAITS: Numbers(active=1),
        None: Numbers(),
    }
    assert not contradicts(query, task, snapshot(one[task]))
    if task is not None:
        assert contradicts(query, task, snapshot(Numbers()))
    if task in (FAILED, RUNS, WAITS):
        assert contradicts(query, task, snapshot(Numbers(succeeded=5)))
    if task == WAITS:
        assert contradicts(query, task, snapshot(Numbers(running=5)))
    if task is None:
        assert contradicts(query, None, snapshot(Numbers(1, 1, 1, 1)))


def _text(reason: Reason, numbers: Numbers | None = None, until: str = "done", **how: Any) -> str:
    plan = WaitPlan(goal=parse_goal(until), empty_is_done=how.pop("empty_is_done", False))
    end = End(
        reason,
        confirmed=how.pop("confirmed", True),
        task_id=how.pop("task_id", None),
        error=how.pop("error", None),
    )
    known = (
        None if numbers is None else snapshot(numbers, exact=how.pop("exact", False), odd=how.pop("odd", ()))
    )
    state = State(plan=plan, began=0, tick=90, snapshot=known, counted_at=97, same_since=40, **how)
    line = verdict_text("j", state, end, 100)
    assert line.startswith("job 'j': ")
    return line.removeprefix("job 'j': ")


MIXED = Numbers(1, 2, 3, 4)
OVER = Numbers(0, 0, 50, 2)
GOOD = Numbers(0, 0, 52, 0)
REFUTED = frozenset({"any"})


@pytest.mark.parametrize(
    ("text", "reason", "numbers", "how"),
    [
        ("done, all tasks succeeded (52 by the counts)", "all-succeeded", GOOD, {}),
        ("done, all 52 tasks succeeded", "all-succeeded", GOOD, {"exact": True}),
        ("done, its only task succeeded", "all-succeeded", Numbers(succeeded=1), {"exact": True}),
        (
            "done, all tasks succeeded (7 of 10 completed and 4 failed by the counts of 3 s ago)",
            "all-succeeded",
            MIXED,
            {},
        ),
        (
            (
                "done, all tasks succeeded (4 of 5 completed and 4 failed by the "
                "counts, which haven't caught up)"
            ),
            "all-succeeded",
            Numbers(1, 0, 0, 4),
            {"contradicted": REFUTED},
        ),
        (
            "done, all tasks succeeded (52 of 52 completed by the counts, which contradict themselves)",
            "all-succeeded",
            GOOD,
            {"odd": (ODD,)},
        ),
        ("done, tasks failed, such as 't' (2 of 52 by the counts)", "some-failed", OVER, {"task_id": "t"}),
        ("done, 2 of 52 tasks failed, such as 't'", "some-failed", OVER, {"task_id": "t", "exact": True}),
        ("tasks failed, such as 't' (4 of 10 by the counts)", "failed", MIXED, {"task_id": "t"}),
        ("4 of 10 tasks failed, such as 't'; 7 completed", "failed", MIXED, {"task_id": "t", "exact": True}),
        ("no task is active (52 of 52 completed by the counts)", "idle", GOOD, {}),
        ("no task is active; 52 of 52 tasks completed", "idle", GOOD, {"exact": True}),
        ("ended without tasks", "empty", Numbers(), {}),
        ("done, it has no tasks", "empty", Numbers(), {"empty_is_done": True}),
        (
            "ended, but tasks never ran, such as 't' (1 of 10 by the counts)",
            "never-ran",
            MIXED,
            {"task_id": "t"},
        ),
        ("ended, but 1 of 10 tasks never ran", "never-ran", MIXED, {"exact": True}),
        (
            "percent=50 is reached: 7 of 10 tasks completed, by the counts",
            "reached",
            MIXED,
            {"until": "percent=50", "confirmed": False},
        ),
        (
            "percent=50 is reached: 7 of 10 tasks completed",
            "reached",
            MIXED,
            {"until": "percent=50", "exact": True},
        ),
        (
            (
                "percent=80 is reached, since all tasks are completed (7 of 9 "
                "completed by the counts of 3 s ago)"
            ),
            "reached",
            Numbers(2, 0, 7, 0),
            {"until": "percent=80"},
        ),
        ("total>=9 is reached: 10 tasks", "reached", MIXED, {"until": "total>=9", "exact": True}),
        (
            "ended, but failed>=9 isn't reached: 4 of 10 tasks failed",
            "short",
            MIXED,
            {"until": "failed>=9", "exact": True},
        ),
        (
            (
                "stalled, its counts haven't changed for 57 s; 7 of 10 tasks "
                "completed, 4 failed (counts of 3 s ago)"
            ),
            "stalled",
            MIXED,
            {},
        ),
        (
            (
                "stalled, its counts haven't changed for 57 s; it has no tasks (counts "
                "of 3 s ago); the job is disabled"
            ),
            "stalled",
            Numbers(),
            {"job_state": "disabled"},
        ),
        ("timed out after 100 s; there were no counts", "timed-out", None, {"job_state": "active"}),
        (
            "timed out after 100 s; by counts that are doubtful (counts of 3 s ago): 1 of 1 task completed",
            "timed-out",
            Numbers(succeeded=1),
            {"contradicted": REFUTED},
        ),
        ("it is being deleted; 0 of 1 task completed (counts of 3 s ago)", "gone", Numbers(1), {}),
    ],
)
def test_a_verdict_is_one_line(text: str, reason: str, numbers: Numbers | None, how: dict[str, Any]) -> None:
    """A verdict says what is proven, whose numbers these are, and what speaks against them."""
    assert _text(Reason(reason), numbers, **how) == text


def test_hostile_words_stay_in_one_line() -> None:
    """Neither an id, a state nor an error brings control characters or endless lines."""
    error: TaskCountsError = busy()
    error.args = ("job 'job-1': bad\x1b[2J\r\nline " + "x" * 5000,)
    text = _text(Reason.LOST, MIXED, last_error=error, failures=2, error=error)
    assert text.isprintable()
    assert text.startswith("status lost after 2 polls in a row without a trustworthy answer: bad line xxx")
    assert "7 of 10 tasks completed" in text
    assert len(text) <= 2000
    text = _text(Reason.STALLED, MIXED, job_state="odd\n\x1b[1m" + "y" * 500)
    assert text.isprintable()
    assert len(text) < 300
    assert "\n" not in _text(Reason.FAILED, MIXED, task_id="t\n\x07" + "z" * 1000)
    assert len(quoted("z" * 1000)) == 102


def test_odd_counts_are_told() -> None:
    """Notes on the first counts report contradictions alone."""
    first: Snapshot = snapshot(MIXED, odd=(ODD,))
    assert about_counts(None, first) == (ODD.text,)
    assert about_counts(snapshot(Numbers()), snapshot(MIXED)) == ()
    assert about_job(None, "active") == ()
    assert about_job("disabled", "disabled") == ()
    assert about_job(None, "terminating") == ("the job is being terminated",)


def test_a_verdict_is_true_if_it_is_met() -> None:
    """A verdict is true if the goal is reached."""
    for outcome in Outcome:
        verdict = Verdict(
            job_id="j",
            goal="done",
            outcome=outcome,
            text="",
            confirmed=True,
            snapshot=None,
            polls=1,
            failed_polls=0,
            began_at=START,
            ended_at=START,
            elapsed=0,
        )
        assert bool(verdict) is (outcome is Outcome.MET)


def test_every_reason_has_an_outcome() -> None:
    """Every reason has an outcome for every goal."""
    for goal in ("done", "all-succeeded", "any-failed", "no-active", "percent=3", "count>=3"):
        for reason in Reason:
            assert outcome_of(WaitPlan(goal=parse_goal(goal)), reason) in Outcome
    half = WaitPlan(goal=Goal("percent", 50))
    assert supported_reason(half, Reason.REACHED, snapshot(Numbers(5)), job_ended=False) is None
    assert seconds(0.04) == "0 s"
    assert seconds(9.96) == "10 s"
    assert seconds(3.25) == "3.2 s"
