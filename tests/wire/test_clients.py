"""The bytes that are sent, the life of connections, and the name of the engine that carries requests."""

import contextlib
import json
import resource
import select
import ssl
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest

from support.answers import answer
from support.certificates import Authority
from support.client import ACCESS_KEY, ENDPOINT, KEY
from support.proxies import Proxy
from support.servers import Peer, Server, always, header
from taskcounts import (
    AsyncTaskCountsClient,
    ContractViolation,
    ServiceUnreachable,
    TaskCountsClient,
    TaskCountsError,
)
from taskcounts_rest import contract
from wire.cases import play
from wire.conftest import Jump, Open, over_own_engine
from wire.sessions import Session, Transport, answering, body, eventually, one_line, whole
from wire.test_limits import DRIPS, ONCE, SECONDS

Serve = Callable[..., Server]


@pytest.mark.parametrize("version", contract.VERSIONS)
def test_what_is_sent(open_session: Open, serve: Serve, version: str) -> None:
    """Each transport sends the same: the target as it was signed, our headers, the host; none of its own."""
    server = serve(answering)
    session = open_session(server, api_version=version)
    session.ask("nightly:job-1", service_timeout=20)
    head = server.requests[0].decode()
    lines = head.strip().split("\r\n")
    names = contract.VERSIONS[version]["Job_GetTaskCounts"].parameters
    [timeout] = [name for name in names if name.lower() == "timeout"]
    query = f"api-version={version}&{timeout}=20"
    assert lines[0] == f"GET /jobs/nightly%3Ajob-1/taskcounts?{query} HTTP/1.1"
    assert sorted(line.partition(":")[0].lower() for line in lines[1:]) == [
        "accept",
        "accept-encoding",
        "authorization",
        "client-request-id",
        "host",
        "ocp-date",
        "return-client-request-id",
        "user-agent",
    ]
    assert header(server.requests[0], "host") == f"127.0.0.1:{server.port}"
    assert header(server.requests[0], "accept-encoding") == "identity"
    assert header(server.requests[0], "user-agent") == header(server.requests[-1], "user-agent")


def test_two_echoes(open_session: Open, serve: Serve) -> None:
    """A header that is given twice has both values: a second echo doesn't hide somebody else's."""

    def behave(peer: Peer) -> None:
        foreign = b"client-request-id: 00000000-0000-4000-8000-000000000000\r\n"
        ours = f"client-request-id: {header(peer.head, 'client-request-id')}\r\n".encode()
        peer.send(whole(1, foreign + ours))

    assert isinstance(open_session(serve(behave)).outcome(), ContractViolation)


@pytest.mark.parametrize("bad", ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "é", "\u2028"])
def test_what_no_request_can_hold(open_session: Open, serve: Serve, bad: str) -> None:
    """A token that would become two headers is never sent, and not shown either."""
    server = serve(answering)
    token = SimpleNamespace(token=f"secretword{bad}", expires_on=2**40)
    credential = SimpleNamespace(get_token=lambda *_, **__: token)
    session = open_session(server, credential=credential, allow_token_over_http=True)
    with pytest.raises((ValueError, TaskCountsError)) as caught:
        session.ask()
    assert "secretword" not in str(caught.value) + repr(caught.value)
    assert server.requests == []


@over_own_engine
def test_idle_for_a_minute(open_session: Open, serve: Serve, jump: Jump) -> None:
    """A connection that was idle for a minute isn't used, and is closed; others are with the next call."""
    server = serve(lambda peer: play(peer, 0.01, whole(1)))
    session = open_session(server)
    session.together(["job-1"] * 6)
    kept = server.accepted
    assert kept > 1
    jump(55)
    assert session.ask().attempts == 1
    assert server.accepted == kept
    jump(10)
    # One was used ten seconds ago.
    assert session.ask().attempts == 1
    assert server.accepted == kept
    assert eventually(lambda: sum(each.fileno() >= 0 for each in server._open) == 1)
    jump(61)
    assert session.ask().attempts == 1
    assert server.accepted == kept + 1
    assert eventually(lambda: sum(each.fileno() >= 0 for each in server._open) == 1)


def test_no_descriptor_left(open_session: Open, serve: Serve) -> None:
    """A lack of descriptors is reported, and the next call succeeds."""
    server = serve(lambda peer: peer.send(whole(1, b"connection: close\r\n")))
    session = open_session(server)
    assert session.ask().attempts == 1
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # As many as are always open.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        found = session.outcome()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(found, ServiceUnreachable)
    assert found.attempts == 2
    assert one_line(found)
    assert session.ask().attempts == 1


@over_own_engine
def test_a_system_without_poll(open_session: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no poll, but another way to wait for a socket."""
    monkeypatch.delattr(select, "poll")
    server = serve(DRIPS["silence"])
    session = open_session(server, retry=ONCE)
    assert session.ask("job-2").task_counts.active == 2
    assert session.ask("job-3").task_counts.active == 3
    assert isinstance(session.outcome("job-1", timeout=SECONDS), ServiceUnreachable)
    assert session.ask("job-4").task_counts.active == 4
    assert server.accepted == 2


PROGRAM = """
import asyncio, json, os, sys
sys.modules["httptools"] = None
import taskcounts
key = taskcounts.SharedKey("myaccount", os.environ["KEY"])
options = {"verify": os.environ["VERIFY"], "trust_env": False}
for url, proxy in json.loads(os.environ["URLS"]):
    with taskcounts.TaskCountsClient(url, key, proxy=proxy, **options) as client:
        print(client.engine[:7], *(client.get_job_task_counts(f"job-{n}").total for n in (1, 2)))
    async def ask():
        async with taskcounts.AsyncTaskCountsClient(url, key, proxy=proxy, **options) as client:
            found = [(await client.get_job_task_counts(f"job-{n}")).total for n in (1, 2)]
            print(client.engine[:7], *found)
    asyncio.run(ask())
"""


def test_without_httptools(serve: Serve, authority: Authority) -> None:
    """Without httptools, requests go over httpx, and the client says so."""
    plain, secure = serve(answering), serve(answering, authority.server)
    tunnels = [Proxy(secure.port), Proxy(secure.port, tls=authority.server)]
    with contextlib.ExitStack() as stack:
        for each in tunnels:
            stack.callback(each.close)
        transports = [
            (plain.url, None),
            ("http://batch.example:81", f"http://me:word@127.0.0.1:{plain.port}"),
            (secure.url, None),
            (secure.url, f"http://me:word@127.0.0.1:{tunnels[0].port}"),
            (secure.url, f"https://me:word@127.0.0.1:{tunnels[1].port}"),
        ]
        process = subprocess.run(  # noqa: S603
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={
                "URLS": json.dumps(transports),
                "KEY": ACCESS_KEY,
                "VERIFY": str(authority.certificate),
                "PYTHONPATH": ":".join(filter(None, sys.path)),
            },
        )
    assert not process.stderr, process.stderr
    assert process.stdout.splitlines() == ["httpx 0 1 2"] * 10
    assert [header(each.requests[0], "proxy-authorization") for each in tunnels] == ["Basic bWU6d29yZA=="] * 2


def test_names(transport: Transport) -> None:
    """A client says what carries its requests."""
    session = Session(transport, ENDPOINT)
    assert session.client.engine.startswith(
        f"{transport.module} transport" if transport.module else "httptools 0."
    )
    session.close()


@pytest.mark.parametrize("library", [httpx, httpx2])
@over_own_engine
def test_a_mock(library: Any, transport: Transport) -> None:
    """A mock transport of either library serves both clients, and is closed with them."""
    closed: list[str] = []

    def handle(request: Any) -> Any:
        assert isinstance(request, library.Request)
        content = {"content-type": "application/json"}
        return library.Response(200, headers=content, stream=library.ByteStream(body(7)))

    class Mock(library.MockTransport):  # type: ignore[misc]
        def close(self) -> None:
            closed.append("close")

        async def aclose(self) -> None:
            closed.append("aclose")

    session = Session(transport, ENDPOINT, transport=Mock(handle))
    assert session.ask().task_counts.active == 7
    assert session.client.engine == f"{library.__name__} transport"
    session.close()
    assert closed == ["aclose" if transport.awaits else "close"]


@pytest.mark.parametrize("client", [TaskCountsClient, AsyncTaskCountsClient])
@pytest.mark.parametrize("library", [httpx, httpx2])
def test_transports_that_are_none(client: Any, library: Any) -> None:
    """An object that is no transport, or one for the other client, is refused at once."""
    awaits = client is AsyncTaskCountsClient
    other = library.HTTPTransport if awaits else library.AsyncHTTPTransport
    made = other(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)
    for wrong in (made, library, "transport", 7):
        with pytest.raises(TypeError, match="transport"):
            client(ENDPOINT, KEY, transport=wrong)


def test_closed(transport: Transport, serve: Serve) -> None:
    """A client that is closed sends nothing, and closing it again is no matter."""
    server = serve(always(answer()))
    session = Session(transport, server.url)
    session.run(session.client.close())
    session.run(session.client.close())
    with pytest.raises(RuntimeError, match="closed"):
        session.ask()
    session.close()
    assert server.accepted == 0
