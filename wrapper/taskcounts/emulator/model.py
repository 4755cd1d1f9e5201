"""The values that the emulator's rooms hand to one another: frozen, checked where they are made from JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from taskcounts_rest import contract

__all__ = ["Counts", "JobCounts", "NewJob", "NewTasks", "utc_now"]

JOB_ID = re.compile(contract.PARAMETERS["jobId"]["pattern"])
# Letters, digits, hyphens and underscores, at most 64 (the reference of Task - Add).
TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

STATES = ("active", "preparing", "running", "completed")
RESULTS = ("success", "failure")

# A node has at most 256 task slots, so no task that can run needs more
# (the reference of Pool - Add, taskSlotsPerNode).
MAX_SLOTS = 256

# With MAX_SLOTS this keeps every count and every sum of slots inside the int32 of the contract.
MAX_TASKS = 1_000_000


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


@dataclass(frozen=True, slots=True)
class NewTasks:
    """``count`` tasks alike, to be added to a job; an id only where it is a single one."""

    count: int = 1
    id: str | None = None
    state: str = "active"
    result: str | None = None
    required_slots: int = 1


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be added, with its tasks in the order in which they will be started."""

    id: str
    tasks: tuple[NewTasks, ...] = ()


def utc_now() -> datetime:
    """Return the time, with its zone: the clock where no other is given."""
    return datetime.now(UTC)
