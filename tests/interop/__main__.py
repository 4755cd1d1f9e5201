"""`make interop`: run Microsoft's clients against the emulator, and print which operations work."""

from __future__ import annotations

import sys

import click

from interop.run import CLIENTS, run, table


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([client.name for client in CLIENTS]))
@click.option("--verbose", is_flag=True, help="Print what each operation saw.")
def main(names: tuple[str, ...], *, verbose: bool) -> None:
    """Run all clients, or those that are named.

    Exit codes: 0 all is well, 1 something failed, 2 wrong usage.
    """
    outcomes = []
    for client in CLIENTS:
        if names and client.name not in names:
            continue
        click.echo(f"{client.name} ...", err=True)
        try:
            outcomes.append(run(client))
        except FileNotFoundError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)
    if verbose:
        for outcome in outcomes:
            for name, result in outcome.results.items():
                click.echo(f"{outcome.client.name}: {name}: {result.saw}")
            click.echo(outcome.log)
    click.echo(table(outcomes))
    sys.exit(1 if any(outcome.failures for outcome in outcomes) else 0)


if __name__ == "__main__":
    main()
