"""Redaction: no signature or token gets into values, errors and logs, nor into a frame of ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from traceback import TracebackException
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import taskcounts
from support.answers import COUNTS, GUID, Reply, Script, answer, error, wire
from support.client import TOKEN, Call
from support.clocks import FakeClock
from taskcounts import BearerToken, ContractViolation, RetryPolicy, ServiceBusy, TaskCountsError
from taskcounts.protocol import answers, messages
from taskcounts.protocol.messages import Answer, Request
from taskcounts.protocol.redact import (
    Secrets,
    escaped_forms,
    redact,
    redact_answer,
    secrets_of,
    unescaped_run,
)
from taskcounts_rest.contract import API_VERSION

PACKAGE = Path(taskcounts.__file__).parent


def told(sent: str) -> Reply:
    """Return counts with a member that holds a text."""
    return answer({**COUNTS, "told": sent})


def signature(request: httpx.Request) -> str:
    """Return the secret of a request."""
    return request.headers["authorization"].rpartition(":")[2]


@pytest.mark.parametrize("spelled", [str, lambda text: quote(text, safe="")], ids=["plain", "percent"])
def test_a_success_that_repeats_the_signature(call: Call, spelled: Any) -> None:
    """A snapshot doesn't have the signature, whatever escapes the server spells it with."""
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
    """The secrets of earlier attempts don't pile up, and have no repr."""
    secrets: Secrets = ()
    for number in range(20):
        secrets = secrets_of(
            Request("GET", "https://x", {"authorization": f"Bearer token-{number:04}"}), secrets
        )
    assert len(secrets) == 4
    assert redact("token-0019 token-0000", secrets) == "<hidden> token-0000"
    assert "token" not in repr(secrets)


def test_an_interruption_shows_no_token(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while an answer is read leaves no token in the local variables of any frame of ours."""

    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(answers, "read_result", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        call(Script(answer()), credential=BearerToken(TOKEN))
    frames = TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    assert len(ours) >= 3
    assert not [frame.name for frame in ours if TOKEN in str(frame.locals)]


@pytest.mark.parametrize("more", ["", "\\\\"], ids=["", "with a backslash"])
@pytest.mark.parametrize("depth", [150, 700, 5000])
def test_what_is_nested_too_deep(call: Call, depth: int, more: str) -> None:
    """A body that others couldn't write again is refused as a whole, at any depth."""
    deep = "[" * depth + "]" * depth
    body = wire(COUNTS).decode()[:-1] + f', "deep": {deep}, "more": "{more}"}}'
    with pytest.raises(ContractViolation, match="nested too deeply"):
        call(Script(answer(body.encode())))


def test_what_is_nested_a_little(call: Call) -> None:
    """Members that the description doesn't name are kept unchanged."""
    deep: Any = {"a": [[{"b": 1}], 2.5]}
    assert call(Script(answer({**COUNTS, "deep": deep}))).additional_properties.to_dict()["deep"] == deep


def test_a_wish_beyond_all_numbers_can_be_told(call: Call, clock: FakeClock) -> None:
    """The Retry-After of an error can be written as JSON."""
    with pytest.raises(TaskCountsError) as caught:
        call(Script(error(429, "TooManyRequests", retry_after="9" * 400)), client={"clock": clock})
    assert isinstance(caught.value, ServiceBusy)
    assert json.dumps(caught.value.retry_after, allow_nan=False)
    assert clock.pauses == []


# What may stand in an Authorization header behind its first word: signatures, tokens, and worse.
kept = st.text("Ab1+/=._~-", min_size=8, max_size=24) | st.text(min_size=8, max_size=24).filter(
    lambda text: " " not in text and ":" not in text
)


def kept_secrets(texts: list[str]) -> Secrets:
    """Return the secrets of attempts that carried these texts."""
    secrets: Secrets = ()
    for text in texts:
        secrets = secrets_of(Request("GET", "https://x", {"authorization": f"Bearer {text}"}), secrets)
    return secrets


def thoroughly(text: str, secrets: Secrets) -> str:
    """Hide each secret in every spelling, without looking whether that is needed."""
    for secret in secrets:
        for spelt in (secret, secret.replace("/", "\\/"), quote(secret, safe="")):
            text = text.replace(spelt, "<hidden>")
    return text


@given(st.data(), st.lists(kept, min_size=1, max_size=4))
@example(None, ["////////"])
@example(None, ["a/b/c/d/e/f/", "Ab1Ab1Ab1+/="])
def test_what_is_looked_for_first(data: st.DataObject | None, texts: list[str]) -> None:
    """Looking for a part of a secret first hides as much as replacing all spellings does."""
    secrets = kept_secrets(texts)
    pieces = [str(spelt) for secret in secrets for spelt in escaped_forms(secret)] + [
        "",
        "x",
        "/",
        "A",
        "%2F",
        "é",
    ]
    drawn: Any = st.lists(st.sampled_from(pieces), max_size=4).map("".join)
    # Without luck: each piece by itself.
    told = [data.draw(drawn) for _ in range(3)] if data else [f"x{piece}x" for piece in pieces]
    for text in told:
        assert redact(text, secrets) == thoroughly(text, secrets)
        for given_answer in (
            Answer(200, {"a": "b", "c": text}, b"{}"),
            Answer(200, {"a": "b"}, text.encode()),
            Answer(200, {}, text.encode()),
        ):
            hidden = redact_answer(given_answer, secrets)
            assert hidden.body.decode() == thoroughly(given_answer.body.decode(), secrets)
            assert hidden.headers == {
                name: thoroughly(value, secrets) for name, value in given_answer.headers.items()
            }


def test_spellings_within_spellings(call: Call) -> None:
    """JSON can spell the percent signs of a secret, too."""

    def spelt(request: httpx.Request) -> Reply:
        # A signature ends with an equals sign, which URLs spell otherwise.
        text = quote(signature(request), safe="")
        return answer(b'{"x": "' + "".join(f"\\u{ord(each):04x}" for each in text).encode() + b'"}')

    script = Script(spelt)
    with pytest.raises(ContractViolation) as caught:
        call(script)
    assert quote(signature(script.requests[0]), safe="") not in json.dumps(vars(caught.value))
    assert caught.value.answer == '{"x": "<hidden>"}'


@given(kept)
def test_a_part_that_all_spellings_have(text: str) -> None:
    """Each spelling of a secret has its mark, which is long enough to be rare, or empty."""
    [secret] = kept_secrets([text])
    assert all(unescaped_run(secret) in spelt for spelt in escaped_forms(secret))
    assert len(unescaped_run(secret)) in (0, 8)
    assert repr(unescaped_run(secret)) == repr(escaped_forms(secret)[1]) == "<hidden>"


def test_an_answer_without_secrets_is_not_copied() -> None:
    """An answer without a secret is returned unchanged."""
    usual = Answer(200, {"content-type": "application/json"}, b"{}")
    assert redact_answer(usual, kept_secrets(["secret-of-mine"])) is usual


def test_a_reply_on_its_way() -> None:
    """The repr of a checked answer shows its job alone: a body may repeat a secret."""
    about = messages.Call("job-1", None, 35.0, 120.0, GUID, API_VERSION)
    checked = messages.CheckedAnswer(
        about, 1, {"repeated": "secretword"}, {}, datetime.now(UTC), strict=False
    )
    assert repr(checked) == "CheckedAnswer('job-1')"
