"""The choice between the live view and plain lines."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from taskcounts.clock import SYSTEM_CLOCK, Clock
from taskcounts_cli.output.viewers import LineViewer
from taskcounts_cli.viewer import Viewer


def can_animate(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal that can redraw its lines."""
    if stream is None or not stream.isatty():
        return False
    return os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


def stdout_viewer(footer: str, *, clock: Clock = SYSTEM_CLOCK, still: bool = False) -> Viewer:
    """Return the live view if stdout is a terminal, and else a viewer that writes lines.

    Args:
        footer: The last line of the live view.
        clock: The source of time.
        still: Whether the live view shows only the final state.
    """
    if not can_animate(sys.stdout):
        return LineViewer(to_stdout=True, clock=clock)
    # Loading rich takes longer than a short wait.
    from taskcounts_cli.screen.screen import Screen  # noqa: PLC0415

    return Screen(sys.stdout, footer, clock=clock, still=still)
