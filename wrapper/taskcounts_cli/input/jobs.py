"""The jobs of a command: from arguments, from standard input, or from the account's list of jobs."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TextIO

import click
from attrs import frozen

from taskcounts.arguments import check_job_id
from taskcounts.client import TaskCountsClient
from taskcounts_cli.exits import CommandError, Exit
from taskcounts_cli.input.options import Account, Command, option_group
from taskcounts_cli.messages import print_error, print_labelled, print_warning

STDIN = "-"

# Bytes; no job id is as long.
_MAX_LINE = 4096
_CHUNK = 65536

# Seconds without input after which the jobs read so far are asked for.
_LULL = 0.05


@frozen(kw_only=True)
class JobSource:
    """The jobs that a user named, or the whole account.

    Attributes:
        named: Job ids in the order in which the user named them; ``-`` stands for those on standard input.
        everything: Whether the user asked for all jobs of the account.
        filter: The service's filter for these jobs; None for all of them.
    """

    named: tuple[str, ...]
    everything: bool
    filter: str | None

    @property
    def open_ended(self) -> bool:
        """True if the number of jobs is unknown before all of them are read."""
        return self.everything or STDIN in self.named

    def check(self, account: Account) -> None:
        """Raise CommandError or UsageError for arguments that are invalid or contradict each other."""
        if self.everything and self.named:
            raise click.UsageError("give either --all or jobs, not both")
        if self.filter is not None and not self.everything:
            raise click.UsageError("--filter needs --all")
        if not self.everything and not self.named:
            raise click.UsageError("no job is named; give job ids, - for standard input, or --all")
        if self.named.count(STDIN) > 1:
            raise click.UsageError("standard input can be read only once: give - once")
        if STDIN in self.named and str(account.key_file) == STDIN:
            raise click.UsageError("standard input can hold the access key or jobs, not both")
        for job in self.named:
            if job != STDIN:
                check_id(job)

    def report_no_jobs(self) -> Exit:
        """Print that there are no jobs, and return an exit code.

        It is not success, since a script that goes on after a success would take nothing for done.
        """
        if not self.everything:
            print_error("standard input names no job")
        elif self.filter is None:
            print_error("the account has no jobs")
        else:
            print_error("no job matches the filter")
        return Exit.NOT_FOUND

    def ids(self, client: TaskCountsClient | None) -> Iterator[str | None]:
        """Yield the job ids as they are read; those from standard input are not checked.

        None means that the next id may take a while.

        Args:
            client: The client that lists the jobs of the account, None if all jobs are named.
        """
        if client is not None and self.everything:
            # All jobs of a page have the same inconsistencies.
            warned: set[str] = set()
            for listed in client.list_jobs(filter=self.filter):
                for doubt in listed.inconsistencies:
                    if doubt.text not in warned:
                        warned.add(doubt.text)
                        print_warning(f"the list of jobs: {doubt.text}; it may be incomplete")
                yield listed.job_id
        for job in self.named:
            if job == STDIN:
                yield from read_ids(sys.stdin)
            else:
                yield job


def job_options(command: Command) -> Command:
    """Add the argument and the options that name jobs; the command gets them as ``source``."""
    options = [
        click.argument("named", metavar="[JOB|-]...", nargs=-1),
        click.option("--all", "everything", is_flag=True, help="Take all jobs of the account."),
        click.option(
            "--filter",
            callback=_filter,
            help="With --all: only jobs that match this filter of the service, "
            "such as \"state eq 'active'\" or \"startswith(id,'nightly')\".",
        ),
    ]
    return option_group(command, options, "source", JobSource)


def _filter(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return a filter that is valid; the service takes an empty one for no filter."""
    if value is not None and not value.strip():
        raise click.BadParameter("the filter is empty", param=parameter)
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("the filter is not valid UTF-8", param=parameter) from None
    return value


def check_id(job: str) -> str:
    """Return a job id, or raise CommandError if it is invalid."""
    try:
        return check_job_id(job)
    except ValueError as error:
        raise CommandError(str(error)) from None


def all_jobs(source: JobSource, account: Account) -> list[str]:
    """Return all jobs, each once, in the order in which the user named them.

    An id that is repeated, in whatever case, is dropped with a warning.

    Raises:
        CommandError: An id is invalid.
        TaskCountsError: The jobs of the account can't be listed.
    """
    source.check(account)
    with ExitStack() as stack:
        # Named jobs need no client.
        client = stack.enter_context(account.client(TaskCountsClient)) if source.everything else None
        ids = [check_id(job) for job in source.ids(client) if job is not None]
    found: dict[str, str] = {}
    for job in ids:
        if job.lower() in found:
            print_warning(f"job {job!r} is named more than once")
        found.setdefault(job.lower(), job)
    return list(found.values())


def read_ids(stream: TextIO | None) -> Iterator[str | None]:
    """Yield the id in each line, without blank lines and those that begin with ``#``.

    None means that no input is available at the moment; the next step waits for more.
    """
    if stream is None:
        raise CommandError("there is no standard input to read jobs from")
    if stream.isatty():
        print_labelled("reading", "one job id a line; Ctrl-D ends them")
    rest, cut = b"", False
    for chunk in _read_chunks(stream):
        if chunk is None:
            yield None
            continue
        if cut:
            # The rest of a line that was too long is not an id.
            _, end, chunk = chunk.partition(b"\n")  # noqa: PLW2901 - the remainder of the chunk.
            if not end:
                continue
        *lines, rest = (rest + chunk).split(b"\n")
        # A line without an end must not fill the memory.
        cut = len(rest) > _MAX_LINE
        if cut:
            lines, rest = [*lines, rest], b""
        yield from filter(None, map(_parse_id, lines))
    yield from filter(None, [_parse_id(rest)])


def _parse_id(line: bytes) -> str | None:
    """Return the id in a line, None if there is none."""
    # Some programs write a byte order mark first.
    whole = line[:_MAX_LINE].decode("utf-8", "replace").removeprefix("\ufeff")
    text = whole.strip()
    if text.startswith("#"):
        return None
    # A line that is too long is not stripped: it must be refused, and not taken for a shorter id.
    return whole if len(line) > _MAX_LINE else text or None


def _read_chunks(stream: TextIO) -> Iterator[bytes | None]:
    """Yield the bytes of a stream up to its end, and None where they take longer than _LULL."""
    try:
        descriptor = stream.fileno()
    except OSError:
        # The stream is a Python object without a file.
        while text := stream.read(_CHUNK):
            yield text.encode("utf-8", "replace")
        return
    while True:
        if not _is_readable(descriptor):
            yield None
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            # Another process may have made the file non-blocking.
            continue
        if not chunk:
            return
        yield chunk


def _is_readable(descriptor: int) -> bool:
    """Return whether a read returns within _LULL; true also where the system can't tell."""
    try:
        return bool(select.select([descriptor], [], [], _LULL)[0])
    except (OSError, ValueError):
        # Windows can select only sockets.
        return True
