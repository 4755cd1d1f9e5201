"""Notes on the answers of a wait, for people; pure."""

from __future__ import annotations

from taskcounts.snapshot import Snapshot
from taskcounts.waiting.proof import Claim, Finding, Result
from taskcounts.waiting.queries import quoted
from taskcounts.waiting.state import Cause, State

_JOB_STATES = {
    "active": "the job is active again",
    "disabling": "the job is being disabled",
    "disabled": "the job is disabled: no task of it starts until it is enabled",
    "enabling": "the job is being enabled",
    "terminating": "the job is being terminated",
    "completed": "the job has ended",
    "deleting": "the job is being deleted",
}


def about_counts(old: Snapshot | None, new: Snapshot) -> tuple[str, ...]:
    """Return notes on inconsistent counts, and on a change that no progress explains."""
    notes = [each.text for each in new.inconsistencies]
    if old is None:
        return tuple(notes)
    if new.total != old.total and old.total:
        what = "added" if new.total > old.total else "deleted"
        notes.append(f"tasks were {what}: {new.total} instead of {old.total}")
    for name in ("completed", "succeeded", "failed"):
        before, after = getattr(old.task_counts, name), getattr(new.task_counts, name)
        if after < before:
            notes.append(
                f"{name} fell from {before} to {after}: "
                "a task was reactivated or deleted, or the counts were wrong"
            )
    return tuple(notes)


def about_job(old: str | None, new: str) -> tuple[str, ...]:
    """Return a note on a change of the job's own state; none for a job that is and was active."""
    if new == (old or "active"):
        return ()
    return (_JOB_STATES.get(new, f"the job's own state is {quoted(new)}, which is unknown here"),)


def about_finding(state: State, finding: Finding) -> tuple[str, ...]:
    """Return a note on a proof that contradicts the counts, or that came to nothing."""
    task = finding.task
    if finding.result is Result.OPEN:
        return ("tasks came or went while the list was asked",)
    if state.cause is not Cause.CLAIM or finding.result is Result.PROVEN:
        return ()
    if finding.claim is Claim.FAILED:
        return ("by the counts tasks failed, but the list has none that did",)
    empty = state.snapshot is not None and not state.snapshot.total
    if finding.result is Result.EMPTY:
        return () if empty else ("by the counts there are tasks, but the list has none",)
    if empty:
        said = "there are no tasks"
    else:
        said = "all tasks are completed" if finding.claim is Claim.ENDED else "no task is active"
    # These two claims are refuted by a task alone.
    return (f"by the counts {said}, but {quoted(task.id)} is {task.state}",) if task else ()


def about_exact(exact: Snapshot, *, believed: bool) -> tuple[str, ...]:
    """Return notes on a list of all tasks that doesn't let the wait end."""
    if exact.inconsistencies:
        return tuple(each.text for each in exact.inconsistencies)
    if believed:
        return ()
    return (f"the list of all tasks says otherwise: {exact.completed} of {exact.total} are completed",)
