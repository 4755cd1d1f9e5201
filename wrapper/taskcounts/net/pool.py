"""Connections without their sockets, and the pool that keeps them for further requests."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, TypeVar

from taskcounts.net.base import BrokenAnswer, Conversation, PartialAnswer, T
from taskcounts.net.http import AnswerReader
from taskcounts.net.limits import IDLE
from taskcounts.net.route import Route
from taskcounts.net.tls import Tls
from taskcounts.net.tunnel import open_tunnel


class HttpConnection(ABC):
    """A connection to an endpoint, through its proxy and within TLS; a subclass carries the bytes.

    Attributes:
        used: Whether it has carried an answer before.
        reader: The reader of its answers.
    """

    def __init__(self) -> None:
        self.used = False
        self.reader = AnswerReader()
        # TLS from the outermost layer to the innermost: an https endpoint behind an https proxy has two.
        self._layers: list[Tls] = []

    @abstractmethod
    def receive_nowait(self) -> bytes | None:
        """Return the bytes that came, b"" at the end of the stream, None if none came."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection at once, without TLS's closing message: answers have an end of their own."""

    def is_quiet(self) -> bool:
        """Return whether the connection is open, and no bytes came that could pass for the next answer."""
        try:
            data = self.receive_nowait()
            for tls in self._layers:
                data = tls.unasked(data)
        except OSError:
            return False
        return data is None

    def round_trip(self, request: bytes, answer: PartialAnswer) -> Conversation[None]:
        """Return the conversation that sends a request and reads its answer."""
        if not self.used and not self.is_quiet():
            raise BrokenAnswer("the server sent something before it was asked")
        return self._carry(self.reader.round_trip(request, answer))

    def tunnel(self, route: Route) -> Conversation[None]:
        """Open a tunnel through the proxy, if there is one."""
        if route.proxy is None:
            return
        if route.proxy.scheme == "https":
            yield from self._secure(route, route.proxy.host)
        if route.scheme == "https" or route.proxy.scheme.startswith("socks"):
            yield from self._carry(open_tunnel(route, route.proxy))

    def secure(self, route: Route) -> Conversation[None]:
        """Start TLS with an https endpoint."""
        if route.scheme == "https":
            yield from self._secure(route, route.host)

    def _secure(self, route: Route, host: str) -> Conversation[None]:
        tls = Tls(route.tls(), host)
        yield from self._carry(tls.handshake())
        self._layers.append(tls)

    def _carry(self, conversation: Conversation[T]) -> Conversation[T]:
        for tls in reversed(self._layers):
            conversation = tls.carry(conversation)
        return conversation


C = TypeVar("C", bound=HttpConnection)


class Pool(Generic[C]):
    """A pool of idle connections, last used first, each of which any thread or task may take for itself.

    Few requests at once keep few connections in use, and the others are closed when they have been idle for a
    while. Taking and putting back a connection takes constant time. Nothing in here waits, so a cancellation
    can't lose a connection.
    """

    def __init__(self) -> None:
        self.closed = False
        self._idle: deque[tuple[C, float]] = deque()

    def take(self) -> C | None:
        """Return the last used connection that can be used again, None if there is none."""
        while (kept := self._pop()) is not None:
            connection, since = kept
            if since > time.monotonic() - IDLE and connection.is_quiet():
                return connection
            connection.close()
        return None

    def put(self, connection: C, *, reusable: bool) -> None:
        """Keep a reusable connection for the next request, and close those that were idle for too long."""
        if not reusable:
            connection.close()
            return
        connection.used = True
        self._idle.append((connection, time.monotonic()))
        if self.closed:
            self.close_idle()
        try:
            while self._idle[0][1] < time.monotonic() - IDLE:
                self._idle.popleft()[0].close()
        except IndexError:
            # Other threads have taken all of them meanwhile.
            return

    def discard(self, connection: C) -> bool:
        """Close a connection that failed; return whether the server had closed it while it was idle.

        In that case no byte of an answer came over it, and the request can be sent again over a new
        connection (RFC 9112, 9.3.1). If the connection was used before, the idle ones are closed as well:
        they have been idle for as long.
        """
        connection.close()
        if connection.used:
            self.close_idle()
        return connection.used and connection.reader.silent

    def close_idle(self) -> None:
        """Close all idle connections."""
        while (kept := self._pop()) is not None:
            kept[0].close()

    def close(self) -> None:
        """Close all idle connections, and those in use when they are put back."""
        self.closed = True
        self.close_idle()

    def _pop(self) -> tuple[C, float] | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
