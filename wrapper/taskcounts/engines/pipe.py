"""TLS without a socket: what it reads is fed to it, and what it writes is fetched."""

from __future__ import annotations

import ssl

# Bytes that are read at once: as many as a record of TLS can have, and some more.
ROOM = 2**16


class Pipe:
    """One side of a TLS connection.

    Attributes:
        tls: Its handshake, read and write, which raise ssl.SSLWantReadError until enough was fed.
    """

    def __init__(self, context: ssl.SSLContext, hostname: str | None) -> None:
        """Take whom to trust, and the name that the other side has to have."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    def feed(self, data: bytes) -> None:
        """Take what came; nothing is the end."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def fetch(self) -> bytes:
        """Return what is to be sent now, if anything."""
        return self._outgoing.read()

    def holds(self) -> bool:
        """Return whether there is something that was fed and not read yet."""
        return bool(self._incoming.pending or self.tls.pending())
