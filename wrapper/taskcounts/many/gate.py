"""Where requests wait until one more may be sent: a gate for threads, and one for the tasks of a loop.

Whoever comes first gets in first, but who was refused comes before who wasn't yet: it has fewer attempts
left. A place is had for one request and given back with what came of it.
What is allowed is decided in `taskcounts.many.window`; here is only the waiting.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from taskcounts._clock import SystemClock
from taskcounts._steps import Clock, NoPlace
from taskcounts._transport import AsyncClock, SyncClock
from taskcounts.many.window import open_window

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("taskcounts")

SomeEvent = TypeVar("SomeEvent", bound="threading.Event | asyncio.Event")


class Stopped(Exception):
    """Whoever wanted the result is gone: nothing more is sent or waited for."""


class _Wait(NamedTuple):
    """How long to wait: for a moment before which nobody may send, or else at the most, for a place."""

    seconds: float
    for_a_moment: bool


class _Place:
    """Leave to send one request."""

    __slots__ = ("_gate", "_round")

    def __init__(self, gate: ThreadGate | TaskGate, of_round: int) -> None:
        self._gate = gate
        self._round = of_round

    def give_back(self, status: int | None, rest: float) -> None:
        """Say what came of the request; see `taskcounts._steps.Place`."""
        self._gate.take_back(self._round, status, rest)


class _Waiter(Generic[SomeEvent]):
    """Somebody who waits, and the place that was given them meanwhile."""

    __slots__ = ("place", "woken")

    def __init__(self, woken: SomeEvent) -> None:
        self.place: _Place | None = None
        self.woken = woken


class _Gate(Generic[SomeEvent]):
    """What both gates have in common: all but the waiting."""

    def __init__(self, most: int, clock: Clock) -> None:
        self.most = most
        self._window = open_window(most)
        self._now = clock.monotonic
        # Those who ask again, and those who ask for the first time.
        self._lines: tuple[deque[_Waiter[SomeEvent]], ...] = (deque(), deque())
        # Of the kind that its owner may take again: a flow that is collected as garbage gives its place
        # back wherever the collector happens to run.
        self._lock = threading.RLock()

    def take_back(self, of_round: int, status: int | None, rest: float) -> None:
        """Take a place back, and let in who may follow."""
        with self._lock:
            before = self._window
            self._window = after = before.end(of_round, status, self._now() + rest)
            if after.resume_at > before.resume_at:
                # They wait for another moment now, and no place that is given back would tell them.
                self.wake()
            self._let_in()
        if after.resume_at > before.resume_at:
            text = "the service is busy: nothing is sent for %.1f s, then up to %d requests at once"
            logger.info(text, rest, after.limit)

    def wake(self) -> None:
        """Let everybody who waits look again at what they wait for."""
        with self._lock:
            for waiter in chain(*self._lines):
                waiter.woken.set()

    def _arrive(self, woken: SomeEvent, again: bool) -> _Waiter[SomeEvent]:
        waiter = _Waiter(woken)
        with self._lock:
            self._lines[0 if again else 1].append(waiter)
        return waiter

    def _look(self, waiter: _Waiter[SomeEvent], until: float) -> _Place | NoPlace | _Wait:
        """Return a place, or that there will be none in time, or else how long to wait."""
        with self._lock:
            now, resume_at = self._now(), self._window.resume_at
            if waiter.place is None and max(now, resume_at) >= until:
                return NoPlace(max(resume_at - now, 0.0))
            self._let_in()
            if waiter.place is not None:
                place, waiter.place = waiter.place, None
                return place
            return _Wait(resume_at - now, True) if resume_at > now else _Wait(until - now, False)

    def _leave(self, waiter: _Waiter[SomeEvent]) -> None:
        with self._lock:
            for line in self._lines:
                if waiter in line:
                    line.remove(waiter)
            if waiter.place is not None:
                # It came in the very moment in which the waiting ended otherwise.
                waiter.place.give_back(None, 0)

    def _let_in(self) -> None:
        """Give places to those who wait, as far as the window allows it now."""
        while any(self._lines) and self._window.may_start(self._now()):
            self._window = self._window.start()
            waiter = next(filter(None, self._lines)).popleft()
            waiter.place = _Place(self, self._window.round)  # type: ignore[arg-type]
            waiter.woken.set()


class ThreadGate(_Gate[threading.Event]):
    """A gate for any number of threads."""

    def __init__(self, most: int, clock: SyncClock) -> None:
        super().__init__(most, clock)
        self._clock = clock

    def admit(
        self, until: float, again: bool = False, stop: threading.Event | None = None
    ) -> _Place | NoPlace:
        """Return a place as soon as there is one.

        Args:
            until: When it is of no more use, on the monotonic clock.
            again: Whether this was refused before.
            stop: Ends the waiting when it is set, and everybody was woken.

        Raises:
            Stopped: ``stop`` is set.
        """
        waiter = self._arrive(threading.Event(), again)
        try:
            while True:
                # First of all, so that nothing that happens from here on goes unnoticed.
                waiter.woken.clear()
                if stop is not None and stop.is_set():
                    raise Stopped
                outcome = self._look(waiter, until)
                if not isinstance(outcome, _Wait):
                    return outcome
                if outcome.for_a_moment:
                    doze(self._clock, waiter.woken, outcome.seconds)
                else:
                    waiter.woken.wait(min(outcome.seconds, threading.TIMEOUT_MAX))
        finally:
            self._leave(waiter)


class Lane:
    """A gate for threads that one event stops together."""

    def __init__(self, gate: ThreadGate, stop: threading.Event) -> None:
        self._gate = gate
        self._stop = stop

    def admit(self, until: float, again: bool = False) -> _Place | NoPlace:
        """Return a place as soon as there is one; see `ThreadGate.admit`."""
        return self._gate.admit(until, again, self._stop)


class TaskGate(_Gate["asyncio.Event"]):
    """A gate for the tasks of one event loop."""

    def __init__(self, most: int, clock: AsyncClock) -> None:
        super().__init__(most, clock)
        self._clock = clock

    async def admit(self, until: float, again: bool = False) -> _Place | NoPlace:
        """Return a place as soon as there is one; see `ThreadGate.admit`."""
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and whoever runs this has it.

        waiter = self._arrive(asyncio.Event(), again)
        try:
            while True:
                waiter.woken.clear()
                outcome = self._look(waiter, until)
                if not isinstance(outcome, _Wait):
                    return outcome
                if outcome.for_a_moment:
                    await self._clock.sleep_async(outcome.seconds)
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(outcome.seconds):
                            await waiter.woken.wait()
        finally:
            self._leave(waiter)


def doze(clock: SyncClock, woken: threading.Event, seconds: float) -> None:
    """Wait until woken, for some seconds at the most. A clock other than the machine's can't be woken."""
    if isinstance(clock, SystemClock):
        woken.wait(min(seconds, threading.TIMEOUT_MAX))
    else:
        clock.sleep(seconds)
