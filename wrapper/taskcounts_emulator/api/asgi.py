"""The little of ASGI that the emulator needs: it has two applications and one way to tell them apart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

__all__ = ["Application", "Message", "Receive", "Scope", "Send", "answer_lifespan", "path_of"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


def path_of(scope: Scope) -> str:
    """Return the path of a request, without the place at which another application has mounted this one."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) :][:1] in ("", "/"):
        return path[len(root) :]
    return path


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Tell a server that nothing has to be set up or put away."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
