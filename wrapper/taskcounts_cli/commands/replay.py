"""The command ``taskcounts replay``: what a watch has recorded, shown again."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import click

from taskcounts_cli.exits import Exit
from taskcounts_cli.output.verdicts import verdict_line
from taskcounts_cli.output.viewers import StdoutLineViewer
from taskcounts_cli.recording.reader import summarize
from taskcounts_cli.viewer import Viewer


def _finite(_: click.Context, parameter: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number", param=parameter)
    return value


@click.command
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--speed",
    type=click.FloatRange(0),
    metavar="N",
    default=1.0,
    show_default=True,
    callback=_finite,
    help="How many recorded seconds pass in one; 0 shows all at once.",
)
def replay(file: Path, speed: float) -> Exit:
    """Show what watch --record kept in FILE, as watch showed it.

    A last line that was torn off is left out with a warning; so is a broken one in the middle, and then the
    exit code is 74. Otherwise it is 0, whatever came of the jobs.
    """
    from taskcounts_cli.recording.player import PlaybackClock, play, sigterm_as_interrupt  # noqa: PLC0415
    from taskcounts_cli.screen.screen import Screen, can_animate  # noqa: PLC0415

    found = summarize(file)
    clock = PlaybackClock()
    viewer: Viewer = StdoutLineViewer(clock=clock)
    if can_animate(sys.stdout):
        viewer = Screen(
            sys.stdout,
            f"recorded, at {speed:g} times its speed; Ctrl-C ends it",
            clock=clock,
            still=not speed,
        )
    with sigterm_as_interrupt():
        result = play(file, found, viewer, clock, speed=speed, sleep=time.sleep)
    click.echo(verdict_line(result))
    return Exit.INPUT_OUTPUT if found.broken else Exit.OK
