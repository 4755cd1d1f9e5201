"""Reads answers with httptools, which is llhttp, the parser of Node, over the sockets that httpcore has too.

What httpcore does for each request beside sending and reading costs more than both. Where the way leads
through a proxy, httpcore finds it and reads the first answer; the next ones come over the same connection.
"""

from __future__ import annotations

import httpcore
import httptools

from taskcounts._connection import Connection
from taskcounts._steps import Request
from taskcounts.engines.core import AsyncHttpcoreEngine, HttpcoreEngine, Lane, Target
from taskcounts.engines.pipe import ROOM
from taskcounts.engines.seam import Reading, read_headers
from taskcounts.engines.timed import TimedBackend

NAME = f"httptools {httptools.__version__}"

# Bytes of an answer that may come before its headers are complete, as in httpcore; some more if they come
# in one piece.
_LONGEST_HEAD = 100 * 1024


class HttptoolsEngine(HttpcoreEngine):
    """Sends over synchronous connections, one request at a time in each."""

    name = NAME

    def __init__(self, connection: Connection) -> None:
        """Take how to reach the endpoint."""
        # Once for all who need it: loading certificates takes 20 ms.
        connection = connection._replace(context=connection.tls())
        super().__init__(connection)
        self._way = _Way(connection)
        self._backend = TimedBackend()

    def _exchange(self, lane: Lane, request: Request, reading: Reading) -> None:
        """Send a request over a lane, and read its answer."""
        if self._way.is_left_to_httpcore(lane):
            super()._exchange(lane, request, reading)
            return
        way, head = self._way, self._way.head(request)
        if lane.stream is None:
            lane.stream = self._backend.connect_tcp(way.host, way.port)
            if way.tls is not None:
                lane.stream = lane.stream.start_tls(way.tls, way.host)
        if lane.parser is None:
            lane.parser = _Parser()
        lane.parser.begin(reading)
        lane.stream.write(head)
        while not lane.parser.take(lane.stream.read(ROOM)):
            pass


class AsyncHttptoolsEngine(AsyncHttpcoreEngine):
    """Sends over asynchronous connections, one request at a time in each."""

    name = NAME

    def __init__(self, connection: Connection) -> None:
        """Take how to reach the endpoint."""
        from taskcounts.engines.streams import LoopBackend  # noqa: PLC0415 - threads don't need it.

        connection = connection._replace(context=connection.tls())
        super().__init__(connection)
        self._way = _Way(connection)
        self._backend = LoopBackend()

    async def _exchange(self, lane: Lane, request: Request, reading: Reading) -> None:
        """Send a request over a lane, and read its answer."""
        if self._way.is_left_to_httpcore(lane):
            await super()._exchange(lane, request, reading)
            return
        way, head = self._way, self._way.head(request)
        if lane.stream is None:
            lane.stream = await self._backend.connect_tcp(way.host, way.port)
            if way.tls is not None:
                lane.stream = await lane.stream.start_tls(way.tls, way.host)
        if lane.parser is None:
            lane.parser = _Parser()
        lane.parser.begin(reading)
        await lane.stream.write(head)
        while not lane.parser.take(await lane.stream.read(ROOM)):
            pass


class _Way(Target):
    """How to get to an endpoint, and what all requests to it have in common."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.host, self.port = connection.host, connection.port
        self.tls = None
        if connection.scheme == "https":
            self.tls = connection.tls()
            self.tls.set_alpn_protocols(["http/1.1"])
        proxy = connection.proxy
        self._proxied = proxy is not None
        # A proxy that isn't asked for a tunnel reads each request, and wants to be told more in it.
        self._forwarded = proxy is not None and self.tls is None and not proxy.scheme.startswith("socks")
        self._host_line = f"Host: {connection.netloc}"

    def is_left_to_httpcore(self, lane: Lane) -> bool:
        """Return whether the next request over a lane is left to httpcore."""
        return self._forwarded or (self._proxied and lane.stream is None)

    def head(self, request: Request) -> bytes:
        """Return the bytes of a request.

        Raises:
            ValueError: The server would take it for another one.
        """
        path = self.path(request)
        lines = [f"{request.method} {path} HTTP/1.1", self._host_line]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        text = "".join(lines)
        if not (text.isascii() and text.isprintable()) or " " in path:
            raise ValueError("the URL or a header holds what a request can't")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


class _Parser:
    """What the parser tells of the answers that come over one connection, one after another."""

    __slots__ = ("_came", "_done", "_pairs", "_parser", "_reading")

    def __init__(self) -> None:
        self._came = 0
        self._pairs: list[tuple[bytes, bytes]] = []
        self._done = True
        self._reading = Reading(0)
        self._parser = httptools.HttpResponseParser(self)

    def begin(self, reading: Reading) -> None:
        """Take where to put the next answer."""
        self._reading, self._came, self._done = reading, 0, False

    def take(self, data: bytes) -> bool:
        """Take what came, nothing if that was the end; return whether enough of the answer has come.

        Raises:
            RemoteProtocolError: It is no answer, or ended too early.
        """
        reading = self._reading
        if not data:
            self._end()
            return True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            # Not the parser's: an interruption while it told us something, or our own.
            raise error.__context__ or error from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # An answer stands, whatever follows it; that something does was taken note of.
            if not self._done:
                raise httpcore.RemoteProtocolError(f"what the server sent is no HTTP: {error}") from error
        self._came += len(data)
        if not reading.status and self._came > _LONGEST_HEAD:
            raise httpcore.RemoteProtocolError("the headers are too long")
        if len(reading.body) > reading.limit:
            reading.again = False
            return True
        return self._done

    def _end(self) -> None:
        headers = self._reading.headers
        if not self._reading.status:
            raise httpcore.RemoteProtocolError("the server ended the connection without an answer")
        if "content-length" in headers or "transfer-encoding" in headers:
            raise httpcore.RemoteProtocolError("the server ended the connection before the end of its answer")

    def on_message_begin(self) -> None:
        """Take note of an answer's beginning, from the parser, as in all that follows."""
        if self._done:
            # Nobody asked for this one.
            self._reading.again = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which is none."""
        if not self._reading.status:
            self._pairs.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Take the status and the headers, unless they only tell that an answer will come."""
        pairs, self._pairs = self._pairs, []
        status = self._parser.get_status_code()
        if self._reading.status or status < 200:
            return
        headers = read_headers(pairs)
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise httpcore.RemoteProtocolError("the answer is encoded in a way that was not asked for")
        self._reading.headers, self._reading.status = headers, status

    def on_body(self, data: bytes) -> None:
        """Take some of the body."""
        if not self._done:
            self._reading.body += data

    def on_message_complete(self) -> None:
        """Take note of an answer's end."""
        if self._reading.status and not self._done:
            self._done = True
            self._reading.again = self._parser.should_keep_alive()
