"""The plan of a wait: its goal and its limits, checked."""

from __future__ import annotations

import math
from typing import Any

from attrs import Attribute, field, frozen

from taskcounts.arguments import check_seconds
from taskcounts.waiting.goals import Goal, parse_goal
from taskcounts.waiting.pace import MIN_INTERVAL


def _check_number(_: WaitPlan, attribute: Attribute[int], number: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{attribute.name} must be an int, not {type(number).__name__}")
    if number < 1:
        raise ValueError(f"{attribute.name} is {number}; give 1 or more")


@frozen(kw_only=True)
class WaitPlan:
    """The goal of a wait and its limits, in seconds; `TaskCountsClient.wait_for_job` describes them."""

    goal: Goal
    deadline: float = math.inf
    stall: float = math.inf
    interval: float | None = None
    min_interval: float = MIN_INTERVAL
    max_failures: int = field(default=10, validator=_check_number)
    fail_fast: bool = False
    exact_at_end: bool = False
    empty_is_done: bool = False


def plan_wait(until: str, **limits: Any) -> WaitPlan:
    """Return the plan of a wait.

    Args:
        until: The text of its goal.
        **limits: Attributes of the plan. A ``deadline``, ``stall`` or ``interval`` of None is no limit.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An argument is of the wrong type.
    """
    for name in ("deadline", "stall", "interval", "min_interval"):
        if name in limits and (limits[name] is not None or name == "min_interval"):
            limits[name] = check_seconds(name, limits[name])
        else:
            limits.pop(name, None)
    return WaitPlan(goal=parse_goal(until), **limits)
