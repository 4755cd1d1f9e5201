"""get_many: results, errors, limits and refused arguments, with either client."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support.answers import BUSY, COUNTS, Script, answer, error
from support.client import ENDPOINT, KEY
from support.clocks import FakeClock
from support.many import Many, by_id, ids
from support.servers import Server, always
from taskcounts import (
    ContractViolation,
    DeadlineExceeded,
    JobNotFound,
    RetryPolicy,
    ServiceBusy,
    ServiceUnreachable,
    SharedKey,
)
from taskcounts_emulator import Emulator


def handle(request: httpx.Request) -> httpx.Response:
    """Answer with the number in the job's id; there is no job-13."""
    job_id = request.url.path.split("/")[2]
    number = int(job_id.removeprefix("job-"))
    if number == 13:
        return error(404, "JobNotFound").response()
    counts = {**COUNTS["taskCounts"], "active": number}
    reply = answer({**COUNTS, "taskCounts": counts}, client_request_id=request.headers["client-request-id"])
    return reply.response()


def test_each_job_has_an_outcome_of_its_own(many: Many) -> None:
    """Each job gives its own counts or its own error, and none is lost."""
    results = many(handle, ids(50), concurrency=8)
    assert len(results) == 50
    found = by_id(results)
    assert set(found) == set(ids(50))
    for n in range(50):
        result = found[f"job-{n}"]
        if n == 13:
            assert result.snapshot is None
            assert isinstance(result.error, JobNotFound)
            assert result.error.job_id == "job-13"
        else:
            assert result.error is None
            assert result.snapshot is not None
            assert (result.snapshot.job_id, result.snapshot.task_counts.active) == (f"job-{n}", n)
    requests = {result.snapshot.client_request_id for result in results if result.snapshot}
    assert len(requests) == 49


def test_nothing_to_ask(many: Many) -> None:
    """No jobs give no results."""
    assert many(handle, []) == []


def test_twice_given_is_twice_asked(many: Many) -> None:
    """An id that is given twice is asked for twice."""
    script = Script(answer())
    assert len(many(script, ["a", "a"])) == 2
    assert len(script.requests) == 2


@pytest.mark.parametrize("source", [iter, tuple, set, dict.fromkeys])
def test_where_ids_come_from(many: Many, source: Callable[[list[str]], Any]) -> None:
    """Ids come from whatever can be iterated over."""
    assert len(many(handle, source(ids(5)))) == 5


@pytest.mark.parametrize("wrong", ["job-1", b"job-1", 5, None])
def test_no_ids(many: Many, wrong: Any) -> None:
    """A string is no list of ids, though its letters are ids; nothing is sent."""
    script = Script(answer())
    with pytest.raises(TypeError, match="job_ids must be several job ids, such as a list, not"):
        many(script, wrong, take=0)
    assert script.requests == []


def test_what_is_no_job_id(many: Many) -> None:
    """A value that is no job id has an error as its result, without a request; the others go on."""
    script = Script(answer())
    results = by_id(many(script, ["a", "../b", "", 5, "c"]))
    assert {job_id for job_id, result in results.items() if result.error is None} == {"a", "c"}
    assert isinstance(results["../b"].error, ValueError)
    assert isinstance(results[""].error, ValueError)
    assert isinstance(results[5].error, TypeError)  # type: ignore[index]
    assert len(script.requests) == 2


def test_ids_that_cannot_even_be_shown(many: Many) -> None:
    """An error of the check of an id itself is raised after the results of the ids before."""

    class Odd(str):
        __slots__ = ()

        def __repr__(self) -> str:
            raise OSError("not to be shown")

    seen: list[tuple[int, int]] = []
    with pytest.raises(OSError, match="not to be shown"):
        many(handle, ["job-1", "job-2", Odd("../b")], progress=lambda *so_far: seen.append(so_far))
    assert seen == [(1, 0), (2, 0)]


def test_arguments(many: Many) -> None:
    """Wrong arguments are refused at once, before any request and before any id is read."""
    script = Script(answer())

    def unread() -> Iterator[str]:
        raise AssertionError
        yield

    wrongs: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"concurrency": 0}, ValueError, "concurrency is 0; give 1 to 256"),
        ({"concurrency": 257}, ValueError, "concurrency is 257"),
        ({"concurrency": "2"}, TypeError, "concurrency must be an int"),
        ({"deadline": 0}, ValueError, "deadline is 0"),
        ({"deadline": "1"}, TypeError, "deadline must be"),
        ({"timeout": -1}, ValueError, "timeout is -1"),
        ({"service_timeout": 31}, ValueError, "service_timeout is 31"),
        ({"progress": 3}, TypeError, "progress must be a function, not int"),
        ({"client": {"concurrency": 0}}, ValueError, "concurrency is 0"),
    ]
    for options, kind, text in wrongs:
        with pytest.raises(kind, match=text):
            many(script, unread(), take=0, **options)
    client = many.client_type(ENDPOINT, KEY, transport=httpx.MockTransport(script))
    client._closed = True
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.get_many(["a"])
    assert script.requests == []


def test_nothing_happens_before_the_first_result_is_wanted(many: Many) -> None:
    """No request and no thread, and no id is read."""
    script, read = Script(answer()), []
    threads = threading.active_count()
    assert many(script, (read.append(each) or each for each in ids(5)), take=0) == []  # type: ignore[func-returns-value]
    assert (read, script.requests, threading.active_count()) == ([], [], threads)


def test_ids_are_read_as_needed(many: Many) -> None:
    """An endless iterator is read a few ids ahead of the results, no more."""
    read: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            read.append(f"job-{len(read)}")
            yield read[-1]

    results = many(Script(answer()), endless(), concurrency=4, take=20)
    assert len(results) == 20
    assert 20 <= len(read) <= 20 + 4 + 5


def test_iterator_that_fails(many: Many) -> None:
    """An error of the iterator is raised after the results of the ids before."""

    def broken() -> Iterator[str]:
        yield from ids(10)
        raise OSError("the disk is gone")

    seen: list[tuple[int, int]] = []
    with pytest.raises(OSError, match="the disk is gone"):
        many(handle, broken(), concurrency=3, progress=lambda *so_far: seen.append(so_far))
    assert seen == [(n, 0) for n in range(1, 11)]


def test_progress(many: Many) -> None:
    """Before each result, progress is called with the number of results and of errors."""
    told: list[tuple[int, int]] = []
    results = many(handle, [*ids(20), "no id"], concurrency=4, progress=lambda *both: told.append(both))
    assert [done for done, _ in told] == list(range(1, 22))
    errors = [result.error is not None for result in results]
    assert [failed for _, failed in told] == [sum(errors[: n + 1]) for n in range(21)]
    assert told[-1] == (21, 2)


def test_progress_that_raises(many: Many) -> None:
    """An error of progress ends the call, and the client can be used again."""

    def stop(done: int, _: int) -> None:
        if done == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        many(handle, ids(1000), progress=stop)


def test_bugs_stay_bugs(many: Many) -> None:
    """An error other than a TaskCountsError is raised, and isn't a result."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        many(handler, ids(5))


def test_limits_of_each_request(many: Many) -> None:
    """The limits of each request are passed on; each job has the client's deadline."""
    script, clock = Script(BUSY), FakeClock()
    results = many(
        script, ["a"], timeout=3, service_timeout=7, client={"clock": clock, "deadline": 1.2}, deadline=500
    )
    assert script.requests[0].url.params["timeout"] == "7"
    # Half a second fits into the client's deadline, one more second doesn't.
    assert clock.pauses == [0.5]
    assert isinstance(results[0].error, ServiceBusy)


def test_deadline_of_all(many: Many, clock: FakeClock) -> None:
    """Each job that isn't asked for within the deadline of all has an error: none is lost."""

    def slow(request: httpx.Request) -> httpx.Response:
        clock.pass_by(10)
        return handle(request)

    results = many(slow, ids(100), concurrency=1, client={"clock": clock}, deadline=35)
    late = [result for result in results if isinstance(result.error, DeadlineExceeded)]
    assert len(results) == 100
    assert len(late) == 96
    first = late[0].error
    assert isinstance(first, DeadlineExceeded)
    assert first.attempts == 0
    assert str(first) == (
        f"job '{late[0].job_id}': not asked for: the deadline of 35 s for all jobs ends before (0 attempts)"
    )


def test_deadline_of_all_cuts_that_of_each(many: Many, clock: FakeClock) -> None:
    """No job goes on beyond the deadline of all, nor waits for a pause that doesn't fit into it."""
    script = Script(answer(b"", 500))
    results = many(script, ["a"], client={"clock": clock}, deadline=1)
    assert clock.pauses == [0.5]
    assert "the next attempt would wait 1 s, the deadline leaves 0.5 s" in str(results[0].error)


def test_busy_service_is_left_alone_by_all(many: Many, clock: FakeClock) -> None:
    """A Retry-After of one job delays all, and uses up no deadline of a job that isn't asked for yet."""
    starts: list[float] = []

    def handler(request: httpx.Request) -> httpx.Response:
        starts.append(clock.seconds)
        if len(starts) == 1:
            return error(429, "TooManyRequests", retry_after="300").response()
        return handle(request)

    results = many(handler, ids(3), concurrency=1, client={"clock": clock, "deadline": 120})
    # The one that was refused can't wait for so long; the others are asked for after that.
    assert [type(result.error) for result in results] == [ServiceBusy, type(None), type(None)]
    assert starts == [1000, 1300, 1300]


def test_busy_beyond_the_deadline_of_all(many: Many, clock: FakeClock) -> None:
    """All jobs end at once if the service asks for more time than is left, and the error says so."""
    script = Script(error(429, "TooManyRequests", retry_after="300"))
    results = many(script, ids(3), concurrency=1, client={"clock": clock}, deadline=200)
    assert [type(result.error) for result in results] == [ServiceBusy, DeadlineExceeded, DeadlineExceeded]
    assert str(results[1].error) == (
        "job 'job-1': not asked for: the deadline of 200 s for all jobs ends before; "
        "the service is busy, and asked to be left alone for 300.0 s (0 attempts)"
    )
    assert len(script.requests) == 1


def test_client_of_limited_concurrency(many: Many) -> None:
    """A client's own limit holds for get_many as well."""
    lock, under_way, most = threading.Lock(), 0, 0

    def count(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        response = handle(request)
        with lock:
            under_way -= 1
        return response

    assert len(many(count, ids(60), concurrency=16, client={"concurrency": 2})) == 60
    assert most <= 2


def test_answers_that_cannot_be_trusted(many: Many) -> None:
    """An answer that breaks the contract is an error of its job alone."""

    def odd(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/jobs/job-3/"):
            return answer(b"{}").response()
        return handle(request)

    results = by_id(many(odd, ids(6)))
    assert isinstance(results["job-3"].error, ContractViolation)
    assert sum(result.error is not None for result in results.values()) == 1


def test_against_the_emulator(many: Many) -> None:
    """Over sockets, with an emulator that throttles now and then: every job's true counts."""
    with Emulator(scripted=True, seed=3) as emulator:
        for n in range(60):
            emulator.add_job(f"job-{n}", n)
        emulator.fault("throttled", operation="Job_GetTaskCounts", probability=0.2, retry_after=0)
        emulator.fault("reset", operation="Job_GetTaskCounts", probability=0.05)
        policy = RetryPolicy(max_attempts=20, first_pause=0.001, max_pause=0.001)
        client = {"credential": SharedKey(emulator.account, emulator.key), "retry": policy}
        results = by_id(many(emulator.endpoint, [*ids(60), "none"], client=client))
        assert len(results) == 61
        assert isinstance(results.pop("none").error, JobNotFound)
        for job_id, result in results.items():
            assert result.snapshot is not None
            assert result.snapshot.total == int(job_id.removeprefix("job-"))


def test_unreachable(many: Many, serve: Callable[..., Server]) -> None:
    """A server that hangs up gives each job its own error."""
    server = serve(always(answer(b"", 500)))
    server.close()
    results = many(server.url, ids(20), client={"retry": RetryPolicy(max_attempts=1)})
    assert len(results) == 20
    for result in results:
        assert isinstance(result.error, ServiceUnreachable)
        assert result.error.job_id == result.job_id


# What a process keeps after some results and after many more, as blocks of memory: a process of its own, as
# other tests leave things behind and coverage keeps notes.
KEPT = """
import asyncio, gc, sys
import httpx
from support.answers import answer
from support.client import ENDPOINT, KEY
from taskcounts import AsyncTaskCountsClient, TaskCountsClient

def look(done, _):
    if done in (400, 2400):
        gc.collect()
        print(sys.getallocatedblocks())

async def wait():
    async with AsyncTaskCountsClient(ENDPOINT, KEY, transport=transport) as client:
        async for _ in client.get_many(job_ids, progress=look):
            pass

reply = answer()
transport = httpx.MockTransport(lambda _: reply.response())
job_ids = (f"job-{n}" for n in range(2500))
if sys.argv[1] == "async":
    asyncio.run(wait())
else:
    with TaskCountsClient(ENDPOINT, KEY, transport=transport) as client:
        for _ in client.get_many(job_ids, progress=look):
            pass
"""


@pytest.mark.slow  # It measures the memory of a process.
def test_memory_is_flat(many: Many) -> None:
    """The memory in use doesn't grow with the number of jobs."""
    arguments = [sys.executable, "-c", KEPT, "async" if many.awaits else "sync"]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(arguments, env=environ, capture_output=True, text=True, check=True)  # noqa: S603
    few, many_more = map(int, done.stdout.split())
    # Nothing, however small, is kept of each of the 2,000 jobs in between.
    assert many_more - few < 2000
