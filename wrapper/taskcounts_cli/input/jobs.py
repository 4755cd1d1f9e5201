"""Where the jobs of a command come from: arguments, standard input, or the account's own list."""

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

# Bytes.
_LONGEST_LINE = 4096
_CHUNK = 65536

# Seconds.
_MOMENT = 0.05


@frozen(kw_only=True)
class JobSource:
    """Which jobs a command is for.

    Attributes:
        named: Job ids in the order in which they were named; ``-`` stands for those on standard input.
        everything: Whether all jobs of the account are meant.
        filter: Which of these, in the service's words; None for all of them.
    """

    named: tuple[str, ...]
    everything: bool
    filter: str | None

    @property
    def open_ended(self) -> bool:
        """Whether nobody knows beforehand how many jobs there are."""
        return self.everything or STDIN in self.named

    def check(self, account: Account) -> None:
        """Raise CommandError or UsageError for what can't be meant. All arguments are looked at."""
        if self.everything and self.named:
            raise click.UsageError("give either --all or jobs, not both")
        if self.filter is not None and not self.everything:
            raise click.UsageError("--filter goes with --all")
        if not self.everything and not self.named:
            raise click.UsageError("no job is named; give their ids, - for standard input, or --all")
        if self.named.count(STDIN) > 1:
            raise click.UsageError("standard input can be read once: give - once")
        if STDIN in self.named and str(account.key_file) == STDIN:
            raise click.UsageError("standard input holds either the access key or jobs, not both")
        for job in self.named:
            if job != STDIN:
                checked(job)

    def report_no_jobs(self) -> Exit:
        """Tell that there are no jobs, and return the exit code of that.

        Nothing was asked, so nothing is answered, and still less is done: a script that goes on after a
        success mustn't take it for one.
        """
        if not self.everything:
            print_error("standard input names no job")
        elif self.filter is None:
            print_error("the account has no jobs")
        else:
            print_error("no job matches the filter")
        return Exit.NOT_FOUND

    def ids(self, client: TaskCountsClient | None) -> Iterator[str | None]:
        """Yield the job ids as they become known; those from standard input may be anything.

        None says that it may take a while until the next one is known.

        Args:
            client: Lists the jobs of the account, if all of them are meant.
        """
        if client is not None and self.everything:
            told: set[str] = set()
            for listed in client.list_jobs(filter=self.filter):
                for doubt in listed.inconsistencies:
                    # All jobs of a page have the same.
                    if doubt.text not in told:
                        told.add(doubt.text)
                        print_warning(f"the list of jobs: {doubt.text}; it may not be whole")
                yield listed.job_id
        for job in self.named:
            if job == STDIN:
                yield from read_ids(sys.stdin)
            else:
                yield job


def job_options(command: Command) -> Command:
    """Add the argument and options that name jobs; the command gets ``source``."""
    options = [
        click.argument("jobs", metavar="[JOB|-]...", nargs=-1),
        click.option("--all", "everything", is_flag=True, help="Take all jobs of the account."),
        click.option(
            "--filter",
            "filter_",
            metavar="TEXT",
            callback=_filter,
            help="With --all: only those that the service's filter takes, "
            "such as \"state eq 'active'\" or \"startswith(id,'nightly')\".",
        ),
    ]

    def make(jobs: tuple[str, ...], everything: bool, filter_: str | None) -> JobSource:
        return JobSource(named=jobs, everything=everything, filter=filter_)

    return option_group(command, options, "source", make)


def _filter(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return a filter that can be asked for; an empty one would take all jobs."""
    if value is not None and not value.strip():
        raise click.BadParameter("the filter is empty", param=parameter)
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("the filter is no text in UTF-8", param=parameter) from None
    return value


def checked(job: str) -> str:
    """Return a job id, or raise CommandError if it is none."""
    try:
        return check_job_id(job)
    except ValueError as error:
        raise CommandError(str(error)) from None


def all_jobs(source: JobSource, account: Account) -> list[str]:
    """Return all jobs, each once, in the order in which they were named.

    Job ids differ in more than case. One that is named again is told, and left out.

    Raises:
        CommandError: One of them is no job id.
        TaskCountsError: There is no trustworthy list of all jobs.
    """
    source.check(account)
    with ExitStack() as stack:
        # Those who are named need nobody to list them.
        client = stack.enter_context(account.client(TaskCountsClient)) if source.everything else None
        ids = [checked(job) for job in source.ids(client) if job is not None]
    found: dict[str, str] = {}
    for job in ids:
        if job.lower() in found:
            print_warning(f"job {job!r} is named more than once")
        found.setdefault(job.lower(), job)
    return list(found.values())


def read_ids(stream: TextIO | None) -> Iterator[str | None]:
    """Yield one id for each line but blank ones and those that begin with ``#``, and None at each lull.

    At a lull nothing can be read at the moment: whoever wants another id after it waits for it.
    """
    if stream is None:
        raise CommandError("there is no standard input to read jobs from")
    if stream.isatty():
        print_labelled("reading", "one job id a line; Ctrl-D ends them")
    rest, cut = b"", False
    for chunk in _chunks(stream):
        if chunk is None:
            yield None
            continue
        if cut:
            # The rest of a line whose beginning was refused is no id.
            _, end, chunk = chunk.partition(b"\n")  # noqa: PLW2901 - what is left of it.
            if not end:
                continue
        *lines, rest = (rest + chunk).split(b"\n")
        # No id is that long, and a line without an end must not fill the memory.
        cut = len(rest) > _LONGEST_LINE
        if cut:
            lines, rest = [*lines, rest], b""
        yield from filter(None, map(_id_of, lines))
    yield from filter(None, [_id_of(rest)])


def _id_of(line: bytes) -> str | None:
    """Return the id in a line, None if there is none."""
    # Some programs begin a text with a byte order mark.
    whole = line[:_LONGEST_LINE].decode("utf-8", "replace").removeprefix("\ufeff")
    text = whole.strip()
    if text.startswith("#"):
        return None
    # A cut line stays as long as it is: it is refused, whatever it begins with.
    return whole if len(line) > _LONGEST_LINE else text or None


def _chunks(stream: TextIO) -> Iterator[bytes | None]:
    """Yield what can be read, to the end; None where that takes longer than a moment."""
    try:
        number = stream.fileno()
    except OSError:
        # Not the system's.
        while text := stream.read(_CHUNK):
            yield text.encode("utf-8", "replace")
        return
    while True:
        if not _readable(number):
            yield None
        try:
            chunk = os.read(number, _CHUNK)
        except BlockingIOError:
            # Others may have made it not wait; so we do.
            continue
        if not chunk:
            return
        yield chunk


def _readable(number: int) -> bool:
    """Whether something, or the end, can be read within a moment; also where nobody can tell."""
    try:
        return bool(select.select([number], [], [], _MOMENT)[0])
    except (OSError, ValueError):
        # Windows knows this of sockets alone.
        return True
