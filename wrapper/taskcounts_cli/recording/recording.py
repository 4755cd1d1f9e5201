"""Recordings: files of observations and verdicts, one JSON object a line, as `records` writes them.

Each line is written at once and as a whole. A line that can't be written (a full disk) is told and taken
back, so that the file stays whole; the watch goes on, and so does the recording as soon as there is room.
What a crash tore off at the end of a file is survived when it is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from attrs import frozen

from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.exits import CommandError, complain
from taskcounts_cli.output.records import NoRecord, read, write

# No record is longer; a file without ends of lines must not fill the memory.
LONGEST_LINE = 1 << 22


class Recorder:
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

    def tick(self) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Close the file, and say again what is missing in it."""
        if self._lost:
            complain(f"{self._path} lacks {self._lost:,} lines that couldn't be written", word="warning")
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
            line = write(event)
        except (ValueError, RecursionError):
            self._lose(f"what the service added to the counts of job {event.job_id!r} can't be written")
        else:
            self._write(line.encode() + b"\n")

    def _lose(self, why: str) -> None:
        if not self._lost:
            complain(f"{self._path}: {why}; the watch goes on", word="warning")
        self._lost += 1

    def _go_on(self) -> None:
        """See that the file is a recording and ends with a whole line."""
        size = self._file.seek(0, os.SEEK_END)
        if not size:
            return
        self._file.seek(0)
        first = next(items(self._path), None)
        if isinstance(first, Problem):
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


@frozen
class Problem:
    """A line that is no record.

    Attributes:
        number: Which line it is, from 1.
        text: What is wrong with it.
        torn: Whether it is the file's last line and cut off.
    """

    number: int
    text: str
    torn: bool


def items(path: Path) -> Iterator[Observation | Verdict | Problem]:
    """Yield what a recording holds, in its order; lines that are no records as problems.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            whole = line.endswith(b"\n")
            if not whole and len(line) == LONGEST_LINE:
                yield Problem(number, f"line {number} is longer than any record", torn=False)
                while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
            elif line.strip():
                try:
                    yield read(line)
                except NoRecord as error:
                    if not _interruption(line):
                        # An end of line is written with its line: without it, the line isn't whole.
                        yield Problem(number, f"line {number}: {error}", torn=not whole)


def _interruption(line: bytes) -> bool:
    """Return whether a line is what machines are told when a session is interrupted: nothing to show."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("type") == "interruption"


@frozen(kw_only=True)
class Survey:
    """What a recording holds.

    Attributes:
        jobs: Its jobs, in the order in which they appear.
        events: How many observations and verdicts it has.
        broken: How many lines are no records, but for one that was torn off at the end.
    """

    jobs: tuple[str, ...]
    events: int
    broken: int


def survey(path: Path) -> Survey:
    """Return what a recording holds; what is wrong with it is told on stderr.

    Raises:
        CommandError: It is no recording.
        OSError: It can't be read.
    """
    jobs: dict[str, None] = {}
    events = broken = 0
    for item in items(path):
        if not isinstance(item, Problem):
            jobs[item.job_id] = None
            events += 1
        elif not events and not item.torn:
            raise CommandError(f"{path} is no recording: {item.text}")
        elif item.torn:
            complain(f"{path}: the last line was torn off, and is left out", word="warning")
        else:
            broken += 1
            complain(f"{path}: {item.text}; it is left out", word="warning")
    if not events:
        raise CommandError(f"{path} holds no observations")
    return Survey(jobs=tuple(jobs), events=events, broken=broken)


def events(path: Path, number: int) -> Iterator[Observation | Verdict]:
    """Yield the first so many observations and verdicts of a recording, which may still grow."""
    found = (item for item in items(path) if not isinstance(item, Problem))
    for _, event in zip(range(number), found, strict=False):
        yield event
