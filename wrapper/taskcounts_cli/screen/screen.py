"""The live view: it fills a terminal's window, and at its end leaves the last state in the scrollback.

It draws on the terminal's alternate screen, as editors do, so that nothing of it stays behind however the
window is resized. Messages that go to a terminal's stderr meanwhile are kept, shown in the lowest lines, and
written at the end.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

from attrs import evolve
from rich.console import Console, Group
from rich.live import Live

from taskcounts.clock import SYSTEM_CLOCK, Clock
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.screen.glyphs import glyphs_for
from taskcounts_cli.screen.stderr_buffer import StderrBuffer
from taskcounts_cli.screen.view import frame, window
from taskcounts_cli.screen.watched_job import WatchedJob
from taskcounts_cli.viewer import Viewer

if TYPE_CHECKING:
    from types import FrameType


class Screen(Viewer):
    """A viewer that draws on a terminal."""

    def __init__(
        self, stream: TextIO, footer: str = "", *, clock: Clock = SYSTEM_CLOCK, still: bool = False
    ) -> None:
        """Take the terminal.

        Args:
            stream: The terminal.
            footer: The last line of the window.
            clock: The source of time.
            still: Whether to show only the final state.
        """
        self._stream = stream
        self._footer = footer
        self._clock = clock
        self._glyphs = glyphs_for(stream.encoding)
        if isinstance(stream, io.TextIOWrapper):
            # The text of an error may hold characters that the terminal's encoding lacks.
            stream.reconfigure(errors="replace")
        self._console = Console(
            file=stream, force_terminal=True, force_interactive=True, highlight=False, markup=False
        )
        self._still = still
        self._live: Live | None = None
        self._jobs: dict[str, WatchedJob] = {}
        self._stderr: StderrBuffer | None = None
        self._drawn: tuple[object, ...] | None = None
        self._events = 0
        self._suspend = False
        self._previous_handler: Any = None
        self._size = (80, 24)

    def begin(self, jobs: Sequence[str]) -> None:
        """Take over the terminal, stderr, and Ctrl-Z."""
        self._jobs = {job: WatchedJob(job_id=job) for job in jobs}
        if self._still:
            return
        with _signals_blocked():
            if sys.stderr is not None and sys.stderr.isatty():
                self._stderr = StderrBuffer(sys.stderr, self._clock)
                _redirect_log(sys.stderr, self._stderr)
                sys.stderr = self._stderr
            if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGTSTP"):
                self._previous_handler = signal.signal(signal.SIGTSTP, self._on_suspend)
            self._enter()
        self.tick()

    def observe(self, observation: Observation) -> None:
        self._update(observation)

    def judge(self, verdict: Verdict) -> None:
        self._update(verdict)

    def tick(self) -> None:
        """Draw if anything has changed, and suspend the process if Ctrl-Z was pressed."""
        if self._still:
            return
        if self._suspend:
            self._suspend_process()
        now = self._clock.now()
        self._measure()
        messages = self._stderr.lines_written if self._stderr is not None else 0
        # Whole seconds: ages are shown in seconds, and nothing else changes by itself.
        state = (self._events, self._size, messages, int(now.timestamp()))
        if state != self._drawn:
            self._drawn = state
            self._draw(now)

    def end(self) -> None:
        """Give the terminal back, and print the last state."""
        with _signals_blocked():
            try:
                self._leave()
            finally:
                if self._previous_handler is not None:
                    signal.signal(signal.SIGTSTP, self._previous_handler)
                if self._stderr is not None:
                    sys.stderr = self._stderr.stream
                    _redirect_log(self._stderr, sys.stderr)
        self._measure()
        jobs = list(self._jobs.values())
        if len(jobs) == 1 and jobs[0].verdict is not None:
            # The command itself prints the verdict below.
            jobs = [evolve(jobs[0], verdict=evolve(jobs[0].verdict, text=""))]
        # Room for the verdict and the shell's prompt below.
        room = max(3, self._size[1] - 3)
        for line in frame(jobs, self._clock.now(), self._size[0], room, self._glyphs):
            self._console.print(line, no_wrap=True, overflow="ignore")
        if self._stderr is not None:
            self._stderr.flush_to_stream()

    def _update(self, event: Observation | Verdict) -> None:
        before = self._jobs.get(event.job_id) or WatchedJob(job_id=event.job_id)
        self._jobs[event.job_id] = before.after(event)
        self._events += 1

    def _measure(self) -> None:
        """Take the size from the terminal itself: the variables COLUMNS and LINES may be outdated."""
        # OSError: the terminal is gone. Like one that reports no size, it keeps its last size.
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self._stream.fileno())
            self._size = (size.columns or self._size[0], size.lines or self._size[1])
        self._console.size = self._size

    def _draw(self, now: datetime) -> None:
        assert self._live is not None  # noqa: S101 - set between begin and end.
        width, height = self._size
        lines = window(
            list(self._jobs.values()),
            now,
            width,
            height,
            self._glyphs,
            footer=self._footer,
            messages=self._stderr.recent() if self._stderr is not None else (),
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
            # A terminal without an alternate screen keeps what was drawn, so that it is cleared first.
            self._console.clear()
            self._live.stop()
            self._live = None

    def _on_suspend(self, _: int, __: FrameType | None) -> None:
        # The next tick suspends: the signal may have interrupted a drawing.
        self._suspend = True

    def _suspend_process(self) -> None:
        """Give the terminal back, stop until the shell continues the process, and take it over again."""
        self._suspend = False
        self._leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._on_suspend)
        self._enter()
        self._drawn = None


def _redirect_log(stream: object, other: Any) -> None:
    """Let the handlers of our log that write to a stream write to another one."""
    for handler in logging.getLogger("taskcounts").handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
            handler.setStream(other)


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM to the end of the block, so that they can't leave the terminal half set up."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
