"""Counts of many jobs, asked for by threads.

The caller's thread reads the ids and reports the progress: iterators are often bound to a thread. The worker
threads only ask. They are daemons, so that a server which never answers can't keep the process from ending.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, cast

from taskcounts.clock import AnyClock
from taskcounts.errors import TaskCountsError
from taskcounts.flow.drive import STOP_INTERVAL, Stop, Stopped, run
from taskcounts.forks import renew_after_fork
from taskcounts.many.limiter import ThreadLimiter
from taskcounts.many.plan import PREFETCH, ManyPlan, Tally, count_job, error_result, job_id_error
from taskcounts.many.values import JobResult

if TYPE_CHECKING:
    from taskcounts.net.base import Engine

# Seconds for which the end of the results waits for requests under way. An attempt that takes longer ends
# by itself, at its own timeout, and its outcome is dropped.
GRACE = 1.0


def count_many(
    plan: ManyPlan, job_ids: Iterator[str], engine: Engine, clock: AnyClock
) -> Generator[JobResult, None, None]:
    """Yield the results of all jobs as they come."""
    tally = Tally(plan.progress)
    workers = _Workers(plan, engine, clock)
    ids_error: Exception | None = None
    has_ids = True
    try:
        while has_ids or workers.pending:
            if has_ids:
                try:
                    job_id = next(job_ids)
                    error_of_id = job_id_error(job_id)
                except StopIteration:
                    has_ids = False
                    continue
                except Exception as error:
                    # The results of the ids before come first.
                    ids_error, has_ids = error, False
                    continue
                if error_of_id is not None:
                    yield tally.count(JobResult(job_id=job_id, error=error_of_id))
                    continue
                workers.submit(job_id)
                if workers.pending < plan.concurrency + PREFETCH and not workers.has_results():
                    continue
            yield tally.count(workers.next_result())
    finally:
        workers.stop()
    if ids_error is not None:
        raise ids_error


class _Workers:
    """Threads that each ask for one job after the other."""

    def __init__(self, plan: ManyPlan, engine: Engine, clock: AnyClock) -> None:
        # The number of submitted jobs whose results were not taken yet.
        self.pending = 0
        self._plan = plan
        self._ends = clock.monotonic() + plan.deadline
        self._engine = engine
        self._clock = clock
        self._begin()
        renew_after_fork(self)
        self._threads: list[threading.Thread] = []
        self._ids: deque[str] = deque()
        # A queue for each idle thread that waits for an id. To wake all threads at once, or some in vain at
        # one common queue, would cost more.
        self._idle: list[SimpleQueue[None]] = []
        # True while a thread that was woken has not taken its id yet.
        self._waking = False

    def renew(self) -> None:
        """End in a forked process, which lacks the threads."""
        self._begin()
        self._results.put(RuntimeError("get_many goes on in the process that began it, not in its children"))

    def _begin(self) -> None:
        self._stop = Stop()
        self._lock = threading.RLock()
        self._results: SimpleQueue[JobResult | BaseException] = SimpleQueue()

    def submit(self, job_id: str) -> None:
        """Have a job asked for."""
        self.pending += 1
        with self._lock:
            self._ids.append(job_id)
            is_short = len(self._ids) > len(self._idle) + self._waking
            self._wake_one()
        if is_short and len(self._threads) < self._plan.concurrency:
            name = f"taskcounts-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            # In this order: only a started thread can be joined.
            thread.start()
            self._threads.append(thread)

    def has_results(self) -> bool:
        """Return whether a result is there already."""
        return not self._results.empty()

    def next_result(self) -> JobResult:
        """Return the next result; raise an error that is not a job's own."""
        result = self._results.get()
        self.pending -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def stop(self) -> None:
        """Send nothing more, and wait a little for requests under way."""
        self._stop.is_set = True
        cast(ThreadLimiter, self._plan.settings.limiter).wake()
        with self._lock:
            self._ids.clear()
            for woken in self._idle:
                woken.put(None)
        deadline = time.monotonic() + GRACE
        for thread in self._threads:
            # The garbage collector may end a dropped iterator in a worker itself.
            if thread is not threading.current_thread():
                thread.join(max(deadline - time.monotonic(), 0))

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
        while not self._stop.is_set:
            with self._lock:
                if self._ids:
                    job_id = self._ids.popleft()
                    self._wake_one()
                    return job_id
                self._idle.append(woken)
            # A stop just before didn't find this thread among the idle ones, and an interruption may keep a
            # stop from waking all of them: so the flag is checked now and then.
            while not self._stop.is_set:
                with contextlib.suppress(Empty):
                    woken.get(timeout=STOP_INTERVAL)
                    self._waking = False
                    break
        return None

    def _wake_one(self) -> None:
        """Wake a thread if ids wait; it wakes the next one if more of them do."""
        if self._ids and self._idle and not self._waking:
            self._waking = True
            # In this order: an interruption in between leaves no thread that waits for ever.
            self._idle[-1].put(None)
            self._idle.pop()

    def _count(self, job_id: str) -> JobResult:
        try:
            flow = count_job(self._plan, job_id, self._ends)
            return JobResult(job_id=job_id, snapshot=run(flow, self._engine, self._clock, self._stop))
        except TaskCountsError as error:
            return error_result(job_id, error)
