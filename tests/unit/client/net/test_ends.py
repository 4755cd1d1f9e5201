"""Engines that are cancelled, interrupted, closed, forked or dropped."""

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from support.answers import answer
from support.client import get, route_to
from support.servers import Peer, Server
from taskcounts.net.async_engine import AsyncSocketEngine
from taskcounts.net.limits import MAX_CONNECTIONS
from taskcounts.net.sync_engine import SocketEngine
from taskcounts.protocol.messages import Failure

OK = b"HTTP/1.1 200 OK\r\n"
SECONDS = 0.3
# What a slow machine may add; a server that has its way would take ten times as long.
GRACE = 0.6


def test_a_task_that_is_cancelled(serve: Callable[..., Server]) -> None:
    """A cancelled task closes its connection; the engine works on, and no other task gets the answer."""
    gone = threading.Event()

    def behave(peer: Peer) -> None:
        if len(peer.server.requests) > 1:
            peer.send(answer(connection="keep-alive").raw())
            return
        peer.send(OK + b"content-length: 9999\r\n\r\n{")
        if not peer.socket.recv(1):
            gone.set()

    server = serve(behave)

    async def cancel() -> tuple[BaseException, Any]:
        engine = AsyncSocketEngine(route_to(server.port))
        task = asyncio.create_task(engine.send(get(server.port), 5, 1000))
        while not server.requests:  # noqa: ASYNC110 - another thread's list.
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        found = await asyncio.gather(*[engine.send(get(server.port), 5, 1000) for _ in range(3)])
        await engine.close()
        return caught.value, found

    error, found = asyncio.run(cancel())
    assert gone.wait(5)
    assert [each.status for each in found] == [200] * 3
    inner = error.__traceback__
    while inner is not None:
        assert inner.tb_frame.f_code.co_filename == __file__
        inner = inner.tb_next


def test_another_event_loop(serve: Callable[..., Server]) -> None:
    """An engine belongs to the event loop that it was first used in; another one gets an error."""
    server = serve(lambda peer: peer.send(answer(connection="keep-alive").raw()))
    engine = AsyncSocketEngine(route_to(server.port))

    async def ask() -> Any:
        return await engine.send(get(server.port), 5, 1000)

    with asyncio.Runner() as first:
        assert first.run(ask()).status == 200
        with pytest.raises(RuntimeError, match="bound to a different event loop"), asyncio.Runner() as other:
            other.run(ask())
        assert first.run(ask()).status == 200
        first.run(engine.close())
        assert first.run(ask()).reason == "the client was closed"


@pytest.mark.parametrize("limit", [MAX_CONNECTIONS, 1], ids=["all under way", "one under way"])
def test_closing_ends_what_is_under_way(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Tasks that wait for an answer, or for room, hear at once that the client was closed."""
    monkeypatch.setattr("taskcounts.net.async_engine.MAX_CONNECTIONS", limit)
    server = serve(Peer.wait)

    async def ask_and_close() -> list[Any]:
        engine = AsyncSocketEngine(route_to(server.port))
        tasks = [asyncio.create_task(engine.send(get(server.port), 5, 1000)) for _ in range(3)]
        while not server.requests:  # noqa: ASYNC110 - another thread's list.
            await asyncio.sleep(0.01)
        tasks[0].cancel()
        # At once, before its cancelled future is out of the way.
        await engine.close()
        await engine.close()
        return await asyncio.gather(*tasks, return_exceptions=True)

    began = time.monotonic()
    first, *others = asyncio.run(ask_and_close())
    assert time.monotonic() - began < GRACE
    assert isinstance(first, asyncio.CancelledError)
    assert [each.reason for each in others] == ["the client was closed"] * 2


def test_closing_while_a_thread_waits(serve: Callable[..., Server]) -> None:
    """A thread that waits for an answer gets it, and none after it."""

    def behave(peer: Peer) -> None:
        peer.wait(0.2)
        peer.send(answer(connection="keep-alive").raw())

    server = serve(behave)
    engine = SocketEngine(route_to(server.port))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(engine.send(get(server.port), 5, 1000)))
    thread.start()
    while not server.requests:
        time.sleep(0.01)
    engine.close()
    thread.join(5)
    assert found[0].status == 200
    after = engine.send(get(server.port), 5, 1000)
    assert isinstance(after, Failure)
    assert (after.reason, after.permanent) == ("the client was closed", True)


def test_no_connection_is_left_open(serve: Callable[..., Server]) -> None:
    """With the engine its connections end, and nothing else keeps it."""
    ends: list[bytes] = []

    def behave(peer: Peer) -> None:
        peer.send(answer(connection="keep-alive").raw())
        ends.append(peer.socket.recv(1))

    server = serve(behave)

    async def ask() -> None:
        engine = AsyncSocketEngine(route_to(server.port))
        await asyncio.gather(*[engine.send(get(server.port), 5, 1000) for _ in range(3)])
        await engine.close()

    engine = SocketEngine(route_to(server.port))
    engine.send(get(server.port), 5, 1000)
    forgotten = weakref.ref(engine)
    engine.close()
    del engine
    asyncio.run(ask())
    gc.collect()
    assert forgotten() is None
    began = time.monotonic()
    while len(ends) < 4 and time.monotonic() - began < 5:
        time.sleep(0.01)
    assert ends == [b""] * 4


PROGRAM = """
import os, signal, sys, threading, time
from taskcounts.net.route import Route
from taskcounts.flow.steps import Request
from taskcounts.net.async_engine import AsyncSocketEngine
from taskcounts.net.sync_engine import SocketEngine
port = {port}
engine = SocketEngine(Route("http", "127.0.0.1", port, None, None))
request = Request("GET", f"http://127.0.0.1:{{port}}/x", {{"authorization": "secretword"}})
"""


def run(program: str, port: int) -> subprocess.Popen[str]:
    """Start a program that has an engine."""
    source = PROGRAM.format(port=port) + program
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-X", "dev", "-W", "error", "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_an_interruption(serve: Callable[..., Server]) -> None:
    """Ctrl-C ends a request of the main thread at once, and no frame that is shown holds headers."""
    server = serve(Peer.wait)
    program = """
try:
    engine.send(request, 60, 1000)
except KeyboardInterrupt as error:
    frames, names = error.__traceback__, []
    while frames:
        names.append(frames.tb_frame.f_code.co_name)
        assert "secretword" not in repr(frames.tb_frame.f_locals.get("lines")), names
        frames = frames.tb_next
    print(names)
    print(type(engine.send(request, 0.1, 1000)).__name__)
"""
    process = run(program, server.port)
    while not server.requests:
        time.sleep(0.01)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == "['<module>']\nFailure\n"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("close", [False, True])
def test_a_fork(serve: Callable[..., Server], close: bool) -> None:
    """A process that was forked shares no connection with the one that it was forked from."""
    ports: list[int] = []

    def behave(peer: Peer) -> None:
        ports.append(peer.socket.getpeername()[1])
        peer.send(answer(connection="keep-alive").raw())

    program = f"""
statuses = [engine.send(request, 5, 1000).status]
if {close}:
    engine.close()
child = os.fork()
found = [engine.send(request, 5, 1000) for _ in range(2)]
if child == 0:
    os._exit(any(each.reason != "the client was closed" if {close} else each.status != 200 for each in found))
print(os.waitpid(child, 0)[1], [getattr(each, "status", each) for each in found])
engine.close()
"""
    process = run(program, serve(behave).port)
    output = process.communicate(timeout=20)[0]
    if close:
        assert output == "0 [Failure(RuntimeError), Failure(RuntimeError)]\n"
    else:
        assert output == "0 [200, 200]\n"
        # Three of the parent over one connection, two of the child over another.
        assert sorted(ports.count(port) for port in set(ports)) == [2, 3]


@pytest.mark.parametrize("how", ["threads", "tasks"])
def test_the_end_of_a_process(serve: Callable[..., Server], how: str) -> None:
    """A process may end while requests are under way in threads that don't hold it up, or in tasks."""
    programs = {
        "threads": """
def ask():
    while True:
        engine.send(request, 60, 1000)
for _ in range(8):
    threading.Thread(target=ask, daemon=True).start()
time.sleep(0.2)
""",
        "tasks": """
import asyncio
async def ask(other):
    while True:
        await other.send(request, 60, 1000)
async def main():
    other = AsyncSocketEngine(Route("http", "127.0.0.1", port, None, None))
    tasks = [asyncio.create_task(ask(other)) for _ in range(8)]
    await asyncio.sleep(0.2)
    sys.exit(0)
asyncio.run(main())
""",
    }
    replies = [lambda peer: peer.send(answer(connection="keep-alive").raw()), Peer.wait]

    def behave(peer: Peer) -> None:
        replies[len(peer.server.requests) > 500](peer)

    process = run(programs[how], serve(behave).port)
    assert process.communicate(timeout=20)[0] == ""
    assert process.returncode == 0
