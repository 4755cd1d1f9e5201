"""A server that is wrong on purpose: the emulator behind something that spoils what it gets or answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contract.spoil import App, Exchange, Scope, resign
from taskcounts import SharedKey


@dataclass(frozen=True)
class Mutant:
    """A wrong server: what is wrong with it, and which check has to say so."""

    name: str
    caught_by: str
    answer: Callable[[Exchange], None] | None = None
    request: Callable[[Scope], None] | None = None

    def around(self, app: App, credential: SharedKey) -> App:
        """Return the application that is wrong."""
        return _Spoiled(app, self, credential)


@dataclass
class _Spoiled:
    app: App
    mutant: Mutant
    credential: SharedKey
    memory: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: App, send: App) -> None:
        if self.mutant.request is not None:
            scope = dict(scope)
            self.mutant.request(scope)
            if scope.pop("resign", False):
                resign(scope, self.credential)
        exchange = Exchange(scope, 0, {}, b"", self.memory)

        async def keep(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.headers = {
                    name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]
                }
            else:
                exchange.body += message.get("body", b"")

        await self.app(scope, receive, keep)
        if self.mutant.answer is not None:
            self.mutant.answer(exchange)
        exchange.headers.pop("content-length", None)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in exchange.headers.items()]
        await send({"type": "http.response.start", "status": exchange.status, "headers": headers})
        await send({"type": "http.response.body", "body": exchange.body})
