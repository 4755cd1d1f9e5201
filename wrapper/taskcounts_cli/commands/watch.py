"""The command ``taskcounts watch``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from taskcounts_cli.exits import Exit
from taskcounts_cli.input.jobs import JobSource, all_jobs, job_options
from taskcounts_cli.input.options import (
    Account,
    FilePath,
    account_options,
    log_attempts,
    verbose_option,
)
from taskcounts_cli.input.wait_options import WaitOptions, wait_options
from taskcounts_cli.messages import print_stderr
from taskcounts_cli.notify import Notifier, Target, notify_option
from taskcounts_cli.output.events import event_line
from taskcounts_cli.output.verdicts import outcome_record, print_hints, session_code, verdict_line
from taskcounts_cli.output.viewers import NdjsonViewer, StdoutLineViewer
from taskcounts_cli.recording.recorder import Recorder
from taskcounts_cli.session import run_session
from taskcounts_cli.viewer import Broadcast, SessionResult, Viewer


@click.command
@job_options
@wait_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["view", "ndjson"]),
    default="view",
    show_default=True,
    help="A view, or lines where stdout is no terminal; or one JSON object for each observation and verdict.",
)
@click.option(
    "--record",
    type=FilePath(),
    metavar="FILE",
    help="Keep every observation in a new file, for replay and plot.",
)
@click.option("--append", is_flag=True, help="Let --record go on in a file that is there.")
@notify_option
@account_options
@verbose_option
def watch(  # noqa: PLR0917 - click names them.
    source: JobSource,
    wait: WaitOptions,
    account: Account,
    output: str,
    record: Path | None,
    append: bool,
    notify: tuple[Target, ...],
    verbose: bool,
) -> Exit:
    """Show how each JOB goes until it is done, or otherwise as --for says, then print the verdict.

    On a terminal the view has the window for itself and leaves the last state behind. Elsewhere there is a
    line at each change, and one a minute without any. TERM=dumb has lines as well, NO_COLOR no colours.

    \b
    A bar shows  █ succeeded  x failed  > running  · active  tasks.
    A job's mark is ? without an answer, ! if its counts are doubtful, ✓ or ✗ at its end.

    Options, verdicts and exit codes are those of wait. What a recording or a notification loses is told, and
    changes neither the watch nor its exit code.

    \b
    taskcounts watch nightly-render reindex --stall 20m
    taskcounts watch --all --record today.ndjson
    taskcounts watch nightly-render --notify 'notify-send done' --notify https://example.com/hook
    """
    if append and record is None:
        raise click.UsageError("--append goes with --record")
    jobs = all_jobs(source, account)
    if not jobs:
        return source.report_no_jobs()
    with contextlib.ExitStack() as stack:
        viewers: list[Viewer] = []
        if record is not None:
            recorder = Recorder(record, append=append)
            stack.callback(recorder.discard_unused)
            viewers.append(recorder)
        viewers.append(_view(output, f"until {wait.until}; Ctrl-C ends the watch, not the jobs"))
        # The verdict doesn't wait for those who are notified.
        notifier = stack.enter_context(Notifier(notify))
        if verbose:
            log_attempts(verbose)
        result = run_session(account, jobs, wait, Broadcast(*viewers, notifier))
        notifier.interrupted = result.interrupted is not None
        return _conclude(result, output)


def _conclude(result: SessionResult, output: str) -> Exit:
    """Tell what came of a watch, and return its exit code."""
    if output == "ndjson":
        for job in result.jobs:
            if job not in result.verdicts:
                click.echo(event_line(outcome_record(result, job)))
    else:
        if result.interrupted and sys.stderr is not None and sys.stderr.isatty():
            # Below the terminal's own ^C.
            print_stderr("")
        click.echo(verdict_line(result))
    print_hints(result)
    return session_code(result)


def _view(output: str, footer: str) -> Viewer:
    """Return what shows a watch: what was asked for, and else what stdout can show."""
    if output == "ndjson":
        return NdjsonViewer()
    # Rich takes longer to load than a small wait takes.
    from taskcounts_cli.screen.screen import Screen, can_animate  # noqa: PLC0415

    return Screen(sys.stdout, footer) if can_animate(sys.stdout) else StdoutLineViewer()
