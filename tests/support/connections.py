"""Raw connections to an emulator: plain ones, with TLS, and below TLS."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from urllib.parse import urlsplit

from taskcounts_emulator import Emulator

TARGET = "/jobs/nightly/taskcounts?api-version=2024-07-01.20.0"
REQUEST = f"GET {TARGET} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token\r\n\r\n".encode()


def connect(emulator: Emulator) -> socket.socket:
    """Return a TCP connection."""
    url = urlsplit(emulator.endpoint)
    return socket.create_connection((url.hostname, url.port), timeout=5)


def secured(emulator: Emulator, name: str = "127.0.0.1") -> ssl.SSLSocket:
    """Return a connection that trusts the emulator."""
    context = ssl.create_default_context(cafile=emulator.ca_path)
    return context.wrap_socket(connect(emulator), server_hostname=name)


def answered(connection: socket.socket, sent: bytes = REQUEST) -> tuple[int, dict[str, str], bytes]:
    """Send a request, and return the status, headers and body of its response."""
    connection.sendall(sent)
    answer = http.client.HTTPResponse(connection, method="GET")
    answer.begin()
    return answer.status, dict(answer.getheaders()), answer.read()


def wait_until_read(emulator: Emulator) -> None:
    """Return once the emulator has read earlier bytes: a later request has been answered."""
    with secured(emulator) if emulator.ca_path else connect(emulator) as connection:
        assert answered(connection, b"GET /_emulator/health HTTP/1.1\r\nhost: localhost\r\n\r\n")[0] == 200


def received(connection: socket.socket) -> bytes:
    """Return all bytes until the connection ends, with a reset or without."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            got += data
    return got


class ByHand:
    """A client that does TLS itself, so that a test sees the TCP connection below."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.connection.recv(65536))

    def flush(self) -> None:
        """Send the pending bytes."""
        self.connection.sendall(self.outgoing.read())

    def read(self, length: int) -> bytes:
        """Return received bytes, up to a length."""
        while True:
            try:
                return self.tls.read(length)
            except ssl.SSLWantReadError:
                self.incoming.write(self.connection.recv(65536))
