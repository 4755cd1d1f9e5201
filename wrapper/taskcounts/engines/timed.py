"""Sockets that keep the limit of time of a whole attempt, as httpcore takes them.

httpcore limits each read by itself: a server that sends a byte a second never runs into it. Its connections
hand every socket operation to a network backend. This one gives each operation only what is left of
the attempt, which belongs to the thread that makes it.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import httpcore

from taskcounts.engines.pipe import ROOM, Pipe
from taskcounts.engines.seam import TimeIsUp, readable

# Seconds, twelve days. Systems count milliseconds, and not to any number.
_LONGEST = 1e6


class Attempt(threading.local):
    """When the attempt that this thread is making has to be over, on the monotonic clock."""

    ends = float("inf")

    def left(self) -> float | None:
        """Return the seconds that are left, None for no limit; raise when there are none."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeIsUp
        return left if left < _LONGEST else None


attempt = Attempt()


class TimedBackend(httpcore.NetworkBackend):
    """A network backend of httpcore whose every operation ends with the attempt."""

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> TimedStream:
        """Return a connection to the first of a host's addresses that answers."""
        # Looking them up has no limit but the system's own.
        addresses = [info[4][0] for info in self._look_up(host, port)]
        while True:
            left = attempt.left()
            # One that is silent, as broken IPv6 often is, leaves its share to the next.
            share = None if left is None else left / len(addresses)
            try:
                connected = socket.create_connection((addresses[0], port), share)
            except OSError as error:
                addresses.pop(0)
                if addresses:
                    continue
                if isinstance(error, TimeoutError):
                    raise
                raise httpcore.ConnectError(str(error)) from error
            else:
                # A request is sent at once, not when the server has told that it has the one before.
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return TimedStream(connected)

    def _look_up(self, host: str, port: int) -> list[Any]:
        try:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host!r} has no address: {error}") from error


class TimedStream(httpcore.NetworkStream):
    """A connection, which one thread at a time uses; with TLS or without."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def read(self, max_bytes: int, *_: Any, **__: Any) -> bytes:
        """Return what came, up to a number of bytes; none at the end."""
        try:
            self._socket.settimeout(attempt.left())
            return self._socket.recv(max_bytes)
        except TimeoutError:
            raise
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        """Write bytes, as soon as the server takes them."""
        try:
            while buffer:
                self._socket.settimeout(attempt.left())
                buffer = buffer[self._socket.send(buffer) :]
        except TimeoutError:
            raise
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, *_: Any, **__: Any
    ) -> TimedStream:
        """Return the same connection with TLS; close it if that fails."""
        try:
            if isinstance(self._socket, ssl.SSLSocket):
                return _TlsInTls(self, ssl_context, server_hostname)
            self._socket.settimeout(attempt.left())
            return TimedStream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise httpcore.ConnectError(str(error)) from error
            raise

    def close(self) -> None:
        """Close, without a goodbye: an answer has an end of its own."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for: whether there is something to read, and what TLS agreed on."""
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        return info == "is_readable" and readable(self._socket.fileno())


class _TlsInTls(TimedStream):
    """TLS inside the TLS of an https proxy, which a socket can't have."""

    def __init__(self, inner: TimedStream, context: ssl.SSLContext, hostname: str | None) -> None:
        super().__init__(inner._socket)
        self._inner = inner
        self._pipe = Pipe(context, hostname)
        self._run(self._pipe.tls.do_handshake)

    def read(self, max_bytes: int, *_: Any, **__: Any) -> bytes:
        try:
            return bytes(self._run(lambda: self._pipe.tls.read(max_bytes)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        if buffer:
            self._run(lambda: self._pipe.tls.write(buffer))

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._pipe.tls
        return info == "is_readable" and (self._pipe.holds() or super().get_extra_info(info))

    def _run(self, step: Callable[[], Any]) -> Any:
        """Take a step of the protocol, reading and writing what it takes."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._inner.write(self._pipe.fetch())
                self._pipe.feed(self._inner.read(ROOM))
            else:
                self._inner.write(self._pipe.fetch())
                return result
