"""What a person sees of watched jobs: lines of text for a width and a height, decided by nothing else.

One job or a few have four lines each: what it is, a bar, its tasks, its task slots; and below them what is
wrong. Many jobs have a line each, in a table; more than there are lines for are counted in the last one,
and those in trouble and those that aren't done come first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from rich.console import Group
from rich.text import Text

from taskcounts.text import one_line
from taskcounts.waiting.values import Outcome
from taskcounts_cli.output import formatting
from taskcounts_cli.screen.glyphs import SEGMENTS, STYLES, UNICODE, Glyphs
from taskcounts_cli.screen.layout import join, justify, split_word, wrap
from taskcounts_cli.screen.table import table
from taskcounts_cli.screen.watched_job import WatchedJob
from taskcounts_cli.screen.widgets import SUMMARY, bar, progress_facts, status_mark, summary_word

# Every count up to 2 ** 63 is shown whole in as many cells.
MIN_WIDTH = 30
LONGEST_BAR = 100
# More jobs than these are easier to read in a table, however much room there is.
MAX_BLOCKS = 12
# A lower window has better use for its lines than a last one that says what the keys do.
FOOTER_MIN_HEIGHT = 8
INDENT = 2


def render(
    jobs: Sequence[WatchedJob], now: datetime, width: int, height: int | None, glyphs: Glyphs = UNICODE
) -> Group:
    """Return the view as something that rich shows; see `frame`."""
    return Group(*frame(jobs, now, width, height, glyphs))


def frame(
    jobs: Sequence[WatchedJob], now: datetime, width: int, height: int | None, glyphs: Glyphs = UNICODE
) -> list[Text]:
    """Return the lines of the view: none is wider than the width, and there are no more than the height.

    Args:
        jobs: What is known of each job, in the order in which they were named.
        now: The time that ages are told against.
        width: The window's columns.
        height: Its lines; None if all jobs are to be shown, however many there are.
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
        return _as_many_as_fit(jobs, now, width, height, glyphs)
    rows = table(jobs, now, width, glyphs)
    for head in (rows.legend + rows.head, rows.head):
        lines = head + [line for each in rows.of for line in each]
        if height is None:
            return lines + _details(jobs, now, width, None)
        if len(lines) <= height:
            return lines + _details(jobs, now, width, height - len(lines))
    return _as_many_as_fit(jobs, now, width, height or 0, glyphs)


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
    """Return the lines of a whole window: the view, what was said meanwhile, and a last line.

    Args:
        jobs: What is known of each job.
        now: The time that ages are told against.
        width: The window's columns.
        height: Its lines.
        glyphs: The characters to use.
        footer: The last line, for which there has to be room enough.
        messages: The newest messages; of them as many as fit into a quarter of the window.
    """
    below: list[Text] = []
    if height >= FOOTER_MIN_HEIGHT and len(footer) + INDENT <= width:
        below = [Text(), Text(" " * INDENT + footer, style="dim")]
    for message in reversed(messages):
        told = _paragraph(one_line(Text.from_ansi(message).plain, 500), "yellow", width)
        if len(below) + len(told) > height // 4:
            break
        below = [*told, *below]
    lines = frame(jobs, now, width, height - len(below), glyphs)
    # The last line stays at the bottom, wherever the view ends.
    return [*lines, *[Text()] * (height - len(lines) - len(below)), *below]


def _details(jobs: Sequence[WatchedJob], now: datetime, width: int, room: int | None) -> list[Text]:
    """Return what a table has no place for, as far as there is room: what is wrong, and verdicts."""
    lines = [Text()]
    for job in sorted(jobs, key=lambda job: job.rank):
        for told in _told(job, now, width, named=True):
            if room is None or len(lines) + len(told) <= room:
                lines += told
    return lines if len(lines) > 1 else []


def _as_many_as_fit(
    jobs: Sequence[WatchedJob], now: datetime, width: int, height: int, glyphs: Glyphs
) -> list[Text]:
    """Return the rows of those who most want to be seen, and count the others."""
    hidden = Counter(summary_word(job) for job in jobs)
    # A table of thousands would take longer to make than a person takes to read it.
    order = sorted(jobs, key=lambda job: job.rank)[:height]
    rows = table(order, now, width, glyphs)
    lines = list(rows.head) if height > len(rows.head) + 3 else []
    rest = _rest(hidden, width, glyphs)
    for job, row in zip(order, rows.of, strict=True):
        fewer = hidden - Counter([summary_word(job)])
        smaller = _rest(fewer, width, glyphs)
        if len(lines) + len(row) + len(smaller) > height:
            break
        lines += row
        hidden, rest = fewer, smaller
    if len(lines) + len(rest) > height:
        return [Text(f"{glyphs.more} and {hidden.total():,} more")]
    return [*lines, *rest]


def _rest(hidden: Counter[str], width: int, glyphs: Glyphs) -> list[Text]:
    """Return the lines that count those jobs for which there is no room."""
    names = [name for name in SUMMARY if name in hidden]
    if not names:
        return []
    pieces = [Text(f"{glyphs.more} and"), Text(f"{hidden.total():,} more:")]
    pieces += [
        Text(f"{hidden[name]:,} {name}{',' if name != names[-1] else ''}", style=SUMMARY[name])
        for name in names
    ]
    return wrap(pieces, width, gap=1)


def block(job: WatchedJob, now: datetime, width: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Return the lines of one job."""
    lines = _title(job, now, width, glyphs)
    snapshot = job.snapshot
    if snapshot is None:
        lines += wrap(
            [Text("no counts yet" if job.verdict is None else "no counts", style="dim")], width, indent=INDENT
        )
    elif snapshot.total == 0 and not snapshot.inconsistencies:
        lines += wrap([Text("no tasks", style="dim")], width, indent=INDENT)
    else:
        lines.append(bar(job, min(LONGEST_BAR, width - INDENT), glyphs, indent=INDENT))
        tasks, slots = snapshot.task_counts, snapshot.task_slot_counts
        pieces = [
            Text(f"{glyphs.parts[part]} {formatting.count(getattr(tasks, part))} {part}", style=STYLES[part])
            for part in SEGMENTS
        ]
        exact = ", listed one by one" if snapshot.exact else ""
        pieces.append(Text(f"{formatting.count(snapshot.total)} in all{exact}"))
        lines += wrap(pieces, width, indent=INDENT)
        numbers = [f"{formatting.count(getattr(slots, part))} {part}" for part in SEGMENTS]
        lines += wrap(
            [Text("slots:", style="dim"), *(Text(number, style="dim") for number in numbers)],
            width,
            indent=INDENT,
        )
    return lines + [line for told in _told(job, now, width) for line in told]


def _told(job: WatchedJob, now: datetime, width: int, *, named: bool = False) -> list[list[Text]]:
    """Return what is wrong with a job, and its verdict, each as lines; verdicts name their job themselves."""
    name = f"{job.name}: " if named else ""
    told = [_paragraph(f"! {name}{text}", "yellow", width) for text in job.trouble(now)]
    if job.verdict is not None:
        style = "bold green" if job.verdict.outcome is Outcome.MET else "bold red"
        told.append(_paragraph(one_line(job.verdict.text, 500), style, width))
    return told


def _paragraph(text: str, style: str, width: int) -> list[Text]:
    return wrap([Text(word, style=style) for word in text.split()], width, indent=INDENT, gap=1)


def _title(job: WatchedJob, now: datetime, width: int, glyphs: Glyphs) -> list[Text]:
    name = Text(job.name, style="bold")
    pieces = progress_facts(job, now)
    whole = join([status_mark(job, glyphs), name], 1)
    if not pieces and whole.cell_len <= width:
        return [whole]
    if line := justify(whole, join(pieces), min(width, LONGEST_BAR + INDENT)):
        return [line]
    lines = [Text(" " * INDENT).append_text(part) for part in split_word(name, width - INDENT)]
    lines[0] = join([status_mark(job, glyphs), lines[0][INDENT:]], 1)
    return lines + wrap(pieces, width, indent=INDENT)
