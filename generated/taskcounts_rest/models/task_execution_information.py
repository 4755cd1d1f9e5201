from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.task_failure_information import TaskFailureInformation

T = TypeVar("T", bound="TaskExecutionInformation")


@_attrs_define(frozen=True)
class TaskExecutionInformation:
    """How the runs of a task went."""

    retry_count: int
    """ How often it was run again because it failed. """
    requeue_count: int
    """ How often it was put back among the active ones because its node or its job was taken away. """
    start_time: datetime.datetime | Unset = UNSET
    """ When its latest run began. """
    end_time: datetime.datetime | Unset = UNSET
    """ When it was completed. """
    exit_code: int | Unset = UNSET
    """ What its program returned; missing where it never ran to its end. """
    result: str | Unset = UNSET
    """ How a completed task ended. """
    failure_info: TaskFailureInformation | Unset = UNSET
    """ Why a task failed. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        retry_count = self.retry_count
        field_dict["retryCount"] = retry_count
        requeue_count = self.requeue_count
        field_dict["requeueCount"] = requeue_count
        start_time: str | Unset = UNSET
        if not isinstance(self.start_time, Unset):
            start_time = self.start_time.isoformat()
        if not isinstance(start_time, Unset):
            field_dict["startTime"] = start_time
        end_time: str | Unset = UNSET
        if not isinstance(self.end_time, Unset):
            end_time = self.end_time.isoformat()
        if not isinstance(end_time, Unset):
            field_dict["endTime"] = end_time
        exit_code = self.exit_code
        if not isinstance(exit_code, Unset):
            field_dict["exitCode"] = exit_code
        result = self.result
        if not isinstance(result, Unset):
            field_dict["result"] = result
        failure_info: dict[str, Any] | Unset = UNSET
        if not isinstance(self.failure_info, Unset):
            failure_info = self.failure_info.to_dict()
        if not isinstance(failure_info, Unset):
            field_dict["failureInfo"] = failure_info
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.task_failure_information import TaskFailureInformation  # noqa: PLC0415

        d = dict(src_dict)
        retry_count = d.pop("retryCount")
        requeue_count = d.pop("requeueCount")
        _start_time = d.pop("startTime", UNSET)
        start_time: datetime.datetime | Unset
        if isinstance(_start_time, Unset):
            start_time = UNSET
        else:
            start_time = datetime.datetime.fromisoformat(_start_time)

        _end_time = d.pop("endTime", UNSET)
        end_time: datetime.datetime | Unset
        if isinstance(_end_time, Unset):
            end_time = UNSET
        else:
            end_time = datetime.datetime.fromisoformat(_end_time)

        exit_code = d.pop("exitCode", UNSET)
        result = d.pop("result", UNSET)
        _failure_info = d.pop("failureInfo", UNSET)
        failure_info: TaskFailureInformation | Unset
        if isinstance(_failure_info, Unset):
            failure_info = UNSET
        else:
            failure_info = TaskFailureInformation.from_dict(_failure_info)

        return cls(
            retry_count=retry_count,
            requeue_count=requeue_count,
            start_time=start_time,
            end_time=end_time,
            exit_code=exit_code,
            result=result,
            failure_info=failure_info,
            additional_properties=d,
        )
