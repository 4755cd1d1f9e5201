"""The commands and their options."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import click
from click.shell_completion import get_completion_class

from taskcounts import __version__
from taskcounts.cli.outcome import CommandError, Exit, complain, explain

EMULATOR_MISSING = "the emulator needs more packages"
EMULATOR_HINT = "install taskcounts with its extra 'emulator'"

# Commands in modules of their own, which are loaded when somebody names them: a call of one
# doesn't wait for what another one needs.
LATER = {
    "get": "taskcounts.cli.counting",
    "wait": "taskcounts.cli.waiting",
    "watch": "taskcounts.cli.watch.command",
    "replay": "taskcounts.cli.watch.command",
    "plot": "taskcounts.cli.watch.command",
}


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code. No traceback gets out of here."""
    code = run_command(arguments)
    for stream in (sys.stdout, sys.stderr):
        settle(stream)
    return code


def run_command(arguments: list[str]) -> Exit:
    """Run the command line and return its exit code."""
    if sys.stdout is None:
        complain("there is no standard output to write to")
        return Exit.INPUT_OUTPUT
    try:
        return Exit(cli.main(arguments, prog_name="taskcounts", standalone_mode=False) or Exit.OK)
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return Exit.INTERRUPTED
    except SystemExit as end:
        # So click ends when whoever read our output has enough of it; and after completing, with 0.
        return Exit.PIPE_CLOSED if end.code else Exit.OK
    except Exception as error:
        code, text, hint = explain(error)
        if code is Exit.DEFECT and os.environ.get("TASKCOUNTS_TRACEBACK"):
            raise
        complain(text, hint)
        return code


def settle(stream: TextIO | None) -> None:
    """Let go of what can't be written: the interpreter's last flush would spoil the exit code."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Commands(click.Group):
    """The commands of this module and those of LATER, in the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*LATER, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None if there is none of that name."""
        if cmd_name not in LATER:
            return super().get_command(ctx, cmd_name)
        command = getattr(import_module(LATER[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a module has the commands that it is named for.
        return command


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="taskcounts", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Ask Azure Batch where jobs stand, wait until they are done, or emulate it.

    Exit codes: 0 answered, or what was waited for is so; 1 tasks failed, or it can't become so any
    more; 2 wrong usage, 3 no such job, 4 not authenticated, 5 the service failed, 6 the answer
    breaks its contract, 70 a defect of taskcounts, 74 input or output failed, 124 out of time,
    125 stalled, 130 interrupted, 141 nobody reads the output any more.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command(short_help="Emulate the service, until Ctrl-C.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 takes a free one."
)
@click.option("--account", default="emulated", show_default=True, help="The account to be.")
@click.option("--key", metavar="KEY", help="Its access key; by default a new one.")
@click.option(
    "--scenario",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A JSON file of jobs and pools to begin with.",
)
@click.option(
    "--data", type=click.Path(dir_okay=False, path_type=Path), help="Keep the state in a file, not in memory."
)
@click.option(
    "--slots",
    type=click.IntRange(0),
    help="The task slots of each pool that no scenario describes; 16, unless --data says otherwise.",
)
@click.option("--seed", type=int, help="Let all chance come from this number.")
@click.option(
    "--clock",
    type=click.Choice(["machine", "scripted"]),
    default="machine",
    show_default=True,
    help="Whose time tasks live by; a scripted clock is moved through the admin API.",
)
@click.option("--tls", is_flag=True, help="Serve https, with a certificate authority made for it.")
@click.option("--strict", is_flag=True, help="Refuse every api-version but the one that is emulated.")
def emulate(**options: Any) -> None:
    """Emulate the jobs and tasks of an Azure Batch account until Ctrl-C.

    Prints the endpoint, account and key on stdout, ready to export.
    """
    try:
        from taskcounts.cli.emulate import serve_emulator  # noqa: PLC0415 - an extra.
    except ImportError as error:
        raise CommandError(EMULATOR_MISSING, EMULATOR_HINT) from error
    serve_emulator(**options)


@cli.command(short_help="Show what needs no account: the emulator, and jobs whose tasks move.")
def demo() -> None:
    """Start the emulator with jobs whose tasks move, and ask for their counts until all are done."""
    try:
        from taskcounts.demo import show  # noqa: PLC0415 - needs the emulator, which is an extra.
    except ImportError as error:
        raise CommandError(EMULATOR_MISSING, EMULATOR_HINT) from error
    show(click.echo)


@cli.command(short_help="Print a shell's completion script.")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in a SHELL: bash, zsh or fish.

    For bash: eval "$(taskcounts completion bash)"
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has all three.
    click.echo(kind(cli, {}, "taskcounts", "_TASKCOUNTS_COMPLETE").source())
