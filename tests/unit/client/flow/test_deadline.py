"""A call never takes longer than it may, whatever the server does."""

import asyncio
import gc
import math
import socket
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from support.answers import BUSY, Reply, Script, answer, error
from support.certificates import Authority
from support.client import ENDPOINT, KEY, Call
from support.clocks import FakeClock, NoPauses
from support.servers import Peer, Server, always
from support.threads import in_thread, join, until
from taskcounts import (
    AsyncTaskCountsClient,
    DeadlineExceeded,
    RetryPolicy,
    ServiceBusy,
    ServiceUnreachable,
    TaskCountsClient,
)

pytestmark = pytest.mark.slow  # Its servers are silent until a timeout.

DEADLINE = 0.3
# What a slow machine may add; a server that has its way would take ten times as long.
GRACE = 0.5


def test_time_is_up_after_an_attempt(call: Call, clock: FakeClock) -> None:
    """An attempt that fails after the deadline is the last one, and the error says why."""

    def slow(request: httpx.Request) -> Any:
        clock.pass_by(70)
        raise httpx.ReadTimeout("")

    script = Script(slow)
    with pytest.raises(DeadlineExceeded, match=r"gave up: the deadline of 120 s has passed$") as caught:
        call(script, client={"clock": clock})
    assert caught.value.attempts == len(script.requests) == 2
    assert isinstance(caught.value, ServiceUnreachable)
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)
    assert (caught.value.job_id, len(caught.value.client_request_id)) == ("job-1", 36)


def test_what_the_service_said_outlives_the_deadline(call: Call, clock: FakeClock) -> None:
    """An answer that came counts more than that time is up: its error stays, with the reason added."""

    def slow(request: httpx.Request) -> Reply:
        clock.pass_by(200)
        return BUSY

    with pytest.raises(ServiceBusy, match=r"503 ServerBusy: .*; gave up: the deadline of 120 s has passed$"):
        call(Script(slow), client={"clock": clock})


def test_last_attempt_after_the_deadline(call: Call, clock: FakeClock) -> None:
    """The deadline is the reported reason if attempts and time run out together."""

    def slow(request: httpx.Request) -> Any:
        clock.pass_by(200)
        raise httpx.ReadTimeout("")

    with pytest.raises(DeadlineExceeded):
        call(Script(slow), client={"clock": clock, "retry": RetryPolicy(max_attempts=1)})


def test_snapshot_that_came_late_counts(call: Call, clock: FakeClock) -> None:
    """A good answer is returned even if the clock passed the deadline while it came."""

    def slow(request: httpx.Request) -> Reply:
        clock.pass_by(200)
        return answer()

    assert call(Script(slow), client={"clock": clock}).attempts == 1


def test_pause_counts(call: Call, clock: FakeClock) -> None:
    """Pauses use up the deadline: their sum stays below it."""
    policy = RetryPolicy(max_attempts=100, first_pause=1, max_pause=1, jitter=0)
    with pytest.raises(ServiceBusy):
        call(Script(BUSY), client={"clock": clock, "retry": policy, "deadline": 5.5})
    assert clock.pauses == [1, 1, 1, 1, 1]


def test_no_limit(call: Call, clock: FakeClock) -> None:
    """Infinity means no limit, for the deadline and for an attempt."""
    policy = RetryPolicy(max_attempts=50, max_pause=1000)
    script = Script(*[BUSY] * 49, answer())
    snapshot = call(script, client={"clock": clock, "retry": policy}, deadline=math.inf, timeout=math.inf)
    assert snapshot.attempts == 50
    assert sum(clock.pauses) > 30000


def test_no_limit_on_a_socket(call: Call, serve: Callable[..., Server]) -> None:
    """Infinity works on real sockets as well, which know no such number."""
    server = serve(always(answer()))
    assert call(server.url, deadline=math.inf, timeout=math.inf).attempts == 1
    assert call(server.url, deadline=1e300, timeout=1e300).attempts == 1


def test_retries_after_the_timeout_of_an_attempt(call: Call, serve: Callable[..., Server]) -> None:
    """An attempt that takes longer than it may is given up, and followed by another."""

    def slow_first(peer: Peer) -> None:
        if len(peer.server.requests) == 1:
            peer.wait()
        else:
            always(answer())(peer)

    server = serve(slow_first)
    started = time.monotonic()
    assert call(server.url, client={"clock": NoPauses(), "timeout": 0.2}).attempts == 2
    assert time.monotonic() - started < 0.2 + GRACE


def _drip(peer: Peer, first: bytes, drop: bytes) -> None:
    """Send a beginning, then a drop again and again: no single read ever times out."""
    peer.send(first)
    # Not for ever, so that a client without a deadline fails the test instead of holding it.
    for _ in range(60):
        if peer.wait(0.03):
            return
        peer.send(drop)
    peer.socket.close()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
DRIPS: dict[str, tuple[bytes, bytes]] = {
    "body": (HEAD + b"content-length: 100000\r\n\r\n{", b" "),
    "chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "headers": (HEAD, b"x: y\r\n"),
    "header": (HEAD + b"x: ", b"y"),
    "status": (b"HTTP/1.1 200 ", b"O"),
    "interim": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "until-closed": (HEAD + b"\r\n", b" "),
}


def _within_the_deadline(call: Call, url: str, **client: Any) -> DeadlineExceeded:
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        call(url, client=client, deadline=DEADLINE)
    assert time.monotonic() - started < DEADLINE + GRACE
    assert caught.value.attempts >= 1
    return caught.value


@pytest.mark.parametrize("drip", DRIPS)
def test_server_that_drips(call: Call, serve: Callable[..., Server], drip: str) -> None:
    """A server that sends a little at a time, for ever, doesn't hold a call beyond its deadline."""
    server = serve(lambda peer: _drip(peer, *DRIPS[drip]))
    _within_the_deadline(call, server.url)


@pytest.mark.parametrize("drip", ["body", "headers"])
def test_server_that_drips_over_tls(
    call: Call, serve: Callable[..., Server], authority: Authority, drip: str
) -> None:
    """The same over TLS, where closing in good manners could wait for the server once more."""
    server = serve(lambda peer: _drip(peer, *DRIPS[drip]), authority.server)
    _within_the_deadline(call, server.url, verify=str(authority.certificate))


def test_server_that_never_answers(call: Call, serve: Callable[..., Server]) -> None:
    """A server that takes the request and says nothing doesn't hold a call beyond its deadline."""
    server = serve(Peer.wait)
    error = _within_the_deadline(call, server.url)
    assert "the attempt timed out after" in str(error)


def test_server_that_never_finishes_the_handshake(
    call: Call, serve: Callable[..., Server], authority: Authority
) -> None:
    """A server that never finishes the TLS handshake doesn't hold a call beyond its deadline."""
    server = serve(Peer.wait)
    url = server.url.replace("http:", "https:")
    _within_the_deadline(call, url, verify=str(authority.certificate))
    # A connection that was only forgotten would be found here, as a ResourceWarning.
    gc.collect()


def test_proxy_that_never_connects(call: Call, serve: Callable[..., Server]) -> None:
    """Nor does a proxy that takes a CONNECT and says nothing."""
    proxy = serve(Peer.wait)
    _within_the_deadline(call, "https://batch.example", proxy=proxy.url)


def test_server_that_drips_an_error(call: Call, serve: Callable[..., Server]) -> None:
    """An error whose body drips still has its status, and ends the call in time."""
    first = b"HTTP/1.1 503 Busy\r\ncontent-length: 1000\r\n\r\n"
    server = serve(lambda peer: _drip(peer, first, b" "))
    started = time.monotonic()
    with pytest.raises(ServiceBusy):
        call(server.url, deadline=DEADLINE)
    assert time.monotonic() - started < DEADLINE + GRACE


def test_transport_that_is_slow_between_chunks() -> None:
    """A transport of the caller's, which knows no deadline, is left between two chunks."""

    class Stream(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            for _ in range(100):
                time.sleep(0.05)
                yield b" "

    class Transport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx's signature.
            return httpx.Response(200, headers={"content-type": "application/json"}, stream=Stream())

    started = time.monotonic()
    with (
        TaskCountsClient(ENDPOINT, KEY, transport=Transport()) as client,
        pytest.raises(DeadlineExceeded),
    ):
        client.get_job_task_counts("job-1", deadline=0.1)
    assert time.monotonic() - started < 0.1 + GRACE


def test_cancelling_passes_through(serve: Callable[..., Server]) -> None:
    """A task that is cancelled is cancelled: nothing is retried, and the client stays usable."""

    async def cancel() -> int:
        async with AsyncTaskCountsClient(server.url, KEY) as client:
            task = asyncio.create_task(client.get_job_task_counts("job-1"))
            while not server.requests:  # noqa: ASYNC110 - another thread's list.
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.behave = always(answer())
            return (await client.get_job_task_counts("job-1")).attempts

    server = serve(Peer.wait)
    assert asyncio.run(cancel()) == 1
    assert len(server.requests) == 2


def test_host_with_several_addresses(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """If an address of a host refuses, the next one is tried; the error is that of the last one."""
    server = serve(always(answer()))
    monkeypatch.setattr(socket, "getaddrinfo", _addresses(["127.0.0.2", "127.0.0.1"]))
    call = Call(awaits=False)
    endpoint = f"http://localhost:{server.port}"
    assert call(endpoint).attempts == 1
    server.close()
    with pytest.raises(ServiceUnreachable, match="refused"):
        call(endpoint, client={"retry": RetryPolicy(max_attempts=1)})


def _addresses(hosts: list[str]) -> Callable[..., list[Any]]:
    find = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if host != "localhost":
            return find(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    return getaddrinfo


def test_host_without_an_address(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that can't be looked up is unreachable."""
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=socket.gaierror(-2, "Name not known")))
    with pytest.raises(ServiceUnreachable, match="Name not known") as caught:
        call("https://batch.invalid", client={"clock": FakeClock()})
    assert caught.value.attempts == 4


def test_server_that_drips_tls_inside_tls(serve: Callable[..., Server], authority: Authority) -> None:
    """A handshake inside an https proxy's TLS that comes a byte at a time doesn't hold a call either."""

    def drip(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        # The head of a TLS record that says it is long.
        peer.send(b"\x16\x03\x03\x40\x00")
        for _ in range(40):
            peer.send(b"\x02")
            if peer.wait(0.05):
                return

    proxy = serve(drip, authority.server)
    _within_the_deadline(
        Call(awaits=False), "https://127.0.0.1:9", proxy=proxy.url, verify=str(authority.certificate)
    )


def test_a_tls_proxy_that_hangs_up(serve: Callable[..., Server], authority: Authority) -> None:
    """A tunnel that ends in the middle of the inner handshake is a broken connection."""

    def hang_up(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        peer.socket.shutdown(socket.SHUT_RDWR)

    proxy = serve(hang_up, authority.server)
    client = {
        "proxy": proxy.url,
        "verify": str(authority.certificate),
        "retry": RetryPolicy(max_attempts=1),
    }
    with pytest.raises(ServiceUnreachable):
        Call(awaits=False)("https://127.0.0.1:9", client=client, deadline=5)


def test_closing_ends_what_goes_on(serve: Callable[..., Server]) -> None:
    """A client that is closed during another thread's call begins no further attempt."""
    server = serve(Peer.wait)
    client = TaskCountsClient(server.url, KEY, timeout=0.3, retry=RetryPolicy(first_pause=0))
    thread, ended = in_thread(lambda: client.get_job_task_counts("job-1"))
    until(lambda: bool(server.requests))
    client.close()
    join(thread)
    assert [str(error).partition(": ")[2].partition(" (")[0] for error in ended] == [
        f"no answer from {server.url}: the client was closed"
    ]


def test_closing_ends_what_goes_on_async(serve: Callable[..., Server]) -> None:
    """The same goes for tasks."""
    server = serve(Peer.wait)

    async def ask_and_close() -> None:
        client = AsyncTaskCountsClient(server.url, KEY, timeout=0.3, retry=RetryPolicy(first_pause=0))
        task = asyncio.create_task(client.get_job_task_counts("job-1"))
        while not server.requests:  # noqa: ASYNC110 - another thread's list.
            await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(ServiceUnreachable, match="the client was closed"):
            await task

    asyncio.run(ask_and_close())


@pytest.mark.parametrize("wish", ["9" * 30, "9" * 300, "9" * 400])
def test_no_limit_is_no_reason_to_wait_for_ever(call: Call, clock: FakeClock, wish: str) -> None:
    """A wish of ages ends a call even where there is no deadline."""
    with pytest.raises(ServiceBusy, match="the service asks to wait"):
        call(
            Script(error(429, "TooManyRequests", retry_after=wish)),
            client={"clock": clock},
            deadline=math.inf,
        )
    assert clock.pauses == []
