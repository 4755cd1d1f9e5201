"""Observations and verdicts read back from their JSON objects.

``parse_event(event_record(event))`` equals the event, but for two things that nobody needs: the cause of an
error, and a number that isn't finite, which comes back as None. Unknown members are ignored, so that an
older taskcounts reads what a newer one wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from taskcounts import errors
from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import FrozenMapping, Inconsistency, Snapshot, TaskCounts, TaskSlotCounts
from taskcounts.text import one_line
from taskcounts.waiting.values import Kind, Observation, Outcome, Verdict
from taskcounts_cli.output.records import COUNTERS, ERROR_ATTRIBUTES, camel_case

_ERRORS: dict[str, type[TaskCountsError]] = {name: getattr(errors, name) for name in errors.__all__}

# More than any count of tasks, and still short enough for every window.
_MAX_NUMBER = 2**63 - 1

# Far from the ends of the calendar: times are added to and drawn with a margin.
_FIRST_YEAR, _LAST_YEAR = 1000, 8999

_MISSING = object()

# Takes a member's value, _MISSING if there is none, and its path; returns the value in its type.
Reader = Callable[[Any, str], Any]


class InvalidRecord(ValueError):
    """A line doesn't record an event; the text says why."""


class Interruption(InvalidRecord):
    """A line records that a session was interrupted, which isn't an event to display."""


def parse_line(line: str | bytes) -> Observation | Verdict:
    """Return the event that a line of JSON records.

    Raises:
        InvalidRecord: The line records no event, or is cut off.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidRecord("it is not JSON") from None
    return parse_event(value)


def parse_event(value: object) -> Observation | Verdict:
    """Return the event of a JSON object.

    Raises:
        InvalidRecord: The value is not the object of an observation or a verdict.
    """
    kind = _text(_object(value, "").get("type", _MISSING), "type")
    if kind == "interruption":
        raise Interruption("it records an interruption")
    if kind not in _EVENTS:
        raise InvalidRecord(f"its type is {one_line(ascii(kind), 40)}, not observation or verdict")
    event: Observation | Verdict = _EVENTS[kind](value, "")
    return event


def _fail(path: str, problem: str) -> InvalidRecord:
    return InvalidRecord(f"its member {path} {problem}" if path else f"the line {problem}")


def _typed(kind: type, name: str, *others: type, least: int | None = None) -> Reader:
    """Return a reader of values of some types; of numbers from ``least`` on, if that is given."""

    def read(value: Any, path: str) -> Any:
        if value is _MISSING:
            raise _fail(path, "is missing")
        # Not isinstance: to Python, true is a number.
        if type(value) not in (kind, *others):
            raise _fail(path, f"is not {name}")
        if least is not None and not least <= value <= _MAX_NUMBER:
            raise _fail(path, "is out of range")
        return value if others == () else kind(value)

    return read


_text = _typed(str, "text")
_flag = _typed(bool, "true or false")
_object = _typed(dict, "a JSON object")
_list = _typed(list, "a list")
_count = _typed(int, "a whole number", least=0)
_seconds = _typed(float, "a number", int, least=0)


def _time(value: Any, path: str) -> datetime:
    text = _text(value, path)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _fail(path, "is not a time") from None
    if moment.tzinfo is None:
        raise _fail(path, "is a time without a zone")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise _fail(path, "is out of range")
    return moment


def _one_of(values: type[StrEnum]) -> Reader:
    def read(value: Any, path: str) -> StrEnum:
        if (text := _text(value, path)) not in set(values):
            raise _fail(path, f"is {one_line(ascii(text), 40)}, which is unknown")
        return values(text)

    return read


def _optional(reader: Reader) -> Reader:
    """Return a reader that takes null or a missing member for None."""
    return lambda value, path: None if value is _MISSING or value is None else reader(value, path)


def _list_of(reader: Reader) -> Reader:
    return lambda value, path: tuple(
        reader(item, f"{path}[{number}]") for number, item in enumerate(_list(value, path))
    )


def _members(build: Callable[..., Any], **readers: Reader) -> Reader:
    """Return a reader of objects whose members are keyword arguments, with names in camelCase."""

    def read(value: Any, path: str) -> Any:
        source = _object(value, path)
        return build(
            **{
                name: reader(
                    source.get(camel_case(name), _MISSING), f"{path}.{camel_case(name)}".removeprefix(".")
                )
                for name, reader in readers.items()
            }
        )

    return read


def _frozen(value: Any, path: str) -> Mapping[str, Any]:
    members = _object(value, path)
    try:
        return FrozenMapping(members)
    except ValueError as error:
        raise InvalidRecord(str(error)) from None


def _counts(kind: type[TaskCounts] | type[TaskSlotCounts]) -> Reader:
    check = _members(dict, **dict.fromkeys(COUNTERS, _count))

    def read(value: Any, path: str) -> Any:
        check(value, path)
        return kind.from_dict(_frozen(value, path))

    return read


def _pair(value: Any, path: str) -> tuple[str, str]:
    if len(_list(value, path)) != 2:
        raise _fail(path, "is not a pair")
    return str(value[0]), str(value[1])


def _error(value: Any, path: str) -> TaskCountsError:
    """Return an error of the recorded type, or of the root type if that one is unknown."""
    source = _object(value, path)
    name, text = (_text(source.get(member, _MISSING), f"{path}.{member}") for member in ("type", "text"))
    attributes = {each: source[camel_case(each)] for each in ERROR_ATTRIBUTES if camel_case(each) in source}
    if "details" in attributes:
        attributes["details"] = _list_of(_pair)(attributes["details"], f"{path}.details")
    return _ERRORS.get(name, TaskCountsError)(text, **attributes)


def _snapshot(value: Any, path: str) -> Snapshot:
    snapshot: Snapshot = _SNAPSHOT(value, path)
    return snapshot


_SNAPSHOT = _members(
    Snapshot,
    job_id=_text,
    task_counts=_counts(TaskCounts),
    task_slot_counts=_counts(TaskSlotCounts),
    observed_at=_time,
    request_id=_optional(_text),
    client_request_id=_text,
    attempts=_count,
    inconsistencies=_list_of(_members(Inconsistency, invariant=_text, path=_text, text=_text)),
    additional_properties=lambda value, path: _optional(_frozen)(value, path) or {},
    exact=_flag,
    began_at=_optional(_time),
    listed=_optional(_snapshot),
    api_version=_optional(_text),
)

_EVENTS = {
    "observation": _members(
        Observation,
        job_id=_text,
        number=_typed(int, "a whole number", least=1),
        at=_time,
        elapsed=_seconds,
        kind=_one_of(Kind),
        snapshot=_optional(_snapshot),
        changed=_flag,
        looked_for=_optional(_text),
        found=_optional(_text),
        job_state=_optional(_text),
        error=_optional(_error),
        failures=_count,
        doubtful=_flag,
        note=_optional(_text),
        rate=_optional(_seconds),
        left=_optional(_seconds),
        pause=_seconds,
    ),
    "verdict": _members(
        Verdict,
        job_id=_text,
        goal=_text,
        outcome=_one_of(Outcome),
        text=_text,
        confirmed=_flag,
        snapshot=_optional(_snapshot),
        task_id=_optional(_text),
        job_state=_optional(_text),
        error=_optional(_error),
        polls=_count,
        failed_polls=_count,
        began_at=_time,
        ended_at=_time,
        elapsed=_seconds,
    ),
}
