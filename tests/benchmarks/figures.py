"""Figures from samples: ratios within a round, their spread, and a test for a change for the worse; pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Formula", "Samples", "Spread", "error", "is_worse", "noise", "spread"]

# By row and round: what was measured, by name.
Samples = Mapping[str, Mapping[int, Mapping[str, float]]]

# By how much of a figure two runs differ on a machine that nobody else uses, beside their spreads.
FLOOR = 0.06
# What others take of the machine's time makes all slower, and what is light by more than what is heavy.
DISTURBED = 0.5
# Between one run and a worse one lie so many standard errors.
ERRORS = 3.0


class Spread(NamedTuple):
    """The middle of some values, and between what the middle half of them lies."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("there are no values")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


class Formula(NamedTuple):
    """A figure of each round, from one row or from two: those of a round ran within seconds of each other.

    Attributes:
        quantity: What was measured.
        row: The row that it is about.
        over: The row that it is divided by.
        minus: A row that is taken off both before: what a process costs that does nothing.
        less: The row that it is a difference to, in place of a ratio.
        divisor: A number that it is divided by.
    """

    quantity: str
    row: str
    over: str | None = None
    minus: str | None = None
    less: str | None = None
    divisor: float = 1.0

    @property
    def rows(self) -> list[str]:
        """Return the rows that it needs."""
        return [row for row in (self.row, self.over, self.minus, self.less) if row is not None]

    def values(self, samples: Samples) -> list[float]:
        """Return its value for each round that has all rows."""
        rounds = sorted(set.intersection(*(set(samples.get(row, ())) for row in self.rows)))
        return [self._value(samples, number) for number in rounds]

    def _value(self, samples: Samples, number: int) -> float:
        def of(row: str | None, otherwise: float) -> float:
            return otherwise if row is None else samples[row][number][self.quantity]

        nothing = of(self.minus, 0.0)
        value = of(self.row, 0.0) - nothing
        if self.less is not None:
            value -= of(self.less, 0.0) - nothing
        if self.over is not None:
            value /= of(self.over, 0.0) - nothing
        return value / self.divisor


def error(values: Spread) -> float:
    """Return the standard error of a median, as quartiles and rounds tell it of what is spread normally."""
    return 0.93 * (values.high - values.low) / math.sqrt(values.rounds)


def noise(now: Spread, reference: Spread, disturbance: float = 0.0) -> float:
    """Return how much larger a figure may be than that of an earlier run by chance alone.

    Args:
        now: The figure.
        reference: That of the earlier run.
        disturbance: What share of the cores' time others took during the busier of both runs.
    """
    by_chance = ERRORS * math.hypot(error(now), error(reference))
    return by_chance + (FLOOR + DISTURBED * disturbance) * reference.median


def is_worse(now: Spread, reference: Spread, disturbance: float = 0.0) -> bool:
    """Return whether a figure, the smaller the better, is larger than chance explains."""
    return now.median > reference.median + noise(now, reference, disturbance)
