"""What all bodies of requests have in common: objects of JSON, whose members have types and ranges.

A check takes a value and the path of its member, and returns the value as it is used from then on, or refuses
it in the service's words. Checks are made once, when a module is loaded: a task takes microseconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from taskcounts_emulator.api.timestamps import parse_duration
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.json_reader import PLAIN_ID, read_json, show
from taskcounts_emulator.refusals import Refusal

__all__ = [
    "MAX_BODY",
    "Check",
    "Members",
    "any_array",
    "any_object",
    "array",
    "choice",
    "duration",
    "flag",
    "invalid",
    "kept",
    "members",
    "object_of",
    "plain_id",
    "read_body",
    "text",
    "whole",
]

# What the reference of adding tasks says; an answer of the service told the same (MaxLimit: 1048576).
MAX_BODY = 2**20

Members = dict[str, Any]
Check = Callable[[Any, str], Any]

# Deeper than that is nothing of the service's.
_MAX_DEPTH = 50

_WRITE = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_WHOLE = re.compile(r"-?[0-9]{1,10}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_body(body: bytes) -> Members:
    """Return the object that a body is.

    Raises:
        Refusal: It is not JSON, an object has a member twice, or it is something else than an object.
    """
    try:
        found = read_json(body)
    except EmulatorError as error:
        raise Refusal("InvalidRequestBody", str(error)) from None
    if not isinstance(found, dict):
        raise Refusal("InvalidRequestBody", f"the body is {show(found)}, and must be an object")
    return found


def members(given: Members, path: str, known: Mapping[str, Check], required: Collection[str] = ()) -> Members:
    """Return the members of an object as their checks return them.

    Null counts as absent, and OData's annotations are passed over.

    Args:
        given: The object.
        path: Its path, with a dot at the end; empty for the body itself.
        known: The members that it may have.
        required: Those that it must have.

    Raises:
        Refusal: A member is unknown, wrong or missing.
    """
    found = {}
    for name, value in given.items():
        if value is None:
            continue
        check = known.get(name)
        if check is not None:
            found[name] = check(value, path + name)
        elif not name.startswith("odata.") and "@odata." not in name:
            shown = show(name)[1:-1]
            raise Refusal(
                "UnsupportedProperty",
                shown,
                show(value),
                f"{path}{shown} is not known; known are {', '.join(known)}",
            )
    for name in required:
        if name not in found:
            raise Refusal("MissingRequiredProperty", path + name)
    return found


def kept(given: Mapping[str, object], left_out: Collection[str] = ()) -> str:
    """Return members as JSON, to be shown again.

    Args:
        given: The members.
        left_out: Names of those that are not kept.

    Raises:
        Refusal: They hold a number that JSON cannot tell, or are nested too deeply.
    """
    try:
        written = _WRITE({name: value for name, value in given.items() if name not in left_out})
    except ValueError:
        raise Refusal("InvalidRequestBody", "a number is larger than a double can be") from None
    # Counted only where it could be, since it takes its time.
    if written.count("[") + written.count("{") > _MAX_DEPTH and _depth(given) > _MAX_DEPTH:
        raise Refusal("InvalidRequestBody", f"nested more than {_MAX_DEPTH} deep")
    return written


def invalid(path: str, value: object, reason: str) -> NoReturn:
    """Refuse a value; the reason goes on from the member's path."""
    raise Refusal("InvalidPropertyValue", path.rpartition(".")[2], show(value), f"{path} {reason}")


def text(value: Any, path: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        invalid(path, value, "must be a string")
    # JSON can spell half a character, which no database and no UTF-8 takes.
    if not value.isascii() and _SURROGATE.search(value):
        invalid(path, value, "holds half of a surrogate pair")
    return value


def plain_id(value: Any, path: str) -> str:
    """Return an id: 1 to 64 letters, digits, hyphens and underscores."""
    if not isinstance(value, str) or not PLAIN_ID.fullmatch(value):
        invalid(path, value, "must be an id: 1 to 64 letters, digits, '-' and '_'")
    return value


def flag(value: Any, path: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        invalid(path, value, "must be true or false")
    return value


def duration(value: Any, path: str) -> str:
    """Return a duration, as text."""
    if not isinstance(value, str) or parse_duration(value) is None:
        invalid(path, value, "must be a duration in days, hours, minutes and seconds, such as PT1H30M")
    return value


def any_object(value: Any, path: str) -> Members:
    """Return an object with any members."""
    if not isinstance(value, dict):
        invalid(path, value, "must be an object")
    return value


def any_array(value: Any, path: str) -> list[Any]:
    """Return an array with any items."""
    if not isinstance(value, list):
        invalid(path, value, "must be an array")
    return value


def whole(low: int, high: int) -> Check:
    """Return a check for whole numbers; they may come as text, as the az CLI sends them."""

    def check(value: Any, path: str) -> int:
        number = value
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            number = int(value)
        if type(number) is not int:
            invalid(path, value, "must be a whole number")
        if not low <= number <= high:
            invalid(path, value, f"must be from {low} to {high}")
        return number

    return check


def choice(*names: str) -> Check:
    """Return a check for one of some words, in whatever case; it returns them in lower case."""

    def check(value: Any, path: str) -> str:
        if not isinstance(value, str) or value.lower() not in names:
            invalid(path, value, f"must be one of {', '.join(names)}")
        return value.lower()

    return check


def array(item: Check) -> Check:
    """Return a check for arrays."""

    def check(value: Any, path: str) -> list[Any]:
        return [item(each, f"{path}[{index}]") for index, each in enumerate(any_array(value, path))]

    return check


def object_of(known: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """Return a check for objects that have the known members and no others."""

    def check(value: Any, path: str) -> Members:
        return members(any_object(value, path), f"{path}.", known, required)

    return check


def _depth(value: object) -> int:
    """Return how deep a value is nested, as far as that matters."""
    depth, level = 0, [value]
    while level and depth <= _MAX_DEPTH:
        depth += 1
        inner = (
            each.values() if isinstance(each, dict) else each
            for each in level
            if isinstance(each, dict | list)
        )
        level = [part for parts in inner for part in parts]
    return depth
