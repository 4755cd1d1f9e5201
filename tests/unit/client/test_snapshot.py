"""Snapshots: values that add up, and say so when they don't."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from support import BUSY, COUNTS, GUID, REQUEST_ID, Call, FakeClock, Reply, Script, answer, error
from taskcounts import (
    ContractViolation,
    Inconsistency,
    ServiceError,
    Snapshot,
    TaskCountsError,
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
    assert (snapshot.attempts, snapshot.inconsistencies, snapshot.additional_properties) == (2, (), {})


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
