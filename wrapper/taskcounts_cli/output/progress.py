"""Lines about waits, for a log or a terminal: one at a change, and one now and then while nothing changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from taskcounts.clock import SYSTEM_CLOCK, Clock
from taskcounts.snapshot import Snapshot
from taskcounts.text import one_line
from taskcounts.waiting.values import Kind, Observation, Verdict
from taskcounts_cli.exits import complain, say
from taskcounts_cli.output.words import age, span

# Seconds without a line, after which one says that the wait goes on.
HEARTBEAT = 60.0


class Lines:
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
            complain(f"{failed.error}{more}", word="warning")

    def _standing(self) -> str:
        """Return how all jobs stand."""
        if not self._several:
            [(job, last)] = self._last.items()
            return f"job {job!r}: {standing(last, self._clock.now())}"
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
        say(f"{at:%H:%M:%SZ} {one_line(text, 2000)}")


def counted(snapshot: Snapshot) -> str:
    """Return counts in words, such as ``40 of 52 tasks completed, 2 failed, 8 running, 4 active``."""
    tasks = snapshot.task_counts
    if not snapshot.total:
        return "no tasks" if not tasks.failed else f"no tasks, {tasks.failed:,} failed"
    parts = [f"{tasks.completed:,} of {snapshot.total:,} task{'' if snapshot.total == 1 else 's'} completed"]
    others = {name: getattr(tasks, name) for name in ("failed", "running", "active")}
    return ", ".join(parts + [f"{number:,} {name}" for name, number in others.items() if number])


def progress(observation: Observation) -> str:
    """Return how a job stands by its newest counts, and how long it may still take."""
    assert observation.snapshot is not None  # noqa: S101 - callers look.
    text = counted(observation.snapshot)
    if observation.doubtful:
        text += " (doubtful)"
    if observation.left is not None and observation.left >= 1:
        text += f", about {span(observation.left)} left"
    return text


def standing(last: Observation | None, now: datetime) -> str:
    """Return how a job stood when it was last heard of, and how long ago that was."""
    if last is None or (last.snapshot is None and not last.failures):
        return "nothing is known yet"
    parts = []
    if last.failures:
        more = "" if last.failures == 1 else f", {last.failures} polls in a row"
        parts.append(f"without a trustworthy answer{more}")
    if last.snapshot is not None:
        parts.append(f"{progress(last)} (counts of {age(last.snapshot.observed_at, now)})")
    if last.job_state is not None and last.job_state != "active":
        parts.append(f"the job is {one_line(last.job_state, 40)}")
    return "; ".join(parts)
