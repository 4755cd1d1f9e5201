"""`make histories`: play histories of jobs against the emulator, and print how the waits for them went."""

from __future__ import annotations

import sys

import click

from histories.run import be_quiet, play, play_all, told


@click.command()
@click.option("--histories", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="That of the first one.")
@click.option(
    "--only", type=click.IntRange(0), help="Play the history of this seed alone, and tell it whole."
)
def main(histories: int, seed: int, only: int | None) -> None:
    """Play histories and judge each verdict.

    Exit codes: 0 all are right, 1 some are wrong, 2 wrong usage.
    """
    if only is None:
        report = play_all(range(seed, seed + histories))
    else:
        be_quiet()
        report = play([only], tell=lambda played, judgement: click.echo(told(played, judgement)))
    click.echo(report.table())
    sys.exit(1 if report.wrong else 0)


if __name__ == "__main__":
    main(prog_name="python -m histories")
