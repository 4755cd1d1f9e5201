"""A pool of reusable connections, last used first.

Few requests at once keep few connections in use, and the others are closed when they have been idle for a
while. Taking and putting back a connection takes constant time. Nothing in here waits, so a cancellation
can't lose a connection.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Generic, TypeVar

from taskcounts.net.base import IDLE
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
