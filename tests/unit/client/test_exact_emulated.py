"""Exact counts over sockets, against an emulated account with faults."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from support.client import KEY
from support.lists import Lister, page, task
from support.servers import Peer, Server, header
from taskcounts import (
    AsyncTaskCountsClient,
    ContractViolation,
    DeadlineExceeded,
    JobNotFound,
    RetryPolicy,
    ServiceBusy,
    ServiceUnreachable,
    SharedKey,
)
from taskcounts.clock import SystemClock
from taskcounts.exact import MEMBERS
from taskcounts_emulator import Emulator

pytestmark = pytest.mark.slow  # Each test lists thousands of tasks, over sockets.

SCENARIO = {
    "jobs": [
        {
            "id": "nightly",
            "tasks": [
                {"count": 2300},
                {"count": 7, "state": "running", "requiredSlots": 2},
                {"count": 2, "state": "preparing"},
                {"count": 4, "state": "completed", "result": "success", "requiredSlots": 3},
                {"state": "completed", "result": "failure"},
            ],
        },
        {"id": "empty"},
        {"id": "small", "tasks": [{"count": 3}]},
    ]
}


class Impatient(SystemClock):
    """The machine's time, as the emulator has it, without pauses; a test may put it forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        pass

    async def sleep_async(self, seconds: float) -> None:
        pass


@pytest.fixture(scope="module")
def account() -> Iterator[Emulator]:
    with Emulator(scripted=True, seed=1) as emulator:
        emulator.load(SCENARIO)
        yield emulator


@pytest.fixture
def emulator(account: Emulator) -> Iterator[Emulator]:
    yield account
    account.clear_faults()
    account.clear_lag()


@pytest.fixture(params=["sync", "async"])
def exact(request: pytest.FixtureRequest, emulator: Emulator) -> Callable[..., Any]:
    lister = Lister(awaits=request.param == "async")

    def ask(job_id: str = "nightly", **options: Any) -> Any:
        client = {"retry": RetryPolicy(), "clock": Impatient(), **options.pop("client", {})}
        key = SharedKey(emulator.account, emulator.key)
        return lister(emulator.endpoint, job_id, credential=key, client=client, **options)

    return ask


def test_counts_of_an_account(exact: Callable[..., Any], emulator: Emulator) -> None:
    """They are the true ones, over three pages, and those of another case of the id's letters."""
    for job_id in ("nightly", "NIGHTLY"):
        snapshot = exact(job_id)
        assert [getattr(snapshot.task_counts, member) for member in MEMBERS] == [2300, 9, 5, 4, 1]
        assert [getattr(snapshot.task_slot_counts, member) for member in MEMBERS] == [2300, 16, 13, 12, 1]
        assert snapshot.attempts == 3
    assert exact("empty").total == 0
    with pytest.raises(JobNotFound):
        exact("missing")


def test_counts_that_lag_are_found_out(exact: Callable[..., Any], emulator: Emulator) -> None:
    """Lists always tell the truth."""
    emulator.set_lag({"swapActiveRunning": True})
    snapshot = exact(method="get_job_task_counts", verify=True)
    assert snapshot.task_counts.running == 2300
    assert [each.path for each in snapshot.inconsistencies] == [
        "taskCounts.active",
        "taskCounts.running",
        "taskSlotCounts.active",
        "taskSlotCounts.running",
    ]
    assert snapshot.listed.task_counts.active == 2300


@pytest.mark.parametrize(
    ("variant", "path"),
    [
        ("foreign-link", "odata.nextLink"),
        ("looping-link", "odata.nextLink"),
        ("missing-value", "value"),
        ("value-not-array", "value"),
        ("unknown-state", "value[0].state"),
        ("missing-id", "value[0].id"),
        ("missing-member", "value[0].state"),
        ("item-not-object", "value[0]"),
        ("contradiction", "value[0].executionInfo.result"),
        ("array", "$"),
        ("duplicate-member", None),
        ("not-json", "$"),
        ("not-utf8", "$"),
        ("empty", "$"),
    ],
)
def test_pages_that_break_the_contract(
    exact: Callable[..., Any], emulator: Emulator, variant: str, path: str | None
) -> None:
    """Each ends the count, and says where it broke."""
    emulator.fault("wrong-shape", operation="Task_List", variant=variant)
    with pytest.raises(ContractViolation) as caught:
        exact()
    assert path in (None, caught.value.path)


def test_a_page_that_repeats_a_task(exact: Callable[..., Any], emulator: Emulator) -> None:
    """A repeated task is counted twice, and reported; strict refuses it."""
    emulator.fault("wrong-shape", operation="Task_List", variant="repeated-item")
    snapshot = exact()
    assert snapshot.total == 2314 + 3
    assert [each.invariant for each in snapshot.inconsistencies] == ["listed-twice"]
    with pytest.raises(ContractViolation, match="named before"):
        exact(client={"strict": True})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("throttled", {"retry_after": 0}),
        ("busy", {"retry_after": 1}),
        ("internal-error", {}),
        ("bad-gateway", {}),
        ("reset", {}),
        ("truncate", {}),
        ("slow", {"seconds": 0.01}),
    ],
)
@pytest.mark.parametrize("page_number", [1, 2, 3])
def test_pages_that_come_in_the_end(
    exact: Callable[..., Any], emulator: Emulator, kind: str, options: dict[str, Any], page_number: int
) -> None:
    """A transient error is retried on any page; the count is right, and has the number of attempts."""

    def fail(seen: int) -> None:
        if seen == 1000 * (page_number - 1):
            emulator.fault(kind, operation="Task_List", times=1, **options)

    fail(0)
    snapshot = exact(progress=fail)
    assert snapshot.total == 2314
    # A kept connection that is reset before its answer is replaced within the attempt.
    retried = kind != "slow" and (kind != "reset" or page_number == 1)
    assert snapshot.attempts == 3 + retried
    assert snapshot.inconsistencies == ()


def test_pages_that_never_come(exact: Callable[..., Any], emulator: Emulator) -> None:
    """A lasting error is raised, with the number of tasks before it."""

    def fail(kind: str, **options: Any) -> Callable[[int], object]:
        return lambda _: emulator.fault(kind, operation="Task_List", **options)

    with pytest.raises(ServiceBusy, match="1,000 tasks were seen before that") as busy:
        exact(progress=fail("throttled", retry_after=900), deadline=60)
    assert busy.value.retry_after == 900
    emulator.clear_faults()
    with pytest.raises(ServiceUnreachable, match="1,000 tasks were seen before that"):
        exact(progress=fail("reset"))
    emulator.clear_faults()


@pytest.mark.parametrize(("kind", "options"), [("slow", {"seconds": 60}), ("drip", {"interval": 30})])
def test_pages_that_take_too_long(
    exact: Callable[..., Any], emulator: Emulator, kind: str, options: dict[str, Any]
) -> None:
    """The deadline cuts a page off in the middle: here half a second is left for the second one."""
    clock = Impatient()

    def fail(_: int) -> None:
        emulator.fault(kind, operation="Task_List", **options)
        clock.ahead = 599.5

    with pytest.raises(DeadlineExceeded, match=r"1,000 tasks were seen .*together may take 600 s"):
        exact(progress=fail, deadline=600, client={"clock": clock})


def test_a_job_that_is_deleted_meanwhile(exact: Callable[..., Any], emulator: Emulator) -> None:
    """A part of its tasks is no count."""
    emulator.snapshot("before")
    emulator.add_job("short-lived", 1500)
    with pytest.raises(JobNotFound, match="1,000 tasks were seen before that"):
        exact("short-lived", progress=lambda _: emulator.restore("before"))


def test_an_interrupted_count_leaves_the_client_usable(emulator: Emulator) -> None:
    """A task of an event loop that is cancelled in the middle of a page, and one that goes on."""

    async def ask() -> int:
        key = SharedKey(emulator.account, emulator.key)
        async with AsyncTaskCountsClient(emulator.endpoint, key) as client:
            begun = asyncio.Event()

            def progress(_: int) -> None:
                emulator.fault("slow", operation="Task_List", seconds=60, times=1)
                begun.set()

            running = asyncio.create_task(client.get_exact_job_task_counts("nightly", progress=progress))
            await begun.wait()
            await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            emulator.clear_faults()
            return (await client.get_exact_job_task_counts("nightly")).total

    assert asyncio.run(ask()) == 2314


@pytest.mark.parametrize("awaits", [False, True])
def test_a_link_with_plus_signs_is_accepted(
    awaits: bool, emulator: Emulator, serve: Callable[..., Server]
) -> None:
    """A link that is sent word for word is signed as Microsoft's clients sign it: see `test_signing`."""

    def behave(peer: Peer) -> None:
        first = b"$filter" not in peer.head
        link = f"{server.url}{following}" if first else None
        reply = page(task("a" if first else "b"), link=link, connection="keep-alive")
        own = {"client-request-id": header(peer.head, "client-request-id") or ""}
        peer.send(replace(reply, headers={**reply.headers, **own}).raw())

    following = "/jobs/job-1/tasks?$filter=state+eq+'active'&$skiptoken=a%2Bb&api-version=2024-07-01.20.0"
    server = serve(behave)
    assert Lister(awaits=awaits)(server.url).total == 2
    head = server.requests[1]
    target = head.split(b" ")[1].decode()
    assert target == following
    signed = {"ocp-date": header(head, "ocp-date") or ""}
    assert header(head, "authorization") == KEY.authorization("GET", target.replace("+", "%20"), signed)
    assert header(head, "authorization") != KEY.authorization("GET", target.replace("+", "%2B"), signed)
