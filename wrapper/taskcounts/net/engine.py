"""Sends over connections of our own, whose answers httptools reads."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING
from weakref import WeakSet

import httptools

from taskcounts.forks import renew_after_fork
from taskcounts.net.base import (
    MAX_CONNECTIONS,
    READ_SIZE,
    AttemptTimedOut,
    Reading,
    closed,
    failure,
    running_loop,
    without_frames,
)
from taskcounts.net.http import Requests
from taskcounts.net.pool import C, Pool
from taskcounts.net.route import Connection as Route
from taskcounts.net.sync_sockets import SyncConnection
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.semaphore import Permit, Semaphore

if TYPE_CHECKING:
    import asyncio

    from taskcounts.net.async_sockets import AsyncConnection

NAME = f"httptools {httptools.__version__}"


class SocketEngine:
    """Sends over sockets, one request at a time in each of any number of threads."""

    name = NAME

    def __init__(self, route: Route) -> None:
        """Take the way to the endpoint."""
        self._route = _with_context(route)
        self._requests = Requests(route)
        self._pool: Pool[SyncConnection] = Pool()
        self._opened: WeakSet[SyncConnection] = WeakSet()
        self._semaphore = Semaphore(MAX_CONNECTIONS)
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin anew in a forked process: what it inherited is still that of the one before."""
        self._semaphore = Semaphore(MAX_CONNECTIONS)
        self._pool.close_idle()
        for connection in list(self._opened):
            connection.close()

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        handled = sys.exc_info()[1]
        try:
            return self._send(request, seconds, limit, handled)
        except BaseException as error:
            without_frames(error, handled)
            raise

    def _send(
        self, request: Request, seconds: float, limit: int, handled: BaseException | None
    ) -> Answer | Failure:
        ends = time.monotonic() + seconds
        reading, broken = Reading(limit), None
        permit: Permit | None = None
        connection: SyncConnection | None = None
        try:
            permit = self._semaphore.acquire(seconds)
            if permit is None:
                raise AttemptTimedOut
            while not reading.status:
                connection = self._pool.take() or SyncConnection.open(self._route, ends, self._opened.add)
                if self._pool.closed:
                    break
                try:
                    # No local variable holds the bytes, which hold the signature or token.
                    connection.run(connection.exchange(self._requests.head(request), reading), ends)
                except OSError as error:
                    if not _was_stale(self._pool, connection) or isinstance(error, TimeoutError):
                        raise
        except OSError as error:
            broken = failure(error, seconds, handled)
        finally:
            if connection is not None:
                _put_back(self._pool, connection, reading)
            if permit is not None:
                permit.release()
        return _outcome(self._pool, reading, broken)

    def close(self) -> None:
        """Close all connections, but for one that a thread uses: that is closed when it is put back."""
        self._pool.close()


class AsyncSocketEngine:
    """Sends over asyncio's sockets, any number of requests at once in one event loop."""

    name = NAME

    def __init__(self, route: Route) -> None:
        """Take the way to the endpoint."""
        import asyncio  # noqa: PLC0415 - takes 40 ms to load, which threads don't need.

        from taskcounts.net.async_sockets import AsyncConnection  # noqa: PLC0415

        self._open, self._timeout, self._semaphore = AsyncConnection.open, asyncio.timeout, asyncio.Semaphore
        self._current_loop = asyncio._get_running_loop
        self._route = _with_context(route)
        self._requests = Requests(route)
        self._pool: Pool[AsyncConnection] = Pool()
        self._opened: WeakSet[AsyncConnection] = WeakSet()
        self._permits = self._semaphore(MAX_CONNECTIONS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._buffer = memoryview(bytearray(READ_SIZE))
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin anew in a forked process, in an event loop of its own."""
        for connection in list(self._opened):
            connection.close_inherited()
        self._permits, self._loop = self._semaphore(MAX_CONNECTIONS), None

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds.

        Raises:
            RuntimeError: This isn't the event loop that the first request was sent in.
        """
        if self._loop is None or self._loop is not self._current_loop():
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
        reading, broken = Reading(limit), None
        connection: AsyncConnection | None = None
        try:
            async with self._timeout(seconds), self._permits:
                while not reading.status:
                    connection = self._pool.take() or await self._open(
                        self._route, self._buffer, self._opened.add
                    )
                    if self._pool.closed:
                        break
                    try:
                        await connection.run(connection.exchange(self._requests.head(request), reading))
                    except OSError:
                        if not _was_stale(self._pool, connection):
                            raise
        except OSError as error:
            if connection is not None:
                # Also where the time was over: the next attempt is to open a new connection.
                _was_stale(self._pool, connection)
            broken = failure(error, seconds, handled)
        finally:
            if connection is not None:
                _put_back(self._pool, connection, reading)
        return _outcome(self._pool, reading, broken)

    async def close(self) -> None:
        """Close all connections, also those in use: their requests end.

        Raises:
            RuntimeError: This isn't the event loop that the first request was sent in; they are closed.
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


def _with_context(route: Route) -> Route:
    """Return a route whose certificates are loaded, which takes 20 ms, once for all its connections."""
    return route._replace(context=route.tls()) if route.encrypted else route


def _was_stale(pool: Pool[C], connection: C) -> bool:
    """Return whether a connection failed only since the server had forgotten it, and close all like it.

    No byte of an answer came over a connection that was used before: whoever asks anew, over a new one,
    repeats nothing (RFC 9112, 9.3.1). The others have been idle for as long.
    """
    connection.close()
    if connection.used:
        pool.close_idle()
    return connection.used and connection.answers.silent


def _outcome(pool: Pool[C], reading: Reading, broken: Failure | None) -> Answer | Failure:
    return closed() if pool.closed and not reading.status else reading.outcome(broken)


def _put_back(pool: Pool[C], connection: C, reading: Reading) -> None:
    if reading.again:
        connection.used = True
        pool.put(connection)
    else:
        connection.close()
