"""asyncio's sockets as httpcore takes them: nothing lost, nothing held without bound, nothing left open."""

import asyncio
import contextlib
import gc
import select
import socket
import ssl
import struct
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable

import httpcore
import pytest

from support import KEY, Authority, Peer, Server, always, answer
from taskcounts import AsyncTaskCountsClient
from taskcounts.engines.pipe import Pipe
from taskcounts.engines.seam import readable
from taskcounts.engines.streams import LoopBackend, LoopStream

# More than the system holds for a connection, on both sides together.
MANY = 32 << 20


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[LoopStream, socket.socket]]:
    """Give a stream and the other end of it, which a test reads and writes itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = await LoopBackend().connect_tcp(*server.getsockname())
        far, _ = server.accept()
        far.setblocking(False)
        with far:
            try:
                yield stream, far
            finally:
                await stream.aclose()


def over_a_connection(act: Callable[[LoopStream, socket.socket], Awaitable[object]]) -> None:
    """Run a test over a connection of its own."""

    async def run() -> None:
        async with connected() as (stream, far):
            await asyncio.wait_for(act(stream, far), 20)

    asyncio.run(run())


def test_what_is_not_read_is_not_taken() -> None:
    """A server that floods has to wait; what it sent comes in order, up to the size that is asked for."""

    async def act(stream: LoopStream, far: socket.socket) -> None:
        data = bytes(range(251)) * (MANY // 251)
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(far, data))
        await asyncio.sleep(0.2)
        assert not sending.done()
        assert len(stream._data) < 1 << 20
        got = bytearray()
        while len(got) < len(data):
            part = await stream.read(1000 if len(got) < 5000 else 1 << 20)
            assert 0 < len(part) <= 1000 or len(got) >= 5000
            got += part
        await sending
        assert got == data

    over_a_connection(act)


def test_a_server_that_does_not_read() -> None:
    """Whoever writes waits until the server takes it, or is gone."""

    async def act(stream: LoopStream, far: socket.socket) -> None:
        writing = asyncio.create_task(stream.write(b"x" * MANY))
        await asyncio.sleep(0.1)
        assert not writing.done()
        got = 0
        while got < MANY:
            got += len(await asyncio.get_running_loop().sock_recv(far, 1 << 20))
        await writing
        writing = asyncio.create_task(stream.write(b"x" * MANY))
        await asyncio.sleep(0.1)
        far.close()
        await writing
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x")

    over_a_connection(act)


def test_what_is_written_as_it_closes() -> None:
    """What was to leave in the loop's next round doesn't, if the connection is closed before."""

    async def act(stream: LoopStream, far: socket.socket) -> None:
        await stream.write(b"never")
        written: list[bytes] = []
        # Transports differ in what they make of it.
        stream._transport.write = written.append  # type: ignore[assignment]
        stream._transport.abort()
        await asyncio.sleep(0.05)
        assert written == []
        with contextlib.suppress(ConnectionError):
            assert await asyncio.get_running_loop().sock_recv(far, 10) == b""

    over_a_connection(act)


def test_the_end() -> None:
    """What came before the end is read; then nothing, as often as one asks, also of a flood."""

    async def act(stream: LoopStream, far: socket.socket) -> None:
        assert not stream.get_extra_info("is_readable")
        far.sendall(b"x" * 100_000)
        far.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.1)
        assert stream.get_extra_info("is_readable")
        got = b""
        while part := await stream.read(70_000):
            got += part
        assert (len(got), await stream.read(1)) == (100_000, b"")
        assert stream.get_extra_info("is_readable")
        # As bodies that are empty are written.
        await stream.write(b"")

    over_a_connection(act)


def test_a_reset() -> None:
    """A connection that is reset is an error to whoever reads, and to whoever reads again."""

    async def act(stream: LoopStream, far: socket.socket) -> None:
        reading = asyncio.create_task(stream.read(1))
        await asyncio.sleep(0)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        for reader in (reading, stream.read(1)):
            with pytest.raises(httpcore.ReadError, match="reset"):
                await reader

    over_a_connection(act)


def test_what_the_loop_has_not_seen_yet() -> None:
    """Whether there is something to read is asked of the socket too: the loop looks at it only later."""

    async def act(stream: LoopStream, far: socket.socket) -> None:
        far.sendall(b"x")
        # No await: the loop can't look.
        time.sleep(0.05)  # noqa: ASYNC251
        assert stream._data == b""
        assert stream.get_extra_info("is_readable")

    over_a_connection(act)


def test_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no poll, but another way to tell whether a socket has something to read."""
    for absent in (False, True):
        if absent:
            monkeypatch.delattr(select, "poll")
        near, far = socket.socketpair()
        with near, far:
            assert not readable(near.fileno())
            far.send(b"x")
            assert readable(near.fileno())
            assert readable(-1)


def test_names_that_are_none() -> None:
    """A name that can't be looked up is an error of httpcore's, as one that has no address."""
    for name in ("x" * 70 + ".invalid", "nowhere.invalid"):
        with pytest.raises(httpcore.ConnectError):
            asyncio.run(LoopBackend().connect_tcp(name, 80))


def look_up(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Give every name these addresses."""

    async def found(_: object, port: int, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)


def silence(monkeypatch: pytest.MonkeyPatch, silent: dict[str, float]) -> None:
    """Let addresses answer only after some seconds, even if nobody waits for them any more."""
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def late(each: socket.socket, address: tuple[str, int]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(silent.get(address[0], 0))
        await connect(each, address)

    monkeypatch.setattr(loop, "sock_connect", late)


def test_addresses_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a host's addresses the next is tried when one refuses, and beside one that is silent."""

    async def act() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            silence(monkeypatch, {"127.0.0.3": 60})
            look_up(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.1")
            began = time.monotonic()
            stream = await LoopBackend().connect_tcp("somewhere", server.getsockname()[1])
            assert 0.2 < time.monotonic() - began < 5
            await stream.aclose()

    asyncio.run(act())


def test_the_last_address_is_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is silent is waited for when the others, tried beside it, have refused."""

    async def act() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            silence(monkeypatch, {"127.0.0.1": 0.5})
            look_up(monkeypatch, "127.0.0.1", "127.0.0.2")
            stream = await LoopBackend().connect_tcp("somewhere", server.getsockname()[1])
            await stream.aclose()

    asyncio.run(act())


def test_addresses_that_all_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the last one says is what remains."""

    async def act() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        look_up(monkeypatch, "127.0.0.2", "127.0.0.1")
        with pytest.raises(httpcore.ConnectError, match=r"127\.0\.0\.1"):
            await LoopBackend().connect_tcp("somewhere", port)

    asyncio.run(act())


def test_addresses_that_answer_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that comes about when another one is there already is closed."""

    async def act() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as far:
            far.bind(("127.0.0.2", server.getsockname()[1]))
            far.listen()
            silence(monkeypatch, {"127.0.0.2": 60})
            look_up(monkeypatch, "127.0.0.2", "127.0.0.1")
            stream = await LoopBackend().connect_tcp("somewhere", server.getsockname()[1])
            late, _ = far.accept()
            with late:
                late.settimeout(5)
                # Reset, or closed.
                with contextlib.suppress(ConnectionError):
                    assert late.recv(1) == b""
            await stream.aclose()

    asyncio.run(act())


@pytest.mark.parametrize("tls", [False, True])
def test_cancelled_at_any_moment(serve: Callable[..., Server], authority: Authority, tls: bool) -> None:
    """However far a call has come when it is cancelled, no connection stays open behind it."""
    reply = answer(connection="keep-alive")
    server = serve(lambda peer: peer.send(reply.raw()), authority.server if tls else None)

    async def cancelled(rounds: int) -> bool:
        verify = str(authority.certificate)
        async with AsyncTaskCountsClient(server.url, KEY, engine="httpcore", verify=verify) as client:
            task = asyncio.create_task(client.get_job_task_counts("job-1"))
            for _ in range(rounds):
                await asyncio.sleep(0 if rounds < 40 else 0.0005)
            ended = task.done()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return ended

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ends = [asyncio.run(cancelled(rounds)) for rounds in range(80)]
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
    assert ends[0] is False


def test_tls_that_fails(serve: Callable[..., Server], authority: Authority) -> None:
    """A handshake with whoever speaks no TLS, or isn't trusted, is an error, and the connection closed."""

    async def fail(server: Server, context: ssl.SSLContext) -> LoopStream:
        stream = await LoopBackend().connect_tcp("127.0.0.1", server.port)
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(context, "127.0.0.1")
        return stream

    plain = serve(always(answer()))
    plain._listener.settimeout(None)
    trusting = ssl.create_default_context(cafile=authority.certificate)
    secure = serve(always(answer()), authority.server)
    assert asyncio.run(fail(secure, ssl.create_default_context()))._transport.is_closing()

    async def talk() -> None:
        async with connected() as (stream, far):
            far.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(httpcore.ConnectError):
                await stream.start_tls(trusting, "127.0.0.1")
            assert stream._transport.is_closing()

    asyncio.run(talk())


@pytest.mark.parametrize("goodbye", [False, True])
def test_tls_that_ends(serve: Callable[..., Server], authority: Authority, goodbye: bool) -> None:
    """TLS ends with a goodbye or without, and what it agreed on can be asked for."""

    def behave(peer: Peer) -> None:
        peer.send(b"abc")
        if goodbye:
            peer.socket.unwrap()  # type: ignore[attr-defined]
        peer.socket.close()

    server = serve(behave, authority.server)

    async def act() -> None:
        context = ssl.create_default_context(cafile=authority.certificate)
        plain = await LoopBackend().connect_tcp("127.0.0.1", server.port)
        assert plain.get_extra_info("ssl_object") is None
        stream = await plain.start_tls(context, "127.0.0.1")
        assert stream.get_extra_info("ssl_object").version().startswith("TLS")
        assert stream.get_extra_info("socket") is False
        await stream.write(b"")
        await stream.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await stream.read(2) == b"ab"
        assert stream.get_extra_info("is_readable")
        assert [await stream.read(9), await stream.read(9)] == [b"c", b""]
        await stream.aclose()

    asyncio.run(act())


def test_what_a_pipe_holds(authority: Authority) -> None:
    """What was fed and not read yet is known."""
    pipe = Pipe(ssl.create_default_context(cafile=authority.certificate), "127.0.0.1")
    assert not pipe.holds()
    pipe.feed(b"x")
    assert pipe.holds()
    assert pipe.fetch() == b""
