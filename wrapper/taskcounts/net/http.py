"""HTTP/1.1 without a socket: the bytes of requests, and answers read by httptools.

httptools wraps llhttp, the parser of Node.js, which decodes chunks and refuses malformed messages. The checks
here are those that it lacks: it accepts RTSP, statuses below 100, and any number of bytes around a body.
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

# The name of the engines that read answers with it.
NAME = f"httptools {httptools.__version__}"

# Events of the parser; the others are pieces of a body.
_BEGIN, _END = True, None

# The first line of an answer.
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})( .*)?", re.DOTALL)

# Bytes that may come besides the body: the headers, and the framing of chunks of a few bytes.
_HEAD_LIMIT = 100 * 1024
_FRAMING_PER_BYTE = 10

# Interim answers that may come before the final one.
_MOST_INTERIMS = 100


class RequestEncoder:
    """An encoder of requests, with the lines that all requests over a route have in common."""

    def __init__(self, route: Route) -> None:
        """Make an encoder for a route. A proxy without a tunnel gets absolute URLs and its own password."""
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
            ValueError: The URL or a header has characters that would change the request.
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
        # The events of the parser, in order. Its callbacks are functions in C: it would swallow an exception
        # that a signal handler raises in a Python function.
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
        """True if no byte of the answer has come."""
        return self._came == 0

    def round_trip(
        self, request: bytes, answer: PartialAnswer, *, only_head: bool = False
    ) -> Conversation[None]:
        """Send a request and read its answer, or only the head of an answer that opens a tunnel.

        Raises:
            BrokenAnswer: The answer is not HTTP/1.1, or ended early.
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
        """Parse bytes that came, b"" at the end of the stream; return whether the answer is complete."""
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
            # After a complete answer it only means that the connection can't be used again.
            raise BrokenAnswer(f"what the server sent is not HTTP/1.1: {refusal}")
        if len(answer.body) > answer.limit:
            answer.reusable = False
            return True
        if not self._done and self._came > _HEAD_LIMIT + _FRAMING_PER_BYTE * len(answer.body):
            raise BrokenAnswer(
                f"the {'lines between its chunks' if answer.status else 'headers'} are too long"
            )
        return self._done

    def _end(self) -> None:
        headers = self._answer.headers
        if not self._answer.status:
            raise BrokenAnswer("the server ended the connection without an answer")
        if "content-length" in headers or "transfer-encoding" in headers:
            raise BrokenAnswer("the server ended the connection before the end of its answer")

    def _read_heads(self) -> None:
        """Read the status and headers once they are complete; the parser has validated their lines."""
        answer = self._answer
        while not answer.status:
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            # Nearly all heads are ASCII. HTTP's original encoding, Latin-1, decodes any bytes.
            try:
                first, *lines = head.decode().split("\r\n")
            except UnicodeDecodeError:
                first, *lines = head.decode("latin-1").split("\r\n")
            found = _STATUS.fullmatch(first)
            if found is None:
                raise BrokenAnswer("what the server sent is not HTTP/1.1: its first line")
            self._head, status = rest, int(found[2])
            if status < 200:
                # An interim answer: another one will follow.
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
        """Append the body, and note its end and an answer that follows unasked."""
        answer = self._answer
        for event in self._events:
            if event is _BEGIN:
                self._messages -= 1
                if self._messages < 0:
                    # An answer without a request.
                    answer.reusable = False
            elif isinstance(event, bytes):
                if not self._done:
                    answer.body += event
            elif answer.status and not self._done and self._messages == 0:
                self._done, answer.reusable = True, self._kept
        self._events.clear()


def proxy_authorization(auth: tuple[str, str]) -> str:
    """Return the header line with the user and password for a proxy."""
    return f"Proxy-Authorization: Basic {base64.b64encode(':'.join(auth).encode()).decode('ascii')}"
