"""The engine keeps its limits of time, and only connections that are worth it."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from support import Authority, Peer, Server, answer, get, way
from taskcounts._connection import Connection, Proxy
from taskcounts._steps import Answer, Failure
from taskcounts.net import engine as net

OK = b"HTTP/1.1 200 OK\r\n"
SECONDS = 0.3
# What a slow machine may add; a server that has its way would take ten times as long.
GRACE = 0.6


Send = Callable[..., Any]


def send_sync(connection: Connection, seconds: float, times: int = 1) -> list[Any]:
    """Send some requests one after the other over an engine of their own."""
    engine = net.SocketEngine(connection)
    request = get(connection.port, connection.scheme)
    found = [engine.send(request, seconds, 1000) for _ in range(times)]
    engine.close()
    return found


def send_async(connection: Connection, seconds: float, times: int = 1) -> list[Any]:
    """Do the same in an event loop."""

    async def send() -> list[Any]:
        engine = net.AsyncSocketEngine(connection)
        request = get(connection.port, connection.scheme)
        found = [await engine.send(request, seconds, 1000) for _ in range(times)]
        await engine.close()
        return found

    return asyncio.run(send())


both = pytest.mark.parametrize("send", [send_sync, send_async], ids=["sync", "async"])


def drip(first: bytes, drop: bytes) -> Callable[[Peer], None]:
    """Return a behaviour that sends a beginning, then a drop again and again."""

    def behave(peer: Peer) -> None:
        peer.send(first)
        for _ in range(200):
            if peer.wait(0.02):
                return
            peer.send(drop)

    return behave


SLOW = {
    "silence": Peer.wait,
    "a status in drops": drip(b"HTTP/1.1 200 O", b"K"),
    "headers in drops": drip(OK, b"x: y\r\n"),
    "interim without end": drip(b"", b"HTTP/1.1 102 Wait\r\n\r\n"),
    "a body in drops": drip(OK + b"content-length: 9999\r\n\r\n{", b" "),
    "chunks in drops": drip(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "trailers in drops": drip(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
}
# Whose status came in time.
SAID = {"a body in drops", "chunks in drops", "trailers in drops"}


def late(found: Any, began: float, said: bool = False) -> None:
    """Check that an attempt ended in time, for that reason."""
    assert time.monotonic() - began < SECONDS + GRACE
    assert isinstance(found, Answer) == said
    failure = found.broken if said else found
    assert failure.reason.startswith("the attempt timed out after")
    assert not failure.permanent


@both
@pytest.mark.parametrize("name", SLOW)
def test_no_server_takes_longer(serve: Callable[..., Server], send: Send, name: str) -> None:
    """However a server spreads what it sends, the time is up when it is up."""
    server = serve(SLOW[name])
    began = time.monotonic()
    (found,) = send(way(server.port), SECONDS)
    late(found, began, name in SAID)


@both
@pytest.mark.parametrize("stage", ["connecting", "the handshake", "the proxy", "the proxy's handshake"])
def test_no_stage_takes_longer(
    serve: Callable[..., Server], authority: Authority, send: Send, stage: str
) -> None:
    """Neither does anything before the request."""
    server = serve(Peer.wait)
    options: dict[str, Any] = {"verify": str(authority.certificate)}
    port, scheme = server.port, "https"
    with contextlib.ExitStack() as stack:
        if stage == "connecting":
            # Nobody accepts, and there is no room to wait in: whoever comes next isn't even refused.
            full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            port = full.getsockname()[1]
            for _ in range(4):
                caller = stack.enter_context(socket.socket())
                caller.setblocking(False)
                caller.connect_ex(("127.0.0.1", port))
        elif stage.startswith("the proxy"):
            kind = "https" if "handshake" in stage else "http"
            options["proxy"], port = Proxy(kind, "127.0.0.1", server.port, None), 9
        began = time.monotonic()
        (found,) = send(way(port, scheme, **options), SECONDS)
    late(found, began)


@both
@pytest.mark.parametrize("seconds", [float("inf"), 1e300, 2.0**31])
def test_no_limit(serve: Callable[..., Server], send: Send, seconds: float) -> None:
    """Infinity is longer than any answer takes."""
    (found,) = send(way(serve(lambda peer: peer.send(answer().raw())).port), seconds)
    assert found.status == 200


@both
@pytest.mark.parametrize("seconds", [0.0, 1e-9])
def test_no_time(serve: Callable[..., Server], send: Send, seconds: float) -> None:
    """No time isn't time without end."""
    (found,) = send(way(serve(Peer.wait).port), seconds)
    late(found, time.monotonic())


@both
def test_a_connection_is_kept(serve: Callable[..., Server], send: Send) -> None:
    """One request after the other goes over one connection, until the server has enough of it."""
    ports = []

    def behave(peer: Peer) -> None:
        ports.append(peer.socket.getpeername()[1])
        peer.send(answer(connection="close" if len(ports) == 3 else "keep-alive").raw())

    found = send(way(serve(behave).port), 5, times=5)
    assert [each.status for each in found] == [200] * 5
    assert len(set(ports[:3])) == len(set(ports[3:])) == 1
    assert ports[2] != ports[3]


@both
def test_what_the_server_forgot(serve: Callable[..., Server], send: Send) -> None:
    """A kept connection that ends instead of an answer is followed by a new one, in the same attempt."""

    def behave(peer: Peer) -> None:
        if len(peer.server.requests) == 2:
            peer.socket.close()
        else:
            peer.send(answer(connection="keep-alive").raw())

    server = serve(behave)
    found = send(way(server.port), 5, times=3)
    assert [each.status for each in found] == [200] * 3
    assert len(server.requests) == 4


@pytest.mark.parametrize("pause", [0.05, 1.2])
def test_what_ended_meanwhile(serve: Callable[..., Server], pause: float) -> None:
    """A connection that ended while it was idle, just now or long ago, isn't taken for the next request."""

    def behave(peer: Peer) -> None:
        peer.send(answer(connection="keep-alive").raw())
        peer.socket.close()

    server = serve(behave)
    engine = net.SocketEngine(way(server.port))

    async def ask() -> None:
        other = net.AsyncSocketEngine(way(server.port))
        for _ in range(3):
            assert engine.send(get(server.port), 5, 1000).status == 200  # type: ignore[union-attr]
            assert (await other.send(get(server.port), 5, 1000)).status == 200  # type: ignore[union-attr]
            await asyncio.sleep(pause)
        await other.close()

    asyncio.run(ask())
    engine.close()
    assert len(server.requests) == 6


def test_many_kept_connections(serve: Callable[..., Server]) -> None:
    """Of many kept connections those that ended meanwhile are passed over, and nothing is lost with them."""
    ended = threading.Event()

    def behave(peer: Peer) -> None:
        # Until all have come, so that each needs a connection.
        while len(peer.server.requests) < 20:
            time.sleep(0.001)
        peer.send(answer(connection="keep-alive").raw())
        if len(peer.server.requests) == 20 and peer.socket.getpeername()[1] % 4:
            peer.socket.close()
        ended.set()

    server = serve(behave)

    async def ask() -> list[Any]:
        engine = net.AsyncSocketEngine(way(server.port))
        found = await asyncio.gather(*[engine.send(get(server.port), 5, 1000) for _ in range(20)])
        await asyncio.sleep(0.05)
        for _ in range(3):
            found += await asyncio.gather(*[engine.send(get(server.port), 5, 1000) for _ in range(20)])
        await engine.close()
        return found

    assert [each.status for each in asyncio.run(ask())] == [200] * 80
    assert len(server.requests) == 80


@both
def test_room_for_so_many(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, send: Send) -> None:
    """Who finds no room waits for it, as long as the attempt may take, and loses none of it."""
    monkeypatch.setattr("taskcounts.net.engine.MAX_CONNECTIONS", 1)

    def behave(peer: Peer) -> None:
        peer.wait(0.2)
        peer.send(answer(connection="keep-alive").raw())

    server = serve(behave)
    if send is send_sync:
        engine = net.SocketEngine(way(server.port))
        found: list[Any] = []

        def ask(seconds: float) -> None:
            found.append(engine.send(get(server.port), seconds, 1000))

        threads = [threading.Thread(target=ask, args=(seconds,)) for seconds in (5, 0.05, 5)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        engine.close()
    else:

        async def ask_all() -> list[Any]:
            other = net.AsyncSocketEngine(way(server.port))
            tasks = []
            for seconds in (0.05, 5, 0.05, 5):
                tasks.append(asyncio.create_task(other.send(get(server.port), seconds, 1000)))
                await asyncio.sleep(0.02)
            first, *found = await asyncio.gather(*tasks)
            assert isinstance(first, Failure)
            assert first.reason.startswith("the attempt timed out after")
            await other.close()
            return found

        found = asyncio.run(ask_all())
    kinds = sorted(each.status if isinstance(each, Answer) else 0 for each in found)
    assert kinds == [0, 200, 200]
