"""The emulated service as an ASGI application: one operation, and the administration beside it.

Under the emulator's own server all faults work as told. In process (``httpx.ASGITransport``) and under
other servers there is no connection to break: there, reset and truncate raise ``ConnectionResetError``
out of the application, and a drip leaves the head of an answer in one piece.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from taskcounts.emulator import auth, refusals, shapes, wire
from taskcounts.emulator.admin import Admin
from taskcounts.emulator.auth import Call
from taskcounts.emulator.connection import ClientGone, connection_of
from taskcounts.emulator.delivery import deliver
from taskcounts.emulator.errors import NoSuchJob
from taskcounts.emulator.faults import Fault, Taken
from taskcounts.emulator.model import JobCounts
from taskcounts.emulator.service import EmulatedAccount

__all__ = ["create_app"]

_PATH = re.compile(r"/jobs/([^/]+)/taskcounts")
_NUMBER = re.compile(r"-?[0-9]+")

# Of these a request has one or none; other headers may come in parts (RFC 9110, 5.3).
_SINGLE = ("client-request-id", "return-client-request-id")

logger = logging.getLogger("taskcounts.emulator")


def create_app(service: EmulatedAccount) -> Starlette:
    """Return the application that answers for an emulated account."""
    app = Starlette(routes=[Mount("/_emulator", app=Admin(service))])
    # What is not the administration's is the service's to refuse, in its own words: as a route it would
    # be redirected by its slashes, and paths with a line break would slip past it.
    app.router.redirect_slashes = False
    app.router.default = _Operation(service)
    return app


class _Operation:
    """Job - Get Task Counts."""

    def __init__(self, service: EmulatedAccount) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's own.
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        call = _call(scope)
        stamp = wire.Stamp(
            endpoint=_endpoint(scope, call.headers),
            request_id=str(uuid.uuid4()),
            now=self._service.now(),
            client_request_id=None if call.repeated & set(_SINGLE) else wire.echo(call.headers),
        )
        answer, fault = self._decide(call, stamp)
        if scope.get("http_version") == "1.0":
            answer = wire.with_length(answer)
        if call.method == "HEAD":
            answer = replace(answer, body=b"")
        try:
            await deliver(answer, fault, connection_of(scope), send)
        except ClientGone:
            # The connection is closed, so that there is nobody to tell.
            return

    def _decide(self, call: Call, stamp: wire.Stamp) -> tuple[wire.Answer, Fault | None]:
        """Return the answer, and the fault that it meets; whatever happens, it is one of the service's."""
        taken = None
        try:
            job_id = self._admit(call, stamp)
            taken = self._service.faults.take(job_id)
            answer = _unfit(taken, stamp) or self._counts(job_id, taken, stamp)
        except refusals.Refusal as refusal:
            answer = wire.refusal_answer(stamp, refusal)
        except Exception:
            logger.exception("request %s could not be answered", stamp.request_id)
            answer = wire.refusal_answer(stamp, refusals.internal_error())
        return answer, None if taken is None else taken.fault

    def _admit(self, call: Call, stamp: wire.Stamp) -> str:
        """Return the id of the job that is asked for, if everything about the request is right.

        Raises:
            Refusal: What is wrong first, in the order of this list.
        """
        path = _PATH.fullmatch(call.path)
        if path is None:
            raise refusals.invalid_uri()
        if call.method != "GET":
            raise refusals.unsupported_verb()
        auth.authenticate(call, self._service.account, self._service.decoded_key, stamp.now)
        query = _parameters(call.query)
        version = _single(query, "api-version")
        if not version:
            raise refusals.missing_query_parameter("api-version")
        if not self._service.accepts(version):
            raise refusals.unsupported_version(version)
        _check_timeout(_single(query, "timeout"))
        _check_headers(call)
        return unquote(path[1])

    def _counts(self, job_id: str, taken: Taken | None, stamp: wire.Stamp) -> wire.Answer:
        try:
            counts = self._service.counts(job_id)
        except NoSuchJob:
            raise refusals.job_not_found() from None
        if taken is not None and taken.counts is not None:
            # A job that is younger than the lag was not yet counted at all.
            counts = taken.counts.get(job_id.lower(), JobCounts())
        if taken is not None and taken.fault.kind == "wrong-shape":
            return wire.ok(stamp, shapes.broken_body(taken.fault.variant, stamp, counts))
        return wire.counts_answer(stamp, counts)


def _unfit(taken: Taken | None, stamp: wire.Stamp) -> wire.Answer | None:
    """Return the answer of a fault that keeps the service from its work, or None.

    Raises:
        Refusal: The fault is a refusal.
    """
    match taken.fault if taken else None:
        case Fault(kind="throttled", retry_after=retry_after):
            raise refusals.too_many_requests(retry_after)
        case Fault(kind="busy", retry_after=retry_after):
            raise refusals.server_busy(retry_after)
        case Fault(kind="internal-error"):
            raise refusals.internal_error()
        case Fault(kind="bad-gateway"):
            return wire.html_answer(stamp, 502)
        case Fault(kind="unknown-status"):
            return wire.html_answer(stamp, 520)
    return None


def _call(scope: Scope) -> Call:
    """Return the request as it was sent."""
    headers: dict[str, str] = {}
    repeated = set()
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").strip()
        if name in headers:
            repeated.add(name)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    # Decoded and encoded again, a path need not be the one that was signed.
    sent = scope.get("raw_path") or quote(scope["path"]).encode()
    path = sent.partition(b"?")[0].decode("latin-1")
    return Call(scope["method"], path, scope["query_string"].decode("latin-1"), headers, frozenset(repeated))


def _endpoint(scope: Scope, headers: Mapping[str, str]) -> str:
    """Return where the caller believes to be: the service writes its name into each body."""
    server = scope.get("server") or ("", None)
    return f"{scope['scheme']}://{headers.get('host') or server[0]}"


def _parameters(query: str) -> dict[str, list[str]]:
    """Return the values of the query by name; the service takes names in any case."""
    found: dict[str, list[str]] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        found.setdefault(unquote(name).lower(), []).append(unquote(value))
    return found


def _single(query: Mapping[str, list[str]], name: str) -> str | None:
    values = query.get(name, [])
    if len(values) > 1:
        raise refusals.invalid_query_parameter(name, ", ".join(values), "The parameter stands twice")
    return values[0] if values else None


def _check_timeout(value: str | None) -> None:
    """Refuse a timeout that is no int32 of at least 1.

    Above 30 the service uses 30. Nothing is left to do with the number here: no answer takes that long
    of itself, and a slow fault is as slow as it was told to be.
    """
    if value is None:
        return
    if not _NUMBER.fullmatch(value):
        raise refusals.invalid_query_parameter("timeout", value, "Timeout is not a whole number")
    # Looked at as text first: Python does not convert a number of any length.
    digits = value.removeprefix("-").lstrip("0")
    if value.startswith("-") or not digits or len(digits) > 10 or int(digits) >= 2**31:
        raise refusals.query_parameter_out_of_range(
            "timeout", value, f"Timeout cannot be less than 1 or more than {2**31 - 1}"
        )


def _check_headers(call: Call) -> None:
    """Refuse a header of the operation that is not of its type."""
    for name in _SINGLE:
        if name in call.repeated:
            raise refusals.invalid_header(name, call.headers[name], "The header stands twice")
    given = call.headers.get("client-request-id")
    if given is not None and not wire.GUID.fullmatch(given):
        raise refusals.invalid_header(
            "client-request-id", given, "The value is not a GUID without decoration"
        )
    wanted = call.headers.get("return-client-request-id")
    if wanted is not None and wanted.lower() not in ("true", "false"):
        raise refusals.invalid_header("return-client-request-id", wanted, "The value is not true or false")
    date = call.headers.get("ocp-date")
    if date is not None and auth.parse_date(date) is None:
        raise refusals.invalid_header("ocp-date", date, "The value is not a date of the form of RFC 1123")
