"""Servers on loopback that write any bytes a test likes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from support.answers import Reply


@dataclass(frozen=True)
class Peer:
    """A request, and the connection that it came over."""

    server: Server
    socket: socket.socket
    head: bytes

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def wait(self, seconds: float = 5) -> bool:
        """Send nothing for some seconds; return whether the server is being closed."""
        return self.server.stopped.wait(seconds)


Behave = Callable[[Peer], object]


class Server:
    """A server on loopback.

    Args:
        behave: A function that gets each request as a `Peer`, and writes any bytes it likes.
        tls: The context of a server over TLS.
        backlog: The number of connections that may wait to be accepted.
        host: The address to listen on.

    Attributes:
        requests: The heads of the requests so far.
        accepted: The number of connections so far.
        stopped: Set as the server is closed.
    """

    def __init__(
        self,
        behave: Behave,
        tls: ssl.SSLContext | None = None,
        backlog: int = 128,
        host: str = "127.0.0.1",
    ) -> None:
        self.behave = behave
        self.tls = tls
        self.requests: list[bytes] = []
        self.accepted = 0
        self.stopped = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        place = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{place}:{self.port}"
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                # A lack of descriptors passes; the server goes on.
                if self.stopped.wait(0.01):
                    return
                continue
            # Bytes leave at once, not when the client has acknowledged the ones before.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self.accepted += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        # The client may hang up at any moment, which is often the test.
        with contextlib.suppress(OSError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection:
                while head := self._read(connection):
                    self.requests.append(head)
                    self.behave(Peer(self, connection, head))

    def _read(self, connection: socket.socket) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = connection.recv(65536)
            if not part:
                return b""
            head += part
        return head

    def close(self) -> None:
        self.stopped.set()
        # Closing alone doesn't wake a thread that accepts or reads.
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)


def always(reply: Reply) -> Behave:
    """Return a behaviour that answers each request with one reply, and hangs up."""

    def behave(peer: Peer) -> None:
        peer.send(reply.raw())
        peer.socket.shutdown(socket.SHUT_WR)

    return behave


def header(head: bytes, name: str) -> str | None:
    """Return a header of a raw request, None if it has none."""
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return None
