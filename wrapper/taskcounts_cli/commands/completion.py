"""The command ``taskcounts completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in a SHELL: bash, zsh or fish.

    For bash: eval "$(taskcounts completion bash)"
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has all three.
    click.echo(kind(context.find_root().command, {}, "taskcounts", "_TASKCOUNTS_COMPLETE").source())
