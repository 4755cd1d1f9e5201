"""Reads recordings: files with the JSON object of an event in each line, as `recorder` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.exits import CommandError
from taskcounts_cli.messages import print_warning
from taskcounts_cli.recording.parser import Interruption, InvalidRecord, parse_line

# Bytes. No record is as long; a file without newlines must not fill the memory.
MAX_LINE = 1 << 22


@frozen
class BadLine:
    """A line that records nothing.

    Attributes:
        text: The line's number and what is wrong with it.
        truncated: Whether it is the last line, and cut off.
    """

    text: str
    truncated: bool


def read_lines(path: Path) -> Iterator[Observation | Verdict | BadLine]:
    """Yield the events of a recording in their order, and each line that is invalid.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            whole = line.endswith(b"\n")
            if not whole and len(line) == MAX_LINE:
                yield BadLine(f"line {number} is longer than any record", truncated=False)
                while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
            elif line.strip():
                try:
                    yield parse_line(line)
                except Interruption:
                    continue
                except InvalidRecord as error:
                    # A record is written together with its newline: without one, it was cut off.
                    yield BadLine(f"line {number}: {error}", truncated=not whole)


@frozen(kw_only=True)
class Summary:
    """The contents of a recording.

    Attributes:
        jobs: The job ids, in the order in which they first appear.
        events: The number of observations and verdicts.
        bad_lines: The number of invalid lines, without a last one that is cut off.
    """

    jobs: tuple[str, ...]
    events: int
    bad_lines: int


def summarize(path: Path) -> Summary:
    """Return the contents of a recording, and print a warning for each invalid line.

    Raises:
        CommandError: The file is not a recording.
        OSError: The file can't be read.
    """
    jobs: dict[str, None] = {}
    events = bad_lines = 0
    for item in read_lines(path):
        if not isinstance(item, BadLine):
            jobs[item.job_id] = None
            events += 1
        elif not events and not item.truncated:
            raise CommandError(f"{path} is not a recording: {item.text}")
        elif item.truncated:
            print_warning(f"{path}: the last line is cut off, and is skipped")
        else:
            bad_lines += 1
            print_warning(f"{path}: {item.text}; it is skipped")
    if not events:
        raise CommandError(f"{path} holds no observations")
    return Summary(jobs=tuple(jobs), events=events, bad_lines=bad_lines)


def read_events(path: Path, number: int) -> Iterator[Observation | Verdict]:
    """Yield the first observations and verdicts of a recording, up to a number, since it may still grow."""
    found = (item for item in read_lines(path) if not isinstance(item, BadLine))
    for _, event in zip(range(number), found, strict=False):
        yield event
