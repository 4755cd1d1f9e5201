"""What sockets, a fork or a caller bring about so rarely that no server leads to it."""

import asyncio
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from support.answers import Script, answer
from support.client import ENDPOINT, KEY, Call, get, route_to
from support.servers import Peer, Server
from taskcounts import AsyncTaskCountsClient, RetryPolicy, ServiceUnreachable, TaskCountsClient, forks
from taskcounts.net import async_engine, sync_engine
from taskcounts.net.async_engine import AsyncConnection
from taskcounts.net.base import AttemptTimedOut
from taskcounts.net.http import RequestEncoder
from taskcounts.net.pool import Pool
from taskcounts.net.route import Proxy
from taskcounts.net.sync_engine import SyncConnection
from taskcounts.protocol.messages import Request

KEPT = answer(connection="keep-alive")


def test_after_a_fork(serve: Callable[..., Server]) -> None:
    """In a child every client has a new connection, and permits that nobody has."""
    server = serve(lambda peer: peer.send(KEPT.raw()))
    with TaskCountsClient(server.url, KEY, concurrency=1) as client:
        client.get_job_task_counts("job-1")
        # As another thread that uses them does.
        held = list(client._engine._opened)  # type: ignore[attr-defined]
        assert len(held) == 1
        limiter: Any = client._settings.limiter
        permit = limiter.acquire(float("inf"))
        forks._renew_all()
        assert client.get_job_task_counts("job-1").attempts == 1
        # A permit of the process before changes nothing here.
        other = limiter.acquire(float("inf"))
        limiter.release(permit, None, 0)
        assert limiter.in_flight == 1
        limiter.release(other, None, 0)
    assert len(server.requests) == 2

    async def ask() -> None:
        async with AsyncTaskCountsClient(server.url, KEY) as other:
            await other.get_job_task_counts("job-1")
            forks._renew_all()
            await other.get_job_task_counts("job-1")

    asyncio.run(ask())
    with TaskCountsClient(ENDPOINT, KEY, transport=httpx.MockTransport(Script(answer()))) as over:
        forks._renew_all()
        with pytest.raises(RuntimeError, match="not shared with a forked process"):
            over.get_job_task_counts("job-1")


def test_results_after_a_fork(serve: Callable[..., Server]) -> None:
    """Whoever goes on with get_many in a child is told that its threads are in the parent."""
    server = serve(lambda peer: peer.send(KEPT.raw()))
    with TaskCountsClient(server.url, KEY) as client:
        results = client.get_many(["job-1"] * 20, concurrency=1)
        next(results)
        forks._renew_all()
        with pytest.raises(RuntimeError, match="goes on in the process that began it"):
            list(results)


def test_no_time_to_wait() -> None:
    """Nobody waits for a socket once the time is over."""
    here, there = socket.socketpair()
    with here, there, pytest.raises(AttemptTimedOut):
        sync_engine._wait(here, 0.0, writes=True)


@pytest.mark.parametrize("path", ["/a b", "/a\r\nb", "/ä"])
def test_what_is_no_request(path: str) -> None:
    """A request that a server would take for another one is not sent."""
    with pytest.raises(ValueError, match="holds what a request can't"):
        RequestEncoder(route_to(80)).encode(Request("GET", f"http://127.0.0.1:80{path}", {}))


def test_shown_proxies() -> None:
    """A proxy is shown without its password."""
    assert repr(Proxy("http", "::1", 8080, ("me", "secretword"))) == "Proxy('http://[::1]:8080')"


def test_a_flood_while_nobody_asks(serve: Callable[..., Server]) -> None:
    """What a server sends unasked is not kept without bound: its connection is closed."""
    answered, ended = threading.Event(), threading.Event()

    def behave(peer: Peer) -> None:
        peer.send(KEPT.raw())
        if len(peer.server.requests) == 1:
            answered.wait(5)
            try:
                peer.send(b"x" * 2**23)
            except OSError:
                ended.set()

    server = serve(behave)

    async def ask() -> None:
        async with AsyncTaskCountsClient(server.url, KEY) as client:
            await client.get_job_task_counts("job-1")
            answered.set()
            for _ in range(100):
                await asyncio.sleep(0.02)
                if ended.is_set():
                    break
            await client.get_job_task_counts("job-1")

    asyncio.run(ask())
    assert ended.is_set()


def test_written_as_it_closes() -> None:
    """A connection that is closed before its request went out writes nothing."""
    here, there = socket.socketpair()

    async def write() -> None:
        connection = AsyncConnection(here, memoryview(bytearray(9)))
        connection.close()
        connection._write(b"x")

    with here, there:
        asyncio.run(write())
        assert there.recv(1) == b""


@pytest.mark.parametrize("polls", [True, False])
def test_a_server_that_reads_slowly(monkeypatch: pytest.MonkeyPatch, polls: bool) -> None:
    """A long request is written as the server takes it; a read waits again if there was nothing after all."""
    if not polls:
        monkeypatch.delattr(select, "poll")
    here, there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    here.setblocking(False)
    waits = sync_engine._wait
    skipped: list[bool] = []

    def wait(connected: socket.socket, ends: float, *, writes: bool) -> None:
        # Once it says too early that there is something to read.
        if writes or skipped:
            waits(connected, ends, writes=writes)
        skipped.append(writes)

    monkeypatch.setattr(sync_engine, "_wait", wait)
    request = b"x" * 500_000

    def serve() -> None:
        left = len(request)
        while left:
            left -= len(there.recv(9999))
        there.sendall(b"done")

    def talk() -> Any:
        assert (yield request) == b"done"

    with here, there:
        server = threading.Thread(target=serve)
        server.start()
        SyncConnection(here).run(talk(), float("inf"))
        server.join()


def test_a_family_that_is_lacking(monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]) -> None:
    """An address of a family for which there is no socket is passed over."""
    server = serve(lambda peer: peer.send(KEPT.raw()))
    real = sync_engine._Socket

    class Lacking(real):  # type: ignore[misc, valid-type]
        def __init__(self, family: int, kind: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(97, "Address family not supported by protocol")
            super().__init__(family, kind)

    monkeypatch.setattr(sync_engine, "_Socket", Lacking)
    families = [(socket.AF_INET6, ("::1", server.port)), (socket.AF_INET, ("127.0.0.1", server.port))]
    found = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in families]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with closing(sync_engine.SocketEngine(route_to(server.port))) as sender:
        assert sender.send(get(server.port), 5, 9999).status == 200  # type: ignore[union-attr]


def test_taken_by_another_thread() -> None:
    """A connection is put back although another thread takes all that are idle at the same moment."""

    class Taken(deque[Any]):
        def __getitem__(self, index: Any) -> Any:
            self.clear()
            return super().__getitem__(index)

    pool = Pool[Any]()
    pool._idle = Taken()
    connection = Mock()
    pool.put(connection, reusable=True)
    assert pool.take() is None
    assert not connection.close.called


def test_nothing_to_read_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may say that there is something to read, and then there is nothing."""
    here, there = socket.socketpair()
    here.setblocking(False)
    waited: list[bool] = []

    def wait(*_: Any, writes: bool) -> None:
        if waited:
            there.sendall(b"x")
        waited.append(writes)

    monkeypatch.setattr(sync_engine, "_wait", wait)

    def talk() -> Any:
        assert (yield b"") == b"x"

    with here, there:
        SyncConnection(here).run(talk(), float("inf"))
    assert waited == [False, False]


def test_the_last_address_refuses(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an earlier address is silent, it may still answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        full = [socket.socket() for _ in range(4)]
        for each in full:
            each.setblocking(False)
            each.connect_ex(silent.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each.getsockname()) for each in (silent, closed)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(ServiceUnreachable, match="timed out"):
            call("http://127.0.0.1:9", client={"retry": RetryPolicy(max_attempts=1)}, deadline=0.6)
        for each in full:
            each.close()


def test_a_loop_that_is_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task may have ended as soon as it is made (asyncio.eager_task_factory, from Python 3.12 on)."""

    async def connect() -> None:
        loop = asyncio.get_running_loop()

        def make(work: Any) -> Any:
            work.close()
            ended: asyncio.Future[Any] = loop.create_future()
            ended.set_exception(OSError("unreachable"))
            return ended

        with monkeypatch.context() as patched:
            patched.setattr(loop, "create_task", make)
            with pytest.raises(OSError, match="unreachable"):
                await async_engine._connect("127.0.0.1", 9)

    asyncio.run(connect())


def test_a_connection_that_comes_too_late() -> None:
    """A connection that comes about as its call is cancelled is closed."""
    here, there = socket.socketpair()

    async def end() -> None:
        late = asyncio.get_running_loop().create_future()
        late.set_result(here)
        async_engine._close(late)  # type: ignore[arg-type]

    with here, there:
        asyncio.run(end())
        assert there.recv(1) == b""
