"""How snapshots and errors look on stdout: a table for people, the rest for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import click

from taskcounts.snapshot import Snapshot
from taskcounts.text import one_line
from taskcounts_cli.output import formatting
from taskcounts_cli.output.records import COUNTERS, Result, dumps, result_record

TSV_COLUMNS = (
    "jobId",
    *COUNTERS,
    "total",
    "percent",
    *(f"slots.{counter}" for counter in COUNTERS),
    "observedAt",
    "inconsistent",
    "error",
)


class Writer(Protocol):
    """Takes results as they come and shows them, at once or at the end."""

    def add(self, job_id: str, result: Result) -> None:
        """Take the result of a job."""
        ...

    def end(self) -> None:
        """Show what hasn't been shown."""
        ...


class NdjsonWriter:
    """One JSON object a line, each as soon as it is known."""

    def add(self, job_id: str, result: Result) -> None:
        """Write the object of a job."""
        click.echo(dumps(result_record(result, job_id)))

    def end(self) -> None:
        """Do nothing: all is written."""


class JsonWriter:
    """One JSON array with an object for each job, however many there are."""

    def __init__(self) -> None:
        self._records: list[dict[str, Any]] = []

    def add(self, job_id: str, result: Result) -> None:
        """Keep the object of a job."""
        self._records.append(result_record(result, job_id))

    def end(self) -> None:
        """Write the array."""
        click.echo(dumps(self._records, indent=2))


class TsvWriter:
    """A line with the names of the columns, then a line for each job; what isn't known is empty, never 0."""

    def __init__(self) -> None:
        click.echo("\t".join(TSV_COLUMNS))

    def add(self, job_id: str, result: Result) -> None:
        """Write the line of a job."""
        if isinstance(result, Snapshot):
            cells = [
                result.job_id,
                *(str(getattr(result.task_counts, counter)) for counter in COUNTERS),
                str(result.total),
                "" if result.percent is None else str(result.percent),
                *(str(getattr(result.task_slot_counts, counter)) for counter in COUNTERS),
                result.observed_at.isoformat(),
                " ".join(broken.invariant for broken in result.inconsistencies),
                "",
            ]
        else:
            # What is no job id may hold tabs and ends of lines.
            cells = [one_line(job_id), *[""] * (len(TSV_COLUMNS) - 2), one_line(str(result), 2000)]
        click.echo("\t".join(cells))

    def end(self) -> None:
        """Do nothing: all is written."""


class OrderedWriter:
    """Hands results on to a writer in the order in which they were asked for."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._next = 0
        self._early: dict[int, tuple[str, Result]] = {}

    def add(self, number: int, job_id: str, result: Result) -> None:
        """Take a result: the first that was asked for has the number 0."""
        self._early[number] = job_id, result
        while self._next in self._early:
            self._writer.add(*self._early.pop(self._next))
            self._next += 1

    def end(self) -> None:
        """Hand on what still waits for others, which won't come any more."""
        for number in sorted(self._early):
            self._writer.add(*self._early[number])
        self._writer.end()


class AsTheyCome:
    """Hands results on to a writer at once."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def add(self, _: int, job_id: str, result: Result) -> None:
        """Hand a result on."""
        self._writer.add(job_id, result)

    def end(self) -> None:
        """Let the writer end."""
        self._writer.end()


def _rows(snapshot: Snapshot) -> list[list[str]]:
    """Return the cells of the line of tasks, and those of the line of slots."""
    listed, mark = ", listed" if snapshot.exact else "", " !" if snapshot.inconsistencies else ""
    rows = []
    for name, counts, percent in (
        (f"tasks{listed}{mark}", snapshot.task_counts, formatting.percent(snapshot)),
        (f"slots{listed}", snapshot.task_slot_counts, ""),
    ):
        numbers = [getattr(counts, counter) for counter in COUNTERS]
        rows.append([name, *map(formatting.count, (*numbers, sum(numbers[:3]))), percent])
    return rows


class TableWriter:
    """A table for people, with a line for tasks and one for slots; jobs without counts are told on stderr."""

    def __init__(self) -> None:
        self._snapshots: list[Snapshot] = []

    def add(self, _: str, result: Result) -> None:
        """Keep the snapshot of a job."""
        if isinstance(result, Snapshot):
            self._snapshots.append(result)

    def end(self) -> None:
        """Write the table, unless it would be empty."""
        if not self._snapshots:
            return
        # Rich would take longer to load than a call takes; and it folds ids and cuts numbers to the window's
        # width, but a folded id is no id, and a cut number is a wrong one.
        heading, *lines = _table(self._snapshots)
        click.echo("\n".join([click.style(heading, bold=True), *lines]))


def _table(snapshots: Sequence[Snapshot]) -> list[str]:
    """Return the lines of a table: job and kind stand on the left of their columns, numbers on the right."""
    rows = [["job", "", *COUNTERS, "total", "percent"]]
    for snapshot in snapshots:
        lines = _rows(snapshot) + ([] if snapshot.listed is None else _rows(snapshot.listed))
        rows += [[job, *line] for job, line in zip((snapshot.job_id, "", "", ""), lines, strict=False)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [str.ljust, str.ljust, *[str.rjust] * (len(widths) - 2)]
    return [
        "  ".join(
            align(cell, width) for align, cell, width in zip(aligned, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


WRITERS: dict[str, Callable[[], Writer]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "ndjson": NdjsonWriter,
    "tsv": TsvWriter,
}
