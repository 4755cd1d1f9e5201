from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="JobSchedulingError")


@_attrs_define(frozen=True)
class JobSchedulingError:
    """Why a job couldn't be started."""

    category: str
    """ Whose fault it is. """
    code: str | Unset = UNSET
    """ Names the reason for programs. """
    message: str | Unset = UNSET
    """ Names the reason for people. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        category = self.category
        field_dict["category"] = category
        code = self.code
        if not isinstance(code, Unset):
            field_dict["code"] = code
        message = self.message
        if not isinstance(message, Unset):
            field_dict["message"] = message
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        category = d.pop("category")
        code = d.pop("code", UNSET)
        message = d.pop("message", UNSET)
        return cls(
            category=category,
            code=code,
            message=message,
            additional_properties=d,
        )
