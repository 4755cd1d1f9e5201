"""The command ``taskcounts watch``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import click

from taskcounts_cli.commands.common import wait_and_report
from taskcounts_cli.exits import Exit
from taskcounts_cli.input.jobs import JobSource, all_jobs, job_options
from taskcounts_cli.input.options import Account, FilePath, account_options, verbose_option
from taskcounts_cli.input.wait_options import WaitOptions, wait_options
from taskcounts_cli.notify import Target, notify_option
from taskcounts_cli.output.viewers import NdjsonViewer
from taskcounts_cli.recording.recorder import Recorder
from taskcounts_cli.screen.stdout_viewer import stdout_viewer
from taskcounts_cli.viewer import Viewer


@click.command
@job_options
@wait_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["view", "ndjson"]),
    default="view",
    help="A live view, or lines if stdout is no terminal; or each observation and verdict as a line of JSON.",
)
@click.option("--record", type=FilePath(), help="Write every observation to a new file, for replay and plot.")
@click.option("--append", is_flag=True, help="Let --record continue an existing file.")
@notify_option
@account_options
@verbose_option
def watch(
    *,
    source: JobSource,
    wait: WaitOptions,
    account: Account,
    output: str,
    record: Path | None,
    append: bool,
    notify: Sequence[Target],
    verbose: bool,
) -> Exit:
    """Show the progress of each JOB until it is done, or has reached the goal of --for; print the verdict.

    On a terminal the view fills the window, and its last state stays when it ends. Elsewhere it is a line at
    each change, and one each minute without a change. So it is with TERM=dumb; NO_COLOR turns colours off.

    \b
    A bar shows  █ succeeded  x failed  > running  · active  tasks.
    A job is marked ? without an answer, ! if its counts are doubtful, ✓ or ✗ at its end.

    Options, verdicts and exit codes are those of wait. A recording or notification that fails is reported,
    and changes neither the watch nor its exit code.

    \b
    taskcounts watch nightly-render reindex --stall 20m
    taskcounts watch --all --record today.ndjson
    taskcounts watch nightly-render --notify 'notify-send done' --notify https://example.com/hook
    """
    if append and record is None:
        raise click.UsageError("--append needs --record")
    jobs = all_jobs(source, account)
    if not jobs:
        return source.report_no_jobs()
    with contextlib.ExitStack() as stack:
        viewers: list[Viewer] = []
        if record is not None:
            recorder = Recorder(record, append=append)
            stack.callback(recorder.discard_unused)
            viewers.append(recorder)
        footer = f"until {wait.until}; Ctrl-C ends the watch, not the jobs"
        viewers.append(NdjsonViewer() if output == "ndjson" else stdout_viewer(footer))
        return wait_and_report(account, jobs, wait, viewers, notify, output=output, verbose=verbose)
