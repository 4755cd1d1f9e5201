"""Snapshots and errors as JSON objects, with the service's names or names like them (camelCase)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Snapshot

COUNTERS = ("active", "running", "completed", "succeeded", "failed")

# The attributes that errors may carry, in the order in which they are written.
ERROR_ATTRIBUTES = (
    "job_id",
    "attempts",
    "client_request_id",
    "api_version",
    "status",
    "code",
    "message",
    "details",
    "request_id",
    "retry_after",
    "path",
    "answer",
)

# The answer for a job; a ValueError refuses an invalid job id.
Result = Snapshot | TaskCountsError | ValueError


def camel_case(name: str) -> str:
    """Return the JSON name of an attribute, such as ``jobId`` for ``job_id``."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def result_record(result: Result, job_id: str = "") -> dict[str, Any]:
    """Return the JSON object of a result; without counts it has a member ``error``.

    Args:
        result: The result.
        job_id: The job as the user named it, for an error that doesn't know its job.
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
        "apiVersion": result.api_version,
    }


def error_record(error: TaskCountsError | ValueError) -> dict[str, Any]:
    """Return the JSON object of an error: its type, its text, and the attributes that it carries."""
    attributes = vars(error)
    return {"type": type(error).__name__, "text": str(error)} | {
        camel_case(name): list(map(list, attributes[name])) if name == "details" else attributes[name]
        for name in ERROR_ATTRIBUTES
        if name in attributes
    }


def dumps(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON in ASCII; a number that isn't finite becomes null, since JSON has none.

    Raises:
        ValueError: A number has too many digits for Python to write.
        RecursionError: The value is nested too deeply.
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(member) for name, member in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
