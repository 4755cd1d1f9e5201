"""Writes recordings: files with the JSON object of an event in each line.

Each line is written at once and as a whole. A line that can't be written, for instance on a full disk, is
reported and removed again, so that the file stays valid; the watch goes on, and so does the recording as soon
as there is room. A line that a crash cuts off costs only itself when the file is read.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.exits import CommandError
from taskcounts_cli.messages import print_warning
from taskcounts_cli.output.events import event_json
from taskcounts_cli.recording.reader import BadLine, read_lines
from taskcounts_cli.viewer import Viewer


class Recorder(Viewer):
    """A viewer that writes all events to a file."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Open the file.

        Args:
            path: The file, which must not exist.
            append: Continue the file if it exists.

        Raises:
            CommandError: The file exists, and is not to be continued or not a recording.
            OSError: The file can't be opened.
        """
        self._path = path
        self._lost = 0
        self._begun = False
        self._new = not path.exists()
        try:
            self._file: IO[bytes] = path.open("a+b" if append else "xb", buffering=0)
        except FileExistsError:
            raise CommandError(
                f"{path} exists already", "continue it with --append, or name a new file"
            ) from None
        # A pipe or a device can be neither read nor truncated.
        self._regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        if append and self._regular:
            try:
                self._check_appendable()
            except BaseException:
                self._file.close()
                raise

    def begin(self, jobs: Sequence[str]) -> None:  # noqa: ARG002 - the observations name the jobs.
        """Keep the file from now on, even if nothing is written to it."""
        self._begun = True

    def observe(self, observation: Observation) -> None:
        self._record(observation)

    def judge(self, verdict: Verdict) -> None:
        self._record(verdict)

    def end(self) -> None:
        """Close the file, and report the number of lines that it lacks."""
        if self._lost:
            print_warning(f"{self._path} lacks {self._lost:,} lines that couldn't be written")
        with contextlib.suppress(OSError):
            self._file.close()

    def discard_unused(self) -> None:
        """Remove a new file if the watch has not begun."""
        if not self._begun:
            self._file.close()
            if self._new and self._regular:
                self._path.unlink(missing_ok=True)

    def _record(self, event: Observation | Verdict) -> None:
        try:
            line = event_json(event)
        except (ValueError, RecursionError):
            self._report_loss(
                f"what the service added to the counts of job {event.job_id!r} can't be written"
            )
        else:
            self._write(line.encode() + b"\n")

    def _report_loss(self, reason: str) -> None:
        if not self._lost:
            print_warning(f"{self._path}: {reason}; the watch goes on")
        self._lost += 1

    def _check_appendable(self) -> None:
        """Check that the file begins with a record, and end its last line if that was cut off."""
        if not self._file.seek(0, os.SEEK_END):
            return
        first = next(read_lines(self._path), None)
        if isinstance(first, BadLine):
            raise CommandError(f"{self._path} is not a recording: {first.text}", "name another file")
        self._file.seek(-1, os.SEEK_END)
        if self._file.read(1) != b"\n":
            self._write(b"\n")

    def _write(self, line: bytes) -> None:
        before = self._file.seek(0, os.SEEK_END) if self._regular else 0
        try:
            written = 0
            # A disk that is nearly full takes only a part.
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                if self._regular:
                    self._file.truncate(before)
            self._report_loss(error.strerror or str(error))
