"""Malformed bodies: each breaks the contract as described, for every operation that it fits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskcounts_emulator import responses
from taskcounts_emulator.faults.malformed import OF_NESTED_COUNTS, VARIANTS, WITH_BODY, malformed_body
from taskcounts_emulator.faults.plan import OPERATIONS

ENDPOINT = "https://myaccount.test"
PAGE = f"{ENDPOINT}/jobs/nightly/tasks?api-version=2024-07-01.20.0&$skiptoken=a"

COUNTS = {
    "odata.metadata": f"{ENDPOINT}/$metadata#taskcountsresult/@Element",
    "taskCounts": {"active": 5, "running": 7, "completed": 4, "succeeded": 2, "failed": 2},
    "taskSlotCounts": {"active": 5, "running": 13, "completed": 10, "succeeded": 2, "failed": 8},
}
FLAT = {
    "odata.metadata": f"{ENDPOINT}/$metadata#taskcounts/@Element",
    "active": 5, "running": 7, "completed": 4, "succeeded": 2, "failed": 2,
}  # fmt: skip
JOB = {"id": "nightly", "state": "active", "priority": 0}
TASK = {"id": "a", "state": "completed", "executionInfo": {"exitCode": 0, "result": "success"}}
OTHER = {"id": "b", "state": "active"}

RIGHT: dict[str, dict[str, Any]] = {
    "Job_GetTaskCounts": COUNTS,
    "Job_Get": {"odata.metadata": f"{ENDPOINT}/$metadata#jobs/@Element", **JOB},
    "Task_Get": {"odata.metadata": f"{ENDPOINT}/$metadata#tasks/@Element", **TASK},
    "Job_List": {"odata.metadata": f"{ENDPOINT}/$metadata#jobs", "value": [JOB, {**JOB, "id": "b"}]},
    "Task_List": {
        "odata.metadata": f"{ENDPOINT}/$metadata#tasks",
        "value": [TASK, OTHER],
        "odata.nextLink": f"{ENDPOINT}/jobs/nightly/tasks?api-version=2024-07-01.20.0&$skiptoken=b",
    },
    "Task_AddCollection": {
        "odata.metadata": f"{ENDPOINT}/$metadata#taskaddresult",
        "value": [{"taskId": "a", "status": "success"}],
    },
}
PAIRS = [(variant, operation) for variant, fits in VARIANTS.items() for operation in fits]


def spoiled(variant: str, operation: str, body: dict[str, Any] | None = None) -> Any:
    """Return the value of a malformed body."""
    right = RIGHT[operation] if body is None else body
    return json.loads(malformed_body(variant, operation, responses.json_body(right), PAGE))


def test_every_variant_fits_what_has_a_body() -> None:
    """Responses without a body have no variants; all others have some."""
    assert set(WITH_BODY) == set(RIGHT)
    assert set(WITH_BODY) <= set(OPERATIONS)
    assert {operation for _, operation in PAIRS} == set(WITH_BODY)
    for operation in WITH_BODY:
        assert {"array", "duplicate-member", "not-json", "not-utf8", "empty"} <= {
            variant for variant, fits in PAIRS if fits == operation
        }


@pytest.mark.parametrize(("variant", "operation"), PAIRS)
def test_no_wrong_shape_is_the_right_one(variant: str, operation: str) -> None:
    """A malformed body differs from the right one, and is the same each time."""
    rights = [RIGHT[operation]]
    if "value" in RIGHT[operation]:
        rights.append({**RIGHT[operation], "value": []})
    if operation == "Job_GetTaskCounts" and variant not in OF_NESTED_COUNTS:
        rights += [FLAT, {**FLAT, "validationStatus": "validated"}]
    for right in rights:
        body = responses.json_body(right)
        wrong = malformed_body(variant, operation, body, PAGE)
        assert wrong == malformed_body(variant, operation, body, PAGE)
        assert wrong != body
        if variant == "duplicate-member":
            continue
        try:
            assert json.loads(wrong) != right
        except ValueError:
            assert variant in ("not-json", "not-utf8", "empty")


def test_every_variant_of_an_operation_is_another() -> None:
    """No two variants give the same bytes."""
    for operation in WITH_BODY:
        body = responses.json_body(RIGHT[operation])
        variants = [variant for variant, fits in PAIRS if fits == operation]
        assert len({malformed_body(variant, operation, body, PAGE) for variant in variants}) == len(variants)


@pytest.mark.parametrize("operation", ["Job_Get", "Task_Get"])
def test_a_resource_is_spoiled(operation: str) -> None:
    """A state is missing or unknown; the rest is unchanged."""
    right = RIGHT[operation]
    assert spoiled("missing-member", operation) == {k: v for k, v in right.items() if k != "state"}
    assert spoiled("unknown-state", operation) == {**right, "state": "levitating"}
    without_state = {"odata.metadata": "x", "id": "a"}
    assert spoiled("missing-member", operation, without_state) == {"odata.metadata": "x"}


@pytest.mark.parametrize("operation", ["Job_List", "Task_List"])
def test_a_listing_is_spoiled_in_its_first_item(operation: str) -> None:
    """One item is wrong, and the others are right."""
    first, second = RIGHT[operation]["value"]

    def items(variant: str) -> Any:
        told = spoiled(variant, operation)
        assert {**told, "value": [first, second]} == RIGHT[operation]
        return told["value"]

    assert items("missing-member") == [{k: v for k, v in first.items() if k != "state"}, second]
    assert items("missing-id") == [{k: v for k, v in first.items() if k != "id"}, second]
    assert items("unknown-state") == [{**first, "state": "levitating"}, second]
    assert items("item-not-object") == [first["id"], second]
    assert items("repeated-item") == [first, second, first]
    assert "value" not in spoiled("missing-value", operation)
    assert spoiled("value-not-array", operation)["value"] == {}


@pytest.mark.parametrize(("operation", "made_up"), [("Job_List", "job-1"), ("Task_List", "task-1")])
def test_a_listing_of_nothing_is_spoiled_all_the_same(operation: str, made_up: str) -> None:
    """An empty listing gets an item to be malformed."""
    empty = {"odata.metadata": "x", "value": []}
    item = {"id": made_up, "state": "active"}
    assert spoiled("missing-id", operation, empty)["value"] == [{"state": "active"}]
    assert spoiled("repeated-item", operation, empty)["value"] == [item, item]
    assert spoiled("item-not-object", operation, empty)["value"] == [made_up]


def test_a_completed_task_has_no_result() -> None:
    """A completed task without a result; another task is made completed."""
    assert spoiled("contradiction", "Task_Get")["executionInfo"] == {"exitCode": 0}
    assert spoiled("contradiction", "Task_Get", OTHER) == {
        "id": "b",
        "state": "completed",
        "executionInfo": {},
    }
    assert spoiled("contradiction", "Task_List")["value"] == [
        {"id": "a", "state": "completed", "executionInfo": {"exitCode": 0}},
        OTHER,
    ]


@pytest.mark.parametrize(
    ("operation", "leads"),
    [
        ("Task_List", "/jobs/nightly/tasks?api-version=2024-07-01.20.0&$skiptoken=b"),
        ("Job_List", PAGE.removeprefix(ENDPOINT)),
    ],
)
def test_links_lead_astray(operation: str, leads: str) -> None:
    """The link leads to another origin, or to the same page for ever."""
    assert spoiled("foreign-link", operation)["odata.nextLink"] == f"https://attacker.example{leads}"
    assert spoiled("looping-link", operation)["odata.nextLink"] == PAGE


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("Job_GetTaskCounts", b'"active":5,"active":5,'),
        ("Job_Get", b'"id":"nightly","id":"nightly",'),
        ("Task_Get", b'"id":"a","id":"a",'),
        ("Task_AddCollection", b'],"value":[\r\n'),
    ],
)
def test_a_member_stands_twice(operation: str, member: bytes) -> None:
    """A repeated member with the same value, which lenient readers do not notice."""
    body = responses.json_body(RIGHT[operation])
    wrong = malformed_body("duplicate-member", operation, body)
    assert member in wrong
    assert json.loads(wrong) == RIGHT[operation]


def test_a_member_of_the_protocol_is_doubled_where_there_is_no_other() -> None:
    """A response with only OData annotations repeats one of those."""
    wrong = malformed_body("duplicate-member", "Task_Get", b'{"odata.metadata":"x"}')
    assert wrong.count(b'"odata.metadata":"x"') == 2
    wrong = malformed_body("duplicate-member", "Task_Get", b'{"odata.etag":"x","executionInfo":5}')
    assert wrong.count(b'"executionInfo":5') == 2


@pytest.mark.parametrize("operation", WITH_BODY)
def test_text_is_spoiled(operation: str) -> None:
    """A missing end, a byte that is not UTF-8, an empty body, and an array around it."""
    body = responses.json_body(RIGHT[operation])
    assert malformed_body("not-json", operation, body) == body[:-1]
    assert malformed_body("not-utf8", operation, body).replace(b"\xff", b"", 1) == body
    with pytest.raises(UnicodeDecodeError):
        malformed_body("not-utf8", operation, body).decode()
    assert malformed_body("empty", operation, body) == b""
    assert spoiled("array", operation) == [RIGHT[operation]]
