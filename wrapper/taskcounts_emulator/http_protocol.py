"""The HTTP protocol of the emulator's server: uvicorn's, with the error handling of the service."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from taskcounts_emulator import responses
from taskcounts_emulator.account import EmulatedAccount
from taskcounts_emulator.app import request_context
from taskcounts_emulator.faults.connection import EXTENSION, Connection
from taskcounts_emulator.refusals import Refusal

__all__ = ["HttpProtocol"]

# Bytes of a request's head, including what arrives together with it.
_MAX_HEAD = 2**20

# A host, possibly empty, with or without a port (RFC 9110, 7.2 and RFC 3986, 3.2.2).
_HOST = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[A-Za-z0-9._~:%-]+\])(:[0-9]*)?")

# The first bytes of clients that were given the wrong address, with a message for the log.
_OTHER_PROTOCOLS = {
    b"\x16\x03": "a client speaks TLS where http is served",
    b"PRI * HTTP/2": "a client speaks HTTP/2, and only HTTP/1.1 is served",
}

logger = logging.getLogger("taskcounts_emulator")


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which passes the connection of a request to the application.

    An offer to upgrade the protocol, such as the h2c of Java's client, is ignored (RFC 9110, 7.8). A
    malformed request gets an error response of the service's form and a line in the log, and its connection
    is closed.

    Args:
        service: The account, whose time error responses contain.
        config: uvicorn's settings, with the application.
        state: The open connections of the server.
    """

    def __init__(self, service: EmulatedAccount, config: Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self.logger = logger
        # Set here, since uvicorn's setting of that name changes the logger of the whole process.
        self.access_log = False
        self._service = service
        self._cycles: list[RequestResponseCycle] = []
        self._head = 0
        self._upgrade_headers: list[tuple[bytes, bytes]] = []
        # True once the newest request has been received as a whole.
        self._complete = True
        # The last bytes to send on the connection, once nothing more is read from it.
        self._refusal: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start serving a connection."""
        super().connection_made(transport)
        self._connection = Connection(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Abandon the requests of a lost connection."""
        super().connection_lost(exc)
        # uvicorn notifies only the newest request, and logs an error for the requests before it.
        for cycle in self._cycles:
            cycle.disconnected = True
        self._connection.gone.set()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, unless the connection has sent a malformed request."""
        if self._refusal is not None:
            return
        self._unset_keepalive_if_required()
        # httptools does not limit the size of a head.
        self._head += len(data)
        try:
            self._read(data)
        except httptools.HttpParserError as error:
            self._refuse(_refusal_of(error), data)
        else:
            if self._head > _MAX_HEAD:
                self._refuse(Refusal("InvalidInput", f"The head is longer than {_MAX_HEAD} bytes"), data)

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        extensions: dict[str, Any] = {EXTENSION: self._connection}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        """Start the application on a request, whose body is still to come."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise httptools.HttpParserInvalidMethodError("CONNECT is for proxies")
            # The parser stops here and takes the rest for the other protocol, so the head is parsed again.
            return
        _check_head(self.parser.get_http_version(), self.headers)
        # A copy, since the parser appends trailers to the same list, and those are not signed.
        self.scope["headers"] = [*self.headers, *self._upgrade_headers]
        self._upgrade_headers = []
        super().on_headers_complete()
        self._head = 0
        self._complete = False
        # It has the methods of a transport that a response needs, and joins head and body.
        self.cycle.transport = self._connection  # type: ignore[assignment]
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Receive a part of a body."""
        super().on_body(body)
        self._head = 0

    def on_message_complete(self) -> None:
        """End a request."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self._complete = True

    def on_response_complete(self) -> None:
        """Continue with the next request, or close the connection after the last response."""
        super().on_response_complete()
        self._end_if_refused()

    def _read(self, data: bytes | memoryview) -> None:
        """Feed the parser, which stops after each head that offers another protocol."""
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
            self._ignore_upgrade()

    def _ignore_upgrade(self) -> None:
        """Parse a head again without its Upgrade header, with a new parser for the rest of the connection."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self._upgrade_headers = [header for header in self.headers if header[0] == b"upgrade"]
        self._renew_parser()
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")

    def _refuse(self, refusal: Refusal, data: bytes) -> None:
        """Respond to a malformed request after the pending responses, and close the connection."""
        reason = dict(refusal.details).get("Reason", refusal.message)
        message = next((text for begins, text in _OTHER_PROTOCOLS.items() if data.startswith(begins)), reason)
        logger.warning("refused a request and closed its connection: %s, %s", refusal, message)
        scope = {"scheme": self.scheme, "server": self.server}
        self._refusal = responses.http_bytes(
            responses.refusal_response(request_context(self._service, scope, {}), refusal)
        )
        if not self._complete:
            self._abandon_last_request()
        self._end_if_refused()

    def _abandon_last_request(self) -> None:
        """Abandon a request whose body will never be complete."""
        cycle = self.cycle
        self.pipeline = deque(waiting for waiting in self.pipeline if waiting[0] is not cycle)
        if cycle.response_started:
            # The request has its response already.
            self._refusal = b""
        else:
            cycle.disconnected = True
            cycle.message_event.set()

    def _end_if_refused(self) -> None:
        if self._refusal is not None and all(
            cycle.response_complete or cycle.disconnected for cycle in self._cycles
        ):
            self._connection.write(self._refusal)
            self._connection.close()

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        # Bytes after the last request of a connection are ignored.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)


def _check_head(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Refuse a head with a wrong HTTP version or Host (RFC 9112, 2.3 and 3.2)."""
    if version not in ("1.1", "1.0"):
        raise Refusal("UnsupportedHttpVersion")
    hosts = [value for name, value in headers if name == b"host"]
    if not hosts and version == "1.1":
        raise Refusal("HostInformationNotPresent")
    host = b", ".join(hosts)
    if len(hosts) > 1:
        raise Refusal("InvalidHeaderValue", "host", host.decode("latin-1"), "The Host header is repeated")
    if not _HOST.fullmatch(host):
        raise Refusal("InvalidHeaderValue", "host", host.decode("latin-1"), "The Host header names no host")


def _refusal_of(error: httptools.HttpParserError) -> Refusal:
    """Return the refusal for an error of the parser or of a callback.

    Raises:
        HttpParserError: The callback failed in another way.
    """
    cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
    match cause:
        case Refusal():
            return cause
        case httptools.HttpParserInvalidMethodError():
            return Refusal("InvalidHttpVerb")
        case httptools.HttpParserInvalidURLError():
            return Refusal("RequestUrlFailedToParse")
        case httptools.HttpParserError():
            return Refusal("InvalidInput", str(cause))
    raise error
