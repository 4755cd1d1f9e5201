from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="TaskCounts")


@_attrs_define(frozen=True)
class TaskCounts:
    """How many tasks of a job are in each state."""

    active: int
    """ Tasks that wait for a node, or for the tasks that they depend on. """
    running: int
    """ Tasks that run on a node or are being prepared there. """
    completed: int
    """ Tasks that ended, with success or with failure and no retry left. """
    succeeded: int
    """ Completed tasks whose result is success. """
    failed: int
    """ Completed tasks whose result is failure. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        active = self.active
        field_dict["active"] = active
        running = self.running
        field_dict["running"] = running
        completed = self.completed
        field_dict["completed"] = completed
        succeeded = self.succeeded
        field_dict["succeeded"] = succeeded
        failed = self.failed
        field_dict["failed"] = failed
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        active = d.pop("active")
        running = d.pop("running")
        completed = d.pop("completed")
        succeeded = d.pop("succeeded")
        failed = d.pop("failed")
        return cls(
            active=active,
            running=running,
            completed=completed,
            succeeded=succeeded,
            failed=failed,
            additional_properties=d,
        )
