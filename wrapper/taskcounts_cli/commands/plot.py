"""The command ``taskcounts plot``, which needs the extra ``plot``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from taskcounts_cli.exits import CommandError, Exit, requires_extra
from taskcounts_cli.input.options import FilePath, recording_argument
from taskcounts_cli.output.formatting import first_few
from taskcounts_cli.recording.reader import read_events, summarize


@click.command
@recording_argument
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    required=True,
    help="The chart to write; its name ends in .svg or .png.",
)
@click.option("--job", metavar="ID", help="Draw only this job.")
def plot(file: Path, output: Path, job: str | None) -> Exit:
    """Draw the counts of each job over time, from what watch --record wrote to FILE.

    The chart has gaps where the counts were unknown, a strip above where they were doubtful, and a line at
    each verdict. An existing chart is replaced.
    """
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png"):
        raise click.BadParameter(
            f"{output.name} ends in neither .svg nor .png", param_hint="'-o' / '--output'"
        )
    with requires_extra("plot", "a chart"):
        from taskcounts_cli.recording.chart import MAX_JOBS, draw, series  # noqa: PLC0415 - an extra.

    summary = summarize(file)
    if job is not None and job not in summary.jobs:
        raise CommandError(f"{file} has no job {job!r}", f"it has {first_few(summary.jobs, 5)}")
    if job is None and len(summary.jobs) > MAX_JOBS:
        raise CommandError(
            f"{file} has {len(summary.jobs):,} jobs, and a chart shows at most {MAX_JOBS}",
            f"--job draws one of them, such as {summary.jobs[0]}",
        )
    _replace(output, draw(series(read_events(file, summary.events), job), kind))
    return Exit.INPUT_OUTPUT if summary.bad_lines else Exit.OK


def _replace(path: Path, content: bytes) -> None:
    """Write a file, or leave an existing one as it is if that fails, for instance on a full disk.

    Raises:
        OSError: The file can't be written; the error names it.
    """
    # A link stays, and the file that it points to is replaced.
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            # A pipe or a device can't be replaced.
            target.write_bytes(content)
            return
        temporary = target.with_name(f".taskcounts-{os.getpid()}.tmp")
        try:
            temporary.write_bytes(content)
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
