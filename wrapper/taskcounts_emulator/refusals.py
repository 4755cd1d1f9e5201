"""What the service answers when it refuses: one named constructor for each of its errors.

Codes are the published ones, but for NotImplemented, and so are statuses, but for UnsupportedHttpVersion's.
The texts of AuthenticationFailed, ConditionNotMet, InvalidPropertyValue, InvalidQueryParameterValue,
RequestBodyTooLarge, TaskExists, TooManyRequests and UnsupportedProperty, and the names of the details, were
seen in recorded answers and in public threads; InvalidHttpVerb, InvalidInput and RequestUrlFailedToParse have
the published ones; the other texts are ours.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Refusal"]

# Any challenge must name a way in (RFC 9110, 11.6.1); this is the published authorization address.
_CHALLENGE = 'Bearer authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'


class Refusal(Exception):
    """An error answer of the service, before it is written down for one request.

    Attributes:
        status: The HTTP status.
        code: The error code that programs look at.
        message: The text for people, without the request id and time that the wire adds.
        details: Pairs of a key and a value for ``values``; none, and there is no such member.
        headers: Further headers, names in lower case.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: tuple[tuple[str, str], ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers


def missing_query_parameter(name: str) -> Refusal:
    """A required query parameter is absent or blank."""
    return Refusal(
        400,
        "MissingRequiredQueryParameter",
        "A query parameter that this request requires was not specified.",
        details=(("QueryParameterName", name),),
    )


def invalid_query_parameter(name: str, value: str, reason: str) -> Refusal:
    """A query parameter has a value of the wrong form."""
    return Refusal(
        400,
        "InvalidQueryParameterValue",
        "Value for one of the query parameters specified in the request URI is invalid.",
        details=_parameter(name, value, reason),
    )


def query_parameter_out_of_range(name: str, value: str, reason: str) -> Refusal:
    """A query parameter is a number beyond what is permitted."""
    return Refusal(
        400,
        "OutOfRangeQueryParameterValue",
        "A query parameter specified in the request URI is outside the permissible range.",
        details=_parameter(name, value, reason),
    )


def invalid_header(name: str, value: str, reason: str) -> Refusal:
    """A header has a value of the wrong form. Never for Authorization: the value is shown."""
    return Refusal(
        400,
        "InvalidHeaderValue",
        "The value provided for one of the HTTP headers was not in the correct format.",
        details=(("HeaderName", name), ("HeaderValue", value), ("Reason", reason)),
    )


def unsupported_query_parameter(name: str) -> Refusal:
    """A query option of OData that this operation doesn't have: passed over, it would mislead."""
    return Refusal(
        400,
        "UnsupportedQueryParameter",
        "One of the query parameters specified in the request URI is not supported.",
        details=(("QueryParameterName", name),),
    )


def missing_content_length() -> Refusal:
    """A request that needs a body does not say how long it is."""
    return Refusal(411, "MissingContentLengthHeader", "The request has no Content-Length header.")


def body_too_large(limit: int, what: str = "bytes") -> Refusal:
    """The body is longer than the service takes, or holds more; clients send it again in parts."""
    return Refusal(
        413,
        "RequestBodyTooLarge",
        "The request body is too large and exceeds the maximum permissible limit.",
        details=(("MaxLimit", f"{limit}" if what == "bytes" else f"{limit} {what}"),),
    )


def invalid_request_body(reason: str) -> Refusal:
    """The body is not of the form of any body."""
    return Refusal(
        400,
        "InvalidRequestBody",
        "The request body cannot be read.",
        details=(("Reason", reason),),
    )


def missing_property(name: str) -> Refusal:
    """A member that a body must have is absent, or null."""
    return Refusal(
        400,
        "MissingRequiredProperty",
        "A required property was not specified in the request body.",
        details=(("PropertyName", name),),
    )


def invalid_property(name: str, value: str, reason: str) -> Refusal:
    """A member of a body has a value of the wrong type or beyond what is permitted."""
    return Refusal(
        400,
        "InvalidPropertyValue",
        "The value provided for one of the properties in the request body is invalid.",
        details=_property(name, value, reason),
    )


def unsupported_property(name: str, value: str, reason: str) -> Refusal:
    """A member of a body is unknown, or asks for what cannot be had."""
    return Refusal(
        400,
        "UnsupportedProperty",
        "One of the properties specified in the request body is not supported.",
        details=_property(name, value, reason),
    )


def multiple_conditions(names: Iterable[str]) -> Refusal:
    """Conditional headers that do not go together."""
    return Refusal(
        400,
        "MultipleConditionHeadersNotSupported",
        "The request has conditional headers that cannot be combined.",
        details=(("HeaderName", ", ".join(names)),),
    )


def condition_not_met(status: int) -> Refusal:
    """A conditional header says no: 412, or 304 where a copy that the caller has is still good."""
    return Refusal(
        status, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."
    )


def not_implemented(what: str) -> Refusal:
    """The service would do it, and this emulator doesn't. The code is our own."""
    return Refusal(501, "NotImplemented", f"This emulator does not have {what}.")


def invalid_authentication_info() -> Refusal:
    """The Authorization header is not of a form that the service reads."""
    return Refusal(
        400,
        "InvalidAuthenticationInfo",
        "The authentication information was not provided in the correct format. "
        "Verify the value of the Authorization header.",
    )


def unsupported_version(version: str) -> Refusal:
    """The api-version is not served."""
    return Refusal(
        400,
        "UnsupportedRequestVersion",
        "The api-version specified in the request URI is not supported.",
        details=_parameter("api-version", version, "The version is not one that is served here"),
    )


def unauthenticated(detail: str) -> Refusal:
    """Nobody asks, or somebody whose token does not hold: 401."""
    return _authentication_failed(401, detail, (("www-authenticate", _CHALLENGE),))


def forbidden(detail: str) -> Refusal:
    """A shared key that does not fit the request: 403."""
    return _authentication_failed(403, detail, ())


def job_not_found() -> Refusal:
    """There is no job of that id."""
    return Refusal(404, "JobNotFound", "The specified job does not exist.")


def unsupported_verb(allowed: Iterable[str]) -> Refusal:
    """The resource exists, and this method is none of its."""
    return Refusal(
        405,
        "UnsupportedHttpVerb",
        "The resource doesn't support the specified HTTP verb.",
        headers=(("allow", ", ".join(allowed)),),
    )


def invalid_uri() -> Refusal:
    """The path leads to no resource."""
    return Refusal(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


def unreadable_target() -> Refusal:
    """The request line names no address that could be looked for."""
    return Refusal(400, "RequestUrlFailedToParse", "The url in the request could not be parsed.")


def invalid_verb() -> Refusal:
    """The request line begins with no method of HTTP, or with one that is for proxies."""
    return Refusal(400, "InvalidHttpVerb", "The HTTP verb specified was not recognized by the server.")


def unsupported_http_version() -> Refusal:
    """The request is of neither HTTP/1.0 nor HTTP/1.1."""
    return Refusal(505, "UnsupportedHttpVersion", "The HTTP version of the request is not supported.")


def host_missing() -> Refusal:
    """A request of HTTP/1.1 has no Host (RFC 9112, 3.2)."""
    return Refusal(400, "HostInformationNotPresent", "The request has no Host header.")


def invalid_input(reason: str) -> Refusal:
    """The request breaks the rules of HTTP."""
    return Refusal(
        400, "InvalidInput", "One of the request inputs is not valid.", details=(("Reason", reason),)
    )


def too_many_requests(retry_after: str | None) -> Refusal:
    """The account asks too often."""
    return Refusal(
        429,
        "TooManyRequests",
        "Request failed as server encountered too many requests. Please try again.",
        headers=_retry_after(retry_after),
    )


def server_busy(retry_after: str | None) -> Refusal:
    """The service cannot take the request now."""
    return Refusal(
        503,
        "ServerBusy",
        "The server is currently unable to receive requests. Please retry your request.",
        headers=_retry_after(retry_after),
    )


def internal_error() -> Refusal:
    """The service failed by itself."""
    return Refusal(
        500, "InternalError", "The server encountered an internal error. Please retry the request."
    )


def task_not_found() -> Refusal:
    """There is no task of that id in the job."""
    return Refusal(404, "TaskNotFound", "The specified task does not exist.")


def job_exists() -> Refusal:
    """There is a job of that id already."""
    return Refusal(409, "JobExists", "The specified job already exists.")


def job_being_deleted() -> Refusal:
    """The job is on its way out."""
    return Refusal(
        409,
        "JobBeingDeleted",
        "The specified job has been marked for deletion and is being garbage collected.",
    )


def job_being_terminated() -> Refusal:
    """The job is on its way to its end."""
    return Refusal(409, "JobBeingTerminated", "The specified job is being terminated.")


def job_completed() -> Refusal:
    """The job has ended."""
    return Refusal(409, "JobCompleted", "The specified job is already in a completed state.")


def job_not_active() -> Refusal:
    """The job would have to be active."""
    return Refusal(409, "JobNotActive", "The specified job is not in active state.")


def invalid_for_state(state: str) -> Refusal:
    """The job is in no state for this."""
    return Refusal(
        409,
        "OperationInvalidForCurrentState",
        "The specified operation is not valid for the current state of the resource.",
        details=(("CurrentState", state),),
    )


def task_exists() -> Refusal:
    """There is a task of that id in the job already."""
    return Refusal(409, "TaskExists", "The specified task already exists.")


def task_completed() -> Refusal:
    """The task has ended."""
    return Refusal(409, "TaskCompleted", "The specified task is already in a completed state.")


def task_not_completed() -> Refusal:
    """The task has not ended, and only tasks that have can be reactivated."""
    return Refusal(409, "TaskNotCompleted", "The specified task is not in a completed state.")


def task_succeeded() -> Refusal:
    """The task has ended well, and only tasks that failed can be reactivated."""
    return Refusal(409, "TaskSucceeded", "The specified task has already completed successfully.")


def task_id_same_as_preparation() -> Refusal:
    """The task has the id of its job's preparation task."""
    return Refusal(
        409,
        "TaskIdSameAsJobPreparationTask",
        "The task has the same id as the job preparation task of its job.",
    )


def dependency_list_too_long(limit: int) -> Refusal:
    """The ids that a task depends on are too long together."""
    return Refusal(
        400,
        "TaskDependencyListTooLong",
        "The ids that the task depends on have too many characters together.",
        details=(("MaxLimit", str(limit)),),
    )


def task_dependencies_not_specified() -> Refusal:
    """The task depends on others, and its job does not say that its tasks may.

    The reference names a code of its own for this, TaskDependenciesNotSpecifiedOnJob; what people got is this
    one (Azure/azure-sdk-for-python#27859 and #42399).
    """
    return unsupported_property("dependsOn", "", "The job does not use task dependencies")


def _authentication_failed(status: int, detail: str, headers: tuple[tuple[str, str], ...]) -> Refusal:
    return Refusal(
        status,
        "AuthenticationFailed",
        "Server failed to authenticate the request. "
        "Make sure the value of Authorization header is formed correctly.",
        details=(("AuthenticationErrorDetail", detail),),
        headers=headers,
    )


def _parameter(name: str, value: str, reason: str) -> tuple[tuple[str, str], ...]:
    return (("QueryParameterName", name), ("QueryParameterValue", value), ("Reason", reason))


def _property(name: str, value: str, reason: str) -> tuple[tuple[str, str], ...]:
    return (("PropertyName", name), ("PropertyValue", value), ("Reason", reason))


def _retry_after(value: str | None) -> tuple[tuple[str, str], ...]:
    return () if value is None else (("retry-after", value),)
