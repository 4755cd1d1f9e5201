"""Viewers that write lines: for a log or a terminal one at a change and one now and then, or JSON objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

import click

from taskcounts.clock import SYSTEM_CLOCK, Clock
from taskcounts.text import one_line
from taskcounts.waiting.values import Kind, Observation, Verdict
from taskcounts_cli.messages import print_stderr, print_warning
from taskcounts_cli.output.events import event_line, event_record
from taskcounts_cli.output.formatting import last_known, progress
from taskcounts_cli.viewer import Viewer

# Seconds without a line, after which one says that the wait goes on.
HEARTBEAT = 60.0


class LineViewer(Viewer):
    """A viewer that writes lines to stderr.

    A line comes at each change of a job's counts, and for each note and each poll without a trustworthy
    answer; after HEARTBEAT seconds without any, one that the wait goes on. Times are in UTC.
    """

    def __init__(self, *, quiet: bool = False, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take how to tell.

        Args:
            quiet: Tell nothing of what is under way, and of verdicts among several only those that
                something else came of than what was waited for.
            clock: Time, for tests.
        """
        self._quiet = quiet
        self._clock = clock
        self._several = False
        self._last: dict[str, Observation | None] = {}
        self._failed: dict[str, Observation] = {}
        self._verdicts = 0
        self._said = -math.inf

    def begin(self, jobs: Sequence[str]) -> None:
        """Take the jobs."""
        self._several = len(jobs) > 1
        self._last = dict.fromkeys(jobs)
        self._said = self._clock.monotonic()

    def observe(self, observation: Observation) -> None:
        """Tell what is new."""
        self._complain(observation.job_id)
        before = self._last[observation.job_id]
        self._last[observation.job_id] = observation
        if observation.kind is Kind.FAILURE:
            self._failed[observation.job_id] = observation
        first = before is None or before.snapshot is None
        parts = []
        if observation.snapshot is not None and (observation.changed or first):
            parts.append(progress(observation))
        if observation.note is not None:
            parts.append(observation.note)
        if parts:
            self._say(f"job {observation.job_id!r}: {'; '.join(parts)}", observation.at)

    def judge(self, verdict: Verdict) -> None:
        """Tell a verdict among several; a single one is the command's to tell."""
        self._verdicts += 1
        failed = self._failed.get(verdict.job_id)
        # A verdict tells why the status is lost.
        if failed is not None and failed.error is verdict.error:
            del self._failed[verdict.job_id]
        self._complain(verdict.job_id)
        if self._several and (not self._quiet or not verdict):
            self._tell(verdict.text, verdict.ended_at)

    def tick(self) -> None:
        """Tell that the wait goes on, if nothing has been told for a while."""
        for job in list(self._failed):
            self._complain(job)
        if self._clock.monotonic() - self._said >= HEARTBEAT:
            self._say(self._standing(), self._clock.now())

    def end(self) -> None:
        """Tell what hasn't been told."""
        for job in list(self._failed):
            self._complain(job)

    def _complain(self, job: str) -> None:
        """Tell of a poll without a trustworthy answer, if that hasn't been told."""
        failed = self._failed.pop(job, None)
        if failed is not None and not self._quiet:
            self._said = self._clock.monotonic()
            more = f"; {failed.failures} polls in a row" if failed.failures > 1 else ""
            print_warning(f"{failed.error}{more}")

    def _standing(self) -> str:
        """Return how all jobs stand."""
        if not self._several:
            [(job, last)] = self._last.items()
            return f"job {job!r}: {last_known(last, self._clock.now())}"
        known = [
            last.snapshot for last in self._last.values() if last is not None and last.snapshot is not None
        ]
        text = f"{self._verdicts} of {len(self._last)} jobs have ended"
        if known:
            completed, total = sum(each.completed for each in known), sum(each.total for each in known)
            text += f"; {completed:,} of {total:,} tasks completed"
        if len(known) < len(self._last):
            text += f"; {len(self._last) - len(known)} without counts yet"
        return text

    def _say(self, text: str, at: datetime) -> None:
        if not self._quiet:
            self._tell(text, at)

    def _tell(self, text: str, at: datetime) -> None:
        self._said = self._clock.monotonic()
        print_stderr(f"{at:%H:%M:%SZ} {one_line(text, 2000)}")


class StdoutLineViewer(LineViewer):
    """A viewer that writes lines to stdout: off a terminal, they are what a watch is for."""

    def _tell(self, text: str, at: datetime) -> None:
        self._said = self._clock.monotonic()
        click.echo(f"{at:%H:%M:%SZ} {one_line(text, 2000)}")


class NdjsonViewer(Viewer):
    """A viewer that writes each observation and each verdict as a JSON object to stdout."""

    def observe(self, observation: Observation) -> None:
        """Write an observation."""
        click.echo(event_line(event_record(observation)))

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict."""
        click.echo(event_line(event_record(verdict)))
