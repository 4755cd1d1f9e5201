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
from taskcounts.net.limits import MAX_CONNECTIONS
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
from taskcounts_cli.output.writers import WRITERS, ResultOrder


@click.command
@job_options
@account_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(list(WRITERS)),
    default="table",
    help="A table; a JSON array; a JSON object in each line; or tab-separated values.",
)
@click.option("--exact", is_flag=True, help="List all tasks and count them, with a request for each 1,000.")
@click.option("--verify", is_flag=True, help="List all tasks too, and report where the counts differ.")
@click.option("--strict", is_flag=True, help="Treat counts that are inconsistent as an error, not a warning.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, MAX_CONNECTIONS),
    metavar="N",
    default=DEFAULT_CONCURRENCY,
    help="The most requests under way at a time. With --exact or --verify, one job follows the other.",
)
@click.option(
    "--timeout",
    type=Duration(),
    default=f"{DEFAULT_DEADLINE:g}s",
    help="Give up on a job after this time, over all attempts and pages: 90 (seconds), 90s, 10m, 1h30m.",
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

    The service counts in the background, so its counts may lag. --exact counts the tasks in a list instead,
    and --verify compares the two.

    Jobs are arguments, or lines of standard input for -, or --all of the account. A job that can't be counted
    is reported on stderr, and the others are counted all the same; the exit code is that of the first failure
    in the order given, or 3 if there is no job at all. The output keeps that order, too; only ndjson, and TSV
    of jobs that are not arguments, have the order of the answers.

    \b
    taskcounts get nightly-render reindex
    taskcounts get --all --filter "state eq 'active'" -o tsv
    taskcounts get - -o ndjson < jobs.txt
    """
    if exact and verify:
        raise click.UsageError("--exact and --verify can't be combined; --verify shows both counts")
    source.check(account)
    is_line_by_line = output in ("ndjson", "tsv")
    immediate = output == "ndjson" or (output == "tsv" and source.open_ended)
    progress = ProgressLine(shown=exact or verify or not is_line_by_line)
    log_attempts(verbose, before=progress.clear)
    with account.client(TaskCountsClient, strict=strict, timeout=attempt_timeout, deadline=timeout) as client:
        results = ResultOrder(WRITERS[output](), immediate=immediate)
        jobs = JobSequence(source.ids(client))
        answers: Generator[tuple[str, Result], None, None]
        if exact or verify or not (source.open_ended or len(source.named) > 1):
            answers = count_one_by_one(
                client, jobs, progress, exact=exact, verify=verify, service_timeout=service_timeout
            )
        else:
            answers = count_concurrently(
                client, jobs, progress, concurrency=concurrency, service_timeout=service_timeout
            )
        first_failed, code = None, Exit.OK
        try:
            with closing(answers):
                for job, result in answers:
                    if is_line_by_line or not isinstance(result, Snapshot) or result.inconsistencies:
                        progress.clear()
                    number = jobs.take_number(job)
                    results.add(number, job, result)
                    failed = report(job, result)
                    if failed is not Exit.OK and (first_failed is None or number < first_failed):
                        first_failed, code = number, failed
        finally:
            progress.clear()
            # After an interruption, the results so far are written.
            results.end()
    return code if jobs.count else source.report_no_jobs()


def count_one_by_one(
    client: TaskCountsClient,
    jobs: JobSequence,
    progress: ProgressLine,
    *,
    exact: bool,
    verify: bool,
    **options: Any,
) -> Generator[tuple[str, Result], None, None]:
    """Yield each job with its result, one after another."""
    for job in jobs:
        try:
            check_job_id(job)
        except ValueError as error:
            yield job, error
            continue
        result: Result
        try:
            if exact:
                show = partial(progress.show, f"job {job!r}: {{:,}} tasks listed")
                result = client.get_exact_job_task_counts(job, progress=show, **options)
            else:
                result = client.get_job_task_counts(job, verify=verify, **options)
        except TaskCountsError as error:
            result = error
        yield job, result


def count_concurrently(
    client: TaskCountsClient, jobs: JobSequence, progress: ProgressLine, **options: Any
) -> Generator[tuple[str, Result], None, None]:
    """Yield each job with its result, in the order of the answers."""
    answers = failures = 0
    while not jobs.ended:
        # Jobs that are typed or piped slowly are answered batch by batch.
        for found in client.get_many(jobs.next_batch(), **options):
            result = found.error if found.snapshot is None else found.snapshot
            assert isinstance(result, Snapshot | TaskCountsError | ValueError)  # noqa: S101 - ids are texts.
            answers, failures = answers + 1, failures + (result is found.error)
            progress.show("{:,} jobs asked for, {:,} without counts", answers, failures)
            yield found.job_id, result


def report(job: str, result: Result) -> Exit:
    """Print the warnings or the error of a result, and return its exit code."""
    if isinstance(result, Snapshot):
        listed = () if result.listed is None else result.listed.inconsistencies
        for doubt in (*result.inconsistencies, *listed):
            print_warning(f"job {job!r}: {doubt.text}; don't rely on these numbers")
        return Exit.OK
    code, hint = code_and_hint(result) if isinstance(result, TaskCountsError) else (Exit.USAGE, None)
    print_error(str(result), hint)
    return code


class JobSequence:
    """The jobs as they are read, with their positions in the user's order.

    Attributes:
        count: The number of jobs read so far.
        ended: Whether all jobs are read.
    """

    def __init__(self, jobs: Iterable[str | None]) -> None:
        """Take the job ids; None means that the next one may take a while."""
        self.count = 0
        self.ended = False
        self._jobs = iter(jobs)
        # The positions of jobs without a result; nothing is kept of the others.
        self._pending: dict[str, deque[int]] = {}

    def __iter__(self) -> Iterator[str]:
        while not self.ended:
            yield from self.next_batch()

    def next_batch(self) -> Iterator[str]:
        """Yield jobs, at least one, until the next one may take a while or there is none."""
        before = self.count
        for job in self._jobs:
            if job is not None:
                self._pending.setdefault(job, deque()).append(self.count)
                self.count += 1
                yield job
            elif self.count > before:
                return
        self.ended = True

    def take_number(self, job: str) -> int:
        """Return and forget the position of a job, from 0; a job that is named twice has two."""
        numbers = self._pending[job]
        number = numbers.popleft()
        if not numbers:
            del self._pending[job]
        return number


class ProgressLine:
    """A line on a terminal's stderr that shows the progress of a long operation, and is erased at its end."""

    def __init__(self, *, shown: bool) -> None:
        """Take whether to show anything if stderr is a terminal."""
        self._shown = shown and sys.stderr is not None and sys.stderr.isatty()
        self._width = 0
        self._next = 0.0

    def show(self, text: str, *numbers: int) -> None:
        """Show a text into which numbers are formatted, at most ten times a second."""
        if self._shown and time.monotonic() >= self._next:
            line = text.format(*numbers)
            print_stderr(f"\r{line.ljust(self._width)}", end=False)
            self._width, self._next = len(line), time.monotonic() + 0.1

    def clear(self) -> None:
        """Erase the line."""
        if self._width:
            print_stderr(f"\r{' ' * self._width}\r", end=False)
            self._width = 0
