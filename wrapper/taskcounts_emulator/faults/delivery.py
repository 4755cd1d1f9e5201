"""Sending of responses, with the faults of delivery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from taskcounts_emulator import responses
from taskcounts_emulator.faults.connection import Connection, InProcessConnection
from taskcounts_emulator.faults.plan import Fault

__all__ = ["Send", "deliver"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def deliver(
    response: responses.Response,
    fault: Fault | None,
    connection: Connection | InProcessConnection,
    send: Send,
) -> None:
    """Send a response.

    Args:
        response: The response.
        fault: The injected fault; kinds that do not concern delivery have no effect here.
        connection: The connection of the request.
        send: The send function of ASGI.

    Raises:
        ClientDisconnected: The connection is closed.
        ConnectionResetError: A fault breaks the connection, and the application runs in process.
    """
    match fault:
        case None:
            pass
        case Fault(kind="reset"):
            await connection.reset()
        case Fault(kind="slow"):
            await connection.pause(fault.seconds)
        case Fault(kind="drip"):
            await _drip(response, fault, connection, send)
            return
        case Fault(kind="truncate"):
            await send(_head(response, responses.with_length(response).headers))
            await send(_body(response.body[: len(response.body) // 2]))
            await connection.hang_up()
    connection.hold()
    try:
        await send(_head(response, response.headers))
        await send(_body(response.body, more=False))
    finally:
        connection.release()


async def _drip(
    response: responses.Response, fault: Fault, connection: Connection | InProcessConnection, send: Send
) -> None:
    if fault.headers_too and isinstance(connection, Connection):
        # An ASGI server sends a head in one piece, so these bytes are written past it.
        for byte in responses.http_bytes(response):
            connection.write(bytes((byte,)))
            await connection.pause(fault.interval)
        await connection.hang_up()
    await send(_head(response, response.headers))
    for byte in response.body:
        await send(_body(bytes((byte,))))
        await connection.pause(fault.interval)
    await send(_body(b"", more=False))


def _head(response: responses.Response, headers: responses.Headers) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": response.status,
        "headers": responses.asgi_headers(headers),
    }


def _body(part: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": part, "more_body": more}
