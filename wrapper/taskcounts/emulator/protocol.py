"""HTTP as the emulator's own server speaks it: uvicorn's protocol, and what the service needs beside it."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from taskcounts.emulator.faults.connection import EXTENSION, Connection

__all__ = ["Protocol"]

# Of a request's head, in bytes. What comes with it in one piece counts, too.
_MAX_HEAD = 2**20


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which tells the application of the connection that a request came on."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._connection = Connection(transport)
        self._cycles: list[RequestResponseCycle] = []
        self._head = 0

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._head = 0

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn tells the newest request alone, and logs an error for those before it.
        for cycle in self._cycles:
            cycle.disconnected = True
        self._connection.gone.set()

    def data_received(self, data: bytes) -> None:
        # httptools keeps a head that never ends for as long as it comes.
        self._head += len(data)
        super().data_received(data)
        if self._head > _MAX_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {EXTENSION: self._connection}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        # A copy: what follows a chunked body comes into the same list, and is no part of what was signed.
        self.scope["headers"] = self.headers.copy()
        super().on_headers_complete()
        self._head = 0
        # It has what an answer needs of a transport, and puts an answer together.
        self.cycle.transport = self._connection  # type: ignore[assignment]
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles.append(self.cycle)
