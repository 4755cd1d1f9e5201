"""What one answer says of a job: one observation of its counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from taskcounts_rest.models import TaskCounts, TaskSlotCounts

__all__ = ["Inconsistency", "Snapshot"]


@frozen
class Inconsistency:
    """Something about an answer that speaks against its numbers.

    Attributes:
        invariant: The name of an invariant in the fragment, such as ``task-counts-completed``; or
            ``echo``, ``request-id`` or ``age`` for an answer that may not be the service's to our
            request, or not of now.
        path: The member at fault, such as ``taskCounts.completed``, or the header.
        text: What is wrong, in one line for people.
    """

    invariant: str
    path: str
    text: str


@frozen(kw_only=True)
class Snapshot:
    """The counts of a job as the service told them at one moment, or as a list of its tasks gave them.

    The service counts in the background: the numbers may trail the truth by seconds or more,
    and can go down when tasks are reactivated or deleted. One snapshot never proves a job done.
    An exact one was counted task by task; as a list of several pages takes a while, it is of a
    span of time.

    Attributes:
        job_id: The job, as it was asked for.
        task_counts: Tasks that are active, running, completed, succeeded, failed.
        task_slot_counts: The same in task slots. The service doesn't keep it in step with ``task_counts``.
        observed_at: When the answer came, or the last page of a list, in UTC, by this machine's clock.
        request_id: The service's id of the request, None if the answer had none; of a list, the last page's.
        client_request_id: Our GUID of the request; of a list, the first page's.
        attempts: How many requests it took, from 1.
        inconsistencies: What speaks against the numbers: invariants that they break, and signs that
            the answer isn't ours or isn't fresh; ``listed-twice`` for a list that changed while it
            was read, ``verified`` for counts that a list contradicts.
            Empty is the rule; otherwise don't rely on any of them.
        additional_properties: Members of the answer that its description doesn't name, as they came.
        exact: Whether the tasks were listed and counted one by one.
        began_at: When an exact count began, in UTC, by this machine's clock; None for another.
        listed: The exact count that these counts were compared with, None if they weren't.
    """

    job_id: str
    task_counts: TaskCounts
    task_slot_counts: TaskSlotCounts
    observed_at: datetime
    request_id: str | None
    client_request_id: str
    attempts: int
    inconsistencies: tuple[Inconsistency, ...] = ()
    additional_properties: Mapping[str, Any] = field(factory=dict, hash=False)
    exact: bool = False
    began_at: datetime | None = None
    listed: Snapshot | None = None

    @property
    def total(self) -> int:
        """How many tasks the job has: active, running and completed."""
        return self.task_counts.active + self.task_counts.running + self.task_counts.completed

    @property
    def completed(self) -> int:
        """How many tasks are completed."""
        return self.task_counts.completed

    @property
    def percent(self) -> float | None:
        """Which part of the tasks is completed, 0 to 100; None for a job without tasks."""
        return 100 * self.completed / self.total if self.total else None
