"""Plays a recording: hands its events to a viewer again, at the pace at which they came."""

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
    """The time of what is played."""

    def __init__(self) -> None:
        """Begin nowhere: the first event sets it."""
        self.moment = datetime(1970, 1, 1, tzinfo=UTC)
        self.passed = 0.0

    def monotonic(self) -> float:
        """Return the seconds that have been played."""
        return self.passed

    def now(self) -> datetime:
        """Return the time in the recording."""
        return self.moment

    def draw(self) -> float:
        """Return no chance: nothing here is decided by it."""
        return 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)
        self.passed += seconds

    def jump(self, moment: datetime) -> None:
        """Be at a moment, without the time in between."""
        self.moment = moment


def play(
    path: Path,
    survey: Summary,
    viewer: Viewer,
    clock: PlaybackClock,
    *,
    speed: float,
    sleep: Callable[[float], object],
) -> SessionResult:
    """Play a recording to its end; return what came of the session that it is of.

    Args:
        path: The recording.
        survey: What it holds.
        viewer: Is told of everything, as it was then.
        clock: The viewer's clock; it is moved.
        speed: How many recorded seconds pass in one of ours; 0 for all at once.
        sleep: Waits so many of our seconds.
    """
    verdicts: dict[str, Verdict] = {}
    last: dict[str, Observation] = {}
    begun = False
    viewer.begin(survey.jobs)
    try:
        for event in read_events(path, survey.events):
            moment = event.ended_at if isinstance(event, Verdict) else event.at
            anew = not isinstance(event, Verdict) and event.number == 1 and event.job_id in last
            # Between two watches that went to one file nothing was seen, however long it took.
            if not begun or anew or not speed:
                clock.jump(max(moment, clock.moment) if begun else moment)
                begun = True
            while (ahead := (moment - clock.moment).total_seconds()) > 0:
                step = min(TICK_INTERVAL, ahead / speed)
                sleep(step)
                # The last step of all is as long as what is left, to the microsecond.
                clock.advance(min(ahead, step * speed))
                viewer.tick()
            if isinstance(event, Verdict):
                verdicts[event.job_id] = event
                viewer.judge(event)
            else:
                if anew:
                    verdicts.pop(event.job_id, None)
                last[event.job_id] = event
                viewer.observe(event)
    finally:
        viewer.end()
    return SessionResult(
        jobs=survey.jobs, verdicts=verdicts, last=last, interrupted=None, ended_at=clock.moment
    )


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end what is played as Ctrl-C does, so that the terminal is left whole."""
    import signal  # noqa: PLC0415 - only where something is played.

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
