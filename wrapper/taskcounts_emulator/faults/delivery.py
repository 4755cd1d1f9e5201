"""How an answer leaves: whole, or as badly as a fault asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from taskcounts_emulator import wire
from taskcounts_emulator.faults.connection import Connection, InProcess
from taskcounts_emulator.faults.plan import Fault

__all__ = ["Send", "deliver"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def deliver(
    answer: wire.Answer, fault: Fault | None, connection: Connection | InProcess, send: Send
) -> None:
    """Send an answer.

    Args:
        answer: The right answer, or the wrong one if that is the fault.
        fault: What goes wrong; a kind that concerns no delivery changes nothing here.
        connection: Where the request came from.
        send: ASGI's.

    Raises:
        ClientGone: The connection is closed.
        ConnectionResetError: It would be, if there were one.
    """
    match fault:
        case None:
            pass
        case Fault(kind="reset"):
            await connection.reset()
        case Fault(kind="slow"):
            await connection.pause(fault.seconds)
        case Fault(kind="drip"):
            await _drip(answer, fault, connection, send)
            return
        case Fault(kind="truncate"):
            await send(_head(answer, wire.with_length(answer).headers))
            await send(_body(answer.body[: len(answer.body) // 2]))
            await connection.hang_up()
    connection.hold()
    try:
        await send(_head(answer, answer.headers))
        await send(_body(answer.body, more=False))
    finally:
        connection.release()


async def _drip(answer: wire.Answer, fault: Fault, connection: Connection | InProcess, send: Send) -> None:
    if fault.headers_too and isinstance(connection, Connection):
        # An ASGI server sends a head in one piece, so these bytes go past it.
        for byte in wire.raw(answer):
            connection.write(bytes((byte,)))
            await connection.pause(fault.interval)
        await connection.hang_up()
    await send(_head(answer, answer.headers))
    for byte in answer.body:
        await send(_body(bytes((byte,))))
        await connection.pause(fault.interval)
    await send(_body(b"", more=False))


def _head(answer: wire.Answer, headers: wire.Headers) -> dict[str, Any]:
    return {"type": "http.response.start", "status": answer.status, "headers": wire.encoded(headers)}


def _body(part: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": part, "more_body": more}
