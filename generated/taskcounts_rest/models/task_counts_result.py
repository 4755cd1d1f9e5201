from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.task_counts import TaskCounts
    from ..models.task_slot_counts import TaskSlotCounts

T = TypeVar("T", bound="TaskCountsResult")


@_attrs_define(frozen=True)
class TaskCountsResult:
    """Where a job stands, counted in tasks and counted in task slots."""

    task_counts: TaskCounts
    """ How many tasks of a job are in each state. """
    task_slot_counts: TaskSlotCounts
    """ How many task slots the tasks of a job need, by the tasks' states. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        task_counts = self.task_counts.to_dict()
        field_dict["taskCounts"] = task_counts
        task_slot_counts = self.task_slot_counts.to_dict()
        field_dict["taskSlotCounts"] = task_slot_counts
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.task_counts import TaskCounts  # noqa: PLC0415
        from ..models.task_slot_counts import TaskSlotCounts  # noqa: PLC0415

        d = dict(src_dict)
        task_counts = TaskCounts.from_dict(d.pop("taskCounts"))

        task_slot_counts = TaskSlotCounts.from_dict(d.pop("taskSlotCounts"))

        return cls(
            task_counts=task_counts,
            task_slot_counts=task_slot_counts,
            additional_properties=d,
        )
