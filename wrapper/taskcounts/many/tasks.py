"""Where many jobs stand, asked for by the tasks of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Iterable
from typing import Any

from taskcounts._transport import AsyncClock, AsyncEngine, run_async
from taskcounts.errors import TaskCountsError
from taskcounts.many.asking import Plan, Tally, count_one, failed, refusal
from taskcounts.many.values import JobResult


async def count_many_async(
    plan: Plan, job_ids: Iterable[str] | AsyncIterable[str], engine: AsyncEngine, clock: AsyncClock
) -> AsyncGenerator[JobResult, None]:
    """Yield the results of all jobs as they come."""
    tally = Tally(plan.progress)
    crew = _Crew(plan, clock.monotonic() + plan.deadline, engine, clock)
    reader = crew.start(crew.read(job_ids))
    try:
        while crew.busy or not reader.done():
            done = await crew.ended.get()
            if done is not reader:
                yield tally.count(crew.result_of(done))
    finally:
        await crew.stop()
    # What reading the ids ended with, if it didn't come to their end.
    reader.result()


class _Crew:
    """Tasks: one that reads ids, and one for each job that is asked for."""

    def __init__(self, plan: Plan, ends: float, engine: AsyncEngine, clock: AsyncClock) -> None:
        self.busy = 0
        self.ended: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()
        self._plan = plan
        self._ends = ends
        self._engine = engine
        self._clock = clock
        self._room = asyncio.Semaphore(plan.concurrency)
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task, which is put into the queue when it has ended."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self.ended.put_nowait)
        return task

    async def read(self, job_ids: Iterable[str] | AsyncIterable[str]) -> None:
        """Have each job asked for as soon as there is room."""
        if isinstance(job_ids, AsyncIterable):
            async for job_id in job_ids:
                await self._ask(job_id)
        else:
            for job_id in job_ids:
                await self._ask(job_id)

    def result_of(self, task: asyncio.Task[Any]) -> JobResult:
        """Return the result of a task that has ended; raise what isn't one."""
        self._tasks.discard(task)
        self.busy -= 1
        self._room.release()
        result: JobResult = task.result()
        return result

    async def stop(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, job_id: str) -> None:
        await self._room.acquire()
        self.busy += 1
        self.start(self._count(job_id))

    async def _count(self, job_id: str) -> JobResult:
        if (error_of_id := refusal(job_id)) is not None:
            return JobResult(job_id=job_id, error=error_of_id)
        flow = count_one(self._plan, self._plan.settings, job_id, self._ends)
        try:
            return JobResult(job_id=job_id, snapshot=await run_async(flow, self._engine, self._clock))
        except TaskCountsError as error:
            return failed(job_id, error)
