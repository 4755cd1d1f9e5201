"""The command ``taskcounts wait``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from taskcounts.waiting.values import Verdict
from taskcounts_cli.exits import Exit
from taskcounts_cli.input.jobs import JobSource, all_jobs, job_options
from taskcounts_cli.input.options import Account, account_options, log_attempts, verbose_option
from taskcounts_cli.input.wait_options import WaitOptions, wait_options
from taskcounts_cli.messages import print_stderr
from taskcounts_cli.notify import Notifier, Target, notify_option
from taskcounts_cli.output.events import event_line, event_record, serializable
from taskcounts_cli.output.records import dumps
from taskcounts_cli.output.verdicts import outcome_record, print_hints, session_code, verdict_line
from taskcounts_cli.output.viewers import LineViewer
from taskcounts_cli.session import run_session
from taskcounts_cli.viewer import Broadcast, SessionResult


@click.command
@job_options
@wait_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "ndjson"]),
    default="text",
    show_default=True,
    help="One line; a JSON array of verdicts; one JSON object a line, as the verdicts come.",
)
@click.option("-q", "--quiet", is_flag=True, help="Tell no progress, only what came of it.")
@notify_option
@account_options
@verbose_option
def wait(
    *,
    source: JobSource,
    wait: WaitOptions,
    account: Account,
    output: str,
    quiet: bool,
    notify: Sequence[Target],
    verbose: bool,
) -> Exit:
    """Wait until each JOB is done, or otherwise as --for says, and print the verdict.

    What the counts say is confirmed by a small list query before it is believed. Jobs are arguments, or
    lines of standard input for -, or --all of the account.

    The verdict is one line on stdout; for several jobs it sums them up, and each job's own is told on
    stderr as it comes. Progress goes to stderr: a line at each change, and one a minute without any.

    Exit codes: 0 it is so, 1 tasks failed or it can't become so any more, 3 the job is gone or there
    is none, 4, 5, 6 its status was lost by an error of that kind, 124 out of time, 125 stalled,
    130 interrupted. Of several jobs the first that isn't 0 decides, in the order named.

    \b
    taskcounts wait nightly-render --timeout 2h --stall 20m && ./publish
    taskcounts wait nightly-render --for 'count>=100' -q
    taskcounts wait --all --filter "startswith(id,'nightly')" -o json
    """
    jobs = all_jobs(source, account)
    if not jobs:
        return source.report_no_jobs()
    if verbose:
        log_attempts(verbose)
    lines = _NdjsonLineViewer(quiet=quiet) if output == "ndjson" else LineViewer(quiet=quiet)
    # The verdict doesn't wait for those who are notified.
    with Notifier(notify) as notifier:
        result = run_session(account, jobs, wait, Broadcast(lines, notifier))
        notifier.interrupted = result.interrupted is not None
        return conclude(result, output)


def conclude(result: SessionResult, output: str) -> Exit:
    """Tell what came of a session, and return its exit code."""
    if result.interrupted and sys.stderr is not None and sys.stderr.isatty():
        # Below the terminal's own ^C.
        print_stderr("")
    write(result, output)
    print_hints(result)
    return session_code(result)


def write(result: SessionResult, output: str) -> None:
    """Write to stdout what came of a session, as far as that isn't written yet."""
    if output == "text":
        click.echo(verdict_line(result))
    elif output == "json":
        click.echo(dumps([serializable(outcome_record(result, job)) for job in result.jobs], indent=2))
    else:
        for job in result.jobs:
            if job not in result.verdicts:
                click.echo(event_line(outcome_record(result, job)))


class _NdjsonLineViewer(LineViewer):
    """Lines on stderr, and each verdict as a JSON object on stdout."""

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict."""
        click.echo(event_line(event_record(verdict)))
        super().judge(verdict)
