"""Laws of waiting, searched for counterexamples: any history of a job, and counts that lie about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
from attrs import evolve
from hypothesis import event as classify
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.answers import BUSY
from support.client import ENDPOINT, KEY
from support.clocks import FakeClock
from support.waits import ODD, Course, Job, Numbers, Service, busy, go, snapshot, unreachable
from taskcounts import AsyncTaskCountsClient, Observation, TaskCountsClient, Verdict
from taskcounts.snapshot import Snapshot
from taskcounts.waiting import rules
from taskcounts.waiting.goals import parse_goal
from taskcounts.waiting.machine import LIST_SPACING
from taskcounts.waiting.pace import (
    MAX_INTERVAL,
    MIN_INTERVAL,
    Rate,
    interval_seconds,
    last_seconds,
    observe_rate,
    seconds_left,
)
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.state import AskTasks, Counted, Failed, Reason
from taskcounts.waiting.values import Outcome

TASKS = ("a", "b", "c", "d")
GOALS = (
    "done",
    "all-succeeded",
    "any-failed",
    "no-active",
    "percent=50",
    "percent=100",
    "count>=2",
    "running>=1",
    "failed>=2",
    "total>=3",
)
# However much the counts lie, so many ticks after its end a job is known to be at its end.
BOUND = 40

Report = Callable[[Job, float, int], Snapshot]

happenings = st.tuples(
    st.floats(0, 120).map(lambda second: round(second, 1)),
    st.sampled_from(("add", "add", "running", "succeed", "succeed", "fail", "active", "preparing", "delete")),
    st.sampled_from(TASKS),
)


@st.composite
def lives(draw: Callable[..., Any]) -> list[tuple[float, str, str]]:
    """Return what happens to some tasks from when they are added to when they are completed, or later."""
    script = []
    for task in TASKS[: draw(st.integers(1, len(TASKS)))]:
        second = 0.0
        row = ["add", "running", draw(st.sampled_from(("succeed", "succeed", "fail")))]
        for what in row + draw(st.sampled_from(([], [], ["delete"], ["active", "running", "succeed"]))):
            script.append((round(second, 1), what, task))
            second += draw(st.floats(0, 30))
    state = draw(st.none() | st.sampled_from(("completed", "disabled", "deleting")))
    return script if state is None else [*script, (draw(st.floats(0, 120)), "job", state)]


scripts = st.lists(happenings, max_size=14) | lives()
numbers = st.builds(Numbers, *[st.integers(0, 3)] * 4)
plans = st.builds(
    lambda goal, **options: WaitPlan(goal=parse_goal(goal), **options),
    st.sampled_from(GOALS),
    interval=st.none() | st.floats(0.5, 20),
    fail_fast=st.booleans(),
    exact_at_end=st.booleans(),
    empty_is_done=st.booleans(),
    max_failures=st.just(10_000),
)


def _true(job: Job, second: float, number: int) -> Snapshot:
    return snapshot(job.counts(second), second)


def _delayed(delay: float) -> Report:
    return lambda job, second, _: snapshot(job.counts(second - delay), second)


def _frozen(since: float) -> Report:
    return lambda job, second, _: snapshot(job.counts(min(second, since)), second)


def _made_up(told: list[Numbers], odd: bool) -> Report:
    return lambda _, second, number: snapshot(
        told[number % len(told)], second, odd=(ODD,) if odd and number % 2 else ()
    )


def _swapped(job: Job, second: float, number: int) -> Snapshot:
    active, running, *rest = job.counts(second)
    return snapshot(Numbers(running, active, *rest), second)


reports = st.one_of(
    st.just(_true),
    st.just(_swapped),
    st.builds(_delayed, st.floats(1, 60)),
    st.builds(_frozen, st.floats(0, 100)),
    st.builds(_made_up, st.lists(numbers, min_size=1, max_size=4), st.booleans()),
)
failing = st.sets(st.integers(0, 40), max_size=12)
durations = st.lists(st.floats(0, 6), min_size=1, max_size=5)


def _course(
    plan: WaitPlan,
    script: list[tuple[float, str, str]],
    report: Report,
    failing: set[int],
    durations: list[float],
) -> Course:
    return go(
        plan,
        Job(script),
        report=report,
        fails=lambda number, *_: unreachable() if number in failing else None,
        takes=lambda number: durations[number % len(durations)],
    )


def _all_done(counts: Numbers) -> bool:
    return counts.total > 0 and counts.unfinished == 0


TRUTHS: dict[Reason, Callable[[Numbers], bool]] = {
    Reason.ALL_SUCCEEDED: lambda counts: _all_done(counts) and not counts.failed,
    Reason.SOME_FAILED: lambda counts: _all_done(counts) and counts.failed > 0,
    Reason.FAILED: lambda counts: counts.failed > 0,
    Reason.IDLE: lambda counts: counts.total > 0 and not counts.active,
    Reason.EMPTY: lambda counts: not counts.total,
    Reason.NEVER_RAN: lambda counts: counts.active > 0,
}


def _ending(script: list[tuple[float, str, str]], last: str) -> list[tuple[float, str, str]]:
    """Return a history at whose end all tasks are completed, and there is one at least."""
    script = [happening for happening in script if happening[2] not in ("deleting", "completed")]
    end = max((second for second, _, _ in script), default=0.0)
    ends = [(end + index, "succeed", task) for index, task in enumerate(TASKS, 1)]
    return [*script, (0.0, "add", "a"), (end, "add", "a"), *ends, (end + 9, last, "a")]


@given(plan=plans, script=scripts, report=reports, failing=failing, durations=durations)
@example(
    plan=WaitPlan(goal=parse_goal("done")),
    script=[
        (0, "add", "a"),
        (0, "succeed", "a"),
        (3.2, "delete", "a"),
        (4.5, "add", "b"),
        (4.6, "succeed", "b"),
    ],
    report=_true,
    failing=set(),
    durations=[2.0],
)
def test_a_confirmed_verdict_was_true_while_it_was_confirmed(
    plan: WaitPlan, script: Any, report: Report, failing: set[int], durations: list[float]
) -> None:
    """A verdict was true at a moment of the last tick: never "done" with a task left."""
    plan = evolve(plan, deadline=600)
    course = _course(plan, script, report, failing, durations)
    classify(str(course.end.reason))
    since = course.asked[-1].tick
    if course.state.plan.exact_at_end and course.end.reason in TRUTHS:
        since = min(asked.tick for asked in course.asked[-25:])
    if course.end.reason in TRUTHS:
        assert course.end.confirmed
        assert course.job.was_so(TRUTHS[course.end.reason], since, course.ended)
    elif course.end.reason is Reason.REACHED and course.end.confirmed and not plan.exact_at_end:
        assert course.job.was_so(lambda counts: not counts.unfinished, since, course.ended)
    elif course.end.reason in (Reason.SHORT, Reason.REACHED) and course.end.confirmed:
        exact = course.state.snapshot
        assert exact is not None
        assert exact.exact
        assert rules.is_reached(plan.goal, exact) == (course.end.reason is Reason.REACHED)


@given(
    plan=plans,
    script=scripts,
    last=st.sampled_from(("succeed", "fail")),
    report=reports,
    failing=failing,
    durations=durations,
)
def test_no_end_is_missed(  # noqa: PLR0917 - Hypothesis gives them by name.
    plan: WaitPlan, script: Any, last: str, report: Report, failing: set[int], durations: list[float]
) -> None:
    """A job that is at its end for good is known to be so soon, even if the counts never say it."""
    course = _course(plan, _ending(script, last), report, failing, durations)
    classify(str(course.end.reason))
    after = [tick for tick in course.ticks if tick > course.job.last]
    # All tasks aren't listed again at once, if that takes long.
    spaced = 2 * LIST_SPACING * max(durations) / (plan.interval or MIN_INTERVAL)
    assert len(after) <= BOUND + len(failing) + spaced
    outcome = rules.outcome_of(plan, course.end.reason)
    assert outcome in (Outcome.MET, Outcome.FAILED, Outcome.UNMET)
    if after and plan.goal.name in ("done", "all-succeeded") and course.end.reason is not Reason.EMPTY:
        assert outcome is (Outcome.FAILED if last == "fail" or course.job.counts(1e9).failed else Outcome.MET)
    if after and plan.goal.name == "percent" and not plan.fail_fast:
        assert outcome is Outcome.MET


@given(
    plan=plans,
    script=scripts,
    report=reports,
    durations=durations,
    deadline=st.floats(1, 200),
    stall=st.floats(1, 200),
    waits=st.lists(st.none() | st.floats(0, 90), min_size=1, max_size=4),
    failing=failing,
)
def test_limits_hold(  # noqa: PLR0917 - Hypothesis gives them by name.
    plan: WaitPlan,
    script: Any,
    report: Report,
    durations: list[float],
    deadline: float,
    stall: float,
    waits: list[float | None],
    failing: set[int],
) -> None:
    """No question after the deadline, none sooner than Retry-After, nor than the interval; all are counted.

    The last tick alone may come sooner than the interval, and only shortly before the deadline.
    """
    plan = evolve(plan, deadline=deadline, stall=stall)
    course = go(
        plan,
        Job(script),
        report=report,
        fails=lambda number, *_: busy(waits[number % len(waits)]) if number in failing else None,
        takes=lambda number: durations[number % len(durations)],
    )
    classify(str(course.end.reason))
    asked = course.asked
    assert asked[-1].at < deadline
    assert course.ended <= max(deadline, asked[-1].at + max(durations))
    ticks = course.ticks[:-1] if course.ticks[-1] >= course.state.last_tick_at else course.ticks
    for earlier, later in pairwise(ticks):
        assert later - earlier >= (MIN_INTERVAL if plan.interval is None else plan.interval) - 1e-9
    for question, following in pairwise(asked):
        if isinstance(question.event, Failed):
            wish = question.event.error.retry_after or 0  # type: ignore[attr-defined]
            answered = question.at + durations[asked.index(question) % len(durations)]
            assert following.at >= answered + wish - 1e-9
    assert [question.move.state.polls for question in asked] == list(range(1, len(asked) + 1))
    assert course.state.failed_polls == sum(isinstance(question.event, Failed) for question in asked)


@given(
    plan=plans,
    script=scripts,
    last=st.sampled_from(("succeed", "fail")),
    report=reports,
    slow=st.floats(0, 0.05),
    left=st.floats(0.3, 100),
    interval=st.none() | st.floats(0.1, 1000),
    min_interval=st.floats(0.1, 100),
)
def test_no_wait_ends_blind(  # noqa: PLR0917 - Hypothesis gives them by name.
    plan: WaitPlan,
    script: Any,
    last: str,
    report: Report,
    slow: float,
    left: float,
    interval: float | None,
    min_interval: float,
) -> None:
    """A job that ends before the last tick isn't reported as timed out, whatever the interval and counts."""
    script = _ending(script, last)
    job = Job(script)
    plan = evolve(plan, interval=interval, min_interval=min_interval, deadline=job.last + left)
    before = last_seconds(plan.deadline, interval, min_interval)
    course = go(plan, job, report=report, takes=lambda _: before * slow)
    classify(str(course.end.reason))
    if job.last <= plan.deadline - before:
        assert course.end.reason is not Reason.TIMED_OUT
        assert course.ended <= plan.deadline


@given(
    plan=plans, script=scripts, report=reports, failing=failing, durations=durations, stall=st.floats(3, 90)
)
def test_stalled_is_only_what_did_not_change(  # noqa: PLR0917 - Hypothesis gives them by name.
    plan: WaitPlan, script: Any, report: Report, failing: set[int], durations: list[float], stall: float
) -> None:
    """A job is stalled only if all counts until now are the same, and a list shows that it isn't done."""
    plan = evolve(plan, stall=stall, deadline=900)
    course = _course(plan, script, report, failing, durations)
    classify(str(course.end.reason))
    if course.end.reason is not Reason.STALLED:
        return
    assert course.state.same_since + stall <= course.ended
    told = [
        asked.event.snapshot.task_counts
        for asked in course.asked
        if isinstance(asked.event, Counted) and asked.at >= course.state.same_since
    ]
    assert told
    assert course.state.counted_at >= course.ticks[-1]
    assert course.state.reported is not None
    assert all(counts == course.state.reported.task_counts for counts in told)
    assert any(isinstance(asked.step, AskTasks) for asked in course.asked if asked.tick == course.ticks[-1])
    assert (
        not course.job.was_so(_all_done, course.ended, course.ended)
        or course.job.last >= course.asked[-1].tick
    )


@given(plan=plans, script=scripts, report=reports, durations=durations)
def test_a_tick_asks_one_cheap_question_unless_something_is_claimed(
    plan: WaitPlan, script: Any, report: Report, durations: list[float]
) -> None:
    """Further questions in a tick are small list queries, and few; the counts again at the end."""
    course = _course(evolve(plan, deadline=600), script, report, set(), durations)
    for tick in course.ticks:
        asked = [question for question in course.asked if question.tick == tick]
        kinds = [type(question.step).__name__ for question in asked]
        assert len(asked) <= 16
        assert kinds.count("AskCounts") <= 1 + (tick == course.ticks[-1])
        assert kinds.count("AskExact") <= 1 + course.state.last_tick
        assert kinds.count("AskJob") <= 1


@given(
    least=st.floats(0.1, 60),
    unchanged=st.integers(0, 10_000),
    left=st.none() | st.floats(0, 1e9),
    limit=st.floats(0, allow_infinity=True),
)
def test_the_interval_keeps_within_its_limits(
    least: float, unchanged: int, left: float | None, limit: float
) -> None:
    """The interval is between the least and the most, and doesn't shrink while nothing changes."""
    seconds = interval_seconds(least, unchanged, left, limit=limit)
    assert least <= seconds <= max(least, MAX_INTERVAL)
    assert seconds <= interval_seconds(least, unchanged + 1, left, limit=limit)


@given(steps=st.lists(st.tuples(st.integers(0, 10**6), st.integers(-50, 50)), max_size=20))
def test_the_rate_lies_between_the_slowest_and_the_fastest_that_was_seen(
    steps: list[tuple[int, int]],
) -> None:
    """A moving average is never below 0, nor above what was seen; and time left is never negative."""
    rate: Rate | None = None
    now, completed, seen = 0.0, 1000, [0.0]
    for milliseconds, change in [(0, 0), *steps]:
        seconds = milliseconds / 1000
        now, completed = now + seconds, completed + change
        rate = observe_rate(rate, now, completed)
        if seconds > 0:
            seen.append(max(0, change) / seconds)
    assert rate is not None
    if rate.value is not None:
        assert 0 <= rate.value <= max(seen) * (1 + 1e-9)
    assert (seconds_left(rate, 5, 0) or 0) >= 0


@settings(max_examples=20)
@given(script=scripts, failing=failing, until=st.sampled_from(GOALS), exact=st.booleans())
def test_both_clients_decide_alike(script: Any, failing: set[int], until: str, exact: bool) -> None:
    """The same history gives the same questions, observations and verdict, sync and async."""
    courses = []
    for awaits in (False, True):
        clock = FakeClock()
        service = Service(Job(script), clock, instead=lambda _, number: BUSY if number in failing else None)
        told: list[Observation] = []
        options: dict[str, Any] = {
            "exact_at_end": exact,
            "deadline": 300,
            "check": False,
            "observer": told.append,
        }
        transport = httpx.MockTransport(service)
        if awaits:
            asynchronous = AsyncTaskCountsClient(ENDPOINT, KEY, transport=transport, clock=clock)
            verdict = asyncio.run(_awaited(asynchronous, until, options))
        else:
            with TaskCountsClient(ENDPOINT, KEY, transport=transport, clock=clock) as client:
                verdict = client.wait_for_job("job-1", until, **options)
        seen = [(each.number, each.kind, each.elapsed, each.note) for each in told]
        courses.append((service.kinds, seen, verdict.outcome, verdict.elapsed, clock.pauses))
    assert courses[0] == courses[1]


async def _awaited(client: AsyncTaskCountsClient, until: str, options: dict[str, Any]) -> Verdict:
    async with client:
        return await client.wait_for_job("job-1", until, **options)
