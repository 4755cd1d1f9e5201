"""The command ``taskcounts get``."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import click

from taskcounts.arguments import check_job_id
from taskcounts.base_client import DEFAULT_CONCURRENCY, DEFAULT_DEADLINE
from taskcounts.client import TaskCountsClient
from taskcounts.errors import TaskCountsError
from taskcounts.net.base import MAX_CONNECTIONS
from taskcounts.snapshot import Snapshot
from taskcounts_cli.exits import Exit, code_and_hint
from taskcounts_cli.input.jobs import JobSource, job_options
from taskcounts_cli.input.options import (
    Account,
    Duration,
    account_options,
    attempt_timeout_option,
    log_attempts,
    service_timeout_option,
    verbose_option,
)
from taskcounts_cli.messages import print_error, print_stderr, print_warning
from taskcounts_cli.output.records import Result
from taskcounts_cli.output.writers import WRITERS, AsTheyCome, OrderedWriter


@click.command
@job_options
@account_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(list(WRITERS)),
    default="table",
    show_default=True,
    help="Table for people; a JSON array; one JSON object a line; tab-separated values.",
)
@click.option("--exact", is_flag=True, help="List all tasks and count them, a request for each 1,000.")
@click.option("--verify", is_flag=True, help="List all tasks as well, and say where the counts differ.")
@click.option(
    "--strict", is_flag=True, help="Treat whatever speaks against the numbers as an error, not a warning."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, MAX_CONNECTIONS),
    metavar="N",
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="How many jobs are asked for at once. Those whose tasks are listed come one after another.",
)
@click.option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    default=f"{DEFAULT_DEADLINE:g}s",
    show_default=True,
    help="Give up on a job after so long, over all attempts and pages: 90 (seconds), 90s, 10m, 2h, 1h30m.",
)
@attempt_timeout_option
@service_timeout_option
@verbose_option
def get(
    *,
    source: JobSource,
    account: Account,
    output: str,
    exact: bool,
    verify: bool,
    concurrency: int,
    timeout: float,
    attempt_timeout: float,
    service_timeout: int | None,
    strict: bool,
    verbose: bool,
) -> Exit:
    """Show how many tasks of each JOB are active, running, completed, succeeded, failed.

    The service counts in the background: the numbers may trail the truth, which --exact lists and
    --verify compares.

    Jobs are arguments, or lines of standard input for -, or --all of the account. One that can't be
    counted is reported on stderr and doesn't keep the others from being counted; the exit code is
    that of the first failure in the order asked for, or 3 if there is no job at all. A table, a JSON
    array and the TSV lines of arguments come in that order; ndjson, and TSV lines of other jobs, as
    the answers do.

    \b
    taskcounts get nightly-render reindex
    taskcounts get --all --filter "state eq 'active'" -o tsv
    taskcounts get - -o ndjson < jobs.txt
    """
    if exact and verify:
        raise click.UsageError("give either --exact or --verify, which shows both counts")
    source.check(account)
    lines = output in ("ndjson", "tsv")
    streams = output == "ndjson" or (output == "tsv" and source.open_ended)
    ticker = ProgressLine(shown=exact or verify or not lines)
    log_attempts(verbose, before=ticker.clear)
    with account.client(TaskCountsClient, strict=strict, timeout=attempt_timeout, deadline=timeout) as client:
        sink = (AsTheyCome if streams else OrderedWriter)(WRITERS[output]())
        jobs = JobSequence(source.ids(client))
        results: Generator[tuple[str, Result], None, None]
        if exact or verify or not (source.open_ended or len(source.named) > 1):
            results = count_one_by_one(
                client, jobs, ticker, exact=exact, verify=verify, service_timeout=service_timeout
            )
        else:
            results = many(client, jobs, ticker, concurrency=concurrency, service_timeout=service_timeout)
        first, code = None, Exit.OK
        try:
            with closing(results):
                for job, result in results:
                    if lines or not isinstance(result, Snapshot) or result.inconsistencies:
                        ticker.clear()
                    number = jobs.number(job)
                    sink.add(number, job, result)
                    failed = tell(job, result)
                    if failed is not Exit.OK and (first is None or number < first):
                        first, code = number, failed
        finally:
            ticker.clear()
            # What was counted before an interruption isn't lost.
            sink.end()
    return code if jobs.count else source.report_no_jobs()


def count_one_by_one(
    client: TaskCountsClient,
    jobs: JobSequence,
    ticker: ProgressLine,
    *,
    exact: bool,
    verify: bool,
    **options: Any,
) -> Generator[tuple[str, Result], None, None]:
    """Yield jobs with their counts, or why there are none, one after another."""
    for job in jobs:
        try:
            check_job_id(job)
        except ValueError as error:
            yield job, error
            continue
        result: Result
        try:
            if exact:
                tell_seen = partial(ticker.say, f"job {job!r}: {{:,}} tasks listed")
                result = client.get_exact_job_task_counts(job, progress=tell_seen, **options)
            else:
                result = client.get_job_task_counts(job, verify=verify, **options)
        except TaskCountsError as error:
            result = error
        yield job, result


def many(
    client: TaskCountsClient, jobs: JobSequence, ticker: ProgressLine, **options: Any
) -> Generator[tuple[str, Result], None, None]:
    """Yield jobs with their counts, or why there are none, as the answers come."""
    answers = failures = 0
    while not jobs.ended:
        # Nobody who has an answer waits for somebody who types the next job.
        for found in client.get_many(jobs.until_lull(), **options):
            result = found.error if found.snapshot is None else found.snapshot
            assert isinstance(result, Snapshot | TaskCountsError | ValueError)  # noqa: S101 - ids are texts.
            answers, failures = answers + 1, failures + (result is found.error)
            ticker.say("{:,} jobs asked for, {:,} without counts", answers, failures)
            yield found.job_id, result


def tell(job: str, result: Result) -> Exit:
    """Tell on stderr what speaks against a result, and return its exit code."""
    if isinstance(result, Snapshot):
        listed = () if result.listed is None else result.listed.inconsistencies
        for doubt in (*result.inconsistencies, *listed):
            print_warning(f"job {job!r}: {doubt.text}; don't rely on these numbers")
        return Exit.OK
    if isinstance(result, TaskCountsError):
        code, hint = code_and_hint(result)
        print_error(str(result), hint)
        return code
    print_error(str(result))
    return Exit.USAGE


class JobSequence:
    """The jobs as somebody iterates over them, and which number each has in the order asked for, from 0.

    Only of those that are being asked for is anything kept.
    """

    def __init__(self, jobs: Iterable[str | None]) -> None:
        self.count = 0
        self.ended = False
        self._jobs = iter(jobs)
        self._open: dict[str, deque[int]] = {}

    def __iter__(self) -> Iterator[str]:
        while not self.ended:
            yield from self.until_lull()

    def until_lull(self) -> Iterator[str]:
        """Yield jobs, at least one, until it would take a while to know the next, or there is none."""
        before = self.count
        for job in self._jobs:
            if job is not None:
                self._open.setdefault(job, deque()).append(self.count)
                self.count += 1
                yield job
            elif self.count > before:
                return
        self.ended = True

    def number(self, job: str) -> int:
        """Return the number of a job whose result has come, and forget it; the same job may come again."""
        numbers = self._open[job]
        number = numbers.popleft()
        if not numbers:
            del self._open[job]
        return number


class ProgressLine:
    """A line on a terminal's stderr that tells how far a long work is, and vanishes."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown and sys.stderr is not None and sys.stderr.isatty()
        self._width = 0
        self._next = 0.0

    def say(self, text: str, *numbers: int) -> None:
        """Show a text with numbers, some ten times a second at the most."""
        if self._shown and time.monotonic() >= self._next:
            line = text.format(*numbers)
            print_stderr(f"\r{line.ljust(self._width)}", end=False)
            self._width, self._next = len(line), time.monotonic() + 0.1

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            print_stderr(f"\r{' ' * self._width}\r", end=False)
            self._width = 0
