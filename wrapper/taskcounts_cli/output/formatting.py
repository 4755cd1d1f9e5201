"""Numbers, times, counts and outcomes as text, the same in every view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from taskcounts.text import one_line

if TYPE_CHECKING:
    from taskcounts.snapshot import Snapshot
    from taskcounts.waiting.values import Observation, Verdict


def outcome_name(verdict: Verdict) -> str:
    """Return a verdict in one or two words."""
    if verdict and verdict.goal in ("done", "all-succeeded"):
        return "done"
    return "not met" if verdict.outcome == "unmet" else verdict.outcome.replace("-", " ")


def first_few(jobs: Sequence[str], limit: int) -> str:
    """Return the first jobs up to a limit, and the number of the others."""
    more = f" and {len(jobs) - limit:,} more" if len(jobs) > limit else ""
    return ", ".join(map(one_line, jobs[:limit])) + more


def percent(snapshot: Snapshot) -> str:
    """Return the percentage of completed tasks, rounded down, so that 100.0 % means all; - for no tasks."""
    if snapshot.percent is None:
        return "-"
    # In integers: a float would round the quotient of large numbers.
    tenths = 1000 * snapshot.completed // snapshot.total
    return f"{tenths // 10}.{tenths % 10} %"


def duration(seconds: float) -> str:
    """Return a duration in its one or two largest units."""
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
    """Return a rate of completed tasks per second, minute or hour, whichever gives a number of 1 or more."""
    number, unit = per_second, "s"
    if per_second * 60 < 1:
        number, unit = per_second * 3600, "h"
    elif per_second < 1:
        number, unit = per_second * 60, "min"
    return f"{number:,.0f}/{unit}" if number >= 100 else f"{number:.1f}/{unit}"


def time_left(seconds: float | None) -> str:
    """Return an estimate of the remaining time; None is unknown."""
    return "time left unknown" if seconds is None else f"about {duration(max(1, seconds))} left"


def age(moment: datetime, now: datetime) -> str:
    """Return the age of a moment; 0 s if the clock was set back since."""
    return f"{duration((now - moment).total_seconds())} ago"


def counts(snapshot: Snapshot) -> str:
    """Return counts as text, such as ``40 of 52 tasks completed, 2 failed, 8 running, 4 active``."""
    tasks = snapshot.task_counts
    if not snapshot.total:
        return "no tasks" if not tasks.failed else f"no tasks, {tasks.failed:,} failed"
    parts = [f"{tasks.completed:,} of {snapshot.total:,} task{'' if snapshot.total == 1 else 's'} completed"]
    others = {name: getattr(tasks, name) for name in ("failed", "running", "active")}
    return ", ".join(parts + [f"{number:,} {name}" for name, number in others.items() if number])


def progress(observation: Observation) -> str:
    """Return the newest counts of a job that has any, and the time left."""
    assert observation.snapshot is not None  # noqa: S101 - callers check.
    text = counts(observation.snapshot)
    if observation.doubtful:
        text += " (doubtful)"
    if observation.left is not None and observation.left >= 1:
        text += f", about {duration(observation.left)} left"
    return text


def last_known(last: Observation | None, now: datetime) -> str:
    """Return what the last observation of a job shows, and the age of its counts."""
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
