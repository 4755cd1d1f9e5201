"""The values that the emulator's rooms hand to one another: frozen, checked where they are made from JSON."""

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

# A node has at most 256 task slots, so no task that can run needs more
# (the reference of Pool - Add, taskSlotsPerNode).
MAX_SLOTS = 256

# With MAX_SLOTS this keeps every count and every sum of slots inside the int32 of the contract.
MAX_TASKS = 1_000_000

# An SQL condition over the columns of jobs or tasks, and its parameters.
SqlCondition = tuple[str, tuple[object, ...]]
ALL_ROWS: SqlCondition = ("1", ())


class TaskState(IntEnum):
    """Where a task stands. The service has one state for the last two, and tells them apart by a result."""

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
    """Five numbers by state, of tasks or of task slots; completed is what succeeded and what failed."""

    active: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def completed(self) -> int:
        """What succeeded or failed."""
        return self.succeeded + self.failed

    def as_json(self) -> dict[str, int]:
        """Return the members of an answer, in the service's order."""
        return {
            "active": self.active,
            "running": self.running,
            "completed": self.completed,
            "succeeded": self.succeeded,
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class JobCounts:
    """What one job's tasks come to: how many they are, and how many slots they need."""

    tasks: Counts = field(default_factory=Counts)
    slots: Counts = field(default_factory=Counts)

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return the two objects of an answer."""
        return {"taskCounts": self.tasks.as_json(), "taskSlotCounts": self.slots.as_json()}


class NewTask(NamedTuple):
    """A task to be added.

    Attributes:
        id: Its id.
        slots: The task slots that it needs.
        state: Where it begins; only scenarios begin elsewhere than active.
        max_retries: How often it is run again after a failure; None: as its job says; -1: without end.
        max_seconds: After this it is stopped and has failed (maxWallClockTime); None: never.
        depends_on: Ids of tasks of the same job that must have succeeded first.
        depends_on_ranges: Pairs of numbers, each a range of such ids, both ends included.
        exit_conditions: What the caller said under ``exitConditions``, as it was sent.
        seconds: How long a run takes; None: as the pool draws it.
        exit_codes: How its runs end, one after the other, the last one for ever; empty: as the pool draws it.
        kept: The caller's other members, as JSON text, to be shown again as they came.
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
        id: Its id.
        tasks: Its tasks, in the order in which they will be started; read once.
        pool: The id of its pool; None: nothing runs by itself.
        priority: -1000 to 1000; a pool serves higher ones first.
        max_parallel: How many of its tasks may run at once; -1: any number.
        max_retries: For tasks that don't say how often they are run again.
        max_seconds: After this it is terminated (maxWallClockTime); None: never.
        uses_dependencies: Whether its tasks may depend on each other.
        terminates_when_done: Whether it ends by itself with its last task (onAllTasksComplete: terminatejob).
        acts_on_failure: Whether a task's exit conditions may act on it (performexitoptionsjobaction).
        manager: Its job manager task, which is added with it.
        manager_ends_job: Whether the job ends with its manager (killJobOnCompletion).
        kept: The caller's members, as JSON text, to be shown again as they came.
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
    """A task as the store has it; times are microseconds since 1970, and None where nothing happened yet."""

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
    """A job as the store has it; times are microseconds since 1970, and None where nothing happened yet.

    ``modified`` grows with every change, and makes the ETag.
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


# Called inside the transaction with what is about to change; raises a Refusal if a condition fails.
Precondition = Callable[[Any], None]


def utc_now() -> datetime:
    """Return the time, with its zone: the clock where no other is given."""
    return datetime.now(UTC)
