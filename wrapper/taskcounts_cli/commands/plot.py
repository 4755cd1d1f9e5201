"""The command ``taskcounts plot``: what a watch has recorded, drawn."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from taskcounts_cli.exits import CommandError, Exit
from taskcounts_cli.input.options import FilePath
from taskcounts_cli.output.formatting import some
from taskcounts_cli.recording.reader import read_events, summarize


@click.command
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=FilePath(),
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
        raise click.BadParameter(
            f"{output.name} ends in neither .svg nor .png", param_hint="'-o' / '--output'"
        )
    try:
        from taskcounts_cli.recording.chart import MAX_JOBS, draw, series  # noqa: PLC0415 - an extra.
    except ModuleNotFoundError as error:
        raise CommandError(
            f"drawing needs {error.name}", "install taskcounts with its extra 'plot'"
        ) from None
    found = summarize(file)
    if job is not None and job not in found.jobs:
        raise CommandError(f"{file} has nothing of a job {job!r}", f"it has {some(found.jobs, 5)}")
    if job is None and len(found.jobs) > MAX_JOBS:
        raise CommandError(
            f"{file} has {len(found.jobs):,} jobs; {MAX_JOBS} at most are drawn together",
            f"--job draws one, such as {found.jobs[0]}",
        )
    # Drawn before anything is written: a drawing that is there isn't lost to an error.
    drawing = draw(series(read_events(file, found.events), job), kind)
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
