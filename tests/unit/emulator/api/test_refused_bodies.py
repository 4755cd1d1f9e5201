"""Bodies that are refused: the refusal names the member, and nothing is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.batch_api import Api, refused, told
from support.tables import table

# The members that make the body of a row complete.
VALID: dict[str, dict[str, Any]] = {
    "POST /jobs": {"id": "new", "poolInfo": {"poolId": "pool"}},
    "PATCH /jobs/job": {"metadata": []},
    "POST /jobs/job/tasks": {"id": "task", "commandLine": "true"},
}
OTHERS = ["POST /jobs/job/disable", "POST /jobs/job/terminate", "POST /jobs/job/addtaskcollection"]

CASES: list[tuple[str, Any, str, str | None]] = [
    (request, body, code, name)
    for request in [*VALID, *OTHERS]
    for body, code, name in table("emulator/refused_bodies", request)
]
ADD_TASK = "POST /jobs/job/tasks"
CODES = [{"name": "TASKCOUNTS_EXIT_CODES", "value": "1," * 1000 + "1"}]
LONG: list[tuple[str, Any, str, str | None]] = [
    (ADD_TASK, {"x" * 200: 1}, "UnsupportedProperty", "xxxxxxxxxxxx...xxxxxxxxxxxxx"),
    (ADD_TASK, {"requiredSlots": "9" * 4000}, "InvalidPropertyValue", "requiredSlots"),
    (ADD_TASK, {"environmentSettings": CODES}, "InvalidPropertyValue", "TASKCOUNTS_EXIT_CODES"),
    (ADD_TASK, {"dependsOn": {"taskIds": ["a" * 64] * 1001}}, "TaskDependencyListTooLong", None),
]


@pytest.mark.parametrize(
    ("request_line", "body", "code", "name"),
    [pytest.param(*case, id=f"{case[0]} {json.dumps(case[1])[:80]} {case[2]}") for case in [*CASES, *LONG]],
)
def test_a_wrong_body_is_refused_with_the_members_name(
    api: Api, request_line: str, body: dict[str, Any], code: str, name: str | None
) -> None:
    """The refusal has the code and the member, with its value and the reason unless it is missing."""
    api.add_job()
    before = told(api("GET", "/jobs")), told(api("GET", "/jobs/job/tasks"))
    method, path = request_line.split()
    details = refused(api(method, path, {**VALID.get(request_line, {}), **body}), 400, code)
    assert details.get("PropertyName") == name
    if code in ("InvalidPropertyValue", "UnsupportedProperty"):
        assert set(details) == {"PropertyName", "PropertyValue", "Reason"}
    assert (told(api("GET", "/jobs")), told(api("GET", "/jobs/job/tasks"))) == before
