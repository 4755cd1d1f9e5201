"""A pool of reusable connections, last used first.

Few requests at once keep few connections in use, and the others are closed when they have been idle for a
while. Taking and putting back a connection takes constant time. Only `Permits.take` waits, so a cancellation
can't lose a connection in here.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from taskcounts.net.base import IDLE, AttemptTimedOut
from taskcounts.net.connection import HttpConnection

C = TypeVar("C", bound=HttpConnection)


class Pool(Generic[C]):
    """A pool of idle connections, each of which any thread or task may take for itself."""

    def __init__(self) -> None:
        self.closed = False
        self._idle: deque[tuple[C, float]] = deque()

    def take(self) -> C | None:
        """Return the last used connection that can be used again, None if there is none."""
        while (kept := self._pop()) is not None:
            connection, since = kept
            if since > time.monotonic() - IDLE and connection.is_quiet():
                return connection
            connection.close()
        return None

    def put(self, connection: C) -> None:
        """Keep a connection for the next request, and close those that were idle for too long."""
        self._idle.append((connection, time.monotonic()))
        if self.closed:
            self.close_idle()
        while self._idle and self._idle[0][1] < time.monotonic() - IDLE:
            if (kept := self._pop(oldest=True)) is not None:
                kept[0].close()

    def close_idle(self) -> None:
        """Close all idle connections."""
        while (kept := self._pop()) is not None:
            kept[0].close()

    def close(self) -> None:
        """Close all idle connections, and those in use when they are put back."""
        self.closed = True
        self.close_idle()

    def _pop(self, *, oldest: bool = False) -> tuple[C, float] | None:
        try:
            return self._idle.popleft() if oldest else self._idle.pop()
        except IndexError:
            # Another thread has taken the last one.
            return None


class Permit:
    """The permission to have one request under way; a permit that is dropped returns by itself.

    A signal handler may raise an exception between any two bytecodes, so no code can guarantee to put back
    a permit; but Python collects one that has no references, and ``__del__`` returns it.
    """

    __slots__ = ("_home",)

    def __init__(self, home: weakref.ref[SimpleQueue[Permit]]) -> None:
        self._home = home

    def __del__(self) -> None:
        if (home := self._home()) is not None:
            home.put(Permit(self._home))


class Permits:
    """A fixed number of permits, for any number of threads."""

    def __init__(self, number: int) -> None:
        # This queue is written in C: no interruption leaves it locked.
        self._free: SimpleQueue[Permit] = SimpleQueue()
        home = weakref.ref(self._free)
        for _ in range(number):
            self._free.put(Permit(home))

    def take(self, seconds: float) -> Permit:
        """Return a permit; raise AttemptTimedOut if none is free within some seconds."""
        try:
            return self._free.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except Empty:
            raise AttemptTimedOut from None

    def put(self, permit: Permit) -> None:
        """Give a permit back."""
        self._free.put(permit)
