"""Counts of many jobs, asked for by the tasks of an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from taskcounts.clock import AnyClock
from taskcounts.errors import TaskCountsError
from taskcounts.flow.drive import run_async
from taskcounts.many.plan import PREFETCH, ManyPlan, Tally, count_job, error_result, job_id_error
from taskcounts.many.values import JobResult
from taskcounts.net.base import running_loop

if TYPE_CHECKING:
    from taskcounts.net.base import AsyncEngine


async def count_many_async(
    plan: ManyPlan, job_ids: Iterable[str] | AsyncIterable[str], engine: AsyncEngine, clock: AnyClock
) -> AsyncGenerator[JobResult, None]:
    """Yield the results of all jobs as they come."""
    tally = Tally(plan.progress)
    workers = _Workers(plan, engine, clock)
    reader = workers.start(workers.read(job_ids), lambda _: workers.news.set())
    try:
        while workers.pending or not reader.done():
            if workers.results:
                yield tally.count(workers.take_result())
            else:
                workers.news.clear()
                await workers.news.wait()
    finally:
        await workers.stop()
    # Raises the error that ended the reading of the ids, if one did.
    reader.result()


class _Workers:
    """Tasks: one that reads ids, and others that each ask for one job after the other."""

    def __init__(self, plan: ManyPlan, engine: AsyncEngine, clock: AnyClock) -> None:
        self._loop = running_loop()
        # The number of jobs that were read whose results were not taken yet.
        self.pending = 0
        # Results as they came, and tasks of workers that failed with an error that is not a job's own.
        self.results: deque[JobResult | asyncio.Task[Any]] = deque()
        # Set when there is a new result, or the ids are read; and when there is room for another job.
        self.news, self._room = asyncio.Event(), asyncio.Event()
        self._plan = plan
        self._ends = clock.monotonic() + plan.deadline
        self._engine = engine
        self._clock = clock
        self._stopped = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._workers = 0
        self._ids: deque[str] = deque()
        self._idle: list[asyncio.Future[str]] = []

    def start(
        self, work: Coroutine[Any, Any, Any], at_end: Callable[[asyncio.Task[Any]], None]
    ) -> asyncio.Task[Any]:
        """Start a task, and have a function called at its end."""
        task = self._loop.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(at_end)
        return task

    async def read(self, job_ids: Iterable[str] | AsyncIterable[str]) -> None:
        """Submit all jobs, each as soon as there is room for it."""
        if isinstance(job_ids, AsyncIterable):
            async for job_id in job_ids:
                await self._submit(job_id)
        else:
            for job_id in job_ids:
                await self._submit(job_id)

    def take_result(self) -> JobResult:
        """Return the next result; raise an error that is not a job's own."""
        result = self.results.popleft()
        self.pending -= 1
        self._room.set()
        return result if isinstance(result, JobResult) else result.result()

    async def stop(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _submit(self, job_id: str) -> None:
        """Have a job asked for, and wait until there is room for another one."""
        if self._stopped:
            # The iterator of the ids goes on although it was cancelled.
            raise asyncio.CancelledError
        if (error_of_id := job_id_error(job_id)) is not None:
            self._add_result(JobResult(job_id=job_id, error=error_of_id))
        elif self._idle:
            self._idle.pop().set_result(job_id)
        elif self._workers < self._plan.concurrency:
            self._workers += 1
            self.start(self._work(job_id), self._add_result)
        else:
            self._ids.append(job_id)
        self.pending += 1
        while self.pending >= self._plan.concurrency + PREFETCH:
            self._room.clear()
            await self._room.wait()

    async def _work(self, job_id: str) -> None:
        while True:
            self._add_result(await self._count(job_id))
            if self._stopped:
                # The engine goes on although it was cancelled.
                return
            if self._ids:
                job_id = self._ids.popleft()
            else:
                self._idle.append(self._loop.create_future())
                job_id = await self._idle[-1]

    async def _count(self, job_id: str) -> JobResult:
        try:
            flow = count_job(self._plan, job_id, self._ends)
            return JobResult(job_id=job_id, snapshot=await run_async(flow, self._engine, self._clock))
        except TaskCountsError as error:
            return error_result(job_id, error)

    def _add_result(self, result: JobResult | asyncio.Task[Any]) -> None:
        self.results.append(result)
        self.news.set()
