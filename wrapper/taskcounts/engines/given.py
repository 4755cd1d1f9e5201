"""Sends over an httpx transport that the caller brings."""

from __future__ import annotations

import ssl
import threading
import time

import httpx

from taskcounts._steps import Answer, Failure, Request
from taskcounts.engines.seam import (
    Reading,
    TimeIsUp,
    closed,
    not_trusted,
    out_of_time,
    read_headers,
    without_frames,
)
from taskcounts.errors import causes_of

NAME = "httpx transport"


class TransportEngine:
    """Sends over an httpx transport, one attempt at a time in each thread.

    It can cut short what lies between two chunks of an answer, and no read that the transport makes.
    """

    name = NAME

    def __init__(self, transport: httpx.BaseTransport) -> None:
        """Take the transport, which is closed with the engine."""
        self._transport = transport
        self._closed = False

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        if self._closed:
            return closed()
        ends = time.monotonic() + seconds
        reading = Reading(limit)
        try:
            response = self._transport.handle_request(_httpx_request(request, seconds))
            reading.status, reading.headers = response.status_code, read_headers(response.headers.raw)
            try:
                for chunk in response.stream:  # type: ignore[union-attr]
                    reading.body += chunk
                    if len(reading.body) > limit:
                        break
                    if time.monotonic() >= ends:
                        raise TimeIsUp
            finally:
                response.close()
        except (httpx.TransportError, OSError) as error:
            return reading.outcome(_failure(error))
        except BaseException as error:
            raise without_frames(error) from None
        return reading.outcome(None)

    def close(self) -> None:
        """Close the transport."""
        self._closed = True
        self._transport.close()


class AsyncTransportEngine:
    """Sends over an asynchronous httpx transport."""

    name = NAME

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        """Take the transport, which is closed with the engine."""
        from asyncio import timeout  # noqa: PLC0415 - threads don't need it.

        self._timeout = timeout
        self._transport = transport
        self._closed = False

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        if self._closed:
            return closed()
        reading = Reading(limit)
        try:
            async with self._timeout(seconds):
                response = await self._transport.handle_async_request(_httpx_request(request, None))
                reading.status, reading.headers = response.status_code, read_headers(response.headers.raw)
                try:
                    async for chunk in response.stream:  # type: ignore[union-attr]
                        reading.body += chunk
                        if len(reading.body) > limit:
                            break
                finally:
                    await response.aclose()
        except (httpx.TransportError, OSError) as error:
            return reading.outcome(_failure(error))
        except BaseException as error:
            raise without_frames(error) from None
        return reading.outcome(None)

    async def close(self) -> None:
        """Close the transport."""
        self._closed = True
        await self._transport.aclose()


def _httpx_request(request: Request, seconds: float | None) -> httpx.Request:
    if seconds is not None and seconds >= threading.TIMEOUT_MAX:
        seconds = None
    limits = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    return httpx.Request(request.method, request.url, headers=request.headers, extensions={"timeout": limits})


def _failure(error: Exception) -> Failure:
    """Return what an error of the transport means."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return out_of_time(error)
    for cause in causes_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return not_trusted(cause.verify_message, error)
    permanent = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    return Failure(str(error) or type(error).__name__, error, permanent)
