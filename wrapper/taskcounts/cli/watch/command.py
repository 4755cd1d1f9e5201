"""The commands ``taskcounts watch``, ``replay`` and ``plot``."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from taskcounts.cli.jobs import JobSource, all_jobs
from taskcounts.cli.notify import Notifier, Target, notify_option
from taskcounts.cli.options import (
    Account,
    WaitOptions,
    account_options,
    job_options,
    tell_attempts,
    verbose_option,
    wait_options,
)
from taskcounts.cli.outcome import CommandError, Exit, complain, say
from taskcounts.cli.session import SessionResult, Together, Viewer, run_session
from taskcounts.cli.verdicts import outcome_record, session_code, tell_hints, verdict_line, written
from taskcounts.cli.watch.outlets import Objects, PlainLines
from taskcounts.cli.watch.recording import Recorder, events, survey
from taskcounts.errors import one_line


@click.command(short_help="Show jobs as they move, until each has its verdict.")
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
    type=click.Path(dir_okay=False, path_type=Path),
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
        complain("there is no job to watch")
        return Exit.NOT_FOUND
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
            tell_attempts(verbose)
        result = run_session(account, jobs, wait, Together(*viewers, notifier))
        notifier.interrupted = result.interrupted is not None
        return _conclude(result, output)


def _conclude(result: SessionResult, output: str) -> Exit:
    """Tell what came of a watch, and return its exit code."""
    if output == "ndjson":
        for job in result.jobs:
            if job not in result.verdicts:
                click.echo(written(outcome_record(result, job)))
    else:
        if result.interrupted and sys.stderr is not None and sys.stderr.isatty():
            # Below the terminal's own ^C.
            say("")
        click.echo(verdict_line(result))
    tell_hints(result)
    return session_code(result)


def _view(output: str, footer: str) -> Viewer:
    """Return what shows a watch: what was asked for, and else what stdout can show."""
    if output == "ndjson":
        return Objects()
    # Rich takes longer to load than a small wait takes.
    from taskcounts.cli.watch.screen import Screen, animates  # noqa: PLC0415

    return Screen(sys.stdout, footer) if animates(sys.stdout) else PlainLines()


@click.command(short_help="Show a recording of watch again.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--speed",
    type=click.FloatRange(0),
    metavar="N",
    default=1.0,
    show_default=True,
    help="How many recorded seconds pass in one; 0 shows all at once.",
)
def replay(file: Path, speed: float) -> Exit:
    """Show what watch --record kept in FILE, as watch showed it.

    A last line that was torn off is left out with a warning; so is a broken one in the middle, and then the
    exit code is 74. Otherwise it is 0, whatever came of the jobs.
    """
    from taskcounts.cli.watch.replay import PlayedClock, play, terminable  # noqa: PLC0415
    from taskcounts.cli.watch.screen import Screen, animates  # noqa: PLC0415

    found = survey(file)
    clock = PlayedClock()
    viewer: Viewer = PlainLines(clock=clock)
    if animates(sys.stdout):
        viewer = Screen(
            sys.stdout,
            f"recorded, at {speed:g} times its speed; Ctrl-C ends it",
            clock=clock,
            still=not speed,
        )
    with terminable():
        result = play(file, found, viewer, clock, speed=speed, sleep=time.sleep)
    click.echo(verdict_line(result))
    return Exit.INPUT_OUTPUT if found.broken else Exit.OK


@click.command(short_help="Draw a recording of watch.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="The drawing, whose name ends in .svg or .png.",
)
@click.option("--job", metavar="ID", help="Draw this job alone.")
def plot(file: Path, output: Path, job: str | None) -> Exit:
    """Draw what watch --record kept in FILE: the counts of each job over time.

    The drawing has gaps where the counts weren't known, a strip above where they were doubtful, and a line
    at the verdict. A drawing that is there is written anew.
    """
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png"):
        raise click.BadParameter(f"{output.name} ends in neither .svg nor .png", param_hint="'-o'")
    try:
        from taskcounts.cli.watch.plot import MOST_JOBS, draw, series  # noqa: PLC0415 - an extra.
    except ModuleNotFoundError as error:
        raise CommandError(
            f"drawing needs {error.name}", "install taskcounts with its extra 'plot'"
        ) from None
    found = survey(file)
    if job is not None and job not in found.jobs:
        raise CommandError(f"{file} has nothing of a job {job!r}", f"it has {_some(found.jobs)}")
    if job is None and len(found.jobs) > MOST_JOBS:
        raise CommandError(
            f"{file} has {len(found.jobs):,} jobs; {MOST_JOBS} at most are drawn together",
            f"--job draws one, such as {found.jobs[0]}",
        )
    # Drawn before anything is written: a drawing that is there isn't lost to an error.
    drawing = draw(series(events(file, found.events), job), kind)
    _replace(output, drawing)
    return Exit.INPUT_OUTPUT if found.broken else Exit.OK


def _replace(path: Path, content: bytes) -> None:
    """Write a file anew, or leave it as it is: a drawing that is there isn't lost to a full disk.

    Raises:
        OSError: It can't be written; the error names the file.
    """
    # Where a link leads, not the link.
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            # A pipe or a device can't be replaced.
            target.write_bytes(content)
            return
        beside = target.with_name(f".taskcounts-{os.getpid()}.tmp")
        try:
            beside.write_bytes(content)
            if target.exists():
                shutil.copymode(target, beside)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def _some(jobs: Sequence[str]) -> str:
    more = f" and {len(jobs) - 5:,} more" if len(jobs) > 5 else ""
    return ", ".join(map(one_line, jobs[:5])) + more
