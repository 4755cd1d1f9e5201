"""Control over the TCP connection of a request: to reset it, to hang up, to write bytes.

HTTP servers do not offer this, so the emulator's own server passes a ``Connection`` to the application in the
scope's extensions. In process and under other servers, a broken connection is a ``ConnectionResetError``
raised from the application, after whatever was sent before.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

__all__ = ["EXTENSION", "ClientDisconnected", "Connection", "InProcessConnection", "connection_of"]

EXTENSION = "taskcounts_emulator.faults.connection"

# SO_LINGER on with zero seconds: closing sends RST instead of FIN. Windows has two shorts, others two ints.
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class ClientDisconnected(Exception):
    """The connection is closed, so no response can be sent."""


class Connection:
    """A TCP connection of the emulator's own server.

    Attributes:
        gone: Set when the connection is lost. Every wait on the connection ends with it, so that neither a
            client that disconnected nor the end of the server has to wait.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.gone = asyncio.Event()
        self._transport = transport
        self._held: list[bytes] | None = None

    def write(self, data: bytes) -> None:
        """Write bytes, bypassing the server's HTTP."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(data)

    def close(self) -> None:
        """Close the connection after sending what was written."""
        self.release()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closed or closing."""
        return self._transport.is_closing()

    def hold(self) -> None:
        """Buffer what is written until ``release``, so that a head and its body are sent in one piece."""
        self._held = []

    def release(self) -> None:
        """Send what was buffered."""
        held, self._held = self._held, None
        if held:
            self._transport.write(b"".join(held))

    async def reset(self) -> NoReturn:
        """Reset the connection. Always raises ClientDisconnected."""
        connected: socket.socket = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()
        await self._end()

    async def hang_up(self) -> NoReturn:
        """Close the connection after sending what was written. Always raises ClientDisconnected."""
        self._transport.close()
        await self._end()

    async def pause(self, seconds: float) -> None:
        """Wait some seconds; raises ClientDisconnected as soon as the connection is lost."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), seconds)
        if self.gone.is_set():
            raise ClientDisconnected

    async def _end(self) -> NoReturn:
        await self.gone.wait()
        raise ClientDisconnected


class InProcessConnection:
    """The stand-in for a connection in process: a broken connection raises an error."""

    def hold(self) -> None:
        """Do nothing: the server sends the response."""

    def release(self) -> None:
        """Do nothing: the server sends the response."""

    async def reset(self) -> NoReturn:
        """Raise the error that a client gets from a reset."""
        raise ConnectionResetError("the connection is reset, as a fault asks")

    async def hang_up(self) -> NoReturn:
        """Raise the error for a response that ends too early."""
        raise ConnectionResetError("the answer ends before its end, as a fault asks")

    async def pause(self, seconds: float) -> None:
        """Wait some seconds."""
        await asyncio.sleep(seconds)


def connection_of(scope: Mapping[str, Any]) -> Connection | InProcessConnection:
    """Return the connection of a request."""
    found = (scope.get("extensions") or {}).get(EXTENSION)
    return found if isinstance(found, Connection) else InProcessConnection()
