"""From the bytes of an answer to counts, or to what is wrong with them; pure functions.

What is checked stands in the fragment: `taskcounts_rest.contract` is derived from it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from taskcounts.errors import one_line
from taskcounts.snapshot import Inconsistency

# Members that nobody has described are handed on, and have to be written and compared.
MAX_DEPTH = 100

Check = Callable[[Any, str], None]

# RFC 3339, as ISO 8601 is written in JSON.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


class Violation(Exception):
    """An answer breaks the contract: where, and how."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


def read_result(headers: Mapping[str, str], body: bytes, check: Check) -> dict[str, Any]:
    """Return the JSON object of a 200, exactly as the fragment describes it.

    Args:
        headers: The answer's headers, names in lower case.
        body: The body, whole.
        check: What the fragment says of it.

    Raises:
        Violation: The answer is anything else.
    """
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json":
        shown = f"is {media_type.strip()!r}" if media_type.strip() else "is missing"
        raise Violation("$", f"its content type {shown}, not application/json")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in ("utf-8", "us-ascii"):
            raise Violation("$", f"it is in {value.strip()!r}, not in UTF-8")
    result = read_json(headers, body)
    check(result, "$")
    return result  # type: ignore[no-any-return]


def read_error(
    headers: Mapping[str, str], body: bytes
) -> tuple[str | None, str | None, tuple[tuple[str, str], ...]]:
    """Return code, message and details of an error answer; what it doesn't tell in a readable way is None."""
    try:
        error = read_json(headers, body)
    except Violation:
        return None, None, ()
    if not isinstance(error, dict):
        return None, None, ()
    code, message, values = error.get("code"), error.get("message"), error.get("values")
    text = message.get("value") if isinstance(message, dict) else message
    details = tuple(
        (detail["key"], detail["value"])
        for detail in (values if isinstance(values, list) else ())
        if isinstance(detail, dict)
        and isinstance(detail.get("key"), str)
        and isinstance(detail.get("value"), str)
    )
    return code if isinstance(code, str) else None, text if isinstance(text, str) else None, details


def read_json(headers: Mapping[str, str], body: bytes) -> Any:
    """Return the JSON value of a body; refuse what parsers disagree about.

    Raises:
        Violation: Compressed unasked, not UTF-8, not JSON, a member given twice, NaN, or nested too deep.
    """
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        # None was asked for, and inflating what a stranger compressed has no bound.
        raise Violation("$", f"it is compressed ({coding}), which was not asked for")
    if not body:
        raise Violation("$", "it is empty")
    try:
        # Some proxies put a byte order mark in front; it says nothing but UTF-8.
        return json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_members,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        raise Violation("$", "it is not UTF-8") from None
    except RecursionError:
        raise Violation("$", "it is nested too deep") from None
    except ValueError as error:
        raise Violation("$", f"it is not JSON ({error})") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise Violation(name, "the member is there twice")
        members[name] = value
    return members


def _no_constant(name: str) -> NoReturn:
    raise Violation("$", f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Violation("$", f"{one_line(text, 20)} is too large a number")
    return number


def check_depth(value: Any, path: str) -> None:
    """Raise Violation for what is nested so deep that others can't write or compare it."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise Violation(path, "it is nested too deep")


def find_inconsistencies(
    invariants: Iterable[Mapping[str, Any]], result: Mapping[str, Any]
) -> tuple[Inconsistency, ...]:
    """Return which of the fragment's invariants a checked result breaks."""
    broken = []
    for rule in invariants:
        whole = _at(result, rule["whole"])
        parts = [_at(result, part) for part in rule["parts"]]
        if whole != sum(parts):
            path = ".".join(rule["whole"])
            names = " + ".join(part[-1] for part in rule["parts"])
            numbers = " + ".join(map(str, parts))
            text = f"{path} is {whole}, but {names} is {numbers} = {sum(parts)}"
            broken.append(Inconsistency(invariant=rule["name"], path=path, text=text))
    return tuple(broken)


def find_doubts(headers: Mapping[str, str]) -> tuple[Inconsistency, ...]:
    """Return what the headers of a 200 leave open: whether it belongs to our request, and is of now."""
    doubts = []
    if "client-request-id" not in headers:
        text = "the answer lacks the client-request-id that was asked for: it may belong to another request"
        doubts.append(Inconsistency(invariant="echo", path="client-request-id", text=text))
    if "request-id" not in headers:
        text = "the answer lacks the request-id that the service gives to each: it may be somebody else's"
        doubts.append(Inconsistency(invariant="request-id", path="request-id", text=text))
    if headers.get("age", "0").strip() != "0":
        text = f"the answer comes from a cache, where it is {one_line(headers['age'], 20)} seconds old"
        doubts.append(Inconsistency(invariant="age", path="age", text=text))
    return tuple(doubts)


def _at(result: Mapping[str, Any], path: tuple[str, ...]) -> int:
    value: Any = result
    for name in path:
        value = value[name]
    return int(value)


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """Return a function that raises Violation for a value which the schema doesn't allow.

    It knows the words that the fragment's answers use. `make generate` refuses a fragment with others.
    A number is an integer only if it is written as one: 5.0 and 5e0 are not.
    """
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
    members = [(name, compile_schema(member)) for name, member in schema.get("properties", {}).items()]

    def check(value: Any, path: str) -> None:
        if type(value) is not dict:
            raise Violation(path, f"{_shown(value)} is not an object")
        prefix = "" if path == "$" else path + "."
        for name in required:
            if name not in value:
                raise Violation(prefix + name, "the member is missing")
        for name, check_member in members:
            if name in value:
                check_member(value[name], prefix + name)

    return check


def _array(schema: Mapping[str, Any]) -> Check:
    check_item = compile_schema(schema["items"])

    def check(value: Any, path: str) -> None:
        if type(value) is not list:
            raise Violation(path, f"{_shown(value)} is not an array")
        for index, item in enumerate(value):
            check_item(item, f"{path}[{index}]")

    return check


def _integer(schema: Mapping[str, Any]) -> Check:
    bits = {"int32": 31, "int64": 63}[schema["format"]]
    least, most = max(schema.get("minimum", -(2**bits)), -(2**bits)), 2**bits - 1

    def check(value: Any, path: str) -> None:
        if type(value) is not int:
            raise Violation(path, f"{_shown(value)} is not an integer")
        if not least <= value <= most:
            raise Violation(path, f"{_shown(value)} is not within {least} to {most}")

    return check


def _string(value: Any, path: str) -> None:
    if type(value) is not str:
        raise Violation(path, f"{_shown(value)} is not a string")


def _boolean(value: Any, path: str) -> None:
    if type(value) is not bool:
        raise Violation(path, f"{_shown(value)} is neither true nor false")


def _time(value: Any, path: str) -> None:
    _string(value, path)
    try:
        sound = _TIME.fullmatch(value) is not None and bool(datetime.fromisoformat(value))
    except ValueError:
        sound = False
    if not sound:
        raise Violation(path, f"{_shown(value)} is not a time")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value)
    # Only what is short is shown: a part of something secret would be no easier to hide than the whole.
    return text if len(text) <= 12 else "a string" if isinstance(value, str) else "a number"
