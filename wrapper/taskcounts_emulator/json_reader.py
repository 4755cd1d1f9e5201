"""Reading JSON that a person wrote: strict, and with errors that name the place.

Every function takes the path of the value that it looks at, and every error begins with it.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from taskcounts_emulator.errors import EmulatorError

__all__ = [
    "PLAIN_ID",
    "array",
    "boolean",
    "members",
    "number",
    "one_of",
    "read_json",
    "show",
    "text",
    "whole_number",
]

# Letters, digits, hyphens and underscores, at most 64: what the service takes for most ids.
PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


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


def members(value: object, path: str, known: Collection[str]) -> dict[str, object]:
    """Return the members of an object that may have the ``known`` ones and no other."""
    if not isinstance(value, Mapping):
        raise EmulatorError(f"{path}: must be an object, not {show(value)}")
    for name in value:
        if name not in known:
            raise EmulatorError(f"{path}: unknown member {show(name)}; known are {', '.join(known)}")
    return dict(value)


def array(value: object, path: str) -> Sequence[object]:
    """Return the items of an array."""
    if not isinstance(value, list | tuple):
        raise EmulatorError(f"{path}: must be an array, not {show(value)}")
    return value


def text(value: object, path: str) -> str:
    """Return a string as it is."""
    if not isinstance(value, str):
        raise EmulatorError(f"{path}: must be a string, not {show(value)}")
    return value


def whole_number(value: object, path: str, low: int, high: int) -> int:
    """Return a whole number from ``low`` to ``high``; neither 5.0 nor true is one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise EmulatorError(f"{path}: must be a whole number, not {show(value)}")
    if not low <= value <= high:
        raise EmulatorError(f"{path}: must be from {low} to {high}, not {show(value)}")
    return value


def number(value: object, path: str, low: float, high: float) -> float:
    """Return a number from ``low`` to ``high``, whole or not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EmulatorError(f"{path}: must be a number, not {show(value)}")
    # Not a number is not within any limits, either.
    if not low <= value <= high:
        raise EmulatorError(f"{path}: must be from {low:g} to {high:g}, not {show(value)}")
    return float(value)


def boolean(value: object, path: str) -> bool:
    """Return true or false; neither 1 nor "true" is one."""
    if not isinstance(value, bool):
        raise EmulatorError(f"{path}: must be true or false, not {show(value)}")
    return value


def one_of(value: object, path: str, choices: Collection[str]) -> str:
    """Return a string that is one of some."""
    if not isinstance(value, str) or value not in choices:
        raise EmulatorError(f"{path}: must be one of {', '.join(choices)}, not {show(value)}")
    return value


def show(value: object) -> str:
    """Return a value as an error shows it: on one line, and short however long it is."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= 10**30:
        # Beyond 4300 digits Python refuses to write a number at all.
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
