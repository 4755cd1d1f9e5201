"""What a wait knows, what it hears and what it does next: plain values for `machine`."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, NamedTuple

from attrs import evolve, frozen

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Snapshot
from taskcounts.waiting.pace import Rate, last_seconds, seconds_left
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.proof import Claim, Proof
from taskcounts.waiting.queries import Task


class Reason(StrEnum):
    """Why a wait ends; what that means for it depends on what it waits for."""

    ALL_SUCCEEDED = "all-succeeded"
    """All tasks are completed, none failed."""
    SOME_FAILED = "some-failed"
    """All tasks are completed, some failed."""
    FAILED = "failed"
    """A task failed; others may still run."""
    IDLE = "idle"
    """No task is active."""
    EMPTY = "empty"
    """The job has no tasks."""
    NEVER_RAN = "never-ran"
    """The job has ended, and a task is still active."""
    REACHED = "reached"
    """As many tasks as were waited for."""
    SHORT = "short"
    """The job is at its end, with fewer tasks than were waited for."""
    STALLED = "stalled"
    TIMED_OUT = "timed-out"
    LOST = "lost"
    GONE = "gone"


# What the machine wants to be done next.


class AskCounts(NamedTuple):
    """Ask for the counts."""


class AskTasks(NamedTuple):
    """Look for a task of some kind."""

    query: str


class AskJob(NamedTuple):
    """Ask for the job's own state."""


class AskExact(NamedTuple):
    """List all tasks and count them."""


class Sleep(NamedTuple):
    """Ask nothing until some moment, on the wait's clock; it is never in the past."""

    until: float


class End(NamedTuple):
    """The wait is over.

    Attributes:
        reason: Cause.
        confirmed: Whether a list of tasks bears it out.
        task_id: A task that bears it out.
        error: Why the status was lost, or the job is gone.
    """

    reason: Reason
    confirmed: bool = False
    task_id: str | None = None
    error: TaskCountsError | None = None


Poll = AskCounts | AskTasks | AskJob | AskExact
Next = Poll | Sleep | End


# What the machine is told.


class Counted(NamedTuple):
    """The counts came."""

    snapshot: Snapshot


class Queried(NamedTuple):
    """A look found a task, or none."""

    query: str
    found: Task | None


class JobSeen(NamedTuple):
    """The job's own state, in lower case."""

    job_state: str


class Listed(NamedTuple):
    """The exact counts came; ``seconds`` is how long it took to list the tasks."""

    snapshot: Snapshot
    seconds: float


class Failed(NamedTuple):
    """A poll has no trustworthy answer.

    ``cut_off`` says that the wait's own deadline left it too little time: that isn't the service's fault.
    """

    error: TaskCountsError
    cut_off: bool = False


Event = Counted | Queried | JobSeen | Listed | Failed


class Cause(StrEnum):
    """Why there is a trial."""

    CLAIM = "claim"
    """The counts claim so."""
    CHECK = "check"
    """The counts may be behind."""
    STALL = "stall"
    """Nothing changed for as long as is allowed."""
    JOB_ENDED = "job-ended"
    """The job's own state says that it has ended."""


@frozen(kw_only=True)
class State:
    """What a wait knows. All moments are on its monotonic clock, in seconds.

    Attributes:
        plan: What to wait for.
        began: When the wait began.
        tick: When the last tick began: what the interval is counted from.
        not_before: The service asked not to be asked before.
        snapshot: The newest counts, reported or exact.
        reported: The newest reported counts.
        counted_at: When they came.
        same_since: When these counts came for the first time.
        contradicted: By which looks these counts are contradicted.
        refuted: Which claims of these counts were refuted.
        unchanged: How many good answers in a row brought no change of the counts.
        since_check: How many times the counts were asked for since something else was.
        checks: How many times something else was asked for instead of the counts.
        rate: How fast tasks are completed.
        proof: The claim that is being proven.
        cause: Why there is a trial.
        again: What was broken off by a question without an answer: a proof, the list of all tasks before
            an end, or the question for the job's own state.
        otherwise: What ends the wait if a last question doesn't speak against it: whether there is a failed
            task, for the job's own state, or for the counts once more.
        pending: How the wait ends if its last question doesn't speak against it.
        last: Whether the tick is the last one, or the next one is.
        closing: Which checks are left for the last tick, None for the job's own state.
        over: Whether the wait's time is over once the rest is.
        list_after: When all tasks may be listed again.
        job_state: The job's own state, as it was last told.
        ended: Whether it was told just now that the job has ended; it may be deleted and added anew.
        polls: How many questions were asked, of all kinds.
        failed_polls: How many of these polls had no trustworthy answer.
        failures: How many in a row.
        last_error: The error of the last of these.
    """

    plan: WaitPlan
    began: float
    tick: float
    not_before: float = -math.inf
    snapshot: Snapshot | None = None
    reported: Snapshot | None = None
    counted_at: float = -math.inf
    same_since: float = math.inf
    contradicted: frozenset[str] = frozenset()
    refuted: frozenset[Claim] = frozenset()
    unchanged: int = 0
    since_check: int = 0
    checks: int = 0
    rate: Rate | None = None
    proof: Proof | None = None
    cause: Cause = Cause.CLAIM
    resume_with: Proof | End | AskJob | None = None
    fallback_end: End | None = None
    pending_end: End | None = None
    last_tick: bool = False
    final_checks: tuple[Claim | None, ...] = ()
    deadline_reached: bool = False
    list_after: float = -math.inf
    job_state: str | None = None
    job_ended: bool = False
    polls: int = 0
    failed_polls: int = 0
    failures: int = 0
    last_error: TaskCountsError | None = None

    @property
    def ends(self) -> float:
        """When the wait's own time is over."""
        return self.began + self.plan.deadline

    @property
    def last_tick_at(self) -> float:
        """When the last tick begins: what it asks is to be answered before the end."""
        plan = self.plan
        return self.ends - last_seconds(plan.deadline, plan.interval, plan.min_interval)

    @property
    def doubtful(self) -> bool:
        """Whether the newest counts contradict themselves, or a list query contradicts them."""
        return bool(self.contradicted or (self.snapshot and self.snapshot.inconsistencies))

    @property
    def left(self) -> float | None:
        """Seconds until all tasks are completed; None if it isn't known, or nothing moves."""
        if self.snapshot is None or not self.snapshot.total or self.doubtful:
            return None
        return seconds_left(self.rate, self.snapshot.total - self.snapshot.completed, self.unchanged)

    def replace(self, **changes: Any) -> State:
        """Return a state that differs in some attributes."""
        return evolve(self, **changes)


class Move(NamedTuple):
    """What became of a state, what to do next, and what is worth telling a person."""

    state: State
    next: Next
    notes: tuple[str, ...] = ()
