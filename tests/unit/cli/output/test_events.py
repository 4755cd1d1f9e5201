"""Observations and verdicts as JSON objects."""

from __future__ import annotations

import json
import math

import pytest

from support.observations import judged, seen, snapshot, unserializable
from taskcounts_cli.output.events import event_json, event_line, event_record, serializable
from taskcounts_cli.recording.parser import parse_line


def test_an_event_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    """An event that JSON can't hold is written without its snapshot, with a warning."""
    event = judged("j", snapshot=unserializable())
    assert json.loads(event_line(event_record(event))) == event_record(event) | {"snapshot": None}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: what the service added to the counts of job 'j' can't be written")
    fine = event_record(judged("j"))
    assert serializable(fine) is fine


def test_numbers_that_are_not_finite_are_null() -> None:
    """An observation whose numbers JSON cannot hold is written with null."""
    event = seen("j", snapshot=snapshot("j", additional_properties={"more": [math.inf]}))
    again = parse_line(event_json(event))
    assert again.snapshot is not None
    assert again.snapshot.additional_properties == {"more": (None,)}
