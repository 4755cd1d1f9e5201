"""TLS without a socket, for threads and tasks alike; a connection may have two layers of it."""

from __future__ import annotations

import ssl

from taskcounts.net.base import READ_SIZE, BrokenAnswer, Conversation, NeverWorks, T


class Tls:
    """The client's side of a TLS connection."""

    def __init__(self, context: ssl.SSLContext, hostname: str) -> None:
        """Make a layer for a context and the name or address that the certificate must have."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        # The beginning of an incomplete record; OpenSSL doesn't show that it has one.
        self._part = b""

    def handshake(self) -> Conversation[None]:
        """Do the handshake. Its last bytes are sent along with the next ones that are written.

        Raises:
            SSLError: The server isn't trusted, or the handshake failed.
            NeverWorks: The server chose another protocol than HTTP/1.1.
        """
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._feed((yield self._outgoing.read()))
        protocol = self._tls.selected_alpn_protocol()
        if protocol not in (None, "http/1.1"):
            raise NeverWorks(
                f"the SSLContext offers {protocol!r}, and the server took it; "
                "this client speaks HTTP/1.1 alone: give it a context of its own"
            )

    def carry(self, conversation: Conversation[T]) -> Conversation[T]:
        """Carry a conversation inside TLS, and return its result.

        Raises:
            BrokenAnswer: The stream ended without TLS's closing message, so that anybody may have cut it (RFC
                9112, 9.8).
        """
        try:
            written = next(conversation)
            while True:
                if written:
                    self._tls.write(written)
                while (read := self._read()) is None:
                    self._feed((yield self._outgoing.read()))
                written = conversation.send(read)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def unasked(self, data: bytes | None) -> bytes | None:
        """Return the content of bytes that came unasked; None if TLS sent them, such as a session ticket."""
        if data is not None:
            self._feed(data)
        return self._part or self._read()

    def _feed(self, data: bytes) -> None:
        if not data:
            self._incoming.write_eof()
            return
        self._incoming.write(data)
        records, start = self._part + data, 0
        while start + 5 <= len(records):
            # A record has a type, a version, and the length of the rest.
            end = start + 5 + int.from_bytes(records[start + 3 : start + 5], "big")
            if end > len(records):
                break
            start = end
        self._part = records[start:]

    def _read(self) -> bytes | None:
        """Return decrypted bytes, b"" at the end of the stream, None if more are needed."""
        try:
            return self._tls.read(READ_SIZE)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLEOFError as error:
            raise BrokenAnswer("the server ended the connection without TLS's goodbye") from error
