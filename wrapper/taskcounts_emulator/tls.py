"""TLS for the emulator: an authority that lives as long as it does, and handshakes that keep nobody waiting.

trustme makes the certificates; it is imported where one is made, and nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from taskcounts_emulator.errors import EmulatorError

__all__ = ["Authority", "TlsHandshake"]

_OWN_NAMES = ("localhost", "127.0.0.1", "::1")

# In a directory that others use too it is not to take the place of something else.
_FILE = "taskcounts-ca.pem"

# Seconds. A client that connects and says nothing is let go after the first; after the second, one that
# doesn't answer our goodbye.
_HANDSHAKE = 10.0
_GOODBYE = 5.0


class Authority:
    """A certificate authority that was made for one emulator, and the certificate of its server.

    Whoever trusts the file at ``ca_path`` trusts the emulator, and nothing else: the authority's key
    is never written anywhere, and is gone with the process.

    Args:
        hosts: Names and addresses that the server is called by, beside localhost, 127.0.0.1 and ::1.
        directory: Where the authority's certificate is written as ``taskcounts-ca.pem``, and stays;
            by default a directory of its own, which is removed by ``close``.

    Raises:
        EmulatorError: trustme is not installed, a name is none, or the file cannot be written.

    Attributes:
        ca_path: The authority's certificate, PEM.
        ssl_context: What the server shows.
    """

    def __init__(self, hosts: Iterable[str] = (), directory: str | os.PathLike[str] | None = None) -> None:
        try:
            import trustme  # noqa: PLC0415 - It is an extra, and takes its time.
        except ModuleNotFoundError as error:
            raise EmulatorError("TLS needs trustme: install taskcounts with its extra 'tls'") from error
        authority = trustme.CA(
            organization_name="taskcounts", organization_unit_name="The emulator's authority"
        )
        names = dict.fromkeys([*_OWN_NAMES, *filter(None, hosts)])
        try:
            certificate = authority.issue_cert(*names, organization_name="taskcounts")
        except ValueError as error:
            # Of the libraries that read names, each has its own kind of these.
            raise EmulatorError(f"no certificate can be made for {', '.join(names)}: {error}") from error
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ssl_context.set_alpn_protocols(["http/1.1"])
        self._own: tempfile.TemporaryDirectory[str] | None = None
        try:
            if directory is None:
                self._own = tempfile.TemporaryDirectory(prefix="taskcounts-")
                directory = self._own.name
            self.ca_path = Path(directory) / _FILE
            # The server's key is in a file for a moment: Python can't take it otherwise.
            certificate.configure_cert(self.ssl_context)
            authority.cert_pem.write_to_path(self.ca_path)
        except OSError as error:
            self.close()
            raise EmulatorError(f"the certificate cannot be written: {error}") from error

    def close(self) -> None:
        """Remove the file, unless its directory was given."""
        if self._own is not None:
            self._own.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TlsHandshake(asyncio.Protocol):
    """A connection as long as its handshake lasts; then it is handed over to the protocol that serves it.

    asyncio's own servers do the same, and don't tell of a handshake that never ends, so that one couldn't
    be ended with the server.

    Args:
        context: What the server shows.
        make: Makes the protocol that serves.
        under_way: Where the greeting is kept as long as it lasts.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        pending: set[TlsHandshake],
    ) -> None:
        self._context = context
        self._make = make
        self._pending = pending
        self._buffered: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        # What comes now is for the handshake to read.
        self._transport.pause_reading()
        self._pending.add(self)
        self.task = asyncio.create_task(self._handshake())

    def data_received(self, data: bytes) -> None:
        """Keep what comes right behind the handshake, before the connection is handed over."""
        self._buffered.append(data)

    def abort(self) -> None:
        """End the connection."""
        self._transport.abort()

    async def _handshake(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                self._transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=_HANDSHAKE,
                ssl_shutdown_timeout=_GOODBYE,
            )
        except OSError:
            # The client speaks no TLS, doesn't trust us, or has left. That is for it to tell; the connection
            # is closed already.
            return
        finally:
            self._pending.discard(self)
        # None where the connection was lost without an error.
        if secured is not None:
            self._hand_over(secured)

    def _hand_over(self, secured: asyncio.Transport) -> None:
        protocol = self._make()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        for data in self._buffered:
            protocol.data_received(data)
