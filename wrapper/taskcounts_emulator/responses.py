"""Responses of the service, byte for byte as they were recorded.

A response is a value: a status, headers and a body. This module does no I/O and makes no decisions.
"""

from __future__ import annotations

import http
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.versions import GUID, ApiVersion

__all__ = [
    "RequestContext",
    "ResourceVersion",
    "Response",
    "asgi_headers",
    "collection_response",
    "counts_response",
    "empty_response",
    "error_members",
    "html_response",
    "http_bytes",
    "json_body",
    "refusal_response",
    "resource_response",
    "with_length",
]

JSON = "application/json;odata=minimalmetadata"

_COMPACT = json.JSONEncoder(separators=(",", ":")).encode

Headers = tuple[tuple[str, str], ...]

# These statuses alone imply an empty body (RFC 9110, 6.4.1).
_BODYLESS = (204, 304)


class RequestContext(NamedTuple):
    """The values of one request that its response repeats.

    Attributes:
        endpoint: Scheme and host as the caller knows them, without a slash at the end.
        request_id: The service's id of the request, a GUID.
        now: The service's time, in UTC.
        client_request_id: The caller's id of the request, if it asked for it to be returned.
    """

    endpoint: str
    request_id: str
    now: datetime
    client_request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceVersion:
    """The version of a resource.

    Attributes:
        etag: The ETag, without quotation marks, as the service writes it.
        modified: The time of the last change, as an HTTP date.
    """

    etag: str
    modified: str

    def headers(self) -> Headers:
        """Return the headers that state the version."""
        return (("etag", self.etag), ("last-modified", self.modified))


class Response(NamedTuple):
    """A response that is ready to be sent."""

    status: int
    headers: Headers
    body: bytes


def counts_response(
    context: RequestContext, kind: str, members: Mapping[str, object], modified: str | None = None
) -> Response:
    """Return the 200 with a job's counts.

    Args:
        context: The values of the request that it repeats.
        kind: The kind of body, as its metadata names it.
        members: The members of the body.
        modified: The Last-Modified, which an ETag accompanies; None for neither.
    """
    body = json_body({"odata.metadata": metadata(context, kind), **members})
    return ok(context, body, _version_of(body, modified))


def resource_response(
    context: RequestContext, kind: str, members: Mapping[str, object], version: ResourceVersion
) -> Response:
    """Return the 200 with one resource."""
    return ok(context, json_body({"odata.metadata": metadata(context, kind), **members}), version.headers())


def collection_response(
    context: RequestContext,
    kind: str,
    items: Sequence[Mapping[str, object]],
    next_link: str | None = None,
    modified: str | None = None,
) -> Response:
    """Return the 200 with a list of resources or results, and the link to the next page if there is one.

    ``modified`` is the Last-Modified, which an ETag accompanies; None for neither.

    Its JSON is compact, unlike the service's: the service's layout takes several times as long to write, and
    a page holds up to a thousand items.
    """
    members: dict[str, object] = {"odata.metadata": f"{context.endpoint}/$metadata#{kind}", "value": items}
    if next_link is not None:
        members["odata.nextLink"] = next_link
    body = _COMPACT(members).encode()
    return ok(context, body, _version_of(body, modified))


def empty_response(context: RequestContext, status: int, further: Headers = ()) -> Response:
    """Return a response without a body."""
    length = () if status in _BODYLESS else (("content-length", "0"),)
    kept = tuple(header for header in _headers(context, (*further, *length)) if header[0] != "content-type")
    return Response(status, kept, b"")


def ok(context: RequestContext, body: bytes, further: Headers = ()) -> Response:
    """Return a 200 with any body; the sender of the response delimits it."""
    return Response(200, _headers(context, (*further, ("transfer-encoding", "chunked"))), body)


def refusal_response(context: RequestContext, refusal: Refusal) -> Response:
    """Return the error response for a refusal."""
    if refusal.status in _BODYLESS:
        return empty_response(context, refusal.status, refusal.headers)
    kind = "Microsoft.Azure.Batch.Protocol.Entities.Container.errors"
    body = json_body({"odata.metadata": metadata(context, kind), **error_members(context, refusal)})
    headers = _headers(context, (*refusal.headers, ("content-length", str(len(body)))))
    return Response(refusal.status, headers, body)


def error_members(context: RequestContext, refusal: Refusal) -> dict[str, object]:
    """Return the members of an error: of a whole request, or of one item of a collection."""
    time = f"{context.now:%Y-%m-%dT%H:%M:%S.%f}0Z"
    members: dict[str, object] = {
        "code": refusal.code,
        "message": {
            "lang": "en-US",
            "value": f"{refusal.message}\nRequestId:{context.request_id}\nTime:{time}",
        },
    }
    if refusal.details:
        members["values"] = [{"key": key, "value": value} for key, value in refusal.details]
    return members


def html_response(context: RequestContext, status: int) -> Response:
    """Return the response of a proxy in front of the service: HTML, without the service's headers."""
    title = f"{status} {_phrase(status)}".strip()
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    ).encode()
    headers = (
        ("content-type", "text/html"),
        ("content-length", str(len(body))),
        ("date", _date(context.now.replace(microsecond=0))),
    )
    return Response(status, headers, body)


def with_length(response: Response) -> Response:
    """Return the response with a Content-Length, for callers without chunked encoding."""
    if response.status in _BODYLESS:
        return response
    kept = (header for header in response.headers if header[0] not in ("content-length", "transfer-encoding"))
    return response._replace(headers=(*kept, ("content-length", str(len(response.body)))))


def http_bytes(response: Response) -> bytes:
    """Return a response as the bytes of HTTP/1.1, for a connection that is closed after it."""
    chunked = ("transfer-encoding", "chunked") in response.headers
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
    lines += [f"{name}: {value}" for name, value in (*response.headers, ("connection", "close"))]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if not chunked:
        return head + response.body
    chunk = b"%x\r\n%b\r\n" % (len(response.body), response.body) if response.body else b""
    return head + chunk + b"0\r\n\r\n"


def asgi_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return headers in the form of ASGI."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def metadata(context: RequestContext, kind: str) -> str:
    """Return the ``odata.metadata`` URL of a kind of body."""
    return f"{context.endpoint}/$metadata#{kind}/@Element"


def json_body(value: object) -> bytes:
    """Return JSON in the service's layout: brackets of containers stand on lines of their own, with CRLF."""
    return _text(value, "\r\n").encode()


def echoed_client_request_id(headers: Mapping[str, str], version: ApiVersion | None) -> str | None:
    """Return the client request id if the caller asked for it to be returned.

    An invalid id is not returned: the request is refused, and the value could be anything. A GUID is valid at
    every version, even at one that is unknown.
    """
    given = headers.get("client-request-id", "")
    wanted = headers.get("return-client-request-id", "").lower() == "true"
    form = GUID if version is None else version.client_request_id
    return given if wanted and form.fullmatch(given) else None


def _version_of(body: bytes, modified: str | None) -> Headers:
    """Return the headers of a body that was last modified then; its ETag changes whenever the body does."""
    if modified is None:
        return ()
    return ResourceVersion(f"0x{blake2b(body, digest_size=8).hexdigest().upper()}", modified).headers()


def _headers(context: RequestContext, further: Iterable[tuple[str, str]]) -> Headers:
    """Return the service's headers, sorted by name as in recorded answers."""
    headers = [
        *_CONSTANT,
        ("date", _date(context.now.replace(microsecond=0))),
        ("request-id", context.request_id),
        *further,
    ]
    if context.client_request_id is not None:
        headers.append(("client-request-id", context.client_request_id))
    return tuple(sorted(headers))


@lru_cache(maxsize=4)
def _date(second: datetime) -> str:
    """Return a time in the form of headers; formatting one takes 5 µs, and all of a second are alike."""
    return format_datetime(second, usegmt=True)


def _phrase(status: int) -> str:
    """Return the reason phrase; empty for a status that has none."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _text(value: object, newline: str) -> str:
    if type(value) is int:
        return str(value)
    if type(value) is str:
        return encode_basestring_ascii(value)
    inner = newline + "  "
    if isinstance(value, dict):
        parts = [f"{encode_basestring_ascii(name)}:{_text(part, inner)}" for name, part in value.items()]
        return "{" + inner + ",".join(parts) + newline + "}"
    if isinstance(value, list):
        return "[" + inner + ",".join(_text(part, inner) for part in value) + newline + "]"
    return json.dumps(value)


_CONSTANT: Headers = (
    ("content-type", JSON),
    ("dataserviceversion", "3.0"),
    ("server", "Microsoft-HTTPAPI/2.0"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
)
