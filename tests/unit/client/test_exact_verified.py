"""Counts that are compared with a list of all tasks."""

from typing import Any

import httpx
import pytest

from support.answers import BUSY, COUNTS, GUID, Reply, Script, answer
from support.answers import error as failing
from support.client import ENDPOINT
from support.clocks import FakeClock
from support.lists import Lister, page, task
from taskcounts import ContractViolation, DeadlineExceeded, JobNotFound, RetryPolicy, ServiceBusy, Snapshot


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Lister:
    return Lister(awaits=request.param == "async")


def verified(ask: Lister, script: Any, **options: Any) -> Snapshot:
    """Return verified counts."""
    return ask(script, method="get_job_task_counts", verify=True, **options)


def tasks_of(counts: dict[str, int]) -> list[dict[str, Any]]:
    """Return tasks that have such counts, each in need of two slots."""
    states = {
        "active": ("active", None),
        "running": ("running", None),
        "succeeded": ("completed", "success"),
        "failed": ("completed", "failure"),
    }
    return [
        task(f"{member}-{n}", *states[member], requiredSlots=2)
        for member in states
        for n in range(counts[member])
    ]


LISTED = tasks_of(COUNTS["taskCounts"])


def test_counts_that_a_list_confirms(ask: Lister) -> None:
    """They come as they are, with the exact ones beside them."""
    script = Script(answer(), page(*LISTED[:5], token="1"), page(*LISTED[5:]))
    snapshot = verified(ask, script, client_request_id=GUID)
    assert snapshot.inconsistencies == ()
    assert (snapshot.exact, snapshot.attempts, snapshot.client_request_id) == (False, 1, GUID)
    assert snapshot.listed is not None
    assert (snapshot.listed.exact, snapshot.listed.attempts) == (True, 2)
    assert snapshot.listed.task_counts == snapshot.task_counts
    ids = {request.headers["client-request-id"] for request in script.requests}
    assert len(ids) == 3
    assert snapshot.listed.client_request_id in ids - {GUID}
    assert [request.url.path.rpartition("/")[2] for request in script.requests] == [
        "taskcounts",
        "tasks",
        "tasks",
    ]


def test_counts_that_a_list_contradicts(ask: Lister) -> None:
    """Each member that differs is reported with both numbers."""
    snapshot = verified(ask, Script(answer(), page(*LISTED[1:], task("late"))))
    assert snapshot.task_counts.active == 5
    assert [(each.invariant, each.path, each.text) for each in snapshot.inconsistencies] == [
        ("verified", "taskSlotCounts.active", "taskSlotCounts.active is 10, but the tasks listed so need 9")
    ]
    one = verified(ask, Script(answer(), page(task("a", "running", requiredSlots=6))))
    assert [each.text for each in one.inconsistencies] == [
        "taskCounts.active is 5, but 0 tasks were listed so",
        "taskCounts.running is 3, but 1 task was listed so",
        "taskCounts.completed is 4, but 0 tasks were listed so",
        "taskCounts.succeeded is 3, but 0 tasks were listed so",
        "taskCounts.failed is 1, but 0 tasks were listed so",
        "taskSlotCounts.active is 10, but the tasks listed so need 0",
        "taskSlotCounts.completed is 8, but the tasks listed so need 0",
        "taskSlotCounts.succeeded is 6, but the tasks listed so need 0",
        "taskSlotCounts.failed is 2, but the tasks listed so need 0",
    ]


def test_a_strict_client_raises_what_a_list_contradicts(ask: Lister) -> None:
    """The error has all differences, the member of the first, and the ids of the counts' request."""
    with pytest.raises(ContractViolation) as caught:
        verified(
            ask,
            Script(answer(), page(*LISTED[2:])),
            client={"strict": True},
            client_request_id=GUID,
        )
    error = caught.value
    assert (error.path, error.answer, error.status) == ("taskCounts.active", "", 200)
    assert (error.job_id, error.attempts, error.client_request_id) == ("job-1", 2, GUID)
    assert error.request_id == answer().headers["request-id"]
    assert str(error) == (
        "job 'job-1': the counts can't be trusted, a list of all tasks contradicts them: "
        "taskCounts.active is 5, but 3 tasks were listed so; "
        "taskSlotCounts.active is 10, but the tasks listed so need 6"
    )
    assert verified(ask, Script(answer(), page(*LISTED)), client={"strict": True}).inconsistencies == ()


def test_inconsistencies_stay_with_whom_they_concern(ask: Lister) -> None:
    """The counts' own come first, then the differences; the list's own stay with the list."""
    broken = {**COUNTS, "taskCounts": {**COUNTS["taskCounts"], "succeeded": 4}}
    snapshot = verified(ask, Script(answer(broken), page(*LISTED, age="5")))
    assert [each.invariant for each in snapshot.inconsistencies] == ["task-counts-completed", "verified"]
    assert snapshot.listed is not None
    assert [each.invariant for each in snapshot.listed.inconsistencies] == ["age"]


def test_strict_holds_for_both(ask: Lister) -> None:
    """Numbers that contradict themselves, and a list that can't be trusted, still raise."""
    broken = {**COUNTS, "taskCounts": {**COUNTS["taskCounts"], "succeeded": 4}}
    for script in (Script(answer(broken), page(*LISTED)), Script(answer(), page(*LISTED, LISTED[0]))):
        with pytest.raises(ContractViolation):
            verified(ask, script, client={"strict": True})


def test_counts_that_do_not_come(ask: Lister) -> None:
    """Nothing is listed then."""
    script = Script(failing(404, "JobNotFound"))
    with pytest.raises(JobNotFound) as caught:
        verified(ask, script)
    assert "verify" not in str(caught.value)
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("replies", "kind", "seen"),
    [
        ([failing(404, "JobNotFound")], JobNotFound, ""),
        ([page(LISTED[0], token="1"), BUSY], ServiceBusy, "; 1 task was seen before that"),
        ([page({"id": "x"})], ContractViolation, ""),
    ],
)
def test_a_list_that_does_not_come(
    ask: Lister, replies: list[Reply], kind: type[Exception], seen: str
) -> None:
    """Counts that can't be verified are an error, which says that the list was missing."""
    options = {"clock": FakeClock(), "retry": RetryPolicy(max_attempts=1)}
    with pytest.raises(kind) as caught:
        verified(ask, Script(answer(), *replies), client=options)
    text = str(caught.value)
    assert text.endswith("; the counts came, but not the list to verify them")
    assert seen in text


def test_the_deadline_is_for_both(ask: Lister, clock: FakeClock) -> None:
    """The time that the counts took is missing for the list."""

    def late(request: httpx.Request) -> Reply:
        clock.pass_by(7)
        return answer() if request.url.path.endswith("taskcounts") else page(token="1")

    script = Script(late)
    with pytest.raises(DeadlineExceeded) as caught:
        verified(ask, script, deadline=10, client={"clock": clock})
    assert len(script.requests) == 2
    assert str(caught.value).endswith(
        "; 0 tasks were seen before that: a part of a list is no count; all requests together may take 10 s"
        "; the counts came, but not the list to verify them"
    )
    assert str(script.requests[1].url).startswith(f"{ENDPOINT}/jobs/job-1/tasks?")
