"""What is held against the reference: filters as they are understood, and jobs that prove little."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

import pytest

from contract.checks import EVERY_ANSWER, in_form
from contract.emulated import make_emulator, make_target
from contract.filters import filter_of
from contract.probes import PROBES
from contract.reference import AGREEMENTS, weaknesses
from contract.target import Asked, Target
from taskcounts_emulator import Emulator
from taskcounts_rest import contract

ACTIVE = {"id": "a", "state": "active"}
RUNNING = {"id": "r", "state": "Running", "executionInfo": {"retryCount": 0, "requeueCount": 0}}
SUCCEEDED = {"id": "s", "state": "completed", "executionInfo": {"result": "Success"}}
FAILED = {"id": "f", "state": "completed", "executionInfo": {"result": "failure"}}
UNSELECTED = {"id": "u", "state": "completed"}


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ("state eq 'running'", (False, True, False, False, False)),
        ("state eq 'active' or state eq 'running'", (True, True, False, False, False)),
        ("state eq 'active' or executionInfo/result eq 'failure'", (True, False, False, True, None)),
        ("executionInfo/result eq 'success'", (False, False, True, False, None)),
        # Whether a task without a result differs from one that succeeded, nobody says.
        ("executionInfo/result ne 'success'", (None, None, False, True, None)),
        ("state eq 'completed' and executionInfo/result ne 'success'", (False, False, False, True, None)),
    ],
)
def test_filters_of_tasks(text: str, fitting: tuple[bool | None, ...]) -> None:
    """A filter's terms are joined as its words say, and what nobody says isn't judged."""
    fits = filter_of(Asked("GET", f"/jobs/j/tasks?$filter={quote(text)}", {}, ""))
    assert fits is not None
    assert tuple(fits(item) for item in (ACTIVE, RUNNING, SUCCEEDED, FAILED, UNSELECTED)) == fitting


@pytest.mark.parametrize(
    ("text", "fits_job"),
    [
        ("state eq 'active'", True),
        ("state ne 'active'", False),
        ("startswith(id,'NIGHT')", True),
        ("startswith(id,'nightly-x')", False),
        ("state eq 'sleeping'", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_filters_of_jobs(text: str, fits_job: bool | None) -> None:
    """Ids and states compare without case; a filter that the fragment doesn't have is no filter."""
    fits = filter_of(Asked("GET", f"/jobs?$filter={quote(text)}", {}, ""))
    assert (fits and fits({"id": "nightly", "state": "Active"})) is fits_job


@pytest.mark.parametrize(
    ("schema", "text", "right"),
    [
        ({"type": "string", "format": "date-time-rfc1123"}, "Thu, 01 Aug 2024 12:34:56 GMT", True),
        ({"type": "string", "format": "date-time-rfc1123"}, "Fri, 01 Aug 2024 12:34:56 GMT", False),
        ({"type": "string", "format": "date-time-rfc1123"}, "2024-08-01T12:34:56Z", False),
        ({"type": "string", "format": "uuid"}, "9C4D50EE-2D56-4CD3-8152-34347DC9F2B0", True),
        ({"type": "string", "format": "uuid"}, "{9C4D50EE-2D56-4CD3-8152-34347DC9F2B0}", False),
        ({"type": "string", "minLength": 1}, "", False),
        ({"type": "string", "pattern": "^a$"}, "a", True),
        ({"type": "string", "pattern": "^a$"}, "a\n", False),
        ({"type": "boolean"}, "True", True),
        ({"type": "boolean"}, "1", False),
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "1000", True),
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "1001", False),
        ({"type": "integer", "minimum": 1}, "1.5", False),
    ],
)
def test_forms(schema: dict[str, Any], text: str, right: bool) -> None:
    """The text of a parameter or header is judged by its schema."""
    assert in_form(schema, text) is right


ODD_JOBS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "empty": ([], "has no tasks:"),
    "one": ([{"state": "active"}], "less than three tasks"),
    "succeeded": (
        [{"count": 5, "state": "completed", "result": "success"}],
        "active or preparing or running",
    ),
    "alike": ([{"count": 5, "state": "active"}, {"count": 5, "state": "running"}], "active and running are"),
    "nightly:job-7": ([{"count": 5, "state": "running"}], "every task needs one slot"),
    "42": ([{"count": 5, "requiredSlots": 2}], "no letters"),
}


def probed(target: Target) -> list[str]:
    """Return what the probes of a target find wrong with it, and with each of their answers."""
    found: list[str] = []
    for probe in PROBES.values():
        for answered, wrong in probe.ask(target) if probe.unfit(target) is None else ():
            found += [] if wrong is None else [wrong]
            for check in EVERY_ANSWER.values():
                found += check(answered)
            for agrees in AGREEMENTS.values():
                found += agrees(target, answered)
    target.engine.close()
    return found


def named(emulator: Emulator, job: str) -> Target:
    """Return a job as an endpoint of somebody's, beside other odd ones."""
    for name, (tasks, _) in ODD_JOBS.items():
        if name != "empty":
            emulator.add_job(name, tasks)
    emulator.add_job("three-pages", 2100)
    target = make_target(emulator, emulator.app)
    target.job, target.gets_only, target.known, target.moves = job, True, {}, ()
    return target


@pytest.mark.parametrize("job", ODD_JOBS)
def test_odd_jobs_are_no_error(job: str) -> None:
    """Of a job that has little nothing is found, and the notes say what couldn't be seen."""
    with make_emulator() as emulator:
        target = named(emulator, job)
        assert probed(target) == []
    assert any(ODD_JOBS[job][1] in note for note in weaknesses(target)), weaknesses(target)


def test_a_good_job_has_few_weaknesses() -> None:
    """The emulator's job shows all that one with less than a thousand tasks can show."""
    with make_emulator() as emulator:
        target = named(emulator, "nightly-render")
        assert probed(target) == []
    assert [note.partition(":")[0] for note in weaknesses(target)] == [
        "the job has at most 1,000 tasks",
        "the account has no jobs that are deleting or disabled or disabling or enabling or terminating",
    ]


def test_other_jobs_may_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """At an endpoint of somebody's, jobs that appear, change and vanish during the run are no error."""
    ask, others = Target.ask, [f"other-{number}" for number in range(6)]
    with make_emulator() as emulator:
        for other in others:
            emulator.add_job(other, 1)

        def meanwhile(self: Target, *args: Any, **options: Any) -> Any:
            emulator.world.delete_job(others.pop(0), lambda _: None)
            emulator.world.disable_job(others[-1], "requeue", lambda _: None)
            others.append(f"other-{uuid.uuid4()}")
            emulator.add_job(others[-1], 1)
            return ask(self, *args, **options)

        monkeypatch.setattr(Target, "ask", meanwhile)
        assert probed(named(emulator, "nightly-render")) == []


def test_few_requests_and_few_wrong_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint of somebody's gets at most 700 requests, and 14 wrong credentials for each operation."""
    sent = []
    ask = Target.ask

    def spy(self: Target, *args: Any, **options: Any) -> Any:
        answered = ask(self, *args, **options)
        unknown = "no-such-job" in answered.asked.target
        sent.append(answered.asked.operation if answered.status in (401, 403) and not unknown else None)
        return answered

    monkeypatch.setattr(Target, "ask", spy)
    with make_emulator() as emulator:
        assert probed(named(emulator, "three-pages")) == []
    assert len(sent) <= 700
    assert all(0 < sent.count(operation) <= 14 for operation in contract.OPERATIONS)
