"""The choice of a client's engine, and the modules that it loads."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

from support.answers import Script, answer
from support.certificates import Authority
from support.client import ENDPOINT, KEY, Call
from support.proxies import tunnel
from support.servers import Server, always
from taskcounts import AsyncTaskCountsClient, RetryPolicy, ServiceUnreachable, TaskCountsClient, net

CLIENTS = [TaskCountsClient, AsyncTaskCountsClient]


def forget_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine loaded anew, as in a fresh process."""
    for name in ("http", "pool", "sync_engine", "async_engine", "tunnel"):
        monkeypatch.delitem(sys.modules, f"taskcounts.net.{name}", raising=False)
        monkeypatch.delattr(net, name, raising=False)


@pytest.fixture
def without_httptools(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_engine(monkeypatch)
    monkeypatch.setitem(sys.modules, "httptools", None)


@pytest.mark.parametrize("client", CLIENTS)
def test_sockets_are_taken(client: Any) -> None:
    """Requests go over sockets of our own, and the client names who reads the answers."""
    assert client(ENDPOINT, KEY).engine.startswith("httptools 0.")


@pytest.mark.usefixtures("without_httptools")
def test_without_httptools(call: Call, serve: Callable[..., Server], authority: Authority) -> None:
    """Requests go over httpx if httptools can't be imported, also through a proxy and within TLS."""
    client = call.client_type(ENDPOINT, KEY)
    assert client.engine == f"httpx {httpx.__version__}"
    secure = serve(always(answer()), authority.server)
    proxy = serve(lambda peer: tunnel(peer, secure.port))
    options = {"verify": str(authority.certificate), "retry": RetryPolicy(max_attempts=1)}
    assert call(secure.url, client=options).attempts == 1
    assert call(secure.url, client={**options, "proxy": proxy.url}).attempts == 1
    assert len(proxy.requests) == 1
    with pytest.raises(ServiceUnreachable, match="certificate"):
        call(secure.url, client={"retry": RetryPolicy(max_attempts=1)})


def test_what_else_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that httptools itself lacks is an error, and no reason to take another engine in silence."""
    forget_engine(monkeypatch)
    monkeypatch.setitem(sys.modules, "taskcounts.net.tunnel", None)
    with pytest.raises(ModuleNotFoundError, match=r"taskcounts\.net\.tunnel"):
        TaskCountsClient(ENDPOINT, KEY)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_transport_of_the_callers(call: Call, library: Any) -> None:
    """A transport takes the place of the sockets, whichever of the two libraries it is of."""
    requests = []

    def handle(request: Any) -> Any:
        requests.append(request)
        reply = answer(client_request_id=request.headers["client-request-id"])
        return library.Response(200, headers=dict(reply.headers), stream=library.ByteStream(reply.body))

    with_transport = {"transport": library.MockTransport(handle)}
    if call.awaits:

        async def ask() -> Any:
            async with AsyncTaskCountsClient(ENDPOINT, KEY, **with_transport) as client:
                return client.engine, await client.get_job_task_counts("job-1")

        engine, snapshot = asyncio.run(ask())
    else:
        with TaskCountsClient(ENDPOINT, KEY, **with_transport) as client:
            engine, snapshot = client.engine, client.get_job_task_counts("job-1")
    assert engine == f"{library.__name__} transport"
    assert (snapshot.total, snapshot.inconsistencies) == (12, ())
    assert isinstance(requests[0], library.Request)


@pytest.mark.parametrize(
    ("client", "transport"),
    [
        (TaskCountsClient, object()),
        (TaskCountsClient, httpx.AsyncHTTPTransport()),
        (AsyncTaskCountsClient, httpx.HTTPTransport()),
        (AsyncTaskCountsClient, "https://proxy.example"),
    ],
)
def test_what_is_no_transport(client: Any, transport: Any) -> None:
    """An object that is no fitting transport is refused before anything is sent."""
    method = "handle_async_request" if client is AsyncTaskCountsClient else "handle_request"
    with pytest.raises(TypeError, match=rf"transport must be .* with {method}\(\), not "):
        client(ENDPOINT, KEY, transport=transport)


def test_closed_transports(call: Call) -> None:
    """A client that is closed during a call sends nothing more over its transport."""
    script = Script(answer(status=503))
    client: Any = None

    class Closing(httpx.MockTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            client.close()
            return super().handle_request(request)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await client.close()
            return await super().handle_async_request(request)

    client = call.client_type(ENDPOINT, KEY, transport=Closing(script), retry=RetryPolicy(first_pause=0))

    async def ask() -> None:
        await client.get_job_task_counts("job-1")

    with pytest.raises(ServiceUnreachable, match="the client was closed"):
        asyncio.run(ask()) if call.awaits else client.get_job_task_counts("job-1")
    assert len(script.requests) == 1


@pytest.mark.slow  # Each case starts an interpreter.
@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import taskcounts", "httpx httpcore h11 asyncio anyio httptools certifi ssl"),
        ("ASK", "httpx httpcore h11 asyncio anyio"),
    ],
)
def test_what_is_loaded(program: str, absent: str) -> None:
    """Only the modules that are needed are loaded: others would slow down processes with a single call."""
    ask = (
        "from taskcounts import SharedKey, TaskCountsClient\n"
        "TaskCountsClient('http://[::1]:9', SharedKey('abc', 'a2V5'))"
    )
    program = program.replace("ASK", ask)
    check = f"{program}\nimport sys; print({{*{absent.split()}}} & {{*sys.modules}})"
    run = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)  # noqa: S603
    assert run.stdout == "set()\n"
