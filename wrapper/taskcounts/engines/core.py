"""Sends over httpcore, which httpx brings: over its connections, without the pool above them.

httpcore's pool looks through all of its connections for each request, several times when many are under way,
and httpx builds a URL, a request and a response above it. With lanes instead of the pool, a call costs half
as much, and the same with 256 under way as with one.
"""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpcore

from taskcounts._connection import PORTS, Connection
from taskcounts._steps import Answer, Failure, Request
from taskcounts.engines.lanes import TaskLanes, ThreadLanes
from taskcounts.engines.seam import (
    Reading,
    TimeIsUp,
    closed,
    not_trusted,
    out_of_time,
    read_headers,
    without_frames,
)
from taskcounts.engines.timed import TimedBackend, attempt
from taskcounts.errors import causes_of

NAME = f"httpcore {httpcore.__version__}"

# What means that there is no answer, or not the whole of one.
ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    OSError,
)


class Lane:
    """A connection.

    Attributes:
        connection: Who made it, and reads its answers, as httpcore does that.
        stream: What carries it, once there is an answer.
        parser: Who reads its answers in place of httpcore, if anyone.
    """

    __slots__ = ("connection", "parser", "stream")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.stream: Any = None
        self.parser: Any = None

    def usable(self) -> bool:
        """Return whether it can be used again: the server may have closed it meanwhile."""
        return not self.stream.get_extra_info("is_readable")

    def close(self) -> None:
        """Close it."""
        self.connection.close()
        if self.stream is not None:
            self.stream.close()

    async def aclose(self) -> None:
        """Do the same for an asynchronous one."""
        await self.connection.aclose()
        if self.stream is not None:
            await self.stream.aclose()


class HttpcoreEngine:
    """Sends over synchronous connections, one request at a time in each."""

    name = NAME

    def __init__(self, connection: Connection) -> None:
        """Take how to reach the endpoint."""
        self._target = Target(connection)
        # No operation lasts longer than the attempt, however a server spreads what it sends.
        self._pool = _pool(
            connection, (httpcore.ConnectionPool, httpcore.HTTPProxy, httpcore.SOCKSProxy), TimedBackend()
        )
        self._lanes = ThreadLanes(self._open, Lane.close, Lane.usable)

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        if self._lanes.closed:
            return closed()
        attempt.ends = time.monotonic() + seconds
        reading, broken, lane = Reading(limit), None, None
        try:
            lane = self._lanes.take(seconds)
            self._exchange(lane, request, reading)
        except ERRORS as error:
            broken = closed() if self._lanes.closed else failure(error)
        except BaseException as error:
            reading = Reading(0)
            raise without_frames(error) from None
        finally:
            if lane is not None:
                self._lanes.give_back(lane, reading.again)
        return reading.outcome(broken)

    def close(self) -> None:
        """Close all connections."""
        self._lanes.close()

    def _open(self) -> Lane:
        return Lane(self._pool.create_connection(self._target.origin))

    def _exchange(self, lane: Lane, request: Request, reading: Reading) -> None:
        """Send a request over a lane, and read its answer."""
        response = lane.connection.handle_request(self._target.request(request))
        reading.status, reading.headers = response.status, read_headers(response.headers)
        try:
            for chunk in response.stream:
                reading.body += chunk
                if len(reading.body) > reading.limit:
                    break
                if time.monotonic() >= attempt.ends:
                    raise TimeIsUp
        finally:
            response.close()
        lane.stream = response.extensions["network_stream"]
        reading.again = lane.connection.is_idle()


class AsyncHttpcoreEngine:
    """Sends over asynchronous connections, one request at a time in each."""

    name = NAME

    def __init__(self, connection: Connection) -> None:
        """Take how to reach the endpoint."""
        # Threads don't need it.
        from asyncio import timeout  # noqa: PLC0415

        from taskcounts.engines.streams import LoopBackend  # noqa: PLC0415

        self._timeout = timeout
        self._target = Target(connection)
        self._pool = _pool(
            connection,
            (httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy, httpcore.AsyncSOCKSProxy),
            LoopBackend(),
        )
        self._lanes = TaskLanes(self._open, Lane.aclose, Lane.usable)

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        if self._lanes.closed:
            return closed()
        reading, broken, lane = Reading(limit), None, None
        try:
            async with self._timeout(seconds):
                try:
                    lane = await self._lanes.take()
                    await self._exchange(lane, request, reading)
                finally:
                    if lane is not None:
                        await self._lanes.give_back(lane, reading.again)
        except ERRORS as error:
            broken = closed() if self._lanes.closed else failure(error)
        except BaseException as error:
            reading = Reading(0)
            raise without_frames(error) from None
        return reading.outcome(broken)

    async def close(self) -> None:
        """Close all connections."""
        await self._lanes.close()

    def _open(self) -> Lane:
        return Lane(self._pool.create_connection(self._target.origin))

    async def _exchange(self, lane: Lane, request: Request, reading: Reading) -> None:
        """Send a request over a lane, and read its answer."""
        response = await lane.connection.handle_async_request(self._target.request(request))
        reading.status, reading.headers = response.status, read_headers(response.headers)
        try:
            async for chunk in response.stream:
                reading.body += chunk
                if len(reading.body) > reading.limit:
                    break
        finally:
            await response.aclose()
        lane.stream = response.extensions["network_stream"]
        reading.again = lane.connection.is_idle()


class Target:
    """What all requests to one endpoint have in common."""

    def __init__(self, connection: Connection) -> None:
        scheme, host = connection.scheme.encode(), connection.host.encode()
        self.origin = httpcore.Origin(scheme, host, connection.port)
        port = None if connection.port == PORTS[connection.scheme] else connection.port
        self._host = (b"Host", connection.netloc.encode())
        self._start = len(f"{connection.scheme}://")
        self._url = (scheme, host, port)

    def path(self, request: Request) -> str:
        """Return the path and query of a request's URL."""
        return request.url[request.url.index("/", self._start) :]

    def request(self, request: Request) -> httpcore.Request:
        """Return a request as httpcore takes it."""
        scheme, host, port = self._url
        return httpcore.Request(
            request.method.encode(),
            httpcore.URL(scheme=scheme, host=host, port=port, target=self.path(request).encode()),
            headers=[
                self._host,
                *[(name.encode(), value.encode()) for name, value in request.headers.items()],
            ],
        )


def _pool(connection: Connection, kinds: tuple[Any, Any, Any], backend: Any) -> Any:
    """Return a pool, from which only new connections are taken: it knows how to go through which proxy."""
    direct, http_proxy, socks_proxy = kinds
    tls, proxy = connection.tls(), connection.proxy
    if proxy is None:
        return direct(ssl_context=tls, network_backend=backend)
    auth = None if proxy.auth is None else tuple(part.encode() for part in proxy.auth)
    if proxy.scheme.startswith("socks"):
        return socks_proxy(proxy.url, proxy_auth=auth, ssl_context=tls, network_backend=backend)
    return http_proxy(
        proxy.url,
        proxy_auth=auth,
        ssl_context=tls,
        proxy_ssl_context=tls if proxy.scheme == "https" else None,
        network_backend=backend,
    )


def failure(error: Exception) -> Failure:
    """Return what an error of httpcore means, without frames: they hold the request."""
    without_frames(error)
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return out_of_time(error)
    for cause in causes_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return not_trusted(cause.verify_message, error)
    permanent = isinstance(error, httpcore.UnsupportedProtocol | httpcore.LocalProtocolError)
    return Failure(str(error) or type(error).__name__, error, permanent)
