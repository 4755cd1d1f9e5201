from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.job_execution_information import JobExecutionInformation

T = TypeVar("T", bound="CloudJob")


@_attrs_define(frozen=True)
class CloudJob:
    """A job, as far as it tells where it stands."""

    id: str
    """ Its name within the account; the service ignores its case. """
    state: str
    """ Whether its tasks run (active), are held back for a while (disabling, disabled, enabling), or
    will not run any more (terminating, completed, deleting). The service may spell it in any case, and
    may come to know other states. """
    state_transition_time: datetime.datetime | Unset = UNSET
    """ When it came into its state. """
    creation_time: datetime.datetime | Unset = UNSET
    """ When it was added. """
    uses_task_dependencies: bool | Unset = UNSET
    """ Whether its tasks may wait for each other, so that an active one may never run. """
    on_all_tasks_complete: str | Unset = UNSET
    """ Whether it ends by itself when all its tasks are completed. """
    execution_info: JobExecutionInformation | Unset = UNSET
    """ When a job began and ended, where, and why. """
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
        uses_task_dependencies = self.uses_task_dependencies
        if not isinstance(uses_task_dependencies, Unset):
            field_dict["usesTaskDependencies"] = uses_task_dependencies
        on_all_tasks_complete = self.on_all_tasks_complete
        if not isinstance(on_all_tasks_complete, Unset):
            field_dict["onAllTasksComplete"] = on_all_tasks_complete
        execution_info: dict[str, Any] | Unset = UNSET
        if not isinstance(self.execution_info, Unset):
            execution_info = self.execution_info.to_dict()
        if not isinstance(execution_info, Unset):
            field_dict["executionInfo"] = execution_info
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.job_execution_information import JobExecutionInformation  # noqa: PLC0415

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

        uses_task_dependencies = d.pop("usesTaskDependencies", UNSET)
        on_all_tasks_complete = d.pop("onAllTasksComplete", UNSET)
        _execution_info = d.pop("executionInfo", UNSET)
        execution_info: JobExecutionInformation | Unset
        if isinstance(_execution_info, Unset):
            execution_info = UNSET
        else:
            execution_info = JobExecutionInformation.from_dict(_execution_info)

        return cls(
            id=id,
            state=state,
            state_transition_time=state_transition_time,
            creation_time=creation_time,
            uses_task_dependencies=uses_task_dependencies,
            on_all_tasks_complete=on_all_tasks_complete,
            execution_info=execution_info,
            additional_properties=d,
        )
