"""The command ``taskcounts wait``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from taskcounts_cli.commands.common import wait_and_report
from taskcounts_cli.exits import Exit
from taskcounts_cli.input.jobs import JobSource, all_jobs, job_options
from taskcounts_cli.input.options import Account, account_options, verbose_option
from taskcounts_cli.input.wait_options import WaitOptions, wait_options
from taskcounts_cli.notify import Target, notify_option
from taskcounts_cli.output.viewers import LineViewer, NdjsonViewer
from taskcounts_cli.viewer import Viewer


@click.command
@job_options
@wait_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "ndjson"]),
    default="text",
    help="One line; a JSON array of verdicts; or each verdict as a line of JSON as soon as it is known.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only the verdict.")
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
    """Wait until each JOB is done, or has reached the goal of --for, and print the verdict.

    A goal that the counts show is confirmed by a small list query before the wait ends. Jobs are arguments,
    or lines of standard input for -, or --all of the account.

    The verdict is one line on stdout. For several jobs it is a summary, and the verdict on each job is shown
    on stderr. Progress is shown on stderr: a line at each change, and one each minute without a change.

    Exit codes: 0 the goal is reached; 1 tasks failed, or the goal can't be reached any more; 3 there is no
    such job, or none at all; 4, 5, 6 an error of that kind hid the job's status; 124 out of time;
    125 stalled; 130 interrupted. With several jobs it is the first code other than 0, in the order named.

    \b
    taskcounts wait nightly-render --timeout 2h --stall 20m && ./publish
    taskcounts wait nightly-render --for 'count>=100' -q
    taskcounts wait --all --filter "startswith(id,'nightly')" -o json
    """
    jobs = all_jobs(source, account)
    if not jobs:
        return source.report_no_jobs()
    viewers: list[Viewer] = [NdjsonViewer(observations=False)] if output == "ndjson" else []
    viewers.append(LineViewer(quiet=quiet))
    return wait_and_report(account, jobs, wait, viewers, notify, output=output, verbose=verbose)
