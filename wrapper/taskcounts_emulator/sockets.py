"""The socket that the emulator listens on."""

from __future__ import annotations

import errno
import socket

from taskcounts_emulator.errors import EmulatorError

__all__ = ["endpoint_of", "listen"]


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    The socket is bound here rather than by an HTTP server, so that a failure is an error of one line.

    Raises:
        EmulatorError: The address is invalid or in use.
    """
    # getaddrinfo would take a larger port modulo 65536.
    if not 0 <= port <= 65535:
        raise EmulatorError(f"port {port} on {host}: cannot listen: a port is a number from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise EmulatorError(f"port {port} on {host}: cannot listen: {error}") from error
    try:
        # The port can be used again as soon as its server stops. On Windows SO_REUSEADDR would let two
        # servers share it, and another option does the same.
        once = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listening.setsockopt(socket.SOL_SOCKET, once, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise EmulatorError(
                f"port {port} on {host} is in use; choose another, or 0 for any free one"
            ) from error
        raise EmulatorError(f"port {port} on {host}: cannot listen: {error}") from error
    return listening


def endpoint_of(host: str, listening: socket.socket, scheme: str = "http") -> str:
    """Return the URL of a listening socket, without a slash at the end."""
    port = listening.getsockname()[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
