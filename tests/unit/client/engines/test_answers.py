"""What comes over the wire: the engine over httptools makes of it what the one over httpcore does."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from support import Peer, Server, always, answer
from taskcounts._connection import Connection
from taskcounts._steps import Answer, Failure, Request
from taskcounts.engines import core, fast

LIMIT = 1000
Outcome = Answer | Failure
ENGINES = {
    "sync": (fast.HttptoolsEngine, core.HttpcoreEngine),
    "async": (fast.AsyncHttptoolsEngine, core.AsyncHttpcoreEngine),
}


class Asker:
    """Sends requests over one engine, from one event loop if it needs one."""

    def __init__(self, kind: Any, server: Server) -> None:
        self.port = server.port
        self.engine = kind(Connection("http", "127.0.0.1", self.port, None, None))
        self.loop = asyncio.new_event_loop() if "Async" in kind.__name__ else None

    def __call__(self, target: str = "/x", method: str = "GET", **options: Any) -> Any:
        headers = options.pop("headers", {"accept": "application/json"})
        request = Request(method, f"http://127.0.0.1:{self.port}{target}", headers)
        sent = self.engine.send(request, options.get("seconds", 5.0), options.get("limit", LIMIT))
        return self.loop.run_until_complete(sent) if self.loop else sent

    def close(self) -> None:
        ended = self.engine.close()
        if self.loop:
            self.loop.run_until_complete(ended)
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()


Ask = Callable[..., Asker]


@pytest.fixture(params=ENGINES)
def asker(request: pytest.FixtureRequest) -> Any:
    """Make what asks a server over httptools, or with ``other=True`` over httpcore; closed with the test."""
    made: list[Asker] = []

    def make(server: Server, *, other: bool = False) -> Asker:
        made.append(Asker(ENGINES[request.param][other], server))
        return made[-1]

    yield make
    for each in made:
        each.close()


def raw(*parts: bytes) -> Callable[[Peer], None]:
    """Return a behaviour that sends this, and hangs up as soon as the client does."""

    def behave(peer: Peer) -> None:
        peer.send(b"".join(parts))
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.socket.recv(65536):
            pass

    return behave


OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"a":1}'
SEVEN = b"content-length: 7\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
LAST = b"7\r\n" + BODY + b"\r\n0\r\n"

# Of these both engines make the same, to the letter.
ALIKE: dict[str, bytes] = {
    "plain": OK + SEVEN + b"\r\n" + BODY,
    "given twice": OK + SEVEN + b"X: 1\r\nx: 2\r\nX:3\r\n\r\n" + BODY,
    "alphabets": OK + SEVEN + b"X: \xc3\xa9\r\nY: \xe9\r\n\r\n" + BODY,
    "blanks": OK + SEVEN + b"X:\t a \t\r\nY:\r\n\r\n" + BODY,
    "interim": b"HTTP/1.1 100 Continue\r\nx: no\r\n\r\nHTTP/1.1 103 Hints\r\nx: no\r\n\r\n"
    + OK
    + SEVEN
    + b"x: yes\r\n\r\n"
    + BODY,
    "many interim": b"HTTP/1.1 102 Wait\r\n\r\n" * 500 + OK + SEVEN + b"\r\n" + BODY,
    "another behind": OK + b"content-length: 0\r\n\r\n" + OK + SEVEN + b"\r\n" + BODY,
    "chunks": OK + CHUNKED + b"\r\n3;x=y\r\n" + BODY[:3] + b"\r\n4\r\n" + BODY[3:] + b"\r\n0\r\n\r\n",
    "trailers": OK + CHUNKED + b"x: 1\r\n\r\n" + LAST + b"X: 2\r\ncontent-type: text/html\r\n\r\n",
    "compressed": OK + SEVEN + b"content-encoding: gzip\r\n\r\n" + BODY,
    "until the end": OK + b"\r\n" + BODY,
    "until the end, kept": OK + b"connection: keep-alive\r\n\r\n" + BODY,
    "an old version": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "no reason": b"HTTP/1.1 200\r\n" + SEVEN + b"\r\n" + BODY,
    "a strange reason": b"HTTP/1.1 200 \xff: \x01\r\n" + SEVEN + b"\r\n" + BODY,
    "999": b"HTTP/1.1 999 What\r\n" + SEVEN + b"\r\n" + BODY,
    "204": b"HTTP/1.1 204 No\r\n" + SEVEN + b"\r\n" + BODY,
    "205": b"HTTP/1.1 205 No\r\n" + SEVEN + b"\r\n" + BODY,
    "304": b"HTTP/1.1 304 No\r\n" + SEVEN + b"\r\n",
    "redirect": b"HTTP/1.1 307 No\r\nlocation: /y\r\n" + SEVEN + b"\r\n" + BODY,
    "asks for a name": b'HTTP/1.1 401 No\r\nwww-authenticate: Basic realm="x"\r\n' + SEVEN + b"\r\n" + BODY,
    "asks for a ticket": b"HTTP/1.1 401 No\r\nwww-authenticate: Negotiate\r\n" + SEVEN + b"\r\n" + BODY,
    "no proxy": b'HTTP/1.1 407 No\r\nproxy-authenticate: Basic realm="x"\r\n' + SEVEN + b"\r\n" + BODY,
    "cookies and more": OK
    + SEVEN
    + b"set-cookie: a=b\r\nalt-svc: h3=':9'\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
    + BODY,
    "as long as may be": OK + b"content-length: 1000\r\n\r\n" + b"x" * 1000,
    "long headers": OK
    + SEVEN
    + b"".join(b"x%d: %b\r\n" % (n, b"y" * 1000) for n in range(90))
    + b"\r\n"
    + BODY,
}


@pytest.mark.parametrize("name", ALIKE)
def test_the_same_to_the_letter(asker: Ask, serve: Callable[..., Server], name: str) -> None:
    """What is HTTP has one meaning, and is asked for once."""
    server = serve(raw(ALIKE[name]))
    found = asker(server)()
    assert isinstance(found, Answer)
    assert found._asdict() == asker(server, other=True)()._asdict()
    assert found.broken is None
    assert len(server.requests) == 2


# Of these both make a failure, each in its own words.
FAILED: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-no\r\n\r\n",
    "HTTP/0.9": BODY,
    "HTTP/2": b"HTTP/2 200\r\n" + SEVEN + b"\r\n" + BODY,
    "HTTP/3": b"HTTP/3 200 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "in small letters": b"http/1.1 200 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "ICY": b"ICY 200 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "20": b"HTTP/1.1 20 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "2000": b"HTTP/1.1 2000 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "099": b"HTTP/1.1 099 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "2x0": b"HTTP/1.1 2x0 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "two blanks": b"HTTP/1.1  200 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "a tab": b"HTTP/1.1\t200 OK\r\n" + SEVEN + b"\r\n" + BODY,
    "a line first": b"x\r\n" + OK + SEVEN + b"\r\n" + BODY,
    "half a status": b"HTTP/1.1 2",
    "half a head": OK + b"x: 1\r\n",
    "interim alone": b"HTTP/1.1 102 Wait\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switch\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" + BODY,
    "folded from nothing": OK + b" X: 1\r\n" + SEVEN + b"\r\n" + BODY,
    "NUL": OK + SEVEN + b"X: a\0b\r\n\r\n" + BODY,
    "form feed": OK + SEVEN + b"X: a\x0cb\r\n\r\n" + BODY,
    "vertical tab": OK + SEVEN + b"X: a\x0bb\r\n\r\n" + BODY,
    "carriage return": OK + SEVEN + b"X: a\rb\r\n\r\n" + BODY,
    "no colon": OK + SEVEN + b"nonsense\r\n\r\n" + BODY,
    "a blank before the colon": OK + b"content-length : 7\r\n\r\n" + BODY,
    "no name": OK + SEVEN + b": 1\r\n\r\n" + BODY,
    "a strange name": OK + SEVEN + b"X(y): 1\r\n\r\n" + BODY,
    "a name in no alphabet": OK + SEVEN + b"X\xe9: 1\r\n\r\n" + BODY,
    "two codings": OK + CHUNKED + CHUNKED + b"\r\n" + LAST + b"\r\n",
    "gzip on the way": OK + b"transfer-encoding: gzip, chunked\r\n\r\n" + LAST + b"\r\n",
    "a coding that says nothing": OK + b"transfer-encoding: identity\r\n\r\n" + BODY,
    "lengths that differ": OK + SEVEN + b"content-length: 8\r\n\r\n" + BODY + b"x",
    "a negative length": OK + b"content-length: -7\r\n\r\n" + BODY,
    "a length in words": OK + b"content-length: seven\r\n\r\n" + BODY,
    "headers without end": OK + SEVEN + b"x: y\r\n" * 100_000,
    "a header of 400 KB": OK + SEVEN + b"x: " + b"y" * 400_000 + b"\r\n\r\n" + BODY,
    "an alert of TLS": b"\x15\x03\x03\x00\x02\x02\x28",
}


@pytest.mark.parametrize("name", FAILED)
def test_what_is_no_answer(asker: Ask, serve: Callable[..., Server], name: str) -> None:
    """What isn't HTTP is no answer; another attempt may bring one."""
    server = serve(raw(FAILED[name]))
    for other in (False, True):
        found = asker(server, other=other)()
        assert isinstance(found, Failure)
        assert found.reason
        assert not found.permanent
    assert len(server.requests) == 2


# Of these only httpcore makes an answer; of the last one only httptools.
DIFFERENT: dict[str, bytes] = {
    "folded": OK + SEVEN + b"X: 1\r\n  2\r\n\t3\r\nY: z\r\n\r\n" + BODY,
    "control": OK + SEVEN + b"X: a\x01b\r\n\r\n" + BODY,
    "bare line feeds": (OK + SEVEN + b"x: 1\r\n\r\n").replace(b"\r\n", b"\n") + BODY,
    "both lengths": OK + b"content-length: 3\r\n" + CHUNKED + b"\r\n" + LAST + b"\r\n",
    "an empty line first": b"\r\n" + OK + SEVEN + b"\r\n" + BODY,
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_one_of_them_refuses(asker: Ask, serve: Callable[..., Server], name: str) -> None:
    """What good servers don't send is refused, or has the one meaning that it can have."""
    server = serve(raw(DIFFERENT[name]))
    found = [asker(server)(), asker(server, other=True)()]
    refused = [isinstance(each, Failure) and not each.permanent for each in found]
    assert refused == [name != "an empty line first", name == "an empty line first"]
    (answered,) = [each for each in found if isinstance(each, Answer)]
    assert (answered.status, answered.body, answered.broken) == (200, BODY, None)


# Of these both make an answer that breaks off.
BROKEN: dict[str, bytes] = {
    "short": OK + b"content-length: 70\r\n\r\n" + BODY,
    "an error": b"HTTP/1.1 403 No\r\ncontent-length: 70\r\n\r\n" + BODY,
    "half a chunk": OK + CHUNKED + b"\r\n70\r\n" + BODY,
    "no last chunk": OK + CHUNKED + b"\r\n7\r\n" + BODY + b"\r\n",
    "half a last chunk": OK + CHUNKED + b"\r\n" + LAST,
    "a trailer that is none": OK + CHUNKED + b"\r\n" + LAST + b"HTTP/1.1 500 No\r\nx: y\r\n\r\n",
    "a chunk of no size": OK + CHUNKED + b"\r\n7\r\n" + BODY + b"\r\nzz\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_answers_that_break_off(asker: Ask, serve: Callable[..., Server], name: str) -> None:
    """Of an answer that breaks off there is what came, and why there is no more."""
    server = serve(raw(BROKEN[name]))
    found, expected = asker(server)(), asker(server, other=True)()
    assert found[:3] == expected[:3]
    assert found.broken is not None
    assert expected.broken is not None
    assert not found.oversize
    assert not found.broken.permanent
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "size", [b"9223372036854775807", b"99999999999999999999", b"7" * 30], ids=["most", "more", "much more"]
)
def test_a_length_beyond_counting(asker: Ask, serve: Callable[..., Server], size: bytes) -> None:
    """A length that nobody can count isn't passed over: what came is never taken for the whole."""
    found = asker(serve(raw(OK, b"content-length: %b\r\n\r\n" % size, BODY)))()
    assert isinstance(found, Failure) or found.broken


@pytest.mark.parametrize("head", [b"content-length: 1001\r\n", b"", CHUNKED])
def test_an_answer_too_large(asker: Ask, serve: Callable[..., Server], head: bytes) -> None:
    """A body beyond the limit ends the answer, and the connection with it."""
    body = b"x" * 1001
    if head == CHUNKED:
        body = b"3e9\r\n" + body + b"\r\n0\r\n\r\n"
    gone = threading.Event()

    def behave(peer: Peer) -> None:
        if len(peer.server.requests) > 1:
            peer.send(answer().raw())
            return
        peer.send(OK + head + b"\r\n" + body)
        with contextlib.suppress(OSError):
            peer.socket.recv(1)
        gone.set()

    ask = asker(serve(behave))
    found = ask()
    assert (found.status, found.oversize, found.broken) == (200, True, None)
    assert found.body == b"x" * 1001
    assert gone.wait(5)
    # The same handle reads the next answer as if nothing had been.
    assert ask().status == 200


def test_the_end_of_a_bad_connection(asker: Ask, serve: Callable[..., Server]) -> None:
    """A connection whose server doesn't speak HTTP isn't used again."""
    gone = threading.Event()

    def behave(peer: Peer) -> None:
        if len(peer.server.requests) > 1:
            peer.send(answer().raw())
            return
        peer.send(OK + SEVEN + b"x : 1\r\n\r\n" + BODY)
        if not peer.socket.recv(1):
            gone.set()

    ask = asker(serve(behave))
    assert isinstance(ask(), Failure)
    assert gone.wait(5)
    assert ask().status == 200


def test_an_endless_answer(asker: Ask, serve: Callable[..., Server]) -> None:
    """What never ends is read no further than the limit, plus what one read brings."""
    sent = 0

    def flood(peer: Peer) -> None:
        nonlocal sent
        peer.send(OK + b"\r\n")
        while sent < 64 << 20:
            sent += peer.socket.send(b"x" * 65536)

    found = asker(serve(flood))()
    assert found.oversize
    assert len(found.body) < 100_000
    assert sent < 32 << 20


def test_what_was_read_is_forgotten(asker: Ask, serve: Callable[..., Server]) -> None:
    """Nothing of one answer is left in the next, whatever became of either."""
    replies = [
        OK + b"x: 1\r\ncontent-length: 9\r\n\r\n" + BODY,
        OK + b"y: 1\r\n",
        OK + b"content-length: 2000\r\n\r\n" + b"x" * 2000,
        OK + SEVEN + b"\r\n" + BODY,
    ]
    ask = asker(serve(lambda peer: raw(replies.pop(0))(peer)))  # noqa: PLW0108 - another one each time.
    assert isinstance(ask().broken, Failure)
    assert isinstance(ask(), Failure)
    assert ask().oversize
    assert ask() == Answer(200, {"content-length": "7"}, BODY)


def test_long_headers_again_and_again(asker: Ask, serve: Callable[..., Server]) -> None:
    """What is too long for one answer isn't for several, over one connection."""
    head = OK + SEVEN + b"".join(b"x%d: %b\r\n" % (n, b"y" * 1000) for n in range(60))
    server = serve(lambda peer: peer.send(head + b"\r\n" + BODY))
    ask = asker(server)
    assert [ask().status for _ in range(4)] == [200] * 4


@pytest.mark.parametrize("together", [True, False])
def test_what_nobody_asked_for(asker: Ask, serve: Callable[..., Server], together: bool) -> None:
    """An answer that the server sends unasked is never taken for that to the next request."""
    forged = OK + b"content-length: 6\r\n\r\nforged"

    def behave(peer: Peer) -> None:
        first = len(peer.server.requests) == 1
        peer.send(OK + SEVEN + b"\r\n" + BODY + (forged if first and together else b""))
        if first and not together:
            peer.send(forged)

    server = serve(behave)
    ask = asker(server)
    assert ask().body == BODY
    threading.Event().wait(0.05)
    assert ask().body == BODY
    assert len(server.requests) == 2


@pytest.mark.parametrize("length", [6, 12])
def test_what_came_unasked_ends_a_connection(asker: Ask, serve: Callable[..., Server], length: int) -> None:
    """A whole answer behind an answer, or half of one, is the end of that connection."""
    forged = OK + b"content-length: %d\r\n\r\nforged" % length
    ports: list[int] = []

    def behave(peer: Peer) -> None:
        ports.append(peer.socket.getpeername()[1])
        peer.send(OK + SEVEN + b"\r\n" + BODY + (forged if len(ports) == 1 else b""))

    ask = asker(serve(behave))
    assert ask().body == BODY
    assert ask(seconds=2.0) == Answer(200, {"content-length": "7"}, BODY)
    assert len(set(ports)) == 2


@pytest.mark.parametrize("coding", [b"Chunked", b"CHUNKED"])
def test_chunks_in_capitals(asker: Ask, serve: Callable[..., Server], coding: bytes) -> None:
    """The name of an encoding is the same in capitals."""
    server = serve(raw(OK + b"transfer-encoding: " + coding + b"\r\n\r\n" + LAST + b"\r\n"))
    assert asker(server)().body == BODY


@pytest.mark.parametrize(
    "target",
    [
        "/jobs/a%3ab/x?y=%2f%5B&z='!$()*,;:@-._~",
        "/jobs/a%3Ab/x?y=%2F",
        "/a/../b/./c//d?x=1?y",
        "/jobs/a[b]|c/x?y={z}",
        "/?",
    ],
)
def test_the_target_as_it_is(asker: Ask, serve: Callable[..., Server], target: str) -> None:
    """What is signed is what is sent: no path is cut short, nothing encoded in another way."""
    server = serve(always(answer()))
    for other in (False, True):
        assert asker(server, other=other)(target).status == 200
    for head in server.requests:
        assert head.split(b"\r\n")[0] == f"GET {target} HTTP/1.1".encode()


def test_the_request_as_it_is(asker: Ask, serve: Callable[..., Server]) -> None:
    """The server gets our headers and the host, and nothing else."""
    server = serve(always(answer()))
    headers = {"authorization": "SharedKey abc:def=", "x-empty": "y", "user-agent": "we"}
    asker(server)(headers=headers | {"accept": "a/b"}, method="DELETE")
    lines = sorted(server.requests[0].decode().lower().strip().split("\r\n"))
    assert lines == [
        "accept: a/b",
        "authorization: sharedkey abc:def=",
        "delete /x http/1.1",
        f"host: 127.0.0.1:{server.port}",
        "user-agent: we",
        "x-empty: y",
    ]


@pytest.mark.parametrize("bad", ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "é", "\u2028"])
def test_what_no_request_can_hold(asker: Ask, serve: Callable[..., Server], bad: str) -> None:
    """A header that would become two is never sent, and not shown either; nor is such a target."""
    server = serve(always(answer()))
    ask = asker(server)
    with pytest.raises(ValueError, match="holds what a request can't") as caught:
        ask(headers={"accept": "a", "authorization": f"secretword{bad}"})
    assert "secretword" not in repr(caught.value)
    with pytest.raises(ValueError, match="holds what a request can't"):
        ask(f"/{bad}")
    with pytest.raises(ValueError, match="holds what a request can't"):
        ask("/a b")
    assert server.requests == []
    assert ask().status == 200
