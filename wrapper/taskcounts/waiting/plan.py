"""What a wait is for, and its limits, checked."""

from __future__ import annotations

import math

from attrs import frozen

from taskcounts.arguments import check_seconds
from taskcounts.waiting.goals import Goal, parse_goal
from taskcounts.waiting.pace import MIN_INTERVAL


@frozen(kw_only=True)
class WaitPlan:
    """What to wait for, and within which limits; times in seconds.

    Attributes:
        goal: What to wait for.
        deadline: How long the wait may take as a whole.
        stall: How long nothing may change.
        interval: From one poll to the next; None adapts it.
        min_interval: The least that an adapted interval is: who waits for many jobs at once asks for each
            of them less often.
        max_failures: After how many polls in a row without a trustworthy answer the wait is lost.
        fail_fast: Whether the first failed task ends the wait.
        exact_at_end: Whether a list of all tasks decides at the end.
        empty_is_done: Whether a job without tasks is done.
    """

    goal: Goal
    deadline: float = math.inf
    stall: float = math.inf
    interval: float | None = None
    min_interval: float = MIN_INTERVAL
    max_failures: int = 10
    fail_fast: bool = False
    exact_at_end: bool = False
    empty_is_done: bool = False


def plan_wait(
    until: str,
    *,
    deadline: float | None,
    stall: float | None,
    interval: float | None,
    min_interval: float,
    max_failures: int,
    fail_fast: bool,
    exact_at_end: bool,
    empty_is_done: bool,
) -> WaitPlan:
    """Return a plan.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An argument is of the wrong type.
    """
    if isinstance(max_failures, bool) or not isinstance(max_failures, int):
        raise TypeError(f"max_failures must be an int, not {type(max_failures).__name__}")
    if max_failures < 1:
        raise ValueError(f"max_failures is {max_failures}; give 1 or more")
    return WaitPlan(
        goal=parse_goal(until),
        deadline=math.inf if deadline is None else check_seconds("deadline", deadline),
        stall=math.inf if stall is None else check_seconds("stall", stall),
        interval=None if interval is None else check_seconds("interval", interval),
        min_interval=check_seconds("min_interval", min_interval),
        max_failures=max_failures,
        fail_fast=fail_fast,
        exact_at_end=exact_at_end,
        empty_is_done=empty_is_done,
    )
