"""Exact counts: the counts of lists of tasks, and the errors of lists that can't be counted."""

import json
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from support.answers import BUSY, GUID, REQUEST_ID, Script, answer, error
from support.client import ENDPOINT, KEY
from support.clocks import FakeClock
from support.lists import Lister, link_to, page, task
from taskcounts import (
    AuthenticationFailed,
    BearerToken,
    ContractViolation,
    DeadlineExceeded,
    JobNotFound,
    RetryPolicy,
    ServiceBusy,
    ServiceUnreachable,
    Snapshot,
    TaskCountsClient,
)
from taskcounts.exact import MEMBERS


@pytest.fixture(params=["sync", "async"])
def exact(request: pytest.FixtureRequest) -> Lister:
    return Lister(awaits=request.param == "async")


def numbers(counts: Any) -> list[int]:
    """Return counts in the order active, running, completed, succeeded, failed."""
    return [getattr(counts, member) for member in MEMBERS]


ALL_KINDS = (
    task("t1"),
    task("t2", "Preparing", requiredSlots=2),
    task("t3", "running", requiredSlots=3),
    task("t4", "COMPLETED", "Success", requiredSlots=4),
    task("t5", "completed", "FAILURE", requiredSlots=5),
    task("t6", "completed", "failure"),
)


def test_each_task_is_counted(exact: Lister) -> None:
    """States and results in any case, slots as required and one where nothing is said."""
    snapshot = exact(Script(page(*ALL_KINDS)))
    assert numbers(snapshot.task_counts) == [1, 2, 3, 1, 2]
    assert numbers(snapshot.task_slot_counts) == [1, 5, 10, 4, 6]
    assert (snapshot.total, snapshot.exact, snapshot.listed) == (6, True, None)
    assert snapshot.inconsistencies == ()


def test_what_is_asked(exact: Lister) -> None:
    """The members that are needed, on pages as large as may be, in the words of the service."""
    script = Script(page())
    exact(script, service_timeout=20)
    [request] = script.requests
    assert request.url.path == "/jobs/job-1/tasks"
    assert dict(request.url.params) == {
        "api-version": "2024-07-01.20.0",
        "$select": "id,state,executionInfo,requiredSlots",
        "timeout": "20",
    }


def test_a_job_without_tasks(exact: Lister) -> None:
    """An empty list gives counts of zero."""
    snapshot = exact(Script(page()))
    assert numbers(snapshot.task_counts) == numbers(snapshot.task_slot_counts) == [0] * 5


def test_pages_are_added_up(exact: Lister, clock: FakeClock) -> None:
    """Empty ones and one of more than a thousand tasks too; and the snapshot says what it covers."""
    pages = [
        page(task("a"), token="1"),
        page(token="2"),
        BUSY,
        page(*(task(f"b{n}", "running") for n in range(1500)), token="3"),
        page(task("c", "completed"), request_id="the-last"),
    ]
    times: list[float] = []

    def at(reply: Any) -> Callable[[httpx.Request], Any]:
        def give(_: httpx.Request) -> Any:
            times.append(clock.monotonic())
            clock.pass_by(2)
            return reply

        return give

    script = Script(*map(at, pages))
    seen: list[int] = []
    snapshot = exact(script, progress=seen.append, client_request_id=GUID, client={"clock": clock})
    assert numbers(snapshot.task_counts) == [1, 1500, 1, 1, 0]
    assert seen == [1, 1, 1501, 1502]
    assert (snapshot.attempts, snapshot.request_id) == (5, "the-last")
    assert snapshot.client_request_id == GUID
    assert snapshot.began_at is not None
    assert (snapshot.observed_at - snapshot.began_at).total_seconds() == clock.monotonic() - times[0]


def test_each_page_has_an_id_of_its_own(exact: Lister) -> None:
    """The first page has the one that was given; attempts at one page share theirs."""
    script = Script(page(token="1"), BUSY, page(token="2"), page())
    exact(script, client_request_id=GUID, client={"clock": FakeClock()})
    first, second, again, third = (UUID(each.headers["client-request-id"]) for each in script.requests)
    assert first == UUID(GUID)
    assert second == again
    assert len({first, second, third}) == 3


def test_each_page_is_signed(exact: Lister) -> None:
    """A token goes with every page, to the account's server."""
    script = Script(page(token="1"), page())
    exact(script, credential=BearerToken("a-token-that-is-long-enough"))
    assert [each.headers["authorization"] for each in script.requests] == [
        "Bearer a-token-that-is-long-enough"
    ] * 2


BAD = [
    (task("t", "levitating"), "state", "the state of task 't', 'levitating', is not known"),
    (task("t", ""), "state", "the state of task 't', '', is not known"),
    (task("t", "active "), "state", "the state of task 't', 'active ', is not known"),
    ({"id": "t", "state": "completed"}, "executionInfo.result", "'t' is completed, and nothing says"),
    (
        task("t", "completed", executionInfo={"retryCount": 0, "requeueCount": 0}),
        "executionInfo.result",
        "'t' is completed, and nothing says",
    ),
    (
        task("t", "completed", "maybe"),
        "executionInfo.result",
        "the result of task 't', 'maybe', is not known",
    ),
    ({"id": "t"}, "state", "the member is missing"),
    ({"state": "active"}, "id", "the member is missing"),
    (task("t", requiredSlots=0), "requiredSlots", "0 is not within 1 to"),
    (task("t", requiredSlots=None), "requiredSlots", "null is not an integer"),
    (task("t", requiredSlots=1.0), "requiredSlots", "1.0 is not an integer"),
    (task("t", requiredSlots=True), "requiredSlots", "true is not an integer"),
    (task("t", executionInfo=None), "executionInfo", "null is not an object"),
    ({"id": 5, "state": "active"}, "id", "5 is not a string"),
    ({"id": "t", "state": None}, "state", "null is not a string"),
]


@pytest.mark.parametrize(("bad", "member", "text"), BAD)
def test_what_can_not_be_counted(exact: Lister, bad: dict[str, Any], member: str, text: str) -> None:
    """It is neither guessed nor left out: the count ends, and the error names task and member."""
    with pytest.raises(ContractViolation) as caught:
        exact(Script(page(task("good"), bad)))
    assert caught.value.path == f"value[1].{member}"
    assert text in str(caught.value)
    assert caught.value.request_id == REQUEST_ID
    assert json.loads(caught.value.answer)["value"][0]["id"] == "good"


@pytest.mark.parametrize("body", [{}, {"value": None}, {"value": {}}, {"value": [[]]}, {"value": ["t"]}, []])
def test_what_is_no_list(exact: Lister, body: object) -> None:
    """A page without its items isn't an empty one."""
    with pytest.raises(ContractViolation):
        exact(Script(answer(body)))


def test_a_result_counts_only_when_a_task_is_completed(exact: Lister) -> None:
    """A task that is retried may still show how its last run ended."""
    info = {"retryCount": 1, "requeueCount": 0, "result": "failure"}
    snapshot = exact(Script(page(task("a", executionInfo=info), task("r", "running", executionInfo=info))))
    assert numbers(snapshot.task_counts) == [1, 1, 0, 0, 0]


def test_sums_beyond_int32(exact: Lister) -> None:
    """Each number fits, their sum doesn't have to."""
    most = 2**31 - 1
    snapshot = exact(Script(page(*(task(f"t{n}", requiredSlots=most) for n in range(3)))))
    assert snapshot.task_slot_counts.active == 3 * most


@pytest.mark.parametrize(
    ("pages", "times", "ids"),
    [
        ([["a", "b", "A"]], "once", "'A'"),
        ([["a", "b"], ["c", "B"]], "once", "'B'"),
        ([["a"], [], ["b"], ["a"]], "once", "'a'"),
        ([["a", "a", "a"], ["a"]], "3 times", "'a';"),
        ([["a", "b", "c"], ["a", "b", "c"]], "3 times", "'a', 'b', 'c';"),
        ([["a", "b", "c", "d"], ["a", "b", "c", "d"]], "4 times", "'a', 'b', 'c' …;"),
        ([["a", "b", "c", "d"], ["a", "b", "c", "d", "a"]], "5 times", "'a', 'b', 'c' …;"),
    ],
)
def test_tasks_that_are_listed_again(exact: Lister, pages: list[list[str]], times: str, ids: str) -> None:
    """They are counted as often as they come, on one page or several, and reported; strict refuses them."""

    def script() -> Script:
        last = len(pages) - 1
        return Script(
            *(
                page(*map(task, names), token=None if n == last else str(n), request_id=f"page-{n}")
                for n, names in enumerate(pages)
            )
        )

    snapshot = exact(script())
    [told] = snapshot.inconsistencies
    assert (told.invariant, told.path) == ("listed-twice", "value")
    assert f"that it had named before, {times}: {ids}" in told.text
    assert snapshot.total == sum(map(len, pages))
    with pytest.raises(ContractViolation, match="that it had named before, once") as caught:
        exact(script(), client={"strict": True})
    assert caught.value.path.startswith("value[")


def test_ids_that_are_no_text(exact: Lister) -> None:
    """A lone surrogate in an id is compared like any character, and its repr is shown."""
    half = b'{"id": "\\ud800", "state": "active"}'
    link = json.dumps(link_to("1")).encode()
    pages = [
        answer(b'{"value": [' + half + b'], "odata.nextLink": ' + link + b"}"),
        answer(b'{"value": [' + half + b"]}"),
    ]
    [told] = exact(Script(*pages)).inconsistencies
    assert told.text.isascii() or "\ud800" not in told.text


def test_secrets_in_a_list(exact: Lister) -> None:
    """A token that a server repeats in its list isn't shown."""
    token = "a-token-that-is-long-enough"
    script = Script(page(task(token), task(token)))
    assert token not in repr(exact(script, credential=BearerToken(token)))
    for bad in (task(token, token), task("t", "completed", token), task("t", "gone", more=token)):
        with pytest.raises(ContractViolation) as caught:
            exact(Script(page(bad)), credential=BearerToken(token))
        assert token not in f"{caught.value!r} {vars(caught.value)}"


def test_doubts_are_told_once(exact: Lister) -> None:
    """A cache that ages all pages is one thing to know; strict refuses the first of them."""
    script = Script(page(token="1", age="5"), page(age="6"))
    [told] = exact(script).inconsistencies
    assert (told.invariant, "5 seconds" in told.text) == ("age", True)
    with pytest.raises(ContractViolation, match="from a cache"):
        exact(Script(page(age="5")), client={"strict": True})


def test_several_things_are_all_told(exact: Lister) -> None:
    """Doubts of any page and tasks listed again stand side by side."""
    no_id = page(task("a"))
    del no_id.headers["request-id"]  # type: ignore[attr-defined]
    snapshot = exact(Script(page(task("a"), token="1", age="5"), no_id))
    assert [each.invariant for each in snapshot.inconsistencies] == ["age", "request-id", "listed-twice"]
    assert snapshot.request_id is None


@pytest.mark.parametrize("length", [1, 2, 5])
def test_links_that_run_in_a_circle(exact: Lister, length: int) -> None:
    """The count ends soon, and says how far it came."""
    asked = 0

    def endless(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        reply = page(task(f"t{asked}"), token=str(asked % length)).response()
        reply.headers["client-request-id"] = request.headers["client-request-id"]
        return reply

    with pytest.raises(ContractViolation, match="leads to a page before") as caught:
        exact(endless)
    assert asked <= 3 * length + 1
    assert caught.value.path == "odata.nextLink"
    seen = "1 task was" if asked == 2 else f"{asked - 1} tasks were"
    assert f"; {seen} seen before that: a part of a list is no count" in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(404, "JobNotFound"), JobNotFound),
        (error(401, "AuthenticationFailed"), AuthenticationFailed),
        (BUSY, ServiceBusy),
        (httpx.ConnectError("refused"), ServiceUnreachable),
        (page(task("t", "levitating")), ContractViolation),
        (answer(b"<html>"), ContractViolation),
    ],
)
def test_a_part_of_a_list_is_no_count(exact: Lister, reply: Any, kind: type[Exception]) -> None:
    """The error of a later page is raised with the number of tasks before it; the first page has none."""
    options: Any = {"client": {"clock": FakeClock(), "retry": RetryPolicy(max_attempts=2)}}
    with pytest.raises(kind, match=r"; 2 tasks were seen before that: a part of a list is no count$"):
        exact(Script(page(task("a"), task("b"), token="1"), reply), **options)
    with pytest.raises(kind) as caught:
        exact(Script(reply), **options)
    assert "seen before" not in str(caught.value)


def slow(clock: FakeClock, seconds: float, *replies: Any) -> Script:
    """Return a script whose answers take a while."""

    def give(reply: Any) -> Callable[[httpx.Request], Any]:
        def late(_: httpx.Request) -> Any:
            clock.pass_by(seconds)
            return reply

        return late

    return Script(*map(give, replies))


def test_the_deadline_is_for_all_pages(exact: Lister, clock: FakeClock) -> None:
    """The next page isn't requested once the pages before it have used up the deadline."""
    script = slow(clock, 4, *(page(task(f"t{n}"), token=str(n)) for n in range(9)))
    with pytest.raises(DeadlineExceeded) as caught:
        exact(script, deadline=12, client={"clock": clock})
    assert len(script.requests) == 3
    assert str(caught.value).endswith(
        "; 3 tasks were seen before that: a part of a list is no count; all requests together may take 12 s"
    )


def test_retries_are_for_each_page(exact: Lister, clock: FakeClock) -> None:
    """Each page has all its attempts, whatever the pages before it took; the deadline covers the pauses."""
    throttled = error(429, "TooManyRequests", retry_after="10")
    pages = [throttled, page(task("a"), token="1"), throttled, page(task("b"), token="2"), throttled, page()]
    options: Any = {"client": {"clock": clock, "retry": RetryPolicy(max_attempts=2)}}
    assert exact(Script(*pages), deadline=31, **options).attempts == 6
    assert clock.pauses == [10, 10, 10]
    with pytest.raises(ServiceBusy, match=r"asks to wait 10 s, the deadline leaves 9 s.*; 2 tasks were seen"):
        exact(Script(*pages), deadline=29, **options)


def test_the_first_page_is_like_any_question(exact: Lister, clock: FakeClock) -> None:
    """A page that takes the whole deadline has an error that says so."""
    script = Script(httpx.ReadTimeout("slow"))
    with pytest.raises(DeadlineExceeded) as caught:
        exact(script, deadline=0.5, client={"clock": clock, "retry": RetryPolicy(max_attempts=9)})
    assert "together" not in str(caught.value)


@pytest.mark.parametrize("times", [1, 2])
def test_progress_can_end_the_count(exact: Lister, times: int) -> None:
    """An exception of progress passes unchanged, and the client can still be used."""
    stop = LookupError("enough")
    calls = 0

    def progress(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise stop

    script = Script(page(token="1"), page(token="2"), page())
    if times == 1:
        with pytest.raises(LookupError) as caught:
            exact(script, progress=progress)
        assert caught.value is stop
        assert len(script.requests) == 1
    else:
        calls = 1
        assert exact(script, progress=progress, times=2).total == 0
        assert len(script.requests) == 3


async def awaited(_: int) -> None:
    """Is never called."""


@pytest.mark.parametrize("progress", [5, "print", awaited])
def test_progress_that_can_not_be_called(exact: Lister, progress: Any) -> None:
    """It is refused before anything is sent."""
    script = Script(page())
    with pytest.raises(TypeError, match="progress must be a"):
        exact(script, progress=progress)
    assert script.requests == []


def test_threads_count_side_by_side() -> None:
    """Counts that run at once over one client don't mix."""

    def handler(request: httpx.Request) -> httpx.Response:
        job = request.url.path.split("/")[2]
        number = int(request.url.params.get("$skiptoken", "0"))
        more = link_to(str(number + 1), job) if number < 9 else None
        reply = page(*(task(f"{job}-{number}-{n}") for n in range(int(job))), link=more).response()
        reply.headers["client-request-id"] = request.headers["client-request-id"]
        return reply

    results: dict[int, Snapshot] = {}
    with TaskCountsClient(ENDPOINT, KEY, transport=httpx.MockTransport(handler)) as client:

        def count(job: int) -> None:
            results[job] = client.get_exact_job_task_counts(str(job))

        threads = [threading.Thread(target=count, args=(job,)) for job in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {job: snapshot.total for job, snapshot in results.items()} == {
        job: 10 * job for job in range(1, 9)
    }
