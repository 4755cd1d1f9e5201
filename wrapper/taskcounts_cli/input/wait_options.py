"""The options of ``taskcounts wait`` and ``watch`` that set the goal and the limits of a wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    """The goal and the limits of a wait.

    Attributes:
        until: The goal, as the user wrote it.
        deadline: Seconds that the wait may take as a whole.
        attempt_timeout: Seconds that one attempt at a request may take.
        others: Further keyword arguments of ``wait_for_job``, by name.
    """

    until: str
    deadline: float
    attempt_timeout: float
    others: Mapping[str, Any]


def wait_options(command: Command) -> Command:
    """Add the options of a wait; the command gets them as ``wait``, a `WaitOptions`.

    Each option is named like the keyword argument of ``wait_for_job`` that takes its value.
    """
    options = [
        click.option(
            "--for",
            "until",
            metavar="GOAL",
            default="done",
            callback=_goal,
            help="The goal: done, all-succeeded, any-failed, no-active, percent=N, count>=N "
            "(completed tasks), or another counter: active, running, completed, succeeded, failed, total.",
        ),
        click.option(
            "--timeout",
            "deadline",
            type=Duration(),
            default=math.inf,
            show_default=False,
            help="Give up after this time: 90 (seconds), 90s, 10m, 2h, 1h30m. Never by default.",
        ),
        click.option(
            "--stall",
            type=Duration(),
            default=math.inf,
            show_default=False,
            help="Give up when nothing changes for this time.",
        ),
        click.option(
            "--interval",
            type=Duration("auto"),
            metavar="auto|DURATION",
            default="auto",
            help="The time between two polls; auto lengthens it while nothing changes.",
        ),
        click.option(
            "--max-failures",
            type=click.IntRange(1),
            metavar="N",
            default=DEFAULT_MAX_FAILURES,
            help="Give up after N polls in a row without a trustworthy answer.",
        ),
        click.option("--fail-fast", is_flag=True, help="End as soon as a task has failed."),
        click.option(
            "--exact-at-end", is_flag=True, help="List all tasks before the verdict, which then follows them."
        ),
        click.option("--empty-is-done", is_flag=True, help="Take a job without tasks as done."),
        attempt_timeout_option,
        service_timeout_option,
    ]

    def make(*, until: str, deadline: float, attempt_timeout: float, **others: Any) -> WaitOptions:
        return WaitOptions(until=until, deadline=deadline, attempt_timeout=attempt_timeout, others=others)

    return option_group(command, options, "wait", make)


def _goal(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return a goal that is valid."""
    try:
        parse_goal(value)
    except ValueError as error:
        # A shell that reads count>=9 unquoted passes "count" and writes to a file called "=9".
        bare = value.strip().lower() in ("count", *COUNTERS)
        quoting = f"; quote it for the shell: '{value.strip()}>=N'" if bare else ""
        raise click.BadParameter(f"{error}{quoting}", param=parameter) from None
    return value
