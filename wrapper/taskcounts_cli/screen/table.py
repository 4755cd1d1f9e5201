"""Many jobs in a table: a line each, or more where it is narrow; no number and no id is ever cut."""

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
SHORTEST_BAR = 10
LONGEST_BAR = 40

# What is shown beside the job and its tasks, as far as there is room: the first the first.
_WISHES = ("how", "total", "age", "bar", "percent", "left", "rate")
_ORDER = ("job", "bar", *SEGMENTS, "total", "percent", "rate", "left", "age", "how")
_ON_THE_LEFT = ("job", "bar", "how")


@frozen
class Table:
    """What the characters mean where nothing else says it, a head, and the lines of each job."""

    legend: list[Text]
    head: list[Text]
    of: Sequence[list[Text]]


def table(jobs: Sequence[WatchedJob], now: datetime, width: int, glyphs: Glyphs) -> Table:
    """Return the jobs as a table with as many columns as there is room for."""
    columns = [_cells(job, now) for job in jobs]
    signs = wrap(legend(glyphs), width, indent=2)
    for headings in ({}, glyphs.parts):
        widths = {
            name: max(len(headings.get(name, name)), *(cells[name].cell_len for cells in columns))
            for name in _ORDER
            if name != "bar"
        } | {"bar": SHORTEST_BAR}
        chosen = ["job", *SEGMENTS]
        free = width - 1 - sum(widths[name] + GAP for name in chosen) + GAP - 1
        if free < 0:
            continue
        for name in _WISHES:
            if widths[name] + GAP <= free:
                chosen.append(name)
                free -= widths[name] + GAP
        # Names above the columns are worth more than how much is completed, but not more than how old it is.
        if headings is glyphs.parts or {"how", "total", "age"} <= set(chosen):
            break
    else:
        return Table(signs, [], [_stacked(job, now, width, glyphs) for job in jobs])
    if "bar" in chosen:
        widths["bar"] += max(0, min(free, LONGEST_BAR - SHORTEST_BAR))
    shown = [name for name in _ORDER if name in chosen]
    titles = {name: Text(headings.get(name, name), style="dim") for name in shown}
    head = _row(Text(" "), titles | {"bar": Text(), "how": Text()}, shown, widths)
    return Table(
        signs if headings is glyphs.parts else [],
        [head],
        [
            [_row(status_mark(job, glyphs), cells | {"bar": bar(job, widths["bar"], glyphs)}, shown, widths)]
            for job, cells in zip(jobs, columns, strict=True)
        ],
    )


def _row(first: Text, cells: dict[str, Text], shown: list[str], widths: dict[str, int]) -> Text:
    """Return a line of cells; numbers stand on the right of their columns."""
    parts = []
    for name in shown:
        cell = cells[name].copy()
        free = widths[name] - cell.cell_len
        if name in _ON_THE_LEFT:
            cell.pad_right(free)
        else:
            cell.pad_left(free)
        parts.append(cell)
    line = join([first, join(parts, GAP)], 1)
    line.rstrip()
    return line


def _cells(job: WatchedJob, now: datetime) -> dict[str, Text]:
    """Return what each column shows of a job; of what isn't known a question mark."""
    snapshot, latest = job.snapshot, job.latest
    cells = dict.fromkeys(_ORDER, Text("?", style="dim"))
    cells["job"] = Text(job.name, style="bold")
    cells["how"] = _how(job)
    cells["rate"] = cells["left"] = Text()
    if snapshot is None:
        return cells
    for part in SEGMENTS:
        cells[part] = Text(formatting.count(getattr(snapshot.task_counts, part)), style=STYLES[part])
    cells["total"] = Text(formatting.count(snapshot.total))
    cells["percent"] = Text(formatting.percent(snapshot))
    cells["age"] = Text(
        formatting.age(snapshot.observed_at, now).removesuffix(" ago"),
        style="yellow" if job.failures else "dim",
    )
    if job.verdict is None and latest is not None:
        cells["rate"] = Text("" if latest.rate is None else formatting.rate(latest.rate))
        cells["left"] = Text("?" if latest.left is None else formatting.span(latest.left))
    return cells


def _how(job: WatchedJob) -> Text:
    styles = ("yellow", "dim", "bold red", "bold green")
    return Text(job.remark() or "", style=styles[job.rank])


def _stacked(job: WatchedJob, now: datetime, width: int, glyphs: Glyphs) -> list[Text]:
    """Return a job's id in a line of its own, and its numbers below."""
    cells = _cells(job, now)
    lines = [Text("  ").append_text(part) for part in split_word(cells["job"], width - 2)]
    lines[0] = join([status_mark(job, glyphs), lines[0][2:]], 1)
    pieces = [Text(f"{glyphs.parts[part]} ").append_text(cells[part]) for part in SEGMENTS]
    pieces += [Text("of ").append_text(cells["total"])]
    pieces += [cell for name in ("age", "how") if (cell := cells[name]).plain.strip("?")]
    return lines + wrap(pieces, width, indent=2)
