"""What a wait is for, and its limits, as options of ``taskcounts wait`` and ``watch``."""

from __future__ import annotations

import math
from typing import Any

import click
from attrs import frozen

from taskcounts.base_client import DEFAULT_MAX_FAILURES
from taskcounts.waiting.goals import COUNTERS, parse_goal
from taskcounts_cli.input.options import (
    Command,
    Duration,
    attempt_timeout_option,
    option_group,
    service_timeout_option,
)


@frozen(kw_only=True)
class WaitOptions:
    """What to wait for, and within which limits; times in seconds."""

    until: str
    timeout: float
    stall: float
    interval: float | None
    max_failures: int
    fail_fast: bool
    exact_at_end: bool
    empty_is_done: bool
    service_timeout: int | None
    attempt_timeout: float

    def limits(self) -> dict[str, Any]:
        """Return them as the keyword arguments of ``wait_for_job`` that limit the wait as a whole."""
        return {
            "deadline": self.timeout,
            "stall": self.stall,
            "interval": self.interval,
            "max_failures": self.max_failures,
            "fail_fast": self.fail_fast,
            "exact_at_end": self.exact_at_end,
            "empty_is_done": self.empty_is_done,
        }


def wait_options(command: Command) -> Command:
    """Add the options that say what to wait for; the command gets ``wait``."""
    options = [
        click.option(
            "--for",
            "until",
            metavar="GOAL",
            default="done",
            show_default=True,
            callback=_goal,
            help="What to wait for: done, all-succeeded, any-failed, no-active, percent=N, count>=N "
            "(completed tasks), or another counter: active, running, completed, succeeded, failed, total.",
        ),
        click.option(
            "--timeout",
            type=Duration(),
            metavar="DURATION",
            help="Give up after so long: 90 (seconds), 90s, 10m, 2h, 1h30m. Without it, never.",
        ),
        click.option(
            "--stall", type=Duration(), metavar="DURATION", help="Give up when nothing changes for so long."
        ),
        click.option(
            "--interval",
            type=Duration("auto"),
            metavar="auto|DURATION",
            default="auto",
            show_default=True,
            help="From one poll to the next; auto asks more seldom while nothing changes.",
        ),
        click.option(
            "--max-failures",
            type=click.IntRange(1),
            metavar="N",
            default=DEFAULT_MAX_FAILURES,
            show_default=True,
            help="Give up after so many polls in a row without a trustworthy answer.",
        ),
        click.option("--fail-fast", is_flag=True, help="End as soon as a task has failed."),
        click.option(
            "--exact-at-end", is_flag=True, help="List all tasks before a verdict, and let that decide."
        ),
        click.option("--empty-is-done", is_flag=True, help="Take a job without tasks for done."),
        attempt_timeout_option,
        service_timeout_option,
    ]

    def make(*, timeout: float | None, stall: float | None, **given: Any) -> WaitOptions:
        return WaitOptions(
            timeout=math.inf if timeout is None else timeout,
            stall=math.inf if stall is None else stall,
            **given,
        )

    return option_group(command, options, "wait", make)


def _goal(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return what to wait for, once it is known that it can be waited for."""
    try:
        parse_goal(value)
    except ValueError as error:
        # What a shell leaves of count>=9, having written to a file called =9.
        bare = value.strip().lower() in ("count", *COUNTERS)
        quoting = f"; quote it for the shell: '{value.strip()}>=N'" if bare else ""
        raise click.BadParameter(f"{error}{quoting}", param=parameter) from None
    return value
