"""The command line as a whole: its commands, and how it ends."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, TextIO

import click

from taskcounts import __version__
from taskcounts_cli.exits import Exit, describe_error
from taskcounts_cli.messages import print_error

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# The commands, in the order in which people need them: the module of each, which is loaded when somebody
# names it, and what it does. A call of one doesn't wait for what another one needs.
COMMANDS = {
    "get": ("get", "Show the task counts of jobs."),
    "wait": ("wait", "Wait until jobs are done, and say how they ended."),
    "watch": ("watch", "Show jobs as they move, until each has its verdict."),
    "replay": ("replay", "Show a recording of watch again."),
    "plot": ("plot", "Draw a recording of watch."),
    "completion": ("completion", "Print a shell's completion script."),
    "demo": ("offline", "Show what needs no account: the emulator, and jobs whose tasks move."),
    "emulate": ("offline", "Emulate the service, until Ctrl-C."),
}


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code. No traceback gets out of here."""
    code = run_command(arguments)
    for stream in (sys.stdout, sys.stderr):
        flush_or_discard(stream)
    return code


def run_command(arguments: list[str]) -> Exit:
    """Run the command line and return its exit code."""
    if sys.stdout is None:
        print_error("there is no standard output to write to")
        return Exit.INPUT_OUTPUT
    try:
        return Exit(cli.main(arguments, prog_name="taskcounts", standalone_mode=False) or Exit.OK)
    except (click.Abort, KeyboardInterrupt):
        print_error("interrupted")
        return Exit.INTERRUPTED
    except SystemExit as end:
        # So click ends when whoever read our output has enough of it; and after completing, with 0.
        return Exit.PIPE_CLOSED if end.code else Exit.OK
    except Exception as error:
        code, text, hint = describe_error(error)
        if code is Exit.DEFECT and os.environ.get("TASKCOUNTS_TRACEBACK"):
            raise
        print_error(text, hint)
        return code


def flush_or_discard(stream: TextIO | None) -> None:
    """Let go of what can't be written: the interpreter's last flush would spoil the exit code."""
    if stream is None:
        return
    try:
        stream.flush()
    except ValueError:
        # It is closed.
        return
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Commands(click.Group):
    """The commands of COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's.
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's.
        """Return a command, None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"taskcounts_cli.commands.{COMMANDS[cmd_name][0]}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a module has the commands that it is named for.
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's.
        """Write what each command does, without loading it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what completes a command's name or an option, without loading any command."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - most calls complete nothing.

        found = [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Tell the version, and end."""
    if wanted and not context.resilient_parsing:
        click.echo(f"taskcounts {__version__}")
        context.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version, and exit.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """Ask Azure Batch where jobs stand, wait until they are done, or emulate it.

    Exit codes: 0 answered, or what was waited for is so; 1 tasks failed, or it can't become so any
    more; 2 wrong usage, 3 no such job or none at all, 4 not authenticated, 5 the service failed, 6 the
    answer breaks its contract, 70 a defect of taskcounts, 74 input or output failed, 124 out of
    time, 125 stalled, 130 interrupted, 141 nobody reads the output any more.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
