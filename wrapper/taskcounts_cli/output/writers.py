"""Writers of the results of ``taskcounts get``: a table for people, other formats for programs."""

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
    """Base class of writers, which write each result at once or all of them at the end."""

    def add(self, job_id: str, result: Result) -> None:
        """Take the result for a job."""
        ...

    def end(self) -> None:
        """Write whatever is not written yet."""


class NdjsonWriter(Writer):
    """Writes each result at once as a JSON object in a line."""

    def add(self, job_id: str, result: Result) -> None:
        click.echo(dumps(result_record(result, job_id)))


class JsonWriter(Writer):
    """Writes a JSON array with an object for each job, however many there are."""

    def __init__(self) -> None:
        self._records: list[dict[str, Any]] = []

    def add(self, job_id: str, result: Result) -> None:
        self._records.append(result_record(result, job_id))

    def end(self) -> None:
        click.echo(dumps(self._records, indent=2))


class TsvWriter(Writer):
    """Writes a header and a line of tab-separated values for each job; an unknown value is empty, never 0."""

    def __init__(self) -> None:
        click.echo("\t".join(TSV_COLUMNS))

    def add(self, job_id: str, result: Result) -> None:
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
            # An invalid job id may hold tabs and newlines.
            cells = [one_line(job_id), *[""] * (len(TSV_COLUMNS) - 2), one_line(str(result), 2000)]
        click.echo("\t".join(cells))


class TableWriter(Writer):
    """Writes a table with a line of tasks and one of slots for each job that has counts."""

    def __init__(self) -> None:
        self._snapshots: list[Snapshot] = []

    def add(self, job_id: str, result: Result) -> None:  # noqa: ARG002 - the snapshot names its job.
        if isinstance(result, Snapshot):
            self._snapshots.append(result)

    def end(self) -> None:
        """Write the table, unless it is empty."""
        if not self._snapshots:
            return
        # Not a table of rich: rich takes longer to load than the request, and wraps ids and cuts numbers to
        # the width of the window, which makes a number wrong.
        heading, *lines = _table(self._snapshots)
        click.echo("\n".join([click.style(heading, bold=True), *lines]))


def _table(snapshots: Sequence[Snapshot]) -> list[str]:
    """Return the lines of a table; the first two columns are aligned left, numbers right."""
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


def _rows(snapshot: Snapshot) -> list[list[str]]:
    """Return the cells of the line of tasks and of the line of slots, without the job."""
    listed, mark = ", listed" if snapshot.exact else "", " !" if snapshot.inconsistencies else ""
    rows = []
    for name, counts, percent in (
        (f"tasks{listed}{mark}", snapshot.task_counts, formatting.percent(snapshot)),
        (f"slots{listed}", snapshot.task_slot_counts, ""),
    ):
        numbers = [getattr(counts, counter) for counter in COUNTERS]
        rows.append([name, *(f"{number:,}" for number in (*numbers, sum(numbers[:3]))), percent])
    return rows


WRITERS: dict[str, Callable[[], Writer]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "ndjson": NdjsonWriter,
    "tsv": TsvWriter,
}


class ResultOrder:
    """Passes results on to a writer immediately, or in the order in which the user named their jobs."""

    def __init__(self, writer: Writer, *, immediate: bool = False) -> None:
        self._writer = writer
        self._immediate = immediate
        self._next = 0
        self._early: dict[int, tuple[str, Result]] = {}

    def add(self, number: int, job_id: str, result: Result) -> None:
        """Take a result.

        Args:
            number: The position of the job in the user's order, from 0.
            job_id: The job.
            result: The result.
        """
        if self._immediate:
            self._writer.add(job_id, result)
            return
        self._early[number] = job_id, result
        while self._next in self._early:
            self._writer.add(*self._early.pop(self._next))
            self._next += 1

    def end(self) -> None:
        """Pass on the results that wait for others, which will not come any more, and end the writer."""
        for number in sorted(self._early):
            self._writer.add(*self._early[number])
        self._writer.end()
