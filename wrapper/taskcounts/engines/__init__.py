"""The engines that requests are sent over, and which one a client takes.

``httpcore`` is there always: httpx brings it. ``httptools``, the extra ``fast``, costs half of that, and is
taken wherever it is installed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from taskcounts._connection import Connection

ENGINES = ("auto", "httpcore", "httptools")


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
        ValueError: The engine isn't installed, or too old.
    """
    obstacle = "it isn't asked for" if engine == "httpcore" else _obstacle()
    if obstacle is None:
        from taskcounts.engines import fast  # noqa: PLC0415 - an extra.

        return fast.AsyncHttptoolsEngine(connection) if awaits else fast.HttptoolsEngine(connection)
    if engine == "httptools":
        raise ValueError(f"the engine httptools can't be used: {obstacle}")
    from taskcounts.engines import core  # noqa: PLC0415 - takes 40 ms to load.

    return core.AsyncHttpcoreEngine(connection) if awaits else core.HttpcoreEngine(connection)


def engine_over(transport: httpx.BaseTransport | httpx.AsyncBaseTransport, *, awaits: bool) -> Any:
    """Return an engine that sends over an httpx transport."""
    from taskcounts.engines import given  # noqa: PLC0415 - most callers bring none.

    return (given.AsyncTransportEngine if awaits else given.TransportEngine)(transport)  # type: ignore[arg-type]


def default_engine() -> str:
    """Return what the engine of a client is, with its version, that nobody chooses one for."""
    if _obstacle() is None:
        from taskcounts.engines import fast  # noqa: PLC0415 - an extra.

        return fast.NAME
    from taskcounts.engines import core  # noqa: PLC0415 - takes 40 ms to load.

    return core.NAME


def _obstacle() -> str | None:
    """Return why httptools can't be taken, None if it can."""
    try:
        import httptools  # noqa: PLC0415 - an extra.
    except ImportError:
        return "it isn't installed; install taskcounts with its extra 'fast'"
    # Older ones take what is no HTTP, such as a blank before a header's colon.
    if tuple(map(int, re.findall("[0-9]+", httptools.__version__)[:3])) < (0, 6, 4):
        return f"{httptools.__version__} is installed, and 0.6.4 or later is needed"
    return None
