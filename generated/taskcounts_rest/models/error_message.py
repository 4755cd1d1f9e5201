from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ErrorMessage")


@_attrs_define(frozen=True)
class ErrorMessage:
    """Describes an error to people."""

    lang: str | Unset = UNSET
    """ The language of the text, such as en-US. """
    value: str | Unset = UNSET
    """ The text; the service ends it with lines that repeat the request id and the time. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        lang = self.lang
        if not isinstance(lang, Unset):
            field_dict["lang"] = lang
        value = self.value
        if not isinstance(value, Unset):
            field_dict["value"] = value
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        lang = d.pop("lang", UNSET)
        value = d.pop("value", UNSET)
        return cls(
            lang=lang,
            value=value,
            additional_properties=d,
        )
