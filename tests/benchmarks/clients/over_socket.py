"""A raw socket: the floor. It knows how the responder frames its answers, and nothing else of HTTP."""

from __future__ import annotations

import json
import socket
import ssl
from urllib.parse import urlsplit

from benchmarks.clients.measure import Setting, in_threads, setting
from benchmarks.clients.signing import Signer


def main(given: Setting) -> None:
    """Measure what is wanted, one call after another."""
    signer = Signer(given.account, given.key, given.url)
    parts = urlsplit(given.url)
    assert parts.hostname is not None
    connection = socket.create_connection((parts.hostname, parts.port or 443))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if given.authority is not None:
        context = ssl.create_default_context(cafile=given.authority)
        connection = context.wrap_socket(connection, server_hostname=parts.hostname)
    start = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nhost: {parts.netloc}\r\n"

    def call() -> object:
        lines = "".join(f"{name}: {value}\r\n" for name, value in signer.headers().items())
        connection.sendall(f"{start}{lines}\r\n".encode())
        answer = connection.recv(65536)
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            more = connection.recv(65536)
            if not more:
                raise ConnectionError
            answer += more
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(answer[:20])
        return json.loads(answer.partition(b"\r\n\r\n")[2].partition(b"\r\n")[2].partition(b"\r\n")[0])

    in_threads(given, call)


if __name__ == "__main__":
    main(setting())
