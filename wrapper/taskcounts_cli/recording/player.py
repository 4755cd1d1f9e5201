"""Plays a recording: passes its events to a viewer again, at the pace at which they happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.recording.reader import Summary, read_events
from taskcounts_cli.viewer import TICK_INTERVAL, SessionResult, Viewer


class PlaybackClock:
    """A clock that shows the time in a recording."""

    def __init__(self) -> None:
        self._moment = datetime(1970, 1, 1, tzinfo=UTC)
        self._elapsed = 0.0

    def monotonic(self) -> float:
        """Return the seconds that have been played."""
        return self._elapsed

    def now(self) -> datetime:
        """Return the time in the recording."""
        return self._moment

    def draw(self) -> float:
        """Return 0: nothing in a recording is random."""
        return 0.0

    def advance(self, seconds: float) -> None:
        """Let recorded seconds pass."""
        self._moment += timedelta(seconds=seconds)
        self._elapsed += seconds

    def jump(self, moment: datetime) -> None:
        """Skip the time up to a moment."""
        self._moment = moment


def play(
    path: Path,
    summary: Summary,
    viewer: Viewer,
    clock: PlaybackClock,
    *,
    speed: float,
    sleep: Callable[[float], object],
) -> SessionResult:
    """Play a recording to its end, and return the outcome of the session that was recorded.

    Args:
        path: The recording.
        summary: The contents of the recording.
        viewer: The viewer to call at each event.
        clock: The viewer's clock, which is moved.
        speed: Recorded seconds per second; 0 plays everything at once.
        sleep: Sleeps for some seconds.
    """
    verdicts: dict[str, Verdict] = {}
    last: dict[str, Observation] = {}
    begun = False
    viewer.begin(summary.jobs)
    try:
        for event in read_events(path, summary.events):
            moment = event.ended_at if isinstance(event, Verdict) else event.at
            next_watch = not isinstance(event, Verdict) and event.number == 1 and event.job_id in last
            # The time between two watches that were recorded in one file is skipped.
            if not begun or next_watch or not speed:
                clock.jump(max(moment, clock.now()) if begun else moment)
                begun = True
            while (ahead := (moment - clock.now()).total_seconds()) > 0:
                step = min(TICK_INTERVAL, ahead / speed)
                sleep(step)
                # The last step ends at the moment exactly, whatever the rounding.
                clock.advance(min(ahead, step * speed))
                viewer.tick()
            if isinstance(event, Verdict):
                verdicts[event.job_id] = event
                viewer.judge(event)
            else:
                if next_watch:
                    verdicts.pop(event.job_id, None)
                last[event.job_id] = event
                viewer.observe(event)
    finally:
        viewer.end()
    return SessionResult(
        jobs=summary.jobs, verdicts=verdicts, last=last, interrupted=None, ended_at=clock.now()
    )


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as Ctrl-C does, so that the viewer restores the terminal."""
    import signal  # noqa: PLC0415 - only where something is played.

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
