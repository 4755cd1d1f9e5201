"""How snapshots and errors look on stdout: a table for people, the rest for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Protocol

import click

from taskcounts.errors import ServiceError, TaskCountsError, one_line
from taskcounts.snapshot import Snapshot

COUNTERS = ("active", "running", "completed", "succeeded", "failed")
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

    def add(self, result: Snapshot | TaskCountsError) -> None:
        """Take the result of a job."""
        ...

    def end(self) -> None:
        """Show what hasn't been shown."""
        ...


def record(result: Snapshot | TaskCountsError) -> dict[str, Any]:
    """Return the JSON object of a result, in the service's words; without counts it has an ``error``."""
    if isinstance(result, TaskCountsError):
        error: dict[str, Any] = {
            "type": type(result).__name__,
            "text": str(result),
            "attempts": result.attempts,
            "clientRequestId": result.client_request_id,
        }
        if isinstance(result, ServiceError):
            error |= {
                "status": result.status,
                "code": result.code,
                "message": result.message,
                "requestId": result.request_id,
                "retryAfter": result.retry_after,
            }
        return {"jobId": result.job_id, "error": error}
    return {
        "jobId": result.job_id,
        "taskCounts": {counter: getattr(result.task_counts, counter) for counter in COUNTERS},
        "taskSlotCounts": {counter: getattr(result.task_slot_counts, counter) for counter in COUNTERS},
        "total": result.total,
        "done": result.done,
        "percent": result.percent,
        "observedAt": result.observed_at.isoformat(),
        "requestId": result.request_id,
        "clientRequestId": result.client_request_id,
        "attempts": result.attempts,
        "inconsistencies": [
            {"invariant": broken.invariant, "path": broken.path, "text": broken.text}
            for broken in result.inconsistencies
        ],
    }


class NdjsonWriter:
    """One JSON object a line, each as soon as it is known."""

    def add(self, result: Snapshot | TaskCountsError) -> None:
        """Write the object of a job."""
        click.echo(json.dumps(record(result)))

    def end(self) -> None:
        """Do nothing: all is written."""


class JsonWriter:
    """One JSON array with an object for each job, however many there are."""

    def __init__(self) -> None:
        self._records: list[dict[str, Any]] = []

    def add(self, result: Snapshot | TaskCountsError) -> None:
        """Keep the object of a job."""
        self._records.append(record(result))

    def end(self) -> None:
        """Write the array."""
        click.echo(json.dumps(self._records, indent=2))


class TsvWriter:
    """A line with the names of the columns, then a line for each job; what isn't known is empty, never 0."""

    def __init__(self) -> None:
        click.echo("\t".join(TSV_COLUMNS))

    def add(self, result: Snapshot | TaskCountsError) -> None:
        """Write the line of a job."""
        if isinstance(result, TaskCountsError):
            cells = [result.job_id, *[""] * (len(TSV_COLUMNS) - 2), one_line(str(result), 2000)]
        else:
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
        click.echo("\t".join(cells))

    def end(self) -> None:
        """Do nothing: all is written."""


class TableWriter:
    """A table for people, with a line for tasks and one for slots; jobs without counts are told on stderr."""

    def __init__(self) -> None:
        self._snapshots: list[Snapshot] = []

    def add(self, result: Snapshot | TaskCountsError) -> None:
        """Keep the snapshot of a job."""
        if isinstance(result, Snapshot):
            self._snapshots.append(result)

    def end(self) -> None:
        """Write the table, unless it would be empty."""
        if not self._snapshots:
            return
        from rich.console import Console  # noqa: PLC0415 - rich takes longer to load than a call takes.
        from rich.table import Table  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("job", no_wrap=True)
        table.add_column("", no_wrap=True)
        for heading in (*COUNTERS, "total", "done"):
            table.add_column(heading, justify="right", no_wrap=True)
        for snapshot in self._snapshots:
            tasks, slots = snapshot.task_counts, snapshot.task_slot_counts
            mark = " !" if snapshot.inconsistencies else ""
            table.add_row(
                snapshot.job_id,
                "tasks" + mark,
                *(f"{getattr(tasks, counter):,}" for counter in COUNTERS),
                f"{snapshot.total:,}",
                # Cut and not rounded: 100.0 % only if every task is completed.
                f"{math.floor(snapshot.percent * 10) / 10:.1f} %" if snapshot.percent is not None else "-",
            )
            slots_total = slots.active + slots.running + slots.completed
            table.add_row(
                "", "slots", *(f"{getattr(slots, counter):,}" for counter in COUNTERS), f"{slots_total:,}"
            )
        console = Console()
        # A folded id is no id, and a cut number is a wrong one: better that the window wraps the line.
        console.width = max(
            console.width, console.measure(table, options=console.options.update(width=10**6)).maximum
        )
        console.print(table)


WRITERS: dict[str, Callable[[], Writer]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "ndjson": NdjsonWriter,
    "tsv": TsvWriter,
}
