"""The state of a wait, its steps and its events: plain values for `machine`."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, NamedTuple

from attrs import evolve, frozen

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Snapshot
from taskcounts.waiting.pace import Rate, last_seconds, seconds_left
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.proof import Claim, Proof, begin_proof
from taskcounts.waiting.queries import Task

# Answers in a row without a change after which every second tick is a check.
STANDSTILL = 2
# Polls of the counts after which a tick is a check, however much they change.
CHECK_EVERY = 8


class Reason(StrEnum):
    """The reason for the end of a wait; `rules.outcome_of` gives the outcome for its goal."""

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
    """The number of tasks is reached."""
    SHORT = "short"
    """The job is at its end, and the number of tasks isn't reached."""
    STALLED = "stalled"
    TIMED_OUT = "timed-out"
    LOST = "lost"
    GONE = "gone"


# Steps: the next thing to do.


class AskCounts(NamedTuple):
    """Ask for the counts."""


class AskTasks(NamedTuple):
    """Query for a task of some kind."""

    query: str


class AskJob(NamedTuple):
    """Ask for the job's own state."""


class AskExact(NamedTuple):
    """List all tasks and count them."""


class Sleep(NamedTuple):
    """Ask nothing until some moment on the wait's clock, which is never in the past."""

    until: float


class End(NamedTuple):
    """The wait is over.

    Attributes:
        reason: The reason.
        confirmed: Whether list queries have proven it.
        task_id: The id of a task that proves it.
        error: The error by which the status was lost, or the job is gone.
    """

    reason: Reason
    confirmed: bool = False
    task_id: str | None = None
    error: TaskCountsError | None = None


Poll = AskCounts | AskTasks | AskJob | AskExact
Next = Poll | Sleep | End


# Events: the outcome of a poll.


class Counted(NamedTuple):
    """The counts came."""

    snapshot: Snapshot


class Queried(NamedTuple):
    """A query found a task, or none."""

    query: str
    found: Task | None


class JobSeen(NamedTuple):
    """The job's own state came, in lower case."""

    job_state: str


class Listed(NamedTuple):
    """The exact counts came; to list the tasks took ``seconds``."""

    snapshot: Snapshot
    seconds: float


class Failed(NamedTuple):
    """A poll has no trustworthy answer.

    ``cut_off`` is true if the wait's own deadline left it too little time, which isn't the service's fault.
    """

    error: TaskCountsError
    cut_off: bool = False


Event = Counted | Queried | JobSeen | Listed | Failed


class Cause(StrEnum):
    """The cause of a proof."""

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
    """The state of a wait. All moments are on its monotonic clock, in seconds.

    Attributes:
        plan: The plan of the wait.
        began: The moment at which the wait began.
        tick: The moment at which the last tick began; the interval counts from it.
        not_before: The moment before which the service asked not to be asked.
        snapshot: The newest counts, reported or exact.
        reported: The newest reported counts.
        counted_at: The moment of the newest counts.
        same_since: The moment at which these counts came for the first time.
        contradicted: The queries that contradict these counts.
        refuted: The claims of these counts that were refuted.
        unchanged: The number of answers in a row that brought no change of the counts.
        since_check: The number of times that the counts were asked for since the last check.
        checks: The number of checks: polls that took the place of the counts.
        rate: The rate of completed tasks.
        proof: The proof that is under way.
        cause: The cause of that proof.
        resume_with: The step to resume with after a poll without an answer: a proof, the list of all tasks
            before an end, or the question for the job's own state.
        fallback_end: The end of the wait unless a last check prevents it: that for a failed task, for the
            job's own state, or for new counts.
        pending_end: The end of the wait unless the list of all tasks, its last poll, contradicts it.
        last_tick: Whether this tick is the last one, or the next one is.
        final_checks: The checks that are left for the last tick, None for the job's own state.
        deadline_reached: Whether the deadline is reached at the end of the present sleep.
        list_after: The moment after which all tasks may be listed again.
        job_state: The job's own state, as it last came.
        job_ended: Whether the job has ended by its own state in this tick; it may be deleted and added anew.
        polls: The number of polls, of all kinds.
        failed_polls: The number of polls without a trustworthy answer.
        failures: The number of polls in a row without a trustworthy answer.
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
        """The moment of the wait's deadline."""
        return self.began + self.plan.deadline

    @property
    def last_tick_at(self) -> float:
        """The moment at which the last tick begins, early enough for its answers to come in time."""
        plan = self.plan
        return self.ends - last_seconds(plan.deadline, plan.interval, plan.min_interval)

    @property
    def doubtful(self) -> bool:
        """True if the newest counts contradict themselves, or a list query contradicts them."""
        return bool(self.contradicted or (self.snapshot and self.snapshot.inconsistencies))

    @property
    def left(self) -> float | None:
        """Seconds until all tasks are completed; None if unknown, or if nothing moves."""
        if self.snapshot is None or not self.snapshot.total or self.doubtful:
            return None
        return seconds_left(self.rate, self.snapshot.total - self.snapshot.completed, self.unchanged)

    @property
    def check_is_due(self) -> bool:
        """True if the next tick is a check, since the counts may be behind."""
        return self.since_check >= (1 if self.unchanged >= STANDSTILL else CHECK_EVERY)

    @property
    def awaits_job_state(self) -> bool:
        """True if the last poll was for the job's own state, before an end of the wait."""
        return self.fallback_end is not None and self.proof is None and self.pending_end is None

    @property
    def interrupted_proof(self) -> Proof | None:
        """The proof to resume after a poll without an answer.

        Good counts in between would reset the failures, and hide that nothing can be proven.
        A check that has only begun is not resumed: it has its turn later.
        """
        proof = self.proof
        if proof is None or (self.cause is Cause.CHECK and proof == begin_proof(proof.claim, likely=False)):
            return None
        return proof

    def is_stalled(self, at: float) -> bool:
        """Return whether at some moment the counts have been the same for the stall time."""
        return at - self.same_since >= self.plan.stall

    def replace(self, **changes: Any) -> State:
        """Return a state with some attributes changed."""
        return evolve(self, **changes)


class Move(NamedTuple):
    """The new state, the next step, and notes for people."""

    state: State
    next: Next
    notes: tuple[str, ...] = ()
