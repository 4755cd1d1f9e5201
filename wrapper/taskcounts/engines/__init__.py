"""The engines that requests are sent over, and which one a client takes.

``httpcore`` is there always: httpx brings it. ``pycurl``, the extra ``fast``, costs a third of that, and is
taken wherever it is installed and can do what is asked.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from taskcounts._connection import Connection

ENGINES = ("auto", "httpcore", "pycurl")


def check_engine(engine: str) -> str:
    """Return the name of an engine.

    Raises:
        ValueError: There is none of this name.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; give one of {', '.join(map(repr, ENGINES))}")
    return engine


def make_engine(engine: str, connection: Connection, *, awaits: bool) -> Any:
    """Return an engine for an endpoint.

    Args:
        engine: Which one.
        connection: How to reach the endpoint.
        awaits: Whether it is to be an AsyncEngine.

    Raises:
        ValueError: The engine isn't installed, or can't do what is asked.
    """
    obstacle = None if engine == "httpcore" else _obstacle(connection, awaits)
    if engine == "pycurl" and obstacle is not None:
        raise ValueError(f"the engine pycurl can't be used: {obstacle}")
    if engine == "httpcore" or obstacle is not None:
        from taskcounts.engines import core  # noqa: PLC0415 - only one engine is loaded.

        return core.AsyncHttpcoreEngine(connection) if awaits else core.HttpcoreEngine(connection)
    from taskcounts.engines import curl  # noqa: PLC0415 - only one engine is loaded.

    return curl.AsyncCurlEngine(connection) if awaits else curl.CurlEngine(connection)


def engine_over(transport: httpx.BaseTransport | httpx.AsyncBaseTransport, *, awaits: bool) -> Any:
    """Return an engine that sends over an httpx transport."""
    from taskcounts.engines import given  # noqa: PLC0415 - most callers bring none.

    return (given.AsyncTransportEngine if awaits else given.TransportEngine)(transport)  # type: ignore[arg-type]


def default_engine() -> str:
    """Return what the engine of a client is, with its version, that nobody chooses one for."""
    if _obstacle(None, awaits=False) is None:
        from taskcounts.engines import curl  # noqa: PLC0415 - only one engine is loaded.

        return curl.NAME
    from taskcounts.engines import core  # noqa: PLC0415 - only one engine is loaded.

    return core.NAME


def _obstacle(connection: Connection | None, awaits: bool) -> str | None:
    """Return why pycurl can't be taken, None if it can."""
    if connection is not None and connection.context is not None and connection.verify is None:
        return "it can't take an ssl.SSLContext; give verify the path of a file or folder"
    if awaits and sys.platform == "win32":
        return "it can't wait in the event loops of Windows"
    try:
        import pycurl  # noqa: PLC0415 - an extra.
    except ImportError:
        return "it isn't installed; install taskcounts with its extra 'fast'"
    if not hasattr(pycurl, "AsyncCurlMulti"):
        return f"{pycurl.version.partition(' ')[0]} is too old; 7.49 or later is needed"
    return None
