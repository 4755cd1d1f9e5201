"""The factory of engines, over sockets of our own or over a transport of httpx or httpx2."""

from __future__ import annotations

from typing import Any

from taskcounts.net.route import Route


def make_engine(route: Route, *, awaits: bool) -> Any:
    """Return an engine for a route: an AsyncEngine for an asynchronous client, else an Engine."""
    if route.encrypted:
        # Loaded once for all connections: it takes 20 ms.
        route = route._replace(context=route.tls())
    try:
        if awaits:
            from taskcounts.net.async_engine import AsyncSocketEngine  # noqa: PLC0415 - threads need no asyncio.

            return AsyncSocketEngine(route)
        from taskcounts.net.sync_engine import SocketEngine  # noqa: PLC0415

        return SocketEngine(route)
    except ModuleNotFoundError as error:
        if error.name != "httptools":
            raise
        from taskcounts.net import transport_engine  # noqa: PLC0415 - takes 40 ms to load.

        return transport_engine.over_httpx(route, awaits=awaits)


def engine_over(transport: object, *, awaits: bool) -> Any:
    """Return an engine that sends over a transport of httpx or httpx2.

    Raises:
        TypeError: The object is no transport, or not one for this kind of client.
    """
    from taskcounts.net import transport_engine  # noqa: PLC0415 - most callers have none.

    return (transport_engine.AsyncTransportEngine if awaits else transport_engine.TransportEngine)(transport)
