"""A table with a line for each job, or several in a narrow window; no number and no id is ever cut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen
from rich.text import Text

from taskcounts_cli.output import formatting
from taskcounts_cli.screen.glyphs import SEGMENTS, STYLES, Glyphs
from taskcounts_cli.screen.layout import join, split_word, wrap
from taskcounts_cli.screen.watched_job import WatchedJob
from taskcounts_cli.screen.widgets import bar, legend, status_mark

GAP = 2
MIN_BAR = 10
MAX_BAR = 40

# The columns that are shown only if there is room, the most important first.
_OPTIONAL = ("status", "total", "age", "bar", "percent", "left", "rate")
_COLUMNS = ("job", "bar", *SEGMENTS, "total", "percent", "rate", "left", "age", "status")
_ALIGNED_LEFT = ("job", "bar", "status")


@frozen
class Table:
    """A table.

    Attributes:
        legend: The meaning of the characters, empty if the heading names the counters.
        heading: The names of the columns.
        rows: The lines of each job.
    """

    legend: list[Text]
    heading: list[Text]
    rows: Sequence[list[Text]]


def table(jobs: Sequence[WatchedJob], now: datetime, width: int, glyphs: Glyphs) -> Table:
    """Return the jobs as a table with as many columns as there is room for."""
    cells_of = [_cells(job, now) for job in jobs]
    signs = wrap(legend(glyphs), width, indent=2)
    # Counters are named in full if there is room for the names, and else by their characters in a bar.
    for headings in ({}, glyphs.segments):
        widths = {
            name: max(len(headings.get(name, name)), *(cells[name].cell_len for cells in cells_of))
            for name in _COLUMNS
            if name != "bar"
        } | {"bar": MIN_BAR}
        chosen = ["job", *SEGMENTS]
        free = width - 1 - sum(widths[name] + GAP for name in chosen) + GAP - 1
        if free < 0:
            continue
        for name in _OPTIONAL:
            if widths[name] + GAP <= free:
                chosen.append(name)
                free -= widths[name] + GAP
        # Full names are worth more than the columns from the bar on, but less than those before.
        if headings is glyphs.segments or {"status", "total", "age"} <= set(chosen):
            break
    else:
        return Table(signs, [], [_stacked(job, now, width, glyphs) for job in jobs])
    if "bar" in chosen:
        widths["bar"] += max(0, min(free, MAX_BAR - MIN_BAR))
    shown = [name for name in _COLUMNS if name in chosen]
    titles = {name: Text(headings.get(name, name), style="dim") for name in shown}
    heading = _row(Text(" "), titles | {"bar": Text(), "status": Text()}, shown, widths)
    return Table(
        signs if headings is glyphs.segments else [],
        [heading],
        [
            [_row(status_mark(job, glyphs), cells | {"bar": bar(job, widths["bar"], glyphs)}, shown, widths)]
            for job, cells in zip(jobs, cells_of, strict=True)
        ],
    )


def _row(first: Text, cells: dict[str, Text], shown: list[str], widths: dict[str, int]) -> Text:
    """Return a line of cells, in which numbers are aligned right."""
    padded = []
    for name in shown:
        cell = cells[name].copy()
        cell.align("left" if name in _ALIGNED_LEFT else "right", widths[name])
        padded.append(cell)
    line = join([first, join(padded, GAP)], 1)
    line.rstrip()
    return line


def _cells(job: WatchedJob, now: datetime) -> dict[str, Text]:
    """Return the text in each column; a question mark for what is unknown."""
    snapshot, latest = job.snapshot, job.latest
    cells = dict.fromkeys(_COLUMNS, Text("?", style="dim"))
    cells["job"] = Text(job.name, style="bold")
    cells["status"] = Text(job.status, style=("yellow", "dim", "bold red", "bold green")[job.rank])
    cells["rate"] = cells["left"] = Text()
    if snapshot is None:
        return cells
    for segment in SEGMENTS:
        cells[segment] = Text(f"{getattr(snapshot.task_counts, segment):,}", style=STYLES[segment])
    cells["total"] = Text(f"{snapshot.total:,}")
    cells["percent"] = Text(formatting.percent(snapshot))
    age = formatting.age(snapshot.observed_at, now).removesuffix(" ago")
    cells["age"] = Text(age, style="yellow" if job.failures else "dim")
    if job.verdict is None and latest is not None:
        cells["rate"] = Text("" if latest.rate is None else formatting.rate(latest.rate))
        cells["left"] = Text("?" if latest.left is None else formatting.duration(latest.left))
    return cells


def _stacked(job: WatchedJob, now: datetime, width: int, glyphs: Glyphs) -> list[Text]:
    """Return a job's id in a line of its own, and its numbers below."""
    cells = _cells(job, now)
    lines = [Text("  ").append_text(part) for part in split_word(cells["job"], width - 2)]
    lines[0] = join([status_mark(job, glyphs), lines[0][2:]], 1)
    pieces = [Text(f"{glyphs.segments[segment]} ").append_text(cells[segment]) for segment in SEGMENTS]
    pieces += [Text("of ").append_text(cells["total"])]
    pieces += [cell for name in ("age", "status") if (cell := cells[name]).plain.strip("?")]
    return lines + wrap(pieces, width, indent=2)
