"""A connection that requests go over one after another; how bytes get through is left to sockets."""

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
        used: Whether an answer came over it before.
        answers: The reader of its answers.
    """

    def __init__(self) -> None:
        self.used = False
        self.reader = AnswerReader()
        # From the outermost to the innermost: an https endpoint behind an https proxy has two.
        self._layers: list[Tls] = []

    @abstractmethod
    def receive_nowait(self) -> bytes | None:
        """Return what came, b"" for the end, None for nothing."""

    @abstractmethod
    def close(self) -> None:
        """Close it at once, without a goodbye: an answer has an end of its own."""

    def is_quiet(self) -> bool:
        """Return whether it is open, and nothing came that the next answer could be taken for."""
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
        """Get through the proxy, if there is one."""
        if route.proxy is None:
            return
        if route.proxy.scheme == "https":
            yield from self._secure(route, route.proxy.host)
        if route.scheme == "https" or route.proxy.scheme.startswith("socks"):
            yield from self._carry(open_tunnel(route, route.proxy))

    def secure(self, route: Route) -> Conversation[None]:
        """Agree on TLS with an https endpoint."""
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
