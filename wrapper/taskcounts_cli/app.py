"""The command line as a whole: its commands, its help, and its exit codes."""

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

# The commands, the most useful first, and what they do. Each is the function of that name in the module of
# that name in `commands`, which is loaded when it is called: it must not wait for what others need.
COMMANDS = {
    "get": "Show the task counts of jobs.",
    "wait": "Wait until jobs are done, and print how they ended.",
    "watch": "Show the progress of jobs until each is done.",
    "replay": "Show a recording of watch again.",
    "plot": "Draw a recording of watch as a chart.",
    "completion": "Print a shell's completion script.",
    "demo": "Watch the jobs of an emulator, without an account.",
    "emulate": "Emulate the service until Ctrl-C.",
}


def run(arguments: list[str]) -> int:
    """Run the command line, and return its exit code; errors are printed in one line, without a traceback."""
    code = run_command(arguments)
    for stream in (sys.stdout, sys.stderr):
        flush_or_discard(stream)
    return code


def run_command(arguments: list[str]) -> Exit:
    """Run the command line, and return its exit code."""
    if sys.stdout is None:
        print_error("there is no standard output to write to")
        return Exit.INPUT_OUTPUT
    try:
        return Exit(cli.main(arguments, prog_name="taskcounts", standalone_mode=False) or Exit.OK)
    except (click.Abort, KeyboardInterrupt):
        print_error("interrupted")
        return Exit.INTERRUPTED
    except SystemExit as end:
        # click exits with 1 when the reader of our output has closed it, and with 0 after a completion.
        return Exit.PIPE_CLOSED if end.code else Exit.OK
    except Exception as error:
        code, text, hint = describe_error(error)
        if code is Exit.DEFECT and os.environ.get("TASKCOUNTS_TRACEBACK"):
            raise
        print_error(text, hint)
        return code


def flush_or_discard(stream: TextIO | None) -> None:
    """Flush a stream, or discard what can't be written: the interpreter's own flush would fail on exit."""
    if stream is None:
        return
    try:
        stream.flush()
    except ValueError:
        # The stream is closed.
        return
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Commands(click.Group):
    """The commands of COMMANDS, each loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's.
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's.
        """Return a command by its name, None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"taskcounts_cli.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - see COMMANDS.
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's.
        """Write the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return completions of a command's name or an option, without loading the commands."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - most calls complete nothing.

        found = [
            CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version, and exit."""
    if wanted and not context.resilient_parsing:
        click.echo(f"taskcounts {__version__}")
        context.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
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
    """Show the task counts of Azure Batch jobs, wait until jobs are done, or emulate the service.

    Exit codes: 0 the counts are shown, or the goal of a wait is reached; 1 tasks failed, or the goal can't be
    reached any more; 2 wrong usage; 3 no such job, or none at all; 4 not authenticated; 5 the service failed;
    6 the answer breaks its contract; 70 a defect of taskcounts; 74 input or output failed; 124 out of time;
    125 stalled; 130 interrupted; 141 the reader of the output has closed it.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
