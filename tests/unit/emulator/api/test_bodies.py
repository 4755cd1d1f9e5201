"""Request bodies: read only if there is one, only up to the limit, and strictly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import sqlite3
import tracemalloc
from collections.abc import Collection, Iterator
from contextlib import closing
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.batch_api import DATE, JSON_TYPE, VERSION, Api, refused, told
from taskcounts.credentials import SharedKey
from taskcounts_emulator import EmulatedAccount, Emulator
from taskcounts_emulator.api.bodies import MAX_BODY
from taskcounts_emulator.api.job_bodies import _JOB, parse_job
from taskcounts_emulator.api.resources import JOB_MEMBERS, JobView, TaskView, task_members
from taskcounts_emulator.api.task_bodies import _TASK, TaskRules, parse_task
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.versions import VERSIONS

BODY = {"id": "job", "poolInfo": {"poolId": "pool"}}
TARGET = f"/jobs?api-version={VERSION}"


def head(api: Api, *headers: str, signed: dict[str, str]) -> bytes:
    """Return the head of a request that adds a job, with signed headers and others."""
    named = {"ocp-date": DATE, "content-type": JSON_TYPE, **signed}
    key = SharedKey(api.emulator.account, api.emulator.key)
    named["authorization"] = key.authorization("POST", TARGET, named)
    lines = [f"{name}: {value}" for name, value in named.items()]
    return "\r\n".join([f"POST {TARGET} HTTP/1.1", "host: x", *lines, *headers, "", ""]).encode()


@pytest.fixture
def connection(api: Api) -> Iterator[socket.socket]:
    """A connection to the emulator."""
    url = urlsplit(api.emulator.endpoint)
    with closing(socket.create_connection((url.hostname, url.port), timeout=10)) as connected:
        yield connected


def status(connection: socket.socket) -> int:
    """Return the status of the next response, after reading all of it."""
    with closing(HTTPResponse(connection, method="POST")) as answer:
        answer.begin()
        answer.read()
        return answer.status


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON: "),
        (b"nonsense", "not JSON: "),
        (b'{"id": "job", "id": "job"}', "not JSON: an object has the member 'id' twice"),
        (b'{"id": NaN}', "not JSON: NaN is no number of JSON"),
        (b'{"id": "\xff"}', "not JSON: "),
        (b"[" * 100_000, "not JSON: nested too deeply"),
        (b'{"priority": ' + b"9" * 5000 + b"}", "not JSON: "),
        (b"[]", "the body is an array, and must be an object"),
        (b"null", "the body is null, and must be an object"),
        (b'"job"', "the body is 'job', and must be an object"),
        (b"", "not JSON: "),
    ],
)
def test_a_body_that_is_no_object_of_json_is_refused(api: Api, body: bytes, reason: str) -> None:
    """The refusal contains the reason."""
    assert refused(api("POST", "/jobs", body), 400, "InvalidRequestBody")["Reason"].startswith(reason)


def test_a_body_may_begin_with_a_mark_of_its_encoding(api: Api) -> None:
    """Some .NET programs write a byte order mark."""
    assert api("POST", "/jobs", b"\xef\xbb\xbf" + json.dumps(BODY).encode()).status_code == 201


@pytest.mark.parametrize("value", ["1e999", "-1e999"])
def test_a_number_that_could_not_be_shown_again_is_refused(api: Api, value: str) -> None:
    """JSON has no infinity, and kept members are written as JSON."""
    body = json.dumps({**BODY, "networkConfiguration": {"subnetId": 0}}).replace(" 0", f" {value}").encode()
    refused(api("POST", "/jobs", body), 400, "InvalidRequestBody")


@pytest.mark.parametrize(("depth", "accepted"), [(45, True), (60, False), (900, False)])
def test_a_deeply_nested_body_is_refused(api: Api, depth: int, accepted: bool) -> None:
    """An accepted body can be shown again; a much deeper one is refused."""
    api.add_job()
    nested: Any = []
    for _ in range(depth):
        nested = [nested]
    answer = api("POST", "/jobs/job/tasks", {"id": "a", "commandLine": "x", "resourceFiles": nested})
    if accepted:
        assert answer.status_code == 201
        assert api.task("a")["resourceFiles"] == nested
        assert told(api("GET", "/jobs/job/tasks"))["value"][0]["resourceFiles"] == nested
    else:
        assert "deep" in refused(answer, 400, "InvalidRequestBody")["Reason"]


def test_many_brackets_need_not_be_deep(api: Api) -> None:
    """Many brackets without depth are accepted, and so are brackets inside strings."""
    api.add_job()
    files = [{"filePath": "[[{{"} for _ in range(100)]
    api.add_task("a", resourceFiles=files)
    assert api.task("a")["resourceFiles"] == files


@pytest.mark.parametrize("kind", ["", "text/plain", "application/jsonp", "text/json; x=application/json"])
def test_the_type_of_a_body_is_json(api: Api, kind: str) -> None:
    """Another content type is refused with the name of the header."""
    details = refused(api("POST", "/jobs", BODY, headers={"content-type": kind}), 400, "InvalidHeaderValue")
    assert (details["HeaderName"], details["HeaderValue"]) == ("content-type", kind)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; odata=minimalmetadata; charset=utf-8",
        "application/json;odata=nometadata",
    ],
)
def test_the_type_of_a_body_may_have_parameters(api: Api, kind: str) -> None:
    """Clients add different parameters to the content type."""
    assert api("POST", "/jobs", BODY, headers={"content-type": kind}).status_code == 201


def test_operations_without_a_body_ignore_one(api: Api) -> None:
    """An unexpected body is ignored, and so is its content type."""
    api.add_job()
    assert api("POST", "/jobs/job/enable", b"{", headers={"content-type": "text/plain"}).status_code == 409
    assert api("GET", "/jobs/job", b"{").status_code == 200


def test_an_optional_body_must_be_valid(api: Api) -> None:
    """An optional body must be valid if it is there."""
    api.add_job()
    refused(api("POST", "/jobs/job/terminate", b"x"), 400, "InvalidRequestBody")
    assert api.job()["state"] == "active"


def test_a_body_needs_a_length(api: Api, connection: socket.socket) -> None:
    """A request with neither length nor chunks is 411."""
    connection.sendall(head(api, signed={}))
    assert status(connection) == 411


def test_a_body_may_come_in_chunks(api: Api, connection: socket.socket) -> None:
    """A chunked body has no length that could be signed."""
    body = json.dumps(BODY).encode()
    connection.sendall(head(api, "transfer-encoding: chunked", signed={}))
    for part in (body[:7], body[7:]):
        connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
    connection.sendall(b"0\r\n\r\n")
    assert status(connection) == 201


def test_the_longest_body_is_taken_and_no_longer_one(api: Api) -> None:
    """A body of the limit is accepted; one byte more is RequestBodyTooLarge, with the limit."""
    body = json.dumps(BODY).encode()
    longest = body + b" " * (MAX_BODY - len(body))
    assert refused(api("POST", "/jobs", longest + b" "), 413, "RequestBodyTooLarge") == {
        "MaxLimit": "1048576"
    }
    assert api("POST", "/jobs", longest).status_code == 201


def test_a_long_body_is_refused_before_it_is_sent(api: Api, connection: socket.socket) -> None:
    """The refusal comes before the body, and also to clients that have sent the body already."""
    for length in (MAX_BODY + 1, 10**15):
        connection.sendall(head(api, signed={"content-length": str(length)}))
        assert status(connection) == 413
        if length > MAX_BODY + 1:
            break
        connection.sendall(b" " * length)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_is_far_too_long_is_neither_kept_nor_cut_off(
    api: Api, connection: socket.socket, chunked: bool
) -> None:
    """A client can send a hundred megabytes, gets its response, and can reuse the connection."""
    part, count = b" " * 2**20, 100
    if chunked:
        connection.sendall(head(api, "transfer-encoding: chunked", signed={}))
    else:
        connection.sendall(head(api, signed={"content-length": str(len(part) * count)}))
    tracemalloc.start()
    try:
        for _ in range(count):
            connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        assert status(connection) == 413
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Both sides are in this process.
    assert peak < 10 * 2**20
    connection.sendall(head(api, signed={"content-length": "2"}) + b"{}")
    assert status(connection) == 400


@pytest.mark.parametrize("begun", [b"", b'{"id": "job", '])
def test_a_disconnect_within_the_body_changes_nothing(
    api: Api, connection: socket.socket, begun: bytes
) -> None:
    """A client that disconnects within its body changes nothing, and the journal has no entry."""
    body = json.dumps(BODY).encode()
    connection.sendall(head(api, signed={"content-length": str(len(body))}) + begun)
    connection.close()
    assert told(api("GET", "/jobs"))["value"] == []
    assert [entry.operation for entry in api.emulator.journal.entries()] == ["Job_List"]


def test_other_refusals_come_before_the_body_is_read(api: Api) -> None:
    """The body of a request that is refused for another reason is not read."""
    refused(api("POST", "/jobs", b"{", version=None), 400, "MissingRequiredQueryParameter")
    refused(api("POST", "/jobs", b"{", timeOut="x"), 400, "InvalidQueryParameterValue")
    refused(api("POST", "/jobs", b"{", headers={"client-request-id": "x"}), 400, "InvalidHeaderValue")


def test_a_body_comes_before_a_fault(api: Api) -> None:
    """A refused request uses up no fault; a request with a fault does nothing."""
    api.emulator.fault("busy", times=1)
    refused(api("POST", "/jobs", b"{"), 400, "InvalidRequestBody")
    refused(api("POST", "/jobs", BODY), 503, "ServerBusy")
    assert api("POST", "/jobs", BODY).status_code == 201


@pytest.mark.parametrize(("applied", "jobs"), [(True, ["job"]), (False, [])])
def test_a_reset_comes_before_or_after_the_work(api: Api, applied: bool, jobs: list[str]) -> None:
    """The client cannot tell, and the operation is performed only if the fault says so."""
    api.emulator.fault("reset", times=1, applied=applied)
    with pytest.raises(httpx.ReadError):
        api("POST", "/jobs", BODY)
    assert [job["id"] for job in told(api("GET", "/jobs"))["value"]] == jobs
    entry = api.emulator.journal.entries()[0]
    assert (entry.operation, entry.fault, entry.status) == ("Job_Add", "reset", None)


def test_every_request_is_in_the_journal(api: Api) -> None:
    """The journal has the operation, the response, and the error code or fault."""
    api("POST", "/jobs", BODY)
    api("POST", "/jobs", BODY)
    api("GET", "/pools")
    api("PUT", "/jobs")
    api.emulator.fault("internal-error", times=1)
    api("GET", "/jobs/job/taskcounts")
    entries = api.emulator.journal.entries()
    assert [(entry.operation, entry.status, entry.code, entry.fault) for entry in entries] == [
        ("Job_Add", 201, None, None),
        ("Job_Add", 409, "JobExists", None),
        (None, 501, "NotImplemented", None),
        (None, 405, "UnsupportedHttpVerb", None),
        ("Job_GetTaskCounts", 500, "InternalError", "internal-error"),
    ]
    assert entries[0].method == "POST"
    assert (entries[0].path, entries[0].query) == ("/jobs", f"api-version={VERSION}")


def test_a_failing_store_is_logged_in_one_line(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk, for example, is an internal error of the service, without a traceback in the log."""
    store = api.emulator.world._store
    store._db.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
    with caplog.at_level(logging.ERROR, "taskcounts_emulator"):
        refused(api("POST", "/jobs", BODY), 500, "InternalError")
    store._db.set_authorizer(None)
    (record,) = caplog.records
    assert record.exc_info is None
    assert "\n" not in record.getMessage()


def test_a_defect_is_logged_with_its_traceback_and_request_id(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is an internal error; the log has the traceback and the request id."""
    api.emulator.world = None  # type: ignore[assignment]
    with caplog.at_level(logging.ERROR, "taskcounts_emulator"):
        answer = api("GET", "/jobs")
    refused(answer, 500, "InternalError")
    assert "Traceback" in caplog.text
    assert answer.headers["request-id"] in caplog.text


def test_a_204_over_http_1_0_has_no_content_length(api: Api, connection: socket.socket) -> None:
    """Over HTTP/1.0, too, a 204 has no Content-Length."""
    api.add_job()
    api.add_task()
    target = f"/jobs/job/tasks/task/terminate?api-version={VERSION}"
    key = SharedKey(api.emulator.account, api.emulator.key)
    named = {"ocp-date": DATE, "content-length": "0"}
    named["authorization"] = key.authorization("POST", target, named)
    lines = [f"{name}: {value}" for name, value in named.items()]
    connection.sendall("\r\n".join([f"POST {target} HTTP/1.0", *lines, "", ""]).encode())
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length" not in answer


def test_a_malformed_list_is_made_from_the_right_one(api: Api) -> None:
    """A malformed body is made from the right one, and only from a 200 with a body."""
    api.add_job()
    api.emulator.fault("wrong-shape", variant="looping-link", times=1)
    page = told(api("GET", "/jobs"))
    assert page["odata.nextLink"] == f"{api.emulator.endpoint}/jobs?api-version={VERSION}"
    api.emulator.fault("wrong-shape", variant="missing-member", times=1)
    refused(api("GET", "/jobs/none"), 404, "JobNotFound")


def test_under_another_server_a_length_is_not_trusted() -> None:
    """In process nobody has validated the length; the body itself counts."""

    async def ask(length: str) -> int:
        with Emulator(slots=1) as emulator:
            body = json.dumps(BODY).encode()
            headers = {"content-length": length, "content-type": "application/json"}
            headers["authorization"] = "Bearer token"
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(emulator.app), base_url="http://x"
            ) as client:
                answer = await client.post(TARGET, content=body, headers=headers)
            return answer.status_code

    assert asyncio.run(ask("x")) == 201
    assert asyncio.run(ask("9" * 5000)) == 413


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["PT1H", "5", "a"]),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
    max_leaves=8,
)


def _some(known: Collection[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return bodies with any values of known members, mostly with valid required ones."""
    right = {"id": "a", "commandLine": "x", "poolInfo": {"poolId": "p"}}
    anything = st.dictionaries(st.sampled_from(sorted(known)), _JSON, max_size=4)
    return st.builds(lambda given: {**right, **given}, anything)


@given(_some(_JOB))
def test_any_job_is_added_or_refused(body: dict[str, Any]) -> None:
    """Any body ends in a Refusal, or in a job that can be stored and shown."""
    with closing(EmulatedAccount()) as account, contextlib.suppress(Refusal):
        known = {name: value for name, value in body.items() if name != "commandLine"}
        row = account.world.add_job(parse_job(known))
        json.dumps(JobView("http://x", JOB_MEMBERS).members(row), allow_nan=False).encode()


@given(_some(_TASK))
def test_any_task_is_added_or_refused(body: dict[str, Any]) -> None:
    """Any body ends in a Refusal, or in a task that can be stored and shown."""
    with closing(EmulatedAccount()) as account:
        account.add_job("job")
        world = account.world
        job, version = world.job("job"), VERSIONS[VERSION]
        known = {name: value for name, value in body.items() if name != "poolInfo"}
        with contextlib.suppress(Refusal):
            (row,) = world.add_tasks("job", [parse_task(known, TaskRules(True, True), version)])
            if not isinstance(row, Refusal):
                json.dumps(
                    TaskView(job, "http://x", task_members(version)).members(row), allow_nan=False
                ).encode()
