"""The results of a wait: an observation for every poll, and one verdict at its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Snapshot

__all__ = ["Kind", "Observation", "Observer", "Outcome", "Verdict", "WaitFailed"]


class Outcome(StrEnum):
    """The outcome of a wait."""

    MET = "met"
    """The goal is reached."""
    FAILED = "failed"
    """Tasks failed: at the end of the job, or as soon as one does where that was asked for."""
    UNMET = "unmet"
    """The job is at its end, and the goal can't be reached any more."""
    GONE = "gone"
    """There is no such job, or it is being deleted."""
    LOST = "lost"
    """Too many polls in a row had no trustworthy answer; the job's status is unknown."""
    TIMED_OUT = "timed-out"
    """The wait's deadline was reached."""
    STALLED = "stalled"
    """The counts didn't change for the stall time."""


class Kind(StrEnum):
    """The kind of a poll, or that it got no answer."""

    COUNTS = "counts"
    """The counts of the job."""
    TASKS = "tasks"
    """A small list query for a task of some kind."""
    JOB = "job"
    """The job's own state."""
    EXACT = "exact"
    """The exact counts, from a list of all tasks."""
    FAILURE = "failure"
    """A poll of any kind without a trustworthy answer."""


@frozen(kw_only=True)
class Observation:
    """One poll of a wait, of any kind, and its outcome.

    Attributes:
        job_id: The job.
        number: The number of the observation in this wait, from 1.
        at: The time of the answer, in UTC, by this machine's clock.
        elapsed: Seconds since the wait began.
        kind: The kind of the poll, or ``failure``.
        snapshot: The newest counts: those of this answer if ``kind`` is ``counts`` or ``exact``,
            else those of an earlier one; None as long as there are none.
        changed: Whether these counts differ from those before.
        looked_for: Of ``tasks``: the kind of task: ``unfinished``, ``failed``, ``active``,
            ``unsuccessful`` (unfinished or failed) or ``any``.
        found: Of ``tasks``: the id of such a task, None if there is none.
        job_state: The job's own state, in lower case, as it last came; None as long as it didn't.
        error: Of ``failure``: the error.
        failures: The number of polls in a row without a trustworthy answer.
        doubtful: Whether the newest counts contradict themselves, or a list query contradicts them.
        note: A note for people, in one line; None without one.
        rate: Tasks completed per second, as a moving average; None as long as it is unknown.
        left: Seconds until all tasks are completed, at that rate; None if unknown, or if nothing moves.
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
    """The result of a wait. It is true if, and only if, the goal is reached; ``str()`` is its text.

    Attributes:
        job_id: The job.
        goal: The goal, such as ``done`` or ``percent=50``.
        outcome: The outcome.
        text: The verdict in one line, for people.
        confirmed: Whether list queries, which unlike counts are never behind, have proven it.
        snapshot: The newest counts, exact if that was asked for; None if there were none.
        task_id: The id of a task that proves the verdict, such as a failed one; None without one.
        job_state: The job's own state, in lower case, as it last came; None if it didn't.
        error: The error by which the status was lost, or the job is gone; None for other outcomes.
        polls: The number of polls, of all kinds.
        failed_polls: The number of polls without a trustworthy answer.
        began_at: The time at which the wait began, in UTC, by this machine's clock.
        ended_at: The time at which it ended.
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
    """A wait ended without reaching its goal.

    Its ``attempts`` is the number of polls, its ``client_request_id`` that of the last one.

    Attributes:
        verdict: The result of the wait.
    """

    verdict: Verdict
