"""Engines over a transport of httpx, or of httpx2, its successor with the same interface."""

from __future__ import annotations

import sys
import time
from types import ModuleType
from typing import Any

from taskcounts.forks import renew_after_fork
from taskcounts.net.base import (
    LONGEST_TIMEOUT,
    AttemptTimedOut,
    PartialAnswer,
    closed_failure,
    failure_from,
    join_headers,
    running_loop,
    without_frames,
)
from taskcounts.net.limits import IDLE, MAX_CONNECTIONS
from taskcounts.net.route import Route
from taskcounts.protocol.messages import Answer, Failure, Request


class _OverTransport:
    """A base for engines over a transport of httpx or httpx2."""

    _method: str

    def __init__(self, transport: Any, name: str = "") -> None:
        """Make an engine over a transport, which is closed with the engine.

        Raises:
            TypeError: The object is no transport, or not one for this kind of client.
        """
        if not callable(getattr(transport, self._method, None)):
            raise TypeError(
                f"transport must be a transport of httpx or httpx2 with {self._method}(), "
                f"not {type(transport).__name__}"
            )
        self._transport = transport
        self._library = _library_of(transport)
        self._closed = False
        self._forked = False
        self.name = name or f"{self._library.__name__} transport"
        self._errors = (self._library.TransportError, OSError)
        renew_after_fork(self)

    def renew(self) -> None:
        """Note a fork: the parent goes on using the transport's connections."""
        self._forked = True

    def _check_process(self) -> None:
        if self._forked:
            raise RuntimeError("a transport is not shared with a forked process; make a client in each")

    def _request(self, request: Request, seconds: float | None) -> Any:
        limits = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
        return self._library.Request(
            request.method, request.url, headers=request.headers, extensions={"timeout": limits}
        )

    def _failure(self, error: BaseException, seconds: float, handled: BaseException | None) -> Failure:
        late = isinstance(error, self._library.TimeoutException)
        permanent = (self._library.UnsupportedProtocol, self._library.LocalProtocolError)
        return failure_from(error, seconds, handled, timed_out=late, permanent=isinstance(error, permanent))


class TransportEngine(_OverTransport):
    """An engine over a synchronous transport.

    Its time limit is checked between the chunks of an answer; it can't interrupt a read of the transport.
    """

    _method = "handle_request"

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        self._check_process()
        handled = sys.exc_info()[1]
        if self._closed:
            return closed_failure()
        ends = time.monotonic() + seconds
        answer, broken = PartialAnswer(limit), None
        try:
            timeout = seconds if seconds < LONGEST_TIMEOUT else None
            response = self._transport.handle_request(self._request(request, timeout))
            answer.status = response.status_code
            answer.headers = join_headers(response.headers.multi_items())
            try:
                for chunk in response.stream:
                    answer.body += chunk
                    if len(answer.body) > limit:
                        break
                    if time.monotonic() >= ends:
                        raise AttemptTimedOut
            finally:
                response.close()
        except self._errors as error:
            broken = self._failure(error, seconds, handled)
        except BaseException as error:
            without_frames(error, handled)
            raise
        return answer.outcome(broken)

    def close(self) -> None:
        """Close the transport."""
        self._closed = True
        self._transport.close()


class AsyncTransportEngine(_OverTransport):
    """An engine over an asynchronous transport."""

    _method = "handle_async_request"

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        from asyncio import timeout  # noqa: PLC0415 - threads don't need it.

        running_loop()
        self._check_process()
        handled = sys.exc_info()[1]
        if self._closed:
            return closed_failure()
        answer, broken = PartialAnswer(limit), None
        try:
            async with timeout(seconds):
                response = await self._transport.handle_async_request(self._request(request, None))
                answer.status = response.status_code
                answer.headers = join_headers(response.headers.multi_items())
                try:
                    async for chunk in response.stream:
                        answer.body += chunk
                        if len(answer.body) > limit:
                            break
                finally:
                    await response.aclose()
        except self._errors as error:
            broken = self._failure(error, seconds, handled)
        except BaseException as error:
            without_frames(error, handled)
            raise
        return answer.outcome(broken)

    async def close(self) -> None:
        """Close the transport."""
        self._closed = True
        await self._transport.aclose()


def over_httpx(route: Route, *, awaits: bool) -> TransportEngine | AsyncTransportEngine:
    """Return an engine over a transport that httpx makes for a route."""
    import httpx  # noqa: PLC0415 - most clients send over sockets.

    proxy: httpx.Proxy | None = None
    if route.proxy is not None:
        tls = route.tls() if route.proxy.scheme == "https" else None
        proxy = httpx.Proxy(route.proxy.url, auth=route.proxy.auth, ssl_context=tls)
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=IDLE)
    options: dict[str, Any] = {"verify": route.tls(), "trust_env": False, "limits": limits, "proxy": proxy}
    name = f"httpx {httpx.__version__}"
    if awaits:
        return AsyncTransportEngine(httpx.AsyncHTTPTransport(**options), name)
    return TransportEngine(httpx.HTTPTransport(**options), name)


def _library_of(transport: object) -> ModuleType:
    """Return the library of a transport: httpx2 for an instance of its classes, else httpx."""
    httpx2 = sys.modules.get("httpx2")
    if httpx2 is not None and isinstance(transport, httpx2.BaseTransport | httpx2.AsyncBaseTransport):
        return httpx2
    import httpx  # noqa: PLC0415 - most clients send over sockets.

    return httpx
