"""The goals of a wait, as people write them."""

from __future__ import annotations

import re

from attrs import frozen

from taskcounts.text import one_line

NAMES = ("done", "all-succeeded", "any-failed", "no-active")
COUNTERS = ("active", "running", "completed", "succeeded", "failed", "total")

_PERCENT = re.compile(r"percent\s*=\s*([0-9]{1,3}(\.[0-9]{1,6})?)", re.ASCII)
_COUNT = re.compile(rf"(count|{'|'.join(COUNTERS)})\s*>=\s*([0-9]{{1,10}})", re.ASCII)


@frozen
class Goal:
    """A goal of a wait.

    Attributes:
        name: One of NAMES, ``percent``, or one of COUNTERS.
        least: The percentage or number of tasks to reach; None for one of NAMES.
    """

    name: str
    least: float | None = None

    def __str__(self) -> str:
        if self.least is None:
            return self.name
        return f"{self.name}{'=' if self.name == 'percent' else '>='}{self.least:.10g}"


def parse_goal(text: str) -> Goal:
    """Return the goal of a text such as ``done``, ``percent=50`` or ``count>=100`` (completed tasks).

    Raises:
        ValueError: The text names no goal.
        TypeError: It is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"until must be a str, not {type(text).__name__}")
    plain = text.strip().lower()
    if plain in NAMES:
        return Goal(plain)
    if (found := _PERCENT.fullmatch(plain)) and 0 < float(found[1]) <= 100:
        return Goal("percent", float(found[1]))
    if (found := _COUNT.fullmatch(plain)) and int(found[2]) > 0:
        return Goal("completed" if found[1] == "count" else found[1], int(found[2]))
    raise ValueError(
        f"{one_line(ascii(text), 60)} can't be waited for: give {', '.join(NAMES)}, percent=N (above 0, "
        "to 100), or count>=N (completed tasks), or another counter such as succeeded>=N"
    )
