from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.cloud_job import CloudJob

T = TypeVar("T", bound="CloudJobListResult")


@_attrs_define(frozen=True)
class CloudJobListResult:
    """A page of the jobs of an account."""

    value: list[CloudJob]
    """ The jobs; a page may be empty and yet not the last one. """
    odata_next_link: str | Unset = UNSET
    """ The URL of the next page, to be asked for as it stands; missing from the last page. """
    additional_properties: Mapping[str, Any] = _attrs_field(factory=dict, kw_only=True, hash=False)
    """Members that the description doesn't name, as they came."""

    def to_dict(self) -> dict[str, Any]:
        field_dict: dict[str, Any] = dict(self.additional_properties)
        value = []
        for value_item_data in self.value:
            value_item = value_item_data.to_dict()
            value.append(value_item)

        field_dict["value"] = value
        odata_next_link = self.odata_next_link
        if not isinstance(odata_next_link, Unset):
            field_dict["odata.nextLink"] = odata_next_link
        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.cloud_job import CloudJob  # noqa: PLC0415

        d = dict(src_dict)
        value = []
        _value = d.pop("value")
        for value_item_data in _value:
            value_item = CloudJob.from_dict(value_item_data)

            value.append(value_item)

        odata_next_link = d.pop("odata.nextLink", UNSET)
        return cls(
            value=value,
            odata_next_link=odata_next_link,
            additional_properties=d,
        )
