"""Reproducible random draws, and distributions of durations.

A draw depends on the seed and on its purpose, never on earlier draws. So the fate of a task is the same
whatever requests come in between, and in whatever order other tasks end.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

from taskcounts_emulator import json_reader
from taskcounts_emulator.errors import EmulatorError

__all__ = ["Distribution", "draw", "parse_distribution"]

# Seconds; the limit of every duration, so that every time can be written as a date.
MAX_SECONDS = 10 * 365 * 86_400.0

# The names of the numbers of each kind, for error messages.
_KINDS = {
    "uniform": ("low", "high"),
    "exponential": ("mean",),
    "lognormal": ("median", "sigma"),
}


def draw(seed: int, *purpose: object) -> float:
    """Return a number from [0, 1) that is random, but always the same for one seed and purpose."""
    text = "\0".join(map(str, (seed, *purpose)))
    digest = hashlib.blake2b(text.encode(), digest_size=7).digest()
    # A float holds 53 bits; with more, the largest numbers would be rounded to 1.
    return (int.from_bytes(digest, "big") >> 3) / 2**53


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution of durations in seconds.

    Attributes:
        kind: ``constant``, ``uniform``, ``exponential`` or ``lognormal``.
        numbers: The value; low and high; the mean; the median and sigma of the logarithm.
    """

    kind: str
    numbers: tuple[float, ...]

    def quantile(self, probability: float) -> float:
        """Return the quantile of a probability from [0, 1)."""
        if self.kind == "constant":
            seconds = self.numbers[0]
        elif self.kind == "uniform":
            low, high = self.numbers
            seconds = low + (high - low) * probability
        elif self.kind == "exponential":
            seconds = -self.numbers[0] * math.log1p(-probability)
        else:
            median, sigma = self.numbers
            # The inverse is infinite at 0, and the power would overflow for large exponents.
            exponent = sigma * NormalDist().inv_cdf(max(probability, 2**-53))
            seconds = median * math.exp(min(exponent, 50.0))
        return min(seconds, MAX_SECONDS)

    def as_json(self) -> object:
        """Return the distribution in the form of ``parse_distribution``."""
        if self.kind in ("constant", "exponential"):
            return self.numbers[0] if self.kind == "constant" else {self.kind: self.numbers[0]}
        return {self.kind: list(self.numbers)}


def parse_distribution(value: object, path: str) -> Distribution:
    """Return a distribution from JSON.

    Args:
        value: A number of seconds, or an object with one member: ``{"uniform": [low, high]}``,
            ``{"exponential": mean}`` or ``{"lognormal": [median, sigma]}``.
        path: The path for error messages.

    Raises:
        EmulatorError: The distribution is invalid. The message names the place.
    """
    if not isinstance(value, dict):
        return Distribution("constant", (json_reader.number(value, path, 0, MAX_SECONDS),))
    given = json_reader.members(value, path, tuple(_KINDS))
    if len(given) != 1:
        raise EmulatorError(f"{path}: must have one member of {', '.join(_KINDS)}")
    ((kind, values),) = given.items()
    numbers = values if isinstance(values, list | tuple) else [values]
    names = _KINDS[kind]
    if len(numbers) != len(names):
        raise EmulatorError(f"{path}.{kind}: must be {' and '.join(names)}")
    known = tuple(
        json_reader.number(number, f"{path}.{kind}", 0, 20 if name == "sigma" else MAX_SECONDS)
        for name, number in zip(names, numbers, strict=True)
    )
    if kind == "uniform" and known[0] > known[1]:
        raise EmulatorError(f"{path}.uniform: the low end is above the high end")
    return Distribution(kind, known)
