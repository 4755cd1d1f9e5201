"""The command ``taskcounts emulate``, which needs the extra ``emulator``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taskcounts.urls import is_loopback
from taskcounts_cli.exits import CommandError, requires_extra
from taskcounts_cli.input.options import FilePath, shared_key
from taskcounts_cli.messages import print_stderr, print_warning

if TYPE_CHECKING:
    from taskcounts_emulator import EmulatedAccount
    from taskcounts_emulator.tls import Authority

# The emulator's own limit for a pool, repeated since the help must not load the emulator.
MAX_SLOTS = 2_560_000

# Task slots of a pool that no scenario describes: enough to see tasks move.
_DEFAULT_SLOTS = 16

# A valid key, to check the account's name by itself.
_ANY_KEY = "AAAA"


@click.command
@click.option("--host", default="127.0.0.1", help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; 0 takes a free one.")
@click.option("--account", default="emulated", help="The name of the account.")
@click.option("--key", metavar="KEY", help="The account's access key; a new one by default.")
@click.option("--scenario", type=FilePath(), help="A JSON file with the jobs and pools to start with.")
@click.option("--data", type=FilePath(), help="Keep the state in this file instead of in memory.")
@click.option(
    "--slots",
    type=click.IntRange(0, MAX_SLOTS),
    help="The task slots of each pool that no scenario describes; 16, or as the file of --data has it.",
)
@click.option(
    "--seed",
    type=click.IntRange(-(2**63), 2**63 - 1),
    metavar="N",
    help="The seed of all random choices, to repeat a run.",
)
@click.option(
    "--clock",
    type=click.Choice(["machine", "scripted"]),
    default="machine",
    help="The clock that tasks run by; the scripted one is moved through the admin API.",
)
@click.option("--tls", is_flag=True, help="Serve https, with a new certificate authority.")
def emulate(
    *,
    host: str,
    port: int,
    account: str,
    key: str | None,
    scenario: Path | None,
    data: Path | None,
    slots: int | None,
    seed: int | None,
    clock: str,
    tls: bool,
) -> None:
    """Emulate the jobs and tasks of an Azure Batch account until Ctrl-C.

    Prints the endpoint, account and key on stdout, ready to export.
    """
    with requires_extra("emulator", "the emulator"):
        from taskcounts_emulator import EmulatedAccount, EmulatorError, serve  # noqa: PLC0415 - an extra.
        from taskcounts_emulator.tls import Authority  # noqa: PLC0415 - an extra.

    def print_exports(endpoint: str) -> None:
        click.echo(f"export AZURE_BATCH_ENDPOINT={endpoint}")
        click.echo(f"export AZURE_BATCH_ACCOUNT={service.account}")
        click.echo(f"export AZURE_BATCH_ACCESS_KEY={service.key}")
        if authority is not None:
            # az and Microsoft's clients read the first variable, most other programs the second.
            for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
                click.echo(f"export {name}={shlex.quote(str(authority.ca_path))}")
        if not is_loopback(host):
            print_warning(f"anybody who reaches {endpoint} can change and stop the emulator")
        print_stderr(f"emulating at {endpoint}; Ctrl-C stops it")

    shared_key(account, _ANY_KEY if key is None else key)
    authority: Authority | None = None
    # Settings stored in the file win; defaults apply to new files only.
    new = data is None or not data.exists() or not data.stat().st_size
    try:
        service = EmulatedAccount(
            account,
            key,
            store=data or ":memory:",
            scripted=clock == "scripted",
            seed=seed,
            slots=_DEFAULT_SLOTS if slots is None and new else slots,
        )
        try:
            if scenario is not None and new:
                _load(service, scenario)
            elif scenario is not None:
                print_warning(f"{data} already holds jobs, so {scenario} is ignored")
            if tls:
                authority = Authority([host])
            serve(service, host=host, port=port, tls=authority, ready=print_exports)
        finally:
            if authority is not None:
                authority.close()
            service.close()
    except EmulatorError as error:
        raise CommandError(str(error)) from None
    print_stderr("stopped")


def _load(service: EmulatedAccount, scenario: Path) -> None:
    from taskcounts_emulator import EmulatorError  # noqa: PLC0415 - an extra.

    try:
        service.load(scenario.read_bytes())
    except EmulatorError as error:
        raise CommandError(f"{scenario}: {error}") from None
