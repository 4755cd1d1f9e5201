"""Numbers, times and outcomes in words, the same in every view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from taskcounts.text import one_line

if TYPE_CHECKING:
    from taskcounts.snapshot import Snapshot
    from taskcounts.waiting.values import Observation, Verdict


def outcome(verdict: Verdict) -> str:
    """Return a verdict in one or two words."""
    if verdict and verdict.goal in ("done", "all-succeeded"):
        return "done"
    return "not met" if verdict.outcome == "unmet" else verdict.outcome.replace("-", " ")


def some(jobs: Sequence[str], most: int) -> str:
    """Return the first few of some jobs, and how many there are more."""
    more = f" and {len(jobs) - most:,} more" if len(jobs) > most else ""
    return ", ".join(map(one_line, jobs[:most])) + more


def count(number: int) -> str:
    """Return a number with separators, as in 12,345."""
    return f"{number:,}"


def percent(snapshot: Snapshot) -> str:
    """Return which part is completed, cut and not rounded: 100 only if every task is; - for no tasks."""
    if snapshot.percent is None:
        return "-"
    # Whole numbers: a quotient of large ones would be rounded.
    tenths = 1000 * snapshot.completed // snapshot.total
    return f"{tenths // 10}.{tenths % 10} %"


def span(seconds: float) -> str:
    """Return how long something takes, in the two units that matter."""
    whole = max(0, math.floor(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    if hours < 2:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60:02} min"
    return f"{hours // 24} d {hours % 24} h"


def rate(per_second: float) -> str:
    """Return how many tasks are completed in a time that makes it a number of some size."""
    number, unit = per_second, "s"
    if per_second * 60 < 1:
        number, unit = per_second * 3600, "h"
    elif per_second < 1:
        number, unit = per_second * 60, "min"
    return f"{number:,.0f}/{unit}" if number >= 100 else f"{number:.1f}/{unit}"


def left(seconds: float | None) -> str:
    """Return how long it will take, or that nobody knows."""
    return "time left unknown" if seconds is None else f"about {span(max(1, seconds))} left"


def age(moment: datetime, now: datetime) -> str:
    """Return how old something is; a clock that was set back makes nothing younger than new."""
    return f"{span((now - moment).total_seconds())} ago"


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


def last_known(last: Observation | None, now: datetime) -> str:
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
