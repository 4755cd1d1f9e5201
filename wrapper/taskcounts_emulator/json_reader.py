"""A strict JSON reader, whose errors name the place: for scenarios, the admin API and bodies of requests.

Each check takes a value and its path, such as ``jobs[0].tasks[2].state``, and returns the value.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from taskcounts_emulator.errors import EmulatorError

__all__ = [
    "PLAIN_ID",
    "InvalidValue",
    "any_object",
    "array",
    "boolean",
    "matching",
    "members",
    "number",
    "one_of",
    "optional",
    "read_json",
    "show",
    "text",
    "whole_number",
]

# The service takes these ids for most resources.
PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

T = TypeVar("T")

_WHOLE = re.compile(r"-?[0-9]{1,10}")


class InvalidValue(EmulatorError):
    """A value is not what its place requires.

    Attributes:
        path: The path of the value.
        value: The value.
        requirement: The rest of a sentence that begins with the path, such as "must be a string".
    """

    def __init__(self, path: str, value: object, requirement: str) -> None:
        super().__init__(f"{path}: {requirement}, not {show(value)}")
        self.path = path
        self.value = value
        self.requirement = requirement


def read_json(source: str | bytes) -> object:
    """Return the value of a JSON text.

    Raises:
        EmulatorError: It is not JSON, or an object has the same member twice.
    """
    try:
        if isinstance(source, bytes):
            source = source.decode("utf-8-sig")
        value: object = json.loads(source, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError:
        raise EmulatorError("not JSON: nested too deeply") from None
    except ValueError as error:
        raise EmulatorError(f"not JSON: {error}") from error
    return value


def members(
    value: object, path: str, known: Collection[str], required: Collection[str] = ()
) -> dict[str, object]:
    """Return the members of an object that has no unknown ones and lacks no required one."""
    given = any_object(value, path)
    for name in given:
        if name not in known:
            raise EmulatorError(f"{path}: unknown member {show(name)}; known are {', '.join(known)}")
    for name in required:
        if name not in given:
            raise EmulatorError(f"{path}: the member {name!r} is missing")
    return dict(given)


def any_object(value: Any, path: str) -> dict[str, Any]:
    """Return an object with any members."""
    if not isinstance(value, Mapping):
        raise InvalidValue(path, value, "must be an object")
    return value  # type: ignore[return-value] # Nobody changes it.


def array(value: Any, path: str) -> Sequence[Any]:
    """Return an array with any items."""
    if not isinstance(value, list | tuple):
        raise InvalidValue(path, value, "must be an array")
    return value


def text(value: object, path: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise InvalidValue(path, value, "must be a string")
    return value


def matching(value: object, path: str, pattern: re.Pattern[str], description: str) -> str:
    """Return a string that a pattern matches as a whole."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidValue(path, value, f"must be {description}")
    return value


def whole_number(value: object, path: str, low: int, high: int, *, as_text: bool = False) -> int:
    """Return a whole number from ``low`` to ``high``; neither 5.0 nor true is one.

    Args:
        value: The value.
        path: Its path.
        low: The lowest number.
        high: The highest number.
        as_text: Take a string of up to ten digits, too.
    """
    found = int(value) if as_text and isinstance(value, str) and _WHOLE.fullmatch(value) else value
    if isinstance(found, bool) or not isinstance(found, int):
        raise InvalidValue(path, value, "must be a whole number")
    if not low <= found <= high:
        raise InvalidValue(path, value, f"must be from {low} to {high}")
    return found


def number(value: object, path: str, low: float, high: float) -> float:
    """Return a number from ``low`` to ``high``, whole or not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue(path, value, "must be a number")
    # The comparison is false for NaN, too.
    if not low <= value <= high:
        raise InvalidValue(path, value, f"must be from {low:g} to {high:g}")
    return float(value)


def boolean(value: object, path: str) -> bool:
    """Return true or false; neither 1 nor "true" is one."""
    if not isinstance(value, bool):
        raise InvalidValue(path, value, "must be true or false")
    return value


def one_of(value: object, path: str, choices: Collection[str], *, any_case: bool = False) -> str:
    """Return a string that is one of the choices, in lower case if the case is free."""
    found = value.lower() if any_case and isinstance(value, str) else value
    if not isinstance(found, str) or found not in choices:
        raise InvalidValue(path, value, f"must be one of {', '.join(choices)}")
    return found


def optional(check: Callable[..., T], value: object, path: str, *limits: object) -> T | None:
    """Return a value as its check returns it, or None for null."""
    return None if value is None else check(value, path, *limits)


def show(value: object) -> str:
    """Return a value for an error message: on one line, and shortened if it is long."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= 10**30:
        # Python refuses to write a number of more than 4300 digits.
        return "a number of more than 30 digits"
    return reprlib.repr(value)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"an object has the member {show(name)} twice")
        found[name] = value
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
