"""Where requests wait until one more may be sent: a limiter for threads, and one for the tasks of a loop.

Whoever comes first gets in first, but who was refused comes before who wasn't yet: it has fewer attempts
left. A permit is had for one request and given back with what came of it.
What is allowed is decided in `taskcounts.many.window`; here is only the waiting.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from typing import NamedTuple

from taskcounts.clock import AsyncClock, Clock, SyncClock, SystemClock
from taskcounts.flow.steps import NoPermit
from taskcounts.forks import renew_after_fork
from taskcounts.many.window import open_window


class Stopped(Exception):
    """Whoever wanted the result is gone: nothing more is sent or waited for."""


class Stop:
    """Whether nobody wants the result any more; not an Event, whose lock an interruption may leave held."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Say that nobody does."""
        self._is_set = True

    def is_set(self) -> bool:
        """Return whether nobody does."""
        return self._is_set


class _Wait(NamedTuple):
    """How long to wait: for a moment before which nobody may send, or else at the most, for a permit."""

    seconds: float
    for_a_moment: bool


class _Permit:
    """Leave to send one request."""

    __slots__ = ("_limiter", "round")

    def __init__(self, limiter: ThreadLimiter | TaskLimiter, of_round: int) -> None:
        self._limiter = limiter
        self.round = of_round

    def release(self, status: int | None, cooldown: float) -> None:
        """Say what came of the request; see `taskcounts.flow.steps.Permit`."""
        self._limiter.take_back(self, status, cooldown)


class _HeldPermit(_Permit):
    """One that is had. It can't be lost: an interruption may come between the limiter and who was to have it.

    A permit is of this kind only until it is given back, so that most never run `__del__`, where Python would
    swallow an interruption.
    """

    __slots__ = ()

    def __del__(self) -> None:
        self.release(None, 0)


class _Waiter:
    """Somebody who waits, what wakes them, and the permit that was given them meanwhile."""

    __slots__ = ("permit", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.permit: _Permit | None = None
        self.wake = wake


class _Limiter:
    """What both limiters have in common: all but the waiting."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._window = open_window(most)
        self._now = clock.monotonic
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin anew, as in a forked process, which lacks the threads that had permits or waited for one."""
        # The ids of the permits that are had.
        self._had: set[int] = set()
        # Those who ask again, and those who ask for the first time.
        self._lines: tuple[deque[_Waiter], ...] = (deque(), deque())
        # Of the kind that its owner may take again: a flow that is collected as garbage gives its permit
        # back wherever the collector happens to run.
        self._lock = threading.RLock()

    @property
    def in_flight(self) -> int:
        """How many permits are had."""
        return len(self._had)

    def take_back(self, permit: _Permit, status: int | None, cooldown: float) -> None:
        """Take a permit back, and let in who may follow."""
        with self._lock:
            if id(permit) not in self._had:
                # It was given back before, or had by a thread of the process before this one.
                return
            before = self._window
            self._window = after = before.after(permit.round, status, self._now() + cooldown)
            self._had.discard(id(permit))
            permit.__class__ = _Permit
            if after.resume_at > before.resume_at:
                # They wait for another moment now, and no permit that is given back would tell them.
                self.wake()
            self._let_in()
        if after.resume_at > before.resume_at:
            import logging  # noqa: PLC0415 - takes 4 ms to load, and few services are ever busy.

            text = "the service is busy: nothing is sent for %.1f s, then up to %d requests at once"
            logging.getLogger("taskcounts").info(text, cooldown, after.limit)

    def wake(self) -> None:
        """Let everybody who waits look again at what they wait for."""
        with self._lock:
            for waiter in chain(*self._lines):
                waiter.wake()

    def _enter(self, until: float) -> _Permit | None:
        """Return a permit, if one can be had without waiting."""
        with self._lock:
            now = self._now()
            if now < until and self._window.allows(self.in_flight, now) and not any(self._lines):
                return self._permit()
        return None

    def _arrive(self, wake: Callable[[], object], is_retry: bool) -> _Waiter:
        waiter = _Waiter(wake)
        with self._lock:
            self._lines[0 if is_retry else 1].append(waiter)
        return waiter

    def _look(self, waiter: _Waiter, until: float) -> _Permit | NoPermit | _Wait:
        """Return a permit, or that there will be none in time, or else how long to wait."""
        with self._lock:
            now, resume_at = self._now(), self._window.resume_at
            if waiter.permit is None and max(now, resume_at) >= until:
                return NoPermit(max(resume_at - now, 0.0))
            self._let_in()
            if waiter.permit is not None:
                permit, waiter.permit = waiter.permit, None
                return permit
            return _Wait(resume_at - now, True) if resume_at > now else _Wait(until - now, False)

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            self._step_out(waiter)
            if waiter.permit is not None:
                # It came in the very moment in which the waiting ended otherwise.
                waiter.permit.release(None, 0)

    def _let_in(self) -> None:
        """Give permits to those who wait, as far as the window allows it now."""
        while any(self._lines) and self._window.allows(self.in_flight, self._now()):
            waiter = next(chain(*self._lines))
            # In this order nobody is left out of the line without a permit, wherever an interruption comes.
            waiter.permit = self._permit()
            waiter.wake()
            self._step_out(waiter)

    def _step_out(self, waiter: _Waiter) -> None:
        for line in self._lines:
            if waiter in line:
                line.remove(waiter)

    def _permit(self) -> _Permit:
        # In this order: an interruption leaves no permit counted that doesn't give itself back.
        permit = _Permit(self, self._window.round)  # type: ignore[arg-type]
        permit.__class__ = _HeldPermit
        self._had.add(id(permit))
        return permit


class ThreadLimiter(_Limiter):
    """A limiter for any number of threads."""

    def __init__(self, most: int, clock: SyncClock) -> None:
        super().__init__(most, clock)
        self._clock = clock

    def acquire(self, until: float, is_retry: bool = False, stop: Stop | None = None) -> _Permit | NoPermit:
        """Return a permit as soon as there is one.

        Args:
            until: When it is of no more use, on the monotonic clock.
            is_retry: Whether this was refused before.
            stop: Ends the waiting when it is set, and everybody was woken.

        Raises:
            Stopped: ``stop`` is set.
        """
        if stop is not None and stop.is_set():
            raise Stopped
        return self._enter(until) or self._wait(until, is_retry, stop)

    def _wait(self, until: float, is_retry: bool, stop: Stop | None) -> _Permit | NoPermit:
        # Not an Event: one whose set() is interrupted may stay locked, and this limiter with it.
        woken: SimpleQueue[None] = SimpleQueue()
        waiter = self._arrive(partial(woken.put, None), is_retry)
        try:
            while True:
                if stop is not None and stop.is_set():
                    raise Stopped
                outcome = self._look(waiter, until)
                if not isinstance(outcome, _Wait):
                    return outcome
                if outcome.for_a_moment and not isinstance(self._clock, SystemClock):
                    # Such a clock can't be woken.
                    self._clock.sleep(outcome.seconds)
                else:
                    with contextlib.suppress(Empty):
                        woken.get(timeout=min(outcome.seconds, threading.TIMEOUT_MAX))
        finally:
            self._leave(waiter)


class TaskLimiter(_Limiter):
    """A limiter for the tasks of one event loop."""

    def __init__(self, most: int, clock: AsyncClock) -> None:
        super().__init__(most, clock)
        self._clock = clock

    async def acquire(self, until: float, is_retry: bool = False) -> _Permit | NoPermit:
        """Return a permit as soon as there is one; see `ThreadLimiter.acquire`."""
        return self._enter(until) or await self._wait(until, is_retry)

    async def _wait(self, until: float, is_retry: bool) -> _Permit | NoPermit:
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and whoever runs this has it.

        woken = asyncio.Event()
        waiter = self._arrive(woken.set, is_retry)
        try:
            while True:
                # First of all, so that nothing that happens from here on goes unnoticed.
                woken.clear()
                outcome = self._look(waiter, until)
                if not isinstance(outcome, _Wait):
                    return outcome
                if outcome.for_a_moment:
                    await self._clock.sleep_async(outcome.seconds)
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(outcome.seconds):
                            await woken.wait()
        finally:
            self._leave(waiter)
