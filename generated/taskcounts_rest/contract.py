"""The operations of the fragment, as data; derived from spec/ by `make generate`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Operation(NamedTuple):
    """An operation at one api-version: its request, and its answers.

    Attributes:
        method: The verb.
        path: The path, with the names of parameters in braces.
        parameters: The schema of each parameter by its name, with its location (`in`).
        headers: The schema of each header of a 200 by its name, and whether it is required.
        result: The schema of the body of a 200.
        invariants: The sums that the numbers of such a body should satisfy: `whole` is that of `parts`.
        error_headers: The schema of each header of an error by its name, and whether it is required.
        error_codes: The known error codes, by status.
    """

    method: str
    path: str
    parameters: dict[str, dict[str, Any]]
    headers: dict[str, dict[str, Any]]
    result: dict[str, Any]
    invariants: tuple[dict[str, Any], ...]
    error_headers: dict[str, dict[str, Any]]
    error_codes: dict[int, tuple[str, ...]]


API_VERSION: Final[str] = "2024-07-01.20.0"
MEDIA_TYPE: Final[str] = "application/json; odata=minimalmetadata"
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "jobId": {
        "in": "path",
        "type": "string",
        "minLength": 1,
        "maxLength": 79,
        "pattern": "^[A-Za-z0-9_-]{1,64}(:job-[0-9]{1,10})?$",
    },
    "apiVersion": {"in": "query", "type": "string", "const": "2024-07-01.20.0", "default": "2024-07-01.20.0"},
    "taskFilter": {
        "in": "query",
        "type": "string",
        "pattern": "^(state eq '(active|preparing|running|completed)'( or (state eq '(active|preparing|running|completed)'|executionInfo/result eq '(success|failure)')){0,4}|(state eq 'completed' and )?executionInfo/result (eq|ne) '(success|failure)')$",
    },
    "taskSelect": {
        "in": "query",
        "type": "string",
        "pattern": "^id,state(,creationTime)?(,stateTransitionTime)?(,executionInfo)?(,requiredSlots)?$",
    },
    "jobFilter": {
        "in": "query",
        "type": "string",
        "pattern": "^(state (eq|ne) '(active|disabling|disabled|enabling|terminating|completed|deleting)'|startswith\\(id,'[A-Za-z0-9_-]{1,64}'\\))$",
    },
    "jobSelect": {
        "in": "query",
        "type": "string",
        "pattern": "^id,state(,creationTime)?(,stateTransitionTime)?(,executionInfo)?(,onAllTasksComplete)?(,usesTaskDependencies)?$",
    },
    "maxResults": {"in": "query", "type": "integer", "format": "int32", "minimum": 1, "maximum": 1000},
    "timeout": {"in": "query", "type": "integer", "format": "int32", "minimum": 1},
    "clientRequestId": {"in": "header", "type": "string", "format": "uuid"},
    "returnClientRequestId": {"in": "header", "type": "boolean"},
    "ocpDate": {"in": "header", "type": "string", "format": "date-time-rfc1123"},
}
CHANGED_PARAMETERS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "2025-06-01": {
        "apiVersion": {"in": "query", "type": "string", "const": "2025-06-01", "default": "2025-06-01"},
        "clientRequestId": {"in": "header", "type": "string", "pattern": "^[!-~]([ -~]{0,126}[!-~])?$"},
    }
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
KNOWN_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "CloudTask.state": ("active", "preparing", "running", "completed"),
    "TaskExecutionInformation.result": ("success", "failure"),
    "TaskFailureInformation.category": ("usererror", "servererror"),
    "CloudJob.state": ("active", "disabling", "disabled", "enabling", "terminating", "completed", "deleting"),
    "CloudJob.onAllTasksComplete": ("noaction", "terminatejob"),
    "JobSchedulingError.category": ("usererror", "servererror"),
}
OPERATIONS: Final[dict[str, Operation]] = {
    "Job_GetTaskCounts": Operation(
        method="GET",
        path="/jobs/{jobId}/taskcounts",
        parameters={
            "jobId": PARAMETERS["jobId"],
            "api-version": PARAMETERS["apiVersion"],
            "timeout": PARAMETERS["timeout"],
            "client-request-id": PARAMETERS["clientRequestId"],
            "return-client-request-id": PARAMETERS["returnClientRequestId"],
            "ocp-date": PARAMETERS["ocpDate"],
        },
        headers={
            "client-request-id": {"required": False, "type": "string", "format": "uuid"},
            "request-id": {"required": True, "type": "string", "format": "uuid"},
        },
        result={
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
        },
        invariants=(
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
        ),
        error_headers={
            "client-request-id": {"required": False, "type": "string", "format": "uuid"},
            "request-id": {"required": False, "type": "string", "format": "uuid"},
            "Retry-After": {
                "required": False,
                "type": "string",
                "pattern": "^([0-9]{1,10}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT)$",
            },
        },
        error_codes={
            400: (
                "InvalidAuthenticationInfo",
                "InvalidHeaderValue",
                "InvalidQueryParameterValue",
                "InvalidUri",
                "MissingRequiredQueryParameter",
                "OutOfRangeQueryParameterValue",
                "UnsupportedQueryParameter",
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
        },
    ),
    "Task_List": Operation(
        method="GET",
        path="/jobs/{jobId}/tasks",
        parameters={
            "jobId": PARAMETERS["jobId"],
            "api-version": PARAMETERS["apiVersion"],
            "$filter": PARAMETERS["taskFilter"],
            "$select": PARAMETERS["taskSelect"],
            "maxresults": PARAMETERS["maxResults"],
            "timeout": PARAMETERS["timeout"],
            "client-request-id": PARAMETERS["clientRequestId"],
            "return-client-request-id": PARAMETERS["returnClientRequestId"],
            "ocp-date": PARAMETERS["ocpDate"],
        },
        headers={
            "client-request-id": {"required": False, "type": "string", "format": "uuid"},
            "request-id": {"required": True, "type": "string", "format": "uuid"},
        },
        result={
            "type": "object",
            "required": ["value"],
            "properties": {
                "value": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["id", "state"],
                        "properties": {
                            "id": {"type": "string"},
                            "state": {"type": "string"},
                            "stateTransitionTime": {"type": "string", "format": "date-time"},
                            "creationTime": {"type": "string", "format": "date-time"},
                            "requiredSlots": {"type": "integer", "format": "int32", "minimum": 1},
                            "executionInfo": {
                                "type": "object",
                                "required": ["retryCount", "requeueCount"],
                                "properties": {
                                    "startTime": {"type": "string", "format": "date-time"},
                                    "endTime": {"type": "string", "format": "date-time"},
                                    "exitCode": {"type": "integer", "format": "int32"},
                                    "result": {"type": "string"},
                                    "failureInfo": {
                                        "type": "object",
                                        "required": ["category"],
                                        "properties": {
                                            "category": {"type": "string"},
                                            "code": {"type": "string"},
                                            "message": {"type": "string"},
                                        },
                                    },
                                    "retryCount": {"type": "integer", "format": "int32", "minimum": 0},
                                    "requeueCount": {"type": "integer", "format": "int32", "minimum": 0},
                                },
                            },
                        },
                    },
                },
                "odata.nextLink": {"type": "string"},
            },
        },
        invariants=(),
        error_headers={
            "client-request-id": {"required": False, "type": "string", "format": "uuid"},
            "request-id": {"required": False, "type": "string", "format": "uuid"},
            "Retry-After": {
                "required": False,
                "type": "string",
                "pattern": "^([0-9]{1,10}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT)$",
            },
        },
        error_codes={
            400: (
                "InvalidAuthenticationInfo",
                "InvalidHeaderValue",
                "InvalidQueryParameterValue",
                "InvalidUri",
                "MissingRequiredQueryParameter",
                "OutOfRangeQueryParameterValue",
                "UnsupportedQueryParameter",
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
        },
    ),
    "Job_Get": Operation(
        method="GET",
        path="/jobs/{jobId}",
        parameters={
            "jobId": PARAMETERS["jobId"],
            "api-version": PARAMETERS["apiVersion"],
            "$select": PARAMETERS["jobSelect"],
            "timeout": PARAMETERS["timeout"],
            "client-request-id": PARAMETERS["clientRequestId"],
            "return-client-request-id": PARAMETERS["returnClientRequestId"],
            "ocp-date": PARAMETERS["ocpDate"],
        },
        headers={
            "client-request-id": {"required": False, "type": "string", "format": "uuid"},
            "request-id": {"required": True, "type": "string", "format": "uuid"},
            "ETag": {"required": False, "type": "string", "minLength": 1},
            "Last-Modified": {"required": False, "type": "string", "format": "date-time-rfc1123"},
        },
        result={
            "type": "object",
            "required": ["id", "state"],
            "properties": {
                "id": {"type": "string"},
                "state": {"type": "string"},
                "stateTransitionTime": {"type": "string", "format": "date-time"},
                "creationTime": {"type": "string", "format": "date-time"},
                "usesTaskDependencies": {"type": "boolean"},
                "onAllTasksComplete": {"type": "string"},
                "executionInfo": {
                    "type": "object",
                    "required": ["startTime"],
                    "properties": {
                        "startTime": {"type": "string", "format": "date-time"},
                        "endTime": {"type": "string", "format": "date-time"},
                        "poolId": {"type": "string"},
                        "schedulingError": {
                            "type": "object",
                            "required": ["category"],
                            "properties": {
                                "category": {"type": "string"},
                                "code": {"type": "string"},
                                "message": {"type": "string"},
                            },
                        },
                        "terminateReason": {"type": "string"},
                    },
                },
            },
        },
        invariants=(),
        error_headers={
            "client-request-id": {"required": False, "type": "string", "format": "uuid"},
            "request-id": {"required": False, "type": "string", "format": "uuid"},
            "Retry-After": {
                "required": False,
                "type": "string",
                "pattern": "^([0-9]{1,10}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT)$",
            },
        },
        error_codes={
            400: (
                "InvalidAuthenticationInfo",
                "InvalidHeaderValue",
                "InvalidQueryParameterValue",
                "InvalidUri",
                "MissingRequiredQueryParameter",
                "OutOfRangeQueryParameterValue",
                "UnsupportedQueryParameter",
                "UnsupportedRequestVersion",
            ),
            401: ("AuthenticationFailed",),
            403: ("AccountIsDisabled", "AuthenticationFailed", "InsufficientAccountPermissions"),
            404: ("JobNotFound",),
            405: ("UnsupportedHttpVerb",),
            429: ("TooManyRequests",),
            500: ("InternalError", "OperationTimedOut"),
            503: ("ServerBusy",),
        },
    ),
    "Job_List": Operation(
        method="GET",
        path="/jobs",
        parameters={
            "api-version": PARAMETERS["apiVersion"],
            "$filter": PARAMETERS["jobFilter"],
            "$select": PARAMETERS["jobSelect"],
            "maxresults": PARAMETERS["maxResults"],
            "timeout": PARAMETERS["timeout"],
            "client-request-id": PARAMETERS["clientRequestId"],
            "return-client-request-id": PARAMETERS["returnClientRequestId"],
            "ocp-date": PARAMETERS["ocpDate"],
        },
        headers={
            "client-request-id": {"required": False, "type": "string", "format": "uuid"},
            "request-id": {"required": True, "type": "string", "format": "uuid"},
        },
        result={
            "type": "object",
            "required": ["value"],
            "properties": {
                "value": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["id", "state"],
                        "properties": {
                            "id": {"type": "string"},
                            "state": {"type": "string"},
                            "stateTransitionTime": {"type": "string", "format": "date-time"},
                            "creationTime": {"type": "string", "format": "date-time"},
                            "usesTaskDependencies": {"type": "boolean"},
                            "onAllTasksComplete": {"type": "string"},
                            "executionInfo": {
                                "type": "object",
                                "required": ["startTime"],
                                "properties": {
                                    "startTime": {"type": "string", "format": "date-time"},
                                    "endTime": {"type": "string", "format": "date-time"},
                                    "poolId": {"type": "string"},
                                    "schedulingError": {
                                        "type": "object",
                                        "required": ["category"],
                                        "properties": {
                                            "category": {"type": "string"},
                                            "code": {"type": "string"},
                                            "message": {"type": "string"},
                                        },
                                    },
                                    "terminateReason": {"type": "string"},
                                },
                            },
                        },
                    },
                },
                "odata.nextLink": {"type": "string"},
            },
        },
        invariants=(),
        error_headers={
            "client-request-id": {"required": False, "type": "string", "format": "uuid"},
            "request-id": {"required": False, "type": "string", "format": "uuid"},
            "Retry-After": {
                "required": False,
                "type": "string",
                "pattern": "^([0-9]{1,10}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT)$",
            },
        },
        error_codes={
            400: (
                "InvalidAuthenticationInfo",
                "InvalidHeaderValue",
                "InvalidQueryParameterValue",
                "InvalidUri",
                "MissingRequiredQueryParameter",
                "OutOfRangeQueryParameterValue",
                "UnsupportedQueryParameter",
                "UnsupportedRequestVersion",
            ),
            401: ("AuthenticationFailed",),
            403: ("AccountIsDisabled", "AuthenticationFailed", "InsufficientAccountPermissions"),
            405: ("UnsupportedHttpVerb",),
            429: ("TooManyRequests",),
            500: ("InternalError", "OperationTimedOut"),
            503: ("ServerBusy",),
        },
    ),
}
VERSIONS: Final[dict[str, dict[str, Operation]]] = {
    "2024-07-01.20.0": OPERATIONS,
    "2025-06-01": {
        "Job_GetTaskCounts": OPERATIONS["Job_GetTaskCounts"]._replace(
            parameters={
                "jobId": PARAMETERS["jobId"],
                "api-version": CHANGED_PARAMETERS["2025-06-01"]["apiVersion"],
                "timeOut": PARAMETERS["timeout"],
                "client-request-id": CHANGED_PARAMETERS["2025-06-01"]["clientRequestId"],
                "return-client-request-id": PARAMETERS["returnClientRequestId"],
                "ocp-date": PARAMETERS["ocpDate"],
            },
            headers={
                "client-request-id": {"required": False, "type": "string"},
                "request-id": {"required": True, "type": "string", "format": "uuid"},
                "ETag": {"required": False, "type": "string", "minLength": 1},
                "Last-Modified": {"required": False, "type": "string", "format": "date-time-rfc1123"},
            },
            error_headers={
                "client-request-id": {"required": False, "type": "string"},
                "request-id": {"required": False, "type": "string", "format": "uuid"},
                "Retry-After": {
                    "required": False,
                    "type": "string",
                    "pattern": "^([0-9]{1,10}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT)$",
                },
            },
        ),
        "Task_List": OPERATIONS["Task_List"]._replace(
            parameters={
                "jobId": PARAMETERS["jobId"],
                "api-version": CHANGED_PARAMETERS["2025-06-01"]["apiVersion"],
                "$filter": PARAMETERS["taskFilter"],
                "$select": PARAMETERS["taskSelect"],
                "maxresults": PARAMETERS["maxResults"],
                "timeOut": PARAMETERS["timeout"],
                "client-request-id": CHANGED_PARAMETERS["2025-06-01"]["clientRequestId"],
                "return-client-request-id": PARAMETERS["returnClientRequestId"],
                "ocp-date": PARAMETERS["ocpDate"],
            },
            headers={
                "client-request-id": {"required": False, "type": "string"},
                "request-id": {"required": True, "type": "string", "format": "uuid"},
                "ETag": {"required": False, "type": "string", "minLength": 1},
                "Last-Modified": {"required": False, "type": "string", "format": "date-time-rfc1123"},
            },
            error_headers={
                "client-request-id": {"required": False, "type": "string"},
                "request-id": {"required": False, "type": "string", "format": "uuid"},
                "Retry-After": {
                    "required": False,
                    "type": "string",
                    "pattern": "^([0-9]{1,10}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT)$",
                },
            },
        ),
        "Job_Get": OPERATIONS["Job_Get"]._replace(
            parameters={
                "jobId": PARAMETERS["jobId"],
                "api-version": CHANGED_PARAMETERS["2025-06-01"]["apiVersion"],
                "$select": PARAMETERS["jobSelect"],
                "timeOut": PARAMETERS["timeout"],
                "client-request-id": CHANGED_PARAMETERS["2025-06-01"]["clientRequestId"],
                "return-client-request-id": PARAMETERS["returnClientRequestId"],
                "ocp-date": PARAMETERS["ocpDate"],
            },
            headers={
                "client-request-id": {"required": False, "type": "string"},
                "request-id": {"required": True, "type": "string", "format": "uuid"},
                "ETag": {"required": False, "type": "string", "minLength": 1},
                "Last-Modified": {"required": False, "type": "string", "format": "date-time-rfc1123"},
            },
            error_headers={
                "client-request-id": {"required": False, "type": "string"},
                "request-id": {"required": False, "type": "string", "format": "uuid"},
                "Retry-After": {
                    "required": False,
                    "type": "string",
                    "pattern": "^([0-9]{1,10}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT)$",
                },
            },
        ),
        "Job_List": OPERATIONS["Job_List"]._replace(
            parameters={
                "api-version": CHANGED_PARAMETERS["2025-06-01"]["apiVersion"],
                "$filter": PARAMETERS["jobFilter"],
                "$select": PARAMETERS["jobSelect"],
                "maxresults": PARAMETERS["maxResults"],
                "timeOut": PARAMETERS["timeout"],
                "client-request-id": CHANGED_PARAMETERS["2025-06-01"]["clientRequestId"],
                "return-client-request-id": PARAMETERS["returnClientRequestId"],
                "ocp-date": PARAMETERS["ocpDate"],
            },
            headers={
                "client-request-id": {"required": False, "type": "string"},
                "request-id": {"required": True, "type": "string", "format": "uuid"},
                "ETag": {"required": False, "type": "string", "minLength": 1},
                "Last-Modified": {"required": False, "type": "string", "format": "date-time-rfc1123"},
            },
            error_headers={
                "client-request-id": {"required": False, "type": "string"},
                "request-id": {"required": False, "type": "string", "format": "uuid"},
                "Retry-After": {
                    "required": False,
                    "type": "string",
                    "pattern": "^([0-9]{1,10}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT)$",
                },
            },
        ),
    },
}
