"""Proxies on loopback: over HTTP and over SOCKS, with tunnels that carry bytes both ways at once."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
from typing import Any

from support.servers import Peer, Server

CONNECTED = b"HTTP/1.1 200 Connected\r\n\r\n"
# Success, and the address that the proxy connects from.
SOCKS_YES = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"


def carry(near: socket.socket, port: int) -> None:
    """Carry bytes between a connection and a server here, until one of them ends."""
    with socket.create_connection(("127.0.0.1", port)) as far, selectors.DefaultSelector() as ready:
        for each in (near, far):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.setblocking(False)
            ready.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                source: Any = key.fileobj
                data = received(source)
                if not data:
                    return
                sink = far if source is near else near
                sink.setblocking(True)
                sink.sendall(data)
                sink.setblocking(False)


def received(source: socket.socket) -> bytes:
    """Return the bytes at hand; TLS may have read more than one record from the socket."""
    found = b""
    with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
        while data := source.recv(65536):
            found += data
            if not isinstance(source, ssl.SSLSocket):
                break
    return found


def tunnel(peer: Peer, port: int) -> None:
    """Open a tunnel after CONNECT, to a server here, until one side ends."""
    peer.send(CONNECTED)
    carry(peer.socket, port)


class Proxy(Server):
    """A proxy over HTTP that answers CONNECT as a test wants, and opens a tunnel after a 2xx.

    Attributes:
        port_behind: The port that all tunnels lead to, whatever CONNECT asked for.
        connect: The answer to CONNECT.
    """

    def __init__(self, port_behind: int, connect: bytes = CONNECTED, tls: Any = None) -> None:
        self.port_behind = port_behind
        self.connect = connect
        super().__init__(self.take, tls, backlog=512)

    def take(self, peer: Peer) -> None:
        """Answer a request, and carry bytes if that opened a tunnel."""
        answer = self.connect
        peer.send(answer)
        opened = answer.rpartition(b"HTTP/1.")[2][2:3] == b"2" and b"\r\n\r\n" in answer
        if opened and peer.head.startswith(b"CONNECT"):
            carry(peer.socket, self.port_behind)
        # After a refusal the connection is closed.
        peer.socket.close()


class Socks(Server):
    """A SOCKS5 proxy that keeps the messages that it gets.

    Attributes:
        port_behind: The port that all connections lead to, whatever was asked for.
        method: The method of authentication that it chooses: 0 for none, 2 for user and password.
        accepts: Whether it accepts the user and password.
        reply: The reply to a request to connect; it connects if the reply means success.
        asked: The messages before the tunnel.
    """

    def __init__(self, port_behind: int, method: int = 0, reply: bytes = SOCKS_YES) -> None:
        self.port_behind = port_behind
        self.method = method
        self.accepts = True
        self.reply = reply
        self.asked: list[bytes] = []
        super().__init__(lambda _: None)

    def _read(self, connection: socket.socket) -> bytes:
        self.asked.append(connection.recv(257))
        connection.sendall(bytes([5, self.method]))
        if self.method == 2:
            self.asked.append(connection.recv(513))
            connection.sendall(b"\x01\x00" if self.accepts else b"\x01\x01")
        if request := connection.recv(262):
            self.asked.append(request)
            reply = self.reply
            connection.sendall(reply)
            if reply[:2] == b"\x05\x00" and len(reply) > 6:
                carry(connection, self.port_behind)
        return b""
