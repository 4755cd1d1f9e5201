"""Where many jobs stand, asked for by the tasks of an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from taskcounts.clock import AsyncClock
from taskcounts.errors import TaskCountsError
from taskcounts.flow.drive import run_async
from taskcounts.many.plan import AHEAD, Plan, Tally, counting, failed, refusal
from taskcounts.many.values import JobResult
from taskcounts.net.base import running_loop

if TYPE_CHECKING:
    from taskcounts.net.base import AsyncEngine


async def count_many_async(
    plan: Plan, job_ids: Iterable[str] | AsyncIterable[str], engine: AsyncEngine, clock: AsyncClock
) -> AsyncGenerator[JobResult, None]:
    """Yield the results of all jobs as they come."""
    tally = Tally(plan.progress)
    crew = _Crew(plan, clock.monotonic() + plan.deadline, engine, clock)
    reader = crew.start(crew.read(job_ids), lambda _: crew.news.ring())
    try:
        while crew.busy or not reader.done():
            if crew.results:
                yield tally.count(crew.take_result())
            else:
                await crew.news.wait()
    finally:
        await crew.stop()
    # What reading the ids ended with, if it didn't come to their end.
    reader.result()


class _Bell:
    """Wakes the one task that waits; who rings while nobody waits is not heard."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Wait until somebody rings."""
        self._rung = self._loop.create_future()
        await self._rung

    def ring(self) -> None:
        """Wake who waits."""
        if self._rung is not None and not self._rung.done():
            self._rung.set_result(None)


class _Crew:
    """Tasks: one that reads ids, and workers that each ask for one job after the other."""

    def __init__(self, plan: Plan, ends: float, engine: AsyncEngine, clock: AsyncClock) -> None:
        self._loop = running_loop()
        # How many jobs were read whose results were not taken yet.
        self.busy = 0
        # Results as they came, and workers that ended with something else.
        self.results: deque[JobResult | asyncio.Task[Any]] = deque()
        self.news = _Bell()
        self._room = _Bell()
        self._plan = plan
        self._ends = ends
        self._engine = engine
        self._clock = clock
        self._limiter: Any = plan.settings.limiter
        self._ended = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._workers = 0
        self._ids: deque[str] = deque()
        self._idle: list[asyncio.Future[str]] = []

    def start(
        self, work: Coroutine[Any, Any, Any], at_end: Callable[[asyncio.Task[Any]], None]
    ) -> asyncio.Task[Any]:
        """Start a task; something is to be done when it has ended."""
        task = self._loop.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(at_end)
        return task

    async def read(self, job_ids: Iterable[str] | AsyncIterable[str]) -> None:
        """Have each job asked for, as far as there is room for results that nobody has taken yet."""
        if isinstance(job_ids, AsyncIterable):
            async for job_id in job_ids:
                await self._ask(job_id)
        else:
            for job_id in job_ids:
                await self._ask(job_id)

    def take_result(self) -> JobResult:
        """Return the next result; raise what isn't one."""
        result = self.results.popleft()
        self.busy -= 1
        self._room.ring()
        return result if isinstance(result, JobResult) else result.result()

    async def stop(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, job_id: str) -> None:
        """Have a job asked for, and wait until there is room for another one."""
        if self._ended:
            # They come from code that goes on when it is cancelled.
            raise asyncio.CancelledError
        if (error_of_id := refusal(job_id)) is not None:
            self._give(JobResult(job_id=job_id, error=error_of_id))
        elif self._idle:
            self._idle.pop().set_result(job_id)
        elif self._workers < self._plan.concurrency:
            self._workers += 1
            self.start(self._work(job_id), self._give)
        else:
            self._ids.append(job_id)
        self.busy += 1
        while self.busy >= self._plan.concurrency + AHEAD:
            await self._room.wait()

    async def _work(self, job_id: str) -> None:
        while True:
            self._give(await self._count(job_id))
            if self._ended:
                # Its engine goes on when it is cancelled.
                return
            if self._ids:
                job_id = self._ids.popleft()
            else:
                self._idle.append(self._loop.create_future())
                job_id = await self._idle[-1]

    async def _count(self, job_id: str) -> JobResult:
        try:
            permit = await self._limiter.acquire(self._ends)
            flow = counting(self._plan, self._plan.settings, job_id, permit, self._ends)
            return JobResult(job_id=job_id, snapshot=await run_async(flow, self._engine, self._clock))
        except TaskCountsError as error:
            return failed(job_id, error)

    def _give(self, result: JobResult | asyncio.Task[Any]) -> None:
        self.results.append(result)
        self.news.ring()
