"""What httpcore lacks to keep a limit of time, and to be rid of what failed.

httpcore limits each read by itself: a server that sends a byte a second never runs into it. Its connections
hand every socket operation to a network backend. The synchronous one in here gives each operation
only what is left of the attempt, which belongs to the thread that makes it. Asynchronous operations
are cancelled from outside; there the backend closes what a cancelled TLS handshake leaves open.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import httpcore

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
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        try:
            self._run(self._tls.do_handshake)
        except BaseException:
            self.close()
            raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return bytes(self._run(lambda: self._tls.read(max_bytes)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._run(lambda: self._tls.write(buffer))

    def get_extra_info(self, info: str) -> Any:
        return self._tls if info == "ssl_object" else super().get_extra_info(info)

    def _run(self, step: Callable[[], Any]) -> Any:
        """Take a step of the protocol, reading and writing what it takes."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._inner.read(2**16):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._inner.write(self._outgoing.read())


class ClosingBackend:
    """An asynchronous network backend of httpcore that leaves no connection open behind a cancelled call."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(self, *arguments: Any, **options: Any) -> Any:
        return _ClosingStream(await self._inner.connect_tcp(*arguments, **options))


class _ClosingStream:
    """A stream whose TLS handshake closes it, however it fails; httpcore forgets cancellations."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def start_tls(self, *arguments: Any, **options: Any) -> Any:
        try:
            return _ClosingStream(await self._inner.start_tls(*arguments, **options))
        except BaseException:
            await self._inner.aclose()
            raise
