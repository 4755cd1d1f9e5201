"""Runs the flow of `_exchange` over httpx, sync and async: sends, reads, sleeps, closes; decides nothing.

The seam is `Engine` and `AsyncEngine`: from a request and the seconds that it may take to
an Answer or a Failure. Whatever stands behind it has to bring along proxies, CA settings,
the bound on what is read, and a limit of time that a dripping server can't stretch.
"""

from __future__ import annotations

import inspect
import ssl
import sys
import threading
import time
from typing import Any, Protocol, TypeVar, cast

import httpx

from taskcounts._connection import Connection
from taskcounts._steps import (
    Admit,
    Answer,
    Clock,
    Exchange,
    Failure,
    FetchToken,
    NoToken,
    Outcome,
    Pause,
    Request,
    Send,
)
from taskcounts._timed import ClosingBackend, TimedBackend, TimeIsUp, attempt, forget_broken_tunnels
from taskcounts.credentials import BearerToken
from taskcounts.errors import causes_of, one_line

T = TypeVar("T")

# One connection for each of many threads or tasks. An idle one is kept for a minute, so that
# a poll every ten seconds or so doesn't open a new one each time.
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=60)

# Seconds; the clock goes on between the decision to send and the sending.
LEAST = 0.001


class Engine(Protocol):
    """Sends one request at a time in each of any number of threads."""

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class AsyncEngine(Protocol):
    """Sends any number of requests at once in one event loop."""

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class SyncClock(Clock, Protocol):
    """A clock on which one can also wait."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class AsyncClock(Clock, Protocol):
    """A clock on which a coroutine can also wait."""

    async def sleep_async(self, seconds: float) -> None:
        """Wait."""
        ...


def run(flow: Exchange[T], engine: Engine, clock: SyncClock) -> T:
    """Run a flow to the value that it returns, or to the error that it raises."""
    outcome: Outcome = None
    try:
        while True:
            step = flow.send(outcome)
            if isinstance(step, Send):
                outcome = engine.send(step.request, max(step.until - clock.monotonic(), LEAST), step.limit)
            elif isinstance(step, Pause):
                clock.sleep(step.seconds)
                outcome = None
            elif isinstance(step, Admit):
                outcome = step.gate.admit(step.until, step.again)
            else:
                outcome = _fetch_token(step)
    except StopIteration as end:
        return cast(T, end.value)
    finally:
        # Whatever ended it: a flow that holds a place gives it back now.
        flow.close()


async def run_async(flow: Exchange[T], engine: AsyncEngine, clock: AsyncClock) -> T:
    """Run a flow to the value that it returns, or to the error that it raises."""
    outcome: Outcome = None
    try:
        while True:
            step = flow.send(outcome)
            if isinstance(step, Send):
                outcome = await engine.send(
                    step.request, max(step.until - clock.monotonic(), LEAST), step.limit
                )
            elif isinstance(step, Pause):
                await clock.sleep_async(step.seconds)
                outcome = None
            elif isinstance(step, Admit):
                outcome = await step.gate.admit(step.until, step.again)
            else:
                outcome = await _fetch_token_async(step, step.until - clock.monotonic())
    except StopIteration as end:
        return cast(T, end.value)
    finally:
        # Whatever ended it: a flow that holds a place gives it back now.
        flow.close()


def _fetch_token(step: FetchToken) -> BearerToken | NoToken:
    # No limit of time: a synchronous credential can't be stopped from outside. It has timeouts of its own.
    given: Any = None
    try:
        given = step.get_token(step.scope)
        if inspect.isawaitable(given):
            raise TypeError("the credential is an asynchronous one; use it with AsyncTaskCountsClient")
        return BearerToken(given.token)
    except Exception as error:
        # What passes through must not show it in this frame.
        given = None
        return _no_token(error)


async def _fetch_token_async(step: FetchToken, seconds: float) -> BearerToken | NoToken:
    import asyncio  # noqa: PLC0415 - takes 10 ms to load, and whoever runs this has it.

    limit = asyncio.timeout(seconds)
    given: Any = None
    try:
        async with limit:
            if inspect.iscoroutinefunction(step.get_token):
                return BearerToken((await step.get_token(step.scope)).token)
            # A synchronous credential would hold up the whole event loop.
            given = await asyncio.to_thread(step.get_token, step.scope)
            return BearerToken((await given if inspect.isawaitable(given) else given).token)
    except TimeoutError as error:
        if not limit.expired():
            raise
        return NoToken("it took longer than the deadline", error, timed_out=True)
    except Exception as error:
        given = None
        return _no_token(error)


def _no_token(error: Exception) -> NoToken:
    """Return the failure of a credential; raise what isn't one: bugs stay bugs."""
    azure = sys.modules.get("azure.core.exceptions")
    if isinstance(error, ValueError) or (azure and isinstance(error, azure.AzureError)):
        return NoToken(one_line(f"{type(error).__name__}: {error}"), error)
    raise error


class HttpxEngine:
    """Sends over an httpx transport, one attempt at a time in each thread."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport
        self._closed = False

    @classmethod
    def over(cls, connection: Connection) -> HttpxEngine:
        """Return an engine with a connection pool of its own."""
        transport = httpx.HTTPTransport(verify=connection.tls, proxy=connection.proxy, limits=LIMITS)
        # httpx limits each read, not all of them together. Its own pool hands every socket
        # operation to a backend, and there is no public way to hand it another one.
        pool: Any = transport._pool
        pool._network_backend = TimedBackend(pool._network_backend)
        forget_broken_tunnels(pool)
        return cls(transport)

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        if self._closed:
            return _closed()
        attempt.ends = time.monotonic() + seconds
        response, body, oversize = None, bytearray(), False
        try:
            response = self._transport.handle_request(_httpx_request(request, seconds))
            try:
                for chunk in response.stream:  # type: ignore[union-attr]
                    body += chunk
                    if len(body) > limit:
                        oversize = True
                        break
                    if time.monotonic() >= attempt.ends:
                        raise TimeIsUp
            finally:
                response.close()
        except (httpx.TransportError, OSError) as error:
            failure = _failure(error)
            return failure if response is None else _answer(response, body, failure, oversize)
        except BaseException as error:
            raise _without_frames(error) from None
        return _answer(response, body, None, oversize)

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._transport.close()


class AsyncHttpxEngine:
    """Sends over an asynchronous httpx transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self._closed = False

    @classmethod
    def over(cls, connection: Connection) -> AsyncHttpxEngine:
        """Return an engine with a connection pool of its own."""
        transport = httpx.AsyncHTTPTransport(verify=connection.tls, proxy=connection.proxy, limits=LIMITS)
        pool: Any = transport._pool
        pool._network_backend = ClosingBackend(pool._network_backend)
        forget_broken_tunnels(pool)
        return cls(transport)

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and whoever runs this has it.

        if self._closed:
            return _closed()
        response, body, oversize = None, bytearray(), False
        try:
            async with asyncio.timeout(seconds):
                response = await self._transport.handle_async_request(_httpx_request(request, None))
                try:
                    async for chunk in response.stream:  # type: ignore[union-attr]
                        body += chunk
                        if len(body) > limit:
                            oversize = True
                            break
                finally:
                    await response.aclose()
        except (httpx.TransportError, OSError) as error:
            failure = _failure(error)
            return failure if response is None else _answer(response, body, failure, oversize)
        except BaseException as error:
            raise _without_frames(error) from None
        return _answer(response, body, None, oversize)

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        await self._transport.aclose()


def _httpx_request(request: Request, seconds: float | None) -> httpx.Request:
    if seconds is not None and seconds >= threading.TIMEOUT_MAX:
        seconds = None
    limits = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    return httpx.Request(request.method, request.url, headers=request.headers, extensions={"timeout": limits})


def _answer(response: httpx.Response, body: bytearray, broken: Failure | None, oversize: bool) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, bytes(body), broken, oversize)


def _failure(error: Exception) -> Failure:
    """Return what an error of the transport means."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Failure("it took longer than this attempt may", error)
    for cause in causes_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(f"the certificate is not trusted: {cause.verify_message}", error, permanent=True)
    permanent = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    return Failure(str(error) or type(error).__name__, error, permanent)


def _closed() -> Failure:
    """Return what becomes of a call whose client is closed meanwhile."""
    return Failure("the client was closed", RuntimeError("the client was closed"), permanent=True)


def _without_frames(error: BaseException) -> BaseException:
    """Drop the transport's frames from what passes through, such as an interruption: they hold headers."""
    for cause in causes_of(error):
        cause.__traceback__ = None
    return error
