"""Messages on stderr, each in one line."""

from __future__ import annotations

import contextlib

import click

from taskcounts.text import one_line


def complain(text: str, hint: str | None = None, word: str = "error") -> None:
    """Write one line, and a second one with a hint, to stderr."""
    say(f"{click.style(word + ':', bold=True)} {one_line(text, 2000)}")
    if hint:
        advise(hint)


def advise(hint: str) -> None:
    """Write one line with a hint to stderr."""
    say(f"{click.style('hint:', bold=True)} {one_line(hint, 2000)}")


def say(line: str, *, end: bool = True) -> None:
    """Write a line to stderr, or one that isn't at its end."""
    # Talk that can't be written must not cost data that can. A ValueError says that stderr is closed, as it
    # may be for a thread that outlives what it talks about.
    with contextlib.suppress(OSError, ValueError):
        click.echo(line, err=True, nl=end)
