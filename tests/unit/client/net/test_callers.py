"""Calls by code that handles an exception of its own, has forked, or interrupts and closes the client."""

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.answers import Script, answer
from support.certificates import Authority
from support.client import ENDPOINT, KEY, Call
from support.servers import Peer, Server, always
from taskcounts import (
    AsyncTaskCountsClient,
    ContractViolation,
    CredentialFailed,
    RetryPolicy,
    ServiceUnreachable,
    TaskCountsClient,
)
from taskcounts.net.tls import Tls

ONCE = RetryPolicy(max_attempts=1)
ENCODED = answer(transfer_encoding="gzip, chunked")


class Mine(Exception):
    pass


def asked_while_handling(mine: BaseException, ask: Callable[[], object]) -> BaseException | None:
    """Return the error of a call inside a handler of an exception, which must stay unchanged."""
    raised = None
    try:
        raise mine
    except type(mine) as handled:
        before = (handled.__traceback__, handled.args)
        try:
            ask()
        except BaseException as error:
            raised = error
        after = (handled.__traceback__, handled.args)
    assert after == before
    return raised


@pytest.mark.parametrize("mine", [Mine, OSError, SystemExit, StopIteration])
@pytest.mark.parametrize("reply", [ENCODED, answer(b"no JSON", 200)])
def test_while_an_exception_is_handled(
    call: Call, serve: Callable[..., Server], mine: type[BaseException], reply: Any
) -> None:
    """An exception that the caller is handling is neither raised in place of our errors, nor changed."""
    server = serve(always(reply))
    raised = asked_while_handling(mine("my own"), lambda: call(server.url, client={"retry": ONCE}))
    assert isinstance(raised, ServiceUnreachable | ContractViolation)
    assert "my own" not in str(raised)


def test_a_credential_while_an_exception_is_handled(call: Call) -> None:
    """The failure of a credential doesn't change the caller's exception either."""

    class Fails:
        def get_token(self, *_: str, **__: Any) -> Any:
            raise OSError("no token")

    raised = asked_while_handling(Mine("my own"), lambda: call(Script(answer()), credential=Fails()))
    assert isinstance(raised, CredentialFailed)


def in_child(work: Callable[[], object]) -> str:
    """Return the result of some work in a forked process."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told = repr(work())
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(writes, told.encode())
        os._exit(0)
    os.close(writes)
    with open(reads, encoding="utf-8") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


def numbered(peer: Peer) -> None:
    """Answer each job with its number, over connections that are kept."""
    job = int(peer.head.split(b"/job-")[1].split(b"/")[0])
    counts = {"active": job, "running": 0, "completed": 0, "succeeded": 0, "failed": 0}
    body = {"taskCounts": counts, "taskSlotCounts": counts}
    peer.send(answer(body, connection="keep-alive").raw())


def test_a_fork_of_tasks(serve: Callable[..., Server]) -> None:
    """A child has connections and a loop of its own; the parent goes on using its connection."""
    server = serve(numbered)
    client = AsyncTaskCountsClient(server.url, KEY)

    async def ask(job: int) -> int:
        return (await client.get_job_task_counts(f"job-{job}")).task_counts.active

    with asyncio.Runner() as runner:
        assert runner.run(ask(1)) == 1
        assert in_child(lambda: asyncio.new_event_loop().run_until_complete(ask(2))) == "2"
        assert runner.run(ask(3)) == 3
        runner.run(client.close())


def test_a_fork_over_a_transport(call: Call) -> None:
    """The connections of a caller's transport are the parent's: a child gets an error that says so."""
    client = call.client_type(ENDPOINT, KEY, transport=httpx.MockTransport(Script(answer())))

    def ask() -> Any:
        result = client.get_job_task_counts("job-1")
        return asyncio.run(result) if call.awaits else result

    assert (
        in_child(ask)
        == "RuntimeError: a transport is not shared with a forked process; make a client in each"
    )
    assert ask().total == 12


def test_a_fork_leaves_no_sockets(serve: Callable[..., Server]) -> None:
    """A child keeps none of the connections of its parent, neither idle ones nor those in use."""
    silent = threading.Event()

    def behave(peer: Peer) -> None:
        if b"/job-2/" in peer.head:
            silent.set()
            peer.wait()
        else:
            numbered(peer)

    def sockets() -> int:
        return sum(
            os.readlink(f"/proc/self/fd/{each}").startswith("socket") for each in range(3, 64) if _open(each)
        )

    before = sockets()
    server = serve(behave)
    with TaskCountsClient(server.url, KEY, retry=ONCE, timeout=2) as client:
        client.get_job_task_counts("job-1")

        def ask() -> None:
            with contextlib.suppress(ServiceUnreachable):
                client.get_job_task_counts("job-2")

        asking = threading.Thread(target=ask)
        asking.start()
        assert silent.wait(5)
        # The server's own sockets are in this process, too.
        with_client = sockets()
        assert int(in_child(sockets)) == with_client - 1
        server.close()
        asking.join()
    assert sockets() == before


def _open(descriptor: int) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


@pytest.mark.parametrize("stage", ["reading", "the handshake"])
def test_closed_by_another_thread(authority: Authority, stage: str) -> None:
    """Closing ends what goes on in a loop of another thread at once, also while it connects, and says so."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "https" if stage == "the handshake" else "http"
    url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    client = AsyncTaskCountsClient(url, KEY, retry=ONCE, verify=str(authority.certificate))
    result = asyncio.run_coroutine_threadsafe(client.get_job_task_counts("job-1"), loop)
    with listener, listener.accept()[0] as connection:
        assert connection.recv(9999)
        began = time.monotonic()
        with pytest.raises(RuntimeError, match="bound to a different event loop"):
            asyncio.run(client.close())
        with pytest.raises(ServiceUnreachable, match="the client was closed"):
            result.result(5)
        assert time.monotonic() - began < 2
        assert connection.recv(9999) == b""
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.filterwarnings("ignore:unclosed")
def test_closed_after_its_loop(serve: Callable[..., Server]) -> None:
    """Closing leaves no socket, though calls were under way when the loop ended."""
    accepted: list[socket.socket] = []

    def behave(peer: Peer) -> None:
        accepted.append(peer.socket)
        peer.wait(2)

    server = serve(behave)
    loop = asyncio.new_event_loop()
    client = AsyncTaskCountsClient(server.url, KEY, retry=ONCE)
    tasks = [loop.create_task(client.get_job_task_counts("job-1")) for _ in range(3)]
    loop.run_until_complete(asyncio.sleep(0.2))
    assert len(accepted) == 3
    loop.close()
    with pytest.raises(RuntimeError, match="bound to a different event loop"):
        asyncio.run(client.close())
    for each in accepted:
        each.settimeout(2)
        assert each.recv(1) == b""
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()
    # asyncio warns of transports that were open when their loop ended.
    del client, tasks, task
    gc.collect()


def test_a_kept_connection_that_goes_silent(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that has timed out looks nothing more up and opens nothing more."""
    server = serve(lambda peer: numbered(peer) if b"/job-1/" in peer.head else peer.wait(1))
    with TaskCountsClient(server.url, KEY, retry=ONCE) as client:
        client.get_job_task_counts("job-1")
        monkeypatch.setattr(socket, "getaddrinfo", None)
        with pytest.raises(ServiceUnreachable, match="timed out"):
            client.get_job_task_counts("job-2", deadline=0.2)


@pytest.mark.parametrize(
    ("addresses", "text"),
    [
        ([], "has no address"),
        (["192.0.2.1", "127.0.0.1"], None),
        (["192.0.2.1"], "unreachable|refused|denied"),
    ],
)
def test_addresses_that_fail_at_once(
    call: Call,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    *,
    addresses: list[str],
    text: str | None,
) -> None:
    """A host may have no address, or some that no packet gets to."""
    server = serve(always(answer()))
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> Any:
        if address[0] == "192.0.2.1":
            raise OSError(101, "Network is unreachable")
        return real(self, address)

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.port)) for host in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(
        socket.socket,
        "connect_ex",
        lambda self, address, real=socket.socket.connect_ex: (
            101 if address[0] == "192.0.2.1" else real(self, address)
        ),
    )
    if text is None:
        assert call(server.url, client={"retry": ONCE}).attempts == 1
    else:
        with pytest.raises(ServiceUnreachable, match=text):
            call(server.url, client={"retry": ONCE})


def test_records_that_come_in_part(authority: Authority) -> None:
    """A part of a TLS record that came unasked makes a connection useless."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = authority.server.wrap_bio(inward, outward, server_side=True)
    tls = Tls(ssl.create_default_context(cafile=authority.certificate), "127.0.0.1")
    with contextlib.suppress(StopIteration):
        handshake, came = tls.handshake(), None
        while True:
            inward.write(handshake.send(came))  # type: ignore[arg-type]
            with contextlib.suppress(ssl.SSLWantReadError):
                server.do_handshake()
            came = outward.read()
    talk = tls.carry(one_line())
    inward.write(next(talk))
    assert server.read() == b"ping"
    server.write(b"pong")
    with pytest.raises(StopIteration):
        talk.send(outward.read())
    assert tls.unasked(None) is None
    server.write(b"x" * 40)
    record = outward.read()
    assert tls.unasked(record[:3])
    assert tls.unasked(record[3:7])
    assert tls.unasked(record[7:]) == b"x" * 40
    assert tls.unasked(None) is None
    with contextlib.suppress(ssl.SSLWantReadError):
        server.unwrap()
    assert tls.unasked(outward.read()) == b""


def one_line() -> Any:
    assert (yield b"ping") == b"pong"
