"""What differs between api-versions, and what is refused as none, in process and over a socket."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from support.batch_api import Api, refused, told
from taskcounts_emulator import Emulator
from taskcounts_emulator.state.lag import VALIDATED_UP_TO
from taskcounts_emulator.versions import VERSIONS
from taskcounts_rest import contract

Ask = Callable[..., httpx.Response]

VALIDATED = ("2017-06-01.5.1", "2017-09-01.6.0", "2018-03-01.6.1")
FLAT = ("2018-08-01.7.0", "2018-12-01.8.0", "2019-06-01.9.0", "2019-08-01.10.0", "2020-03-01.11.0")
NESTED = (
    "2020-09-01.12.0", "2021-06-01.14.0", "2022-01-01.15.0", "2022-10-01.16.0", "2023-05-01.17.0",
    "2023-11-01.18.0", "2024-02-01.19.0", "2024-07-01.20.0",
)  # fmt: skip
DATED = ("2025-06-01", "2026-10-01")
WITH_SLOTS = (*NESTED, *DATED)

ID = "9C4D50EE-2d56-4cd3-8152-34347dc9f2b0"


def counts_at(version: str) -> str:
    """Return the target of counts at a version."""
    return f"/jobs/nightly/taskcounts?api-version={version}"


def test_the_versions_are_those_that_were_published() -> None:
    """They are in their order, and those of the contract are among them."""
    assert tuple(VERSIONS) == (*VALIDATED, *FLAT, *NESTED, *DATED)
    assert set(contract.VERSIONS) <= set(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_counts_have_the_form_of_their_version(ask: Ask, version: str) -> None:
    """Byte for byte: flat with their validation, flat, or nested beside the task slots."""
    answer = ask(counts_at(version))
    assert answer.status_code == 200
    tasks = '"active":5,"running":7,"completed":4,"succeeded":2,"failed":2'
    head = '{\r\n  "odata.metadata":"http://myaccount.test/$metadata#'
    if version in WITH_SLOTS:
        assert answer.text == (
            f'{head}taskcountsresult/@Element","taskCounts":{{\r\n    {tasks}\r\n  }},"taskSlotCounts":{{'
            '\r\n    "active":5,"running":13,"completed":10,"succeeded":2,"failed":8\r\n  }\r\n}'
        )
    else:
        status = ',"validationStatus":"validated"' if version in VALIDATED else ""
        assert answer.text == f'{head}taskcounts/@Element",{tasks}{status}\r\n}}'


@pytest.mark.parametrize(("most", "status"), [(16, "validated"), (15, "unvalidated")])
def test_counts_of_too_many_tasks_are_unvalidated(
    emulator: Emulator, ask: Ask, monkeypatch: pytest.MonkeyPatch, most: int, status: str
) -> None:
    """The job's true number of tasks decides, whatever is reported."""
    monkeypatch.setattr("taskcounts_emulator.api.operations.VALIDATED_UP_TO", most)
    emulator.set_lag({"delay": 3600})
    emulator.add_job("young", 16)
    body = ask("/jobs/young/taskcounts?api-version=2018-03-01.6.1").json()
    assert (body["active"], body["validationStatus"]) == (0, status)


def test_counts_of_200_000_tasks_are_the_last_that_are_validated() -> None:
    """The published limit."""
    assert VALIDATED_UP_TO == 200_000


@pytest.mark.parametrize("version", VERSIONS)
def test_tasks_have_slots_since_they_are_counted(api: Api, version: str) -> None:
    """Before that, ``requiredSlots`` is not shown, cannot be selected, and is refused in a task."""
    api.add_job()
    api.add_task("wide", requiredSlots=3)
    has_slots = version in WITH_SLOTS

    shown = told(api("GET", "/jobs/job/tasks/wide", version=version))
    (listed,) = told(api("GET", "/jobs/job/tasks", version=version))["value"]
    for members in (shown, listed):
        assert members.get("requiredSlots") == (3 if has_slots else None)
        assert {"id", "url", "state", "commandLine", "constraints", "executionInfo"} <= set(members)

    for path in ("/jobs/job/tasks/wide", "/jobs/job/tasks"):
        answer = api("GET", path, version=version, _select="id,requiredSlots")
        if has_slots:
            assert answer.status_code == 200
        else:
            reason = refused(answer, 400, "InvalidQueryParameterValue")["Reason"]
            assert reason.startswith("unknown member 'requiredSlots'; known are ")
            assert reason.count("requiredSlots") == 1

    task = {"id": "new", "commandLine": "true", "requiredSlots": 2}
    alone = api("POST", "/jobs/job/tasks", task, version=version)
    both = {"value": [{**task, "id": "newer"}, {"id": "plain", "commandLine": "true"}]}
    added = told(api("POST", "/jobs/job/addtaskcollection", both, version=version))["value"]
    if has_slots:
        assert alone.status_code == 201
        assert [each["status"] for each in added] == ["success"] * 2
    else:
        assert refused(alone, 400, "UnsupportedProperty")["PropertyName"] == "requiredSlots"
        assert [each["status"] for each in added] == ["clienterror", "success"]
        assert added[0]["error"]["code"] == "UnsupportedProperty"
        # What was refused is not there.
        assert told(api("GET", "/jobs/job/taskcounts", version=version))["active"] == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_the_links_of_a_list_keep_its_version(api: Api, version: str) -> None:
    """Every page is of the version of the first one."""
    api.add_job()
    for number in range(3):
        api.add_task(f"t{number}")
    pages = list(api.pages("/jobs/job/tasks", version=version, maxresults=2))
    assert [each["id"] for page in pages for each in page["value"]] == ["t0", "t1", "t2"]
    shown = {"requiredSlots" in each for page in pages for each in page["value"]}
    assert shown == {version in WITH_SLOTS}


PATHS = ("/jobs/job/taskcounts", "/jobs/job/tasks", "/jobs")


@pytest.mark.parametrize("version", VERSIONS)
def test_counts_and_lists_are_dated_since_2025(api: Api, version: str) -> None:
    """Jobs and tasks always are; what only adds or refuses never is."""
    api.add_job()
    api.add_task()
    for path in PATHS:
        headers = api("GET", path, version=version).headers
        assert ("etag" in headers, "last-modified" in headers) == (version in DATED,) * 2
    for path in ("/jobs/job", "/jobs/job/tasks/task"):
        assert {"etag", "last-modified"} <= set(api("GET", path, version=version).headers)
    task = {"value": [{"id": "new", "commandLine": "true"}]}
    for answer in (
        api("POST", "/jobs/job/addtaskcollection", task, version=version),
        api("GET", "/jobs/other/taskcounts", version=version),
        api("GET", "/jobs", version=version, maxresults=0),
    ):
        assert not {"etag", "last-modified"} & set(answer.headers)


@pytest.mark.parametrize("path", PATHS)
def test_an_etag_changes_with_the_content_alone(api: Api, path: str) -> None:
    """The same content has the same ETag, and a change gives another, dated no earlier than the change."""

    def version_of() -> tuple[str, Any]:
        answer = api("GET", path, version="2025-06-01")
        assert answer.status_code == 200
        return answer.headers["etag"], parsedate_to_datetime(answer.headers["last-modified"])

    api.add_job()
    first, at = version_of()
    changes: list[Callable[[], object]] = [
        lambda: api.add_task("a"),
        lambda: api.emulator.step("job", start=1),
        lambda: api.emulator.step("job", succeed=1),
        lambda: api.add_job("another"),
    ]
    for change in changes:
        unchanged, later = version_of()
        assert (unchanged, later >= at) == (first, True)
        before = api("GET", path, version="2025-06-01").content
        api.emulator.advance(5)
        change()
        changed, at = version_of()
        assert (changed != first) == (api("GET", path, version="2025-06-01").content != before)
        assert (at - later).total_seconds() == 5
        first = changed
    modified = parsedate_to_datetime(api("GET", "/jobs/job/tasks/a").headers["last-modified"])
    assert modified <= at


TEXT_IDS = (
    "x", "with blanks", "~!@#$%^&*()_+{}|:<>?`-=[];',./\"\\", "a" * 128, "{" + ID + "}", ID.replace("-", ""),
)  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("given", [ID, *TEXT_IDS])
def test_a_client_request_id_has_the_form_of_its_version(ask: Ask, version: str, given: str) -> None:
    """It is a GUID, or since 2025 any text; a valid one comes back as it came, with refusals too."""
    headers = [("client-request-id", given), ("return-client-request-id", "true")]
    valid = given == ID or version in DATED
    answer = ask(counts_at(version), headers=headers)
    if valid:
        assert answer.status_code == 200
    else:
        details = refused(answer, 400, "InvalidHeaderValue")
        assert (details["HeaderName"], details["HeaderValue"]) == ("client-request-id", given)
        assert details["Reason"] == "The value is not a GUID without decoration"
    missing = ask(f"/jobs/other/taskcounts?api-version={version}", headers=headers)
    wrong_key = ask(counts_at(version), headers=[*headers, ("authorization", "SharedKey a:b")], sign=False)
    assert wrong_key.status_code == 403
    for each in (answer, missing, wrong_key):
        assert each.headers.get("client-request-id") == (given if valid else None)


@pytest.mark.parametrize("given", ["", "a" * 129, "é", "a\tb"])
def test_a_client_request_id_is_never_any_text(ask: Ask, given: str) -> None:
    """It has 1 to 128 characters of printable ASCII."""
    headers = [("client-request-id", given), ("return-client-request-id", "true")]
    answer = ask(counts_at("2025-06-01"), headers=headers)
    reason = refused(answer, 400, "InvalidHeaderValue")["Reason"]
    assert reason == "The value is not 1 to 128 printable ASCII characters"
    assert "client-request-id" not in answer.headers


@pytest.mark.parametrize(
    "query", ["api-version=2019", "", f"api-version={'2025-06-01'}&api-version=2025-06-01"]
)
def test_without_a_known_version_a_guid_alone_comes_back(ask: Ask, query: str) -> None:
    """Which other ids are valid is unknown."""
    for given, echoed in ((ID, ID), ("x", None)):
        headers = [("client-request-id", given), ("return-client-request-id", "true")]
        answer = ask(f"/jobs/nightly/taskcounts?{query}", headers=headers)
        assert (answer.status_code, answer.headers.get("client-request-id")) == (400, echoed)


@pytest.mark.parametrize(
    "version",
    [
        "2016-07-01.3.1", "2017-05-01.5.0", "2024-07-01", "2024-07-01.20", "2024-07-01.20.1",
        "2025-06-01.20.0", "2025-06-1", "2026-10-01-preview", "2027-01-01", "latest", "*", "None", "0",
        " 2025-06-01", "2025-06-01 ", "2025-06-01\0", "2025-06-01\r\nx: y", "2025-06-01, 2025-06-01",
        "２０２５-06-01", "2025–06–01", "\ud800", "'; DROP TABLE jobs --", "%", "%zz", "%%32025-06-01",
        "/../", "<b>", "a" * 10_000,
    ],
)  # fmt: skip
def test_any_other_version_is_refused(
    emulator: Emulator, ask: Ask, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    """The refusal repeats the version and names those that are known; nothing is done or logged."""
    query = f"api-version={quote(version, errors='replace')}"
    for method, path in (
        ("GET", "/jobs/nightly/taskcounts"),
        ("GET", "/jobs"),
        ("POST", "/jobs/nightly/tasks"),
    ):
        answer = ask(f"{path}?{query}", method)
        assert refused(answer, 400, "InvalidQueryParameterValue") == {
            "QueryParameterName": "api-version",
            "QueryParameterValue": version.encode(errors="replace").decode(),
            "Reason": f"The versions known here are {', '.join(VERSIONS)}",
        }
        message = answer.json()["message"]["value"]
        assert message.startswith("Value for one of the query parameters")
        assert "x" not in answer.headers
    assert emulator.counts("nightly").tasks.total == 16
    assert not caplog.records


def test_a_refused_version_shows_no_secret(emulator: Emulator, ask: Ask) -> None:
    """Neither the key nor the signature is in the refusal, and the journal hides what looks like a token."""
    answer = ask("/jobs/nightly/taskcounts?api-version=Bearer%20eyJhbGciOiJub25lIn0.e30.c2VjcmV0")
    refused(answer, 400, "InvalidQueryParameterValue")
    (entry,) = emulator.journal.entries()
    assert (entry.status, entry.code) == (400, "InvalidQueryParameterValue")
    assert emulator.key not in answer.text
    assert "c2VjcmV0" not in repr(entry)


@pytest.mark.parametrize("name", ["api-version", "API-VERSION", "Api%2DVersion", "%61pi-version"])
def test_a_version_is_known_however_it_is_spelled(ask: Ask, name: str) -> None:
    """The name is decoded and in any case, and the value is decoded."""
    for value in ("2025-06-01", "%32025%2D06%2d01"):
        assert "etag" in ask(f"/jobs/nightly/taskcounts?{name}={value}").headers


@pytest.mark.parametrize("second", ["api-version=2025-06-01", "API-Version=2018-08-01.7.0", "api-version="])
def test_two_versions_are_refused(ask: Ask, second: str) -> None:
    """Even two that are equal."""
    details = refused(ask(f"{counts_at('2025-06-01')}&{second}"), 400, "InvalidQueryParameterValue")
    assert details["QueryParameterName"] == "api-version"
    assert details["Reason"] == "The parameter is repeated"


@pytest.mark.parametrize("version", [FLAT[-1], VALIDATED[0], DATED[0]])
def test_faults_and_lag_work_at_every_version(emulator: Emulator, ask: Ask, version: str) -> None:
    """Counts break in their own form, and report what they are told to."""

    def numbers() -> dict[str, int]:
        body = ask(counts_at(version)).json()
        found: dict[str, int] = body.get("taskCounts", body)
        return found

    emulator.fault("wrong-shape", variant="contradiction", times=1)
    emulator.fault("wrong-shape", times=1)
    assert numbers()["completed"] == 5
    assert "failed" not in numbers()
    emulator.fault("lag")
    emulator.step("nightly", start=2)
    assert numbers()["active"] == 5
    emulator.clear_faults()
    assert numbers()["active"] == 3
    emulator.set_lag({"swapActiveRunning": True})
    assert numbers()["active"] == 9
    assert [entry.operation for entry in emulator.journal.entries()] == ["Job_GetTaskCounts"] * 5
    assert {entry.query for entry in emulator.journal.entries()} == {f"api-version={version}"}
