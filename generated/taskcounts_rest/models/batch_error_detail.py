from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="BatchErrorDetail")


@_attrs_define(frozen=True)
class BatchErrorDetail:
    """One further fact about an error."""

    key: str | Unset = UNSET
    """ What the value means, such as QueryParameterName. """
    value: str | Unset = UNSET
    """ The fact itself. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        key = self.key
        if not isinstance(key, Unset):
            field_dict["key"] = key
        value = self.value
        if not isinstance(value, Unset):
            field_dict["value"] = value
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        key = d.pop("key", UNSET)
        value = d.pop("value", UNSET)
        return cls(
            key=key,
            value=value,
            additional_properties=d,
        )
