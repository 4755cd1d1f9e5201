"""Recordings: files of observations and verdicts, one JSON object a line, as `records` writes them.

Each line is written at once and as a whole. A line that can't be written (a full disk) is told and taken
back, so that the file stays whole; the watch goes on, and so does the recording as soon as there is room.
What a crash tore off at the end of a file is survived when it is read.
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
    """A viewer that keeps everything in a file."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Open the file.

        Args:
            path: A new file.
            append: Go on in a file that is there, or begin one.

        Raises:
            CommandError: The file is there and isn't to be gone on with, or is no recording.
            OSError: It can't be opened.
        """
        self._path = path
        self._lost = 0
        self._begun = False
        self._new = not path.exists()
        try:
            self._file: IO[bytes] = path.open("a+b" if append else "xb", buffering=0)
        except FileExistsError:
            raise CommandError(
                f"{path} is there already", "--append goes on in it; otherwise name a new file"
            ) from None
        # Of a pipe or a device nothing can be read or taken back.
        self._regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        if append and self._regular:
            try:
                self._go_on()
            except BaseException:
                self._file.close()
                raise

    def begin(self, jobs: Sequence[str]) -> None:  # noqa: ARG002 - the observations say which.
        """Keep the file from now on, whatever comes."""
        self._begun = True

    def observe(self, observation: Observation) -> None:
        """Write an observation."""
        self._keep(observation)

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict."""
        self._keep(verdict)

    def end(self) -> None:
        """Close the file, and say again what is missing in it."""
        if self._lost:
            print_warning(f"{self._path} lacks {self._lost:,} lines that couldn't be written")
        with contextlib.suppress(OSError):
            self._file.close()

    def discard_unused(self) -> None:
        """Take a new file away if the watch didn't begin."""
        if not self._begun:
            self._file.close()
            if self._new and self._regular:
                self._path.unlink(missing_ok=True)

    def _keep(self, event: Observation | Verdict) -> None:
        try:
            line = event_json(event)
        except (ValueError, RecursionError):
            self._lose(f"what the service added to the counts of job {event.job_id!r} can't be written")
        else:
            self._write(line.encode() + b"\n")

    def _lose(self, why: str) -> None:
        if not self._lost:
            print_warning(f"{self._path}: {why}; the watch goes on")
        self._lost += 1

    def _go_on(self) -> None:
        """See that the file is a recording and ends with a whole line."""
        size = self._file.seek(0, os.SEEK_END)
        if not size:
            return
        self._file.seek(0)
        first = next(read_lines(self._path), None)
        if isinstance(first, BadLine):
            raise CommandError(f"{self._path} is no recording: {first.text}", "name another file")
        self._file.seek(-1, os.SEEK_END)
        if self._file.read(1) != b"\n":
            self._write(b"\n")

    def _write(self, line: bytes) -> None:
        before = self._file.seek(0, os.SEEK_END) if self._regular else 0
        try:
            written = 0
            # A disk that is nearly full takes a part.
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                if self._regular:
                    self._file.truncate(before)
            self._lose(error.strerror or str(error))
