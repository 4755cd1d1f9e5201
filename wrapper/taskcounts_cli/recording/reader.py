"""Reads recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.exits import CommandError
from taskcounts_cli.messages import print_warning
from taskcounts_cli.recording.parser import Interruption, InvalidRecord, parse_line

# No record is longer; a file without ends of lines must not fill the memory.
LONGEST_LINE = 1 << 22


@frozen
class BadLine:
    """A line that is no record.

    Attributes:
        number: Which line it is, from 1.
        text: What is wrong with it.
        torn: Whether it is the file's last line and cut off.
    """

    number: int
    text: str
    torn: bool


def read_lines(path: Path) -> Iterator[Observation | Verdict | BadLine]:
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
                yield BadLine(number, f"line {number} is longer than any record", torn=False)
                while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
            elif line.strip():
                try:
                    yield parse_line(line)
                except Interruption:
                    continue
                except InvalidRecord as error:
                    # A record is written together with its newline: without one, the line isn't whole.
                    yield BadLine(number, f"line {number}: {error}", torn=not whole)


@frozen(kw_only=True)
class Summary:
    """What a recording holds.

    Attributes:
        jobs: Its jobs, in the order in which they appear.
        events: How many observations and verdicts it has.
        broken: How many lines are no records, but for one that was torn off at the end.
    """

    jobs: tuple[str, ...]
    events: int
    broken: int


def summarize(path: Path) -> Summary:
    """Return what a recording holds; what is wrong with it is told on stderr.

    Raises:
        CommandError: It is no recording.
        OSError: It can't be read.
    """
    jobs: dict[str, None] = {}
    events = broken = 0
    for item in read_lines(path):
        if not isinstance(item, BadLine):
            jobs[item.job_id] = None
            events += 1
        elif not events and not item.torn:
            raise CommandError(f"{path} is no recording: {item.text}")
        elif item.torn:
            print_warning(f"{path}: the last line was torn off, and is left out")
        else:
            broken += 1
            print_warning(f"{path}: {item.text}; it is left out")
    if not events:
        raise CommandError(f"{path} holds no observations")
    return Summary(jobs=tuple(jobs), events=events, broken=broken)


def read_events(path: Path, number: int) -> Iterator[Observation | Verdict]:
    """Yield the first so many observations and verdicts of a recording, which may still grow."""
    found = (item for item in read_lines(path) if not isinstance(item, BadLine))
    for _, event in zip(range(number), found, strict=False):
        yield event
