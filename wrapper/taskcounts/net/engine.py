"""Engines over sockets of our own, with answers read by httptools."""

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
    PartialAnswer,
    closed_failure,
    failure_from,
    running_loop,
    without_frames,
)
from taskcounts.net.http import RequestEncoder
from taskcounts.net.pool import C, Pool
from taskcounts.net.route import Route
from taskcounts.net.sync_sockets import SyncConnection
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.semaphore import Permit, Semaphore

if TYPE_CHECKING:
    import asyncio

    from taskcounts.net.async_sockets import AsyncConnection

NAME = f"httptools {httptools.__version__}"


class SocketEngine:
    """An engine over sockets, for one request at a time in each of any number of threads."""

    name = NAME

    def __init__(self, route: Route) -> None:
        """Make an engine for a route. It opens connections as they are needed."""
        self._route = _with_context(route)
        self._requests = RequestEncoder(route)
        self._pool: Pool[SyncConnection] = Pool()
        self._opened: WeakSet[SyncConnection] = WeakSet()
        self._semaphore = Semaphore(MAX_CONNECTIONS)
        renew_after_fork(self)

    def renew(self) -> None:
        """Start afresh in a forked process: its parent goes on using the connections and permits."""
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
        answer, broken = PartialAnswer(limit), None
        permit: Permit | None = None
        connection: SyncConnection | None = None
        try:
            permit = self._semaphore.acquire(seconds)
            if permit is None:
                raise AttemptTimedOut
            while not answer.status:
                connection = self._pool.take() or SyncConnection.open(self._route, ends, self._opened.add)
                if self._pool.closed:
                    break
                try:
                    # No local variable holds the bytes, which hold the signature or token.
                    connection.run(connection.round_trip(self._requests.encode(request), answer), ends)
                except OSError as error:
                    if not _was_stale(self._pool, connection) or isinstance(error, TimeoutError):
                        raise
        except OSError as error:
            broken = failure_from(error, seconds, handled)
        finally:
            if connection is not None:
                _put_back(self._pool, connection, answer)
            if permit is not None:
                permit.release()
        return closed_failure() if self._pool.closed and not answer.status else answer.outcome(broken)

    def close(self) -> None:
        """Close the idle connections; one that a thread uses is closed when the thread puts it back."""
        self._pool.close()


class AsyncSocketEngine:
    """An engine over asyncio's sockets, for any number of requests at once in one event loop."""

    name = NAME

    def __init__(self, route: Route) -> None:
        """Make an engine for a route. It opens connections as they are needed."""
        import asyncio  # noqa: PLC0415 - takes 40 ms to load, which threads don't need.

        from taskcounts.net.async_sockets import AsyncConnection  # noqa: PLC0415

        self._open, self._timeout, self._semaphore = AsyncConnection.open, asyncio.timeout, asyncio.Semaphore
        self._current_loop = asyncio._get_running_loop
        self._route = _with_context(route)
        self._requests = RequestEncoder(route)
        self._pool: Pool[AsyncConnection] = Pool()
        self._opened: WeakSet[AsyncConnection] = WeakSet()
        self._permits = self._semaphore(MAX_CONNECTIONS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._buffer = memoryview(bytearray(READ_SIZE))
        renew_after_fork(self)

    def renew(self) -> None:
        """Start afresh in a forked process, which has an event loop of its own."""
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
        answer, broken = PartialAnswer(limit), None
        connection: AsyncConnection | None = None
        try:
            async with self._timeout(seconds), self._permits:
                while not answer.status:
                    connection = self._pool.take() or await self._open(
                        self._route, self._buffer, self._opened.add
                    )
                    if self._pool.closed:
                        break
                    try:
                        await connection.run(connection.round_trip(self._requests.encode(request), answer))
                    except OSError:
                        if not _was_stale(self._pool, connection):
                            raise
        except OSError as error:
            if connection is not None:
                # After a timeout as well: the next attempt shall open a new connection.
                _was_stale(self._pool, connection)
            broken = failure_from(error, seconds, handled)
        finally:
            if connection is not None:
                _put_back(self._pool, connection, answer)
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


def _with_context(route: Route) -> Route:
    """Return a route with its certificates loaded once for all connections, which takes 20 ms."""
    return route._replace(context=route.tls()) if route.encrypted else route


def _was_stale(pool: Pool[C], connection: C) -> bool:
    """Return whether a connection failed because the server had closed it while it was idle.

    In that case no byte of an answer came over it, and the request can be sent again over a new connection
    (RFC 9112, 9.3.1). A failed connection is closed, and so are the idle ones if it was used before: they
    have been idle for as long.
    """
    connection.close()
    if connection.used:
        pool.close_idle()
    return connection.used and connection.reader.silent


def _put_back(pool: Pool[C], connection: C, answer: PartialAnswer) -> None:
    if answer.reusable:
        connection.used = True
        pool.put(connection)
    else:
        connection.close()
