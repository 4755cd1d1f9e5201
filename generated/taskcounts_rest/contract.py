"""What the fragment says of the operation, as data; derived from spec/ by `make generate`."""

from __future__ import annotations

from typing import Any, Final

API_VERSION: Final[str] = "2024-07-01.20.0"
METHOD: Final[str] = "GET"
PATH: Final[str] = "/jobs/{jobId}/taskcounts"
MEDIA_TYPE: Final[str] = "application/json; odata=minimalmetadata"
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "jobId": {
        "in": "path",
        "type": "string",
        "minLength": 1,
        "maxLength": 79,
        "pattern": "^[A-Za-z0-9_-]{1,64}(:job-[0-9]{1,10})?$",
    },
    "api-version": {
        "in": "query",
        "type": "string",
        "const": "2024-07-01.20.0",
        "default": "2024-07-01.20.0",
    },
    "timeout": {"in": "query", "type": "integer", "format": "int32", "minimum": 1},
    "client-request-id": {"in": "header", "type": "string", "format": "uuid"},
    "return-client-request-id": {"in": "header", "type": "boolean"},
    "ocp-date": {"in": "header", "type": "string", "format": "date-time-rfc1123"},
}
RESULT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["taskCounts", "taskSlotCounts"],
    "properties": {
        "taskCounts": {
            "type": "object",
            "required": ["active", "running", "completed", "succeeded", "failed"],
            "properties": {
                "active": {"type": "integer", "format": "int32", "minimum": 0},
                "running": {"type": "integer", "format": "int32", "minimum": 0},
                "completed": {"type": "integer", "format": "int32", "minimum": 0},
                "succeeded": {"type": "integer", "format": "int32", "minimum": 0},
                "failed": {"type": "integer", "format": "int32", "minimum": 0},
            },
        },
        "taskSlotCounts": {
            "type": "object",
            "required": ["active", "running", "completed", "succeeded", "failed"],
            "properties": {
                "active": {"type": "integer", "format": "int32", "minimum": 0},
                "running": {"type": "integer", "format": "int32", "minimum": 0},
                "completed": {"type": "integer", "format": "int32", "minimum": 0},
                "succeeded": {"type": "integer", "format": "int32", "minimum": 0},
                "failed": {"type": "integer", "format": "int32", "minimum": 0},
            },
        },
    },
}
ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "message": {
            "type": "object",
            "properties": {"lang": {"type": "string"}, "value": {"type": "string"}},
        },
        "values": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"key": {"type": "string"}, "value": {"type": "string"}},
            },
        },
    },
}
INVARIANTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "task-counts-completed",
        "description": "A completed task has either succeeded or failed.",
        "whole": ("taskCounts", "completed"),
        "parts": (("taskCounts", "succeeded"), ("taskCounts", "failed")),
    },
    {
        "name": "task-slot-counts-completed",
        "description": "A slot of a completed task belongs to one that succeeded or to one that failed.",
        "whole": ("taskSlotCounts", "completed"),
        "parts": (("taskSlotCounts", "succeeded"), ("taskSlotCounts", "failed")),
    },
)
ERROR_CODES: Final[dict[int, tuple[str, ...]]] = {
    400: (
        "InvalidAuthenticationInfo",
        "InvalidHeaderValue",
        "InvalidQueryParameterValue",
        "InvalidUri",
        "MissingRequiredQueryParameter",
        "OutOfRangeQueryParameterValue",
        "UnsupportedRequestVersion",
    ),
    401: ("AuthenticationFailed",),
    403: ("AccountIsDisabled", "AuthenticationFailed", "InsufficientAccountPermissions"),
    404: ("JobNotFound",),
    405: ("UnsupportedHttpVerb",),
    409: ("JobBeingDeleted",),
    429: ("TooManyRequests",),
    500: ("InternalError", "OperationTimedOut"),
    503: ("ServerBusy",),
}
