"""The admin API over HTTP: its endpoints, and the requests that it refuses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from taskcounts import __version__
from taskcounts_emulator import EmulatedAccount, Emulator, admin, create_app
from taskcounts_emulator.versions import VERSIONS

Ask = Callable[..., httpx.Response]
Manage = Callable[..., tuple[int, Any]]

COUNTS = {
    "taskCounts": {"active": 5, "running": 7, "completed": 4, "succeeded": 2, "failed": 2},
    "taskSlotCounts": {"active": 5, "running": 13, "completed": 10, "succeeded": 2, "failed": 8},
}
JSON = ("content-type", "application/json")


@pytest.fixture
def manage(ask: Ask) -> Manage:
    """Send an admin request, and return the status and the decoded body."""

    def manage(
        method: str, name: str, told: object = None, headers: tuple[tuple[str, str], ...] = (JSON,)
    ) -> tuple[int, Any]:
        body = told if isinstance(told, bytes) else b"" if told is None else json.dumps(told).encode()
        hosts = [] if any(header == "host" for header, _ in headers) else [("host", "127.0.0.1:8080")]
        answer = ask(f"/_emulator/{name}", method, [*hosts, *headers], sign=False, body=body, host=False)
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        return answer.status_code, answer.json()

    return manage


@pytest.fixture
def steer() -> Manage:
    """Send an admin request to an account with a scripted clock, in process."""
    account = EmulatedAccount("myaccount", scripted=True, slots=4, seed=1)
    app = create_app(account)

    def steer(method: str, name: str, told: object = None) -> tuple[int, Any]:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, f"/_emulator/{name}", json=told)

        answer = asyncio.run(ask())
        return answer.status_code, answer.json()

    return steer


def test_health_has_status_account_and_version(manage: Manage) -> None:
    """The response has status, account and version, and never the key."""
    status, told = manage("GET", "health")
    assert (status, set(told)) == (200, {"status", "account", "version", "apiVersions", "clock"})
    assert (told["status"], told["account"]) == ("ok", "myaccount")
    assert (told["version"], told["apiVersions"]) == (__version__, list(VERSIONS))
    assert told["clock"] == manage("GET", "clock")[1] == {"kind": "machine", "now": told["clock"]["now"]}
    assert datetime.fromisoformat(told["clock"]["now"]).utcoffset() is not None


def test_every_address_is_documented_and_answers(manage: Manage) -> None:
    """The table in the module's docstring has exactly the endpoints and methods."""
    documented = set(
        re.findall(r"^(GET|POST|DELETE) +/_emulator/([a-z]+) ", admin.__doc__ or "", re.MULTILINE)
    )
    answered = set()
    for name in sorted({name for _, name in documented}):
        for method in ("GET", "POST", "DELETE", "PUT", "PATCH"):
            status, told = manage(method, name, b"")
            assert status in (200, 400, 405), (method, name, told)
            if status != 405:
                answered.add((method, name))
    assert answered == documented
    assert manage("GET", "nothing")[1]["error"].count(", ") == len({name for _, name in documented}) - 1


def test_a_scripted_clock_moves_only_when_advanced(steer: Manage) -> None:
    """A scripted clock only moves when it is advanced, and tasks run with it."""
    job = {"id": "a", "pool": "render", "tasks": [{"count": 6, "seconds": 10}]}
    assert steer("POST", "scenario", {"jobs": [job]}) == (200, {"added": ["a"]})
    status, clock = steer("GET", "clock")
    assert (status, clock["kind"]) == (200, "scripted")
    before = datetime.fromisoformat(clock["now"])
    counts = []
    for seconds in (0, 9.5, 0.5, 10):
        status, told = steer("POST", "advance", {"seconds": seconds})
        assert (status, set(told)) == (200, {"now"})
        counts.append(steer("GET", "jobs")[1]["jobs"][0]["taskCounts"])
    assert (datetime.fromisoformat(told["now"]) - before).total_seconds() == 20
    assert steer("GET", "clock")[1] == {"kind": "scripted", "now": told["now"]}
    assert [(found["active"], found["running"], found["succeeded"]) for found in counts] == [
        (2, 4, 0),
        (2, 4, 0),
        (0, 2, 4),
        (0, 0, 6),
    ]


def test_the_clock_of_the_machine_is_not_moved(manage: Manage) -> None:
    """Advancing the machine's clock is an error."""
    status, told = manage("POST", "advance", {"seconds": 1})
    assert status == 400
    assert "clock" in told["error"]


def test_a_seed_is_set(steer: Manage) -> None:
    """The same seed has the same effects."""
    pool = {"id": "render", "slots": 8, "failureRate": 0.5}
    job = {"id": "a", "pool": "render", "tasks": [{"count": 20}]}
    seen = []
    for seed in (7, 7, 8):
        steer("POST", "reset")
        assert steer("POST", "seed", {"seed": seed}) == (200, {"seed": seed})
        assert steer("POST", "scenario", {"pools": [pool], "jobs": [job]})[0] == 200
        steer("POST", "advance", {"seconds": 1000})
        seen.append(steer("GET", "jobs")[1])
    assert seen[0] == seen[1] != seen[2]


def test_a_lag_is_set_shown_and_cleared(steer: Manage) -> None:
    """The lag model is shown as it was set, and is empty without a lag."""
    status, none = steer("GET", "lag")
    assert status == 200
    lag = {"delay": 5}
    status, told = steer("POST", "lag", lag)
    assert status == 200, told
    assert steer("GET", "lag") == (200, told)
    assert told != none
    assert steer("POST", "lag", told) == (200, told)
    assert steer("DELETE", "lag") == (200, none)
    assert steer("GET", "lag") == (200, none)
    assert steer("POST", "lag", {"lateness": 5})[0] == 400


def test_the_journal_is_read_in_parts_and_cleared(manage: Manage, ask: Ask) -> None:
    """Requests are listed in order, from a number on; admin requests are not among them."""
    manage("DELETE", "journal")
    for _ in range(2):
        ask()
    ask("/jobs/other/taskcounts?api-version=2024-07-01.20.0")
    ask("/jobs/nightly/nothing")
    status, told = manage("GET", "journal")
    assert status == 200
    assert [entry["status"] for entry in told["entries"]] == [200, 200, 404, 400]
    assert [entry.get("code") for entry in told["entries"]] == [None, None, "JobNotFound", "InvalidUri"]
    assert told["operations"] == {"Job_GetTaskCounts": 3, "none": 1}
    assert told["entries"][0]["headers"]["authorization"] == "SharedKey myaccount:<hidden>"
    first = told["entries"][0]["number"]
    status, part = manage("GET", f"journal?after={first}&limit=2")
    assert (status, part["entries"], part["left"]) == (200, told["entries"][1:3], 1)
    assert manage("GET", "journal?limit=0")[1]["left"] == 4
    assert manage("DELETE", "journal") == (200, {"cleared": 4})
    assert manage("GET", "journal") == (200, {"entries": [], "left": 0, "dropped": 0, "operations": {}})


@pytest.mark.parametrize(
    ("method", "name", "message"),
    [
        ("GET", "journal?after=x", "after: must be a whole number of at most 15 digits, not 'x'"),
        ("GET", "journal?after=-1", "after: must be a whole number of at most 15 digits, not '-1'"),
        ("GET", f"journal?limit={'9' * 16}", "limit: must be a whole number of at most 15 digits, not "),
        ("GET", "journal?limit=", "limit: must be a whole number of at most 15 digits, not ''"),
        ("GET", "journal?since=1", "unknown parameter 'since'; this endpoint takes after, limit, each once"),
        (
            "GET",
            "journal?limit=1&limit=2",
            "unknown parameter 'limit'; this endpoint takes after, limit, each",
        ),
        ("DELETE", "journal?after=1", "unknown parameter 'after'; this endpoint takes none"),
        ("POST", "reset?job=nightly", "unknown parameter 'job'; this endpoint takes none"),
    ],
)
def test_a_parameter_that_means_nothing_is_refused(
    manage: Manage, method: str, name: str, message: str
) -> None:
    """Ignoring it would do more than was asked for."""
    status, told = manage(method, name)
    assert status == 400
    assert told["error"].startswith(message)
    assert len(manage("GET", "jobs")[1]["jobs"]) == 1


def test_everything_is_put_back_as_it_was(steer: Manage) -> None:
    """A snapshot can be restored by its name, any number of times."""
    steer("POST", "scenario", {"jobs": [{"id": "a", "tasks": [{"count": 2}]}]})
    before = steer("GET", "jobs"), steer("GET", "clock")
    assert steer("GET", "snapshots") == (200, {"snapshots": []})
    assert steer("POST", "snapshots", {"name": "first"}) == (200, {"snapshots": ["first"]})
    for _ in range(2):
        steer("POST", "step", {"job": "a", "start": 1})
        steer("POST", "advance", {"seconds": 5})
        assert steer("GET", "jobs") != before[0]
        assert steer("POST", "restore", {"name": "first"}) == (200, {"restored": "first"})
        assert (steer("GET", "jobs"), steer("GET", "clock")) == before
    assert steer("DELETE", "snapshots") == (200, {"dropped": 1})
    assert steer("GET", "snapshots") == (200, {"snapshots": []})
    assert steer("POST", "restore", {"name": "first"})[0] == 400


@pytest.mark.parametrize(
    ("name", "told", "message"),
    [
        ("advance", {}, "advance: the member 'seconds' is missing"),
        ("advance", {"seconds": "1"}, "seconds: must be a number, not '1'"),
        ("advance", {"seconds": -1}, "seconds: must be from 0 to "),
        ("advance", {"second": 1}, "advance: unknown member 'second'; known are seconds"),
        ("advance", [], "advance: must be an object, not an array"),
        ("seed", {}, "seed: the member 'seed' is missing"),
        ("seed", {"seed": 1.5}, "seed: must be a whole number, not 1.5"),
        ("snapshots", {}, "snapshot: the member 'name' is missing"),
        ("snapshots", {"name": 5}, "name: must be a string, not 5"),
        ("restore", {}, "restore: the member 'name' is missing"),
        ("restore", {"name": None}, "name: must be a string, not null"),
        ("restore", {"name": "x"}, ""),
        ("lag", [], "lag: must be an object, not an array"),
    ],
)
def test_a_refused_request_changes_nothing(steer: Manage, name: str, told: object, message: str) -> None:
    """The error is one line that names the member; clock, lag and snapshots are unchanged."""
    before = steer("GET", "clock"), steer("GET", "lag"), steer("GET", "snapshots")
    status, answer = steer("POST", name, told)
    assert status == 400
    assert answer["error"].startswith(message)
    assert "\n" not in answer["error"]
    assert (steer("GET", "clock"), steer("GET", "lag"), steer("GET", "snapshots")) == before


def test_a_scenario_is_added_and_its_jobs_listed(manage: Manage) -> None:
    """Jobs are added to the existing ones, and listed with their true counts."""
    scenario = {"jobs": [{"id": "b"}, {"id": "a", "tasks": [{"count": 2}]}]}
    assert manage("POST", "scenario", scenario) == (200, {"added": ["b", "a"]})
    status, told = manage("GET", "jobs")
    assert status == 200
    assert told["jobs"][0] == {"id": "nightly", **COUNTS}
    assert [job["id"] for job in told["jobs"]] == ["nightly", "b", "a"]
    assert told["jobs"][2]["taskCounts"]["active"] == 2


def test_a_bad_scenario_is_refused_whole(manage: Manage) -> None:
    """The error has a path, and no job is added."""
    scenario = {"jobs": [{"id": "a"}, {"id": "b", "tasks": [{"state": "done"}]}]}
    status, told = manage("POST", "scenario", scenario)
    assert status == 400
    assert told["error"].startswith("jobs[1].tasks[0].state: must be one of")
    assert len(manage("GET", "jobs")[1]["jobs"]) == 1


def test_a_step_moves_tasks_and_returns_the_counts(manage: Manage) -> None:
    """The response has the counts after the step."""
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
    """The error is one line, and the counts are unchanged."""
    assert manage("POST", "step", step) == (status, {"error": message})
    assert manage("GET", "jobs")[1]["jobs"] == [{"id": "nightly", **COUNTS}]


def test_faults_are_set_listed_and_cleared(manage: Manage, ask: Ask) -> None:
    """The list has the fault with the number of requests that it has left."""
    fault = {"kind": "throttled", "times": 2, "retryAfter": "7"}
    assert manage("GET", "faults") == (200, {"faults": []})
    assert manage("POST", "faults", {**fault, "retryAfter": 7}) == (200, {"faults": [fault]})
    assert ask().headers["retry-after"] == "7"
    assert manage("GET", "faults") == (200, {"faults": [{**fault, "times": 1}]})
    assert manage("DELETE", "faults") == (200, {"cleared": 1})
    assert ask().status_code == 200
    assert manage("POST", "faults", {"kind": "x"})[0] == 400


def test_a_reset_forgets_jobs_and_faults(manage: Manage) -> None:
    """After a reset the account is empty; a reset needs no body and no content type."""
    manage("POST", "faults", {"kind": "busy"})
    assert manage("POST", "reset", headers=()) == (200, {"status": "ok"})
    assert manage("GET", "faults") == (200, {"faults": []})
    assert manage("GET", "jobs") == (200, {"jobs": []})


@pytest.mark.parametrize("name", ["", "pools", "health/", "jobs/nightly", "_emulator/health"])
def test_another_address_is_not_found(manage: Manage, name: str) -> None:
    """An unknown path under /_emulator/ is 404, with the known ones."""
    status, told = manage("GET", name)
    assert status == 404
    assert "are health, jobs, scenario, step, clock, advance, seed, lag, faults, journal" in told["error"]


@pytest.mark.parametrize(
    ("method", "name", "allowed"), [("POST", "jobs", "GET"), ("PUT", "faults", "GET, POST, DELETE")]
)
def test_another_method_is_not_allowed(ask: Ask, method: str, name: str, allowed: str) -> None:
    """A wrong method is 405, with the allowed ones."""
    answer = ask(f"/_emulator/{name}", method, sign=False)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.json() == {"error": f"this endpoint accepts only {allowed}"}


@pytest.mark.parametrize(
    "kind", [(), (("content-type", "text/plain"),), (("content-type", "application/jsonx"),)]
)
def test_the_content_type_of_a_body_must_be_json(manage: Manage, kind: tuple[tuple[str, str], ...]) -> None:
    """A form or text, which a web page can send without permission, is refused."""
    status, told = manage("POST", "step", {"job": "nightly", "start": 1}, headers=kind)
    assert (status, told) == (400, {"error": "the Content-Type of the body must be application/json"})


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON ;x=y"])
def test_parameters_of_the_content_type_do_not_matter(manage: Manage, kind: str) -> None:
    """Only the media type is compared, without case."""
    assert manage("POST", "step", {"job": "nightly"}, headers=(("content-type", kind),))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.9.9.9:80", "localhost:8080", "x.localhost", "[::1]:80", "LOCALHOST", "batch:10"],
)
def test_loopback_hosts_are_accepted(host: str, caller: Callable[[Emulator], Ask]) -> None:
    """Loopback names and addresses, and the given hosts, are accepted."""
    with Emulator() as emulator:
        emulator.admin_hosts = frozenset({"batch"})
        answer = caller(emulator)("/_emulator/health", headers=[("host", host)], sign=False, host=False)
        assert answer.status_code == 200


@pytest.mark.parametrize("host", ["", "evil.test", "127.0.0.1.evil.test", "10.0.0.1", "localhost.evil.test"])
def test_other_hosts_are_refused(manage: Manage, host: str) -> None:
    """A page on a name that leads here, as in DNS rebinding, gets no data and changes nothing."""
    status, told = manage("POST", "reset", headers=(("host", host),))
    assert status == 400
    assert "name of this machine" in told["error"]
    assert len(manage("GET", "jobs")[1]["jobs"]) == 1


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:3000", 200), ("https://evil.test", 400), ("null", 400), ("http://[", 400)],
)
def test_a_page_of_another_site_is_turned_away(manage: Manage, origin: str, status: int) -> None:
    """A browser sends the origin of a page with its POST, even without a body."""
    assert manage("POST", "reset", headers=(("origin", origin),))[0] == status


def test_a_body_is_bounded(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is too long is refused."""
    assert admin.MAX_BODY == 64 * 2**20
    monkeypatch.setattr(admin, "MAX_BODY", 2**20)
    assert manage("POST", "scenario", b" " * (2**20 + 1)) == (400, {"error": "the body is longer than 1 MiB"})
    assert manage("POST", "scenario", b'{"jobs": []}' + b" " * (2**20 - 12)) == (200, {"added": []})


def test_a_defect_is_500_and_logged(
    manage: Manage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is 500 and in the log, without a traceback for the caller."""

    def fail(_: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(EmulatedAccount, "all_counts", fail)
    assert manage("GET", "jobs") == (500, {"error": "internal error of the emulator; see its log"})
    assert "inside" in caplog.text


def test_a_caller_that_leaves_is_let_go() -> None:
    """A request that breaks off in its body is not logged as a failure."""
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
        [("host", "[::1")],
    ],
    ids=repr,
)
def test_names_that_can_be_read_in_two_ways_are_refused(ask: Ask, headers: list[tuple[str, str]]) -> None:
    """A host with a user, two hosts, and the browser's mark of a cross-site request are refused."""
    answer = ask("/_emulator/reset", "POST", headers, sign=False, host=False)
    assert answer.status_code == 400


def test_an_address_in_brackets_is_this_machine(ask: Ask) -> None:
    """The loopback address of IPv6 is accepted."""
    assert ask("/_emulator/health", "GET", [("host", "[::1]:80")], sign=False, host=False).status_code == 200
