"""The command ``taskcounts emulate``; needs the extra ``emulator``."""

from __future__ import annotations

from pathlib import Path

import click

from taskcounts._connection import is_loopback
from taskcounts.cli.outcome import CommandError, complain
from taskcounts.emulator import EmulatedAccount, EmulatorError, serve


def serve_emulator(
    *,
    host: str,
    port: int,
    account: str,
    key: str | None,
    scenario: Path | None,
    data: Path | None,
    strict: bool,
) -> None:
    """Be the service until SIGINT or SIGTERM comes."""

    def ready(endpoint: str) -> None:
        click.echo(f"export AZURE_BATCH_ENDPOINT={endpoint}")
        click.echo(f"export AZURE_BATCH_ACCOUNT={service.account}")
        click.echo(f"export AZURE_BATCH_ACCESS_KEY={service.key}")
        if not is_loopback(host):
            complain(f"whoever reaches {endpoint} can change and stop what is emulated", word="warning")
        click.echo(f"emulating at {endpoint}; Ctrl-C stops it", err=True)

    try:
        service = EmulatedAccount(account, key, store=data or ":memory:", strict=strict)
        try:
            if scenario is not None:
                load(service, scenario)
            serve(service, host=host, port=port, ready=ready)
        finally:
            service.close()
    except EmulatorError as error:
        raise CommandError(str(error)) from None
    click.echo("stopped", err=True)


def load(service: EmulatedAccount, scenario: Path) -> None:
    """Add the jobs of a scenario file."""
    try:
        service.load(scenario.read_bytes())
    except EmulatorError as error:
        raise CommandError(f"{scenario}: {error}") from None
