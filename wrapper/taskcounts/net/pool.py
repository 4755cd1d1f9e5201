"""A pool of reusable connections, last used first.

Few requests at once keep few connections warm, and the others are closed when they have been idle for a
while. Taking one and putting it back costs the same however many there are. Nothing in here waits, so no
cancellation can lose a connection.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Generic, TypeVar

from taskcounts.net.base import IDLE
from taskcounts.net.connection import HttpConnection

C = TypeVar("C", bound=HttpConnection)


class Pool(Generic[C]):
    """Idle connections. Only one thread or task uses a connection at a time; any may take it next."""

    def __init__(self) -> None:
        self.closed = False
        self._idle: deque[tuple[C, float]] = deque()

    def take(self) -> C | None:
        """Return the connection that was used last, None if none can be used again."""
        while (kept := self._pop()) is not None:
            connection, since = kept
            if since > time.monotonic() - IDLE and connection.is_quiet():
                return connection
            connection.close()
        return None

    def put(self, connection: C) -> None:
        """Keep a connection for the next request, and close those that have been idle for too long."""
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
        """Close all idle connections, and those in use once they are put back."""
        self.closed = True
        self.close_idle()

    def _pop(self, *, oldest: bool = False) -> tuple[C, float] | None:
        try:
            return self._idle.popleft() if oldest else self._idle.pop()
        except IndexError:
            # Another thread took what was there a moment ago.
            return None
