"""A challenge of the service's for certain claims, and the token that answers it."""

from __future__ import annotations

import base64
import threading
import time
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError

from support.answers import BUSY, Script, answer, error
from support.client import ENDPOINT, KEY, Call
from support.clocks import FakeClock
from support.credentials import each_credential, sent
from taskcounts import (
    AuthenticationFailed,
    BearerToken,
    ContractViolation,
    CredentialFailed,
    RetryPolicy,
    ServiceBusy,
    TaskCountsClient,
)
from taskcounts.protocol.answers import read_claims
from taskcounts.tokens import FetchToken, TokenCache

CLAIMS = '{"access_token":{"nbf":{"essential":true, "value":"1604106651"}}}'
ENCODED = base64.b64encode(CLAIMS.encode()).decode()
HEADER = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    f'error="insufficient_claims", claims="{ENCODED}"'
)
CHALLENGE = error(401, "AuthenticationFailed", www_authenticate=HEADER)
ONCE = RetryPolicy(max_attempts=1)


class Access:
    """A token as azure-core hands it over."""

    def __init__(self, token: str, expires_on: float = 9e9) -> None:
        self.token = token
        self.expires_on = expires_on


class Credential:
    """A credential that takes claims, and keeps a record of its calls."""

    def __init__(self, fails: Exception | None = None, expires_on: float = 9e9) -> None:
        self.asked: list[Any] = []
        self.fails = fails
        self.expires_on = expires_on

    def give(self, asked: Any) -> Access:
        self.asked.append(asked)
        if asked and self.fails is not None:
            raise self.fails
        return Access(f"token-{len(self.asked)}", self.expires_on)

    def get_token(self, *_: str, claims: str | None = None, enable_cae: bool = False) -> Any:
        assert not enable_cae
        return self.give(claims)


class KeywordsCredential(Credential):
    """One that takes anything."""

    def get_token(self, *_: str, **more: Any) -> Any:
        return self.give(more.get("claims"))


class InfoCredential(Credential):
    """One of the newer protocol."""

    get_token = None  # type: ignore[assignment]

    def get_token_info(self, *_: str, options: Any = None) -> Any:
        return self.give((options or {}).get("claims"))


class AsyncCredential(Credential):
    """One for coroutines."""

    async def get_token(self, *_: str, claims: str | None = None) -> Any:  # type: ignore[override]
        return self.give(claims)


with_credentials = each_credential(
    [Credential, KeywordsCredential, InfoCredential], [AsyncCredential, Credential]
)


@with_credentials
def test_a_challenge_is_answered(call: Call, kind: Any, clock: FakeClock) -> None:
    """The call goes on at once with a token that has the claims, even under a policy without retries."""
    credential, script = kind(), Script(CHALLENGE, answer())
    first, second = call.times(2, script, credential=credential, client={"clock": clock, "retry": ONCE})
    assert credential.asked == [None, CLAIMS]
    assert sent(script) == ["token-1", "token-2", "token-2"]
    assert (first.attempts, second.attempts) == (2, 1)
    assert clock.pauses == []


def test_a_challenge_is_answered_once(call: Call, clock: FakeClock) -> None:
    """A second challenge is the end; the token that it refuses is forgotten as well."""
    credential, script = Credential(), Script(CHALLENGE)
    with pytest.raises(AuthenticationFailed, match=r"\(2 attempts") as caught:
        call(script, credential=credential, client={"clock": clock})
    assert caught.value.attempts == 2
    assert credential.asked == [None, CLAIMS]
    assert sent(script) == ["token-1", "token-2"]


@with_credentials
@pytest.mark.parametrize("expires_on", [9e9, 0], ids=["kept", "used once"])
def test_a_challenge_takes_no_attempt(call: Call, kind: Any, clock: FakeClock, expires_on: float) -> None:
    """The policy's attempts and pauses are as without it, and all requests after it have the claims."""
    credential = kind(expires_on=expires_on)
    script = Script(BUSY, CHALLENGE, BUSY)
    with pytest.raises(ServiceBusy) as caught:
        call(script, credential=credential, client={"clock": clock, "retry": RetryPolicy(max_attempts=3)})
    assert caught.value.attempts == len(script.requests) == 4
    assert clock.pauses == [0.5, 1.0]
    before = [None] if expires_on else [None, None]
    assert credential.asked == [*before, *[CLAIMS] * (1 if expires_on else 2)]


def test_a_challenge_at_the_deadline(call: Call, clock: FakeClock) -> None:
    """The refusal is the error if no time is left, and says why it stands."""

    class Slow(Credential):
        def give(self, asked: Any) -> Access:
            clock.pass_by(10 if asked else 0)
            return super().give(asked)

    script = Script(CHALLENGE, answer())
    with pytest.raises(AuthenticationFailed, match="gave up: the deadline of 5 s has passed") as caught:
        call(script, credential=Slow(), client={"clock": clock}, deadline=5)
    assert caught.value.attempts == len(script.requests) == 1


@with_credentials
def test_a_credential_that_can_t_answer(call: Call, kind: Any) -> None:
    """If the credential fails to give such a token, its error is the cause, and says for what."""
    failure = ClientAuthenticationError("interaction required")
    script = Script(CHALLENGE, answer())
    with pytest.raises(
        CredentialFailed, match="no token with the claims that the service asks for"
    ) as caught:
        call(script, credential=kind(fails=failure))
    assert caught.value.__cause__ is failure
    assert caught.value.attempts == len(script.requests) == 1


class PositionalCredential(Credential):
    """One that takes a scope and nothing else."""

    def get_token(self, _: str) -> Any:  # type: ignore[override]
        return self.give(None)


class BareInfoCredential(Credential):
    """One of the newer protocol that takes no options."""

    def get_token_info(self, _: str) -> Any:
        return self.give(None)


class BuiltInCredential(Credential):
    """A credential whose method has no readable signature."""

    class Method:
        __signature__ = "none"

        def __init__(self, give: Any) -> None:
            self.give = give

        def __call__(self, _: str) -> Any:
            return self.give(None)

    def __init__(self) -> None:
        super().__init__()
        self.get_token = self.Method(self.give)  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [PositionalCredential, BareInfoCredential, BuiltInCredential])
def test_a_credential_that_takes_no_claims(call: Call, kind: Any) -> None:
    """It works as long as there is no challenge, which is then a refusal as any other."""
    credential, script = kind(), Script(answer(), CHALLENGE)
    assert call(script, credential=credential).attempts == 1
    with pytest.raises(AuthenticationFailed, match=r"\(1 attempt,"):
        call(script, credential=credential)


@pytest.mark.parametrize("credential", [KEY, BearerToken("a.b.c")], ids=["shared-key", "bearer"])
def test_nobody_to_ask(call: Call, credential: Any) -> None:
    """A key or a token of the caller's can't be changed."""
    script = Script(CHALLENGE, answer())
    with pytest.raises(AuthenticationFailed) as caught:
        call(script, credential=credential)
    assert caught.value.attempts == len(script.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(403, "AuthenticationFailed", www_authenticate=HEADER), AuthenticationFailed),
        (error(401, "AuthenticationFailed"), AuthenticationFailed),
        (error(401, "AuthenticationFailed", www_authenticate="Bearer"), AuthenticationFailed),
        (error(401, "X", www_authenticate=HEADER, client_request_id="another-s"), ContractViolation),
    ],
)
def test_what_is_no_challenge(call: Call, reply: Any, kind: type[Exception]) -> None:
    """Any other 401 is final, as in azure-core."""
    credential, script = Credential(), Script(reply, answer())
    with pytest.raises(kind):
        call(script, credential=credential)
    assert credential.asked == [None]
    assert len(script.requests) == 1


def test_threads_answer_a_challenge_once() -> None:
    """Many calls that meet the same challenge share one token that answers it."""
    credential: Any = Credential()
    barrier = threading.Barrier(8)

    def handle(request: httpx.Request) -> httpx.Response:
        reply = answer()
        if request.headers["authorization"] == "Bearer token-1":
            barrier.wait(10)
            reply = CHALLENGE
        response = reply.response()
        response.headers["client-request-id"] = request.headers["client-request-id"]
        return response

    with TaskCountsClient(ENDPOINT, credential, transport=httpx.MockTransport(handle)) as client:
        results = list(client.get_many([f"job-{n}" for n in range(8)], concurrency=8))
    assert [each.snapshot.attempts for each in results if each.snapshot] == [2] * 8
    assert credential.asked == [None, CLAIMS]


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        (HEADER, CLAIMS),
        (HEADER.replace("Bearer", "bearer").replace("error", "ERROR").replace("claims=", "Claims ="), CLAIMS),
        (HEADER.replace(ENCODED, ENCODED.rstrip("=")), CLAIMS),
        (f"Bearer error=insufficient_claims,claims={ENCODED}", CLAIMS),
        (f'Bearer claims="{ENCODED}", error="insufficient_claims"', CLAIMS),
        (f'Basic realm="a, Bearer error=\\"b\\"", {HEADER}', CLAIMS),
        (f'Negotiate abc==, Bearer realm="x", {HEADER}, Basic realm="y"', CLAIMS),
        ('Bearer error="insufficient_claims", claims="eyLDvCI6Ij8-In0"', '{"ü":"?>"}'),
        (HEADER.replace("Bearer", "Basic"), None),
        (HEADER.replace("insufficient_claims", "invalid_token"), None),
        ('Bearer error="insufficient_claims"', None),
        ('Bearer error="insufficient_claims", claims=""', None),
        ('Bearer error="insufficient_claims", claims="/w=="', None),
        ('Bearer error="insufficient_claims", claims="a"', None),
        ('Bearer error="insufficient_claims", claims="ü"', None),
        ('Bearer error="insufficient_claims", Basic claims="e30="', None),
        ("", None),
    ],
)
def test_reading_a_challenge(header: str, claims: str | None) -> None:
    """Claims are read from challenges as in RFC 9110; an unreadable challenge has none."""
    assert read_claims(header) == claims


@pytest.mark.parametrize("piece", ["a", " ", "a ", "a=", 'a="', "a, ", '\\"', "Bearer "])
def test_a_long_challenge(piece: str) -> None:
    """Nothing that a server writes takes long to read."""
    began = time.monotonic()
    assert read_claims(piece * (65536 // len(piece))) is None
    assert time.monotonic() - began < 2


def test_a_source_knows_what_its_token_is_for() -> None:
    """A token without the claims doesn't answer a challenge; one with them does for everything."""
    clock = FakeClock()
    source = TokenCache(Credential())
    plain = source.fetch(FetchToken(source, "scope", None, 2000.0), clock)
    assert source.known(clock.now(), CLAIMS) is None
    claimed = source.fetch(FetchToken(source, "scope", CLAIMS, 2000.0), clock)
    assert plain != claimed
    assert source.known(clock.now(), CLAIMS) is source.known(clock.now(), None) is claimed
