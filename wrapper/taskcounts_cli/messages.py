"""Messages on stderr, each in one line."""

from __future__ import annotations

import contextlib

import click

from taskcounts.text import one_line


def print_error(text: str, hint: str | None = None) -> None:
    """Write an error, and below it a hint if there is one."""
    print_labelled("error", text)
    if hint:
        print_hint(hint)


def print_warning(text: str) -> None:
    """Write a warning."""
    print_labelled("warning", text)


def print_hint(text: str) -> None:
    """Write advice on the error above."""
    print_labelled("hint", text)


def print_labelled(label: str, text: str) -> None:
    """Write a message behind a bold label and a colon."""
    print_stderr(f"{click.style(label + ':', bold=True)} {one_line(text, 2000)}")


def print_stderr(line: str, *, end: bool = True) -> None:
    """Write a line as it is.

    Args:
        line: The text, without control characters from outside.
        end: Whether a newline follows.
    """
    # A message that can't be written must not cost data that can. ValueError: stderr is closed, as it may be
    # for a thread that outlives its command.
    with contextlib.suppress(OSError, ValueError):
        click.echo(line, err=True, nl=end)
