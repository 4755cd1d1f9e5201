from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.task_execution_information import TaskExecutionInformation

T = TypeVar("T", bound="CloudTask")


@_attrs_define(frozen=True)
class CloudTask:
    """A task, as far as it tells where its job stands."""

    id: str
    """ Its name within the job; the service ignores its case. """
    state: str
    """ Waiting (active), given to a node that isn't ready for it yet (preparing), running, or at its
    end (completed). The service may spell it in any case, and may come to know other states. """
    state_transition_time: datetime.datetime | Unset = UNSET
    """ When it came into its state. """
    creation_time: datetime.datetime | Unset = UNSET
    """ When it was added. """
    required_slots: int | Unset = UNSET
    """ How many task slots of a node it takes up; one, if this is missing. """
    execution_info: TaskExecutionInformation | Unset = UNSET
    """ How the runs of a task went. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        id = self.id
        field_dict["id"] = id
        state = self.state
        field_dict["state"] = state
        state_transition_time: str | Unset = UNSET
        if not isinstance(self.state_transition_time, Unset):
            state_transition_time = self.state_transition_time.isoformat()
        if not isinstance(state_transition_time, Unset):
            field_dict["stateTransitionTime"] = state_transition_time
        creation_time: str | Unset = UNSET
        if not isinstance(self.creation_time, Unset):
            creation_time = self.creation_time.isoformat()
        if not isinstance(creation_time, Unset):
            field_dict["creationTime"] = creation_time
        required_slots = self.required_slots
        if not isinstance(required_slots, Unset):
            field_dict["requiredSlots"] = required_slots
        execution_info: dict[str, Any] | Unset = UNSET
        if not isinstance(self.execution_info, Unset):
            execution_info = self.execution_info.to_dict()
        if not isinstance(execution_info, Unset):
            field_dict["executionInfo"] = execution_info
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.task_execution_information import TaskExecutionInformation  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")
        state = d.pop("state")
        _state_transition_time = d.pop("stateTransitionTime", UNSET)
        state_transition_time: datetime.datetime | Unset
        if isinstance(_state_transition_time, Unset):
            state_transition_time = UNSET
        else:
            state_transition_time = datetime.datetime.fromisoformat(_state_transition_time)

        _creation_time = d.pop("creationTime", UNSET)
        creation_time: datetime.datetime | Unset
        if isinstance(_creation_time, Unset):
            creation_time = UNSET
        else:
            creation_time = datetime.datetime.fromisoformat(_creation_time)

        required_slots = d.pop("requiredSlots", UNSET)
        _execution_info = d.pop("executionInfo", UNSET)
        execution_info: TaskExecutionInformation | Unset
        if isinstance(_execution_info, Unset):
            execution_info = UNSET
        else:
            execution_info = TaskExecutionInformation.from_dict(_execution_info)

        return cls(
            id=id,
            state=state,
            state_transition_time=state_transition_time,
            creation_time=creation_time,
            required_slots=required_slots,
            execution_info=execution_info,
            additional_properties=d,
        )
