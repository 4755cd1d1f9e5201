"""Limits the requests under way at once: one limiter for threads, one for the tasks of an event loop.

Requests are served in the order in which they come, but retries before first attempts, which have more
attempts left. `taskcounts.many.window` decides how many may be under way; the limiters only wait.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from typing import NamedTuple

from taskcounts.clock import AnyClock, SystemClock
from taskcounts.flow.drive import Stop
from taskcounts.flow.steps import NoPermit
from taskcounts.forks import renew_after_fork
from taskcounts.many.window import open_window
from taskcounts.semaphore import Permit, Semaphore


class _Wait(NamedTuple):
    """Seconds to wait: exactly, for the end of a cooldown, or at most, for a permit."""

    seconds: float
    for_cooldown: bool


class _Waiter:
    """A request that waits, the function that wakes it, and the permit that it was granted meanwhile."""

    __slots__ = ("permit", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.permit: Permit | None = None
        self.wake = wake


class _Limiter:
    """The common part of both limiters: everything but the waiting."""

    def __init__(self, most: int, clock: AnyClock) -> None:
        self._window = open_window(most)
        self._clock = clock
        self._now = clock.monotonic
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start afresh, as a forked process has to: it lacks the threads that had permits."""
        self._semaphore = Semaphore(self._window.most, self._grant)
        # Retries, and first attempts.
        self._queues: tuple[deque[_Waiter], ...] = (deque(), deque())
        # Reentrant: the garbage collector may drop a permit in a thread that has the lock.
        self._lock = threading.RLock()

    @property
    def in_flight(self) -> int:
        """The number of permits that are held."""
        return self._semaphore.in_use

    def wake(self) -> None:
        """Let all waiting requests check anew what they wait for."""
        with self._lock:
            for waiter in chain(*self._queues):
                waiter.wake()

    def release(self, permit: Permit, status: int | None, cooldown: float) -> None:
        """Take a permit back, and adapt the window; see `taskcounts.flow.steps.Limiter`."""
        with self._lock:
            before = self._window
            self._window = after = before.after(permit.round, status, self._now() + cooldown)
            if after.resume_at > before.resume_at:
                # All wait for another moment now, and no returning permit would wake them.
                self.wake()
            permit.release()
        if after.resume_at > before.resume_at:
            import logging  # noqa: PLC0415 - takes 4 ms to load, and few services are ever busy.

            text = "the service is busy: nothing is sent for %.1f s, then up to %d requests at once"
            logging.getLogger("taskcounts").info(text, cooldown, after.limit)

    def _acquire(self, until: float, *, queued: bool = False) -> Permit | None:
        """Return a permit if the window allows one more request now, and none waits unless ``queued``."""
        with self._lock:
            now = self._now()
            is_next = now < until and (queued or not any(self._queues))
            if is_next and self._window.allows(self.in_flight, now) and (permit := self._semaphore.acquire()):
                permit.round = self._window.round
                return permit
        return None

    def _enqueue(self, wake: Callable[[], object], is_retry: bool) -> _Waiter:
        waiter = _Waiter(wake)
        with self._lock:
            self._queues[0 if is_retry else 1].append(waiter)
        return waiter

    def _check(self, waiter: _Waiter, until: float) -> Permit | NoPermit | _Wait:
        """Return the permit of a waiter, or NoPermit if none can come in time, or how long to wait."""
        with self._lock:
            now, resume_at = self._now(), self._window.resume_at
            if waiter.permit is None and max(now, resume_at) >= until:
                return NoPermit(max(resume_at - now, 0.0))
            self._grant()
            if waiter.permit is not None:
                permit, waiter.permit = waiter.permit, None
                return permit
            return _Wait(resume_at - now, True) if resume_at > now else _Wait(until - now, False)

    def _leave(self, waiter: _Waiter) -> None:
        """Forget a waiter, and drop a permit that came just when the waiting ended otherwise."""
        with self._lock:
            self._remove(waiter)
            waiter.permit = None

    def _grant(self) -> None:
        """Grant permits to waiting requests, as far as the window allows it now."""
        with self._lock:
            while any(self._queues):
                waiter = next(chain(*self._queues))
                # An interruption may have left one that has its permit already.
                waiter.permit = waiter.permit or self._acquire(math.inf, queued=True)
                if waiter.permit is None:
                    return
                waiter.wake()
                # The last step: wherever an interruption comes, a waiter without a permit is in a queue.
                self._remove(waiter)

    def _remove(self, waiter: _Waiter) -> None:
        for queue in self._queues:
            if waiter in queue:
                queue.remove(waiter)


class ThreadLimiter(_Limiter):
    """A limiter for any number of threads."""

    def acquire(self, until: float, is_retry: bool = False, stop: Stop | None = None) -> Permit | NoPermit:
        """Return a permit as soon as one is free.

        Args:
            until: The moment on the monotonic clock from which on a permit is of no use.
            is_retry: Whether the service refused an earlier attempt.
            stop: Ends the waiting once it is set and `wake` is called.

        Raises:
            Stopped: ``stop`` is set.
        """
        if stop is not None:
            stop.check()
        return self._acquire(until) or self._wait(until, is_retry, stop)

    def _wait(self, until: float, is_retry: bool, stop: Stop | None) -> Permit | NoPermit:
        # Not an Event: an interruption of its set() may leave it locked, and this limiter with it.
        woken: SimpleQueue[None] = SimpleQueue()
        waiter = self._enqueue(partial(woken.put, None), is_retry)
        try:
            while True:
                if stop is not None:
                    stop.check()
                outcome = self._check(waiter, until)
                if not isinstance(outcome, _Wait):
                    return outcome
                if outcome.for_cooldown and not isinstance(self._clock, SystemClock):
                    # A clock of a caller's can't be woken.
                    self._clock.sleep(outcome.seconds)
                else:
                    with contextlib.suppress(Empty):
                        woken.get(timeout=min(outcome.seconds, threading.TIMEOUT_MAX))
        finally:
            self._leave(waiter)


class TaskLimiter(_Limiter):
    """A limiter for the tasks of one event loop."""

    async def acquire(self, until: float, is_retry: bool = False) -> Permit | NoPermit:
        """Return a permit as soon as one is free; see `ThreadLimiter.acquire`."""
        return self._acquire(until) or await self._wait(until, is_retry)

    async def _wait(self, until: float, is_retry: bool) -> Permit | NoPermit:
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and whoever runs this has it.

        woken = asyncio.Event()
        waiter = self._enqueue(woken.set, is_retry)
        try:
            while True:
                # Before the check, so that no wake-up after it is lost.
                woken.clear()
                outcome = self._check(waiter, until)
                if not isinstance(outcome, _Wait):
                    return outcome
                if outcome.for_cooldown:
                    await self._clock.sleep_async(outcome.seconds)
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(outcome.seconds):
                            await woken.wait()
        finally:
            self._leave(waiter)
