"""Observations and verdicts from their JSON objects.

``parse(record(event))`` is the event again, with two exceptions that nobody needs: an error's cause isn't
kept, and a number that is not finite comes back as None. Names are the service's or like them (camelCase).
Members that aren't known are passed over, so that an older taskcounts reads what a newer one wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from taskcounts import errors
from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import FrozenMapping, Inconsistency, Snapshot, TaskCounts, TaskSlotCounts
from taskcounts.text import one_line
from taskcounts.waiting.values import Kind, Observation, Outcome, Verdict
from taskcounts_cli.output.records import COUNTERS, ERROR_MEMBERS

_ERRORS: dict[str, type[TaskCountsError]] = {name: getattr(errors, name) for name in errors.__all__}

# Beyond any count of tasks, and still a number that every window shows whole.
_MOST = 2**63 - 1

# Far from the ends of the calendar, so that there is room around each moment.
_FIRST_YEAR, _LAST_YEAR = 1000, 8999


class InvalidRecord(ValueError):
    """A line is none of our records; the text says why."""


def read(line: str | bytes) -> Observation | Verdict:
    """Return the event that a line of JSON records.

    Raises:
        InvalidRecord: It is none, or is cut off.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidRecord("it is no JSON") from None
    return parse(value)


def parse(value: object) -> Observation | Verdict:
    """Return the event of a JSON object.

    Raises:
        InvalidRecord: It isn't the record of an observation or a verdict.
    """
    source = _Members(value, "the line")
    kind = source.text("type")
    if kind == "observation":
        return _observation(source)
    if kind == "verdict":
        return _verdict(source)
    raise InvalidRecord(f"its type is {one_line(ascii(kind), 40)}: neither observation nor verdict")


def _observation(source: _Members) -> Observation:
    return Observation(
        job_id=source.text("jobId"),
        number=source.whole("number", least=1),
        at=source.time("at"),
        elapsed=source.seconds("elapsed"),
        kind=Kind(source.choice("kind", tuple(Kind))),
        snapshot=_snapshot(source.members("snapshot")),
        changed=source.flag("changed"),
        looked_for=source.text_or_none("lookedFor"),
        found=source.text_or_none("found"),
        job_state=source.text_or_none("jobState"),
        error=_error(source.members("error")),
        failures=source.whole("failures"),
        doubtful=source.flag("doubtful"),
        note=source.text_or_none("note"),
        rate=source.seconds_or_none("rate"),
        left=source.seconds_or_none("left"),
        pause=source.seconds("pause"),
    )


def _verdict(source: _Members) -> Verdict:
    return Verdict(
        job_id=source.text("jobId"),
        goal=source.text("goal"),
        outcome=Outcome(source.choice("outcome", tuple(Outcome))),
        text=source.text("text"),
        confirmed=source.flag("confirmed"),
        snapshot=_snapshot(source.members("snapshot")),
        task_id=source.text_or_none("taskId"),
        job_state=source.text_or_none("jobState"),
        error=_error(source.members("error")),
        polls=source.whole("polls"),
        failed_polls=source.whole("failedPolls"),
        began_at=source.time("beganAt"),
        ended_at=source.time("endedAt"),
        elapsed=source.seconds("elapsed"),
    )


def _snapshot(source: _Members | None) -> Snapshot | None:
    if source is None:
        return None
    tasks, slots = source.needed("taskCounts"), source.needed("taskSlotCounts")
    return Snapshot(
        job_id=source.text("jobId"),
        task_counts=TaskCounts.from_dict(tasks.counts()),
        task_slot_counts=TaskSlotCounts.from_dict(slots.counts()),
        observed_at=source.time("observedAt"),
        request_id=source.text_or_none("requestId"),
        client_request_id=source.text("clientRequestId"),
        attempts=source.whole("attempts"),
        inconsistencies=tuple(
            Inconsistency(each.text("invariant"), each.text("path"), each.text("text"))
            for each in source.list_of("inconsistencies")
        ),
        additional_properties=source.mapping("additionalProperties"),
        exact=source.flag("exact"),
        began_at=None if source.get("beganAt") is None else source.time("beganAt"),
        listed=_snapshot(source.members("listed")),
    )


def _error(source: _Members | None) -> TaskCountsError | None:
    """Return an error of the recorded type; of one that isn't known, the root."""
    if source is None:
        return None
    facts: dict[str, Any] = {
        attribute: source.get(name) for attribute, name in ERROR_MEMBERS.items() if name in source
    }
    if "details" in facts:
        facts["details"] = tuple(source.pairs("details"))
    return _ERRORS.get(source.text("type"), TaskCountsError)(source.text("text"), **facts)


class _Members:
    """The members of a JSON object, each of its type or refused."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise InvalidRecord(f"{where} is no JSON object")
        self._members: Mapping[str, Any] = value

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def get(self, name: str) -> Any:
        return self._members.get(name)

    def _typed(self, name: str, kinds: type | tuple[type, ...], what: str) -> Any:
        if name not in self._members:
            raise InvalidRecord(f"its member {name} is missing")
        value = self._members[name]
        # To Python, true is a number.
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise InvalidRecord(f"its member {name} is no {what}")
        return value

    def text(self, name: str) -> str:
        return str(self._typed(name, str, "text"))

    def text_or_none(self, name: str) -> str | None:
        return None if self.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        return bool(self._typed(name, bool, "true or false"))

    def whole(self, name: str, least: int = 0) -> int:
        value = int(self._typed(name, int, "whole number"))
        if not least <= value <= _MOST:
            raise InvalidRecord(f"its member {name} is out of range")
        return value

    def seconds(self, name: str) -> float:
        value = self._typed(name, (int, float), "number")
        if not 0 <= value <= _MOST:
            raise InvalidRecord(f"its member {name} is out of range")
        return float(value)

    def seconds_or_none(self, name: str) -> float | None:
        return None if self.get(name) is None else self.seconds(name)

    def time(self, name: str) -> datetime:
        try:
            moment = datetime.fromisoformat(self.text(name))
        except InvalidRecord:
            raise
        except ValueError:
            raise InvalidRecord(f"its member {name} is no time") from None
        if moment.tzinfo is None:
            raise InvalidRecord(f"its member {name} is a time without a zone")
        # Where calendars end, so does what can be reckoned and drawn.
        if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            raise InvalidRecord(f"its member {name} is out of range")
        return moment

    def choice(self, name: str, known: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in known:
            raise InvalidRecord(f"its member {name} is {one_line(ascii(value), 40)}, which isn't known")
        return value

    def members(self, name: str) -> _Members | None:
        return None if self.get(name) is None else self.needed(name)

    def needed(self, name: str) -> _Members:
        return _Members(self._typed(name, Mapping, "JSON object"), f"its member {name}")

    def frozen(self) -> FrozenMapping:
        try:
            return FrozenMapping(self._members)
        except ValueError as error:
            raise InvalidRecord(str(error)) from None

    def mapping(self, name: str) -> Mapping[str, Any]:
        return {} if self.get(name) is None else self.needed(name).frozen()

    def counts(self) -> Mapping[str, Any]:
        for counter in COUNTERS:
            self.whole(counter)
        return self.frozen()

    def list_of(self, name: str) -> list[_Members]:
        return [_Members(each, f"an item of {name}") for each in self._typed(name, list, "list")]

    def pairs(self, name: str) -> list[tuple[str, str]]:
        pairs = self._typed(name, list, "list")
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise InvalidRecord(f"its member {name} is no list of pairs")
        return [(str(key), str(value)) for key, value in pairs]
