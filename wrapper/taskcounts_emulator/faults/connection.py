"""What the faults need of a connection and HTTP servers do not offer: to reset, to hang up, to write bytes.

The emulator's own server hands a ``Connection`` to the application through the scope's extensions.
Where there is none, the application runs in process or under another server: then a connection that breaks
is a ``ConnectionResetError`` raised out of the application, after whatever was sent before.
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

# On, for zero seconds: closing sends a reset and no FIN. Windows has two shorts where others have two ints.
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class ClientDisconnected(Exception):
    """The connection is closed, by either side; there is nobody to answer."""


class Connection:
    """A TCP connection of the emulator's own server.

    Attributes:
        gone: Set when the connection is lost. Whoever waits for something waits for this too,
            so that neither a client that left nor the end of the server has to wait.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.gone = asyncio.Event()
        self._transport = transport
        self._held: list[bytes] | None = None

    def write(self, data: bytes) -> None:
        """Write bytes as they are; what they are is not looked at."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(data)

    def close(self) -> None:
        """Close, after what was written has left."""
        self.release()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether it is closed, or about to be."""
        return self._transport.is_closing()

    def hold(self) -> None:
        """Keep what is written until ``release``, so that a head and its body leave in one piece."""
        self._held = []

    def release(self) -> None:
        """Write what was kept."""
        held, self._held = self._held, None
        if held:
            self._transport.write(b"".join(held))

    async def reset(self) -> NoReturn:
        """Send a reset: the caller finds its connection broken. Always raises ClientGone."""
        connected: socket.socket = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()
        await self._end()

    async def hang_up(self) -> NoReturn:
        """Close, after what was written has left. Always raises ClientGone."""
        self._transport.close()
        await self._end()

    async def pause(self, seconds: float) -> None:
        """Wait. Raises ClientGone as soon as the connection is lost."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), seconds)
        if self.gone.is_set():
            raise ClientDisconnected

    async def _end(self) -> NoReturn:
        await self.gone.wait()
        raise ClientDisconnected


class InProcessConnection:
    """No connection at all: what breaks is raised, and time passes as it does."""

    def hold(self) -> None:
        """Do nothing: how an answer leaves is the server's."""

    def release(self) -> None:
        """Do nothing, as above."""

    async def reset(self) -> NoReturn:
        """Raise what a client sees of a reset."""
        raise ConnectionResetError("the connection is reset, as a fault asks")

    async def hang_up(self) -> NoReturn:
        """Raise what comes of an answer that ends too early."""
        raise ConnectionResetError("the answer ends before its end, as a fault asks")

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def connection_of(scope: Mapping[str, Any]) -> Connection | InProcessConnection:
    """Return the connection on which a request came."""
    found = (scope.get("extensions") or {}).get(EXTENSION)
    return found if isinstance(found, Connection) else InProcessConnection()
