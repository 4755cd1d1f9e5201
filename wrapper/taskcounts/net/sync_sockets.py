"""Connections for threads: every operation of a socket ends with the attempt at the latest."""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any, Self

from taskcounts.net.base import (
    LONGEST_TIMEOUT,
    NEXT_ADDRESS,
    READ_SIZE,
    AttemptTimedOut,
    Conversation,
    first_hop,
)
from taskcounts.net.connection import HttpConnection
from taskcounts.net.route import Route


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
        data: Any = None
        while True:
            try:
                written = conversation.send(data)
            except StopIteration:
                return
            self._write(written, ends)
            data = self._read(ends)

    def receive_nowait(self) -> bytes | None:
        """Return the bytes that came, b"" at the end of the stream, None if none came."""
        try:
            return self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close the connection at once, without TLS's closing message: answers have an end of their own."""
        self._socket.close()

    def _read(self, ends: float) -> bytes:
        while True:
            _wait(self._socket, ends, writes=False)
            if (data := self.receive_nowait()) is not None:
                return data

    def _write(self, data: bytes, ends: float) -> None:
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                _wait(self._socket, ends, writes=True)


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
