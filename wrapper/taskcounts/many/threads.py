"""Where many jobs stand, asked for by threads.

The ids are read, and progress is told, in the thread that takes the results: iterators are often bound to
a thread. The threads in here ask, and nothing else. They are daemons, so that a server which doesn't answer
can't keep the process from ending.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, cast

from taskcounts.clock import SyncClock, SystemClock
from taskcounts.errors import TaskCountsError
from taskcounts.flow.drive import run
from taskcounts.flow.steps import NoPermit
from taskcounts.forks import renew_after_fork
from taskcounts.many.limiter import Stop, Stopped, ThreadLimiter
from taskcounts.many.plan import AHEAD, Plan, Tally, counting, failed, refusal
from taskcounts.many.values import JobResult
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.semaphore import Permit

if TYPE_CHECKING:
    from taskcounts.net.base import Engine
# Seconds for which the end of the results waits for requests that are under way. An attempt that takes
# longer ends by itself, with its own limit of time, and what comes of it is dropped.
GRACE = 1.0

# Seconds after which a thread that waits looks whether anybody still wants its result.
LOOK = 0.25


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
                    error_of_id = refusal(job_id)
                except StopIteration:
                    reads = False
                    continue
                except Exception as error:
                    # What was asked for by now is not lost.
                    trouble, reads = error, False
                    continue
                if error_of_id is not None:
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
    """Threads that each ask for one job after the other."""

    def __init__(self, plan: Plan, ends: float, engine: Engine, clock: SyncClock) -> None:
        # How many jobs were asked for whose results were not taken yet.
        self.busy = 0
        self._plan = plan
        self._ends = ends
        self._begin()
        renew_after_fork(self)
        self._limiter = _StoppableLimiter(cast(ThreadLimiter, plan.settings.limiter), self._stop)
        self._engine = _StoppableEngine(engine, self._stop)
        self._clock = _StoppableClock(clock, self._stop)
        self._settings = plan.settings._replace(limiter=self._limiter, clock=self._clock)
        self._threads: list[threading.Thread] = []
        self._ids: deque[str] = deque()
        # Threads that wait for an id, each at a queue of its own, and whether one of them was woken that has
        # not looked yet. To wake all at once for as many ids, or at one queue some for nothing, costs more.
        self._idle: list[SimpleQueue[None]] = []
        self._rouses = False

    def renew(self) -> None:
        """End in a forked process, which lacks the threads."""
        self._begin()
        self._results.put(RuntimeError("get_many goes on in the process that began it, not in its children"))

    def _begin(self) -> None:
        self._stop = Stop()
        self._lock = threading.RLock()
        self._results: SimpleQueue[JobResult | BaseException] = SimpleQueue()

    def ask(self, job_id: str) -> None:
        """Have a job asked for."""
        self.busy += 1
        with self._lock:
            self._ids.append(job_id)
            short = len(self._ids) > len(self._idle) + self._rouses
            self._rouse()
        if short and len(self._threads) < self._plan.concurrency:
            name = f"taskcounts-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            # Only one that has begun can be waited for.
            thread.start()
            self._threads.append(thread)

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
        self._limiter.wake()
        with self._lock:
            self._ids.clear()
            for woken in self._idle:
                woken.put(None)
        patience = time.monotonic() + GRACE
        for thread in self._threads:
            # It is this thread itself where the garbage collector ends an iterator that was dropped.
            if thread is not threading.current_thread():
                thread.join(max(patience - time.monotonic(), 0))

    def _work(self) -> None:
        woken: SimpleQueue[None] = SimpleQueue()
        while (job_id := self._next_id(woken)) is not None:
            try:
                self._results.put(self._count(job_id))
            except Stopped:
                return
            except BaseException as error:
                self._results.put(error)

    def _next_id(self, woken: SimpleQueue[None]) -> str | None:
        """Return the id of the next job as soon as there is one; None at the end."""
        while not self._stop.is_set():
            with self._lock:
                if self._ids:
                    job_id = self._ids.popleft()
                    self._rouse()
                    return job_id
                self._idle.append(woken)
            # If the end came before, it didn't find this one among the idle.
            # An interruption may keep it from being woken at the end.
            while not self._stop.is_set():
                with contextlib.suppress(Empty):
                    woken.get(timeout=LOOK)
                    self._rouses = False
                    break
        return None

    def _rouse(self) -> None:
        """Wake a thread if ids wait; it wakes the next one, if there are still some."""
        if self._ids and self._idle and not self._rouses:
            self._rouses = True
            # In this order: an interruption in between leaves no thread that waits for ever.
            self._idle[-1].put(None)
            self._idle.pop()

    def _count(self, job_id: str) -> JobResult:
        try:
            permit = self._limiter.acquire(self._ends)
            flow = counting(self._plan, self._settings, job_id, permit, self._ends)
            return JobResult(job_id=job_id, snapshot=run(flow, self._engine, self._clock))
        except TaskCountsError as error:
            return failed(job_id, error)


class _StoppableLimiter:
    """A limiter that lets nobody in once nobody wants the answers."""

    def __init__(self, inner: ThreadLimiter, stop: Stop) -> None:
        self._inner = inner
        self._stop = stop
        self.wake = inner.wake
        self.release = inner.release

    def acquire(self, until: float, is_retry: bool = False) -> Permit | NoPermit:
        """Return a permit as soon as there is one, or raise Stopped."""
        return self._inner.acquire(until, is_retry, self._stop)


class _StoppableEngine:
    """An engine that sends nothing more once nobody wants the answers."""

    def __init__(self, inner: Engine, stop: Stop) -> None:
        self._inner = inner
        self._stop = stop

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request, or raise Stopped."""
        if self._stop.is_set():
            raise Stopped
        return self._inner.send(request, seconds, limit)


class _StoppableClock:
    """A clock on which nobody sleeps any more once nobody wants the answers."""

    def __init__(self, inner: SyncClock, stop: Stop) -> None:
        self._inner = inner
        self._stop = stop
        self.monotonic = inner.monotonic
        self.now = inner.now
        self.draw = inner.draw

    def sleep(self, seconds: float) -> None:
        """Wait, or raise Stopped."""
        if isinstance(self._inner, SystemClock):
            ends = self._inner.monotonic() + seconds
            while not self._stop.is_set() and (left := ends - self._inner.monotonic()) > 0:
                self._inner.sleep(min(left, LOOK))
        else:
            # Such a clock can't be woken.
            self._inner.sleep(seconds)
        if self._stop.is_set():
            raise Stopped
