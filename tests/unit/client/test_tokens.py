"""Bearer tokens, and the credentials that fetch them."""

import asyncio
import copy
import http.client
import inspect
import json
import pickle
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential, aio

from support.answers import BUSY, Script, answer
from support.client import ENDPOINT, TOKEN, Call
from support.clocks import FakeClock
from support.servers import Server, always, header
from taskcounts import BearerToken, CredentialFailed, DeadlineExceeded, TaskCountsClient
from taskcounts.credentials import PUBLIC_SCOPE, scope_for


class Access:
    """A token as azure-core hands it over."""

    def __init__(self, token: Any) -> None:
        self.token = token


class Credential:
    """A synchronous credential: each call gives a new token or an error."""

    def __init__(self, *, fails: Exception | None = None, token: Any = None) -> None:
        self.fails = fails
        self.token = token
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> Access:
        self.scopes += scopes
        if self.fails is not None:
            raise self.fails
        return Access(self.token or f"token-{len(self.scopes)}")


class AsyncCredential(Credential):
    """The same for coroutines."""

    async def get_token(self, *scopes: str, **kwargs: Any) -> Access:  # type: ignore[override]
        await asyncio.sleep(0)
        return Credential.get_token(self, *scopes, **kwargs)


# What goes together: a synchronous client takes no asynchronous credential.
with_credentials = pytest.mark.parametrize(
    ("call", "make"),
    [("sync", Credential), ("async", AsyncCredential), ("async", Credential)],
    ids=["sync", "async", "async-of-sync"],
    indirect=True,
)


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Callable[..., Credential]:
    """Return a credential for a synchronous or an asynchronous client."""
    kind: Callable[..., Credential] = request.param
    return kind


def test_bearer_token_is_sent_as_it_is(call: Call) -> None:
    """A token goes out behind the word Bearer, unchanged."""
    script = Script(answer())
    call(script, credential=BearerToken(TOKEN))
    assert script.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "token", ["", " ", f"Bearer {TOKEN}", TOKEN + "\n", "a\r\nx: y", "ü", None, 5], ids=ascii
)
def test_tokens_that_are_none(token: Any) -> None:
    """A text that can't be a token is refused, and not shown."""
    with pytest.raises(ValueError, match="the token is not a bearer token") as caught:
        BearerToken(token)
    assert TOKEN not in str(caught.value)


def test_bearer_token_is_a_value() -> None:
    """Tokens are equal if they read alike; they can't be changed, copied out, pickled or seen."""
    token = BearerToken(TOKEN)
    assert token == BearerToken(TOKEN)
    assert hash(token) == hash(BearerToken(TOKEN))
    assert token != BearerToken("another")
    assert token != TOKEN
    assert copy.copy(token) is copy.deepcopy(token) is token
    with pytest.raises(AttributeError, match="BearerToken is immutable"):
        token._token = "x"
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(token)
    assert repr(token) == str(token) == "BearerToken(<hidden>)"


@pytest.mark.parametrize(
    ("endpoint", "scope"),
    [
        (ENDPOINT, "https://batch.core.windows.net//.default"),
        ("https://a.usgovvirginia.batch.usgovcloudapi.net", "https://batch.core.usgovcloudapi.net//.default"),
        ("https://a.chinaeast2.batch.chinacloudapi.cn", "https://batch.chinacloudapi.cn//.default"),
        ("https://A.Batch.UsGovCloudApi.Net.:443", "https://batch.core.usgovcloudapi.net//.default"),
        ("https://a.batch.chinacloudapi。cn。", "https://batch.chinacloudapi.cn//.default"),
        ("a.chinaeast2.batch.chinacloudapi.cn", "https://batch.chinacloudapi.cn//.default"),
        ("https://batch.example", "https://batch.core.windows.net//.default"),
        ("https://evilbatch.chinacloudapi.cn.example", "https://batch.core.windows.net//.default"),
    ],
)
def test_scope_of_a_cloud(call: Call, endpoint: str, scope: str) -> None:
    """A token is for the scope of the endpoint's cloud, with the double slash that the service needs."""
    credential = Credential()
    call(Script(answer()), credential=credential, endpoint=endpoint)
    assert credential.scopes == [scope] == [scope_for(endpoint)]


def test_scope_of_nothing() -> None:
    """Without a host the scope is the public cloud's."""
    assert scope_for("") == PUBLIC_SCOPE


def test_scope_given(call: Call) -> None:
    """A scope of the caller's is used, whatever the endpoint."""
    credential = Credential()
    call(Script(answer()), credential=credential, client={"scope": "api://mine/.default"})
    assert credential.scopes == ["api://mine/.default"]


@with_credentials
def test_token_that_does_not_say_when_it_expires(
    call: Call, make: Callable[..., Credential], clock: FakeClock
) -> None:
    """A token without an expiry is used once: each attempt fetches a new one."""
    script = Script(BUSY, BUSY, answer())
    call(script, credential=make(), client={"clock": clock})
    sent = [request.headers["authorization"] for request in script.requests]
    assert sent == ["Bearer token-1", "Bearer token-2", "Bearer token-3"]


def test_async_credential_in_a_sync_client() -> None:
    """A synchronous client refuses an asynchronous credential before anything is sent."""
    with pytest.raises(TypeError, match="AsyncCredential is an asynchronous credential; use it with Async"):
        TaskCountsClient(ENDPOINT, AsyncCredential())


class Later:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Generator[None, None, Access]:
        yield
        return Access("token-1")


class LateCredential(Credential):
    """An asynchronous credential whose get_token is a plain function that returns an awaitable."""

    def get_token(self, *_: str, **__: Any) -> Any:
        return Later()


def test_awaitable_from_a_plain_function() -> None:
    """A credential that returns an awaitable is asynchronous, also without ``async def``."""
    script = Script(answer())
    Call(awaits=True)(script, credential=LateCredential())
    assert script.requests[0].headers["authorization"] == "Bearer token-1"


def test_awaitable_in_a_sync_client() -> None:
    """A synchronous client can't wait for one, and says which client can."""
    with pytest.raises(TypeError, match="use it with AsyncTaskCountsClient"):
        Call(awaits=False)(Script(answer()), credential=LateCredential())


class SlowCredential(Credential):
    """A slow synchronous credential."""

    def get_token(self, *scopes: str, **kwargs: Any) -> Access:
        time.sleep(0.2)
        return super().get_token(*scopes, **kwargs)


def test_sync_credential_does_not_block_the_loop() -> None:
    """An asynchronous client calls a synchronous credential in a thread, so that other tasks can run."""

    async def both() -> int:
        ticks = 0
        client = Call(awaits=True).client_type(
            ENDPOINT, SlowCredential(), transport=httpx.MockTransport(Script(answer()))
        )
        async with client:
            task = asyncio.create_task(client.get_job_task_counts("job-1"))
            while not task.done():
                await asyncio.sleep(0.01)
                ticks += 1
            await task
        return ticks

    assert asyncio.run(both()) >= 5


@pytest.mark.parametrize(
    "failure",
    [
        ClientAuthenticationError("no\nlogin"),
        CredentialUnavailableError("no identity"),
        PermissionError(13, "Permission denied"),
        TimeoutError("its own"),
        subprocess.TimeoutExpired("az", 10),
        subprocess.CalledProcessError(1, "az"),
        requests.ConnectionError("dns"),
        http.client.IncompleteRead(b""),
        httpx.ConnectError("refused"),
        json.JSONDecodeError("not JSON", "", 0),
    ],
    ids=lambda failure: type(failure).__name__,
)
@with_credentials
def test_credential_that_fails(call: Call, make: Callable[..., Credential], failure: Exception) -> None:
    """An error of the system or of a library becomes the cause of a CredentialFailed; nothing is sent."""
    script = Script(answer())
    with pytest.raises(CredentialFailed) as caught:
        call(script, credential=make(fails=failure))
    assert caught.value.__cause__ is failure
    assert caught.value.attempts == 0
    assert caught.value.job_id == "job-1"
    assert "the credential gave no token" in str(caught.value)
    assert type(failure).__name__ in str(caught.value)
    assert "\n" not in str(caught.value)
    assert script.requests == []


@with_credentials
def test_credential_that_fails_later(call: Call, make: Callable[..., Credential], clock: FakeClock) -> None:
    """A credential that fails after an attempt was sent says that one was."""
    credential = make()

    def then_fail(request: Any) -> Any:
        credential.fails = ClientAuthenticationError("expired")
        return BUSY

    with pytest.raises(CredentialFailed) as caught:
        call(Script(then_fail), credential=credential, client={"clock": clock})
    assert caught.value.attempts == 1
    assert "(1 attempt)" in str(caught.value)


@pytest.mark.parametrize("token", ["two words", "", b"bytes", 5], ids=repr)
@with_credentials
def test_credential_that_gives_nonsense(call: Call, make: Callable[..., Credential], token: Any) -> None:
    """A result that can't be a token never becomes a header."""
    script = Script(answer())
    credential = make(token=token or "\n")
    with pytest.raises(CredentialFailed, match="the token is not a bearer token"):
        call(script, credential=credential)
    assert script.requests == []


@pytest.mark.parametrize(
    "bug", [KeyError("bug"), RuntimeError("bug"), AttributeError("bug"), TypeError("bug")], ids=repr
)
@with_credentials
def test_other_errors_of_a_credential_pass(
    call: Call, make: Callable[..., Credential], bug: Exception
) -> None:
    """An exception that is no failure passes unchanged: bugs stay bugs."""
    with pytest.raises(type(bug)) as caught:
        call(Script(answer()), credential=make(fails=bug))
    assert caught.value is bug


class EndlessCredential(Credential):
    """An asynchronous credential that never comes back."""

    async def get_token(self, *_: str, **__: Any) -> Access:  # type: ignore[override]
        await asyncio.sleep(60)
        raise AssertionError("it was cancelled long before")


def test_slow_credential_runs_into_the_deadline() -> None:
    """An asynchronous credential has no longer than the call has."""
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="the credential gave no token") as caught:
        Call(awaits=True)(Script(answer()), credential=EndlessCredential(), deadline=0.2)
    assert time.monotonic() - started < 0.7
    assert caught.value.attempts == 0


def test_slow_credential(call: Call, clock: FakeClock) -> None:
    """A synchronous credential can't be stopped, but nothing is sent once it has used up the deadline."""

    class Slow(Credential):
        def get_token(self, *scopes: str, **kwargs: Any) -> Access:
            clock.pass_by(10)
            return super().get_token(*scopes, **kwargs)

    script = Script(answer())
    with pytest.raises(DeadlineExceeded, match=r"\(0 attempts\); gave up: the deadline of 5 s"):
        call(script, credential=Slow(), client={"clock": clock}, deadline=5)
    assert script.requests == []


def test_managed_identity(call: Call, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """A real credential of azure-identity asks for the resource with exactly one slash at its end."""
    token = {
        "access_token": TOKEN,
        "expires_on": str(int(time.time()) + 3600),
        "resource": "https://batch.core.windows.net/",
        "token_type": "Bearer",
    }
    identity = serve(always(answer(token)))
    service = serve(always(answer()))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "made-up")
    with ManagedIdentityCredential() as credential:
        call(service.url, credential=credential, client={"allow_token_over_http": True})
    target = identity.requests[0].split(b" ")[1].decode()
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)
    assert query["resource"] == ["https://batch.core.windows.net/"]
    assert header(identity.requests[0], "x-identity-header") == "made-up"
    assert header(service.requests[0], "authorization") == f"Bearer {TOKEN}"


def test_aio_credentials_are_recognised() -> None:
    """A client can tell the credentials of azure.identity.aio: they are coroutine functions."""
    for kind in (aio.ManagedIdentityCredential, aio.AzureCliCredential, aio.DefaultAzureCredential):
        assert inspect.iscoroutinefunction(kind.get_token)


def test_plain_http_is_refused(call: Call) -> None:
    """A token isn't sent over plain http, except to this machine if that is allowed."""
    token = BearerToken(TOKEN)
    for endpoint in (
        "http://batch.example",
        "http://127.0.0.1.example",
        "http://192.168.0.1",
        "http://[::2]",
    ):
        for allow in (False, True):
            with pytest.raises(ValueError, match="a bearer token is not sent over plain http"):
                call.client_type(endpoint, token, allow_token_over_http=allow)
    for endpoint in ("http://127.0.0.1:5000", "http://localhost", "http://[::1]:80", "http://127.8.8.8"):
        with pytest.raises(ValueError, match="allow_token_over_http=True"):
            call.client_type(endpoint, token)
        script = Script(answer())
        call(script, endpoint=endpoint, credential=token, client={"allow_token_over_http": True})
        assert script.requests[0].url.host == httpx.URL(endpoint).host
