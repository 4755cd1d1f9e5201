"""The error answers of the service: one table of codes, statuses and messages, and the exception for them.

Codes and statuses are the published ones, except the code NotImplemented and the status of
UnsupportedHttpVersion. The messages of AuthenticationFailed, ConditionNotMet, InvalidPropertyValue,
InvalidQueryParameterValue, RequestBodyTooLarge, TaskExists, TooManyRequests and UnsupportedProperty, and the
names of the details, were seen in recorded answers and in public threads. InvalidHttpVerb, InvalidInput and
RequestUrlFailedToParse have the published messages. The other messages are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["ERRORS", "Refusal"]


class Error(NamedTuple):
    """An error of the service.

    Attributes:
        status: The HTTP status.
        message: The text for people, without the request id and the time.
        details: The names of the details that the error has.
    """

    status: int
    message: str
    details: tuple[str, ...] = ()


_PARAMETER = ("QueryParameterName", "QueryParameterValue", "Reason")
_HEADER = ("HeaderName", "HeaderValue", "Reason")
_PROPERTY = ("PropertyName", "PropertyValue", "Reason")

ERRORS: Mapping[str, Error] = {
    # The request as HTTP.
    "RequestUrlFailedToParse": Error(400, "The url in the request could not be parsed."),
    "InvalidHttpVerb": Error(400, "The HTTP verb specified was not recognized by the server."),
    "UnsupportedHttpVersion": Error(505, "The HTTP version of the request is not supported."),
    "HostInformationNotPresent": Error(400, "The request has no Host header."),
    "InvalidInput": Error(400, "One of the request inputs is not valid.", ("Reason",)),
    "MissingContentLengthHeader": Error(411, "The request has no Content-Length header."),
    "InvalidUri": Error(400, "The requested URI does not represent any resource on the server."),
    "UnsupportedHttpVerb": Error(405, "The resource doesn't support the specified HTTP verb."),
    # The only code that the service does not have: it would do what the emulator cannot do.
    "NotImplemented": Error(501, "This emulator does not have it."),
    # Authentication.
    "InvalidAuthenticationInfo": Error(
        400,
        "The authentication information was not provided in the correct format. "
        "Verify the value of the Authorization header.",
    ),
    "AuthenticationFailed": Error(
        403,
        "Server failed to authenticate the request. "
        "Make sure the value of Authorization header is formed correctly.",
        ("AuthenticationErrorDetail",),
    ),
    # Parameters and headers. A detail repeats the value of a header, so Authorization has errors of its own.
    "MissingRequiredQueryParameter": Error(
        400, "A query parameter that this request requires was not specified.", ("QueryParameterName",)
    ),
    "InvalidQueryParameterValue": Error(
        400, "Value for one of the query parameters specified in the request URI is invalid.", _PARAMETER
    ),
    "OutOfRangeQueryParameterValue": Error(
        400, "A query parameter specified in the request URI is outside the permissible range.", _PARAMETER
    ),
    "UnsupportedQueryParameter": Error(
        400,
        "One of the query parameters specified in the request URI is not supported.",
        ("QueryParameterName",),
    ),
    "InvalidHeaderValue": Error(
        400, "The value provided for one of the HTTP headers was not in the correct format.", _HEADER
    ),
    "MultipleConditionHeadersNotSupported": Error(
        400, "The request has conditional headers that cannot be combined.", ("HeaderName",)
    ),
    # The status is 304 where a cached copy of the caller is still valid.
    "ConditionNotMet": Error(412, "The condition specified using HTTP conditional header(s) is not met."),
    # Bodies.
    "RequestBodyTooLarge": Error(
        413, "The request body is too large and exceeds the maximum permissible limit.", ("MaxLimit",)
    ),
    "InvalidRequestBody": Error(400, "The request body cannot be read.", ("Reason",)),
    "MissingRequiredProperty": Error(
        400, "A required property was not specified in the request body.", ("PropertyName",)
    ),
    "InvalidPropertyValue": Error(
        400, "The value provided for one of the properties in the request body is invalid.", _PROPERTY
    ),
    "UnsupportedProperty": Error(
        400, "One of the properties specified in the request body is not supported.", _PROPERTY
    ),
    "TaskDependencyListTooLong": Error(
        400, "The ids that the task depends on have too many characters together.", ("MaxLimit",)
    ),
    # Jobs.
    "JobNotFound": Error(404, "The specified job does not exist."),
    "JobExists": Error(409, "The specified job already exists."),
    "JobBeingDeleted": Error(
        409, "The specified job has been marked for deletion and is being garbage collected."
    ),
    "JobBeingTerminated": Error(409, "The specified job is being terminated."),
    "JobCompleted": Error(409, "The specified job is already in a completed state."),
    "JobNotActive": Error(409, "The specified job is not in active state."),
    "OperationInvalidForCurrentState": Error(
        409,
        "The specified operation is not valid for the current state of the resource.",
        ("CurrentState",),
    ),
    # Tasks.
    "TaskNotFound": Error(404, "The specified task does not exist."),
    "TaskExists": Error(409, "The specified task already exists."),
    "TaskCompleted": Error(409, "The specified task is already in a completed state."),
    "TaskNotCompleted": Error(409, "The specified task is not in a completed state."),
    "TaskSucceeded": Error(409, "The specified task has already completed successfully."),
    "TaskIdSameAsJobPreparationTask": Error(
        409, "The task has the same id as the job preparation task of its job."
    ),
    # The service itself.
    "TooManyRequests": Error(
        429, "Request failed as server encountered too many requests. Please try again."
    ),
    "InternalError": Error(500, "The server encountered an internal error. Please retry the request."),
    "ServerBusy": Error(
        503, "The server is currently unable to receive requests. Please retry your request."
    ),
}


class Refusal(Exception):
    """An error answer of the service, before it is written for one request.

    Args:
        code: The error code, a key of ``ERRORS``.
        values: The values of the error's details, in the order of the table.
        status: The HTTP status, where it is not that of the table.
        message: The text for people, where it is not that of the table.
        headers: Further headers, with names in lower case.

    Attributes:
        status: The HTTP status.
        code: The error code.
        message: The text for people, without the request id and the time.
        details: Pairs of a name and a value.
        headers: Further headers.
    """

    def __init__(
        self,
        code: str,
        *values: str,
        status: int | None = None,
        message: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        error = ERRORS[code]
        self.status = error.status if status is None else status
        super().__init__(f"{self.status} {code}")
        self.code = code
        self.message = error.message if message is None else message
        self.details = tuple(zip(error.details, values, strict=True))
        self.headers = headers
