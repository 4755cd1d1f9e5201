"""Checks compiled from the schemas of the fragment's answers; pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Check = Callable[[Any], None]

# A time of RFC 3339.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


class Violation(Exception):
    """An answer that breaks the contract.

    Attributes:
        path: The member at fault, such as ``taskCounts.failed``; ``$`` for the answer as a whole.
        reason: The fault, for people.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """Return a function that raises Violation for a value which the schema doesn't allow.

    It knows the keywords that the fragment's answers use; `make generate` refuses a fragment with others.
    A number is an integer only if it is written as one: 5.0 and 5e0 are not.
    """
    check_value = _compile(schema)

    def check(value: Any) -> None:
        try:
            check_value(value)
        except Violation as violation:
            violation.path = _under("$", violation.path)
            raise

    return check


def _under(name: str, path: str) -> str:
    """Return the path of a member under another one; the answer as a whole, ``$``, adds no name."""
    if not path or path.startswith("["):
        return name + path
    return path if name == "$" else f"{name}.{path}"


def _compile(schema: Mapping[str, Any]) -> Check:
    """Return a check whose violations have a path relative to the value; the callers add the rest."""
    match schema["type"]:
        case "object":
            return _object(schema)
        case "array":
            return _array(schema)
        case "integer":
            return _integer(schema)
        case "boolean":
            return _boolean
        case "string":
            return _time if schema.get("format") == "date-time" else _string
        case other:
            raise ValueError(f"no check for the type {other!r}")


def _object(schema: Mapping[str, Any]) -> Check:
    required = tuple(schema.get("required", ()))
    members = [(name, _compile(member)) for name, member in schema.get("properties", {}).items()]

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise Violation("", f"{_preview(value)} is not an object")
        for name in required:
            if name not in value:
                raise Violation(name, "the member is missing")
        try:
            for name, check_member in members:
                if name in value:
                    check_member(value[name])
        except Violation as violation:
            violation.path = _under(name, violation.path)
            raise

    numbers = [
        (name, *_range(member))
        for name, member in schema.get("properties", {}).items()
        if name in required and member["type"] == "integer"
    ]
    return check if len(numbers) < len(members) else _numbers(numbers, check)


def _numbers(ranges: list[tuple[str, int, int]], check: Check) -> Check:
    """Return a fast check of an object of numbers alone; a value that it doesn't accept goes to ``check``."""

    def quick_check(value: Any) -> None:
        if type(value) is dict:
            for name, least, most in ranges:
                number = value.get(name)
                if type(number) is not int or not least <= number <= most:
                    break
            else:
                return
        check(value)

    return quick_check


def _array(schema: Mapping[str, Any]) -> Check:
    check_item = _compile(schema["items"])

    def check(value: Any) -> None:
        if type(value) is not list:
            raise Violation("", f"{_preview(value)} is not an array")
        index = 0
        try:
            for index, item in enumerate(value):  # noqa: B007
                check_item(item)
        except Violation as violation:
            violation.path = _under(f"[{index}]", violation.path)
            raise

    return check


def _integer(schema: Mapping[str, Any]) -> Check:
    least, most = _range(schema)

    def check(value: Any) -> None:
        if type(value) is not int:
            raise Violation("", f"{_preview(value)} is not an integer")
        if not least <= value <= most:
            raise Violation("", f"{_preview(value)} is not within {least} to {most}")

    return check


def _range(schema: Mapping[str, Any]) -> tuple[int, int]:
    bits = {"int32": 31, "int64": 63}[schema["format"]]
    return max(schema.get("minimum", -(2**bits)), -(2**bits)), 2**bits - 1


def _string(value: Any) -> None:
    if type(value) is not str:
        raise Violation("", f"{_preview(value)} is not a string")


def _boolean(value: Any) -> None:
    if type(value) is not bool:
        raise Violation("", f"{_preview(value)} is neither true nor false")


def _time(value: Any) -> None:
    _string(value)
    try:
        sound = _TIME.fullmatch(value) is not None and bool(datetime.fromisoformat(value))
    except ValueError:
        sound = False
    if not sound:
        raise Violation("", f"{_preview(value)} is not a time")


def _preview(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value)
    # Only short values are shown: a part of a secret couldn't be redacted.
    return text if len(text) <= 12 else "a string" if isinstance(value, str) else "a number"
