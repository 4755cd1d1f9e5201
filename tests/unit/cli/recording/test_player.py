"""Recordings are played at their own pace."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.observations import NOON, judged, seen
from support.recordings import FIRST, LAST, SECOND, record
from taskcounts.waiting.values import Observation, Outcome, Verdict
from taskcounts_cli.recording.player import PlaybackClock, play, sigterm_as_interrupt
from taskcounts_cli.recording.reader import summarize
from taskcounts_cli.viewer import Viewer


class Audience(Viewer):
    """A viewer that records its calls and their times."""

    def __init__(self, clock: PlaybackClock) -> None:
        self.clock = clock
        self.told: list[tuple[str, object]] = []
        self.times: list[datetime] = []

    def begin(self, jobs: Any) -> None:
        self.told.append(("begin", tuple(jobs)))

    def observe(self, observation: Observation) -> None:
        self.told.append(("observe", observation))
        self.times.append(self.clock.now())

    def judge(self, verdict: Verdict) -> None:
        self.told.append(("judge", verdict))
        self.times.append(self.clock.now())

    def tick(self) -> None:
        self.told.append(("tick", self.clock.now()))

    def end(self) -> None:
        self.told.append(("end", None))


def played(path: Path, speed: float) -> tuple[Audience, list[float], Any]:
    """Play a recording to a recording viewer; return the viewer, the seconds slept, and the result."""
    clock, slept = PlaybackClock(), list[float]()
    audience = Audience(clock)
    result = play(path, summarize(path), audience, clock, speed=speed, sleep=slept.append)
    assert audience.told[0] == ("begin", ("j",))
    assert audience.told[-1] == ("end", None)
    assert clock.draw() == 0
    return audience, slept, result


@pytest.mark.parametrize("speed", [1.0, 4.0, 0.5])
def test_a_recording_is_played_at_a_pace(tmp_path: Path, speed: float) -> None:
    """Events arrive in order at their times, with ticks in between."""
    record(tmp_path / "r", FIRST, SECOND, LAST)
    audience, slept, result = played(tmp_path / "r", speed)
    assert audience.times == [NOON, NOON + timedelta(seconds=5), NOON + timedelta(seconds=6)]
    assert sum(slept) == pytest.approx(6 / speed)
    assert max(slept) <= 0.25
    assert sum(kind == "tick" for kind, _ in audience.told) == len(slept)
    assert result.verdicts == {"j": LAST}
    assert result.last == {"j": SECOND}
    assert result.ended_at == NOON + timedelta(seconds=6)


def test_a_recording_is_played_at_once(tmp_path: Path) -> None:
    """Speed 0 never sleeps, and ages are measured from the last event."""
    record(tmp_path / "r", FIRST, SECOND, LAST)
    audience, slept, result = played(tmp_path / "r", 0)
    assert slept == []
    assert audience.times[-1] == result.ended_at == NOON + timedelta(seconds=6)


def test_the_time_between_two_watches_is_skipped(tmp_path: Path) -> None:
    """A second watch in one file begins at once, without the old verdict, and the clock never goes back."""
    later = 86_400.0
    again = [seen("j", number=1, at=later), seen("j", at=later - 5), seen("j", at=later + 1)]
    record(tmp_path / "r", FIRST, judged("j", Outcome.TIMED_OUT, at=1), *again)
    audience, slept, result = played(tmp_path / "r", 1)
    assert sum(slept) == pytest.approx(2)
    assert result.verdicts == {}
    assert audience.times == sorted(audience.times)
    assert audience.clock.monotonic() == pytest.approx(2)


def test_sigterm_ends_a_replay() -> None:
    """SIGTERM ends a replay as Ctrl-C does, and its handler is restored."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
