"""asyncio's sockets, as httpcore takes them.

httpcore's own go through anyio, which takes a third of what a call costs. No operation ends by itself:
whoever awaits it cancels it; the limits of time that httpcore has for each are passed over.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import httpcore

from taskcounts.engines.pipe import ROOM, Pipe
from taskcounts.engines.seam import readable

# Seconds until a host's next address is tried beside one that is silent, as broken IPv6 often is: RFC 8305.
_NEXT_ADDRESS = 0.25

# Bytes that are kept unread before the server has to wait; who writes more than this waits for the server.
_ENOUGH = 2**16


class LoopBackend(httpcore.AsyncNetworkBackend):
    """A network backend of httpcore over the running event loop."""

    def __init__(self) -> None:
        # Where what comes is read to, over whichever connection: making room for each time takes longer than
        # reading does.
        self._room = memoryview(bytearray(ROOM))

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> LoopStream:
        """Return a connection to the first of a host's addresses that answers."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host!r} has no address: {error}") from error
        try:
            return await _first([info[4][:2] for info in found], lambda: LoopStream(self._room))
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error


class LoopStream(asyncio.BufferedProtocol, httpcore.AsyncNetworkStream):
    """A connection, which one task at a time uses."""

    _transport: asyncio.Transport

    def __init__(self, room: memoryview) -> None:
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._data = b""
        self._ended = False
        self._error: Exception | None = None
        self._paused = False
        self._full = False
        self._waiting: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, from the event loop, as in all that follows up to ``resume_writing``."""
        self._transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the loop may read to, before it calls the next one."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Keep what came."""
        self._data += self._room[:nbytes]
        if len(self._data) > _ENOUGH and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Take note that nothing more will come; the transport closes itself."""
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        self._ended, self._full, self._error = True, False, exc
        self._wake()

    def pause_writing(self) -> None:
        """Take note that the server doesn't read what is written."""
        self._full = True

    def resume_writing(self) -> None:
        """Take note that it does again."""
        self._full = False
        self._wake()

    async def read(self, max_bytes: int, *_: Any, **__: Any) -> bytes:
        """Return what came, up to a number of bytes; none at the end."""
        while not self._data:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            if self._ended:
                return b""
            await self._wait()
        data, self._data = self._data[:max_bytes], self._data[max_bytes:]
        if self._paused and not self._ended:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        """Write bytes, as soon as the server takes them."""
        if not buffer:
            return
        if self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        # After all tasks that can go on now: what is cached of their code and values outlasts no system call.
        self._loop.call_soon(self._send, buffer)
        if len(buffer) > _ENOUGH:
            await asyncio.sleep(0)
        while self._full:
            await self._wait()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, *_: Any, **__: Any
    ) -> TlsStream:
        """Return the same connection with TLS; close it if that fails."""
        return await _secured(self, ssl_context, server_hostname)

    async def aclose(self) -> None:
        """Close, whatever is still to be read or written."""
        self._transport.abort()
        # The socket is closed in the loop's next round.
        await asyncio.sleep(0)

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for, such as whether there is something to read, were it the end."""
        if info != "is_readable":
            return None
        # The event loop may not have looked since it came.
        raw = self._transport.get_extra_info("socket")
        return bool(self._data) or self._ended or readable(raw.fileno())

    def _send(self, buffer: bytes) -> None:
        """Write bytes, unless the connection was closed meanwhile."""
        if not self._transport.is_closing():
            self._transport.write(buffer)

    async def _wait(self) -> None:
        """Wait until something happens."""
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class TlsStream(httpcore.AsyncNetworkStream):
    """TLS over a connection, or over the TLS of one, as to an https proxy.

    asyncio's own fails in the latter, and waits for a goodbye from whoever it closes a connection to.
    """

    def __init__(self, inner: LoopStream | TlsStream, pipe: Pipe) -> None:
        self._inner = inner
        self._pipe = pipe

    async def read(self, max_bytes: int, *_: Any, **__: Any) -> bytes:
        """Return what came, up to a number of bytes; none at the end."""
        try:
            return bytes(await self.run(lambda: self._pipe.tls.read(max_bytes)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        """Write bytes, as soon as the server takes them."""
        if buffer:
            await self.run(lambda: self._pipe.tls.write(buffer))

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, *_: Any, **__: Any
    ) -> TlsStream:
        """Return the same connection with TLS inside this one; close it if that fails."""
        return await _secured(self, ssl_context, server_hostname)

    async def aclose(self) -> None:
        """Close, without a goodbye: an answer has an end of its own."""
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for, as above, and what TLS agreed on."""
        if info == "ssl_object":
            return self._pipe.tls
        return info == "is_readable" and (self._pipe.holds() or self._inner.get_extra_info(info))

    async def run(self, step: Callable[[], Any]) -> Any:
        """Take a step of the protocol, reading and writing what it takes."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._inner.write(self._pipe.fetch())
                self._pipe.feed(await self._inner.read(ROOM))
            else:
                await self._inner.write(self._pipe.fetch())
                return result


async def _first(addresses: list[Any], make: Callable[[], LoopStream]) -> LoopStream:
    """Return a connection to the first of some addresses that answers, or raise the last one's error.

    asyncio's own way to do that forgets a connection that comes about just as it is cancelled.
    """
    loop = asyncio.get_running_loop()
    tried: list[asyncio.Task[tuple[asyncio.Transport, LoopStream]]] = []
    winner = None
    try:
        while winner is None:
            if addresses:
                host, port = addresses.pop(0)
                tried.append(loop.create_task(loop.create_connection(make, host, port)))
            done, _ = await asyncio.wait(
                {task for task in tried if not task.done()},
                timeout=_NEXT_ADDRESS if addresses else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            winner = next((task for task in done if task.exception() is None), None)
            if winner is None and not addresses and all(task.done() for task in tried):
                winner = tried[-1]
        return winner.result()[1]
    finally:
        others = [task for task in tried if task is not winner]
        for task in others:
            task.cancel()
        for outcome in await asyncio.gather(*others, return_exceptions=True):
            if isinstance(outcome, tuple):
                await outcome[1].aclose()


async def _secured(inner: LoopStream | TlsStream, context: ssl.SSLContext, hostname: str | None) -> TlsStream:
    """Return TLS over a connection, after its handshake."""
    try:
        pipe = Pipe(context, hostname)
        stream = TlsStream(inner, pipe)
        await stream.run(pipe.tls.do_handshake)
    except BaseException as error:
        await inner.aclose()
        if isinstance(error, OSError):
            raise httpcore.ConnectError(str(error)) from error
        raise
    return stream
