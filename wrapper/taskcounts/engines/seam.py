"""The seam that every engine stands behind: from a request and the seconds that it may take to an answer.

Whatever stands behind it has to bring along proxies, CA settings, the bound on what is read, and a limit of
time that a dripping server can't stretch. It answers a Failure for what goes wrong on the way, and lets pass
what isn't its own, such as an interruption, without frames that hold the request's headers.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Protocol

from taskcounts._steps import Answer, Failure, Request
from taskcounts.errors import causes_of


class TimeIsUp(TimeoutError):
    """The attempt's time is over."""

    def __init__(self) -> None:
        super().__init__("the attempt's time is over")


class Sender(Protocol):
    """Sends one request at a time in each of any number of threads."""

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        ...


class Engine(Sender, Protocol):
    """What a client sends over."""

    @property
    def name(self) -> str:
        """What it is, with its version."""
        ...

    def close(self) -> None:
        """Close all connections. Whoever sends then gets a Failure."""
        ...


class AsyncSender(Protocol):
    """Sends any number of requests at once in one event loop."""

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        ...


class AsyncEngine(AsyncSender, Protocol):
    """What an asynchronous client sends over."""

    @property
    def name(self) -> str:
        """What it is, with its version."""
        ...

    async def close(self) -> None:
        """Close all connections. Whoever sends then gets a Failure."""
        ...


class Reading:
    """What was read of an answer so far.

    Attributes:
        limit: How many bytes of a body are read.
        status: Its status, 0 as long as there is none.
        headers: Its headers, by their names in lower case.
        body: Its body.
        again: Whether what it came over can be used for another request.
    """

    __slots__ = ("again", "body", "headers", "limit", "status")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.again = False

    def outcome(self, broken: Failure | None) -> Answer | Failure:
        """Return the answer, or why there is none; ``broken`` is why no more came of it."""
        if broken is not None and not self.status:
            return broken
        oversize = len(self.body) > self.limit
        return Answer(self.status, self.headers, bytes(self.body), broken, oversize)


def read_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers of an answer by their names in lower case; those that are given twice are joined."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def readable(descriptor: int) -> bool:
    """Return whether a socket has something to read, were it its end; or is none, as -1."""
    if descriptor < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def out_of_time(error: BaseException) -> Failure:
    """Return what becomes of an attempt that takes too long."""
    return Failure("it took longer than this attempt may", error)


def not_trusted(reason: str, error: BaseException) -> Failure:
    """Return what becomes of an attempt whose server, or proxy, shows a certificate that isn't trusted."""
    return Failure(f"the certificate is not trusted: {reason}", error, permanent=True)


def closed() -> Failure:
    """Return what becomes of a call whose client is closed meanwhile."""
    return Failure("the client was closed", RuntimeError("the client was closed"), permanent=True)


def without_frames(error: BaseException) -> BaseException:
    """Drop the frames of what passes through, such as an interruption: they hold headers."""
    for cause in causes_of(error):
        cause.__traceback__ = None
    return error
