"""How the service's answers look, byte for byte, as they were recorded.

An answer is a value: a status, headers and a body. Nothing in here does I/O or decides what to answer.
"""

from __future__ import annotations

import http
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime

from taskcounts.emulator.model import JobCounts
from taskcounts.emulator.refusals import Refusal

__all__ = [
    "Answer",
    "Stamp",
    "body_text",
    "counts_answer",
    "html_answer",
    "raw",
    "refusal_answer",
    "with_length",
]

JSON = "application/json;odata=minimalmetadata"

# A GUID "with no decoration such as curly braces", says the reference of the operation.
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Stamp:
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
class Answer:
    """An answer that is ready to be sent."""

    status: int
    headers: Headers
    body: bytes


def counts_answer(stamp: Stamp, counts: JobCounts) -> Answer:
    """Return the 200 that tells a job's counts."""
    return ok(stamp, body_text({"odata.metadata": metadata(stamp, "taskcountsresult"), **counts.as_json()}))


def ok(stamp: Stamp, body: bytes) -> Answer:
    """Return a 200 with any body; how it is delimited is left to the sender, who knows the connection."""
    return Answer(200, _headers(stamp, (("transfer-encoding", "chunked"),)), body)


def refusal_answer(stamp: Stamp, refusal: Refusal) -> Answer:
    """Return the answer that tells of a refusal."""
    time = f"{stamp.now:%Y-%m-%dT%H:%M:%S.%f}0Z"
    told: dict[str, object] = {
        "odata.metadata": metadata(stamp, "Microsoft.Azure.Batch.Protocol.Entities.Container.errors"),
        "code": refusal.code,
        "message": {
            "lang": "en-US",
            "value": f"{refusal.message}\nRequestId:{stamp.request_id}\nTime:{time}",
        },
    }
    if refusal.details:
        told["values"] = [{"key": key, "value": value} for key, value in refusal.details]
    body = body_text(told)
    headers = _headers(stamp, (*refusal.headers, ("content-length", str(len(body)))))
    return Answer(refusal.status, headers, body)


def html_answer(stamp: Stamp, status: int) -> Answer:
    """Return what a proxy in front of the service answers: HTML, and none of the service's headers."""
    title = f"{status} {_phrase(status)}".strip()
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    ).encode()
    headers = (
        ("content-type", "text/html"),
        ("content-length", str(len(body))),
        ("date", format_datetime(stamp.now, usegmt=True)),
    )
    return Answer(status, headers, body)


def with_length(answer: Answer) -> Answer:
    """Return the answer with the length of its body, for callers who don't know chunks."""
    kept = (header for header in answer.headers if header[0] not in ("content-length", "transfer-encoding"))
    return replace(answer, headers=(*kept, ("content-length", str(len(answer.body)))))


def raw(answer: Answer) -> bytes:
    """Return an answer as the bytes of HTTP/1.1, for a connection that is closed after it."""
    chunked = ("transfer-encoding", "chunked") in answer.headers
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in (*answer.headers, ("connection", "close"))]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if not chunked:
        return head + answer.body
    chunk = b"%x\r\n%b\r\n" % (len(answer.body), answer.body) if answer.body else b""
    return head + chunk + b"0\r\n\r\n"


def metadata(stamp: Stamp, kind: str) -> str:
    """Return the address that says of which kind a body is."""
    return f"{stamp.endpoint}/$metadata#{kind}/@Element"


def body_text(value: object) -> bytes:
    """Return JSON in the service's own layout: containers open and close on lines of their own, with CRLF."""
    return _text(value, "\r\n").encode()


def echo(headers: Mapping[str, str]) -> str | None:
    """Return the client request id if the caller asked to have it back, in its own spelling.

    One that is no GUID is not sent back: the request is refused, and anything could be in it.
    """
    given = headers.get("client-request-id", "")
    wanted = headers.get("return-client-request-id", "").lower() == "true"
    return given if wanted and GUID.fullmatch(given) else None


def _headers(stamp: Stamp, further: Iterable[tuple[str, str]]) -> Headers:
    """Return the service's headers by name, as recorded answers have them."""
    headers = [
        ("content-type", JSON),
        ("dataserviceversion", "3.0"),
        ("date", format_datetime(stamp.now, usegmt=True)),
        ("request-id", stamp.request_id),
        ("server", "Microsoft-HTTPAPI/2.0"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("x-content-type-options", "nosniff"),
        *further,
    ]
    if stamp.client_request_id is not None:
        headers.append(("client-request-id", stamp.client_request_id))
    return tuple(sorted(headers))


def _phrase(status: int) -> str:
    """Return the reason phrase; proxies also answer with statuses that have none."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _text(value: object, newline: str) -> str:
    if type(value) is int:
        return str(value)
    inner = newline + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}:{_text(part, inner)}" for name, part in value.items()]
        return "{" + inner + ",".join(parts) + newline + "}"
    if isinstance(value, list):
        return "[" + inner + ",".join(_text(part, inner) for part in value) + newline + "]"
    return json.dumps(value)
