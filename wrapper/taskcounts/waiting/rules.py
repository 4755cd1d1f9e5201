"""The rules of goals: the claims of counts, and the outcome of a wait; pure."""

from __future__ import annotations

from collections.abc import Iterator

from taskcounts.errors import JobNotFound, ServiceError, TaskCountsError
from taskcounts.snapshot import Snapshot
from taskcounts.waiting.goals import COUNTERS, Goal
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.proof import Claim
from taskcounts.waiting.queries import Task
from taskcounts.waiting.state import Reason
from taskcounts.waiting.values import Outcome

_OUTCOMES = {
    Reason.IDLE: Outcome.MET,
    Reason.REACHED: Outcome.MET,
    Reason.NEVER_RAN: Outcome.UNMET,
    Reason.SHORT: Outcome.UNMET,
    Reason.STALLED: Outcome.STALLED,
    Reason.TIMED_OUT: Outcome.TIMED_OUT,
    Reason.LOST: Outcome.LOST,
    Reason.GONE: Outcome.GONE,
}


def outcome_of(plan: WaitPlan, reason: Reason) -> Outcome:
    """Return the outcome of a wait that ends for some reason."""
    wanted = plan.goal.name
    match reason:
        case Reason.ALL_SUCCEEDED:
            return Outcome.UNMET if wanted == "any-failed" else Outcome.MET
        case Reason.SOME_FAILED | Reason.FAILED:
            return Outcome.MET if wanted == "any-failed" else Outcome.FAILED
        case Reason.EMPTY:
            return Outcome.MET if plan.empty_is_done and wanted != "any-failed" else Outcome.UNMET
    return _OUTCOMES[reason]


def is_by_number(goal: Goal) -> bool:
    """Return whether a goal is a number of tasks, or a percentage below 100."""
    return goal.name in COUNTERS or (goal.name == "percent" and goal.least != 100)


def failure_ends(plan: WaitPlan) -> bool:
    """Return whether the first failed task ends the wait."""
    if plan.goal.name in ("any-failed", "all-succeeded"):
        return True
    return plan.fail_fast and plan.goal.name != "failed"


def is_reached(goal: Goal, snapshot: Snapshot) -> bool:
    """Return whether counts have reached the number or percentage of a goal."""
    if goal.least is None:
        return False
    if goal.name == "percent":
        # Multiplied, since a division would round.
        return snapshot.total > 0 and 100 * snapshot.completed >= goal.least * snapshot.total
    number = snapshot.total if goal.name == "total" else getattr(snapshot.task_counts, goal.name)
    return bool(number >= goal.least)


def is_ended(snapshot: Snapshot) -> bool:
    """Return whether there are tasks by the counts, and all of them are completed."""
    return snapshot.total > 0 and not snapshot.task_counts.active and not snapshot.task_counts.running


def claims(plan: WaitPlan, snapshot: Snapshot) -> Iterator[Claim | Reason]:
    """Yield the claims of counts that would end the wait once proven; REACHED needs no proof."""
    counts = snapshot.task_counts
    if failure_ends(plan) and counts.failed:
        yield Claim.FAILED
    if is_by_number(plan.goal) and is_reached(plan.goal, snapshot) and not snapshot.inconsistencies:
        yield Reason.REACHED
    if not snapshot.total:
        has_ended = plan.empty_is_done
    elif plan.goal.name == "no-active":
        has_ended = not counts.active
    else:
        has_ended = is_ended(snapshot)
    if has_ended:
        yield end_claim(plan)


def end_claim(plan: WaitPlan) -> Claim:
    """Return the claim that ends the wait once proven, whatever the counts say."""
    return Claim.IDLE if plan.goal.name == "no-active" else Claim.ENDED


def checks(plan: WaitPlan) -> tuple[Claim | None, ...]:
    """Return the checks that take the place of counts, in turn: claims, and None for the job's own state."""
    if not failure_ends(plan):
        return (end_claim(plan), None)
    if plan.goal.name == "any-failed":
        return (Claim.FAILED, Claim.ENDED, None)
    return (end_claim(plan), Claim.FAILED, None)


def reason_for(plan: WaitPlan, reason: Reason) -> Reason:
    """Return the reason for the end of a wait in terms of its goal, if that is a number of tasks."""
    if plan.goal.least is None or reason in (Reason.REACHED, Reason.FAILED):
        return reason
    if reason is Reason.SOME_FAILED and failure_ends(plan):
        return Reason.FAILED
    if plan.goal.name == "percent" and reason is Reason.EMPTY:
        return reason
    if plan.goal.name == "percent" and reason in (Reason.ALL_SUCCEEDED, Reason.SOME_FAILED):
        # All of them are completed.
        return Reason.REACHED
    return Reason.SHORT if is_by_number(plan.goal) else reason


def needs_exact(plan: WaitPlan, reason: Reason) -> bool:
    """Return whether a list of all tasks has to confirm the end of a wait."""
    return plan.exact_at_end or reason is Reason.SHORT


def is_gone(error: TaskCountsError) -> bool:
    """Return whether an error means that the job is deleted, or is being deleted."""
    return isinstance(error, JobNotFound) or (
        isinstance(error, ServiceError) and error.code == "JobBeingDeleted"
    )


def supported_reason(plan: WaitPlan, reason: Reason, snapshot: Snapshot, *, job_ended: bool) -> Reason | None:
    """Return the reason that counts support for the end of a wait, None if they contradict it.

    Args:
        plan: The plan of the wait.
        reason: The reason for which the wait is to end.
        snapshot: The counts.
        job_ended: Whether the job has ended by its own state.
    """
    counts = snapshot.task_counts
    if reason in (Reason.REACHED, Reason.SHORT):
        if is_reached(plan.goal, snapshot):
            return Reason.REACHED
        empty = plan.empty_is_done and not snapshot.total
        # Also for REACHED: the counts don't reach the goal, and no more tasks will be completed.
        return Reason.SHORT if is_ended(snapshot) or empty or job_ended else None
    holds = {
        Reason.ALL_SUCCEEDED: is_ended(snapshot) and not counts.failed,
        Reason.SOME_FAILED: is_ended(snapshot) and counts.failed > 0,
        Reason.FAILED: counts.failed > 0,
        Reason.IDLE: snapshot.total > 0 and not counts.active,
        Reason.EMPTY: not snapshot.total,
        Reason.NEVER_RAN: counts.active > 0,
    }
    return reason if holds[reason] else None


def contradicts(query: str, found: Task | None, snapshot: Snapshot) -> bool:
    """Return whether counts contradict the task, or the lack of one, that a query found."""
    counts = snapshot.task_counts
    numbers = {
        "unfinished": counts.active + counts.running,
        "failed": counts.failed,
        "unsuccessful": counts.active + counts.running + counts.failed,
        "active": counts.active,
        "any": snapshot.total,
    }
    if found is None:
        return numbers[query] > 0
    kinds = ["any", "failed"] if found.failed else ["any"] if found.completed else ["any", "unfinished"]
    if found.state == "active":
        kinds.append("active")
    return any(numbers[kind] == 0 for kind in kinds)
