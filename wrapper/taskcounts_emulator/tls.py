"""TLS for the emulator: a short-lived certificate authority, and handshakes that can be aborted.

trustme makes the certificates; it is imported only when one is made.
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

# A specific name, since the directory may contain other files.
_FILE = "taskcounts-ca.pem"

# Seconds until a silent client is disconnected, and until one is that does not answer the closing of TLS.
_HANDSHAKE = 10.0
_GOODBYE = 5.0


class Authority:
    """A certificate authority for one emulator, and the certificate of its server.

    A client that trusts the file at ``ca_path`` trusts this emulator and nothing else: the authority's key is
    never written to disk, and ends with the process.

    Args:
        hosts: Further names and addresses of the server, besides localhost, 127.0.0.1 and ::1.
        directory: The directory for the authority's certificate, ``taskcounts-ca.pem``, which stays there; by
            default a temporary directory, which ``close`` removes.

    Raises:
        EmulatorError: trustme is not installed, a name is invalid, or the file cannot be written.

    Attributes:
        ca_path: The authority's certificate, PEM.
        ssl_context: The TLS settings of the server.
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
            # The libraries that parse names raise different subclasses of it.
            raise EmulatorError(f"no certificate can be made for {', '.join(names)}: {error}") from error
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ssl_context.set_alpn_protocols(["http/1.1"])
        self._own: tempfile.TemporaryDirectory[str] | None = None
        try:
            if directory is None:
                self._own = tempfile.TemporaryDirectory(prefix="taskcounts-")
                directory = self._own.name
            self.ca_path = Path(directory) / _FILE
            # Python loads a key only from a file, so this writes the server's key to one for a moment.
            certificate.configure_cert(self.ssl_context)
            authority.cert_pem.write_to_path(self.ca_path)
        except OSError as error:
            self.close()
            raise EmulatorError(f"the certificate cannot be written: {error}") from error

    def close(self) -> None:
        """Remove the certificate, unless its directory was given."""
        if self._own is not None:
            self._own.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TlsHandshake(asyncio.Protocol):
    """A connection during its TLS handshake, after which its serving protocol takes over.

    asyncio's own servers do the same, but give no access to a pending handshake, so that it could not be
    aborted when the server stops.

    Args:
                context: The TLS settings of the server.
        make: Makes the protocol that serves the connection.
        under_way: The set of pending handshakes, which this one joins until it ends.
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
        """Start the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        # The next bytes belong to the handshake.
        self._transport.pause_reading()
        self._pending.add(self)
        self.task = asyncio.create_task(self._handshake())

    def data_received(self, data: bytes) -> None:
        """Buffer bytes that arrive after the handshake, before the connection is handed over."""
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
            # The client does not speak TLS, does not trust the certificate, or has disconnected. It reports
            # that itself, and the connection is closed already.
            return
        finally:
            self._pending.discard(self)
        # None if the connection was lost without an error.
        if secured is not None:
            self._hand_over(secured)

    def _hand_over(self, secured: asyncio.Transport) -> None:
        protocol = self._make()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        for data in self._buffered:
            protocol.data_received(data)
