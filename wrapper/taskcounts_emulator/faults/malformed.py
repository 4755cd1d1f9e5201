"""Bodies of a 200 that break the contract, each in one way, to test the checks of clients.

Each is made from the right body and is wrong whatever that contains; an empty listing first gets an item. The
counts of versions before 2020-09-01.12.0 are flat, so that two variants do not exist there.

=================== =========================== ==================================================
variant             of                          defect
=================== =========================== ==================================================
missing-member      all but a collection added  counts lack ``failed``, a job or task its ``state``
missing-slots       nested counts               no ``taskSlotCounts``
string-number       counts                      a number as text; so with float, negative, null, boolean,
                                                not-a-number and beyond-int32
flat                nested counts               the form of before 2020-09-01.12.0
contradiction       counts, tasks               one more completed than there are; completed without a result
unknown-state       jobs, tasks                 an unknown state
missing-id          listings                    an item without its id
repeated-item       listings                    an item twice on one page
foreign-link        listings                    the link to the next page has another origin
looping-link        listings                    the link to the next page leads to this one
missing-value       listings, collection added  no ``value``
value-not-array     listings, collection added  ``value`` is an object
item-not-object     listings, collection added  an item is only its id
array               all                         the response is inside an array
duplicate-member    all                         a member twice
not-json            all                         the last byte is missing
not-utf8            all                         a byte that is not UTF-8
empty               all                         no bytes
=================== =========================== ==================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from taskcounts_emulator import responses

__all__ = ["OF_NESTED_COUNTS", "VARIANTS", "WITH_BODY", "malformed_body"]

OF_NESTED_COUNTS = ("missing-slots", "flat")

_COUNTS = ("Job_GetTaskCounts",)
_TASKS = ("Task_Get", "Task_List")
_LISTS = ("Job_List", "Task_List")
_VALUES = (*_LISTS, "Task_AddCollection")
_RESOURCES = ("Job_Get", "Task_Get", *_LISTS)

# The responses of the other operations have no body.
WITH_BODY = (*_COUNTS, *_RESOURCES, "Task_AddCollection")


@dataclass(frozen=True, slots=True)
class _ValidBody:
    """The right response: its decoded body, its operation and the URL of its page."""

    body: dict[str, Any]
    operation: str
    page: str

    @property
    def items(self) -> list[Any]:
        """The items of a listing, at least one."""
        items: list[Any] = self.body["value"]
        if not items:
            items.append({"id": f"{self.operation.partition('_')[0].lower()}-1", "state": "active"})
        return items

    @property
    def tasks(self) -> dict[str, Any]:
        """The numbers of tasks in counts, which are the body itself where counts are flat."""
        tasks: dict[str, Any] = self.body.get("taskCounts", self.body)
        return tasks

    @property
    def resource(self) -> dict[str, Any]:
        """The job or task of the response, or the first one of a listing."""
        first: dict[str, Any] = self.items[0] if self.operation in _LISTS else self.body
        return first


# Returns bytes, a value to be written as JSON, or None after changing the body in place.
_Maker = Callable[[_ValidBody], object]


def malformed_body(variant: str, operation: str, body: bytes, page: str = "") -> bytes:
    """Return a body of one of the ``VARIANTS``.

    Args:
        variant: The variant, which has to fit the operation.
        operation: The operation's name.
        body: The right body, a JSON object.
        page: The URL of the request as it was sent.
    """
    valid = _ValidBody(json.loads(body), operation, page)
    made = _MAKERS[variant][1](valid)
    return made if isinstance(made, bytes) else responses.json_body(valid.body if made is None else made)


def _missing_member(valid: _ValidBody) -> None:
    if valid.operation in _COUNTS:
        del valid.tasks["failed"]
    else:
        # If $select leaves the state out, the id is removed.
        valid.resource.pop("state" if "state" in valid.resource else "id", None)


def _missing_slots(valid: _ValidBody) -> None:
    del valid.body["taskSlotCounts"]


def _with_active(change: Callable[[int], object]) -> _Maker:
    """Return a maker that changes the number of active tasks."""

    def make(valid: _ValidBody) -> None:
        valid.tasks["active"] = change(valid.tasks["active"])

    return make


def _flat(valid: _ValidBody) -> object:
    # The service's own form up to api-version 2020-03-01.11.0.
    metadata = valid.body["odata.metadata"].replace("#taskcountsresult/", "#taskcounts/")
    return {"odata.metadata": metadata, **valid.tasks}


def _contradiction(valid: _ValidBody) -> None:
    if valid.operation in _COUNTS:
        # Each number is valid, but the sum is wrong.
        valid.tasks["completed"] += 1
    else:
        valid.resource["state"] = "completed"
        valid.resource.setdefault("executionInfo", {}).pop("result", None)


def _unknown_state(valid: _ValidBody) -> None:
    valid.resource["state"] = "levitating"


def _missing_id(valid: _ValidBody) -> None:
    valid.resource.pop("id", None)


def _repeated_item(valid: _ValidBody) -> None:
    valid.items.append(valid.items[0])


def _foreign_link(valid: _ValidBody) -> None:
    link = urlsplit(valid.body.get("odata.nextLink", valid.page))
    valid.body["odata.nextLink"] = link._replace(scheme="https", netloc="attacker.example").geturl()


def _looping_link(valid: _ValidBody) -> None:
    valid.body["odata.nextLink"] = valid.page


def _missing_value(valid: _ValidBody) -> None:
    del valid.body["value"]


def _value_not_array(valid: _ValidBody) -> None:
    valid.body["value"] = {}


def _item_not_object(valid: _ValidBody) -> None:
    valid.items[0] = valid.items[0].get("id")


def _duplicate(valid: _ValidBody) -> object:
    # For counts, one of the numbers; otherwise a member of the service rather than an annotation of OData.
    body = valid.tasks if valid.operation in _COUNTS else valid.body
    name = min(body, key=lambda name: name.startswith("odata."))
    once = f"{json.dumps(name)}:".encode()
    return responses.json_body(valid.body).replace(
        once, once + responses.json_body(body[name]) + b"," + once, 1
    )


def _not_json(valid: _ValidBody) -> object:
    return responses.json_body(valid.body)[:-1]


def _not_utf8(valid: _ValidBody) -> object:
    return responses.json_body(valid.body).replace(b'"', b'"\xff', 1)


_MAKERS: dict[str, tuple[tuple[str, ...], _Maker]] = {
    "missing-member": ((*_COUNTS, *_RESOURCES), _missing_member),
    "missing-slots": (_COUNTS, _missing_slots),
    "string-number": (_COUNTS, _with_active(str)),
    "float": (_COUNTS, _with_active(lambda number: number + 0.5)),
    "negative": (_COUNTS, _with_active(lambda number: -1 - number)),
    "null": (_COUNTS, _with_active(lambda _: None)),
    "boolean": (_COUNTS, _with_active(lambda _: True)),
    "not-a-number": (_COUNTS, _with_active(lambda _: float("nan"))),
    "beyond-int32": (_COUNTS, _with_active(lambda number: number + 2**31)),
    "flat": (_COUNTS, _flat),
    "contradiction": ((*_COUNTS, *_TASKS), _contradiction),
    "unknown-state": (_RESOURCES, _unknown_state),
    "missing-id": (_LISTS, _missing_id),
    "repeated-item": (_LISTS, _repeated_item),
    "foreign-link": (_LISTS, _foreign_link),
    "looping-link": (_LISTS, _looping_link),
    "missing-value": (_VALUES, _missing_value),
    "value-not-array": (_VALUES, _value_not_array),
    "item-not-object": (_VALUES, _item_not_object),
    "array": (WITH_BODY, lambda valid: [valid.body]),
    "duplicate-member": (WITH_BODY, _duplicate),
    "not-json": (WITH_BODY, _not_json),
    "not-utf8": (WITH_BODY, _not_utf8),
    "empty": (WITH_BODY, lambda _: b""),
}

VARIANTS: Mapping[str, tuple[str, ...]] = {name: fits for name, (fits, _) in _MAKERS.items()}
