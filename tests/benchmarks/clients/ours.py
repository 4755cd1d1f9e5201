"""Ours: `get_job_task_counts` in threads or tasks, `get_many` in both worlds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import repeat
from typing import Any

from benchmarks.clients.measure import Meter, Setting, in_tasks, in_threads, setting
from taskcounts import AsyncTaskCountsClient, SharedKey, TaskCountsClient


def options(given: Setting) -> dict[str, Any]:
    """Return the arguments of both clients."""
    return {
        "endpoint": given.endpoint,
        "credential": SharedKey(given.account, given.key),
        "verify": given.authority,
        "strict": True,
    }


async def opened(given: Setting) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Give a call."""
    async with AsyncTaskCountsClient(**options(given)) as client:
        yield lambda: client.get_job_task_counts(given.job)


def many(given: Setting) -> None:
    """Measure get_many: its jobs come one by one, and its results are dropped."""
    with TaskCountsClient(**options(given)) as client:

        def work(calls: int) -> None:
            for result in client.get_many(repeat(given.job, calls), concurrency=given.in_flight):
                if result.error is not None:
                    raise result.error

        work(given.warm_up)
        meter = Meter(given)
        work(given.calls)
        meter.end()


async def many_async(given: Setting) -> None:
    """Measure get_many likewise, as coroutines."""
    async with AsyncTaskCountsClient(**options(given)) as client:

        async def work(calls: int) -> None:
            async for result in client.get_many(repeat(given.job, calls), concurrency=given.in_flight):
                if result.error is not None:
                    raise result.error

        await work(given.warm_up)
        meter = Meter(given)
        await work(given.calls)
        meter.end()


def main(given: Setting) -> None:
    """Measure what is wanted."""
    if given.how == "async":
        in_tasks(given, opened)
    elif given.how == "many":
        many(given)
    elif given.how == "many-async":
        import asyncio

        asyncio.run(many_async(given))
    else:
        with TaskCountsClient(**options(given)) as client:
            in_threads(given, lambda: client.get_job_task_counts(given.job))


if __name__ == "__main__":
    main(setting())
