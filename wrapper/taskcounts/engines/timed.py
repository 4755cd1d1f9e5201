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
from taskcounts.engines.seam import TimeIsUp


class Attempt(threading.local):
    """When the attempt that this thread is making has to be over, on the monotonic clock."""

    ends = float("inf")

    def left(self) -> float | None:
        """Return the seconds that are left, None for no limit; raise when there are none."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeIsUp
        return left if left < threading.TIMEOUT_MAX else None


attempt = Attempt()


class TimedBackend:
    """A network backend of httpcore whose every operation ends with the attempt."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> TimedStream:
        # The inner backend would give each of the host's addresses the whole time.
        # Looking them up has no limit but the system's own.
        addresses = [info[4][0] for info in self._look_up(host, port)]
        while True:
            left = attempt.left()
            # One that is silent, as broken IPv6 often is, leaves its share to the next.
            share = None if left is None else left / len(addresses)
            try:
                return TimedStream(self._inner.connect_tcp(addresses[0], port, timeout=share, **options))
            except Exception:
                if len(addresses) == 1:
                    raise
                addresses.pop(0)

    def _look_up(self, host: str, port: int) -> list[Any]:
        try:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host!r} has no address: {error}") from error


class TimedStream:
    """A network stream of httpcore whose every operation ends with the attempt."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout=attempt.left())  # type: ignore[no-any-return]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout=attempt.left())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> TimedStream:
        if self.get_extra_info("ssl_object") is not None:
            return _TlsInTls(self, ssl_context, server_hostname)
        return TimedStream(self._inner.start_tls(ssl_context, server_hostname, timeout=attempt.left()))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        self._inner.close()


class _TlsInTls(TimedStream):
    """TLS inside the TLS of an https proxy. httpcore's own reads on and on under one and the same limit."""

    def __init__(self, inner: TimedStream, context: ssl.SSLContext, hostname: str | None) -> None:
        super().__init__(inner)
        self._pipe = Pipe(context, hostname)
        try:
            self._run(self._pipe.tls.do_handshake)
        except BaseException:
            self.close()
            raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return bytes(self._run(lambda: self._pipe.tls.read(max_bytes)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._run(lambda: self._pipe.tls.write(buffer))

    def get_extra_info(self, info: str) -> Any:
        return self._pipe.tls if info == "ssl_object" else super().get_extra_info(info)

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
