"""How the service's answers look, byte for byte, as they were recorded.

An answer is a value: a status, headers and a body. Nothing in here does I/O or decides what to answer.
"""

from __future__ import annotations

import http
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from taskcounts_emulator.model import JobCounts
from taskcounts_emulator.refusals import Refusal

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

# A GUID "with no decoration such as curly braces", says the reference of the operation.
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

Headers = tuple[tuple[str, str], ...]

# These say by themselves that there is no body (RFC 9110, 6.4.1), and nothing else may.
_BODYLESS = (204, 304)


class RequestContext(NamedTuple):
    """What belongs to one request and is written into its answer.

    Attributes:
        endpoint: Scheme and host as the caller knows them, without a slash at the end.
        request_id: The service's name of the request, a GUID.
        now: The service's time, in UTC.
        client_request_id: The caller's name of the request, where it asked to have it back.
    """

    endpoint: str
    request_id: str
    now: datetime
    client_request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceVersion:
    """Which version of a resource an answer tells of, or has made.

    Attributes:
        etag: Its ETag, without quotation marks, as the service writes it.
        modified: When it was last changed, as headers have it.
    """

    etag: str
    modified: str

    def headers(self) -> Headers:
        """Return the two headers."""
        return (("etag", self.etag), ("last-modified", self.modified))


class Response(NamedTuple):
    """An answer that is ready to be sent."""

    status: int
    headers: Headers
    body: bytes


def counts_response(context: RequestContext, counts: JobCounts) -> Response:
    """Return the 200 that tells a job's counts."""
    members = {"odata.metadata": metadata(context, "taskcountsresult"), **counts.as_json()}
    return ok(context, json_body(members))


def resource_response(
    context: RequestContext, kind: str, members: Mapping[str, object], version: ResourceVersion
) -> Response:
    """Return the 200 that tells of one resource."""
    return ok(context, json_body({"odata.metadata": metadata(context, kind), **members}), version.headers())


def collection_response(
    context: RequestContext, kind: str, items: Sequence[Mapping[str, object]], next_link: str | None = None
) -> Response:
    """Return the 200 that lists resources, or results; a link leads to what follows them.

    Not in the service's layout: it would take several times as long, and there may be a thousand items.
    """
    members: dict[str, object] = {"odata.metadata": f"{context.endpoint}/$metadata#{kind}", "value": items}
    if next_link is not None:
        members["odata.nextLink"] = next_link
    return ok(context, _COMPACT(members).encode())


def empty_response(context: RequestContext, status: int, further: Headers = ()) -> Response:
    """Return an answer that says no more than its status and headers do."""
    length = () if status in _BODYLESS else (("content-length", "0"),)
    kept = tuple(header for header in _headers(context, (*further, *length)) if header[0] != "content-type")
    return Response(status, kept, b"")


def ok(context: RequestContext, body: bytes, further: Headers = ()) -> Response:
    """Return a 200 with any body; how it is delimited is left to the sender, who knows the connection."""
    return Response(200, _headers(context, (*further, ("transfer-encoding", "chunked"))), body)


def refusal_response(context: RequestContext, refusal: Refusal) -> Response:
    """Return the answer that tells of a refusal."""
    if refusal.status in _BODYLESS:
        return empty_response(context, refusal.status, refusal.headers)
    kind = "Microsoft.Azure.Batch.Protocol.Entities.Container.errors"
    body = json_body({"odata.metadata": metadata(context, kind), **error_members(context, refusal)})
    headers = _headers(context, (*refusal.headers, ("content-length", str(len(body)))))
    return Response(refusal.status, headers, body)


def error_members(context: RequestContext, refusal: Refusal) -> dict[str, object]:
    """Return the members that tell of a refusal: of a whole request, or of one of its items."""
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
    """Return what a proxy in front of the service answers: HTML, and none of the service's headers."""
    title = f"{status} {_phrase(status)}".strip()
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    ).encode()
    headers = (
        ("content-type", "text/html"),
        ("content-length", str(len(body))),
        ("date", _date(context.now)),
    )
    return Response(status, headers, body)


def with_length(response: Response) -> Response:
    """Return the answer with the length of its body, for callers who don't know chunks."""
    if response.status in _BODYLESS:
        return response
    kept = (header for header in response.headers if header[0] not in ("content-length", "transfer-encoding"))
    return response._replace(headers=(*kept, ("content-length", str(len(response.body)))))


def http_bytes(response: Response) -> bytes:
    """Return an answer as the bytes of HTTP/1.1, for a connection that is closed after it."""
    chunked = ("transfer-encoding", "chunked") in response.headers
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
    lines += [f"{name}: {value}" for name, value in (*response.headers, ("connection", "close"))]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if not chunked:
        return head + response.body
    chunk = b"%x\r\n%b\r\n" % (len(response.body), response.body) if response.body else b""
    return head + chunk + b"0\r\n\r\n"


def asgi_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return headers as ASGI has them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def metadata(context: RequestContext, kind: str) -> str:
    """Return the address that says of which kind a body is."""
    return f"{context.endpoint}/$metadata#{kind}/@Element"


def json_body(value: object) -> bytes:
    """Return JSON in the service's own layout: containers open and close on lines of their own, with CRLF."""
    return _text(value, "\r\n").encode()


def echoed_client_request_id(headers: Mapping[str, str]) -> str | None:
    """Return the client request id if the caller asked to have it back, in its own spelling.

    One that is no GUID is not sent back: the request is refused, and anything could be in it.
    """
    given = headers.get("client-request-id", "")
    wanted = headers.get("return-client-request-id", "").lower() == "true"
    return given if wanted and GUID.fullmatch(given) else None


def _headers(context: RequestContext, further: Iterable[tuple[str, str]]) -> Headers:
    """Return the service's headers by name, as recorded answers have them."""
    headers = [
        *_CONSTANT,
        ("date", _date(context.now)),
        ("request-id", context.request_id),
        *further,
    ]
    if context.client_request_id is not None:
        headers.append(("client-request-id", context.client_request_id))
    return tuple(sorted(headers))


def _date(time: datetime) -> str:
    """Return a time as headers have it."""
    return format_datetime(time, usegmt=True)


def _phrase(status: int) -> str:
    """Return the reason phrase; proxies also answer with statuses that have none."""
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
