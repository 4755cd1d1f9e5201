"""How fast a job moves, how long it may still take, and when to ask again. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

# Seconds from one poll to the next, at the least and at the most, where the interval adapts itself.
MIN_INTERVAL = 2.0
MAX_INTERVAL = 30.0
# How much longer each time that nothing changed.
GROWTH = 1.5
# Near the end, which part of the time left.
NEAR_END = 4
# Before the wait's own limits, which part of what they leave.
NEAR_LIMIT = 2

# Seconds before its deadline at which a wait looks for the last time: enough for a few small questions.
LAST = 1.0
# Of the time that a short wait has, the last look gets this part at the most.
LAST_PART = 4
# Who asks for each of many jobs less often asks for all of them at last at once: part of the interval.
LAST_OF_MANY = 5

# Seconds after which what was observed counts half.
HALF_LIFE = 60.0
# After so many polls in a row without any change nobody can tell how long it takes.
STILL = 5


def interval_seconds(least: float, unchanged: int, left: float | None, *, limit: float = math.inf) -> float:
    """Return the seconds from the start of one poll to the start of the next, where they adapt.

    They are::

        max(least, min(30, least * 1.5 ** unchanged, left / 4, limit / 2))

    Args:
        least: Seconds that it is never shorter than, 2 by default.
        unchanged: How many polls in a row brought no change, or no answer.
        left: Seconds until all tasks are completed, None if that isn't known; then it plays no part.
        limit: Seconds until a limit of the wait is reached: its deadline, or that of standing still.
    """
    grown = least * GROWTH ** min(unchanged, 64)
    near = math.inf if left is None else left / NEAR_END
    return max(least, min(MAX_INTERVAL, grown, near, limit / NEAR_LIMIT))


def last_seconds(deadline: float, interval: float | None, min_interval: float) -> float:
    """Return the seconds before the deadline of a wait at which it looks for the last time.

    They are::

        min(max(1, min_interval / 5), interval, deadline / 4)

    Args:
        deadline: Seconds that the wait may take as a whole.
        interval: Seconds from one poll to the next; None where it adapts, then it is ``min_interval`` here.
        min_interval: The least that an adapted interval is.
    """
    least = min_interval if interval is None else interval
    return min(max(LAST, min_interval / LAST_OF_MANY), least, deadline / LAST_PART)


class Rate(NamedTuple):
    """How many tasks are completed per second, as an exponentially weighted moving average.

    It begins with the first counts of the wait: what was completed before plays no part.
    Of two counts that lie ``t`` seconds apart, the tasks completed in between weigh
    ``1 - 0.5 ** (t / 60)``, and what was known before weighs ``0.5 ** (t / 60)``.

    Attributes:
        at: When the newest counts came, on the wait's clock.
        completed: How many tasks were completed then.
        total: The weighted sum of the rates that were seen.
        weight: The sum of their weights.
        moved: Whether a task was completed since the wait began.
    """

    at: float
    completed: int
    total: float = 0.0
    weight: float = 0.0
    moved: bool = False

    @property
    def value(self) -> float | None:
        """Tasks per second; None as long as none was completed."""
        return self.total / self.weight if self.moved and self.weight > 0 else None


def observe_rate(rate: Rate | None, at: float, completed: int) -> Rate:
    """Return the rate after further counts. Counts that fell, as tasks were reactivated, are no progress."""
    if rate is None:
        return Rate(at, completed)
    seconds = at - rate.at
    if seconds <= 0:
        return rate._replace(completed=completed)
    kept = 0.5 ** (seconds / HALF_LIFE)
    progress = max(0, completed - rate.completed)
    return Rate(
        at,
        completed,
        rate.total * kept + progress / seconds * (1 - kept),
        rate.weight * kept + 1 - kept,
        rate.moved or progress > 0,
    )


def seconds_left(rate: Rate | None, unfinished: int, unchanged: int) -> float | None:
    """Return the seconds until all tasks are completed; None if it isn't known, or nothing moves."""
    value = None if rate is None else rate.value
    if not unfinished:
        return 0.0
    if not value or unchanged >= STILL:
        return None
    return unfinished / value
