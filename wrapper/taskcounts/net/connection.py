"""A connection for one request after another, without its socket: subclasses carry the bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from taskcounts.net.base import BrokenAnswer, Conversation, PartialAnswer, T
from taskcounts.net.http import AnswerReader
from taskcounts.net.route import Route
from taskcounts.net.tls import Tls
from taskcounts.net.tunnel import open_tunnel


class HttpConnection(ABC):
    """A connection to an endpoint, through its proxy and within TLS.

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
