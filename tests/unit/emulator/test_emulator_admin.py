"""The administration over HTTP: what it does, and whom it turns away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from taskcounts.emulator import EmulatedAccount, Emulator, admin, create_app

Ask = Callable[..., httpx.Response]
Manage = Callable[..., tuple[int, Any]]

COUNTS = {
    "taskCounts": {"active": 5, "running": 7, "completed": 4, "succeeded": 2, "failed": 2},
    "taskSlotCounts": {"active": 5, "running": 13, "completed": 10, "succeeded": 2, "failed": 8},
}
JSON = ("content-type", "application/json")


@pytest.fixture
def manage(ask: Ask) -> Manage:
    """Ask the administration, and return the status and the value that came back."""

    def manage(
        method: str, name: str, told: object = None, headers: tuple[tuple[str, str], ...] = (JSON,)
    ) -> tuple[int, Any]:
        body = told if isinstance(told, bytes) else b"" if told is None else json.dumps(told).encode()
        hosts = [] if any(header == "host" for header, _ in headers) else [("host", "127.0.0.1:8080")]
        answer = ask(f"/_emulator/{name}", method, [*hosts, *headers], sign=False, body=body, host=False)
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        return answer.status_code, answer.json()

    return manage


def test_its_health_is_told(manage: Manage) -> None:
    """A probe learns that the emulator is there, and for which account; never the key."""
    assert manage("GET", "health") == (200, {"status": "ok", "account": "myaccount"})


def test_a_scenario_is_added_and_its_jobs_listed(manage: Manage) -> None:
    """Jobs are added to those that are there, and listed with their true counts."""
    scenario = {"jobs": [{"id": "b"}, {"id": "a", "tasks": [{"count": 2}]}]}
    assert manage("POST", "scenario", scenario) == (200, {"added": ["b", "a"]})
    status, told = manage("GET", "jobs")
    assert status == 200
    assert told["jobs"][0] == {"id": "nightly", **COUNTS}
    assert [job["id"] for job in told["jobs"]] == ["nightly", "b", "a"]
    assert told["jobs"][2]["taskCounts"]["active"] == 2


def test_a_bad_scenario_is_refused_whole(manage: Manage) -> None:
    """An error has its place, and nothing was added."""
    scenario = {"jobs": [{"id": "a"}, {"id": "b", "tasks": [{"state": "done"}]}]}
    status, told = manage("POST", "scenario", scenario)
    assert status == 400
    assert told["error"].startswith("jobs[1].tasks[0].state: must be one of")
    assert len(manage("GET", "jobs")[1]["jobs"]) == 1


def test_a_step_moves_tasks_and_tells_the_counts(manage: Manage) -> None:
    """The counts after a step come back with it."""
    status, told = manage("POST", "step", {"job": "NIGHTLY", "start": 5, "succeed": 1, "fail": 2})
    assert status == 200
    assert told["taskCounts"] == {"active": 0, "running": 9, "completed": 7, "succeeded": 3, "failed": 4}


@pytest.mark.parametrize(
    ("step", "status", "message"),
    [
        ({"job": "nightly", "start": 6}, 400, "job 'nightly': 6 tasks are to start, and 5 are active"),
        ({"job": "nightly", "start": "1"}, 400, "start: must be a whole number, not '1'"),
        (
            {"job": "nightly", "stop": 1},
            400,
            "step: unknown member 'stop'; known are job, start, succeed, fail",
        ),
        ({"job": 5}, 400, "job: must be a string, not 5"),
        ({"start": 1}, 400, "step: the member 'job' is missing"),
        ({"job": "other", "start": 1}, 404, "there is no job 'other'"),
        ({"job": "\ud800"}, 404, r"there is no job '\ud800'"),
        (b"x", 400, "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (None, 400, "not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_a_step_that_cannot_be_made_changes_nothing(
    manage: Manage, step: object, status: int, message: str
) -> None:
    """The error is one line, and the counts are what they were."""
    assert manage("POST", "step", step) == (status, {"error": message})
    assert manage("GET", "jobs")[1]["jobs"] == [{"id": "nightly", **COUNTS}]


def test_faults_are_set_listed_and_cleared(manage: Manage, ask: Ask) -> None:
    """A fault that is set comes back in the list with the calls that it has left."""
    fault = {"kind": "throttled", "times": 2, "retryAfter": "7"}
    assert manage("GET", "faults") == (200, {"faults": []})
    assert manage("POST", "faults", {**fault, "retryAfter": 7}) == (200, {"faults": [fault]})
    assert ask().headers["retry-after"] == "7"
    assert manage("GET", "faults") == (200, {"faults": [{**fault, "times": 1}]})
    assert manage("DELETE", "faults") == (200, {"cleared": 1})
    assert ask().status_code == 200
    assert manage("POST", "faults", {"kind": "x"})[0] == 400


def test_a_reset_forgets_jobs_and_faults(manage: Manage) -> None:
    """After a reset the account is as new; it needs no body, and so no content-type."""
    manage("POST", "faults", {"kind": "busy"})
    assert manage("POST", "reset", headers=()) == (200, {"status": "ok"})
    assert manage("GET", "faults") == (200, {"faults": []})
    assert manage("GET", "jobs") == (200, {"jobs": []})


@pytest.mark.parametrize("name", ["", "pools", "health/", "jobs/nightly", "_emulator/health"])
def test_another_address_is_not_found(manage: Manage, name: str) -> None:
    """What is unknown under /_emulator/ is 404, with what there is."""
    status, told = manage("GET", name)
    assert status == 404
    assert "health, jobs, scenario, step, faults, reset" in told["error"]


@pytest.mark.parametrize(
    ("method", "name", "allowed"), [("POST", "jobs", "GET"), ("PUT", "faults", "GET, POST, DELETE")]
)
def test_another_method_is_not_allowed(ask: Ask, method: str, name: str, allowed: str) -> None:
    """What an address doesn't do is 405, with what it does."""
    answer = ask(f"/_emulator/{name}", method, sign=False)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.json() == {"error": f"this address knows {allowed} alone"}


@pytest.mark.parametrize(
    "kind", [(), (("content-type", "text/plain"),), (("content-type", "application/jsonx"),)]
)
def test_a_body_must_be_said_to_be_json(manage: Manage, kind: tuple[tuple[str, str], ...]) -> None:
    """A form or text that a web page can send unasked is refused."""
    status, told = manage("POST", "step", {"job": "nightly", "start": 1}, headers=kind)
    assert (status, told) == (400, {"error": "the content-type of a body must be application/json"})


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON ;x=y"])
def test_parameters_of_the_content_type_do_not_matter(manage: Manage, kind: str) -> None:
    """Only the media type itself is looked at, in any case."""
    assert manage("POST", "step", {"job": "nightly"}, headers=(("content-type", kind),))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.9.9.9:80", "localhost:8080", "x.localhost", "[::1]:80", "LOCALHOST", "batch:10"],
)
def test_it_answers_under_the_names_of_this_machine(host: str, caller: Callable[[Emulator], Ask]) -> None:
    """Loopback names and addresses, and the hosts that it was told of, are its own."""
    with Emulator() as emulator:
        emulator.service.admin_hosts = frozenset({"batch"})
        answer = caller(emulator)("/_emulator/health", headers=[("host", host)], sign=False, host=False)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "host", ["", "evil.test", "127.0.0.1.evil.test", "10.0.0.1", "[::1", "localhost.evil.test"]
)
def test_it_does_not_answer_under_another_name(manage: Manage, host: str) -> None:
    """A page whose name leads here, as a rebound name does, gets nothing and changes nothing."""
    status, told = manage("POST", "reset", headers=(("host", host),))
    assert status == 400
    assert "name of this machine" in told["error"]
    assert len(manage("GET", "jobs")[1]["jobs"]) == 1


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:3000", 200), ("https://evil.test", 400), ("null", 400), ("http://[", 400)],
)
def test_a_page_of_another_site_is_turned_away(manage: Manage, origin: str, status: int) -> None:
    """A browser names the origin of a page that posts, even without a body."""
    assert manage("POST", "reset", headers=(("origin", origin),))[0] == status


def test_a_body_is_bounded(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is too long is refused."""
    assert admin.MAX_BODY == 64 * 2**20
    monkeypatch.setattr(admin, "MAX_BODY", 2**20)
    assert manage("POST", "scenario", b" " * (2**20 + 1)) == (400, {"error": "a body has at most 1 MiB"})
    assert manage("POST", "scenario", b'{"jobs": []}' + b" " * (2**20 - 12)) == (200, {"added": []})


def test_a_failure_of_the_emulator_is_told(
    manage: Manage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw is 500 and in the log, without a traceback for the caller."""

    def fail(_: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(EmulatedAccount, "all_counts", fail)
    assert manage("GET", "jobs") == (500, {"error": "the emulator failed; its log says how"})
    assert "inside" in caplog.text


def test_a_caller_that_leaves_is_let_go() -> None:
    """A request that breaks off in its body is no failure, and has no answer."""
    messages = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/_emulator/step",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
    }
    asyncio.run(create_app(EmulatedAccount())(scope, receive, send))
    assert sent == []


@pytest.mark.parametrize(
    "headers",
    [
        [("host", "evil.example@127.0.0.1")],
        [("host", "127.0.0.1"), ("host", "evil.example")],
        [("host", "127.0.0.1"), ("sec-fetch-site", "cross-site")],
        [("host", "127.0.0.1/x")],
    ],
    ids=repr,
)
def test_names_that_can_be_read_in_two_ways_are_refused(ask: Ask, headers: list[tuple[str, str]]) -> None:
    """A host with a user, two hosts, or a browser's word that another site asks: all are turned away."""
    answer = ask("/_emulator/reset", "POST", headers, sign=False, host=False)
    assert answer.status_code == 400


def test_an_address_in_brackets_is_this_machine(ask: Ask) -> None:
    """IPv6 has its own loopback address."""
    assert ask("/_emulator/health", "GET", [("host", "[::1]:80")], sign=False, host=False).status_code == 200
