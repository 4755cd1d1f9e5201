"""Conditional headers: the conditions for reading or changing a job or task."""

from __future__ import annotations

import pytest

from support.batch_api import Api, refused
from taskcounts_emulator.api.preconditions import precondition
from taskcounts_emulator.refusals import Refusal

ETAG = "0x8DC9960C02F4001"
AT = "Mon, 01 Jul 2024 00:00:00 GMT"
EARLIER, LATER = "Sun, 30 Jun 2024 23:59:59 GMT", "Mon, 01 Jul 2024 00:00:01 GMT"

WRITES = [
    ("PATCH", "/jobs/job", {}),
    ("POST", "/jobs/job/disable", {"disableTasks": "wait"}),
    ("POST", "/jobs/job/enable", None),
    ("POST", "/jobs/job/terminate", None),
    ("DELETE", "/jobs/job", None),
    ("POST", "/jobs/job/tasks/task/terminate", None),
    ("POST", "/jobs/job/tasks/task/reactivate", None),
    ("DELETE", "/jobs/job/tasks/task", None),
]


@pytest.fixture
def with_task(api: Api) -> Api:
    """A client of an emulator with a job and a task, both of 2024-07-01 00:00:00."""
    api.add_job()
    api.add_task()
    return api


@pytest.mark.parametrize("path", ["/jobs/job", "/jobs/job/tasks/task"])
@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("if-match", ETAG, 200),
        ("if-match", f'"{ETAG}"', 200),
        ("if-match", f'W/"{ETAG}"', 200),
        ("if-match", f'"0x1", "{ETAG}"', 200),
        ("if-match", "*", 200),
        ("if-match", "0x1", 412),
        ("if-match", "", 412),
        ("if-none-match", "0x1", 200),
        ("if-none-match", ETAG, 304),
        ("if-none-match", f'"{ETAG}"', 304),
        ("if-none-match", "*", 304),
        ("if-modified-since", EARLIER, 200),
        ("if-modified-since", AT, 304),
        ("if-modified-since", LATER, 304),
        ("if-unmodified-since", EARLIER, 412),
        ("if-unmodified-since", AT, 200),
        ("if-unmodified-since", LATER, 200),
    ],
)
def test_a_resource_is_returned_if_the_condition_holds(
    with_task: Api, path: str, name: str, value: str, status: int
) -> None:
    """Otherwise it is 412, or 304 without a body if the caller's copy is still valid."""
    answer = with_task("GET", path, headers={name: value})
    assert answer.status_code == status
    if status == 412:
        assert refused(answer, 412, "ConditionNotMet") == {}
    if status == 304:
        assert answer.content == b""
        assert not {"content-length", "content-type", "transfer-encoding"} & answer.headers.keys()


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("if-match", "0x1"),
        ("if-none-match", ETAG),
        ("if-none-match", "*"),
        ("if-modified-since", AT),
        ("if-unmodified-since", EARLIER),
    ],
)
def test_nothing_is_changed_unless_the_condition_holds(
    with_task: Api, write: tuple[str, str, object], name: str, value: str
) -> None:
    """Every operation that changes a resource is 412 then, before its state is checked."""
    refused(with_task(*write, headers={name: value}), 412, "ConditionNotMet")
    assert with_task.job()["eTag"] == with_task.task()["eTag"] == ETAG


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("name", "value"), [("if-match", ETAG), ("if-unmodified-since", AT)])
def test_a_resource_is_changed_if_the_condition_holds(
    with_task: Api, write: tuple[str, str, object], name: str, value: str
) -> None:
    """Then only its state decides."""
    answer = with_task(*write, headers={name: value})
    assert answer.status_code < 300 or answer.json()["code"] in (
        "OperationInvalidForCurrentState",
        "TaskNotCompleted",
    )


def test_an_etag_is_new_with_every_change(with_task: Api) -> None:
    """It changes even if the clock stands still, so that one of two writers fails."""
    seen = {with_task.job()["eTag"]}
    for _ in range(3):
        seen.add(with_task("PATCH", "/jobs/job", {"priority": 1}).headers["etag"])
    assert len(seen) == 4
    refused(with_task("PATCH", "/jobs/job", {}, headers={"if-match": f'"{ETAG}"'}), 412, "ConditionNotMet")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": ETAG, "if-unmodified-since": EARLIER}, 200),
        ({"if-match": "0x1", "if-unmodified-since": LATER}, 412),
        ({"if-none-match": ETAG, "if-modified-since": EARLIER}, 304),
        ({"if-none-match": "0x1", "if-modified-since": "nonsense"}, 200),
    ],
)
def test_etags_precede_dates(with_task: Api, headers: dict[str, str], status: int) -> None:
    """Two pairs of headers can be combined, and then the date is ignored."""
    assert with_task("GET", "/jobs/job", headers=headers).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"if-match": ETAG, "if-none-match": "0x1"},
        {"if-match": ETAG, "if-modified-since": AT},
        {"if-none-match": ETAG, "if-unmodified-since": AT},
        {"if-modified-since": AT, "if-unmodified-since": AT},
        {"if-match": ETAG, "if-unmodified-since": AT, "if-none-match": ETAG},
    ],
)
def test_other_combinations_are_refused(with_task: Api, headers: dict[str, str]) -> None:
    """They are 400, whatever their values, as documented."""
    details = refused(
        with_task("GET", "/jobs/job", headers=headers), 400, "MultipleConditionHeadersNotSupported"
    )
    assert set(details["HeaderName"].split(", ")) == set(headers)


@pytest.mark.parametrize("name", ["if-modified-since", "if-unmodified-since"])
def test_an_invalid_date_is_refused(with_task: Api, name: str) -> None:
    """A date must have the form of RFC 1123."""
    details = refused(with_task("GET", "/jobs/job", headers={name: "2024-07-01"}), 400, "InvalidHeaderValue")
    assert details["HeaderName"] == name


def test_other_operations_ignore_conditional_headers(with_task: Api) -> None:
    """Lists, counts and additions ignore conditional headers."""
    for path in ("/jobs", "/jobs/job/tasks", "/jobs/job/taskcounts"):
        assert with_task("GET", path, headers={"if-match": "0x1"}).status_code == 200


def test_a_condition_keeps_no_state() -> None:
    """A check keeps no state between rows."""
    check = precondition({"if-match": "0x1"}, reads=False)
    for _ in range(2):
        with pytest.raises(Refusal):
            check(type("Row", (), {"modified": 5, "number": 0}))


def test_an_etag_does_not_come_back(api: Api) -> None:
    """A task that is deleted and added again at the same time has another ETag."""
    api.add_job()
    api.add_task("a")
    before = api.task("a")["eTag"]
    assert api("DELETE", "/jobs/job/tasks/a").status_code == 200
    api.add_task("a")
    assert api.task("a")["eTag"] != before
    assert api("DELETE", "/jobs/job/tasks/a", headers={"if-match": before}).status_code == 412
