"""Waits for many jobs at once, in one event loop, and tells a viewer: `wait` and `watch` build on it.

A viewer is told everything in the thread that runs the session, never two things at a time. What it
raises ends the session, and reaches the caller once all waits are cancelled and ``end`` was called.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from taskcounts.base_client import DEFAULT_CONCURRENCY, DEFAULT_MIN_INTERVAL, AnyClock
from taskcounts.client import AsyncTaskCountsClient
from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.input.options import Account
from taskcounts_cli.input.wait_options import WaitOptions
from taskcounts_cli.viewer import TICK_INTERVAL, SessionResult, Viewer

# Over all jobs together. No rate is published, and others ask the same account.
POLLS_PER_SECOND = 10

# Seconds that a wait has at the least, however long its turn took to come: it has to be above 0.
_SHORTEST_WAIT = 0.001


def run_session(
    account: Account,
    jobs: Sequence[str],
    options: WaitOptions,
    viewer: Viewer,
    *,
    clock: AnyClock = SYSTEM_CLOCK,
) -> SessionResult:
    """Wait for jobs until each has its verdict, or until SIGINT or SIGTERM comes; return what came of it.

    The first polls are spread out, and with many jobs the adapted interval gets longer, so that there are no
    more than POLLS_PER_SECOND over all. A fixed interval stays as it is asked for.

    Args:
        account: Whom to ask, from `account_options`.
        jobs: The jobs, each once, from `named_jobs`.
        options: What to wait for, from `wait_options`.
        viewer: Is told of everything.
        clock: Time and sleep, for tests.

    Raises:
        CommandError: The account's options can't be used. Nothing was sent.
        BaseException: What the viewer raised.
    """
    client = account.client(
        AsyncTaskCountsClient,
        timeout=options.attempt_timeout,
        # When the service throttles, all wait together.
        concurrency=DEFAULT_CONCURRENCY if len(jobs) > 1 else None,
        clock=clock,
    )
    session = _WaitGroup(client, jobs, options, viewer, clock)
    with _StopSignal() as signals:
        try:
            viewer.begin(session.jobs)
            with asyncio.Runner() as runner:
                runner.run(session.run(signals))
        finally:
            viewer.end()
    return SessionResult(
        jobs=session.jobs,
        verdicts=session.verdicts,
        last=session.last,
        interrupted=signals.received if len(session.verdicts) < len(session.jobs) else None,
        ended_at=clock.now(),
    )


class _WaitGroup:
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

    async def run(self, signals: _StopSignal) -> None:
        """Run all waits to their ends, or until a signal comes."""
        async with self._client:
            waits = [asyncio.create_task(self._wait(number, job)) for number, job in enumerate(self.jobs)]
            ticks, stop = asyncio.create_task(self._tick()), asyncio.create_task(signals.wait())
            ends: list[asyncio.Future[Any]] = [asyncio.gather(*waits), ticks, stop]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for ended in ends:
                    if ended.done():
                        ended.result()
            finally:
                for task in (*waits, ticks, stop):
                    task.cancel()
                await asyncio.gather(*waits, *ends, return_exceptions=True)

    async def _wait(self, number: int, job: str) -> None:
        options = self._options
        # Where there is little time, no job may spend it on waiting for its turn.
        await self._clock.sleep_async(
            number * min(1 / POLLS_PER_SECOND, options.timeout / 2 / len(self.jobs))
        )
        left = options.timeout - (self._clock.monotonic() - self._began)
        verdict = await self._client.wait_for_job(
            job,
            options.until,
            **options.limits() | {"deadline": max(left, _SHORTEST_WAIT)},
            min_interval=max(DEFAULT_MIN_INTERVAL, len(self.jobs) / POLLS_PER_SECOND),
            check=False,
            observer=self._observe,
            service_timeout=options.service_timeout,
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
    """Waits for the first SIGINT or SIGTERM; a second one does what it would do without us."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._wake: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Handlers are the main thread's; elsewhere whoever runs us has to see to signals.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                # What runs in the background of a script ignores Ctrl-C, and is to go on doing so.
                if before is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    async def wait(self) -> None:
        """Return when a signal has come."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(stop.set)
        try:
            if self.received is None:
                await stop.wait()
        finally:
            # Nobody is left to be woken.
            self._wake = None

    def _take(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._let_go()
        if self._wake is not None:
            # The loop may be closed already: then all has ended, and nothing is to be lost to a signal.
            with contextlib.suppress(RuntimeError):
                self._wake()

    def _let_go(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()
