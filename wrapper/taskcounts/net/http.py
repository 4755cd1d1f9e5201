"""HTTP/1.1 without a socket: the bytes of requests, and answers read by httptools.

httptools is llhttp, the parser of Node: it refuses what is out of order, and takes chunks apart. What it
leaves open is checked here: it also reads RTSP, statuses below 100, and any number of bytes around a body.
"""

from __future__ import annotations

import base64
import re
from functools import partial
from types import SimpleNamespace

import httptools

from taskcounts.net.base import BrokenAnswer, Conversation, PartialAnswer, join_headers
from taskcounts.net.route import Route
from taskcounts.protocol.messages import Request

# Found by the parser, as every piece of a body is.
_BEGIN, _END = True, None

# The first line of an answer.
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})( .*)?", re.DOTALL)

# Bytes that may come beside the body: its headers, or the marks around chunks of a few bytes.
_HEAD_LIMIT = 100 * 1024
_MARKS_PER_BYTE = 10

# Interim answers that may come before the one that counts.
_MOST_INTERIMS = 100


class RequestEncoder:
    """The bytes that all requests over one connection have in common."""

    def __init__(self, route: Route) -> None:
        """Prepare them for a route. A proxy that isn't asked for a tunnel reads each request itself."""
        proxy = route.proxy
        forwarded = proxy is not None and route.scheme == "http" and proxy.scheme.startswith("http")
        self._prefix = f"http://{route.netloc}" if forwarded else ""
        self._start = len(f"{route.scheme}://")
        self._lines = [f"Host: {route.netloc}"]
        if forwarded and proxy is not None and proxy.auth is not None:
            self._lines.append(proxy_authorization(proxy.auth))

    def encode(self, request: Request) -> bytes:
        """Return the bytes of a request.

        Raises:
            ValueError: The server would take it for another one.
        """
        path = request.url[request.url.index("/", self._start) :]
        first = f"{request.method} {self._prefix}{path} HTTP/1.1"
        lines = [first, *self._lines, *map(": ".join, request.headers.items())]
        text = "".join(lines)
        if not (text.isascii() and text.isprintable()) or " " in path:
            raise ValueError("the URL or a header holds what a request can't")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


class AnswerReader:
    """A reader of the answers that come over one connection, one after another."""

    __slots__ = (
        "_answer",
        "_came",
        "_done",
        "_events",
        "_head",
        "_kept",
        "_messages",
        "_only_head",
        "_parser",
    )

    def __init__(self) -> None:
        # The parser's findings, in order. It calls nothing that is written in Python: it would swallow an
        # exception out of a signal handler that comes in there.
        self._events: list[bytes | bool | None] = []
        self._parser = httptools.HttpResponseParser(
            SimpleNamespace(
                on_message_begin=partial(self._events.append, _BEGIN),
                on_body=self._events.append,
                on_message_complete=partial(self._events.append, _END),
            )
        )

    @property
    def silent(self) -> bool:
        """Whether no byte of the answer has come."""
        return self._came == 0

    def round_trip(
        self, request: bytes, answer: PartialAnswer, *, only_head: bool = False
    ) -> Conversation[None]:
        """Send a request and read its answer, or only the head of it, as of one that opens a tunnel.

        Raises:
            BrokenAnswer: It is no answer, or ended too early.
        """
        self._answer, self._only_head = answer, only_head
        self._came, self._done, self._kept = 0, False, False
        # The bytes that came up to the end of the headers, and the number of answers that are still expected:
        # interim ones come before the one that counts.
        self._head, self._messages = b"", 1
        self._events.clear()
        data = yield request
        while not self._take(data):
            data = yield b""

    def _take(self, data: bytes) -> bool:
        """Take what came, nothing if that was the end; return whether enough of the answer has come."""
        answer, refusal = self._answer, ""
        if not data:
            self._end()
            return True
        self._came += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            refusal = str(error)
        except httptools.HttpParserUpgrade:
            refusal = "it changes to another protocol"
        if not answer.status:
            self._head += data
            self._read_heads()
        self._read_events()
        if refusal and not self._done:
            # An answer stands, whatever follows it; that something does was taken note of.
            raise BrokenAnswer(f"what the server sent is not HTTP/1.1: {refusal}")
        if len(answer.body) > answer.limit:
            answer.reusable = False
            return True
        if not self._done and self._came > _HEAD_LIMIT + _MARKS_PER_BYTE * len(answer.body):
            raise BrokenAnswer(
                f"the {'marks between its chunks' if answer.status else 'headers'} are too long"
            )
        return self._done

    def _end(self) -> None:
        headers = self._answer.headers
        if not self._answer.status:
            raise BrokenAnswer("the server ended the connection without an answer")
        if "content-length" in headers or "transfer-encoding" in headers:
            raise BrokenAnswer("the server ended the connection before the end of its answer")

    def _read_heads(self) -> None:
        """Take status and headers once they are there, from lines that the parser finds in order."""
        answer = self._answer
        while not answer.status:
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            # Nearly all are ASCII. What isn't UTF-8 is text all the same, as HTTP has it from its beginnings.
            try:
                first, *lines = head.decode().split("\r\n")
            except UnicodeDecodeError:
                first, *lines = head.decode("latin-1").split("\r\n")
            found = _STATUS.fullmatch(first)
            if found is None:
                raise BrokenAnswer("what the server sent is not HTTP/1.1: its first line")
            self._head, status = rest, int(found[2])
            if status < 200:
                # It only tells that an answer will come.
                self._messages += 1
                if self._messages > _MOST_INTERIMS:
                    raise BrokenAnswer("the server sends interim answers without end")
                continue
            headers = join_headers([line.partition(":")[::2] for line in lines])
            if headers.get("transfer-encoding", "chunked").lower() != "chunked":
                raise BrokenAnswer("the answer is encoded in a way that was not asked for")
            answer.headers, answer.status = headers, status
            options = list(map(str.strip, headers.get("connection", "").lower().split(",")))
            self._kept = "close" not in options if found[1] == "1" else "keep-alive" in options
            if self._only_head:
                self._done, answer.reusable = True, not rest

    def _read_events(self) -> None:
        """Take the body, and take note of its end and of what follows it."""
        answer = self._answer
        for event in self._events:
            if event is _BEGIN:
                self._messages -= 1
                if self._messages < 0:
                    # Nobody asked for this one.
                    answer.reusable = False
            elif isinstance(event, bytes):
                if not self._done:
                    answer.body += event
            elif answer.status and not self._done and self._messages == 0:
                self._done, answer.reusable = True, self._kept
        self._events.clear()


def proxy_authorization(auth: tuple[str, str]) -> str:
    """Return the line of a request that tells a proxy its user and password."""
    return f"Proxy-Authorization: Basic {base64.b64encode(':'.join(auth).encode()).decode('ascii')}"
