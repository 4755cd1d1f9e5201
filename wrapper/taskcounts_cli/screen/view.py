"""The view of watched jobs: lines of text that depend only on the jobs, the time, and the size of the window.

Up to MAX_BLOCKS jobs have a block of four lines each: progress, bar, tasks, slots, and below them warnings.
More jobs have a line each, in a table. Jobs for which there is no line are counted in the last one; jobs in
trouble come first, then those that are not done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from taskcounts.text import one_line
from taskcounts.waiting.values import Outcome
from taskcounts_cli.screen.glyphs import SEGMENTS, STYLES, UNICODE, Glyphs
from taskcounts_cli.screen.layout import join, justify, split_word, wrap
from taskcounts_cli.screen.table import table
from taskcounts_cli.screen.watched_job import WatchedJob
from taskcounts_cli.screen.widgets import GROUPS, bar, group, progress_pieces, status_mark

# Enough cells for any count up to 2 ** 63.
MIN_WIDTH = 30
MAX_BAR = 100
# More jobs are easier to read in a table, even in a window that is high enough.
MAX_BLOCKS = 12
# A lower window has no line to spare for the footer.
FOOTER_MIN_HEIGHT = 8
INDENT = 2


def frame(
    jobs: Sequence[WatchedJob], now: datetime, width: int, height: int | None, glyphs: Glyphs = UNICODE
) -> list[Text]:
    """Return the lines of the view: none is wider than the width, and there are no more than the height.

    Args:
        jobs: The jobs, in the order in which the user named them.
        now: The time from which ages are measured.
        width: The columns of the window.
        height: The lines of the window; None shows all jobs, however many there are.
        glyphs: The characters to use.
    """
    if width < MIN_WIDTH or height == 0:
        return wrap([Text("window too narrow")], max(1, width))[:height]
    if len(jobs) <= MAX_BLOCKS:
        blocks = [block(job, now, width, glyphs) for job in jobs]
        for between in ([Text()], []):
            lines = [line for each in blocks for line in (*between, *each)][len(between) :]
            if height is None or len(lines) <= height:
                return lines
    if height is not None and len(jobs) > height:
        return _first_rows(jobs, now, width, height, glyphs)
    found = table(jobs, now, width, glyphs)
    for heading in (found.legend + found.heading, found.heading):
        lines = heading + [line for row in found.rows for line in row]
        if height is None:
            return lines + _details(jobs, now, width, None)
        if len(lines) <= height:
            return lines + _details(jobs, now, width, height - len(lines))
    return _first_rows(jobs, now, width, height or 0, glyphs)


def window(
    jobs: Sequence[WatchedJob],
    now: datetime,
    width: int,
    height: int,
    glyphs: Glyphs = UNICODE,
    *,
    footer: str = "",
    messages: Sequence[str] = (),
) -> list[Text]:
    """Return the lines of a whole window: the view, the newest messages, and the footer at the bottom.

    Args:
        jobs: The jobs.
        now: The time from which ages are measured.
        width: The columns of the window.
        height: The lines of the window.
        glyphs: The characters to use.
        footer: The last line; it is left out if there is no room for it.
        messages: The messages, of which the newest are shown, in a quarter of the window at most.
    """
    below: list[Text] = []
    if height >= FOOTER_MIN_HEIGHT and len(footer) + INDENT <= width:
        below = [Text(), Text(" " * INDENT + footer, style="dim")]
    for message in reversed(messages):
        lines = _paragraph(one_line(Text.from_ansi(message).plain, 500), "yellow", width)
        if len(below) + len(lines) > height // 4:
            break
        below = [*lines, *below]
    lines = frame(jobs, now, width, height - len(below), glyphs)
    return [*lines, *[Text()] * (height - len(lines) - len(below)), *below]


def _details(jobs: Sequence[WatchedJob], now: datetime, width: int, room: int | None) -> list[Text]:
    """Return the warnings and verdicts below a table, as many as there is room for."""
    lines = [Text()]
    for job in sorted(jobs, key=lambda job: job.rank):
        for paragraph in _warnings_and_verdict(job, now, width, named=True):
            if room is None or len(lines) + len(paragraph) <= room:
                lines += paragraph
    return lines if len(lines) > 1 else []


def _first_rows(
    jobs: Sequence[WatchedJob], now: datetime, width: int, height: int, glyphs: Glyphs
) -> list[Text]:
    """Return the rows of the jobs with the highest priority, and the number of the others."""
    hidden = Counter(map(group, jobs))
    # A table of thousands of jobs would take longer than the time between two frames.
    order = sorted(jobs, key=lambda job: job.rank)[:height]
    found = table(order, now, width, glyphs)
    lines = list(found.heading) if height > len(found.heading) + 3 else []
    rest = _summary(hidden, width, glyphs)
    for job, row in zip(order, found.rows, strict=True):
        fewer = hidden - Counter([group(job)])
        smaller = _summary(fewer, width, glyphs)
        if len(lines) + len(row) + len(smaller) > height:
            break
        lines += row
        hidden, rest = fewer, smaller
    if len(lines) + len(rest) > height:
        return [Text(f"{glyphs.more} and {hidden.total():,} more")]
    return [*lines, *rest]


def _summary(hidden: Counter[str], width: int, glyphs: Glyphs) -> list[Text]:
    """Return the lines that count the jobs without a row."""
    names = [name for name in GROUPS if name in hidden]
    if not names:
        return []
    pieces = [Text(f"{glyphs.more} and"), Text(f"{hidden.total():,} more:")]
    pieces += [
        Text(f"{hidden[name]:,} {name}{',' if name != names[-1] else ''}", style=GROUPS[name])
        for name in names
    ]
    return wrap(pieces, width, gap=1)


def block(job: WatchedJob, now: datetime, width: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Return the lines of one job."""
    lines = _title(job, now, width, glyphs)
    snapshot = job.snapshot
    if snapshot is None:
        missing = "no counts yet" if job.verdict is None else "no counts"
        lines += wrap([Text(missing, style="dim")], width, indent=INDENT)
    elif snapshot.total == 0 and not snapshot.inconsistencies:
        lines += wrap([Text("no tasks", style="dim")], width, indent=INDENT)
    else:
        lines.append(bar(job, min(MAX_BAR, width - INDENT), glyphs, indent=INDENT))
        tasks = [
            Text(
                f"{glyphs.segments[name]} {getattr(snapshot.task_counts, name):,} {name}", style=STYLES[name]
            )
            for name in SEGMENTS
        ]
        exact = ", listed one by one" if snapshot.exact else ""
        tasks.append(Text(f"{snapshot.total:,} in all{exact}"))
        slots = ["slots:", *(f"{getattr(snapshot.task_slot_counts, name):,} {name}" for name in SEGMENTS)]
        lines += wrap(tasks, width, indent=INDENT)
        lines += wrap([Text(each, style="dim") for each in slots], width, indent=INDENT)
    return lines + [line for each in _warnings_and_verdict(job, now, width) for line in each]


def _warnings_and_verdict(
    job: WatchedJob, now: datetime, width: int, *, named: bool = False
) -> list[list[Text]]:
    """Return each warning, behind the job's name if wanted, and the verdict, as the lines of a paragraph."""
    name = f"{job.name}: " if named else ""
    found = [_paragraph(f"! {name}{text}", "yellow", width) for text in job.warnings(now)]
    if job.verdict is not None:
        style = "bold green" if job.verdict.outcome is Outcome.MET else "bold red"
        found.append(_paragraph(one_line(job.verdict.text, 500), style, width))
    return found


def _paragraph(text: str, style: str, width: int) -> list[Text]:
    return wrap([Text(word, style=style) for word in text.split()], width, indent=INDENT, gap=1)


def _title(job: WatchedJob, now: datetime, width: int, glyphs: Glyphs) -> list[Text]:
    """Return the lines with the job's id and its progress."""
    name = Text(job.name, style="bold")
    pieces = progress_pieces(job, now)
    whole = join([status_mark(job, glyphs), name], 1)
    if not pieces and whole.cell_len <= width:
        return [whole]
    if line := justify(whole, join(pieces), min(width, MAX_BAR + INDENT)):
        return [line]
    lines = [Text(" " * INDENT).append_text(part) for part in split_word(name, width - INDENT)]
    lines[0] = join([status_mark(job, glyphs), lines[0][INDENT:]], 1)
    return lines + wrap(pieces, width, indent=INDENT)
