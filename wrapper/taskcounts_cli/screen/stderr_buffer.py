"""A stand-in for stderr that keeps messages while the live view has the terminal."""

from __future__ import annotations

import contextlib
import io
import threading
from collections import deque
from typing import TextIO

from taskcounts.clock import Clock

# Seconds for which the view shows a message, and messages that it shows at the same time.
VISIBLE_SECONDS = 10.0
VISIBLE_LINES = 5

# Lines that are kept; of more, the oldest are dropped and counted.
MAX_KEPT_LINES = 1000


class StderrBuffer(io.TextIOBase):
    """A text stream that keeps lines until they can be written to the terminal.

    Attributes:
        stream: The stream that the lines are meant for.
        lines_written: The number of lines so far.
    """

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        """Take the stream, and the source of time."""
        self.stream = stream
        self.lines_written = 0
        self._lines_flushed = 0
        self._clock = clock
        self._lines: deque[tuple[float, str]] = deque(maxlen=MAX_KEPT_LINES)
        self._unfinished = ""
        # Threads that send notifications write too.
        self._lock = threading.Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return self.stream.encoding

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self.stream.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Keep a text."""
        with self._lock:
            *lines, self._unfinished = (self._unfinished + text).split("\n")
            self._lines.extend((self._clock.monotonic(), line) for line in lines)
            self.lines_written += len(lines)
        return len(text)

    def recent(self) -> list[str]:
        """Return the last lines, up to VISIBLE_LINES, that are no older than VISIBLE_SECONDS."""
        since = self._clock.monotonic() - VISIBLE_SECONDS
        with self._lock:
            return [line for moment, line in list(self._lines)[-VISIBLE_LINES:] if moment > since]

    def flush_to_stream(self) -> None:
        """Write all lines to the stream."""
        with self._lock:
            lines = [line for _, line in self._lines]
            dropped = self.lines_written - self._lines_flushed - len(lines)
            self._lines_flushed = self.lines_written
            if self._unfinished:
                lines.append(self._unfinished)
            self._lines.clear()
            self._unfinished = ""
        # A message that can't be written must not cost data that can.
        with contextlib.suppress(OSError):
            if dropped:
                self.stream.write(f"({dropped:,} earlier messages are left out)\n")
            self.stream.writelines(f"{line}\n" for line in lines)
            self.stream.flush()
