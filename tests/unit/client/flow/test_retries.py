"""The outcomes that are retried, and the pauses between the attempts."""

import math
import socket
import ssl
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from support.answers import BUSY, GUID, Script, answer, error
from support.certificates import Authority
from support.client import KEY, Call
from support.clocks import FakeClock, NoPauses
from support.servers import Peer, Server, always
from taskcounts import ContractViolation, RetryPolicy, ServiceBusy, ServiceError, ServiceUnreachable
from taskcounts.retry import RETRYABLE_STATUSES, parse_http_date, retry_after_seconds

NOW = datetime(2024, 8, 1, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_statuses_after_which_to_ask_again(call: Call, clock: FakeClock, status: int) -> None:
    """These statuses pass; so does another attempt after them bring the counts."""
    snapshot = call(Script(error(status, "X"), answer()), client={"clock": clock})
    assert snapshot.attempts == 2
    assert clock.pauses == [0.5]


@pytest.mark.parametrize(
    "status", [201, 204, 302, 304, 400, 401, 403, 404, 405, 409, 412, 449, 499, 501, 505, 520, 599]
)
def test_statuses_after_which_not_to(call: Call, clock: FakeClock, status: int) -> None:
    """After any other status there is one attempt and no pause, whatever Retry-After says."""
    script = Script(error(status, "X", retry_after="1"), answer())
    with pytest.raises(ServiceError) as caught:
        call(script, client={"clock": clock})
    assert len(script.requests) == caught.value.attempts == 1
    assert status not in RETRYABLE_STATUSES
    assert clock.pauses == []


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout(""),
        httpx.ReadError("reset"),
        httpx.ReadTimeout(""),
        httpx.WriteError("broken pipe"),
        httpx.PoolTimeout(""),
        httpx.RemoteProtocolError("no status line"),
        httpx.ProxyError("502"),
        ConnectionResetError("reset"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_errors_after_which_to_ask_again(call: Call, clock: FakeClock, failure: Exception) -> None:
    """Errors of the way there pass; the last one is the cause if they don't."""
    assert call(Script(failure, answer()), client={"clock": clock}).attempts == 2
    with pytest.raises(ServiceUnreachable) as caught:
        call(Script(failure), client={"clock": clock})
    assert caught.value.__cause__ is failure
    assert caught.value.attempts == 4
    assert "no answer from https://myaccount.westeurope.batch.azure.com: " in str(caught.value)


@pytest.mark.parametrize("failure", [httpx.UnsupportedProtocol("x"), httpx.LocalProtocolError("x")], ids=repr)
def test_errors_after_which_not_to(call: Call, clock: FakeClock, failure: Exception) -> None:
    """An error of the request itself is not retried."""
    with pytest.raises(ServiceUnreachable) as caught:
        call(Script(failure), client={"clock": clock})
    assert caught.value.attempts == 1


@pytest.mark.parametrize("bug", [KeyError("bug"), RuntimeError("bug"), ZeroDivisionError()], ids=repr)
def test_bugs_pass_through(call: Call, bug: Exception) -> None:
    """An exception that is no error of the transport passes unchanged."""
    with pytest.raises(type(bug)) as caught:
        call(Script(bug))
    assert caught.value is bug


def test_error_without_words(call: Call, clock: FakeClock) -> None:
    """An error of the transport that says nothing is called by its name."""
    with pytest.raises(ServiceUnreachable, match=r"azure.com: ReadError "):
        call(Script(httpx.ReadError("")), client={"clock": clock})


def test_untrusted_certificate(call: Call, serve: Callable[..., Server], authority: Authority) -> None:
    """A certificate that isn't trusted today isn't trusted a second later: one attempt, and the reason."""
    server = serve(always(answer()), authority.server)
    clock = NoPauses()
    with pytest.raises(
        ServiceUnreachable, match="the certificate is not trusted: unable to get local"
    ) as caught:
        call(server.url, client={"clock": clock})
    assert caught.value.attempts == 1
    assert clock.pauses == []
    assert server.requests == []


def test_certificate_of_another_host(call: Call, serve: Callable[..., Server], authority: Authority) -> None:
    """A certificate for another name isn't trusted either."""
    server = serve(always(answer()), authority.server)
    with pytest.raises(ServiceUnreachable, match="the certificate is not trusted: Hostname mismatch"):
        call(
            server.url.replace("127.0.0.1", "localhost"),
            client={"clock": NoPauses(), "verify": str(authority.certificate)},
        )


def test_tls_error_that_is_no_certificate(call: Call) -> None:
    """A server that speaks no TLS may be mended by the next attempt, as any other broken connection."""

    class Plain(Server):
        """Greets as SSH does, whatever it hears."""

        def _read(self, connection: socket.socket) -> bytes:
            if connection.recv(1):
                connection.sendall(b"SSH-2.0-no\r\n\r\n")
            return b""

    server = Plain(Peer.wait)
    clock = NoPauses()
    with pytest.raises(ServiceUnreachable) as caught:
        call(
            server.url.replace("http:", "https:"),
            client={"clock": clock, "verify": ssl.create_default_context()},
        )
    assert caught.value.attempts == 4
    server.close()


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ({"retry-after": "30"}, 30),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after": "2."}, 2),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 1),
        ({"retry-after-ms": "2500", "retry-after": "1"}, 2.5),
        ({"retry-after": "Thu, 01 Aug 2024 12:35:06 GMT"}, 10),
        ({"retry-after": "Thu, 01 Aug 2024 12:35:06 -0000"}, 10),
        ({"retry-after": "Thu, 01 Aug 2024 12:34:00 GMT"}, 0),
        # The service's own clock is an hour ahead; it asks for five seconds all the same.
        ({"retry-after": "Thu, 01 Aug 2024 13:35:05 GMT", "date": "Thu, 01 Aug 2024 13:35:00 GMT"}, 5),
        ({"retry-after": "Thu, 01 Aug 2024 12:35:06 GMT", "date": "today"}, 10),
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "0x10"}, None),
        ({"retry-after": "٣"}, None),
        # Each may be given several times, and is joined then; the days of dates have commas of their own.
        ({"retry-after": "5, 10"}, 10),
        ({"retry-after": "10,5"}, 10),
        ({"retry-after": "5, soon, -1,"}, 5),
        ({"retry-after": "Thu, 01 Aug 2024 12:35:06 GMT, Thu, 01 Aug 2024 12:35:16 GMT"}, 20),
        ({"retry-after": "Thu, 01 Aug 2024 12:35:06 GMT, 5"}, 10),
        ({"retry-after": "15, Thursday, 01-Aug-24 12:35:06 GMT"}, 15),
        ({"retry-after": "5, THURSDAY, 01-Aug-24 12:35:06 GMT"}, 10),
        ({"retry-after": "Thu Aug  1 12:35:06 2024, 5"}, 10),
        ({"retry-after": "Thu, 99 Aug 2024 12:35:06 GMT, 5"}, 5),
        ({"retry-after-ms": "1500, 2500"}, 2.5),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "30000", "retry-after-ms": "2500", "retry-after": "1"}, 30),
        ({"x-ms-retry-after-ms": "soon", "retry-after": "1"}, 1),
        ({"retry-after": "Thu, 99 Aug 2024 12:35:06 GMT"}, None),
        ({"retry-after-ms": "-1"}, None),
    ],
    ids=str,
)  # fmt: skip
def test_retry_after(wish: dict[str, str], seconds: float | None) -> None:
    """Seconds, dates and milliseconds are read; of two wishes the longer counts; nonsense is none."""
    assert retry_after_seconds(wish, NOW) == seconds


@pytest.mark.parametrize("text", ["", "x", "Thu, 01 Aug", "99999999999999999999"])
def test_dates_that_are_none(text: str) -> None:
    """A text that is no date gives None."""
    assert parse_http_date(text) is None


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry_after": "30"}, 30),
        ({"retry_after": "0.1"}, 0.5),
        ({"retry_after": "soon"}, 0.5),
        ({"retry_after_ms": "700"}, 0.7),
        ({"x_ms_retry_after_ms": "700"}, 0.7),
        ({"retry_after": "3, 7"}, 7),
        ({"retry_after": "Thu, 01 Aug 2024 12:35:06 GMT"}, 10),
    ],
    ids=str,
)
def test_service_wish_is_the_floor(
    call: Call, clock: FakeClock, headers: dict[str, str], pause: float
) -> None:
    """A pause is at least the Retry-After, which isn't cut down to the policy's longest pause."""
    busy = error(429, "TooManyRequests", **headers)
    policy = RetryPolicy(max_pause=1)
    assert call(Script(busy, answer()), client={"clock": clock, "retry": policy}).attempts == 2
    assert clock.pauses == [pause]


@pytest.mark.parametrize(
    "wish", ["121", "3600", "9" * 400, "Thu, 01 Aug 2030 12:35:06 GMT"], ids=lambda w: w[:20]
)
def test_wish_beyond_the_deadline(call: Call, clock: FakeClock, wish: str) -> None:
    """A Retry-After beyond the deadline ends the call at once, without a sleep, and the error says so."""
    script = Script(error(429, "TooManyRequests", retry_after=wish))
    with pytest.raises(
        ServiceBusy, match=r"gave up: the service asks to wait .* s, the deadline leaves 120 s"
    ) as caught:
        call(script, client={"clock": clock})
    assert clock.pauses == []
    assert caught.value.attempts == 1
    assert caught.value.status == 429
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 120


def test_own_pause_beyond_the_deadline(call: Call, clock: FakeClock) -> None:
    """The same with a pause of our own, which is called so."""
    with pytest.raises(ServiceBusy, match=r"the next attempt would wait 0.5 s, the deadline leaves 0.3 s"):
        call(Script(BUSY), client={"clock": clock}, deadline=0.3)
    assert clock.pauses == []


def test_attempts_and_pauses(call: Call) -> None:
    """There are no more attempts than allowed; own pauses double up to the longest; chance shortens them."""
    policy = RetryPolicy(max_attempts=6, first_pause=1, max_pause=5, jitter=0.5)
    for draw, pauses in ((0.0, [1, 2, 4, 5, 5]), (0.5, [0.75, 1.5, 3, 3.75, 3.75])):
        clock, script = FakeClock(draw), Script(BUSY)
        with pytest.raises(
            ServiceBusy, match=r"503 ServerBusy: The server is busy\. \(6 attempts, "
        ) as caught:
            call(script, client={"clock": clock, "retry": policy})
        assert clock.pauses == pauses
        assert len(script.requests) == caught.value.attempts == 6


def test_default_policy_is_what_its_docstring_says() -> None:
    """Without options there are four attempts, half a second apart at first, half of it chance."""
    policy = RetryPolicy()
    assert [policy.pause_after(n, None, 0) for n in range(1, 5)] == [0.5, 1, 2, None]
    assert policy.pause_after(1, None, 0.5) == 0.375
    assert RetryPolicy(max_attempts=10**9).pause_after(10**6, None, 0) == 20


def test_one_attempt(call: Call, clock: FakeClock) -> None:
    """A policy of one attempt never retries."""
    script = Script(BUSY, answer())
    with pytest.raises(ServiceBusy, match=r"\(1 attempt, "):
        call(script, client={"clock": clock, "retry": RetryPolicy(max_attempts=1)})
    assert len(script.requests) == 1
    assert clock.pauses == []


def test_what_attempts_share_and_what_not(call: Call, clock: FakeClock) -> None:
    """All attempts carry the same client-request-id; each has a date and signature of its own."""
    script = Script(BUSY, BUSY, answer())
    retry = RetryPolicy(first_pause=2, jitter=0)
    snapshot = call(script, client={"clock": clock, "retry": retry}, client_request_id=GUID)
    heads = [request.headers for request in script.requests]
    assert {head["client-request-id"] for head in heads} == {GUID} == {snapshot.client_request_id}
    assert [head["ocp-date"][-12:] for head in heads] == ["12:34:56 GMT", "12:34:58 GMT", "12:35:02 GMT"]
    assert len({head["authorization"] for head in heads}) == 3


def test_calls_have_ids_of_their_own(call: Call) -> None:
    """Without one given each call makes up a new client-request-id."""
    script = Script(answer())
    first, second = call.times(2, script)
    assert first.client_request_id != second.client_request_id
    assert uuid.UUID(first.client_request_id).version == 4
    assert script.requests[0].headers["client-request-id"] == first.client_request_id


def test_violations_are_not_asked_again(call: Call, clock: FakeClock) -> None:
    """An answer that is whole and breaks the contract is not retried."""
    with pytest.raises(ContractViolation) as caught:
        call(Script(answer(b"[]"), answer()), client={"clock": clock})
    assert caught.value.attempts == 1
    assert clock.pauses == []


@pytest.mark.parametrize(
    ("options", "error_type", "text"),
    [
        ({"max_attempts": 0}, ValueError, "max_attempts is 0; give 1 or more"),
        ({"max_attempts": True}, TypeError, "max_attempts must be an int, not bool"),
        ({"max_attempts": 1.5}, TypeError, "max_attempts must be an int, not float"),
        ({"first_pause": -1}, ValueError, "first_pause is -1; give 0 or more"),
        ({"first_pause": math.inf}, ValueError, "first_pause is inf; give 0 or more"),
        ({"max_pause": math.nan}, ValueError, "max_pause is nan; give 0 or more"),
        ({"max_pause": "1"}, TypeError, "max_pause must be a number, not str"),
        ({"max_pause": 10**400}, ValueError, "max_pause is 1000"),
        ({"jitter": 1.1}, ValueError, r"jitter is 1.1; give 0 to 1"),
        ({"jitter": False}, TypeError, "jitter must be a number, not bool"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else "",
)  # fmt: skip
def test_policies_that_are_none(options: dict[str, Any], error_type: type[Exception], text: str) -> None:
    """An invalid policy is refused where it is made, with the values that are valid."""
    with pytest.raises(error_type, match=text):
        RetryPolicy(**options)


def test_policy_is_a_value(call: Call) -> None:
    """Policies are equal by their numbers, frozen, and the only kind of `retry`; a typo is refused."""
    assert RetryPolicy(max_attempts=2) == RetryPolicy(max_attempts=2)
    with pytest.raises(AttributeError):
        RetryPolicy().jitter = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        RetryPolicy(attempts=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="retry must be a RetryPolicy, not int"):
        call.client_type("https://a.example", KEY, retry=3)
