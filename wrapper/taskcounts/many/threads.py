"""Where many jobs stand, asked for by threads.

The ids are read, and progress is told, in the thread that takes the results: iterators are often bound to
a thread. The threads in here ask, and nothing else. They are daemons, so that a server which doesn't answer
can't keep the process from ending.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from datetime import datetime
from queue import SimpleQueue
from typing import cast

from taskcounts._steps import Answer, Failure, Request
from taskcounts._transport import Engine, SyncClock, run
from taskcounts.errors import TaskCountsError
from taskcounts.many.asking import Plan, Tally, count_one, failed, refusal
from taskcounts.many.gate import Lane, Stopped, ThreadGate, doze
from taskcounts.many.values import JobResult

# How many ids are read beyond those that are asked for, so that no thread waits for the next one.
AHEAD = 4

# Seconds for which the end of the results waits for requests that are under way. An attempt that takes
# longer ends by itself, with its own limit of time, and what comes of it is dropped.
GRACE = 1.0


def count_many(
    plan: Plan, job_ids: Iterator[str], engine: Engine, clock: SyncClock
) -> Generator[JobResult, None, None]:
    """Yield the results of all jobs as they come."""
    tally = Tally(plan.progress)
    ends = clock.monotonic() + plan.deadline
    crew = _Crew(plan, ends, engine, clock)
    trouble: Exception | None = None
    reads = True
    try:
        while reads or crew.busy:
            if reads:
                try:
                    job_id = next(job_ids)
                except StopIteration:
                    reads = False
                    continue
                except Exception as error:
                    # What was asked for by now is not lost.
                    trouble, reads = error, False
                    continue
                if (error_of_id := refusal(job_id)) is not None:
                    yield tally.count(JobResult(job_id=job_id, error=error_of_id))
                    continue
                crew.ask(job_id)
                if crew.busy < plan.concurrency + AHEAD and not crew.has_results():
                    continue
            yield tally.count(crew.next_result())
    finally:
        crew.stop()
    if trouble is not None:
        raise trouble


class _Crew:
    """Threads that ask for one job after the other."""

    def __init__(self, plan: Plan, ends: float, engine: Engine, clock: SyncClock) -> None:
        self.busy = 0
        self._plan = plan
        self._ends = ends
        self._stop = threading.Event()
        self._gate = cast(ThreadGate, plan.settings.gate)
        self._engine = _StoppableEngine(engine, self._stop)
        self._clock = _StoppableClock(clock, self._stop)
        self._settings = plan.settings._replace(gate=Lane(self._gate, self._stop), clock=self._clock)
        self._jobs: SimpleQueue[str | None] = SimpleQueue()
        self._results: SimpleQueue[JobResult | BaseException] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def ask(self, job_id: str) -> None:
        """Have a job asked for."""
        self.busy += 1
        if len(self._threads) < min(self.busy, self._plan.concurrency):
            name = f"taskcounts-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            # Only one that has begun can be waited for.
            thread.start()
            self._threads.append(thread)
        self._jobs.put(job_id)

    def has_results(self) -> bool:
        """Whether a result is there already."""
        return not self._results.empty()

    def next_result(self) -> JobResult:
        """Return the next result; raise what isn't one."""
        result = self._results.get()
        self.busy -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def stop(self) -> None:
        """Send nothing more, and wait a little for what is under way."""
        self._stop.set()
        self._gate.wake()
        for _ in self._threads:
            self._jobs.put(None)
        patience = time.monotonic() + GRACE
        for thread in self._threads:
            # It is this thread itself where the garbage collector ends an iterator that was dropped.
            if thread is not threading.current_thread():
                thread.join(max(patience - time.monotonic(), 0))

    def _work(self) -> None:
        while (job_id := self._jobs.get()) is not None:
            try:
                self._results.put(self._count(job_id))
            except Stopped:
                return
            except BaseException as error:
                self._results.put(error)

    def _count(self, job_id: str) -> JobResult:
        flow = count_one(self._plan, self._settings, job_id, self._ends)
        try:
            return JobResult(job_id=job_id, snapshot=run(flow, self._engine, self._clock))
        except TaskCountsError as error:
            return failed(job_id, error)


class _StoppableEngine:
    """An engine that sends nothing more once nobody wants the answers."""

    def __init__(self, inner: Engine, stop: threading.Event) -> None:
        self._inner = inner
        self._stop = stop

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request, or raise Stopped."""
        if self._stop.is_set():
            raise Stopped
        return self._inner.send(request, seconds, limit)

    def close(self) -> None:
        """Leave the client's engine open: it is not ours."""


class _StoppableClock:
    """A clock on which nobody sleeps any more once nobody wants the answers."""

    def __init__(self, inner: SyncClock, stop: threading.Event) -> None:
        self._inner = inner
        self._stop = stop

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""
        return self._inner.monotonic()

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return self._inner.now()

    def draw(self) -> float:
        """Return a number drawn evenly from [0, 1)."""
        return self._inner.draw()

    def sleep(self, seconds: float) -> None:
        """Wait, or raise Stopped."""
        doze(self._inner, self._stop, seconds)
        if self._stop.is_set():
            raise Stopped
