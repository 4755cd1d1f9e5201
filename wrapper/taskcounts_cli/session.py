"""Waits for many jobs in one event loop, whose events a viewer displays; the commands wait and watch use it.

A viewer is called in the thread that runs the session, never twice at the same time. An error that it raises
ends the session, and reaches the caller after all waits are cancelled and the viewer's ``end`` was called.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Self

from taskcounts.base_client import DEFAULT_CONCURRENCY, DEFAULT_MIN_INTERVAL
from taskcounts.client import AsyncTaskCountsClient
from taskcounts.clock import SYSTEM_CLOCK, AnyClock
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.input.options import Account
from taskcounts_cli.input.wait_options import WaitOptions
from taskcounts_cli.viewer import TICK_INTERVAL, SessionResult, Viewer

# For all jobs together: the service publishes no limit, and other programs poll the same account.
POLLS_PER_SECOND = 10

# Seconds that a wait gets at least, however late it starts: a deadline has to be above 0.
_MIN_DEADLINE = 0.001


def run_session(
    account: Account,
    jobs: Sequence[str],
    options: WaitOptions,
    viewer: Viewer,
    *,
    clock: AnyClock = SYSTEM_CLOCK,
) -> SessionResult:
    """Wait for jobs until each has its verdict, or until SIGINT or SIGTERM arrives.

    The first polls are spread out, and the adaptive interval grows with the number of jobs, so that there are
    at most POLLS_PER_SECOND. A fixed interval is not changed.

    Args:
        account: The account of the jobs.
        jobs: The job ids, each once.
        options: The goal and the limits of the wait.
        viewer: The viewer to call at each event.
        clock: The source of time and sleep.

    Returns:
        The verdicts, and the last observations.

    Raises:
        CommandError: An option of the account is missing or invalid. Nothing was sent.
        BaseException: The viewer raised it.
    """
    client = account.client(
        AsyncTaskCountsClient,
        timeout=options.attempt_timeout,
        # A shared limit: when the service throttles one job, the others pause too.
        concurrency=DEFAULT_CONCURRENCY if len(jobs) > 1 else None,
        clock=clock,
    )
    session = _Session(client, jobs, options, viewer, clock)
    with _StopSignal() as stop:
        try:
            viewer.begin(session.jobs)
            with asyncio.Runner() as runner:
                runner.run(session.run(stop))
        finally:
            viewer.end()
    return SessionResult(
        jobs=session.jobs,
        verdicts=session.verdicts,
        last=session.last,
        interrupted=stop.received if len(session.verdicts) < len(session.jobs) else None,
        ended_at=clock.now(),
    )


class _Session:
    """The tasks of a session, one for each job, and what is known of the jobs so far."""

    def __init__(
        self,
        client: AsyncTaskCountsClient,
        jobs: Sequence[str],
        options: WaitOptions,
        viewer: Viewer,
        clock: AnyClock,
    ) -> None:
        self.jobs = tuple(jobs)
        self.verdicts: dict[str, Verdict] = {}
        self.last: dict[str, Observation] = {}
        self._client = client
        self._options = options
        self._viewer = viewer
        self._clock = clock
        self._began = clock.monotonic()

    async def run(self, stop: _StopSignal) -> None:
        """Run all waits until they end or a signal arrives."""
        async with self._client:
            waits = [asyncio.create_task(self._wait(number, job)) for number, job in enumerate(self.jobs)]
            others = [asyncio.create_task(self._tick()), asyncio.create_task(stop.wait())]
            ends: list[asyncio.Future[Any]] = [asyncio.gather(*waits), *others]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for ended in ends:
                    if ended.done():
                        ended.result()
            finally:
                for task in (*waits, *others):
                    task.cancel()
                await asyncio.gather(*waits, *ends, return_exceptions=True)

    async def _wait(self, number: int, job: str) -> None:
        # Under a short deadline the last job starts after half of it at the latest.
        step = min(1 / POLLS_PER_SECOND, self._options.deadline / 2 / len(self.jobs))
        await self._clock.sleep_async(number * step)
        left = self._options.deadline - (self._clock.monotonic() - self._began)
        verdict = await self._client.wait_for_job(
            job,
            self._options.until,
            deadline=max(left, _MIN_DEADLINE),
            min_interval=max(DEFAULT_MIN_INTERVAL, len(self.jobs) / POLLS_PER_SECOND),
            check=False,
            observer=self._observe,
            **self._options.others,
        )
        self.verdicts[job] = verdict
        self._viewer.judge(verdict)

    def _observe(self, observation: Observation) -> None:
        self.last[observation.job_id] = observation
        self._viewer.observe(observation)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_INTERVAL)
            self._viewer.tick()


class _StopSignal:
    """The first SIGINT or SIGTERM within a ``with`` block; a second one has the effect it has outside.

    Attributes:
        received: The number of the signal, None before it arrives.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._wake: Callable[[], object] | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may set handlers.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous = signal.getsignal(number)
                # A background process of a script ignores Ctrl-C, and must go on ignoring it.
                if previous is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    async def wait(self) -> None:
        """Return when the signal has arrived."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(stop.set)
        try:
            if self.received is None:
                await stop.wait()
        finally:
            self._wake = None

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._restore()
        if self._wake is not None:
            # RuntimeError: the loop is closed, so the session has ended, and the signal changes nothing.
            with contextlib.suppress(RuntimeError):
                self._wake()

    def _restore(self) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()
