"""The engine for asyncio, over its sockets. They have no timeouts: the engine cancels their operations."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable
from typing import Any, Self
from weakref import WeakSet

from taskcounts.forks import renew_after_fork
from taskcounts.net.base import (
    NEXT_ADDRESS,
    READ_SIZE,
    Conversation,
    PartialAnswer,
    closed_failure,
    failure_from,
    first_hop,
    running_loop,
    without_frames,
)
from taskcounts.net.http import NAME, RequestEncoder
from taskcounts.net.limits import MAX_CONNECTIONS
from taskcounts.net.pool import HttpConnection, Pool
from taskcounts.net.route import Route
from taskcounts.protocol.messages import Answer, Failure, Request

# Bytes that may wait to be read. A reading task takes them at once, so more than this came unasked.
_MOST_UNREAD = 2**20


class AsyncSocketEngine:
    """An engine over asyncio's sockets, for any number of requests at once in one event loop."""

    name = NAME

    def __init__(self, route: Route) -> None:
        """Make an engine for a route. It opens connections as they are needed."""
        self._route = route
        self._requests = RequestEncoder(route)
        self._pool: Pool[AsyncConnection] = Pool()
        self._opened: WeakSet[AsyncConnection] = WeakSet()
        self._permits = asyncio.Semaphore(MAX_CONNECTIONS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._buffer = memoryview(bytearray(READ_SIZE))
        renew_after_fork(self)

    def renew(self) -> None:
        """Start afresh in a forked process, which has an event loop of its own."""
        for connection in list(self._opened):
            connection.close_inherited()
        self._permits, self._loop = asyncio.Semaphore(MAX_CONNECTIONS), None

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds.

        Raises:
            RuntimeError: This isn't the event loop that the first request was sent in.
        """
        if self._loop is None or self._loop is not asyncio._get_running_loop():
            self._check_loop()
        handled = sys.exc_info()[1]
        try:
            return await self._send(request, seconds, limit, handled)
        except BaseException as error:
            without_frames(error, handled)
            raise

    async def _send(
        self, request: Request, seconds: float, limit: int, handled: BaseException | None
    ) -> Answer | Failure:
        answer, broken = PartialAnswer(limit), None
        connection: AsyncConnection | None = None
        try:
            async with asyncio.timeout(seconds), self._permits:
                while not answer.status:
                    connection = self._pool.take() or await AsyncConnection.open(
                        self._route, self._buffer, self._opened.add
                    )
                    if self._pool.closed:
                        break
                    try:
                        await connection.run(connection.round_trip(self._requests.encode(request), answer))
                    except OSError:
                        if not self._pool.discard(connection):
                            raise
        except OSError as error:
            if connection is not None:
                # After a timeout as well: the next attempt shall open a new connection.
                self._pool.discard(connection)
            broken = failure_from(error, seconds, handled)
        finally:
            if connection is not None:
                self._pool.put(connection, reusable=answer.reusable)
        return closed_failure() if self._pool.closed and not answer.status else answer.outcome(broken)

    async def close(self) -> None:
        """Close all connections, also those in use, which ends their requests.

        Raises:
            RuntimeError: This isn't the event loop that the first request was sent in; the connections are
                closed all the same.
        """
        self._pool.close()
        for connection in list(self._opened):
            connection.close()
        self._check_loop()

    def _check_loop(self) -> None:
        if self._loop is None:
            self._loop = running_loop()
        elif self._loop is not running_loop():
            raise RuntimeError("the client is bound to a different event loop; make one in each")


class AsyncConnection(HttpConnection, asyncio.BufferedProtocol):
    """A connection for one task at a time."""

    _transport: asyncio.Transport

    def __init__(self, connected: socket.socket, buffer: memoryview) -> None:
        super().__init__()
        self._socket = connected
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._data = b""
        self._error: Exception | None = None
        self._ended = False
        self._waiting: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, route: Route, buffer: memoryview, opened: Callable[[Self], object]) -> Self:
        """Return a connection to a route's endpoint.

        Args:
            route: The route to the endpoint.
            buffer: The receive buffer that all connections of a loop share: allocating one for each read
                takes longer than the read.
            opened: Called with the connection as soon as its socket is open.
        """
        connection: Self | None = None
        try:
            with first_hop(route) as (host, port):
                connection = made = cls(await _connect(host, port), buffer)
                opened(made)
                await made._loop.create_connection(lambda: made, sock=made._socket)
                await made.run(made.tunnel(route))
            await made.run(made.secure(route))
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return made

    async def run(self, conversation: Conversation[None]) -> None:
        """Run a conversation."""
        data: Any = None
        while True:
            try:
                written = conversation.send(data)
            except StopIteration:
                return
            if written:
                # Written once all ready tasks have run: a system call between two tasks empties the CPU's
                # caches.
                self._loop.call_soon(self._write, written)
            while not self._data and not self._ended:
                self._waiting = self._loop.create_future()
                try:
                    await self._waiting
                finally:
                    self._waiting = None
            if not self._data and self._error is not None:
                raise self._error
            data = self._take()

    def receive_nowait(self) -> bytes | None:
        """Return the bytes that came, b"" at the end of the stream, None if none came."""
        if self._data or self._ended:
            return self._take()
        # The event loop may not have polled the socket yet.
        try:
            return self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close the connection at once, without TLS's closing message: answers have an end of their own."""
        if self._loop.is_running() and self._loop is not asyncio._get_running_loop():
            # The loop runs in another thread.
            self._loop.call_soon_threadsafe(self.close)
            return
        with contextlib.suppress(AttributeError, RuntimeError):
            # The transport may not be made yet, and the loop may have ended.
            self.connection_lost(ConnectionAbortedError("the connection was closed"))
            self._transport.abort()
        self._socket.close()

    def close_inherited(self) -> None:
        """Close the socket in a forked process; its parent goes on using the connection."""
        self._ended = True
        self._socket.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport. The event loop calls this and the methods up to ``connection_lost``."""
        self._transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that the loop reads to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Keep the bytes that came."""
        self._data += self._buffer[:nbytes]
        if len(self._data) > _MOST_UNREAD:
            self.close()
        self._wake()

    def eof_received(self) -> None:
        """Note the end of the stream; the transport closes itself."""
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended."""
        self._ended = True
        self._error = self._error or exc
        self._wake()

    def _take(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def _write(self, data: bytes) -> None:
        # The connection may have been closed meanwhile.
        if not self._ended:
            self._transport.write(data)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


async def _connect(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the first of a host's addresses that answers.

    asyncio's own function leaks a connection that is established just as it is cancelled.
    """
    loop = asyncio.get_running_loop()
    waiting = [(info[0], info[4]) for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    trying: list[asyncio.Task[socket.socket]] = []
    winner: asyncio.Task[socket.socket] | None = None
    pending: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or pending:
            if waiting:
                trying.append(loop.create_task(_connect_to(*waiting.pop(0))))
            # With an eager task factory, a task may have ended before it is waited for.
            if pending := {each for each in trying if not each.done()}:
                _, pending = await asyncio.wait(
                    pending, timeout=NEXT_ADDRESS if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
            winner = next((each for each in trying if each.done() and each.exception() is None), None)
            if winner is not None:
                return winner.result()
        if trying:
            return trying[-1].result()
        raise OSError(f"the name {host!r} has no address")
    finally:
        for each in trying:
            if each is not winner:
                each.cancel()
                each.add_done_callback(_close)


async def _connect_to(family: int, address: Any) -> socket.socket:
    fresh = socket.socket(family, socket.SOCK_STREAM)
    try:
        fresh.setblocking(False)
        await asyncio.get_running_loop().sock_connect(fresh, address)
        # Send a request at once, not after the acknowledgement of the previous one.
        fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        fresh.close()
        raise
    return fresh


def _close(late: asyncio.Task[socket.socket]) -> None:
    """Close a connection that was established too late; retrieve an error, so that asyncio doesn't log it."""
    if not late.cancelled() and late.exception() is None:
        late.result().close()
