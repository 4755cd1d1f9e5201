"""The commands ``taskcounts demo`` and ``emulate``: what needs no account, but the extra ``emulator``."""

from __future__ import annotations

from typing import Any

import click

from taskcounts_cli.exits import CommandError
from taskcounts_cli.input.options import FilePath

# What the emulator allows a pool; it isn't loaded before it is run.
MAX_SLOTS = 2_560_000

EMULATOR_MISSING = "the emulator needs more packages"
EMULATOR_HINT = "install taskcounts with its extra 'emulator'"


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 takes a free one."
)
@click.option("--account", default="emulated", show_default=True, help="The account to be.")
@click.option("--key", metavar="KEY", help="Its access key; by default a new one.")
@click.option(
    "--scenario",
    type=FilePath(),
    help="A JSON file of jobs and pools to begin with.",
)
@click.option("--data", type=FilePath(), help="Keep the state in a file, not in memory.")
@click.option(
    "--slots",
    type=click.IntRange(0, MAX_SLOTS),
    help="The task slots of each pool that no scenario describes; 16, unless --data says otherwise.",
)
@click.option(
    "--seed",
    type=click.IntRange(-(2**63), 2**63 - 1),
    metavar="N",
    help="Let all chance come from this number.",
)
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
        from taskcounts_cli.commands.emulate import serve_emulator  # noqa: PLC0415 - an extra.
    except ImportError as error:
        raise CommandError(EMULATOR_MISSING, EMULATOR_HINT) from error
    serve_emulator(**options)


@click.command
def demo() -> None:
    """Start the emulator with jobs whose tasks move, and ask for their counts until all are done."""
    try:
        from taskcounts_cli.commands.demo import show  # noqa: PLC0415 - needs the emulator, which is an extra.
    except ImportError as error:
        raise CommandError(EMULATOR_MISSING, EMULATOR_HINT) from error
    show(click.echo)
