"""The interface of engines, and the parts that they share: one request in, one answer or failure out.

An engine knows the proxy and the certificates, limits the bytes that are read, and keeps to a time limit that
a slow server can't stretch. It returns a Failure for errors of the network, and lets other exceptions pass,
such as an interruption, without the frames that hold the request's headers.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from taskcounts.errors import causes_of, cut_context
from taskcounts.protocol.messages import Answer, Failure, Request

if TYPE_CHECKING:
    import asyncio

    from taskcounts.net.route import Route

T = TypeVar("T")

# A conversation with a server, without I/O: a generator that yields bytes to write, is sent the bytes that
# came in answer, or b"" at the end of the stream, and returns a result.
Conversation = Generator[bytes, bytes, T]

# Bytes that are read at once: more than the largest TLS record.
READ_SIZE = 2**16

# Seconds, twelve days. Operating systems take a limited number of milliseconds.
LONGEST_TIMEOUT = 1e6

# Seconds until the next address of a host is tried beside one that doesn't answer (RFC 8305).
NEXT_ADDRESS = 0.25


class AttemptTimedOut(TimeoutError):
    """The attempt timed out."""


class BrokenAnswer(ConnectionError):
    """The answer is not HTTP, or incomplete."""


class NeverWorks(ConnectionError):
    """An error that another attempt would meet again, such as a proxy's refusal of a password."""


class Engine(Protocol):
    """The part of a client that sends its requests, one at a time in each of any number of threads.

    Attributes:
        name: The library that reads the answers, with its version.
    """

    name: str

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        ...

    def close(self) -> None:
        """Close all connections. Later requests get a Failure."""
        ...


class AsyncEngine(Protocol):
    """The part of an asynchronous client that sends its requests, any number at once in one event loop."""

    name: str

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        ...

    async def close(self) -> None:
        """Close all connections. Later requests get a Failure."""
        ...


class PartialAnswer:
    """The part of an answer that was read so far.

    Attributes:
        limit: The bytes of the body that are read at most.
        status: The HTTP status, 0 before it was read.
        headers: The headers, names in lower case.
        body: The body.
        reusable: Whether the connection can be used for another request.
    """

    __slots__ = ("body", "headers", "limit", "reusable", "status")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.reusable = False

    def outcome(self, broken: Failure | None) -> Answer | Failure:
        """Return the answer, or ``broken``, the reason for its early end, if there is no status."""
        if broken is not None and not self.status:
            return broken
        oversize = len(self.body) > self.limit
        return Answer(self.status, self.headers, bytes(self.body), broken, oversize)


def join_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their names in lower case, without white space around their values.

    The values of a header that comes twice are joined.
    """
    headers: dict[str, str] = {}
    for given, text in pairs:
        name, value = given.lower(), text.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def failure_from(
    error: BaseException,
    seconds: float,
    handled: BaseException | None,
    *,
    timed_out: bool = False,
    permanent: bool = False,
) -> Failure:
    """Return the failure for an error, without the frames of the error, which hold the request.

    Args:
        error: The error that ended the attempt.
        seconds: The time limit of the attempt.
        handled: The exception that the caller was handling when the attempt began.
        timed_out: Whether the error is a timeout, even if it is no TimeoutError.
        permanent: Whether another attempt would meet the same error; some errors imply it.
    """
    without_frames(error, handled)
    if timed_out or isinstance(error, TimeoutError):
        return Failure(f"the attempt timed out after {seconds:.3g} s", error)
    reason = str(error) or type(error).__name__
    for cause in causes_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            untrusted = f"the certificate is not trusted: {cause.verify_message}"
            # The text before that of OpenSSL names the proxy.
            return Failure(reason.partition("[SSL")[0] + untrusted, error, permanent=True)
    return Failure(reason, error, permanent or isinstance(error, NeverWorks))


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop of asyncio; raise RuntimeError if there is none."""
    from asyncio import get_running_loop  # noqa: PLC0415 - takes 40 ms to load, which threads don't need.

    try:
        return get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "AsyncTaskCountsClient needs asyncio, whose event loop doesn't run here; "
            "elsewhere, such as in trio, use TaskCountsClient in a thread"
        ) from None


def closed_failure() -> Failure:
    """Return the failure of a request whose client is closed."""
    return Failure("the client was closed", RuntimeError("the client was closed"), permanent=True)


def without_frames(error: BaseException, handled: BaseException | None) -> None:
    """Drop the frames of an error that passes through, such as an interruption; they hold headers.

    Args:
        error: The error.
        handled: The exception that the caller was handling when the call began, which stays unchanged.
    """
    cut_context(error, handled)
    for cause in causes_of(error):
        cause.__traceback__ = None


@contextlib.contextmanager
def first_hop(route: Route) -> Iterator[tuple[str, int]]:
    """Yield the host and port to connect to; an error in the block gets the proxy's name, if there is one."""
    hop = route.proxy or route
    try:
        yield hop.host, hop.port
    except (OSError, UnicodeError) as error:
        text, kind = str(error), ConnectionError
        if isinstance(error, socket.gaierror | UnicodeError):
            text = f"the name {hop.host!r} has no address: {error}"
        elif route.proxy is None or isinstance(error, TimeoutError):
            raise
        elif isinstance(error, NeverWorks | ssl.SSLCertVerificationError):
            kind = NeverWorks
        raise kind(text if route.proxy is None else f"the proxy {route.proxy.url}: {text}") from error
