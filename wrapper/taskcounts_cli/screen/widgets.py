"""The parts of a view: the mark of a job, its bar, its progress, and the legend."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from taskcounts.waiting.values import Outcome
from taskcounts_cli.output import formatting
from taskcounts_cli.screen.glyphs import SEGMENTS, STYLES, Glyphs, segment_widths
from taskcounts_cli.screen.watched_job import WatchedJob

# The groups into which jobs are counted that have no line of their own, by rank, with their styles.
GROUPS = {"in trouble": "yellow", "waiting": "cyan", "not met": "bold red", "met": "green"}


def group(job: WatchedJob) -> str:
    """Return the group in which a job is counted."""
    return list(GROUPS)[job.rank]


def status_mark(job: WatchedJob, glyphs: Glyphs) -> Text:
    """Return one character that shows the state of a job."""
    if job.verdict is not None:
        met = job.verdict.outcome is Outcome.MET
        return Text(glyphs.met if met else glyphs.not_met, style="bold green" if met else "bold red")
    if job.failures or job.latest is None:
        return Text(glyphs.unknown, style="yellow" if job.failures else "dim")
    return Text(glyphs.doubtful, style="yellow") if job.doubtful else Text(" ")


def progress_pieces(job: WatchedJob, now: datetime) -> list[Text]:
    """Return the percentage, the rate, the time left, and the age of the counts."""
    snapshot = job.snapshot
    if snapshot is None:
        return []
    pieces = [Text(f"{formatting.percent(snapshot)} completed")] if snapshot.total else []
    if job.doubtful:
        pieces = [Text(f"{formatting.percent(snapshot)}, doubtful", style="yellow")]
    if job.verdict is None and job.latest is not None:
        if job.latest.rate is not None:
            pieces.append(Text(formatting.rate(job.latest.rate)))
        pieces.append(Text(formatting.time_left(job.latest.left)))
    old = "yellow" if job.failures else "dim"
    return [*pieces, Text(formatting.age(snapshot.observed_at, now), style=old)]


def bar(job: WatchedJob, cells: int, glyphs: Glyphs, *, indent: int = 0) -> Text:
    """Return a stacked bar: of question marks if the counts are unknown, of blanks if there are no tasks."""
    line = Text(" " * indent)
    if job.snapshot is None:
        return line.append(glyphs.unknown * cells, style="dim")
    tasks = job.snapshot.task_counts
    widths = segment_widths([getattr(tasks, segment) for segment in SEGMENTS], cells)
    for segment, width in zip(SEGMENTS, widths, strict=True):
        line.append(glyphs.segments[segment] * width, style=STYLES[segment])
    return line.append(" " * (cells - sum(widths)))


def legend(glyphs: Glyphs) -> list[Text]:
    """Return each character of a bar with its meaning."""
    return [Text(f"{glyphs.segments[segment]} {segment}", style=STYLES[segment]) for segment in SEGMENTS]
