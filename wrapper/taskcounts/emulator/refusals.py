"""What the service answers when it refuses: one named constructor for each of its errors.

Codes and statuses are the published ones. The texts of AuthenticationFailed, InvalidQueryParameterValue
and TooManyRequests, and the names of the details, were seen in recorded answers; the other texts are ours.
"""

from __future__ import annotations

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


def unsupported_verb() -> Refusal:
    """The resource exists, and this method is none of its."""
    return Refusal(
        405,
        "UnsupportedHttpVerb",
        "The resource doesn't support the specified HTTP verb.",
        headers=(("allow", "GET"),),
    )


def invalid_uri() -> Refusal:
    """The path leads to no resource."""
    return Refusal(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


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


def _retry_after(value: str | None) -> tuple[tuple[str, str], ...]:
    return () if value is None else (("retry-after", value),)
