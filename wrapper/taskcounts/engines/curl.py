"""Sends over pycurl, the extra ``fast``: libcurl does all of HTTP, TLS, proxies and the limit of time.

A lane is one of libcurl's handles, set up once, which carries one request at a time. A thread's handle has a
connection of its own; those of an event loop share the connections that its AsyncCurlMulti keeps.

What libcurl would do on its own account is left to us: it sends a request once more if a kept connection ends
without an answer, and only looks once a second whether something waits on a kept connection that nobody asked
for, which it would take for the next answer.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import pycurl

from taskcounts._connection import default_certificates
from taskcounts._steps import Answer, Failure, Request
from taskcounts.engines.lanes import IDLE, LANES, ThreadLanes
from taskcounts.engines.seam import TimeIsUp, closed, not_trusted, out_of_time, readable, without_frames

if TYPE_CHECKING:
    from taskcounts._connection import Connection

NAME = "{} ({})".format(*(part.lower().replace("/", " ") for part in pycurl.version.split()[:2]))

# Options of libcurl that pycurl has no names for.
_SUPPRESS_CONNECT_HEADERS, _SOCKS5_AUTH, _QUICK_EXIT = 265, 267, 322

# What callbacks before a request tell libcurl.
_GO: int = pycurl.PREREQFUNC_OK
_STOP: int = pycurl.PREREQFUNC_ABORT

# Milliseconds: the longest time that libcurl can count.
_LONGEST = 2**31 - 1

# libcurl takes more for an answer than this, such as a status of four digits, or a name with a space behind
# it. What isn't HTTP to the letter is no answer here.
_STATUS = re.compile(r"HTTP/[0-9]\.[0-9] ([0-9]{3})( .*)?")
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")


class CurlEngine:
    """Sends over handles of libcurl, one request at a time in each, from any number of threads."""

    name = NAME

    def __init__(self, connection: Connection) -> None:
        """Take how to reach the endpoint."""
        self._connection = connection
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lanes = ThreadLanes(lambda: _Lane(self._connection, _Reading()), _Lane.close)

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        if self._lanes.closed:
            return closed()
        if os.getpid() != self._process:
            # What the process had that this one was forked from is used there: neither share it nor end it.
            self._inherited = self._lanes
            self._begin()
        lanes, ends, outcome = self._lanes, time.monotonic() + seconds, None
        try:
            lane = lanes.take(seconds)
        except TimeIsUp as error:
            return out_of_time(error)
        try:
            lane.prepare(request, ends - time.monotonic(), limit)
            # Signals are handled in the main thread, when libcurl calls back; the others are spared that.
            lane.curl.setopt(pycurl.NOPROGRESS, threading.get_ident() != threading.main_thread().ident)
            lane.reading.connects = readable(lane.curl.getinfo(pycurl.ACTIVESOCKET))
            lane.curl.setopt(pycurl.FRESH_CONNECT, lane.reading.connects)
            lane.curl.perform()
            outcome = lane.outcome(None)
        except pycurl.error as error:
            outcome = lane.outcome(error)
        except BaseException as error:
            raise without_frames(error) from None
        finally:
            lanes.give_back(lane, outcome is not None)
        return outcome

    def close(self) -> None:
        """Close all connections; those in use are closed as soon as their requests end."""
        self._lanes.close()


class AsyncCurlEngine:
    """Sends over handles of libcurl, any number of requests at once in one event loop."""

    name = NAME

    def __init__(self, connection: Connection) -> None:
        """Take how to reach the endpoint."""
        import asyncio  # noqa: PLC0415 - takes 40 ms to load, which threads don't need.

        self._asyncio = asyncio
        self._connection = connection
        self._room = asyncio.Semaphore(LANES)
        self._idle: list[_Lane[_SharedReading]] = []
        self._sockets = _Sockets()
        self._multi = pycurl.AsyncCurlMulti()
        # Otherwise it closes some whenever fewer requests than before are under way.
        self._multi.setopt(pycurl.M_MAXCONNECTS, LANES)
        self._closed = False
        # Whether a name may still be looked up, for an attempt that ended before that did.
        self._looking_up = False

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request and read its answer, up to a limit of bytes, within some seconds."""
        ends = time.monotonic() + seconds
        if self._room.locked():
            try:
                async with self._asyncio.timeout(seconds):
                    await self._room.acquire()
            except TimeoutError as error:
                return out_of_time(error)
        else:
            await self._room.acquire()
        lane: _Lane[_SharedReading] | None = None
        outcome: Answer | Failure | None = None
        try:
            if self._closed:
                return closed()
            lane = self._idle.pop() if self._idle else _Lane(self._connection, _SharedReading(self._sockets))
            while outcome is None:
                lane.prepare(request, ends - time.monotonic(), limit)
                try:
                    await self._multi.add_handle(lane.curl)
                    outcome = lane.outcome(None)
                except pycurl.error as error:
                    # Nothing was sent if the kept connection was a bad one, and that one is gone.
                    bad = error.args[0] == pycurl.E_ABORTED_BY_CALLBACK and not lane.reading.sent
                    outcome = None if bad else lane.outcome(error)
        except _Closed:
            return closed()
        except BaseException as error:
            # The multi lets go of a cancelled handle by itself. Nobody takes it again.
            raise without_frames(error) from None
        finally:
            self._room.release()
            if lane is not None and not isinstance(outcome, Answer):
                self._looking_up |= not lane.curl.getinfo(pycurl.PRIMARY_IP)
        self._idle.append(lane)
        return outcome

    async def close(self) -> None:
        """Close all connections; what is under way ends now."""
        if self._closed:
            return
        self._closed = True
        for future in self._multi.futures():
            if not future.done():
                future.set_exception(_Closed())
        # Those who wait hear of it, and the multi lets go of their handles.
        await self._asyncio.sleep(0)
        if self._looking_up:
            # libcurl would wait for the end of a look-up that nobody else waits for any more.
            await self._asyncio.to_thread(_end, self._multi)
        else:
            await self._multi.aclose()


class _Closed(Exception):
    """The client was closed while a request was under way."""


def _end(multi: pycurl.AsyncCurlMulti) -> None:
    # A coroutine that awaits nothing.
    with contextlib.suppress(StopIteration):
        multi.aclose().send(None)


class _Sockets:
    """Tells which of an AsyncCurlMulti's kept connections has something to read."""

    def __init__(self) -> None:
        self._new: set[int] = set()
        self._fresh: dict[int, int] = {}
        self._kept: dict[int, int] = {}

    def add(self, descriptor: int, _purpose: int) -> int:
        """Take note of a socket that is about to be connected."""
        self._new.add(descriptor)
        return _GO

    def is_bad(self, port: int) -> bool:
        """Return whether the connection from a local port is one that was kept, and has something to read."""
        while self._new:
            new = self._new.pop()
            # It may have been closed meanwhile, and its number taken by anything else.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(new)) as double:
                self._fresh[double.getsockname()[1]] = new
        if port in self._fresh:
            self._kept[port] = self._fresh.pop(port)
            return False
        return readable(self._kept[port])


class _Reading:
    """What is read of an answer. The handle holds this, and this not the handle.

    Attributes:
        limit: How many bytes of a body are read.
        connects: Whether the request is to open a connection.
    """

    __slots__ = ("body", "connects", "head", "limit", "lines")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.body = bytearray()
        self.head: tuple[int, dict[str, str]] | str | None = None
        self.connects = False
        self.limit = 0

    def guards(self) -> dict[int, object]:
        """Return the options that keep libcurl from sending a request twice, or over a bad connection."""
        return {pycurl.SOCKOPTFUNCTION: self.connect, pycurl.MAXAGE_CONN: _LONGEST // 1000}

    def connect(self, _descriptor: int, _purpose: int) -> int:
        """Let libcurl connect, unless it had a good connection: then the request may have left over that."""
        return _GO if self.connects else _STOP

    def take(self, data: bytes) -> int | None:
        if self.head is None:
            self.head = _head(self.lines)
        self.body += data
        # To have taken less than what came ends the transfer, and the connection with it.
        return 0 if isinstance(self.head, str) or len(self.body) > self.limit else None

    def clear(self) -> None:
        self.lines.clear()
        self.body.clear()
        self.head = None


class _SharedReading(_Reading):
    """The same of a handle that takes any of an AsyncCurlMulti's connections, which one shows only then.

    Attributes:
        sent: Whether the request may have left.
    """

    __slots__ = ("sent", "sockets")

    def __init__(self, sockets: _Sockets) -> None:
        super().__init__()
        self.sockets = sockets
        self.sent = False

    def guards(self) -> dict[int, object]:
        return {
            pycurl.SOCKOPTFUNCTION: self.sockets.add,
            pycurl.PREREQFUNCTION: self.allow,
            pycurl.MAXAGE_CONN: int(IDLE),
        }

    def allow(self, _there: str, _here: str, _port: int, port: int) -> int:
        """Let libcurl send the request, if it hasn't yet, unless the connection is a bad one."""
        if self.sent or self.sockets.is_bad(port):
            return _STOP
        self.sent = True
        return _GO

    def clear(self) -> None:
        super().clear()
        self.sent = False


R = TypeVar("R", bound=_Reading)


class _Lane(Generic[R]):
    """A handle of libcurl, with what it reads."""

    def __init__(self, connection: Connection, reading: R) -> None:
        root, proxy = f"{connection.scheme}://{connection.netloc}", connection.proxy
        self._start = len(f"{connection.scheme}://")
        # A proxy that isn't asked for a tunnel is told the whole URL.
        whole = connection.scheme == "http" and proxy is not None and not proxy.scheme.startswith("socks")
        self._before = root if whole else ""
        self.reading = reading
        self.curl = pycurl.Curl()
        options = {
            pycurl.HEADERFUNCTION: reading.lines.append,
            pycurl.WRITEFUNCTION: reading.take,
            pycurl.XFERINFOFUNCTION: _handle_signals,
            pycurl.NOSIGNAL: 1,
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            # The path is each request's target, as it is: libcurl would write %3a as %3A, which is signed.
            pycurl.URL: root,
            pycurl.USERAGENT: "",
            # That of the last request. AsyncCurlMulti keeps as many as it is told itself.
            pycurl.MAXCONNECTS: 1,
            # The limit of time is the request's, whatever it is spent on.
            pycurl.CONNECTTIMEOUT_MS: _LONGEST,
            # libcurl would also remember that a name has no address, and a retry be in vain.
            pycurl.DNS_CACHE_TIMEOUT: 0,
            # A look-up that nobody waits for any more doesn't hold up closing.
            _QUICK_EXIT: 1,
            **reading.guards(),
            **_proxy(connection),
            **_trust(connection),
        }
        for option, value in options.items():
            self.curl.setopt(option, value)

    def prepare(self, request: Request, seconds: float, limit: int) -> None:
        """Set up what changes from request to request."""
        self.reading.limit = limit
        setopt = self.curl.setopt
        setopt(pycurl.HTTPHEADER, _lines(request))
        setopt(pycurl.CUSTOMREQUEST, request.method)
        setopt(pycurl.REQUEST_TARGET, self._before + request.url[request.url.index("/", self._start) :])
        # 0 would mean no limit.
        setopt(pycurl.TIMEOUT_MS, max(1, int(min(seconds * 1000, _LONGEST))))

    def outcome(self, error: pycurl.error | None) -> Answer | Failure:
        """Return what came of a request, and forget it."""
        reading = self.reading
        head, body = reading.head or _head(reading.lines), bytes(reading.body)
        oversize = len(body) > reading.limit
        reading.clear()
        if isinstance(head, str):
            return Failure(head, ValueError(head)) if error is None or body else _failure(error)
        return Answer(*head, body, None if error is None or oversize else _failure(error), oversize)

    def close(self) -> None:
        """Close the handle, and its connection."""
        self.curl.close()


def _handle_signals(*_: float) -> None:
    """Do nothing, as Python: whenever it does something, it first handles the signals that came."""


def _lines(request: Request) -> list[str]:
    """Return a request's headers as libcurl takes them, from a frame that no error of its has.

    Raises:
        ValueError: libcurl would send more than one line for one of them, or for the URL.
    """
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    text = request.url + "".join(lines)
    if not text.isascii() or "\n" in text or "\r" in text or "\0" in text or " " in request.url:
        raise ValueError("the URL or a header holds what a request can't")
    return lines


def _proxy(connection: Connection) -> dict[int, object]:
    """Return the options that name the proxy, if any, so that libcurl doesn't ask the environment for one."""
    options: dict[int, object] = {pycurl.PROXY: "", pycurl.NOPROXY: ""}
    proxy = connection.proxy
    if proxy is None:
        return options
    # Names are looked up at the proxy, as httpx means it.
    options[pycurl.PROXY] = proxy.url.replace("socks5:", "socks5h:")
    options[_SUPPRESS_CONNECT_HEADERS] = 1
    options[_SOCKS5_AUTH] = options[pycurl.PROXYAUTH] = pycurl.HTTPAUTH_BASIC
    if proxy.auth is not None:
        options[pycurl.PROXYUSERNAME], options[pycurl.PROXYPASSWORD] = map(str.encode, proxy.auth)
    return options


def _trust(connection: Connection) -> dict[int, object]:
    """Return the options that say what certificates to trust: those of one file or folder, and no others."""
    if not connection.encrypted:
        return {}
    path = str(connection.verify or default_certificates())
    file, folder = (None, path) if os.path.isdir(path) else (path, None)
    return {
        pycurl.CAINFO: file,
        pycurl.CAPATH: folder,
        pycurl.SSL_VERIFYPEER: 1,
        pycurl.SSL_VERIFYHOST: 2,
        pycurl.SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
        pycurl.PROXY_CAINFO: file,
        pycurl.PROXY_CAPATH: folder,
        pycurl.PROXY_SSL_VERIFYPEER: 1,
        pycurl.PROXY_SSL_VERIFYHOST: 2,
        pycurl.PROXY_SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
    }


def _head(lines: list[bytes]) -> tuple[int, dict[str, str]] | str:
    """Return status and headers of the answer, or why there are none."""
    try:
        return _read(b"".join(lines).decode("latin-1").replace("\r\n", "\n"))
    except ValueError as reason:
        return str(reason)


def _read(text: str) -> tuple[int, dict[str, str]]:
    """Return status and headers of the first answer with a status of 200 or more.

    Raises:
        ValueError: There is none, or not the whole of it, or it isn't HTTP.
    """
    if "\r" in text or "\f" in text or "\v" in text:
        raise ValueError("the answer's headers aren't HTTP")
    status = 0
    while status < 200:
        block, end, text = text.partition("\n\n")
        if not end:
            raise ValueError("the answer ended before its headers did")
        first, *fields = block.split("\n")
        status = _status(first)
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        name, value = _name(name), value.strip(" \t")
        if not value.isascii():
            with contextlib.suppress(UnicodeDecodeError):
                value = value.encode("latin-1").decode()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    # libcurl passes over a length that it can't count, and over codings that it doesn't know.
    if len(headers.get("content-length", "")) > 18:
        raise ValueError("the answer's length can't be counted")
    if headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise ValueError("the answer's transfer encoding is unknown")
    return status, headers


# An answer's lines are mostly those of the last one.
@functools.lru_cache(16)
def _status(line: str) -> int:
    found = _STATUS.fullmatch(line)
    if found is None:
        raise ValueError("the answer's status line isn't HTTP")
    return int(found[1])


@functools.lru_cache(64)
def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError("the answer's headers aren't HTTP")
    return text.lower()


def _failure(error: pycurl.error) -> Failure:
    """Return what an error of libcurl means."""
    code, text = error.args
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return out_of_time(error)
    if code == pycurl.E_ABORTED_BY_CALLBACK:
        text = "the server ended the connection without an answer"
    if code == pycurl.E_PEER_FAILED_VERIFICATION:
        return not_trusted(text.rpartition("verify result: ")[2].replace("SSL:", "Hostname mismatch:"), error)
    return Failure(text or pycurl.easy_strerror(code), error, code == pycurl.E_URL_MALFORMAT)
