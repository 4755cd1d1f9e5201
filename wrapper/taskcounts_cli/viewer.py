"""The interface between the events of a wait and whatever displays or stores them.

A session (`run_session`) and a played recording (`play`) tell a viewer the same events in the same way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import frozen

from taskcounts.waiting.values import Observation, Verdict

# Seconds between two ticks.
TICK_INTERVAL = 0.25


class Viewer:
    """Base class of viewers: each method does nothing unless a subclass overrides it."""

    def begin(self, jobs: Sequence[str]) -> None:
        """Take the jobs in the order in which the user named them; called once, before the first poll."""

    def observe(self, observation: Observation) -> None:
        """Take the result of a poll."""

    def judge(self, verdict: Verdict) -> None:
        """Take the verdict on a job, which is the last event of that job."""

    def tick(self) -> None:
        """Redraw whatever depends on the time; called every TICK_INTERVAL seconds."""

    def end(self) -> None:
        """Finish the output; always called last, also after an interruption or an error."""


class Broadcast(Viewer):
    """A viewer that passes each call on to several viewers, in their order."""

    def __init__(self, *viewers: Viewer) -> None:
        self._viewers = viewers

    def begin(self, jobs: Sequence[str]) -> None:
        for viewer in self._viewers:
            viewer.begin(jobs)

    def observe(self, observation: Observation) -> None:
        for viewer in self._viewers:
            viewer.observe(observation)

    def judge(self, verdict: Verdict) -> None:
        for viewer in self._viewers:
            viewer.judge(verdict)

    def tick(self) -> None:
        for viewer in self._viewers:
            viewer.tick()

    def end(self) -> None:
        """End all viewers, even if one of them raises an error."""
        with contextlib.ExitStack() as stack:
            for viewer in reversed(self._viewers):
                stack.callback(viewer.end)


@frozen(kw_only=True)
class SessionResult:
    """The outcome of a session.

    Attributes:
        jobs: All jobs, in the order in which the user named them.
        verdicts: The verdicts by job id, without the jobs that an interruption left undecided.
        last: The last observation by job id, without the jobs that were never polled.
        interrupted: The number of the signal that ended the session early, None if none did.
        ended_at: The end of the session, in UTC, by this machine's clock.
    """

    jobs: tuple[str, ...]
    verdicts: Mapping[str, Verdict]
    last: Mapping[str, Observation]
    interrupted: int | None
    ended_at: datetime
