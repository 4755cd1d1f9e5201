"""The tasks of get_many: they end, however the loop over the results does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from support.answers import answer, error
from support.client import ENDPOINT, KEY
from support.many import by_id, ids
from taskcounts import AsyncTaskCountsClient, JobResult
from taskcounts.many.plan import PREFETCH
from taskcounts.net.limits import MAX_CONNECTIONS


async def good(request: httpx.Request) -> httpx.Response:
    """Answer as the service does, after a moment."""
    await asyncio.sleep(0)
    return answer(client_request_id=request.headers["client-request-id"]).response()


def running(
    main: Callable[[AsyncTaskCountsClient], Awaitable[Any]], handler: Any = good, **options: Any
) -> Any:
    """Run something with a client that needs no socket; no task may be left at its end."""

    async def run() -> Any:
        async with AsyncTaskCountsClient(
            ENDPOINT, KEY, transport=httpx.MockTransport(handler), **options
        ) as client:
            async with asyncio.timeout(60):
                result = await main(client)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return asyncio.run(run())


async def collect(results: AsyncIterator[JobResult], seen: list[str]) -> None:
    """Take all results, and note whose they are as they come."""
    async for result in results:
        seen.append(result.job_id)  # noqa: PERF401 - it may end in the middle.


async def stream(number: int) -> AsyncIterator[str]:
    """Yield job ids, asynchronously."""
    for job_id in ids(number):
        await asyncio.sleep(0)
        yield job_id


def test_asynchronous_ids() -> None:
    """Ids may come from an asynchronous iterator, such as a list of jobs."""

    async def main(client: AsyncTaskCountsClient) -> Any:
        return [result async for result in client.get_many(stream(50), concurrency=4)]

    assert set(by_id(running(main))) == set(ids(50))


def test_asynchronous_ids_do_not_hold_up_results() -> None:
    """While the next id is awaited, results come."""

    async def main(client: AsyncTaskCountsClient) -> None:
        more = asyncio.Event()

        async def slow() -> AsyncIterator[str]:
            yield "a"
            await more.wait()
            yield "b"

        seen = []
        async for result in client.get_many(slow()):
            seen.append(result.job_id)
            more.set()
        assert seen == ["a", "b"]

    running(main)


def test_asynchronous_ids_that_fail() -> None:
    """An error of an asynchronous iterator is raised after the results of the ids before."""

    async def broken() -> AsyncIterator[str]:
        async for job_id in stream(5):
            yield job_id
        raise OSError("the disk is gone")

    async def main(client: AsyncTaskCountsClient) -> list[str]:
        seen: list[str] = []
        with pytest.raises(OSError, match="the disk is gone"):
            await collect(client.get_many(broken()), seen)
        return seen

    assert set(running(main)) == set(ids(5))


def test_reader_that_is_cancelled() -> None:
    """If the reading of the ids is cancelled, so is the call, and it doesn't wait for ever."""

    async def broken() -> AsyncIterator[str]:
        yield "a"
        raise asyncio.CancelledError

    async def main(client: AsyncTaskCountsClient) -> None:
        seen: list[str] = []
        with pytest.raises(asyncio.CancelledError):
            await collect(client.get_many(broken()), seen)
        assert seen == ["a"]

    running(main)


@pytest.mark.parametrize("source", [ids, stream])
def test_closed_iterator(source: Callable[[int], Any]) -> None:
    """A loop that is left and closed leaves no task, and the client can be used again."""

    async def main(client: AsyncTaskCountsClient) -> None:
        async with contextlib.aclosing(client.get_many(source(1000), concurrency=16)) as results:
            async for _ in results:
                break
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (await client.get_job_task_counts("job-1")).total == 12

    running(main)


def test_dropped_iterator() -> None:
    """One that is only dropped ends, too, when asyncio comes to it."""

    async def main(client: AsyncTaskCountsClient) -> None:
        async for _ in client.get_many(ids(1000)):
            break
        for _ in range(200):
            await asyncio.sleep(0)

    running(main)


def test_cancelled_loop() -> None:
    """Cancelling the task that takes the results cancels all requests, and releases their permits."""

    async def forever(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def main(client: AsyncTaskCountsClient) -> None:
        async def consume() -> None:
            async for _ in client.get_many(ids(100), concurrency=8):
                raise AssertionError

        task = asyncio.create_task(consume())
        for _ in range(20):
            await asyncio.sleep(0)
        limiter: Any = client._settings.limiter
        assert limiter.in_flight == 4
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limiter.in_flight == 0

    running(main, forever, concurrency=4)


def test_cancelled_while_the_service_is_busy() -> None:
    """So does cancelling while all wait for a busy service."""

    def busy(request: httpx.Request) -> httpx.Response:
        return error(429, "TooManyRequests", retry_after="3000").response()

    async def main(client: AsyncTaskCountsClient) -> None:
        async def consume() -> None:
            async for _ in client.get_many(ids(100), concurrency=8):
                raise AssertionError

        task = asyncio.create_task(consume())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    running(main, busy, deadline=10**6)


@pytest.mark.parametrize("number", [1, 8, MAX_CONNECTIONS])
def test_as_many_as_allowed_at_once(number: int) -> None:
    """So many jobs are asked for at once, and no more, by as many tasks."""
    under_way = most = 0
    workers: set[Any] = set()

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        workers.add(asyncio.current_task())
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        return await good(request)

    async def main(client: AsyncTaskCountsClient) -> int:
        return len([result async for result in client.get_many(ids(4 * number), concurrency=number)])

    assert running(main, handler) == 4 * number
    assert (most, len(workers)) == (number, number)


def test_ids_without_end_leave_time_to_others() -> None:
    """Values that are no job ids leave the event loop time for other tasks."""

    def endless() -> Iterator[str]:
        while True:
            yield "no id"

    async def main(client: AsyncTaskCountsClient) -> None:
        async def consume() -> None:
            async for _ in client.get_many(endless()):
                pass

        task = asyncio.create_task(consume())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    running(main)


def test_jobs_go_on_while_the_loop_is_busy() -> None:
    """While the body of the loop waits, the workers go on until enough results are ahead of it."""
    asked = 0

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return await good(request)

    async def main(client: AsyncTaskCountsClient) -> None:
        async with contextlib.aclosing(client.get_many(ids(1000), concurrency=4)) as results:
            taken = 0
            async for _ in results:
                taken += 1
                for _ in range(50):
                    await asyncio.sleep(0)
                assert asked == taken + 4 + PREFETCH
                if taken == 20:
                    break

    running(main, handler)


def test_cancelled_by_others() -> None:
    """If other code cancels the tasks, the loop over the results ends as cancelled, too."""

    def cancel_all(*_: int) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def main(client: AsyncTaskCountsClient) -> None:
        with pytest.raises(asyncio.CancelledError):
            await collect(client.get_many(ids(100), concurrency=4, progress=cancel_all), [])

    running(main)


def test_engine_that_goes_on_when_it_is_cancelled() -> None:
    """A request that can't be cancelled is waited for, and no other job is asked for after it."""
    asked: list[str] = []

    async def stubborn(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0 if len(asked) == 1 else 20)
        return await good(request)

    async def main(client: AsyncTaskCountsClient) -> None:
        async with contextlib.aclosing(client.get_many(ids(1000), concurrency=4)) as results:
            async for _ in results:
                break

    running(main, stubborn)
    assert len(asked) <= 5


def test_ids_that_go_on_when_they_are_cancelled() -> None:
    """So are ids whose reading can't be cancelled; none of them is asked for."""
    read: list[str] = []

    async def stubborn() -> AsyncIterator[str]:
        yield "a"
        for job_id in ids(1000):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(20)
            read.append(job_id)
            yield job_id

    async def main(client: AsyncTaskCountsClient) -> None:
        async with contextlib.aclosing(client.get_many(stubborn(), concurrency=4)) as results:
            async for _ in results:
                break

    running(main)
    assert read == ["job-0"]
