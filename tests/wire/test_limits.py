"""Floods and drips: an attempt takes no longer than it may, whatever a server does, and reads no more."""

import asyncio
import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest

from support.certificates import Authority
from support.servers import Peer, Server
from taskcounts import ContractViolation, RetryPolicy, ServiceError, ServiceUnreachable
from wire.cases import play
from wire.conftest import Open, over_own_engine
from wire.framing_cases import CHUNKED
from wire.sessions import MAX_CONNECTIONS, OK, Transport, answering, eventually, number, one_line, whole

Serve = Callable[..., Server]
ONCE = RetryPolicy(max_attempts=1)
SECONDS = 0.3
# What a slow machine may add; a server that has its way would take ten times as long.
GRACE = 0.7
LATE = ("longer than", "timed out", "time is")


def late(outcome: object, began: float) -> None:
    """Check that an attempt ended in time, for that reason."""
    assert time.monotonic() - began < SECONDS + GRACE
    assert isinstance(outcome, ServiceUnreachable), outcome
    assert any(words in one_line(outcome) for words in LATE), outcome


def drip(first: bytes, drop: bytes) -> Callable[[Peer], None]:
    """Return a behaviour that sends a beginning, then a drop again and again."""

    def behave(peer: Peer) -> None:
        if number(peer.head) != 1:
            answering(peer)
            return
        play(peer, first)
        while not peer.wait(0.02):
            peer.send(drop)

    return behave


# What a synchronous transport of the caller's reads within one call, each read by a clock of its own.
DRIPS_UNBOUNDED = {"a status", "headers", "interim answers", "an extension", "trailers"}
FLOODS_UNBOUNDED = {"interim answers", "an extension", "trailers"}


def skip_unbounded(transport: Transport, name: str, names: set[str]) -> None:
    """Leave out what nobody can bound."""
    if transport.module and not transport.awaits and name in names:
        pytest.skip("what a transport of the caller's reads within one synchronous call can't be cut short")


DRIPS = {
    "silence": lambda peer: peer.wait() if number(peer.head) == 1 else answering(peer),
    "a status": drip(b"HTTP/1.1 200 O", b"K"),
    "headers": drip(OK, b"x: y\r\n"),
    "interim answers": drip(b"", b"HTTP/1.1 102 Wait\r\n\r\n"),
    "a body": drip(OK + b"content-length: 9999\r\n\r\n{", b" "),
    "a body without a length": drip(OK + b"\r\n{", b" "),
    "chunks": drip(OK + CHUNKED + b"\r\n", b"1\r\n \r\n"),
    "an extension": drip(OK + CHUNKED + b"\r\n1;x=", b"y"),
    "trailers": drip(OK + CHUNKED + b"\r\n0\r\n", b"x: y\r\n"),
}


@pytest.mark.parametrize("name", DRIPS)
def test_drips(transport: Transport, open_session: Open, serve: Serve, name: str) -> None:
    """However a server spreads what it sends, the time is up when it is up; the next call isn't late."""
    skip_unbounded(transport, name, DRIPS_UNBOUNDED)
    server = serve(DRIPS[name])
    session = open_session(server, retry=ONCE)
    began = time.monotonic()
    late(session.outcome("job-1", timeout=SECONDS), began)
    assert session.ask("job-2").task_counts.active == 2
    assert server.accepted == 2


FLOODS: dict[str, tuple[bytes, bytes, type[Exception], str]] = {
    "headers": (OK, b"x: y\r\n" * 10_000, ServiceUnreachable, "header"),
    "a header": (OK + b"x: ", b"y" * 65536, ServiceUnreachable, "header"),
    "a status": (b"HTTP/1.1 200 ", b"OK" * 32768, ServiceUnreachable, ""),
    "interim answers": (b"", b"HTTP/1.1 102 Wait\r\n\r\n" * 3000, ServiceUnreachable, ""),
    "a body": (OK + b"\r\n", b" " * 65536, ContractViolation, ""),
    "a body with a length": (
        OK + b"content-length: 99999999999\r\n\r\n",
        b" " * 65536,
        ContractViolation,
        "",
    ),
    "an error": (OK.replace(b"200", b"400") + b"\r\n", b" " * 65536, ServiceError, "400"),
    "chunks": (OK + CHUNKED + b"\r\n", b"1\r\n \r\n" * 10_000, ContractViolation, ""),
    "an extension": (OK + CHUNKED + b"\r\n1;x=", b"y" * 65536, ServiceUnreachable, ""),
    "trailers": (OK + CHUNKED + b"\r\n0\r\n", b"x: y\r\n" * 10_000, ServiceUnreachable, ""),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(transport: Transport, open_session: Open, serve: Serve, name: str) -> None:
    """An answer that never ends is read up to the limit of its size or of its time."""
    skip_unbounded(transport, name, FLOODS_UNBOUNDED)
    first, again, error, says = FLOODS[name]
    sent = 0

    def flood(peer: Peer) -> None:
        nonlocal sent
        if number(peer.head) != 1:
            answering(peer)
            return
        peer.send(first)
        while not peer.server.stopped.is_set():
            sent += peer.socket.send(again)

    session = open_session(serve(flood), retry=ONCE)
    began = time.monotonic()
    found = session.outcome("job-1", timeout=1.0)
    assert time.monotonic() - began < 1 + GRACE
    # A transport of the caller's may be so slow at small chunks that it is the time that ends it.
    assert isinstance(found, (error, ServiceUnreachable) if transport.module else error), found
    if not transport.module:
        assert says in one_line(found)
        # What the sockets' buffers hold has left as well.
        assert sent < 32 << 20
    assert session.ask("job-2").task_counts.active == 2


@cache
def bomb() -> bytes:
    """Return 32 MB of nothing, compressed."""
    return gzip.compress(bytes(32 << 20), 1)


@pytest.mark.parametrize("status", [b"200", b"400"])
def test_a_bomb(open_session: Open, serve: Serve, status: bytes) -> None:
    """A body that is compressed, unasked, is never inflated."""
    data = bomb()
    head = OK.replace(b"200", status) + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(data)
    server = serve(lambda peer: peer.send(head + data) if number(peer.head) == 1 else answering(peer))
    session = open_session(server)
    tracemalloc.start()
    try:
        assert isinstance(session.outcome("job-1"), ContractViolation | ServiceError)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert session.ask("job-2").task_counts.active == 2
    assert b"accept-encoding: identity\r\n" in server.requests[0].lower()


def test_an_answer_that_is_too_large(open_session: Open, serve: Serve) -> None:
    """The rest of an answer that is too large isn't the next one; another attempt may bring a smaller."""

    def behave(peer: Peer) -> None:
        if len(peer.server.requests) > 1:
            answering(peer)
            return
        data = b" " * (2 << 20)
        peer.send(OK.replace(b"200", b"503") + b"content-length: %d\r\n\r\n" % len(data) + data)

    server = serve(behave)
    session = open_session(server)
    found = session.ask("job-1")
    assert (found.task_counts.active, found.attempts) == (1, 2)
    assert (session.ask("job-2").task_counts.active, server.accepted) == (2, 2)


def full(stack: contextlib.ExitStack, host: str = "127.0.0.1", port: int = 0) -> int:
    """Return the port of a listener whose queue is full: whoever connects hears nothing."""
    listener = stack.enter_context(socket.create_server((host, port), backlog=0))
    port = listener.getsockname()[1]
    for _ in range(4):
        caller = stack.enter_context(socket.socket())
        caller.setblocking(False)
        caller.connect_ex((host, port))
    return port


STAGES = ["connecting", "the handshake", "a proxy", "a proxy's handshake", "a SOCKS proxy"]


@pytest.mark.parametrize("stage", STAGES)
def test_stages(
    transport: Transport, open_session: Open, serve: Serve, authority: Authority, stage: str
) -> None:
    """Nothing before the request takes longer either."""
    skip_unbounded(transport, stage, {"a SOCKS proxy"})
    server = serve(Peer.wait)
    # Whoever reads what the client says of itself, and says nothing.
    silent = server.port
    options: dict[str, Any] = {"verify": str(authority.certificate)}
    url = f"https://127.0.0.1:{silent}"
    with contextlib.ExitStack() as stack:
        if stage == "connecting":
            url = f"https://127.0.0.1:{full(stack)}"
        elif "proxy" in stage:
            scheme = {"a proxy": "http", "a SOCKS proxy": "socks5"}.get(stage, "https")
            url, options["proxy"] = "https://127.0.0.1:9", f"{scheme}://127.0.0.1:{silent}"
        session = open_session(url, retry=ONCE, **options)
        began = time.monotonic()
        late(session.outcome("job-1", timeout=SECONDS), began)


@pytest.mark.parametrize("seconds", [1e300, 2.0**31])
def test_limits_beyond_counting(open_session: Open, serve: Serve, seconds: float) -> None:
    """A limit that no system can count to is longer than any answer takes."""
    session = open_session(serve(answering))
    assert session.ask("job-1", timeout=seconds, deadline=seconds).attempts == 1


def test_next_to_no_time(open_session: Open, serve: Serve) -> None:
    """Next to no time isn't time without end."""
    server = serve(DRIPS["silence"])
    session = open_session(server, retry=ONCE)
    began = time.monotonic()
    late(session.outcome("job-1", timeout=1e-9), began)
    assert session.ask("job-2").task_counts.active == 2


def test_limits_of_their_own(open_session: Open) -> None:
    """A deadline of one call doesn't cut short another one over the same client."""
    release = threading.Event()

    def behave(peer: Peer) -> None:
        if number(peer.head) == 1:
            release.wait(5)
        peer.send(whole(number(peer.head)))

    server = Server(behave)
    try:
        session = open_session(server, retry=ONCE)
        began = time.monotonic()
        late(session.outcome("job-1", timeout=SECONDS), began)
        release.set()
        assert session.together(["job-1", "job-2"]) == [1, 2]
    finally:
        release.set()
        server.close()


@over_own_engine
def test_the_limit_of_connections(open_session: Open) -> None:
    """Of 300 requests at once 256 are under way; the others wait for their turn, and get it."""
    together = threading.Barrier(MAX_CONNECTIONS)

    def behave(peer: Peer) -> None:
        # Until as many have come as can come at once.
        if server.accepted <= MAX_CONNECTIONS and not done:
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(10)
            done.append(1)
        answering(peer)

    done: list[int] = []
    server = Server(behave, backlog=512)
    try:
        session = open_session(server, timeout=20.0, deadline=30.0)
        assert session.together(f"job-{job}" for job in range(300)) == list(range(300))
        assert not together.broken
        assert server.accepted == MAX_CONNECTIONS
    finally:
        server.close()


@over_own_engine
def test_no_place_in_time(transport: Transport, open_session: Open) -> None:
    """A call waits for a permit as long as an attempt may take, and loses none."""
    release = threading.Event()

    def behave(peer: Peer) -> None:
        release.wait(10)
        answering(peer)

    server = Server(behave, backlog=512)
    session = open_session(server, retry=ONCE, timeout=20.0, deadline=30.0)
    ask = session.client.get_job_task_counts
    try:
        if transport.awaits:

            async def one_more() -> None:
                while len(server.requests) < MAX_CONNECTIONS:  # noqa: ASYNC110 - another thread's list.
                    await asyncio.sleep(0.005)
                began = time.monotonic()
                with pytest.raises(ServiceUnreachable) as caught:
                    await ask("job-999", timeout=SECONDS)
                late(caught.value, began)
                release.set()

            async def ask_all() -> Any:
                calls = [ask(f"job-{job}") for job in range(MAX_CONNECTIONS)]
                return (await asyncio.gather(one_more(), *calls))[1:]

            snapshots = session.run(ask_all())
        else:
            with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
                calls = [pool.submit(ask, f"job-{job}") for job in range(MAX_CONNECTIONS)]
                assert eventually(lambda: len(server.requests) == MAX_CONNECTIONS)
                began = time.monotonic()
                late(session.outcome("job-999", timeout=SECONDS), began)
                release.set()
                snapshots = [each.result() for each in calls]
        assert [each.task_counts.active for each in snapshots] == list(range(MAX_CONNECTIONS))
        assert session.ask("job-7").task_counts.active == 7
        assert server.accepted == MAX_CONNECTIONS
    finally:
        release.set()
        server.close()
