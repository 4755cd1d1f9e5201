"""Snapshots and errors as JSON objects."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Snapshot

COUNTERS = ("active", "running", "completed", "succeeded", "failed")

# What errors carry, each only where an error has it.
ERROR_MEMBERS = {
    "job_id": "jobId",
    "attempts": "attempts",
    "client_request_id": "clientRequestId",
    "status": "status",
    "code": "code",
    "message": "message",
    "details": "details",
    "request_id": "requestId",
    "retry_after": "retryAfter",
    "path": "path",
    "answer": "answer",
}

# What a question about a job comes to; a ValueError is of what is no job id.
Result = Snapshot | TaskCountsError | ValueError


def result_record(result: Result, job_id: str = "") -> dict[str, Any]:
    """Return the JSON object of a result, in the service's words; without counts it has an ``error``.

    Args:
        result: The result.
        job_id: The job, as it was asked for; a result that knows its job needs none.
    """
    if not isinstance(result, Snapshot):
        error = error_record(result)
        return {"jobId": error.pop("jobId", "") or job_id, "error": error}
    return {
        "jobId": result.job_id,
        "taskCounts": {counter: getattr(result.task_counts, counter) for counter in COUNTERS},
        "taskSlotCounts": {counter: getattr(result.task_slot_counts, counter) for counter in COUNTERS},
        "total": result.total,
        "completed": result.completed,
        "percent": result.percent,
        "observedAt": result.observed_at.isoformat(),
        "requestId": result.request_id,
        "clientRequestId": result.client_request_id,
        "attempts": result.attempts,
        "inconsistencies": [
            {"invariant": broken.invariant, "path": broken.path, "text": broken.text}
            for broken in result.inconsistencies
        ],
        "exact": result.exact,
        "beganAt": None if result.began_at is None else result.began_at.isoformat(),
        "listed": None if result.listed is None else result_record(result.listed),
    }


def error_record(error: TaskCountsError | ValueError) -> dict[str, Any]:
    """Return the JSON object of an error: its type, its text, and the facts that it carries."""
    facts = dict(vars(error))
    if "details" in facts:
        facts["details"] = [list(pair) for pair in facts["details"]]
    return {"type": type(error).__name__, "text": str(error)} | {
        name: facts[attribute] for attribute, name in ERROR_MEMBERS.items() if attribute in facts
    }


def dumps(value: Any, indent: int | None = None) -> str:
    """Return JSON of a value, in which numbers that aren't finite are null: JSON knows none of them.

    Raises:
        ValueError: It has a number of too many digits.
        RecursionError: It is nested too deeply.
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite_values(value), indent=indent, allow_nan=False)


def _finite_values(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite_values(member) for name, member in value.items()}
    return [_finite_values(item) for item in value] if isinstance(value, list | tuple) else value
