"""The command ``taskcounts replay``."""

from __future__ import annotations

import math
import time
from pathlib import Path

import click

from taskcounts_cli.exits import Exit
from taskcounts_cli.input.options import recording_argument
from taskcounts_cli.output.verdicts import verdict_line
from taskcounts_cli.recording.player import PlaybackClock, play, sigterm_as_interrupt
from taskcounts_cli.recording.reader import summarize
from taskcounts_cli.screen.stdout_viewer import stdout_viewer


def _finite(_: click.Context, parameter: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number", param=parameter)
    return value


@click.command
@recording_argument
@click.option(
    "--speed",
    type=click.FloatRange(0),
    metavar="N",
    default=1.0,
    callback=_finite,
    help="Play N recorded seconds in one second; 0 plays everything at once.",
)
def replay(file: Path, speed: float) -> Exit:
    """Show again what watch --record wrote to FILE.

    A last line that is cut off is skipped with a warning. So is an invalid line elsewhere, and then the
    exit code is 74. Otherwise it is 0, whatever the verdicts were.
    """
    summary, clock = summarize(file), PlaybackClock()
    footer = f"recorded, at {speed:g} times its speed; Ctrl-C ends it"
    viewer = stdout_viewer(footer, clock=clock, still=not speed)
    with sigterm_as_interrupt():
        result = play(file, summary, viewer, clock, speed=speed, sleep=time.sleep)
    click.echo(verdict_line(result))
    return Exit.INPUT_OUTPUT if summary.bad_lines else Exit.OK
