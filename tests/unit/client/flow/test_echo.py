"""Answers to other requests, from caches or of unknown origin: their signs, and the outcome."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.answers import COUNTS, GUID, Script, answer, error
from support.client import Call
from support.servers import Peer, Server, header
from taskcounts import ContractViolation

OTHER = "00000000-0000-0000-0000-000000000000"


def test_echo_of_our_own_id(call: Call) -> None:
    """An answer that repeats our id, in any case and as often as it likes, is ours."""
    for echo in (f" {GUID.upper()} ", f"{GUID}, {GUID}", f"{GUID},{GUID.upper()} , {GUID}"):
        assert call(Script(answer(client_request_id=echo)), client_request_id=GUID).attempts == 1


@pytest.mark.parametrize(
    "echo",
    [
        OTHER,
        "",
        f"{{{GUID}}}",
        f"{GUID}, {OTHER}",
        f"{OTHER}, {GUID}",
        f"{GUID},",
        f"{GUID} {GUID}",
    ],
)
def test_echo_of_another_id(call: Call, echo: str) -> None:
    """An answer that repeats another id answers another question; its counts aren't taken."""
    with pytest.raises(
        ContractViolation, match="it answers another request: its client-request-id isn't ours"
    ):
        call(Script(answer(client_request_id=echo)), client_request_id=GUID)


def test_echo_is_asked_for(call: Call) -> None:
    """Every request asks the service to return its id."""
    script = Script(answer())
    call(script)
    assert script.requests[0].headers["return-client-request-id"] == "true"


@pytest.mark.parametrize("status", [200, 404, 503])
def test_answers_to_others(call: Call, status: int) -> None:
    """An answer that says it belongs to another request isn't believed, whatever it says."""
    reply = (
        error(status, "JobNotFound", client_request_id=GUID)
        if status != 200
        else answer(client_request_id=GUID)
    )
    with pytest.raises(ContractViolation, match="it answers another request") as caught:
        call(Script(reply))
    assert (caught.value.status, caught.value.attempts) == (status, 1)


@pytest.mark.parametrize(
    ("change", "invariant"),
    [({"client_request_id": None}, "echo"), ({"request_id": None}, "request-id"), ({"age": "86400"}, "age")],
)
def test_answers_of_doubtful_origin(call: Call, change: dict[str, Any], invariant: str) -> None:
    """A snapshot reports an answer without a sign that it is ours and fresh; a strict client refuses it."""

    def reply(request: httpx.Request) -> httpx.Response:
        response = answer(client_request_id=request.headers["client-request-id"]).response()
        for name, value in change.items():
            if value is None:
                del response.headers[name.replace("_", "-")]
            else:
                response.headers[name] = value
        return response

    [doubt] = call(reply).inconsistencies
    assert doubt.invariant == invariant
    with pytest.raises(ContractViolation):
        call(reply, client={"strict": True})


def test_an_answer_before_its_question(call: Call, serve: Callable[..., Server]) -> None:
    """Of two answers at once, the second one isn't taken for the answer to the next request."""
    other = {**COUNTS, "taskCounts": {**COUNTS["taskCounts"], "active": 99}}

    def twice(peer: Peer) -> None:
        own = header(peer.head, "client-request-id") or ""
        first = answer(client_request_id=own, connection="keep-alive").raw()
        peer.send(first + answer(other, connection="keep-alive").raw())

    server = serve(twice)
    first, second = call.times(2, server.url)
    assert first.inconsistencies == ()
    assert second.task_counts.active != 99 or second.inconsistencies[0].invariant == "echo"
