"""The factory of engines, over sockets of our own or over a transport of httpx or httpx2."""

from __future__ import annotations

from typing import Any

from taskcounts.net.route import Route


def make_engine(route: Route, *, awaits: bool) -> Any:
    """Return an engine for a route: an AsyncEngine for an asynchronous client, else an Engine."""
    try:
        from taskcounts.net import engine  # noqa: PLC0415 - not needed with a transport of the caller's.
    except ModuleNotFoundError as error:
        if error.name != "httptools":
            raise
        from taskcounts.net import transport_engine  # noqa: PLC0415 - takes 40 ms to load.

        return transport_engine.over_httpx(route, awaits=awaits)
    return (engine.AsyncSocketEngine if awaits else engine.SocketEngine)(route)


def engine_over(transport: object, *, awaits: bool) -> Any:
    """Return an engine that sends over a transport of httpx or httpx2.

    Raises:
        TypeError: The object is no transport, or not one for this kind of client.
    """
    from taskcounts.net import transport_engine  # noqa: PLC0415 - most callers have none.

    return (transport_engine.AsyncTransportEngine if awaits else transport_engine.TransportEngine)(transport)
