"""Observations and verdicts as JSON objects, for programs and for recordings.

The names of members are those of the attributes, in camelCase; a member ``type`` tells the two kinds apart.
`recording.parser` reads them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import fields

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Snapshot
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.messages import print_warning
from taskcounts_cli.output.records import camel_case, dumps, error_record, result_record


def event_record(event: Observation | Verdict) -> dict[str, Any]:
    """Return the JSON object of an observation or a verdict."""
    kind = "verdict" if isinstance(event, Verdict) else "observation"
    return {"type": kind} | {
        camel_case(each.name): _json_value(getattr(event, each.name)) for each in fields(type(event))
    }


def event_json(event: Observation | Verdict) -> str:
    """Return the JSON object of an event as one line of ASCII, without a newline.

    Raises:
        ValueError, RecursionError: JSON can't hold what the service added to the counts.
    """
    return dumps(event_record(event))


def _json_value(value: object) -> object:
    if isinstance(value, Snapshot):
        return _snapshot_record(value)
    if isinstance(value, TaskCountsError):
        return error_record(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return str(value)
    return value


def _snapshot_record(snapshot: Snapshot) -> dict[str, Any]:
    """Return the JSON object of a snapshot, with the members that only the service knows."""
    whole = result_record(snapshot) | {
        "taskCounts": snapshot.task_counts.to_dict(),
        "taskSlotCounts": snapshot.task_slot_counts.to_dict(),
        "listed": None if snapshot.listed is None else _snapshot_record(snapshot.listed),
    }
    if snapshot.additional_properties:
        whole["additionalProperties"] = snapshot.additional_properties.to_dict()
    return whole


def event_line(record: dict[str, Any]) -> str:
    """Return the JSON line of an event's object; see `serializable`."""
    try:
        return dumps(record)
    except (ValueError, RecursionError):
        return dumps(serializable(record))


def serializable(record: dict[str, Any]) -> dict[str, Any]:
    """Return an event's object; if JSON can't hold its snapshot, warn, and return it without."""
    try:
        # As deep as callers put it, and with the indentation that makes the encoder recurse most.
        dumps([[[[record]]]], indent=2)
    except (ValueError, RecursionError):
        text = f"what the service added to the counts of job {record['jobId']!r} can't be written as JSON"
        print_warning(f"{text}; its snapshot is left out")
        return record | {"snapshot": None}
    return record
