"""Bodies of requests: JSON objects whose members are checked, and refused with the service's errors.

A check takes a value and the path of its member, and returns the value in the form that is used from then on.
The tables of checks are made once, when a module is loaded: checking a task takes microseconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NoReturn

from taskcounts_emulator import json_reader
from taskcounts_emulator.api.timestamps import parse_duration
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.json_reader import PLAIN_ID, InvalidValue, any_object, read_json, show
from taskcounts_emulator.refusals import Refusal

__all__ = [
    "MAX_BODY",
    "Check",
    "Members",
    "array_of",
    "choice",
    "duration",
    "invalid",
    "kept",
    "members",
    "object_of",
    "plain_id",
    "read_body",
    "text",
    "whole_number",
]

# In bytes, by the reference of Task - Add Collection and a recorded answer (MaxLimit: 1048576).
MAX_BODY = 2**20

Members = dict[str, Any]
Check = Callable[[Any, str], Any]

# No body of the service is nested deeper.
_MAX_DEPTH = 50

_WRITE = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_body(body: bytes) -> Members:
    """Return the object that a body holds.

    Raises:
        Refusal: The body is not JSON, has a member twice in an object, or is not an object.
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

    A member that is null counts as absent, and annotations of OData are ignored.

    Args:
        given: The object.
        path: Its path, with a dot at the end; empty for the body itself.
        known: The checks of the members that it may have, by name.
        required: The names of the members that it must have.

    Raises:
        Refusal: A member is unknown, wrong or missing.
    """
    found = {}
    for name, value in given.items():
        if value is None:
            continue
        check = known.get(name)
        if check is not None:
            try:
                found[name] = check(value, path + name)
            except InvalidValue as error:
                invalid(error.path, error.value, error.requirement)
        elif not name.startswith("odata.") and "@odata." not in name:
            shown = show(name)[1:-1]
            reason = f"{path}{shown} is not known; known are {', '.join(known)}"
            raise Refusal("UnsupportedProperty", shown, show(value), reason)
    for name in required:
        if name not in found:
            raise Refusal("MissingRequiredProperty", path + name)
    return found


def kept(given: Mapping[str, object], left_out: Collection[str] = ()) -> str:
    """Return members as JSON, to be shown in later answers.

    Args:
        given: The members.
        left_out: The names of members that are not kept.

    Raises:
        Refusal: The members hold a number that JSON has no form for, or are nested too deeply.
    """
    try:
        written = _WRITE({name: value for name, value in given.items() if name not in left_out})
    except ValueError:
        raise Refusal("InvalidRequestBody", "a number is larger than a double can be") from None
    # Few bodies have that many brackets, and measuring the depth takes longer than counting them.
    if written.count("[") + written.count("{") > _MAX_DEPTH and _depth(given) > _MAX_DEPTH:
        raise Refusal("InvalidRequestBody", f"nested more than {_MAX_DEPTH} deep")
    return written


def invalid(path: str, value: object, requirement: str) -> NoReturn:
    """Refuse a value; the requirement is the rest of a sentence that begins with the path."""
    name = path.rpartition(".")[2]
    raise Refusal("InvalidPropertyValue", name, show(value), f"{path} {requirement}")


def text(value: Any, path: str) -> str:
    """Return a string that can be written as UTF-8."""
    found = json_reader.text(value, path)
    # JSON can spell half a surrogate pair, which neither SQLite nor UTF-8 takes.
    if not found.isascii() and _SURROGATE.search(found):
        raise InvalidValue(path, value, "holds half of a surrogate pair")
    return found


def plain_id(value: Any, path: str) -> str:
    """Return an id: 1 to 64 letters, digits, hyphens and underscores."""
    return json_reader.matching(value, path, PLAIN_ID, "an id: 1 to 64 letters, digits, '-' and '_'")


def duration(value: Any, path: str) -> str:
    """Return a duration, as text."""
    if not isinstance(value, str) or parse_duration(value) is None:
        raise InvalidValue(
            path, value, "must be a duration in days, hours, minutes and seconds, such as PT1H30M"
        )
    return value


def whole_number(low: int, high: int) -> Check:
    """Return a check for whole numbers; a number may be a string, as the az CLI sends it."""
    return partial(json_reader.whole_number, low=low, high=high, as_text=True)


def choice(*names: str) -> Check:
    """Return a check for one of some words in any case, which returns it in lower case."""
    return partial(json_reader.one_of, choices=names, any_case=True)


def array_of(item: Check) -> Check:
    """Return a check for arrays whose items pass a check."""

    def check(value: Any, path: str) -> list[Any]:
        items = json_reader.array(value, path)
        return [item(each, f"{path}[{index}]") for index, each in enumerate(items)]

    return check


def object_of(known: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """Return a check for objects that have only known members."""

    def check(value: Any, path: str) -> Members:
        return members(any_object(value, path), f"{path}.", known, required)

    return check


def _depth(value: object) -> int:
    """Return the nesting depth of a value, or the first depth beyond the limit."""
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
