"""Observations and verdicts, and strategies for anything that a wait can report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from support.strategies import json_values
from taskcounts import errors
from taskcounts.errors import ServiceBusy, TaskCountsError
from taskcounts.snapshot import Inconsistency, Snapshot, TaskCounts, TaskSlotCounts
from taskcounts.waiting.values import Kind, Observation, Outcome, Verdict
from taskcounts_cli.screen.watched_job import WatchedJob

NOON = datetime(2024, 8, 1, 12, 0, 0, tzinfo=UTC)
GUID = "9c4d50ee-2d56-4cd3-8152-34347dc9f2b0"

# active, running, succeeded, failed
Numbers = tuple[int, int, int, int]
MOVING: Numbers = (6, 16, 36, 2)
BUSY = ServiceBusy(
    "503 ServerBusy: The server is busy.",
    job_id="j",
    attempts=3,
    client_request_id=GUID,
    status=503,
    code="ServerBusy",
    message="The server is busy.",
    details=(("Reason", "Load"),),
    request_id=None,
    retry_after=1.5,
)

# A text from outside that tries to write a line of its own, and the one line that it has to become.
FORGED = "done\x1b[2J\nerror: all is lost"
FORGED_LINE = "done error: all is lost"


def snapshot(job: str, numbers: Numbers = MOVING, at: float = 0.0, **changes: Any) -> Snapshot:
    """Return counts observed some seconds after noon; each task has two slots."""
    active, running, succeeded, failed = numbers
    done = succeeded + failed
    facts: dict[str, Any] = {
        "job_id": job,
        "task_counts": TaskCounts(active, running, done, succeeded, failed),
        "task_slot_counts": TaskSlotCounts(2 * active, 2 * running, 2 * done, 2 * succeeded, 2 * failed),
        "observed_at": NOON + timedelta(seconds=at),
        "request_id": None,
        "client_request_id": GUID,
        "attempts": 1,
    }
    return Snapshot(**facts | changes)


def seen(
    job: str, numbers: Numbers | None = MOVING, number: int = 2, at: float = 0.0, **changes: Any
) -> Observation:
    """Return an observation of counts some seconds after noon."""
    facts: dict[str, Any] = {
        "job_id": job,
        "number": number,
        "at": NOON + timedelta(seconds=at),
        "elapsed": at,
        "kind": Kind.COUNTS,
        "snapshot": None if numbers is None else snapshot(job, numbers, at),
        "changed": True,
        "pause": 2.0,
    }
    return Observation(**facts | changes)


def failed(job: str, numbers: Numbers | None = MOVING, **changes: Any) -> Observation:
    """Return an observation of a failed poll."""
    facts: dict[str, Any] = {"kind": Kind.FAILURE, "error": BUSY, "failures": 1, "changed": False}
    return seen(job, numbers, **facts | changes)


def judged(
    job: str,
    outcome: Outcome = Outcome.MET,
    numbers: Numbers | None = (0, 0, 60, 0),
    at: float = 0.0,
    **changes: Any,
) -> Verdict:
    """Return a verdict."""
    facts: dict[str, Any] = {
        "job_id": job,
        "goal": "done",
        "outcome": outcome,
        "text": f"job {job!r}: {outcome}",
        "confirmed": True,
        "snapshot": None if numbers is None else snapshot(job, numbers, at),
        "polls": 3,
        "failed_polls": 0,
        "began_at": NOON,
        "ended_at": NOON + timedelta(seconds=at),
        "elapsed": at,
    }
    return Verdict(**facts | changes)


def unserializable(job: str = "j") -> Snapshot:
    """Return a snapshot that JSON cannot hold."""
    return snapshot(job, additional_properties={"more": 10**5000})


def bare_observation(job: str = "x", kind: Kind = Kind.COUNTS, **changes: Any) -> Observation:
    """Return the first observation of a job, at noon and without counts."""
    facts: dict[str, Any] = {"number": 1, "kind": kind, "changed": False, "pause": 0.0}
    return seen(job, None, **facts | changes)


def bare_verdict(job: str, outcome: Outcome = Outcome.MET, **changes: Any) -> Verdict:
    """Return a verdict at noon, without counts."""
    return judged(job, outcome, None, **changes)


def watched(job: str, *events: Observation | Verdict) -> WatchedJob:
    """Return the state of a watched job after some events."""
    known = WatchedJob(job_id=job)
    for event in events:
        known = known.after(event)
    return known


MANY = [
    watched("nightly-render", seen("nightly-render", rate=1.4, left=16.2)),
    watched("reindex", failed("reindex", (0, 1, 24, 0), failures=3, rate=0.02)),
    watched(
        "weekly-report:job-7",
        seen("weekly-report:job-7", (0, 0, 12, 0), doubtful=True, note="but 'task-11' is running"),
    ),
    watched("broken", judged("broken", Outcome.FAILED, (0, 0, 5000, 2))),
    watched("fine", judged("fine")),
    watched("empty", seen("empty", (0, 0, 0, 0))),
    watched("new"),
]

texts = st.text(max_size=20)
names = st.from_regex(r"[A-Za-z0-9_:-]{1,64}", fullmatch=True)
whole = st.integers(0, 2**63 - 1)
numbers = st.integers(0, 10**9) | st.integers(0, 3)
seconds = st.floats(0, 1e9, allow_nan=False)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
one_lines = st.text(st.characters(categories=["L", "N", "P"]), max_size=30)


def _errors() -> st.SearchStrategy[TaskCountsError]:
    facts = {
        "job_id": names,
        "attempts": whole,
        "client_request_id": texts,
        "api_version": texts,
        "status": whole,
        "code": st.none() | texts,
        "message": st.none() | texts,
        "details": st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
        "request_id": st.none() | texts,
        "retry_after": st.none() | seconds,
        "path": texts,
        "answer": texts,
    }
    kinds = st.sampled_from([getattr(errors, name) for name in errors.__all__])
    return st.builds(
        lambda kind, text, facts: kind(text, **facts),
        kinds,
        one_lines,
        st.fixed_dictionaries({}, optional=facts),
    )


def _counts(kind: type[Any]) -> st.SearchStrategy[Any]:
    more = st.dictionaries(texts.filter(lambda name: name not in COUNTERS), json_values, max_size=2)
    return st.builds(kind, whole, whole, whole, whole, whole, additional_properties=more)


COUNTERS = ("active", "running", "completed", "succeeded", "failed")
plain_snapshots = st.builds(
    Snapshot,
    job_id=names,
    task_counts=_counts(TaskCounts),
    task_slot_counts=_counts(TaskSlotCounts),
    observed_at=moments,
    request_id=st.none() | texts,
    client_request_id=texts,
    attempts=whole,
    inconsistencies=st.lists(st.builds(Inconsistency, texts, texts, texts), max_size=2).map(tuple),
    additional_properties=st.dictionaries(texts, json_values, max_size=2),
    exact=st.booleans(),
    began_at=st.none() | moments,
    api_version=st.none() | texts,
)
snapshots = plain_snapshots | st.builds(
    lambda one, other: evolve(one, listed=other), plain_snapshots, plain_snapshots
)
observations = st.builds(
    Observation,
    job_id=names,
    number=st.integers(1, 10**6),
    at=moments,
    elapsed=seconds,
    kind=st.sampled_from(Kind),
    snapshot=st.none() | snapshots,
    changed=st.booleans(),
    looked_for=st.none() | texts,
    found=st.none() | texts,
    job_state=st.none() | texts,
    error=st.none() | _errors(),
    failures=whole,
    doubtful=st.booleans(),
    note=st.none() | texts,
    rate=st.none() | seconds,
    left=st.none() | seconds,
    pause=seconds,
)
verdicts = st.builds(
    Verdict,
    job_id=names,
    goal=texts,
    outcome=st.sampled_from(Outcome),
    text=texts,
    confirmed=st.booleans(),
    snapshot=st.none() | snapshots,
    task_id=st.none() | texts,
    job_state=st.none() | texts,
    error=st.none() | _errors(),
    polls=whole,
    failed_polls=whole,
    began_at=moments,
    ended_at=moments,
    elapsed=seconds,
)


@st.composite
def known_jobs(draw: st.DrawFn) -> WatchedJob:
    """A watched job in any state."""
    job = draw(names)
    if draw(st.integers(0, 9)) == 0:
        return WatchedJob(job_id=job)
    counted = draw(st.tuples(numbers, numbers, numbers, numbers))
    at = draw(st.floats(-1e6, 0))
    latest = seen(
        job,
        None if draw(st.integers(0, 9)) == 0 else counted,
        at=at,
        failures=draw(st.integers(0, 12)),
        error=draw(st.none() | st.just(BUSY)),
        doubtful=draw(st.booleans()),
        note=draw(st.none() | texts),
        rate=draw(st.none() | st.floats(0, 1e7)),
        left=draw(st.none() | st.floats(0, 1e9)),
        job_state=draw(st.none() | st.sampled_from(["active", "disabled", "completed"])),
    )
    events: list[Observation | Verdict] = [latest]
    if draw(st.booleans()):
        events.append(
            judged(job, draw(st.sampled_from(Outcome)), counted, at, text=draw(st.text(max_size=200)))
        )
    return watched(job, *events)
