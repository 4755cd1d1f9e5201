"""The emulated service as an ASGI application: its operations and the admin API.

Under the emulator's own server all faults work as described. In process (``httpx.ASGITransport``) and under
other servers there is no connection to break: there, reset and truncate raise ``ConnectionResetError`` from
the application, and a drip sends the head of a response in one piece.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping
from urllib.parse import quote, unquote_plus

from taskcounts_emulator import responses
from taskcounts_emulator.account import EmulatedAccount
from taskcounts_emulator.admin import Admin
from taskcounts_emulator.api import auth, routes
from taskcounts_emulator.api.asgi import Application, Receive, Scope, Send, answer_lifespan, path_of
from taskcounts_emulator.api.auth import RawRequest
from taskcounts_emulator.api.bodies import MAX_BODY, Members, read_body
from taskcounts_emulator.api.operations import Request
from taskcounts_emulator.api.routes import Body, Operation
from taskcounts_emulator.errors import EmulatorError, NoSuchJob, NoSuchTask
from taskcounts_emulator.faults import malformed
from taskcounts_emulator.faults.connection import ClientDisconnected, connection_of
from taskcounts_emulator.faults.delivery import deliver
from taskcounts_emulator.faults.plan import Fault, InjectedFault
from taskcounts_emulator.model import JOB_ID, TASK_ID
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.versions import GUID, VERSIONS, ApiVersion

__all__ = ["create_app", "request_context"]

_NUMBER = re.compile(r"-?[0-9]+")

# A request may have each of these once; other headers may come in parts (RFC 9110, 5.3).
_SINGLE = ("client-request-id", "return-client-request-id")

# A request may have each of these parameters once; unknown parameters are ignored.
_PARAMETERS = frozenset(
    ("api-version", "timeout", "maxresults", "force", "$filter", "$select", "$expand", "$skiptoken")
)

logger = logging.getLogger("taskcounts_emulator")


def create_app(service: EmulatedAccount) -> Application:
    """Return the ASGI application of an emulated account."""
    return _Service(service)


def request_context(
    service: EmulatedAccount,
    scope: Scope,
    headers: Mapping[str, str],
    client_request_id: str | None = None,
) -> responses.RequestContext:
    """Return the values of a request that its response repeats."""
    return responses.RequestContext(
        _endpoint(scope, headers), str(uuid.uuid4()), service.now(), client_request_id
    )


class _Service:
    """The operations of the service, and the admin API."""

    def __init__(self, service: EmulatedAccount) -> None:
        self._service = service
        self._admin = Admin(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        elif path_of(scope).startswith("/_emulator/"):
            await self._admin(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(self._service, scope)
        try:
            response = await exchange.response(receive)
            if scope.get("http_version") == "1.0":
                response = responses.with_length(response)
            if scope["method"] == "HEAD":
                response = response._replace(body=b"")
            exchange.record(response)
            await deliver(response, exchange.fault, connection_of(scope), send)
        except ClientDisconnected:
            # The connection is closed, so no response can be sent.
            return


class _Exchange:
    """The handling of one request.

    Attributes:
        fault: The fault that is injected; None without one.
    """

    def __init__(self, service: EmulatedAccount, scope: Scope) -> None:
        self.fault: Fault | None = None
        self._service = service
        self._raw = raw = _raw(scope)
        self._parameters = _parameters(raw.query)
        # Two versions, even if they are equal, make a name that none has.
        self._version = VERSIONS.get(", ".join(self._parameters.get("api-version", ())))
        client_request_id = (
            None
            if raw.repeated & set(_SINGLE)
            else responses.echoed_client_request_id(raw.headers, self._version)
        )
        self._context = request_context(service, scope, raw.headers, client_request_id)
        self._operation: Operation | None = None
        self._code: str | None = None
        self._begun = time.monotonic()

    async def response(self, receive: Receive) -> responses.Response:
        """Return the response; every failure becomes an error of the service.

        Raises:
            ClientDisconnected: The connection was closed before the end of the request. Nothing was done.
        """
        try:
            request = self._admit()
            operation = self._operation
            if operation is not None and (operation.body is not Body.NONE or _has_body(self._raw.headers)):
                request = request._replace(document=await self._document(operation, receive))
            self._begun = time.monotonic()
            injected = self._service.faults.take(request.operation, request.job_id or None, request.version)
            if injected is not None:
                self.fault = injected.fault
            return _fault_response(injected, self._context) or self._perform(request, injected)
        except Refusal as refusal:
            return self._refusal_response(refusal)
        except NoSuchJob:
            return self._refusal_response(Refusal("JobNotFound"))
        except NoSuchTask:
            return self._refusal_response(Refusal("TaskNotFound"))
        except EmulatorError as error:
            # Most likely the store: its file was removed, or the disk is full. No traceback is needed.
            logger.error("request %s could not be answered: %s", self._context.request_id, error)
            return self._refusal_response(Refusal("InternalError"))
        except ClientDisconnected:
            raise
        except Exception:
            logger.exception("request %s could not be answered", self._context.request_id)
            return self._refusal_response(Refusal("InternalError"))

    def record(self, response: responses.Response) -> None:
        """Record the exchange in the journal."""
        self._service.journal.record(
            time=self._context.now,
            operation=None if self._operation is None else self._operation.name,
            method=self._raw.method,
            path=self._raw.path,
            query=self._raw.query,
            headers=self._raw.headers,
            status=None if self.fault is not None and self.fault.kind == "reset" else response.status,
            code=self._code,
            fault=None if self.fault is None else self.fault.kind,
            request_id=self._context.request_id,
            seconds=time.monotonic() - self._begun,
        )

    def _admit(self) -> Request:
        """Return the request, if everything except its body is valid.

        Raises:
            Refusal: The first failed check, in the order of this function.
        """
        raw, context = self._raw, self._context
        operation, job_id, task_id = routes.resolve(raw.method, raw.path)
        self._operation = operation
        auth.authenticate(raw, self._service.credential, context.now)
        parameters = _single(self._parameters)
        version, given = self._version, parameters.get("api-version")
        if not given:
            raise Refusal("MissingRequiredQueryParameter", "api-version")
        if version is None:
            reason = f"The versions known here are {', '.join(VERSIONS)}"
            raise Refusal("InvalidQueryParameterValue", "api-version", given, reason)
        _check_timeout(parameters.get("timeout"))
        for name in parameters:
            if name.startswith("$") and name not in operation.options:
                raise Refusal("UnsupportedQueryParameter", name)
        _check_headers(raw, version)
        return Request(operation.name, raw, context, version, parameters, job_id, task_id, {})

    async def _document(self, operation: Operation, receive: Receive) -> Members:
        """Return the decoded body; empty if the operation needs none and there is none.

        An unexpected body is read, too: nothing is done before the request is complete.

        Raises:
            Refusal: The body is too long, missing, or not a JSON object.
            ClientDisconnected: The connection was closed before the end of the body.
        """
        headers = self._raw.headers
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers and operation.body is Body.REQUIRED:
            raise Refusal("MissingContentLengthHeader")
        # A body whose stated length is too long is refused without reading it.
        if length is not None and _is_too_long(length):
            raise Refusal("RequestBodyTooLarge", str(MAX_BODY))
        body = await _body(receive)
        if operation.body is Body.NONE or (not body and operation.body is Body.OPTIONAL):
            return {}
        kind = headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise Refusal(
                "InvalidHeaderValue", "content-type", kind, "The content type is not application/json"
            )
        return read_body(body)

    def _perform(self, request: Request, injected: InjectedFault | None) -> responses.Response:
        """Perform the operation, and return its response."""
        operation = self._operation
        if operation is None or (request.job_id and not JOB_ID.fullmatch(request.job_id)):
            raise Refusal("JobNotFound")
        if request.task_id and not TASK_ID.fullmatch(request.task_id):
            # If the job does not exist either, that is the error.
            self._service.world.job(request.job_id)
            raise Refusal("TaskNotFound")
        if injected is not None and injected.counts is not None:
            request = request._replace(counts=injected.counts)
        response = operation.handler(self._service, request)
        if (
            injected is not None
            and injected.fault.kind == "wrong-shape"
            and response.status == 200
            and response.body
        ):
            page = f"{self._context.endpoint}{self._raw.target}"
            body = malformed.malformed_body(injected.fault.variant, operation.name, response.body, page)
            return response._replace(body=body)
        return response

    def _refusal_response(self, refusal: Refusal) -> responses.Response:
        self._code = refusal.code
        return responses.refusal_response(self._context, refusal)


def _fault_response(
    injected: InjectedFault | None, context: responses.RequestContext
) -> responses.Response | None:
    """Return the response of a fault that keeps the operation from being performed, or None.

    Raises:
        Refusal: The fault is a refusal.
    """
    if injected is None:
        return None
    match injected.fault:
        case Fault(kind="throttled", retry_after=retry_after):
            raise Refusal("TooManyRequests", headers=_retry_after(retry_after))
        case Fault(kind="busy", retry_after=retry_after):
            raise Refusal("ServerBusy", headers=_retry_after(retry_after))
        case Fault(kind="internal-error"):
            raise Refusal("InternalError")
        case Fault(kind="bad-gateway"):
            return responses.html_response(context, 502)
        case Fault(kind="unknown-status"):
            return responses.html_response(context, 520)
        case Fault(kind="reset", applied=False):
            # This response is never sent: the connection is reset first.
            return responses.html_response(context, 503)
    return None


def _retry_after(value: str | None) -> tuple[tuple[str, str], ...]:
    return () if value is None else (("retry-after", value),)


async def _body(receive: Receive) -> bytes:
    """Return the body of a request.

    Raises:
        Refusal: The body is too long. The server reads and drops the rest, so that the response arrives.
        ClientDisconnected: The connection was closed before the end of the body.
    """
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        parts += message.get("body", b"")
        if len(parts) > MAX_BODY:
            raise Refusal("RequestBodyTooLarge", str(MAX_BODY))
        if not message.get("more_body", False):
            return bytes(parts)


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_too_long(length: str) -> bool:
    digits = length.lstrip("0")
    return digits.isdecimal() and (len(digits) > 9 or int(digits) > MAX_BODY)


def _raw(scope: Scope) -> RawRequest:
    """Return the request as it was sent, with repeated headers joined by commas."""
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").strip()
        if name in headers:
            repeated.add(name)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    # The signature covers the raw path; decoding and encoding it again could change it.
    sent = scope.get("raw_path") or quote(scope["path"]).encode()
    path = sent.partition(b"?")[0].decode("latin-1")
    return RawRequest(
        scope["method"], path, scope["query_string"].decode("latin-1"), headers, frozenset(repeated)
    )


def _endpoint(scope: Scope, headers: Mapping[str, str]) -> str:
    """Return the URL of the service as the caller knows it; each body contains it."""
    host, port = scope.get("server") or ("", None)
    return f"{scope['scheme']}://{headers.get('host') or (host if port is None else f'{host}:{port}')}"


def _parameters(query: str) -> Mapping[str, list[str]]:
    """Return the values of each parameter by name in lower case; the service ignores the case of names."""
    found: dict[str, list[str]] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        found.setdefault(unquote_plus(name).lower(), []).append(unquote_plus(value))
    return found


def _single(parameters: Mapping[str, list[str]]) -> Mapping[str, str]:
    """Return the value of each parameter, the first one of an unknown parameter.

    Raises:
        Refusal: A known parameter is repeated.
    """
    for name, values in parameters.items():
        if len(values) > 1 and name in _PARAMETERS:
            raise Refusal("InvalidQueryParameterValue", name, ", ".join(values), "The parameter is repeated")
    return {name: values[0] for name, values in parameters.items()}


def _check_timeout(value: str | None) -> None:
    """Refuse a timeout that is not an int32 of at least 1.

    The service caps it at 30 seconds. The value has no effect here: no response takes that long, except by a
    fault.
    """
    if value is None:
        return
    if not _NUMBER.fullmatch(value):
        raise Refusal("InvalidQueryParameterValue", "timeout", value, "Timeout is not a whole number")
    # Checked as text first: Python refuses to convert very long numbers.
    digits = value.removeprefix("-").lstrip("0")
    if value.startswith("-") or not digits or len(digits) > 10 or int(digits) >= 2**31:
        raise Refusal(
            "OutOfRangeQueryParameterValue",
            "timeout",
            value,
            f"Timeout cannot be less than 1 or more than {2**31 - 1}",
        )


def _check_headers(raw: RawRequest, version: ApiVersion) -> None:
    """Refuse a header whose value does not have its type."""
    for name in _SINGLE:
        if name in raw.repeated:
            raise Refusal("InvalidHeaderValue", name, raw.headers[name], "The header is repeated")
    given = raw.headers.get("client-request-id")
    if given is not None and not version.client_request_id.fullmatch(given):
        is_guid = version.client_request_id is GUID
        form = "a GUID without decoration" if is_guid else "1 to 128 printable ASCII characters"
        raise Refusal("InvalidHeaderValue", "client-request-id", given, f"The value is not {form}")
    wanted = raw.headers.get("return-client-request-id")
    if wanted is not None and wanted.lower() not in ("true", "false"):
        raise Refusal(
            "InvalidHeaderValue", "return-client-request-id", wanted, "The value is not true or false"
        )
    date = raw.headers.get("ocp-date")
    if date is not None and auth.parse_date(date) is None:
        raise Refusal(
            "InvalidHeaderValue", "ocp-date", date, "The value is not a date of the form of RFC 1123"
        )
