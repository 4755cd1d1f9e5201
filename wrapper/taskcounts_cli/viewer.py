"""What a session tells, and to whom: waits as they go, and recordings that are played, have viewers alike."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from taskcounts.waiting.values import Observation, Verdict

# Seconds from one tick of the viewer to the next.
TICK_INTERVAL = 0.25


class Viewer(Protocol):
    """Shows what a session tells."""

    def begin(self, jobs: Sequence[str]) -> None:
        """Take the jobs, in the order in which they were named, before anything is asked."""
        ...

    def observe(self, observation: Observation) -> None:
        """Take what came of a poll."""
        ...

    def judge(self, verdict: Verdict) -> None:
        """Take the verdict on a job, after which nothing more comes of that job."""
        ...

    def tick(self) -> None:
        """Note that TICK_INTERVAL seconds have passed: redraw, and show the age of the data."""
        ...

    def end(self) -> None:
        """Leave things whole: always called last, also after an interruption or an error."""
        ...


class Broadcast:
    """Several viewers as one: each is told everything, in this order."""

    def __init__(self, *viewers: Viewer) -> None:
        self._viewers = viewers

    def begin(self, jobs: Sequence[str]) -> None:
        """Begin them all."""
        for viewer in self._viewers:
            viewer.begin(jobs)

    def observe(self, observation: Observation) -> None:
        """Hand on what came of a poll."""
        for viewer in self._viewers:
            viewer.observe(observation)

    def judge(self, verdict: Verdict) -> None:
        """Hand a verdict on."""
        for viewer in self._viewers:
            viewer.judge(verdict)

    def tick(self) -> None:
        """Hand on that time has passed."""
        for viewer in self._viewers:
            viewer.tick()

    def end(self) -> None:
        """End them all, also where one of them can't."""
        with contextlib.ExitStack() as stack:
            for viewer in reversed(self._viewers):
                stack.callback(viewer.end)


@frozen(kw_only=True)
class SessionResult:
    """What came of a session.

    Attributes:
        jobs: All jobs, in the order in which they were named.
        verdicts: The verdicts by job; those that an interruption came before are missing.
        last: The last observation by job, for what was last known; missing where there was none.
        interrupted: The signal that ended the session before all verdicts were there, None if none did.
        ended_at: When it ended, in UTC, by this machine's clock.
    """

    jobs: tuple[str, ...]
    verdicts: Mapping[str, Verdict]
    last: Mapping[str, Observation]
    interrupted: int | None
    ended_at: datetime
