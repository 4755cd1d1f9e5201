"""What views are put together from: the mark of a job, its bar, the facts beside it."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from taskcounts.waiting.values import Outcome
from taskcounts_cli.output import formatting
from taskcounts_cli.screen.glyphs import SEGMENTS, STYLES, Glyphs, segment_widths
from taskcounts_cli.screen.watched_job import WatchedJob

SUMMARY = {"in trouble": "yellow", "waiting": "cyan", "not met": "bold red", "met": "green"}


def summary_word(job: WatchedJob) -> str:
    """Return where a job belongs when jobs are only counted."""
    return list(SUMMARY)[job.rank]


def status_mark(job: WatchedJob, glyphs: Glyphs) -> Text:
    """Return one character that says how a job stands."""
    if job.verdict is not None:
        met = job.verdict.outcome is Outcome.MET
        return Text(glyphs.met if met else glyphs.not_met, style="bold green" if met else "bold red")
    if job.failures or job.latest is None:
        return Text(glyphs.unknown, style="yellow" if job.failures else "dim")
    return Text(glyphs.doubtful, style="yellow") if job.doubtful else Text(" ")


def progress_facts(job: WatchedJob, now: datetime) -> list[Text]:
    """Return how far a job is, how fast it goes, how long it takes, and how old that is."""
    snapshot = job.snapshot
    if snapshot is None:
        return []
    pieces = [Text(f"{formatting.percent(snapshot)} completed")] if snapshot.total else []
    if job.doubtful:
        pieces = [Text(f"{formatting.percent(snapshot)}, doubtful", style="yellow")]
    if job.verdict is None and job.latest is not None:
        if job.latest.rate is not None:
            pieces.append(Text(formatting.rate(job.latest.rate)))
        pieces.append(Text(formatting.left(job.latest.left)))
    old = "yellow" if job.failures else "dim"
    return [*pieces, Text(formatting.age(snapshot.observed_at, now), style=old)]


def bar(job: WatchedJob, cells: int, glyphs: Glyphs, *, indent: int = 0) -> Text:
    """Return a stacked bar; of what isn't known a row of question marks, of no tasks nothing but blanks."""
    line = Text(" " * indent)
    if job.snapshot is None:
        return line.append(glyphs.unknown * cells, style="dim")
    tasks = job.snapshot.task_counts
    widths = segment_widths([getattr(tasks, part) for part in SEGMENTS], cells)
    for part, share in zip(SEGMENTS, widths, strict=True):
        line.append(glyphs.parts[part] * share, style=STYLES[part])
    return line.append(" " * (cells - sum(widths)))


def legend(glyphs: Glyphs) -> list[Text]:
    """Return what the characters of a bar mean."""
    return [Text(f"{glyphs.parts[part]} {part}", style=STYLES[part]) for part in SEGMENTS]
