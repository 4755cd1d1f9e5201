"""What a wait tells: an observation for every poll, and one verdict at its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Snapshot

__all__ = ["Kind", "Observation", "Observer", "Outcome", "Verdict", "WaitFailed"]


class Outcome(StrEnum):
    """How a wait can end."""

    MET = "met"
    """What was waited for is so."""
    FAILED = "failed"
    """Tasks failed: at the end of the job, or as soon as one does where that was asked for."""
    UNMET = "unmet"
    """The job is at its end, and what was waited for can't come about any more."""
    GONE = "gone"
    """There is no such job, or it is being deleted."""
    LOST = "lost"
    """Too many polls in a row had no trustworthy answer; how the job stands isn't known."""
    TIMED_OUT = "timed-out"
    """The wait's own time was over."""
    STALLED = "stalled"
    """Nothing changed for as long as was allowed."""


class Kind(StrEnum):
    """What a wait asked, or that it got no answer."""

    COUNTS = "counts"
    """The counts of the job."""
    TASKS = "tasks"
    """Whether there is a task of some kind: a small list query."""
    JOB = "job"
    """The job's own state."""
    EXACT = "exact"
    """The exact counts, from a list of all tasks."""
    FAILURE = "failure"
    """Any of these, and there was no trustworthy answer."""


@frozen(kw_only=True)
class Observation:
    """One poll of a wait, a question of whatever kind, and what came of it.

    Attributes:
        job_id: The job.
        number: Which observation of this wait it is, from 1.
        at: When its answer came, in UTC, by this machine's clock.
        elapsed: Seconds since the wait began.
        kind: What was asked, or ``failure``.
        snapshot: The newest counts: those of this answer if ``kind`` is ``counts`` or ``exact``,
            else those of an earlier one; None as long as there were none.
        changed: Whether these counts differ from those before.
        looked_for: Of ``tasks``: what was looked for: ``unfinished``, ``failed``, ``active``,
            ``unsuccessful`` (unfinished or failed) or ``any``.
        found: Of ``tasks``: the id of such a task, None if there is none.
        job_state: The job's own state, in lower case, as it was last told; None as long as it wasn't.
        error: Of ``failure``: why there is no trustworthy answer.
        failures: How many polls in a row had no trustworthy answer.
        doubtful: Whether the newest counts contradict themselves, or a list query contradicts them.
        note: What is worth telling a person, in one line; None for nothing.
        rate: Tasks completed per second, as a moving average; None as long as it isn't known.
        left: Seconds until all tasks are completed, at that rate; None if it isn't known or nothing moves.
        pause: Seconds until the next poll; 0 if it follows at once or this was the last.
    """

    job_id: str
    number: int
    at: datetime
    elapsed: float
    kind: Kind
    snapshot: Snapshot | None = None
    changed: bool = False
    looked_for: str | None = None
    found: str | None = None
    job_state: str | None = None
    error: TaskCountsError | None = None
    failures: int = 0
    doubtful: bool = False
    note: str | None = None
    rate: float | None = None
    left: float | None = None
    pause: float = 0.0


Observer = Callable[[Observation], object]


@frozen(kw_only=True)
class Verdict:
    """What came of a wait. It is true if, and only if, what was waited for is so; ``str()`` is its text.

    Attributes:
        job_id: The job.
        goal: What was waited for, such as ``done`` or ``percent=50``.
        outcome: How the wait ended.
        text: The verdict in one line, for people.
        confirmed: Whether a list of tasks, which is never behind, bears it out.
        snapshot: The newest counts, exact if that was asked for; None if there were none.
        task_id: A task that bears the verdict out, such as one that failed; None if there is none.
        job_state: The job's own state, in lower case, as it was last told; None if it wasn't.
        error: Why the status was lost, or the job is gone; None otherwise.
        polls: How many questions were asked, of all kinds.
        failed_polls: How many of these had no trustworthy answer.
        began_at: When the wait began, in UTC, by this machine's clock.
        ended_at: When it ended.
        elapsed: Seconds between the two.
    """

    job_id: str
    goal: str
    outcome: Outcome
    text: str
    confirmed: bool
    snapshot: Snapshot | None
    task_id: str | None = None
    job_state: str | None = None
    error: TaskCountsError | None = None
    polls: int
    failed_polls: int
    began_at: datetime
    ended_at: datetime
    elapsed: float

    def __bool__(self) -> bool:
        return self.outcome is Outcome.MET

    def __str__(self) -> str:
        return self.text


class WaitFailed(TaskCountsError):
    """A wait ended, and not with what it waited for: its verdict says how the job stands.

    Its ``attempts`` are the questions that were asked, its ``client_request_id`` is that of the last one.

    Attributes:
        verdict: What came of the wait.
    """

    verdict: Verdict
