"""Lanes: what can carry one request at a time, such as a connection, kept for the next request.

The one that was used last is taken first: few requests at once keep few lanes warm, and the others are closed
when they have been idle for a while. Taking one and giving it back costs the same however many there are;
a pool that looks through all of its connections for each request costs the more the more there are.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from taskcounts.engines.seam import TimeIsUp

if TYPE_CHECKING:
    import asyncio

L = TypeVar("L")

# How many requests of a client can be under way at once.
LANES = 256

# Seconds. An idle connection is kept for a minute, so that a poll every ten seconds or so doesn't open a new
# one each time.
IDLE = 60.0


class Lanes(Generic[L]):
    """Idle lanes. Only one thread or task uses a lane at a time; any may take it next."""

    def __init__(self, make: Callable[[], L], usable: Callable[[L], bool]) -> None:
        """Take what makes a new lane, and what tells whether an idle one can still be used."""
        self.closed = False
        self._make = make
        self._usable = usable
        self._idle: deque[tuple[L, float]] = deque()

    def _pick(self) -> tuple[L, list[L]]:
        """Return the lane that was used last, or a new one; and those that turned out to be useless."""
        useless: list[L] = []
        while True:
            try:
                lane, since = self._idle.pop()
            except IndexError:
                return self._make(), useless
            if since > time.monotonic() - IDLE and self._usable(lane):
                return lane, useless
            useless.append(lane)

    def _put(self, lane: L, again: bool) -> list[L]:
        """Keep a lane for the next request, if it can be used again; return the lanes to be closed."""
        if not again:
            return [lane]
        self._idle.append((lane, time.monotonic()))
        return self._over()

    def _over(self) -> list[L]:
        """Take out the lanes that have been idle for too long, or all of them after the end."""
        over: list[L] = []
        # Other threads may have taken what was seen a moment ago.
        with contextlib.suppress(IndexError):
            while self.closed or self._idle[0][1] < time.monotonic() - IDLE:
                over.append(self._idle.popleft()[0])
        return over


class ThreadLanes(Lanes[L]):
    """Lanes of any number of threads."""

    def __init__(
        self,
        make: Callable[[], L],
        close: Callable[[L], object],
        usable: Callable[[L], bool] = lambda _: True,
    ) -> None:
        """Take what makes a lane, closes one, and tells whether an idle one can still be used."""
        super().__init__(make, usable)
        self._close = close
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._room = threading.Semaphore(LANES)

    def take(self, seconds: float) -> L:
        """Return a lane; raise TimeIsUp if none gets free in time."""
        if self._process != os.getpid():
            # This process was forked. What it inherited is still that of the one before.
            self._begin()
            while self._idle:
                self._close(self._idle.pop()[0])
        if not self._room.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            raise TimeIsUp
        try:
            lane, useless = self._pick()
        except BaseException:
            self._room.release()
            raise
        for each in useless:
            self._close(each)
        return lane

    def give_back(self, lane: L, again: bool) -> None:
        """Hand in a lane; ``again`` says whether it can be used again."""
        for each in self._put(lane, again):
            self._close(each)
        self._room.release()

    def close(self) -> None:
        """Close all lanes, but for one that a thread uses: that is closed when it is handed in."""
        self.closed = True
        for each in self._over():
            self._close(each)


class TaskLanes(Lanes[L]):
    """Lanes of the tasks of one event loop."""

    def __init__(
        self,
        make: Callable[[], L],
        close: Callable[[L], Awaitable[object]],
        usable: Callable[[L], bool] = lambda _: True,
    ) -> None:
        """Take what makes a lane, closes one, and tells whether an idle one can still be used."""
        import asyncio  # noqa: PLC0415 - takes 40 ms to load, which threads don't need.

        super().__init__(make, usable)
        self._close = close
        self._room = asyncio.Semaphore(LANES)
        self._used: set[L] = set()
        self._running = asyncio.get_running_loop
        self._loop: asyncio.AbstractEventLoop | None = None

    async def take(self) -> L:
        """Return a lane as soon as one is free; raise ConnectionAbortedError after the end."""
        self._check_loop()
        await self._room.acquire()
        try:
            if self.closed:
                raise ConnectionAbortedError
            lane, useless = self._pick()
        except BaseException:
            self._room.release()
            raise
        self._used.add(lane)
        for each in useless:
            await self._close(each)
        return lane

    async def give_back(self, lane: L, again: bool) -> None:
        """Hand in a lane; ``again`` says whether it can be used again."""
        self._room.release()
        self._used.discard(lane)
        for each in self._put(lane, again):
            await self._close(each)

    async def close(self) -> None:
        """Close all lanes, also those in use: their requests end."""
        self.closed = True
        self._check_loop()
        for each in [*self._over(), *self._used]:
            await self._close(each)

    def _check_loop(self) -> None:
        loop = self._running()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("the client is bound to a different event loop; make one in each")
