"""The engine for threads, over sockets: every operation ends with the attempt at the latest."""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Self
from weakref import WeakSet

from taskcounts.forks import renew_after_fork
from taskcounts.net.base import (
    LONGEST_TIMEOUT,
    NEXT_ADDRESS,
    READ_SIZE,
    AttemptTimedOut,
    Conversation,
    PartialAnswer,
    closed_failure,
    failure_from,
    first_hop,
    without_frames,
)
from taskcounts.net.http import NAME, RequestEncoder
from taskcounts.net.limits import MAX_CONNECTIONS
from taskcounts.net.pool import HttpConnection, Pool
from taskcounts.net.route import Route
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.semaphore import Permit, Semaphore


class SocketEngine:
    """An engine over sockets, for one request at a time in each of any number of threads."""

    name = NAME

    def __init__(self, route: Route) -> None:
        """Make an engine for a route. It opens connections as they are needed."""
        self._route = route
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
                    if not self._pool.discard(connection) or isinstance(error, TimeoutError):
                        raise
        except OSError as error:
            broken = failure_from(error, seconds, handled)
        finally:
            if connection is not None:
                self._pool.put(connection, reusable=answer.reusable)
            if permit is not None:
                permit.release()
        return closed_failure() if self._pool.closed and not answer.status else answer.outcome(broken)

    def close(self) -> None:
        """Close the idle connections; one that a thread uses is closed when the thread puts it back."""
        self._pool.close()


class SyncConnection(HttpConnection):
    """A connection for one thread at a time."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__()
        self._socket = connected

    @classmethod
    def open(cls, route: Route, ends: float, opened: Callable[[Self], object]) -> Self:
        """Return a connection to a route's endpoint.

        Args:
            route: The route to the endpoint.
            ends: The end of the attempt on the monotonic clock.
            opened: Called with the connection as soon as its socket is open.
        """
        connection: Self | None = None
        try:
            with first_hop(route) as (host, port):
                connection = cls(_connect(host, port, ends))
                opened(connection)
                connection.run(connection.tunnel(route), ends)
            connection.run(connection.secure(route), ends)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return connection

    def run(self, conversation: Conversation[None], ends: float) -> None:
        """Run a conversation, until ``ends`` on the monotonic clock at the latest."""
        data: bytes | None = None
        while True:
            try:
                written = conversation.send(data)  # type: ignore[arg-type]
            except StopIteration:
                return
            while written:
                try:
                    written = written[self._socket.send(written) :]
                except BlockingIOError:
                    _wait(self._socket, ends, writes=True)
            data = None
            while data is None:
                _wait(self._socket, ends, writes=False)
                data = self.receive_nowait()

    def receive_nowait(self) -> bytes | None:
        """Return the bytes that came, b"" at the end of the stream, None if none came."""
        try:
            return self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close the connection at once, without TLS's closing message: answers have an end of their own."""
        self._socket.close()


class _Socket(socket.socket):
    """A socket that the garbage collector closes without a warning, as after an interruption."""

    __slots__ = ()

    def __del__(self) -> None:
        # Not its own close(), which needs attributes that an interrupted constructor hasn't set.
        super(socket.socket, self).close()


def _wait(connected: socket.socket, ends: float, *, writes: bool) -> None:
    """Wait until a socket is ready to be written to or read from; raise AttemptTimedOut at ``ends``."""
    seconds = min(ends - time.monotonic(), LONGEST_TIMEOUT)
    ready: Any = None
    if seconds > 0 and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connected, select.POLLOUT if writes else select.POLLIN)
        ready = poll.poll(seconds * 1000)
    elif seconds > 0:
        readers, writers = ([], [connected]) if writes else ([connected], [])
        ready = any(select.select(readers, writers, [], seconds))
    if not ready:
        raise AttemptTimedOut


def _connect(host: str, port: int, ends: float) -> socket.socket:
    """Return a socket that is connected to the first of a host's addresses that answers.

    The look-up of the addresses has no time limit but the system's own.
    """
    waiting = [(info[0], info[4]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    error = OSError(f"the name {host!r} has no address")
    with selectors.DefaultSelector() as trying:
        try:
            while waiting or trying.get_map():
                seconds = min(ends - time.monotonic(), LONGEST_TIMEOUT)
                if seconds <= 0:
                    raise AttemptTimedOut
                if waiting:
                    error = _begin(trying, *waiting.pop(0)) or error
                    seconds = min(seconds, NEXT_ADDRESS) if waiting else seconds
                for key, _ in trying.select(seconds) if trying.get_map() else ():
                    ready: Any = trying.unregister(key.fileobj).fileobj
                    if not (code := ready.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                        # Send a request at once, not after the acknowledgement of the previous one.
                        ready.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        return ready  # type: ignore[no-any-return]
                    ready.close()
                    error = OSError(code, os.strerror(code))
            raise error
        finally:
            for key in trying.get_map().values():
                key.fileobj.close()  # type: ignore[union-attr]


def _begin(trying: selectors.BaseSelector, family: int, address: Any) -> OSError | None:
    """Begin to connect to an address; return the error if that fails at once."""
    try:
        fresh = _Socket(family, socket.SOCK_STREAM)
    except OSError as error:
        # The machine doesn't support the family, or has no descriptor left.
        return error
    fresh.setblocking(False)
    code = fresh.connect_ex(address)
    if code in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        trying.register(fresh, selectors.EVENT_WRITE)
        return None
    fresh.close()
    return OSError(code, os.strerror(code))
