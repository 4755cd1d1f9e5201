"""Faults: their options, the requests that they apply to, and their number."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.tables import table
from taskcounts_emulator import Emulator, EmulatorError
from taskcounts_emulator.faults.malformed import VARIANTS
from taskcounts_emulator.faults.plan import KINDS, Fault, FaultPlan, make_fault, parse_fault
from taskcounts_emulator.versions import VERSIONS

Ask = Callable[..., httpx.Response]

OF_COUNTS = [variant for variant, fits in VARIANTS.items() if "Job_GetTaskCounts" in fits]

OTHER = "/jobs/other/taskcounts?api-version=2024-07-01.20.0"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("throttled", 429, "TooManyRequests"),
        ("busy", 503, "ServerBusy"),
        ("internal-error", 500, "InternalError"),
    ],
)
def test_the_service_refuses_on_demand(
    emulator: Emulator, ask: Ask, kind: str, status: int, code: str
) -> None:
    """The refusal has the service's form, with Retry-After only if it is given."""
    emulator.fault(kind, times=1)
    answer = ask()
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "retry-after" not in answer.headers
    assert ask().status_code == 200


@pytest.mark.parametrize("kind", ["throttled", "busy"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (30, "30"),
        (0, "0"),
        (1.5, "1.5"),
        (1e6, "1000000"),
        ("Thu, 01 Aug 2024 12:34:56 GMT", "Thu, 01 Aug 2024 12:34:56 GMT"),
        ("soon", "soon"),
        (None, None),
    ],
)
def test_a_pause_is_asked_for(
    emulator: Emulator, ask: Ask, kind: str, given: object, told: str | None
) -> None:
    """Retry-After is a number of seconds, a date, or any text that a service might send."""
    emulator.fault(kind, retry_after=given)
    assert ask().headers.get("retry-after") == told


@pytest.mark.parametrize(
    ("kind", "status", "title"), [("bad-gateway", 502, b"502 Bad Gateway"), ("unknown-status", 520, b">520<")]
)
def test_a_proxy_answers_in_html(emulator: Emulator, ask: Ask, kind: str, status: int, title: bytes) -> None:
    """A proxy's answer is HTML without any header of the service."""
    emulator.fault(kind)
    answer = ask()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html"
    assert "request-id" not in answer.headers
    assert title in answer.content


@pytest.mark.parametrize("variant", OF_COUNTS)
def test_a_wrong_shape_is_never_a_right_one(emulator: Emulator, ask: Ask, variant: str) -> None:
    """Each variant is a 200 of the service whose body cannot be valid counts."""
    emulator.add_job("empty")
    for job_id in ("nightly", "empty"):
        emulator.fault("wrong-shape", times=1, variant=variant)
        answer = ask(f"/jobs/{job_id}/taskcounts?api-version=2024-07-01.20.0")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json;odata=minimalmetadata"
        assert not is_contract(answer.content)
    assert is_contract(ask().content)


def is_contract(content: bytes) -> bool:
    """Return whether a body keeps the contract: two objects of five consistent whole numbers."""

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    try:
        body = json.loads(content.decode(), object_pairs_hook=members)
    except ValueError:
        return False
    return isinstance(body, dict) and all(
        isinstance(body.get(part), dict)
        and all(
            type(body[part].get(name)) is int and 0 <= body[part][name] < 2**31
            for name in ("active", "running", "completed", "succeeded", "failed")
        )
        and body[part]["completed"] == body[part]["succeeded"] + body[part]["failed"]
        for part in ("taskCounts", "taskSlotCounts")
    )


def test_the_wrong_shapes_are_what_they_are_called(emulator: Emulator, ask: Ask) -> None:
    """The flat body, the repeated member, and the incomplete text are what they are called."""
    bodies = {}
    for variant in OF_COUNTS:
        emulator.fault("wrong-shape", times=1, variant=variant)
        bodies[variant] = ask().content
    assert json.loads(bodies["flat"]) == {
        "odata.metadata": "http://myaccount.test/$metadata#taskcounts/@Element",
        "active": 5,
        "running": 7,
        "completed": 4,
        "succeeded": 2,
        "failed": 2,
    }
    assert bodies["duplicate-member"].count(b'"active":5,') == 3
    assert json.loads(bodies["duplicate-member"])["taskCounts"]["active"] == 5
    assert json.loads(bodies["not-json"] + b"}")
    assert json.loads(bodies["float"])["taskCounts"]["active"] == 5.5
    assert json.loads(bodies["negative"])["taskCounts"]["active"] == -6
    assert json.loads(bodies["string-number"])["taskCounts"]["active"] == "5"
    assert math.isnan(json.loads(bodies["not-a-number"])["taskCounts"]["active"])
    assert bodies["empty"] == b""


def test_a_lag_freezes_the_counts(emulator: Emulator, ask: Ask) -> None:
    """Until it is cleared, counts stand still, and a younger job has none."""
    emulator.fault("lag", times=2)
    emulator.step("nightly", start=5)
    emulator.add_job("other", [{"count": 3}])
    assert ask().json()["taskCounts"]["active"] == 5
    assert ask(OTHER).json()["taskCounts"]["active"] == 0
    assert ask().json()["taskCounts"]["active"] == 0
    assert ask(OTHER).json()["taskCounts"]["active"] == 3


@pytest.mark.parametrize("kind", ["lag", "wrong-shape"])
def test_a_job_that_is_not_there_is_not_found_under_a_fault(emulator: Emulator, ask: Ask, kind: str) -> None:
    """A fault does not make an unknown job exist."""
    emulator.fault(kind)
    assert ask(OTHER).status_code == 404


def test_a_fault_meets_its_job_alone(emulator: Emulator, ask: Ask) -> None:
    """A fault of one job applies to it in any spelling, and other jobs use up nothing."""
    emulator.fault("busy", job="NIGHTLY", times=1)
    assert ask(OTHER).status_code == 404
    assert ask().status_code == 503
    assert ask().status_code == 200


def test_faults_have_their_turn_in_order(emulator: Emulator, ask: Ask) -> None:
    """The first matching fault applies alone; the next one follows once that is used up."""
    emulator.fault("throttled", times=2)
    emulator.fault("bad-gateway", times=1)
    emulator.fault("busy", job="other")
    assert [ask().status_code for _ in range(4)] == [429, 429, 502, 200]
    assert [ask(OTHER).status_code for _ in range(2)] == [503, 503]
    assert emulator.clear_faults() == 1
    assert ask(OTHER).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"sign": False},
        {"method": "POST"},
        {"target": "/jobs/nightly/taskcounts"},
        {"headers": [("client-request-id", "x")]},
    ],
)
def test_a_call_that_is_refused_anyway_uses_no_fault_up(
    emulator: Emulator, ask: Ask, wrong: dict[str, object]
) -> None:
    """A fault applies only to an authenticated and valid request."""
    emulator.fault("busy", times=1)
    assert ask(**wrong).status_code in (400, 401, 405)
    assert ask().status_code == 503


def test_a_fault_is_counted_down_once_for_each_call() -> None:
    """Under any number of threads exactly the given number of requests gets the fault."""
    plan = FaultPlan()
    plan.add(make_fault("busy", times=50))
    plan.add(make_fault("throttled", times=50))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            taken = list(
                pool.map(lambda _: plan.take("Job_Get", "j", VERSIONS["2024-07-01.20.0"]), range(500))
            )
    finally:
        sys.setswitchinterval(interval)
    assert Counter(fault and fault.fault.kind for fault in taken) == {
        "busy": 50,
        "throttled": 50,
        None: 400,
    }


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "throttled", "times": 3, "retryAfter": "30"},
        {"kind": "drip", "interval": 0.5, "headersToo": True, "job": "a:job-1"},
        {"kind": "wrong-shape", "variant": "flat"},
        {"kind": "slow", "seconds": 2.0},
        {"kind": "reset"},
        {"kind": "reset", "applied": True, "operation": "Job_Add", "probability": 0.25, "seed": 7},
        {"kind": "wrong-shape", "variant": "foreign-link", "operation": "Job_List"},
        {"kind": "drip", "interval": 0.1, "headersToo": True, "operation": "Task_Delete", "job": "a"},
    ],
)
def test_a_fault_is_written_as_it_was_read(document: dict[str, object]) -> None:
    """Reading and writing a fault are inverse."""
    fault = parse_fault(document)
    assert fault.as_json(fault.times) == document


def test_a_fault_has_defaults() -> None:
    """Without options a fault applies to every job until it is cleared; null counts as absent."""
    assert parse_fault({"kind": "slow"}) == make_fault("slow") == Fault("slow", None, None, seconds=1.0)
    nothing = {"job": None, "times": None, "retryAfter": None, "operation": None, "seed": None}
    assert parse_fault({"kind": "busy", **nothing, "probability": 1}) == Fault("busy")
    assert parse_fault({"kind": "reset", "applied": False}) == Fault("reset")
    assert set(KINDS) == {
        *("throttled", "busy", "internal-error", "bad-gateway", "unknown-status", "reset"),
        *("drip", "truncate", "wrong-shape", "slow", "lag"),
    }


@pytest.mark.parametrize(
    ("document", "message"),
    [
        *table("emulator/faults", "wrong faults"),
        ({"kind": "busy", "retryAfter": math.inf}, "fault.retryAfter: must be a number"),
        ({"kind": "busy", "retryAfter": 10**400}, "fault.retryAfter: must be a number"),
        (
            {"kind": "drip", "interval": math.nan},
            "fault.interval: must be from 0 to 3600, not nan",
        ),
        ({"kind": "busy", "probability": math.nan}, "fault.probability: must be from 0 to 1, not nan"),
    ],
)
def test_an_invalid_fault_is_refused(document: object, message: str) -> None:
    """The error is one line and names the member as in JSON."""
    with pytest.raises(EmulatorError) as caught:
        parse_fault(document)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_errors_of_python_arguments_use_their_names(emulator: Emulator) -> None:
    """An error about a keyword argument names it as in Python."""
    with pytest.raises(EmulatorError, match=r"^fault\.retry_after: must be"):
        emulator.fault("busy", retry_after="\n")
    with pytest.raises(EmulatorError, match=r"^fault\.retryAfter: busy has no such option"):
        emulator.fault("busy", retryAfter=1)
