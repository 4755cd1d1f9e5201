from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.job_scheduling_error import JobSchedulingError

T = TypeVar("T", bound="JobExecutionInformation")


@_attrs_define(frozen=True)
class JobExecutionInformation:
    """When a job began and ended, where, and why."""

    start_time: datetime.datetime
    """ When it began. """
    end_time: datetime.datetime | Unset = UNSET
    """ When it was completed. """
    pool_id: str | Unset = UNSET
    """ The pool that its tasks run on. """
    scheduling_error: JobSchedulingError | Unset = UNSET
    """ Why a job couldn't be started. """
    terminate_reason: str | Unset = UNSET
    """ Why it was completed: a word of the service's, such as AllTasksComplete or
    MaxWallClockTimeExpiry, or of whoever terminated it. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        start_time = self.start_time.isoformat()
        field_dict["startTime"] = start_time
        end_time: str | Unset = UNSET
        if not isinstance(self.end_time, Unset):
            end_time = self.end_time.isoformat()
        if not isinstance(end_time, Unset):
            field_dict["endTime"] = end_time
        pool_id = self.pool_id
        if not isinstance(pool_id, Unset):
            field_dict["poolId"] = pool_id
        scheduling_error: dict[str, Any] | Unset = UNSET
        if not isinstance(self.scheduling_error, Unset):
            scheduling_error = self.scheduling_error.to_dict()
        if not isinstance(scheduling_error, Unset):
            field_dict["schedulingError"] = scheduling_error
        terminate_reason = self.terminate_reason
        if not isinstance(terminate_reason, Unset):
            field_dict["terminateReason"] = terminate_reason
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.job_scheduling_error import JobSchedulingError  # noqa: PLC0415

        d = dict(src_dict)
        start_time = datetime.datetime.fromisoformat(d.pop("startTime"))

        _end_time = d.pop("endTime", UNSET)
        end_time: datetime.datetime | Unset
        if isinstance(_end_time, Unset):
            end_time = UNSET
        else:
            end_time = datetime.datetime.fromisoformat(_end_time)

        pool_id = d.pop("poolId", UNSET)
        _scheduling_error = d.pop("schedulingError", UNSET)
        scheduling_error: JobSchedulingError | Unset
        if isinstance(_scheduling_error, Unset):
            scheduling_error = UNSET
        else:
            scheduling_error = JobSchedulingError.from_dict(_scheduling_error)

        terminate_reason = d.pop("terminateReason", UNSET)
        return cls(
            start_time=start_time,
            end_time=end_time,
            pool_id=pool_id,
            scheduling_error=scheduling_error,
            terminate_reason=terminate_reason,
            additional_properties=d,
        )
