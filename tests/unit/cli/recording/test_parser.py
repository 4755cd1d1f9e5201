"""Records are read back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from support.observations import BUSY, NOON, failed, judged, observations, seen, snapshot, verdicts
from support.strategies import json_values
from taskcounts.errors import JobNotFound, TaskCountsError
from taskcounts.snapshot import Inconsistency
from taskcounts.waiting.values import Kind, Observation, Verdict
from taskcounts_cli.output.events import event_json, event_record
from taskcounts_cli.recording.parser import InvalidRecord, parse_event, parse_line


def facts(event: Observation | Verdict) -> tuple[object, ...]:
    """Return an event with its errors as comparable values: type, text and attributes."""
    error = event.error
    return evolve(event, error=None), error and (type(error), str(error), vars(error))


@given(observations | verdicts)
def test_events_are_read_as_they_were_written(event: Observation | Verdict) -> None:
    """Law: a record is one line of ASCII, and is parsed into the same event."""
    line = event_json(event)
    assert line.isascii()
    assert "\n" not in line
    assert facts(parse_line(line)) == facts(event)
    assert facts(parse_line(line.encode() + b"\n")) == facts(event)


@given(json_values | st.dictionaries(st.sampled_from(list(event_record(seen("j")))), json_values))
def test_anything_else_is_refused(value: object) -> None:
    """Law: JSON that is not a record is refused with a one-line InvalidRecord."""
    with pytest.raises(InvalidRecord) as caught:
        parse_event(value)
    assert str(caught.value).isprintable()


def members(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all members of a JSON value."""
    if isinstance(value, dict):
        return [
            each
            for name, member in value.items()
            for each in [(*path, name), *members(member, (*path, name))]
        ]
    if isinstance(value, list):
        return [each for n, member in enumerate(value) for each in members(member, (*path, n))]
    return []


WHOLE = [
    failed(
        "j",
        snapshot=snapshot("j", inconsistencies=(Inconsistency("echo", "path", "text"),)),
        found="t",
        looked_for="any",
        note="n",
        job_state="active",
        rate=1.0,
        left=2.0,
    ),
    judged("j", error=BUSY, task_id="t", job_state="active"),
]
# Members of a snapshot for other programs: we know them from the rest.
UNREAD = {"total", "completed", "percent"}
OPTIONAL = {"lookedFor", "found", "jobState", "error", "note", "rate", "left", "snapshot", "taskId"}
OPTIONAL |= {"requestId", "beganAt", "listed", "details", "apiVersion"}


@pytest.mark.parametrize("event", WHOLE)
def test_each_member_is_checked(event: Observation | Verdict) -> None:
    """A line is refused if a member has a wrong type, or a required one is missing."""
    for *way, last in members(event_record(event)):
        if (way == ["snapshot"] and last in UNREAD) or (
            way == ["error"] and last not in ("type", "text", "details")
        ):
            continue
        for missing in (False, True):
            changed = target = json.loads(event_json(event))
            for step in way:
                target = target[step]
            if missing:
                del target[last]
            else:
                # Of no member.
                target[last] = ["wrong"]
            # The list of a single inconsistency may be empty.
            if missing and (last in OPTIONAL or last == 0 or way == ["error", "details", 0]):
                continue
            with pytest.raises(InvalidRecord):
                parse_event(changed)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "the line is not a JSON object"),
        ("{}", "its member type is missing"),
        ('{"type": "x\\ny"}', "its type is 'x\\ny', not observation or verdict"),
        ('{"type": 1}', "its member type is not text"),
    ],
)
def test_an_invalid_record_is_refused_with_the_reason(line: str | bytes, says: str) -> None:
    """The error says why the line is not a record."""
    with pytest.raises(InvalidRecord, match="^" + re.escape(says)):
        parse_line(line)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"at": "2024-08-01T12:00:00"}, "its member at is a time without a zone"),
        ({"at": "noon"}, "its member at is not a time"),
        ({"kind": "guess"}, "its member kind is 'guess', which is unknown"),
        ({"number": 0}, "its member number is out of range"),
        ({"elapsed": 1e300}, "its member elapsed is out of range"),
        ({"elapsed": math.nan}, "its member elapsed is out of range"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, object], says: str) -> None:
    """Numbers, times and names that a wait cannot report are refused."""
    with pytest.raises(InvalidRecord, match=says):
        parse_event(event_record(seen("j")) | change)


def test_numbers_that_are_not_finite_are_left_out() -> None:
    """A rate or time that is not finite is written as null, and read as unknown."""
    known = parse_line(event_json(seen("j", rate=math.inf, left=math.nan)))
    assert isinstance(known, Observation)
    assert (known.rate, known.left) == (None, None)


def test_errors_of_a_later_version() -> None:
    """An error of an unknown type is read as TaskCountsError; a known one keeps its type."""
    value = event_record(failed("j"))
    value["error"] |= {"type": "QuotaExceeded"}
    known = parse_event(value)
    assert type(known.error) is TaskCountsError
    assert str(known.error) == str(BUSY)
    value["error"] |= {"type": "JobNotFound"}
    assert type(parse_event(value).error) is JobNotFound


@pytest.mark.parametrize(
    ("details", "says"),
    [
        (None, "its member error.details is not a list"),
        ([["Reason", "Load"], ["Reason"]], "its member error.details[1] is not a pair"),
        (["Reason"], "its member error.details[0] is not a list"),
    ],
)
def test_a_broken_member_is_named_by_its_path(details: object, says: str) -> None:
    """The error names a nested member by its whole path."""
    value = event_record(failed("j"))
    value["error"] |= {"details": details}
    with pytest.raises(InvalidRecord, match=f"^{re.escape(says)}$"):
        parse_event(value)


def test_members_of_a_later_version() -> None:
    """Unknown members are ignored."""
    assert parse_event(event_record(seen("j")) | {"colour": "green"}) == seen("j")


def test_a_record_in_the_services_words() -> None:
    """Members have the service's names where it has any."""
    value = event_record(seen("j", kind=Kind.EXACT, snapshot=snapshot("j", exact=True, began_at=NOON)))
    assert value["type"] == "observation"
    assert value["snapshot"]["taskCounts"] == {
        "active": 6, "running": 16, "completed": 38, "succeeded": 36, "failed": 2
    }  # fmt: skip
    assert value["snapshot"]["exact"] is True
    assert value["snapshot"]["beganAt"] == "2024-08-01T12:00:00+00:00"


@pytest.mark.parametrize("where", [(), ("taskCounts",), ("taskSlotCounts",)])
def test_deeply_nested_lines_are_refused(where: tuple[str, ...]) -> None:
    """Unknown members are kept up to the depth that an answer may have; deeper ones are refused."""
    for depth, sound in ((90, True), (300, False)):
        deep: object = []
        for _ in range(depth):
            deep = [deep]
        source = event_record(seen("j", snapshot=snapshot("j")))
        holder = source["snapshot"]
        for name in where:
            holder = holder[name]
        holder["additionalProperties"] = {"more": deep}
        if sound:
            assert event_record(parse_event(source)) == source
        else:
            with pytest.raises(InvalidRecord, match="nested too deeply"):
                parse_event(source)


@pytest.mark.parametrize("year", [1, 2, 999, 9000, 9998, 9999])
def test_times_at_the_ends_of_the_calendar(year: int) -> None:
    """A line is refused if its time is too close to an end of the calendar to calculate with."""
    value = event_record(seen("j")) | {"at": datetime(year, 6, 1, tzinfo=UTC).isoformat()}
    with pytest.raises(InvalidRecord, match="its member at is out of range"):
        parse_event(value)
