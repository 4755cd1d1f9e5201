"""Credentials that the service refuses, and the reasons that it gives."""

from __future__ import annotations

import base64
import urllib.parse
from typing import Any

import pytest

from support.answers import REQUEST_ID, Script, answer, error
from support.client import TOKEN, Call
from support.clocks import FakeClock
from taskcounts import AuthenticationFailed, BearerToken, ServiceError

DATE = "AuthenticationErrorDetail"
STANDARD = "Server failed to authenticate the request."
TEXT = f"{STANDARD}\nRequestId:{REQUEST_ID}\nTime:2024-08-01T12:34:56Z"


def refusal(*details: tuple[str, str], status: int = 403, **headers: str) -> Any:
    """Return an answer as the service refuses a credential."""
    values = [{"key": key, "value": value} for key, value in details]
    body = {"code": "AuthenticationFailed", "message": {"value": TEXT}, "values": values}
    return answer(body, status, **headers)


def told(call: Call, reply: Any, **options: Any) -> AuthenticationFailed:
    """Return the error that a refusal ends with."""
    with pytest.raises(AuthenticationFailed) as caught:
        call(Script(reply), client={"clock": FakeClock()}, **options)
    assert caught.value.attempts == 1
    assert str(caught.value).isprintable()
    return caught.value


def trail(text: str) -> str:
    return f"job 'job-1': {text} (1 attempt, request id {REQUEST_ID})"


@pytest.mark.parametrize("status", [401, 403])
def test_the_detail_is_told(call: Call, status: int) -> None:
    """The message has the service's own reason, on one line."""
    detail = "The specified date header\n value is too old."
    fault = told(call, refusal(("Other", "x"), ("AuthenticationErrorDetail", detail), status=status))
    reason = "The specified date header value is too old"
    assert str(fault) == trail(
        f"{status} AuthenticationFailed: Server failed to authenticate the request; {reason}."
    )
    assert fault.details == (("Other", "x"), ("AuthenticationErrorDetail", detail))


def test_nothing_to_tell(call: Call) -> None:
    """Without one the text is the service's message, as it was."""
    assert str(told(call, refusal())) == trail(f"403 AuthenticationFailed: {STANDARD}")


def test_details_of_other_errors(call: Call) -> None:
    """Other errors have no such reason."""
    body = {"code": "X", "message": {"value": "It failed."}, "values": [{"key": DATE, "value": "reason"}]}
    with pytest.raises(ServiceError) as caught:
        call(Script(answer(body, 400, date="Thu, 01 Aug 2030 12:34:56 GMT")))
    assert str(caught.value) == trail("400 X: It failed.")


def test_signatures_are_not_told(call: Call) -> None:
    """The service may show our signature and its own; the message has neither, but the string to sign."""
    own = base64.b64encode(bytes(range(192, 224))).decode()
    seen: list[str] = []

    def refuse(request: Any) -> Any:
        seen.append(request.headers["authorization"].rpartition(":")[2])
        shown = (
            f"The MAC signature '{seen[-1]}' is not '{own}' ({urllib.parse.quote(own, safe='')}). "
            "Server used following string to sign: 'GET\n\n\nocp-date:now\n/myaccount/jobs'."
        )
        return refusal((DATE, shown))

    fault = told(call, refuse)
    assert "string to sign: 'GET ocp-date:now /myaccount/jobs'" in str(fault)
    everything = str(fault) + repr(vars(fault))
    for secret in (*seen, own, urllib.parse.quote(own, safe="")):
        assert secret not in everything


@pytest.mark.parametrize("credential", [None, BearerToken(TOKEN)], ids=["shared-key", "bearer"])
@pytest.mark.parametrize(
    ("date", "off"),
    [
        ("Thu, 01 Aug 2024 11:34:56 GMT", "60 minutes ahead of"),
        ("Thu, 01 Aug 2024 12:40:56 GMT", "6 minutes behind"),
        ("Fri, 02 Aug 2024 12:34:56 GMT", "1,440 minutes behind"),
        ("Thu, 01 Aug 2024 12:39:56 GMT", None),
        ("Thu, 01 Aug 2024 12:29:56 GMT", None),
        ("yesterday", None),
    ],
)
def test_a_clock_that_is_off(call: Call, credential: Any, date: str, off: str | None) -> None:
    """A refusal says by how much our clock is off, if that is more than 5 minutes."""
    options = {} if credential is None else {"credential": credential}
    text = str(told(call, refusal(("AuthenticationErrorDetail", "Too old."), date=date), **options))
    assert ("this machine's clock is" in text) == (off is not None)
    if off is not None:
        assert f"request; Too old; this machine's clock is {off}" in text


def test_a_clock_that_is_off_elsewhere(call: Call) -> None:
    """No other error speaks of clocks."""
    reply = error(404, "JobNotFound", date="Thu, 01 Aug 2030 12:34:56 GMT")
    with pytest.raises(ServiceError) as caught:
        call(Script(reply))
    assert "clock" not in str(caught.value)
