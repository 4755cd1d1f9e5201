from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.batch_error_detail import BatchErrorDetail
    from ..models.error_message import ErrorMessage

T = TypeVar("T", bound="BatchError")


@_attrs_define(frozen=True)
class BatchError:
    """Why the service refused a request or failed."""

    code: str | Unset = UNSET
    """ Names the error for programs; it doesn't change between versions. """
    message: ErrorMessage | Unset = UNSET
    """ Describes an error to people. """
    values: list[BatchErrorDetail] | Unset = UNSET
    """ Further facts about the error. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        code = self.code
        if not isinstance(code, Unset):
            field_dict["code"] = code
        message: dict[str, Any] | Unset = UNSET
        if not isinstance(self.message, Unset):
            message = self.message.to_dict()
        if not isinstance(message, Unset):
            field_dict["message"] = message
        values: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.values, Unset):
            values = []
            for values_item_data in self.values:
                values_item = values_item_data.to_dict()
                values.append(values_item)

        if not isinstance(values, Unset):
            field_dict["values"] = values
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.batch_error_detail import BatchErrorDetail  # noqa: PLC0415
        from ..models.error_message import ErrorMessage  # noqa: PLC0415

        d = dict(src_dict)
        code = d.pop("code", UNSET)
        _message = d.pop("message", UNSET)
        message: ErrorMessage | Unset
        if isinstance(_message, Unset):
            message = UNSET
        else:
            message = ErrorMessage.from_dict(_message)

        _values = d.pop("values", UNSET)
        values: list[BatchErrorDetail] | Unset = UNSET
        if _values is not UNSET:
            values = []
            for values_item_data in _values:
                values_item = BatchErrorDetail.from_dict(values_item_data)

                values.append(values_item)

        return cls(
            code=code,
            message=message,
            values=values,
            additional_properties=d,
        )
