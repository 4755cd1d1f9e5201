"""Observations and verdicts as JSON objects: what is recorded is what was seen."""

from __future__ import annotations

import math
from typing import Any

from taskcounts.snapshot import Snapshot
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.messages import print_warning
from taskcounts_cli.output.records import dumps, error_record, result_record


def record(event: Observation | Verdict) -> dict[str, Any]:
    """Return the JSON object of an observation or a verdict; its ``type`` says which it is."""
    if isinstance(event, Verdict):
        return {
            "type": "verdict",
            "jobId": event.job_id,
            "goal": event.goal,
            "outcome": str(event.outcome),
            "text": event.text,
            "confirmed": event.confirmed,
            "snapshot": _snapshot_record(event.snapshot),
            "taskId": event.task_id,
            "jobState": event.job_state,
            "error": None if event.error is None else error_record(event.error),
            "polls": event.polls,
            "failedPolls": event.failed_polls,
            "beganAt": event.began_at.isoformat(),
            "endedAt": event.ended_at.isoformat(),
            "elapsed": event.elapsed,
        }
    return {
        "type": "observation",
        "jobId": event.job_id,
        "number": event.number,
        "at": event.at.isoformat(),
        "elapsed": event.elapsed,
        "kind": str(event.kind),
        "changed": event.changed,
        "snapshot": _snapshot_record(event.snapshot),
        "lookedFor": event.looked_for,
        "found": event.found,
        "jobState": event.job_state,
        "error": None if event.error is None else error_record(event.error),
        "failures": event.failures,
        "doubtful": event.doubtful,
        "note": event.note,
        "rate": _finite(event.rate),
        "left": _finite(event.left),
        "pause": event.pause,
    }


def write(event: Observation | Verdict) -> str:
    """Return the record of an event as one line of JSON, in ASCII, without an end of line.

    Raises:
        ValueError, RecursionError: What the service added to the counts can't be written.
    """
    return dumps(record(event))


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _snapshot_record(snapshot: Snapshot | None) -> dict[str, Any] | None:
    """Return what every command shows of a snapshot, and the rest of it."""
    if snapshot is None:
        return None
    whole = result_record(snapshot) | {
        # With the members that only the service knows.
        "taskCounts": snapshot.task_counts.to_dict(),
        "taskSlotCounts": snapshot.task_slot_counts.to_dict(),
        "listed": _snapshot_record(snapshot.listed),
    }
    if snapshot.additional_properties:
        whole["additionalProperties"] = snapshot.additional_properties.to_dict()
    return whole


def event_line(value: dict[str, Any]) -> str:
    """Return the JSON line of an event; see `writable`."""
    try:
        return dumps(value)
    except (ValueError, RecursionError):
        return dumps(serializable(value))


def serializable(value: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object of an event, without its counts if what the service added can't be written."""
    try:
        # With lines for people it takes the most; and somebody may put it into a list.
        dumps([[[[value]]]], indent=2)
    except (ValueError, RecursionError):
        text = f"what the service added to the counts of job {value['jobId']!r} can't be written as JSON"
        print_warning(f"{text}; its snapshot is left out")
        return value | {"snapshot": None}
    return value
