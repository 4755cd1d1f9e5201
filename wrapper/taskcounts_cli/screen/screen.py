"""The live view on a terminal: it has the window for itself, and leaves it as it was, with the last state.

It draws on the terminal's other screen, as editors do: however a window is resized meanwhile, nothing of it
stays behind. What is written to a standard error that is the same terminal is kept, shown in the lowest
lines, and written for good at the end.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

from attrs import evolve
from rich.console import Console, Group
from rich.live import Live

from taskcounts.clock import SYSTEM_CLOCK, Clock
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.screen.glyphs import glyphs_for
from taskcounts_cli.screen.view import frame, window
from taskcounts_cli.screen.watched_job import WatchedJob
from taskcounts_cli.viewer import Viewer

if TYPE_CHECKING:
    from types import FrameType

# Seconds that a message is seen in the view.
VISIBLE_SECONDS = 10.0

# Messages that are kept for the end; of more the oldest are left out, with a word.
MAX_KEPT_LINES = 1000


def can_animate(stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a stream is a terminal on which things can be drawn again."""
    if stream is None or not stream.isatty():
        return False
    return environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


class Screen(Viewer):
    """A viewer that draws on a terminal."""

    def __init__(
        self, stream: TextIO, footer: str = "", *, clock: Clock = SYSTEM_CLOCK, still: bool = False
    ) -> None:
        """Take where to draw.

        Args:
            stream: The terminal.
            footer: What the last line says, for as long as the view lives.
            clock: Time, for tests and for what is replayed.
            still: Whether only the last state is to be shown.
        """
        self._stream = stream
        self._footer = footer
        self._clock = clock
        self._glyphs = glyphs_for(stream.encoding)
        if isinstance(stream, io.TextIOWrapper):
            # An error's text may hold what this terminal has no character for.
            stream.reconfigure(errors="replace")
        self._console = Console(
            file=stream, force_terminal=True, force_interactive=True, highlight=False, markup=False
        )
        self._still = still
        self._live: Live | None = None
        self._jobs: dict[str, WatchedJob] = {}
        self._kept: StderrBuffer | None = None
        self._drawn: tuple[object, ...] | None = None
        self._news = 0
        self._suspend = False
        self._before: Any = None
        self._size = (80, 24)

    def begin(self, jobs: Sequence[str]) -> None:
        """Take the terminal."""
        self._jobs = {job: WatchedJob(job_id=job) for job in jobs}
        if self._still:
            return
        with _signals_blocked():
            if sys.stderr is not None and sys.stderr.isatty():
                self._kept = StderrBuffer(sys.stderr, self._clock)
                _redirect(sys.stderr, self._kept)
                sys.stderr = self._kept
            if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGTSTP"):
                self._before = signal.signal(signal.SIGTSTP, self._take)
            self._enter()
        self.tick()

    def observe(self, observation: Observation) -> None:
        """Take what is new of a job."""
        self._know(observation)

    def judge(self, verdict: Verdict) -> None:
        """Take the verdict on a job."""
        self._know(verdict)

    def tick(self) -> None:
        """Draw, if there is something new to see; and stop for a while, if Ctrl-Z asks for it."""
        if self._still:
            return
        if self._suspend:
            self._sleep()
        now = self._clock.now()
        self._measure()
        said = self._kept.number if self._kept is not None else 0
        # Ages are told in seconds: nothing else moves by itself.
        state = (self._news, self._size, said, int(now.timestamp()))
        if state != self._drawn:
            self._drawn = state
            self._draw(now)

    def end(self) -> None:
        """Give the terminal back; the last state stays to be seen."""
        with _signals_blocked():
            try:
                self._leave()
            finally:
                if self._before is not None:
                    signal.signal(signal.SIGTSTP, self._before)
                if self._kept is not None:
                    sys.stderr = self._kept.stream
                    _redirect(self._kept, sys.stderr)
        self._measure()
        jobs = list(self._jobs.values())
        if len(jobs) == 1 and jobs[0].verdict is not None:
            # The verdict itself is the command's last line.
            jobs = [evolve(jobs[0], verdict=evolve(jobs[0].verdict, text=""))]
        # The prompt, and the verdict, have room below.
        room = max(3, self._size[1] - 3)
        for line in frame(jobs, self._clock.now(), self._size[0], room, self._glyphs):
            self._console.print(line, no_wrap=True, overflow="ignore")
        if self._kept is not None:
            self._kept.flush_to_stream()

    def _know(self, event: Observation | Verdict) -> None:
        before = self._jobs.get(event.job_id) or WatchedJob(job_id=event.job_id)
        self._jobs[event.job_id] = before.after(event)
        self._news += 1

    def _measure(self) -> None:
        """Take the terminal's own size, which no variable knows better."""
        # A terminal that is gone, or of no size, keeps the size that it had.
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self._stream.fileno())
            self._size = (size.columns or self._size[0], size.lines or self._size[1])
        self._console.size = self._size

    def _draw(self, now: datetime) -> None:
        assert self._live is not None  # noqa: S101 - between begin and end.
        width, height = self._size
        lines = window(
            list(self._jobs.values()),
            now,
            width,
            height,
            self._glyphs,
            footer=self._footer,
            messages=self._kept.newest() if self._kept is not None else (),
        )
        self._live.update(Group(*lines), refresh=True)

    def _enter(self) -> None:
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _leave(self) -> None:
        if self._live is not None:
            # Terminals without another screen keep what was drawn: they are given back empty.
            self._console.clear()
            self._live.stop()
            self._live = None

    def _take(self, _: int, __: FrameType | None) -> None:
        # Not here: it may be in the midst of drawing.
        self._suspend = True

    def _sleep(self) -> None:
        """Give the terminal to the shell until we are woken, then take it again."""
        self._suspend = False
        self._leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._take)
        self._enter()
        self._drawn = None


class StderrBuffer(io.TextIOBase):
    """Stands in for standard error: keeps lines until they can be written."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        """Take what it stands in for, and the time that lines are shown by."""
        self.stream = stream
        self.number = 0
        self._given = 0
        self._clock = clock
        self._lines: deque[tuple[float, str]] = deque(maxlen=MAX_KEPT_LINES)
        self._open = ""
        self._lock = threading.Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self.stream.encoding

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self.stream.isatty()

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Keep a text."""
        # Threads that pass verdicts on write, too.
        with self._lock:
            *lines, self._open = (self._open + text).split("\n")
            self._lines.extend((self._clock.monotonic(), line) for line in lines)
            self.number += len(lines)
        return len(text)

    def newest(self, number: int = 5) -> list[str]:
        """Return the last lines, for as long as they are new."""
        since = self._clock.monotonic() - VISIBLE_SECONDS
        with self._lock:
            return [line for moment, line in list(self._lines)[-number:] if moment > since]

    def flush_to_stream(self) -> None:
        """Write what was kept."""
        with self._lock:
            lines = [line for _, line in self._lines]
            missing = self.number - self._given - len(lines)
            self._given = self.number
            if self._open:
                lines.append(self._open)
            self._lines.clear()
            self._open = ""
        # Talk that can't be written must not cost data that can.
        with contextlib.suppress(OSError):
            if missing:
                self.stream.write(f"({missing:,} earlier messages are left out)\n")
            self.stream.writelines(f"{line}\n" for line in lines)
            self.stream.flush()


def _redirect(stream: object, other: Any) -> None:
    """Let our log write to another stream, where it writes to this one."""
    for handler in logging.getLogger("taskcounts").handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
            handler.setStream(other)


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let no Ctrl-C or SIGTERM come between taking or giving back a terminal; they come after it."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
