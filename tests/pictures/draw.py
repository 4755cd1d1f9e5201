"""The pictures: the view of `taskcounts watch` at one moment, and the chart of `taskcounts plot`."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.console import Console

from pictures.jobs import BEGAN, GUID, JOBS, SOME_GUID, Event
from taskcounts import Verdict
from taskcounts_cli.recording.plot import draw, series
from taskcounts_cli.screen.state import Watched
from taskcounts_cli.screen.view import frame

# One job trails the truth at this moment, another has had no answer for a while.
SHOWN_AT = BEGAN + timedelta(minutes=5, seconds=59)
WIDTH, HEIGHT = 98, 24

# Rich's own has fonts from the network, which no viewer of a picture loads.
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def watch(events: Sequence[Event]) -> str:
    """Return the view of all jobs at one moment, as SVG."""
    known = {job.id: Watched(job_id=job.id) for job in JOBS}
    for event in events:
        if (event.ended_at if isinstance(event, Verdict) else event.at) <= SHOWN_AT:
            known[event.job_id] = known[event.job_id].after(event)
    console = Console(
        file=io.StringIO(),
        record=True,
        width=WIDTH,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        highlight=False,
        markup=False,
        _environ={},
    )
    for line in frame(list(known.values()), SHOWN_AT, WIDTH, HEIGHT):
        console.print(line, no_wrap=True, overflow="ignore")
    title = f"taskcounts watch {' '.join(known)}"
    drawn = console.export_svg(title=title, code_format=SVG, unique_id="watch")
    return _trimmed(GUID.sub(SOME_GUID, drawn))


def plot(events: Sequence[Event]) -> str:
    """Return the chart of the first job, as SVG."""
    drawn = draw(series(events, JOBS[0].id), "svg").decode()
    # A tenth of a pixel is enough for a picture, and makes it much smaller.
    return _trimmed(re.sub(r"(\.\d)\d{3,}", r"\1", drawn))


def pictures(events: Sequence[Event]) -> Mapping[str, str]:
    """Return all pictures by the names of their files."""
    return {"watch.svg": watch(events), "plot.svg": plot(events)}


def _trimmed(text: str) -> str:
    """Return a text without blanks at the ends of its lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
