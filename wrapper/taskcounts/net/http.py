"""HTTP/1.1 without a socket: the bytes of requests, and answers read by httptools.

httptools is llhttp, the parser of Node. What it leaves open is checked here: it also reads RTSP, statuses
below 100, and as many bytes as a server likes to send around a body.
"""

from __future__ import annotations

import base64

import httptools

from taskcounts._connection import Connection
from taskcounts._steps import Request
from taskcounts.net.base import BrokenAnswer, Reading, Talk, read_headers

# Bytes that may come beside the body: its headers, or the marks around chunks of a few bytes.
_HEAD_LIMIT = 100 * 1024
_MARKS_PER_BYTE = 10


class Requests:
    """The bytes that all requests over one connection have in common."""

    def __init__(self, route: Connection) -> None:
        """Prepare them for a route. A proxy that isn't asked for a tunnel reads each request itself."""
        proxy = route.proxy
        forwarded = proxy is not None and route.scheme == "http" and proxy.scheme.startswith("http")
        self._prefix = f"http://{route.netloc}" if forwarded else ""
        self._start = len(f"{route.scheme}://")
        self._lines = [f"Host: {route.netloc}"]
        if forwarded and proxy is not None and proxy.auth is not None:
            self._lines.append(proxy_authorization(proxy.auth))

    def head(self, request: Request) -> bytes:
        """Return the bytes of a request.

        Raises:
            ValueError: The server would take it for another one.
        """
        path = request.url[request.url.index("/", self._start) :]
        lines = [f"{request.method} {self._prefix}{path} HTTP/1.1", *self._lines]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        text = "".join(lines)
        if not (text.isascii() and text.isprintable()) or " " in path:
            raise ValueError("the URL or a header holds what a request can't")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


class Answers:
    """A reader of the answers that come over one connection, one after another."""

    __slots__ = ("_came", "_done", "_head", "_heads", "_only_head", "_pairs", "_parser", "_reading")

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pairs: list[tuple[bytes, bytes]] = []
        self._begin(Reading(0), only_head=False)
        self._done = True

    @property
    def silent(self) -> bool:
        """Whether no byte of the answer has come."""
        return self._came == 0

    def exchange(self, request: bytes, reading: Reading, *, only_head: bool = False) -> Talk[None]:
        """Send a request and read its answer, or only the head of it, as of one that opens a tunnel.

        Raises:
            BrokenAnswer: It is no answer, or ended too early.
        """
        self._begin(reading, only_head)
        data = yield request
        while not self._take(data):
            data = yield b""

    def _begin(self, reading: Reading, only_head: bool) -> None:
        self._reading, self._only_head = reading, only_head
        self._came, self._done = 0, False
        # The bytes up to the end of the headers, and how many heads of answers they hold.
        self._head, self._heads = b"", 0

    def _take(self, data: bytes) -> bool:
        """Take what came, nothing if that was the end; return whether enough of the answer has come."""
        reading = self._reading
        if not data:
            self._end()
            return True
        self._came += len(data)
        if not reading.status:
            self._head += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            # Not the parser's: an interruption while it told us something, or our own.
            raise error.__context__ or error from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # An answer stands, whatever follows it; that something does was taken note of.
            if not self._done:
                raise BrokenAnswer(f"what the server sent is not HTTP/1.1: {error}") from error
        if len(reading.body) > reading.limit:
            reading.again = False
            return True
        if not self._done and self._came > _HEAD_LIMIT + _MARKS_PER_BYTE * len(reading.body):
            raise BrokenAnswer(
                f"the {'marks between its chunks' if reading.status else 'headers'} are too long"
            )
        return self._done

    def _end(self) -> None:
        headers = self._reading.headers
        if not self._reading.status:
            raise BrokenAnswer("the server ended the connection without an answer")
        if "content-length" in headers or "transfer-encoding" in headers:
            raise BrokenAnswer("the server ended the connection before the end of its answer")

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
        if self._reading.status:
            return
        status = self._parser.get_status_code()
        self._heads += 1
        *heads, rest = self._head.split(b"\r\n\r\n", self._heads)
        if status < 100 or not all(head.startswith(b"HTTP/1.") for head in heads):
            raise BrokenAnswer("what the server sent is not HTTP/1.1: its first line")
        if status < 200:
            return
        headers = read_headers(pairs)
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise BrokenAnswer("the answer is encoded in a way that was not asked for")
        self._reading.headers, self._reading.status = headers, status
        if self._only_head:
            self._done = True
            self._reading.again = not rest

    def on_body(self, data: bytes) -> None:
        """Take some of the body."""
        if not self._done:
            self._reading.body += data

    def on_message_complete(self) -> None:
        """Take note of an answer's end."""
        if self._reading.status and not self._done:
            self._done = True
            self._reading.again = self._parser.should_keep_alive()


def proxy_authorization(auth: tuple[str, str]) -> str:
    """Return the line of a request that tells a proxy its user and password."""
    return f"Proxy-Authorization: Basic {base64.b64encode(':'.join(auth).encode()).decode('ascii')}"
