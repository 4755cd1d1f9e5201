"""HTTP as the emulator's own server speaks it: uvicorn's protocol, and what the service needs beside it."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from taskcounts.emulator.faults.connection import EXTENSION, Connection

__all__ = ["Protocol"]

# Of a request's head, in bytes. What comes with it in one piece counts, too.
_MAX_HEAD = 2**20


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which tells the application of the connection that a request came on.

    An offer to go on in another protocol, such as the h2c of Java's client, is ignored (RFC 9110, 7.8).

    Args:
        config: uvicorn's settings, with the application.
        state: The open connections of the server.
    """

    def __init__(self, config: Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self._cycles: list[RequestResponseCycle] = []
        self._head = 0
        self._offers: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        super().connection_made(transport)
        self._connection = Connection(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the requests whose answers nobody waits for any more."""
        super().connection_lost(exc)
        # uvicorn tells the newest request alone, and logs an error for those before it.
        for cycle in self._cycles:
            cycle.disconnected = True
        self._connection.gone.set()

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        self._unset_keepalive_if_required()
        # httptools keeps a head that never ends for as long as it comes.
        self._head += len(data)
        try:
            self._read(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._head > _MAX_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        super().on_message_begin()
        extensions: dict[str, Any] = {EXTENSION: self._connection}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        """Have a request answered, its body still to come."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise httptools.HttpParserInvalidMethodError("CONNECT is for proxies")
            # The parser stops here, and takes the body for the other protocol: the head is read again.
            return
        # A copy: what follows a chunked body comes into the same list, and is no part of what was signed.
        self.scope["headers"] = [*self.headers, *self._offers]
        self._offers = []
        super().on_headers_complete()
        self._head = 0
        # It has what an answer needs of a transport, and puts an answer together.
        self.cycle.transport = self._connection  # type: ignore[assignment]
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        super().on_body(body)
        self._head = 0

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _read(self, data: bytes | memoryview) -> None:
        """Feed the parser, which stops behind each head that offers another protocol."""
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
            self._ignore_offer()

    def _ignore_offer(self) -> None:
        """Read a head again without its offer, with a new parser, which reads what follows as HTTP/1.1."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self._offers = [header for header in self.headers if header[0] == b"upgrade"]
        self._renew_parser()
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        # What a client sends behind its last request is passed over.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
