"""Viewers that write lines: for people one at each change, for programs JSON."""

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

# Seconds without a line after which one shows that the wait goes on.
HEARTBEAT = 60.0


class LineViewer(Viewer):
    """A viewer that writes a line at each change of a job's counts, at each note, and at each failed poll.

    After HEARTBEAT seconds without a line it writes one with the state of all jobs. Times are in UTC.
    """

    def __init__(self, *, quiet: bool = False, to_stdout: bool = False, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take the options.

        Args:
            quiet: Whether to write only verdicts that aren't met, and those only if there are several jobs.
            to_stdout: Whether the lines go to stdout instead of stderr; warnings always go to stderr.
            clock: The source of time.
        """
        self._quiet = quiet
        self._to_stdout = to_stdout
        self._clock = clock
        self._last: dict[str, Observation | None] = {}
        # The failed polls that no warning has shown yet, by job.
        self._failed: dict[str, Observation] = {}
        self._verdicts = 0
        self._written_at = -math.inf

    def begin(self, jobs: Sequence[str]) -> None:
        self._last = dict.fromkeys(jobs)
        self._written_at = self._clock.monotonic()

    def observe(self, observation: Observation) -> None:
        """Write the counts if they changed, and the note if there is one."""
        self._warn(observation.job_id)
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
        if parts and not self._quiet:
            self._write(f"job {observation.job_id!r}: {'; '.join(parts)}", observation.at)

    def judge(self, verdict: Verdict) -> None:
        """Write the verdict if there are several jobs; the command itself writes that on a single one."""
        self._verdicts += 1
        failed = self._failed.get(verdict.job_id)
        # The verdict itself names the error that ended the wait.
        if failed is not None and failed.error is verdict.error:
            del self._failed[verdict.job_id]
        self._warn(verdict.job_id)
        if len(self._last) > 1 and (not self._quiet or not verdict):
            self._write(verdict.text, verdict.ended_at)

    def tick(self) -> None:
        """Write the heartbeat if it is due."""
        self.end()
        if self._clock.monotonic() - self._written_at >= HEARTBEAT and not self._quiet:
            self._write(self._heartbeat(), self._clock.now())

    def end(self) -> None:
        """Write the warnings that are pending."""
        for job in list(self._failed):
            self._warn(job)

    def _warn(self, job: str) -> None:
        """Write a warning about the failed poll of a job, if one is pending."""
        failed = self._failed.pop(job, None)
        if failed is not None and not self._quiet:
            self._written_at = self._clock.monotonic()
            more = f"; {failed.failures} polls in a row" if failed.failures > 1 else ""
            print_warning(f"{failed.error}{more}")

    def _heartbeat(self) -> str:
        """Return the state of all jobs in one line."""
        if len(self._last) == 1:
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

    def _write(self, text: str, at: datetime) -> None:
        self._written_at = self._clock.monotonic()
        line = f"{at:%H:%M:%SZ} {one_line(text, 2000)}"
        if self._to_stdout:
            click.echo(line)
        else:
            print_stderr(line)


class NdjsonViewer(Viewer):
    """A viewer that writes each verdict, and each observation if wanted, to stdout as a line of JSON."""

    def __init__(self, *, observations: bool = True) -> None:
        self._observations = observations

    def observe(self, observation: Observation) -> None:
        if self._observations:
            click.echo(event_line(event_record(observation)))

    def judge(self, verdict: Verdict) -> None:
        click.echo(event_line(event_record(verdict)))
