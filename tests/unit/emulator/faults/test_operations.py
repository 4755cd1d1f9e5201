"""Faults of one operation and with a probability, and that every operation can fail."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from taskcounts_emulator import Emulator
from taskcounts_emulator.faults.malformed import VARIANTS, WITH_BODY
from taskcounts_emulator.faults.plan import OPERATIONS, Fault, FaultPlan, make_fault
from taskcounts_emulator.versions import VERSIONS, ApiVersion

Ask = Callable[..., httpx.Response]

VERSION = VERSIONS["2024-07-01.20.0"]


def taken(
    plan: FaultPlan, operation: str, job_id: str | None = "j", version: ApiVersion = VERSION
) -> str | None:
    """Return the kind of the fault for a request."""
    found = plan.take(operation, job_id, version)
    return None if found is None else found.fault.kind


def test_a_fault_meets_its_operation_alone() -> None:
    """A fault of one operation does not apply to others, where the next fault applies."""
    plan = FaultPlan()
    plan.add(make_fault("busy", operation="Job_Get", times=1))
    plan.add(make_fault("throttled", operation="Task_List"))
    assert [taken(plan, name) for name in OPERATIONS if name not in ("Job_Get", "Task_List")] == [None] * 14
    assert [taken(plan, "Job_Get") for _ in range(2)] == ["busy", None]
    assert [taken(plan, "Task_List") for _ in range(2)] == ["throttled"] * 2


def test_a_fault_of_a_job_meets_no_call_that_names_none() -> None:
    """A fault of one job does not apply to a list of jobs."""
    plan = FaultPlan()
    plan.add(make_fault("busy", job="J", times=1))
    assert taken(plan, "Job_List", None) is None
    assert taken(plan, "Job_Get", "other") is None
    assert taken(plan, "Task_List", "j") == "busy"


@pytest.mark.parametrize(
    ("fault", "fits"),
    [
        (make_fault("lag"), {"Job_GetTaskCounts"}),
        (make_fault("truncate"), set(WITH_BODY)),
        (make_fault("drip"), set(WITH_BODY)),
        (make_fault("drip", headers_too=True), set(OPERATIONS)),
        (make_fault("wrong-shape", variant="looping-link"), {"Job_List", "Task_List"}),
        (make_fault("wrong-shape"), set(WITH_BODY) - {"Task_AddCollection"}),
        *(
            (make_fault(kind), set(OPERATIONS))
            for kind in ("busy", "throttled", "reset", "slow", "bad-gateway")
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_a_fault_passes_by_what_it_cannot_happen_to(fault: Fault, fits: set[str]) -> None:
    """Requests of other operations are answered normally, and use up nothing."""
    plan = FaultPlan()
    plan.add(fault)
    assert {name for name in OPERATIONS if taken(plan, name) is not None} == fits


@pytest.mark.parametrize("variant", ["missing-slots", "flat"])
def test_a_fault_passes_by_the_versions_that_it_cannot_happen_to(variant: str) -> None:
    """Counts without slots, which are flat, have no slots to lose, and cannot become flat."""
    plan = FaultPlan()
    plan.add(make_fault("wrong-shape", variant=variant, times=1))
    assert taken(plan, "Job_GetTaskCounts", version=VERSIONS["2020-03-01.11.0"]) is None
    assert taken(plan, "Job_GetTaskCounts", version=VERSIONS["2020-09-01.12.0"]) == "wrong-shape"


def drawn(
    probability: float, seed: int | None, calls: int = 200, plan: FaultPlan | None = None
) -> list[bool]:
    """Return which requests got a fault."""
    plan = plan or FaultPlan()
    plan.clear()
    plan.add(make_fault("busy", probability=probability, seed=seed))
    return [taken(plan, "Job_Get") is not None for _ in range(calls)]


def test_a_probability_follows_its_seed() -> None:
    """The same seed gives the same sequence, another seed another one, and no seed a new one each time."""
    assert drawn(0.5, 7) == drawn(0.5, 7)
    assert drawn(0.5, 7) != drawn(0.5, 8)
    assert drawn(0.5, None) != drawn(0.5, None)
    assert drawn(1, 7) == [True] * 200
    assert drawn(1e-12, 7) == [False] * 200
    assert 400 < sum(drawn(0.25, 7, 2000)) < 600


def test_one_seed_may_be_behind_all() -> None:
    """Faults without a seed of their own draw from the plan's, each independently."""
    first, second = FaultPlan(), FaultPlan()
    for plan in (first, second):
        plan.set_seed(3)
    assert drawn(0.5, None, plan=first) == drawn(0.5, None, plan=second)
    assert drawn(0.5, None, plan=first) != drawn(0.5, 7, plan=second)
    for plan in (first, second):
        plan.set_seed(None)
    assert drawn(0.5, None, plan=first) != drawn(0.5, None, plan=second)


def test_other_calls_do_not_change_what_is_drawn() -> None:
    """Only requests that a fault applies to draw: other operations and faults do not change its sequence."""
    plan = FaultPlan()
    plan.add(make_fault("throttled", operation="Job_List", probability=0.5))
    plan.add(make_fault("busy", probability=0.5, seed=7, operation="Job_Get"))
    met = []
    for _ in range(200):
        taken(plan, "Job_List")
        met.append(taken(plan, "Job_Get") is not None)
    assert met == drawn(0.5, 7)


def test_a_call_that_chance_spares_is_not_counted() -> None:
    """``times`` counts requests with the fault, and a spared request can get the next fault."""
    plan = FaultPlan()
    plan.add(make_fault("busy", probability=0.5, seed=7, times=20))
    plan.add(make_fault("throttled", times=10))
    met = Counter(taken(plan, "Job_Get") for _ in range(200))
    assert met == {"busy": 20, "throttled": 10, None: 170}


def test_a_fault_of_one_operation_over_http(emulator: Emulator, ask: Ask) -> None:
    """Requests of another operation are answered normally."""
    emulator.fault("busy", operation="Job_List", times=1)
    emulator.fault("wrong-shape", variant="missing-value", times=1)
    assert ask().status_code == 200
    assert [ask("/jobs?api-version=2024-07-01.20.0").status_code for _ in range(2)] == [503, 200]
    assert ask().status_code == 200


# In an order in which each succeeds, with what an answer says.
CALLS: dict[str, tuple[str, str, object]] = {
    "Job_Add": ("POST", "/jobs", {"id": "other", "poolInfo": {"poolId": "p"}}),
    "Job_List": ("GET", "/jobs", None),
    "Job_Get": ("GET", "/jobs/other", None),
    "Job_Patch": ("PATCH", "/jobs/other", {"priority": 5}),
    "Task_Add": ("POST", "/jobs/other/tasks", {"id": "a", "commandLine": "true"}),
    "Task_AddCollection": (
        "POST",
        "/jobs/other/addtaskcollection",
        {"value": [{"id": "b", "commandLine": "true"}, {"id": "c", "commandLine": "true"}]},
    ),
    "Task_List": ("GET", "/jobs/other/tasks", None),
    "Task_Get": ("GET", "/jobs/other/tasks/a", None),
    "Job_GetTaskCounts": ("GET", "/jobs/other/taskcounts", None),
    "Task_Terminate": ("POST", "/jobs/other/tasks/a/terminate", None),
    "Task_Reactivate": ("POST", "/jobs/other/tasks/a/reactivate", None),
    "Task_Delete": ("DELETE", "/jobs/other/tasks/a", None),
    "Job_Disable": ("POST", "/jobs/other/disable", {"disableTasks": "wait"}),
    "Job_Enable": ("POST", "/jobs/other/enable", None),
    "Job_Terminate": ("POST", "/jobs/other/terminate", None),
    "Job_Delete": ("DELETE", "/jobs/other", None),
}


@pytest.fixture
def call(ask: Ask) -> Ask:
    """Perform an operation successfully."""

    def call(operation: str) -> httpx.Response:
        method, path, body = CALLS[operation]
        headers = [("authorization", "Bearer token"), ("content-type", "application/json")]
        target = f"{path}?api-version=2024-07-01.20.0"
        sent = b"" if body is None else json.dumps(body).encode()
        return ask(target, method, headers[: 1 if body is None else 2], sign=False, body=sent)

    return call


def test_the_operations_are_those_that_are_answered(emulator: Emulator, call: Ask) -> None:
    """Each succeeds, is recorded under the name that faults use, and has a body if they say so."""
    assert set(CALLS) == set(OPERATIONS)
    emulator.journal.clear()
    for operation in CALLS:
        answer = call(operation)
        assert answer.is_success, (operation, answer.text)
        assert (answer.content != b"") == (operation in WITH_BODY)
    assert emulator.journal.operations() == dict.fromkeys(sorted(OPERATIONS), 1)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_any_operation_can_go_wrong(emulator: Emulator, call: Ask, operation: str) -> None:
    """By an error response or a broken connection; a refused operation can be performed afterwards."""
    for before in CALLS:
        if before == operation:
            break
        call(before)
    emulator.fault("busy", operation=operation, times=1)
    emulator.fault("reset", operation=operation, times=1)
    assert call(operation).status_code == 503
    with pytest.raises((ConnectionResetError, httpx.ReadError)):
        call(operation)
    assert call(operation).is_success


@pytest.mark.parametrize(
    ("operation", "variant"),
    [(operation, variant) for variant, fits in VARIANTS.items() for operation in fits],
)
def test_any_answer_can_be_of_a_wrong_shape(
    emulator: Emulator, call: Ask, operation: str, variant: str
) -> None:
    """The response is a 200 of the service, of which only the body is wrong."""
    for before in CALLS:
        if before == operation:
            break
        call(before)
    emulator.fault("wrong-shape", variant=variant, times=1)
    wrong = call(operation)
    right = call(operation)
    assert (wrong.status_code, right.status_code) == (200, 200)
    assert wrong.content != right.content
    assert wrong.headers["content-type"] == right.headers["content-type"]
    assert wrong.headers.get("etag") == right.headers.get("etag")


def test_a_looping_link_leads_to_itself(emulator: Emulator, ask: Ask) -> None:
    """The link of the malformed page is the URL of that page, as it was requested."""
    emulator.fault("wrong-shape", variant="looping-link", operation="Task_List")
    target = "/jobs/nightly/tasks?maxresults=2&api-version=2024-07-01.20.0&%24select=id"
    assert ask(target).json()["odata.nextLink"] == f"http://myaccount.test{target}"


@pytest.mark.parametrize(("applied", "status"), [(True, 404), (False, 200)])
def test_a_reset_may_come_after_the_deed(emulator: Emulator, ask: Ask, *, applied: bool, status: int) -> None:
    """A client of a broken connection cannot know whether its request took effect, and both happen."""
    emulator.fault("reset", times=1, applied=applied, operation="Task_Delete")
    target = "/jobs/nightly/tasks/task-1?api-version=2024-07-01.20.0"
    with pytest.raises((ConnectionResetError, httpx.ReadError)):
        ask(target, "DELETE")
    assert ask(target).status_code == status
