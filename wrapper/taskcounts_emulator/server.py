"""The emulator as a server: in a background thread, or in the main thread of a program.

The protocol is uvicorn's. uvicorn's ``Server`` is not used: it checks only ten times a second whether it is
to stop, and then waits for responses that a fault keeps from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from uvicorn.config import Config
from uvicorn.server import ServerState

from taskcounts_emulator.account import EmulatedAccount, Settings
from taskcounts_emulator.api.asgi import Application
from taskcounts_emulator.app import create_app
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.http_protocol import HttpProtocol
from taskcounts_emulator.sockets import endpoint_of, listen
from taskcounts_emulator.tls import Authority, TlsHandshake

__all__ = ["Emulator", "serve"]

# Seconds, as for the service's own server. With less, a client that polls slowly would find its connection
# closed just as it sends.
_KEEP_ALIVE = 120

# Seconds for responses that are being written when the server stops.
_LAST_ANSWERS = 1.0


class Emulator(EmulatedAccount):
    """An emulated account with a server in a background thread; a context manager.

    Args:
        account: The account's name.
        key: Its access key, Base64; by default 64 random bytes.
        host: The address to listen on.
        port: The port, or 0 for any free one.
        tls: Whether to serve HTTPS; callers have to trust the certificate at ``ca_path``.
        settings: The other settings of ``EmulatedAccount``, such as ``scripted`` or ``slots``.

    Raises:
        EmulatorError: A setting is invalid or the store cannot be used; on entering, the port is taken or
            trustme is not installed.

    Attributes:
        app: The ASGI application, for use without the server.
    """

    def __init__(
        self,
        account: str = "emulated",
        key: str | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(account, key, **settings)
        self.app: Application = create_app(self)
        self._address = (host, port)
        self._tls = tls
        self._authority: Authority | None = None
        self._endpoint: str | None = None
        self._left = False
        self._running: tuple[threading.Thread, asyncio.AbstractEventLoop, asyncio.Event] | None = None

    @property
    def endpoint(self) -> str:
        """The URL of the server, without a slash at the end.

        Raises:
            EmulatorError: The emulator is not running.
        """
        if self._endpoint is None:
            raise EmulatorError("the emulator is not running; use it in a with statement")
        return self._endpoint

    @property
    def ca_path(self) -> Path | None:
        """The certificate that callers have to trust, PEM; None without TLS or while not running."""
        return None if self._authority is None else self._authority.ca_path

    def __enter__(self) -> Self:
        if self._running is not None or self._left:
            raise EmulatorError(
                f"the emulator {'has ended' if self._left else 'is running already'}; make another one"
            )
        context, scheme = None, "http"
        if self._tls:
            self._authority = Authority([self._address[0], *self.admin_hosts])
            context, scheme = self._authority.ssl_context, "https"
        try:
            listening = listen(*self._address)
        except EmulatorError:
            self._let_go()
            raise
        self._endpoint = endpoint_of(self._address[0], listening, scheme)
        loop, stop = asyncio.new_event_loop(), asyncio.Event()

        def run() -> None:
            try:
                loop.run_until_complete(_run(self, self.app, listening, stop, context))
            finally:
                loop.close()

        thread = threading.Thread(target=run, name=f"emulator {self._endpoint}", daemon=True)
        self._running = thread, loop, stop
        # The socket listens already, so a connection made before the loop runs only has to wait.
        thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            thread, loop, stop = self._running
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            self._running = self._endpoint = None
            self._let_go()
        self._left = True
        self.close()

    def _let_go(self) -> None:
        if self._authority is not None:
            self._authority.close()
            self._authority = None

    def __repr__(self) -> str:
        return f"Emulator({self.account!r}, key=<hidden>, endpoint={self._endpoint!r})"


def serve(
    service: EmulatedAccount,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: Authority | None = None,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then return; the store stays open.

    This must run in the main thread, since no other thread receives signals; ``Emulator`` is for threads.

    Args:
        service: The account.
        host: The address to listen on.
        port: The port, or 0 for any free one.
        tls: The authority whose certificate the server shows; None serves HTTP. It is not closed.
        ready: Called once with the URL of the server, when requests are answered.

    Raises:
        EmulatorError: The address cannot be listened on.
    """
    listening = listen(host, port)

    async def run() -> None:
        stop = asyncio.Event()
        with _stopped_by_signals(stop):
            ready(endpoint_of(host, listening, "http" if tls is None else "https"))
            await _run(
                service, create_app(service), listening, stop, None if tls is None else tls.ssl_context
            )

    try:
        asyncio.run(run())
    finally:
        # If ``ready`` raises, nothing else closes the socket.
        listening.close()


async def _run(
    service: EmulatedAccount,
    app: Application,
    listening: socket.socket,
    stop: asyncio.Event,
    tls: ssl.SSLContext | None,
) -> None:
    """Serve until ``stop`` is set, then close every connection, even during a request."""
    config = Config(
        app,
        http=HttpProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        # The user of the emulator configures the logging of the process.
        log_config=None,
        # The responses contain these headers already.
        server_header=False,
        date_header=False,
        # The signature covers the request as it was sent, whatever a proxy adds.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    config.load()
    state = ServerState()
    handshakes: set[TlsHandshake] = set()

    def serve_connection() -> HttpProtocol:
        return HttpProtocol(service, config, state)

    def accept() -> asyncio.Protocol:
        return serve_connection() if tls is None else TlsHandshake(tls, serve_connection, handshakes)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(accept, sock=listening, backlog=config.backlog)
    await stop.wait()
    # Python 3.11 leaks a connection that is being accepted while its server closes.
    with contextlib.suppress(NotImplementedError):
        loop.remove_reader(listening)
    ends, pause, left = loop.time() + _LAST_ANSWERS, 0.0, True
    # Repeated, since a connection that is being accepted appears only when its task has ended.
    while left and loop.time() < ends:
        for handshake in list(handshakes):
            handshake.abort()
        for protocol in list(state.connections):
            protocol.transport.abort()
        await asyncio.sleep(pause)
        pause = 0.001
        left = bool(state.connections or asyncio.all_tasks() - {asyncio.current_task()})
    server.close()


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set the event on SIGINT and SIGTERM; outside the main thread signals are left alone."""
    loop = asyncio.get_running_loop()

    received: list[int] = []

    def handler(number: int, _frame: object) -> None:
        if received:
            # The loop is busy, perhaps with a large scenario, and a second signal ends the process at once.
            # The store keeps everything that was acknowledged.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        received.append(number)
        loop.call_soon_threadsafe(stop.set)

    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    earlier = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in earlier.items():
            signal.signal(number, previous)
