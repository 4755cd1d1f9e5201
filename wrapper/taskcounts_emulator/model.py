"""The immutable values that the modules of the emulator exchange."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NamedTuple

from taskcounts_rest import contract

__all__ = [
    "Counts",
    "JobCounts",
    "JobRow",
    "NewJob",
    "NewTask",
    "Precondition",
    "SqlCondition",
    "TaskRow",
    "TaskState",
    "utc_now",
]

JOB_ID = re.compile(contract.PARAMETERS["jobId"]["pattern"])
# Letters, digits, hyphens and underscores, at most 64 (the reference of Task - Add).
TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

# A node has at most 256 task slots (the reference of Pool - Add, taskSlotsPerNode), so no task needs more.
MAX_SLOTS = 256

# With MAX_SLOTS this keeps every count and every sum of slots within the int32 of the contract.
MAX_TASKS = 1_000_000

# An SQL condition over the columns of jobs or tasks, and its parameters.
SqlCondition = tuple[str, tuple[object, ...]]
ALL_ROWS: SqlCondition = ("1", ())


class TaskState(IntEnum):
    """The state of a task. The service has one state, completed, for the last two, with a result."""

    ACTIVE = 0
    PREPARING = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4

    @property
    def spelled(self) -> str:
        """The state in the service's words."""
        return "completed" if self >= TaskState.SUCCEEDED else self.name.lower()


STATES = ("active", "preparing", "running", "completed")
RESULTS = ("success", "failure")


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of tasks or of task slots by state; completed ones have succeeded or failed."""

    active: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def completed(self) -> int:
        """The number that succeeded or failed."""
        return self.succeeded + self.failed

    @property
    def total(self) -> int:
        """The number in any state."""
        return self.active + self.running + self.completed

    def as_json(self) -> dict[str, int]:
        """Return the members in the service's order."""
        return {
            "active": self.active,
            "running": self.running,
            "completed": self.completed,
            "succeeded": self.succeeded,
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class JobCounts:
    """The counts of one job: its tasks, and the task slots that they need."""

    tasks: Counts = field(default_factory=Counts)
    slots: Counts = field(default_factory=Counts)

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return the two objects of a response."""
        return {"taskCounts": self.tasks.as_json(), "taskSlotCounts": self.slots.as_json()}


class NewTask(NamedTuple):
    """A task to be added.

    Attributes:
        id: The id.
        slots: The number of task slots that it needs.
        state: The initial state; only scenarios begin with one other than active.
        max_retries: The number of retries after failures; None: the job's number; -1: no limit.
        max_seconds: The time after which it is stopped and fails (maxWallClockTime); None: no limit.
        depends_on: The ids of tasks of the same job that must succeed first.
        depends_on_ranges: Ranges of numeric ids that must succeed first, both ends included.
        exit_conditions: The ``exitConditions`` as they were sent.
        seconds: The duration of a run in seconds; None: drawn by the pool.
        exit_codes: The exit codes of its runs in order, of which the last one repeats; empty: drawn by the
            pool.
        kept: The other members as JSON text, to be shown as they were sent.
    """

    id: str
    slots: int = 1
    state: TaskState = TaskState.ACTIVE
    max_retries: int | None = None
    max_seconds: float | None = None
    depends_on: tuple[str, ...] = ()
    depends_on_ranges: tuple[tuple[int, int], ...] = ()
    exit_conditions: dict[str, Any] | None = None
    seconds: float | None = None
    exit_codes: tuple[int, ...] = ()
    kept: str = "{}"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be added.

    Attributes:
        id: The id.
        tasks: The tasks in the order of their start; read once.
        pool: The id of its pool; None: no task runs by itself.
        priority: -1000 to 1000; a pool serves jobs of higher priority first.
        max_parallel: The number of tasks that may run at once; -1: any number.
        max_retries: The number of retries of tasks that have no number of their own.
        max_seconds: The time after which it is terminated (maxWallClockTime); None: no limit.
        uses_dependencies: Whether its tasks may depend on each other.
        terminates_when_done: Whether it terminates with its last task (onAllTasksComplete: terminatejob).
        acts_on_failure: Whether exit conditions of tasks may act on it (performexitoptionsjobaction).
        manager: The job manager task, which is added with the job.
        manager_ends_job: Whether the job ends with its manager (killJobOnCompletion).
        kept: The other members as JSON text, to be shown as they were sent.
    """

    id: str
    tasks: Iterable[NewTask] = ()
    pool: str | None = None
    priority: int = 0
    max_parallel: int = -1
    max_retries: int = 0
    max_seconds: float | None = None
    uses_dependencies: bool = False
    terminates_when_done: bool = False
    acts_on_failure: bool = False
    manager: NewTask | None = None
    manager_ends_job: bool = True
    kept: str = "{}"


class TaskRow(NamedTuple):
    """A row of the table of tasks; times are microseconds since 1970, or None if nothing happened yet."""

    number: int
    id: str
    state: int
    slots: int
    created: int
    modified: int
    changed: int
    previous: int | None
    previous_changed: int | None
    started: int | None
    ended: int | None
    exit_code: int | None
    failure: str | None
    retries: int
    last_retry: int | None
    requeues: int
    last_requeue: int | None
    kept: str


class JobRow(NamedTuple):
    """A row of the table of jobs; times are microseconds since 1970, or None if nothing happened yet.

    ``modified`` grows with every change, and the ETag is made from it.
    """

    number: int
    id: str
    state: str
    pool: str | None
    created: int
    modified: int
    changed: int
    previous: str | None
    previous_changed: int | None
    started: int | None
    ended: int | None
    terminate_reason: str | None
    priority: int
    max_parallel: int
    max_retries: int
    max_seconds: float | None
    uses_dependencies: int
    terminates_when_done: int
    acts_on_failure: int
    manager: str | None
    manager_ends_job: int
    kept: str


# Called with the row of a resource before it is read or changed; raises a Refusal to prevent that.
Precondition = Callable[[Any], None]


def utc_now() -> datetime:
    """Return the current time in UTC; the default clock."""
    return datetime.now(UTC)
