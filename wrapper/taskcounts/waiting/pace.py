"""The pace of a job, the time that it may still take, and the time until the next poll; pure."""

from __future__ import annotations

import math
from typing import NamedTuple

# Seconds from one poll to the next where the interval adapts: the least and the most.
MIN_INTERVAL = 2.0
MAX_INTERVAL = 30.0
# Factor by which the interval grows with each poll that brought no change.
GROWTH = 1.5
# Near the end of the job: the fraction of its estimated remaining time to wait, as a divisor.
NEAR_END = 4
# Near a limit of the wait: the fraction of the time until then to wait, as a divisor.
NEAR_LIMIT = 2

# Seconds before the deadline at which the last poll begins: enough for a few small requests.
LAST = 1.0
# In a short wait the last poll gets at most this fraction of the deadline, as a divisor.
LAST_PART = 4
# A wait for many jobs has a longer interval, and polls all of them at the end: that takes this fraction
# of the interval, as a divisor.
LAST_OF_MANY = 5

# Seconds after which an observation weighs half as much.
HALF_LIFE = 60.0
# Polls in a row without a change after which the remaining time is unknown.
STILL = 5


def interval_seconds(least: float, unchanged: int, left: float | None, *, limit: float = math.inf) -> float:
    """Return the adapted interval: the seconds from the start of one poll to the start of the next.

    ::

        max(least, min(30, least * 1.5 ** unchanged, left / 4, limit / 2))

    Args:
        least: The least interval in seconds, 2 by default.
        unchanged: The number of polls in a row that brought no change, or no answer.
        left: Estimated seconds until all tasks are completed; None, if unknown, drops the term.
        limit: Seconds until the deadline of the wait or its stall time, whichever is sooner.
    """
    grown = least * GROWTH ** min(unchanged, 64)
    near = math.inf if left is None else left / NEAR_END
    return max(least, min(MAX_INTERVAL, grown, near, limit / NEAR_LIMIT))


def last_seconds(deadline: float, interval: float | None, min_interval: float) -> float:
    """Return the seconds before the deadline of a wait at which its last poll begins.

    ::

        min(max(1, min_interval / 5), interval, deadline / 4)

    Args:
        deadline: Seconds that the wait may take as a whole.
        interval: Seconds from one poll to the next; None where it adapts: then ``min_interval`` is used here.
        min_interval: The least adapted interval in seconds.
    """
    least = min_interval if interval is None else interval
    return min(max(LAST, min_interval / LAST_OF_MANY), least, deadline / LAST_PART)


class Rate(NamedTuple):
    """Tasks completed per second, as an exponentially weighted moving average.

    It begins with the first counts of the wait: tasks completed before play no part.
    Counts that come ``t`` seconds after those before contribute their rate with the weight
    ``1 - 0.5 ** (t / 60)``, and the average so far keeps ``0.5 ** (t / 60)``.

    Attributes:
        at: The moment of the newest counts, on the wait's clock.
        completed: The number of completed tasks in them.
        total: The weighted sum of all rates so far.
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
        """Tasks per second; None as long as no task was completed."""
        return self.total / self.weight if self.moved and self.weight > 0 else None


def observe_rate(rate: Rate | None, at: float, completed: int) -> Rate:
    """Return the rate after further counts; counts that fell, as by a reactivated task, are no progress."""
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
    """Return the seconds until all tasks are completed; None if unknown, or if nothing moves."""
    value = None if rate is None else rate.value
    if not unfinished:
        return 0.0
    if not value or unchanged >= STILL:
        return None
    return unfinished / value
