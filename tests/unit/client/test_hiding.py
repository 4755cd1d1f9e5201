"""No signature and no token gets into what is told of an answer, nor into a frame of ours."""

from __future__ import annotations

import json
from traceback import TracebackException
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from support import COUNTS, TOKEN, Call, FakeClock, Reply, Script, answer, error, wire
from taskcounts import BearerToken, ContractViolation, RetryPolicy, ServiceBusy, TaskCountsError, _answers
from taskcounts._hiding import Secrets, hide, secrets_of
from taskcounts._steps import Request


def told(sent: str) -> Reply:
    """Return counts with a member that holds a text."""
    return answer({**COUNTS, "told": sent})


def signature(request: httpx.Request) -> str:
    """Return what of a request nobody may see."""
    return request.headers["authorization"].rpartition(":")[2]


@pytest.mark.parametrize("spelled", [str, lambda text: quote(text, safe="")], ids=["plain", "percent"])
def test_a_success_that_repeats_the_signature(call: Call, spelled: Any) -> None:
    """However a server spells it, the signature isn't in what is handed on."""
    sent: list[str] = []

    def echo(request: httpx.Request) -> Reply:
        sent.append(spelled(signature(request)))
        return told(f"a {sent[-1]} b")

    snapshot = call(Script(echo))
    assert snapshot.additional_properties["told"] == "a <hidden> b"
    assert sent[0] not in repr(snapshot)


def test_an_answer_that_repeats_an_earlier_signature(call: Call, clock: FakeClock) -> None:
    """Those of earlier attempts are hidden too."""
    seen: list[str] = []

    def earlier(request: httpx.Request) -> Reply:
        seen.append(signature(request))
        clock.pass_by(1)
        return error(503, "ServerBusy", f"after {seen[0]}")

    with pytest.raises(ServiceBusy) as caught:
        call(Script(earlier), client={"clock": clock, "retry": RetryPolicy(max_attempts=3)})
    assert len(set(seen)) == 3
    assert caught.value.message == "after <hidden>"


def test_many_attempts_keep_few_secrets() -> None:
    """What is kept of earlier attempts doesn't grow for ever, and has no repr."""
    secrets: Secrets = ()
    for number in range(20):
        secrets = secrets_of(
            Request("GET", "https://x", {"authorization": f"Bearer token-{number:04}"}), secrets
        )
    assert len(secrets) <= 12
    assert hide("token-0019 token-0000", secrets) == "<hidden> token-0000"
    assert "token" not in repr(secrets)


def test_an_interruption_shows_no_token(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while an answer is read leaves no token in the local variables of any frame of ours."""

    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(_answers, "read_result", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        call(Script(answer()), credential=BearerToken(TOKEN))
    frames = TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if "taskcounts" in frame.filename and "tests" not in frame.filename]
    assert len(ours) >= 3
    assert not [frame.name for frame in ours if TOKEN in str(frame.locals)]


@pytest.mark.parametrize("more", ["", "\\\\"], ids=["", "with a backslash"])
@pytest.mark.parametrize("depth", [150, 700, 5000])
def test_what_is_nested_too_deep(call: Call, depth: int, more: str) -> None:
    """A body that others couldn't write again is refused as a whole, at any depth."""
    deep = "[" * depth + "]" * depth
    body = wire(COUNTS).decode()[:-1] + f', "deep": {deep}, "more": "{more}"}}'
    with pytest.raises(ContractViolation, match="nested too deep"):
        call(Script(answer(body.encode())))


def test_what_is_nested_a_little(call: Call) -> None:
    """Members that nobody has described come as they are."""
    deep: Any = {"a": [[{"b": 1}], 2.5]}
    assert call(Script(answer({**COUNTS, "deep": deep}))).additional_properties["deep"] == deep


def test_a_wish_beyond_all_numbers_can_be_told(call: Call, clock: FakeClock) -> None:
    """What an error says of Retry-After can be written as JSON."""
    with pytest.raises(TaskCountsError) as caught:
        call(Script(error(429, "TooManyRequests", retry_after="9" * 400)), client={"clock": clock})
    assert isinstance(caught.value, ServiceBusy)
    assert json.dumps(caught.value.retry_after, allow_nan=False)
    assert clock.pauses == []
