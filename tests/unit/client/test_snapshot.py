"""Snapshots: values that add up, and say so when they don't."""

import copy
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

import attrs
import pytest

import taskcounts
from support.answers import BUSY, COUNTS, GUID, REQUEST_ID, Reply, Script, answer, error
from support.client import KEY, Call
from support.clocks import FakeClock
from taskcounts import (
    BearerToken,
    ContractViolation,
    Inconsistency,
    JobResult,
    Kind,
    ListedJob,
    Observation,
    Outcome,
    RetryPolicy,
    ServiceError,
    SharedKey,
    Snapshot,
    TaskCounts,
    TaskCountsError,
    TaskSlotCounts,
    Verdict,
    WaitFailed,
)


def counts(active: int, running: int, completed: int, succeeded: int, failed: int) -> dict[str, int]:
    return locals().copy()


def body(tasks: dict[str, int], slots: dict[str, int] | None = None) -> dict[str, Any]:
    return {"taskCounts": tasks, "taskSlotCounts": slots or tasks}


def test_members(call: Call, clock: FakeClock) -> None:
    """A snapshot has the numbers, where they come from, and when they came."""
    snapshot = call(
        Script(BUSY, answer()), "Nightly", client={"clock": clock}, client_request_id=GUID.upper()
    )
    assert snapshot.job_id == "Nightly"
    assert snapshot.task_counts.to_dict() == COUNTS["taskCounts"]
    assert snapshot.task_slot_counts.to_dict() == COUNTS["taskSlotCounts"]
    assert snapshot.observed_at.isoformat() == "2024-08-01T12:34:56.500000+00:00"
    assert (snapshot.request_id, snapshot.client_request_id) == (REQUEST_ID, GUID)
    assert (snapshot.attempts, snapshot.inconsistencies) == (2, ())
    assert snapshot.additional_properties == {}


def test_arithmetic(call: Call) -> None:
    """Succeeded and failed are inside completed: the total counts no task twice."""
    snapshot = call(Script(answer()))
    assert (snapshot.total, snapshot.completed) == (5 + 3 + 4, 4)
    assert snapshot.percent == pytest.approx(100 * 4 / 12)


def test_job_without_tasks(call: Call) -> None:
    """Of no tasks no part is completed, neither all nor none."""
    snapshot = call(Script(answer(body(counts(0, 0, 0, 0, 0)))))
    assert (snapshot.total, snapshot.completed, snapshot.percent) == (0, 0, None)


def test_largest_numbers(call: Call) -> None:
    """The largest numbers that the contract allows are taken and added without loss."""
    most = 2**31 - 1
    snapshot = call(Script(answer(body(counts(most, most, most, most, 0)))))
    assert snapshot.total == 3 * most
    assert snapshot.percent == pytest.approx(100 / 3)


def test_missing_request_id(call: Call) -> None:
    """An answer without a request id is taken all the same."""
    reply = answer()
    headers = {name: value for name, value in reply.headers.items() if name != "request-id"}
    assert call(Script(Reply(200, headers, reply.body))).request_id is None


def test_inconsistencies_are_reported(call: Call) -> None:
    """Numbers that contradict each other are handed over, and it is said which."""
    snapshot = call(Script(answer(body(counts(0, 0, 5, 2, 2), counts(0, 0, 1, 1, 1)))))
    assert snapshot.task_counts.completed == 5
    assert snapshot.inconsistencies == (
        Inconsistency(
            invariant="task-counts-completed",
            path="taskCounts.completed",
            text="taskCounts.completed is 5, but succeeded + failed is 2 + 2 = 4",
        ),
        Inconsistency(
            invariant="task-slot-counts-completed",
            path="taskSlotCounts.completed",
            text="taskSlotCounts.completed is 1, but succeeded + failed is 1 + 1 = 2",
        ),
    )


def test_slots_may_disagree_with_tasks(call: Call) -> None:
    """Tasks and slots are kept apart: the service doesn't keep them in step, which is no inconsistency."""
    client = {"strict": True}
    snapshot = call(Script(answer(body(counts(0, 0, 5, 2, 3), counts(0, 0, 0, 0, 0)))), client=client)
    assert snapshot.inconsistencies == ()


def test_strict(call: Call) -> None:
    """A strict client refuses numbers that contradict each other."""
    script = Script(answer(body(counts(0, 0, 5, 2, 2))))
    with pytest.raises(
        ContractViolation, match=r"succeeded \+ failed is 2 \+ 2 = 4; taskSlotCounts"
    ) as caught:
        call(script, client={"strict": True})
    assert caught.value.path == "taskCounts.completed"
    assert call(Script(answer()), client={"strict": True}).inconsistencies == ()


def test_frozen_all_the_way(call: Call) -> None:
    """Neither a snapshot nor the counts in it can be changed."""
    snapshot = call(Script(answer(body(counts(0, 0, 5, 2, 2)))))
    for value, name in (
        (snapshot, "attempts"),
        (snapshot, "total"),
        (snapshot.task_counts, "active"),
        (snapshot.task_slot_counts, "failed"),
        (snapshot.inconsistencies[0], "text"),
    ):
        with pytest.raises(AttributeError):
            setattr(value, name, 0)
        with pytest.raises(AttributeError):
            delattr(value, name)


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])  # noqa: S301
def test_copies_are_equal(call: Call, twin: Callable[[Snapshot], Snapshot]) -> None:
    """Copied or pickled, a snapshot is equal to itself, hashes alike, and differs where a number does."""
    snapshot = call(Script(answer({**body(counts(0, 0, 5, 2, 2)), "later": [1]})))
    assert twin(snapshot) == snapshot
    assert hash(twin(snapshot)) == hash(snapshot)
    assert attrs.evolve(snapshot, attempts=9) != snapshot
    assert json.dumps(snapshot.task_counts.to_dict()) in repr(snapshot) or "completed=5" in repr(snapshot)


@pytest.mark.parametrize(
    "reply", [BUSY, answer(b"[]"), error(404, "JobNotFound"), error(401, "X"), ConnectionError("x")], ids=str
)
def test_errors_are_pickled_whole(call: Call, clock: FakeClock, reply: Any) -> None:
    """An error comes out of a pickle as it went in: class, text and facts."""
    with pytest.raises(TaskCountsError) as caught:
        call(Script(reply), client={"clock": clock})
    twin = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert type(twin) is type(caught.value)
    assert str(twin) == str(caught.value)
    assert vars(twin) == vars(caught.value)
    assert isinstance(twin, ServiceError) == isinstance(caught.value, ServiceError)


def test_members_that_nobody_knows_are_frozen_too(call: Call) -> None:
    """At any depth objects can't be changed, and arrays are tuples; none follows changes of its source."""
    given: dict[str, Any] = {"a": [1, {"b": [2.5]}], "c": None}
    tasks: dict[str, Any] = {**counts(0, 0, 5, 2, 3), "preparing": {"d": [3]}}
    snapshot = call(Script(answer({**body(tasks, counts(0, 0, 5, 2, 3)), "later": given})))
    more = snapshot.additional_properties
    assert more == {"later": {"a": (1, {"b": (2.5,)}), "c": None}}
    assert snapshot.task_counts.additional_properties == {"preparing": {"d": (3,)}}
    assert snapshot.task_counts.to_dict() == tasks
    assert snapshot.task_slot_counts.to_dict() == counts(0, 0, 5, 2, 3)
    assert (len(more), list(more), repr(more)) == (1, ["later"], "<1 members>")
    assert copy.copy(more) is copy.deepcopy(more) is more
    assert hash(more) == hash(pickle.loads(pickle.dumps(more)))  # noqa: S301
    twin = more.to_dict()
    twin["later"]["a"][1]["b"].append(0)
    assert more.to_dict() == {"later": given}
    own = attrs.evolve(snapshot, additional_properties=given)
    given["c"] = 1
    given["a"].append(2)
    assert own.additional_properties == {"a": (1, {"b": (2.5,)}), "c": None}
    assert attrs.evolve(own, attempts=2).additional_properties is own.additional_properties


def test_tasks_are_no_slots() -> None:
    """The same numbers are equal only if they count the same."""
    tasks, slots = TaskCounts(1, 2, 3, 2, 1), TaskSlotCounts(1, 2, 3, 2, 1)
    assert tasks == TaskCounts(1, 2, 3, 2, 1)
    assert tasks != slots  # type: ignore[comparison-overlap]
    assert repr(slots) == "TaskSlotCounts(active=1, running=2, completed=3, succeeded=2, failed=1)"


PLAIN = (str, int, float, bool, type(None), datetime, tuple)


def _values() -> Iterator[object]:
    """Yield the public values, with content in each attribute that can hold more than a number or a text."""
    now = datetime(2024, 8, 1, tzinfo=UTC)
    odd = Inconsistency("a", "b", "c")
    failure = ServiceError("x", job_id="j", details=(("a", "b"),), status=500)
    exact = Snapshot(
        job_id="j",
        task_counts=TaskCounts(1, 2, 3, 2, 1, additional_properties={"a": [{"b": [1]}]}),
        task_slot_counts=TaskSlotCounts(1, 2, 3, 2, 1, additional_properties={"a": {}}),
        observed_at=now,
        request_id=None,
        client_request_id=GUID,
        attempts=1,
        inconsistencies=(odd,),
        additional_properties={"a": [{"b": [1]}], "c": {}},
    )
    snapshot = attrs.evolve(exact, listed=exact)
    verdict = Verdict(
        job_id="j",
        goal="done",
        outcome=Outcome.LOST,
        text="x",
        confirmed=False,
        snapshot=snapshot,
        error=failure,
        polls=1,
        failed_polls=1,
        began_at=now,
        ended_at=now,
        elapsed=1.0,
    )
    yield WaitFailed("x", job_id="j", verdict=verdict)
    yield Observation(
        job_id="j", number=1, at=now, elapsed=1.0, kind=Kind.FAILURE, snapshot=snapshot, error=failure
    )
    yield JobResult(job_id="j", snapshot=snapshot, error=failure)
    yield ListedJob(job_id="j", state="active", inconsistencies=(odd,))
    yield RetryPolicy()
    yield KEY
    yield BearerToken("x")


def _walk(value: object) -> Iterator[object]:
    """Yield a value, and the values in its public attributes and members."""
    yield value
    if isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, tuple):
        inner = list(value)
    elif isinstance(value, TaskCountsError):
        inner = list(vars(value).values())
    elif attrs.has(type(value)):
        inner = [getattr(value, name) for name in dir(value) if not name.startswith("_")]
        inner = [each for each in inner if not callable(each)]
    else:
        inner = []
    for each in inner:
        yield from _walk(each)


def test_nothing_that_users_get_can_be_changed() -> None:
    """Whatever a public value leads to is a value too: no list, no dict, no model that was generated."""
    found = [each for value in _values() for each in _walk(value)]
    public = [getattr(taskcounts, name) for name in taskcounts.__all__]
    kinds = {each for each in public if attrs.has(each)} | {SharedKey, BearerToken}
    assert kinds <= set(map(type, found))
    for each in found:
        if isinstance(each, TaskCountsError) or type(each) in (
            str,
            int,
            float,
            bool,
            type(None),
            datetime,
            tuple,
        ):
            continue
        if isinstance(each, Enum):
            continue
        assert type(each).__module__.startswith("taskcounts.")
        names = [name for name in dir(each) if not name.startswith("__")]
        for name in [*names, "new"]:
            with pytest.raises(AttributeError):
                setattr(each, name, None)
        if isinstance(each, Mapping):
            with pytest.raises(TypeError):
                each["a"] = 1  # type: ignore[index]
            assert not hasattr(each, "pop")
            assert isinstance(each._members, MappingProxyType)  # type: ignore[attr-defined]
        hash(each)
