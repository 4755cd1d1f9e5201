"""The command ``taskcounts emulate``; needs the extra ``emulator``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from taskcounts.urls import is_loopback
from taskcounts_cli.exits import CommandError
from taskcounts_cli.input.options import shared_key
from taskcounts_cli.messages import print_warning
from taskcounts_emulator import EmulatedAccount, EmulatorError, serve
from taskcounts_emulator.tls import Authority

# Of each pool that no scenario describes: enough to see something move.
_SLOTS = 16

# Stands for the key that a new account gets.
_ANY_KEY = "AAAA"


def serve_emulator(
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
    strict: bool,
) -> None:
    """Be the service until SIGINT or SIGTERM comes."""

    def ready(endpoint: str) -> None:
        click.echo(f"export AZURE_BATCH_ENDPOINT={endpoint}")
        click.echo(f"export AZURE_BATCH_ACCOUNT={service.account}")
        click.echo(f"export AZURE_BATCH_ACCESS_KEY={service.key}")
        if authority is not None:
            # Az and Microsoft's clients read the one, most others the other first.
            for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
                click.echo(f"export {name}={shlex.quote(str(authority.ca_path))}")
        if not is_loopback(host):
            print_warning(f"whoever reaches {endpoint} can change and stop what is emulated")
        click.echo(f"emulating at {endpoint}; Ctrl-C stops it", err=True)

    shared_key(account, _ANY_KEY if key is None else key)
    authority: Authority | None = None
    # What a file has is gone on with; what one begins with is for a new one.
    begins = data is None or not data.exists() or not data.stat().st_size
    try:
        service = EmulatedAccount(
            account,
            key,
            store=data or ":memory:",
            strict=strict,
            scripted=clock == "scripted",
            seed=seed,
            slots=_SLOTS if slots is None and begins else slots,
        )
        try:
            if scenario is not None and begins:
                load(service, scenario)
            elif scenario is not None:
                print_warning(f"{data} goes on from where it was; {scenario} is left out")
            if tls:
                authority = Authority([host])
            serve(service, host=host, port=port, tls=authority, ready=ready)
        finally:
            if authority is not None:
                authority.close()
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
