"""`make bench`: run clients side by side, and tell what they cost."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import chart, check, environments, report
from benchmarks.goals import checked, chosen
from benchmarks.rows import BLOCKS, Row
from benchmarks.run import Runner, Taken, cores
from benchmarks.server import Responder, build

PROJECT = Path(__file__).parents[2]
ROUNDS, QUICK_ROUNDS = 7, 3
# From here on it is worth a word what others took of the cores' time.
BUSY = 0.05


def tell(line: str) -> None:
    """Tell how far it is, where it isn't in the way of figures."""
    click.echo(f"bench: {line}", err=True)


def processor() -> str:
    """Return what the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0]}, {len(named)} cores" if named else platform.machine()


def commit() -> str:
    """Return what was measured, in git's words; the reference, which one form just made, is no part of it."""

    def git(*words: str) -> str:
        ran = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603, S607
        return ran.stdout.strip()

    described = git("describe", "--always")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!*{check.REFERENCE.name}")
    return described + "-dirty" * bool(changed) if described else "an unknown commit"


def made(rows: Sequence[Row], rounds: int, command: str, disturbance: float) -> dict[str, Any]:
    """Return how the figures came about."""
    found = {name: environments.packages(name) for name in sorted({row.environment for row in rows})}
    named = [
        f"{package} {found[environment][package]}"
        for environment, packages in environments.NAMED.items()
        for package in packages
        if environment in found
    ]
    return {
        "command": command,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "rounds": rounds,
        "disturbance": round(disturbance, 3),
        "cpu": processor(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "versions": ", ".join(named),
        "packages": {
            name: ", ".join(f"{package} {version}" for package, version in packages.items())
            for name, packages in found.items()
        },
    }


def judge(runner: Runner, rows: Sequence[Row], taken: Taken, form: str, rounds: int) -> list[str]:
    """Return a line for each ratio that got worse; what looks so is measured again before it is believed."""
    reference, disturbance = check.load(form)
    formulas = checked(rows)
    now = check.ratios(formulas, taken.samples)
    suspected = check.culprits(now, reference, max(disturbance, taken.disturbance))
    if suspected:
        tell(f"measuring again what looks worse: {', '.join(suspected)}")
        again = check.suspects(suspected, formulas)
        second = runner.rounds([row for row in rows if row.key in again], 2 * rounds, tell)
        now |= check.ratios({name: formulas[name] for name in suspected}, second.samples)
        disturbance = max(disturbance, second.disturbance)
        suspected = [name for name in check.culprits(now, reference, disturbance) if name in suspected]
    return [f"worse: {check.told(name, now[name], reference[name], disturbance)}" for name in suspected]


@click.command()
@click.argument("patterns", nargs=-1, metavar="[BLOCK | BLOCK/ROW]...")
@click.option("--quick", is_flag=True, help="Fewer rows and rounds: under two minutes.")
@click.option(
    "--rounds", type=click.IntRange(min=1), help=f"How many; {ROUNDS}, or {QUICK_ROUNDS} with --quick."
)
@click.option(
    "--check", "checks", is_flag=True, help="Fail where a ratio of ours is worse than the reference's."
)
@click.option("--record", is_flag=True, help="Make this run the reference.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=PROJECT / "reports" / "bench", help="Where to write."
)
def main(
    patterns: tuple[str, ...], *, quick: bool, rounds: int | None, checks: bool, record: bool, output: Path
) -> None:
    """Run all rows, or those that patterns describe, such as `sync` or `asyncio/ours*`.

    What they are compared with runs as well.
    Exit codes: 0 all is well, 1 something failed or got worse, 2 wrong usage.
    """
    form = "quick" if quick else "full"
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    try:
        rows = chosen(patterns, quick=quick)
        if checks:
            check.load(form)
        problems = run(rows, rounds, form, checks=checks, record=record, output=output)
    except (RuntimeError, ValueError, OSError) as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(2 if isinstance(error, ValueError) else 1)
    for line in problems:
        click.echo(f"bench: {line}", err=True)
    sys.exit(1 if problems else 0)


def run(rows: list[Row], rounds: int, form: str, *, checks: bool, record: bool, output: Path) -> list[str]:
    """Measure, write and print; return what is wrong, a line each."""
    client_core, server_core = cores()
    if client_core is None:
        tell("only one core: the server takes its time on the clients', and wall times say nothing")
    for environment in {row.environment for row in rows}:
        environments.python(environment)
    encrypted = {block.name for block in BLOCKS if block.tls}
    with tempfile.TemporaryDirectory(prefix="taskcounts-bench-") as name:
        folder = Path(name)
        program, tls = build(folder)
        if not tls and any(row.block in encrypted for row in rows):
            tell("no rows over TLS: OpenSSL's headers are missing; install libssl-dev or openssl-devel")
            rows = [row for row in rows if row.block not in encrypted]
        with Responder(program, folder, BLOCKS, tls=tls, core=server_core) as responder:
            runner = Runner(responder, folder, (client_core, server_core))
            taken = runner.rounds(rows, rounds, tell)
            problems = judge(runner, rows, taken, form, rounds) if checks else []
    command = f"make bench{' QUICK=1' if form == 'quick' else ''}"
    how = made(rows, rounds, command, taken.disturbance)
    if taken.disturbance > BUSY:
        tell(f"others took {taken.disturbance:.0%} of the cores' time: the figures are too large, and noisy")
    text = report.markdown(rows, taken.samples, how, taken.failures)
    output.mkdir(parents=True, exist_ok=True)
    (output / "bench.md").write_text(text, encoding="utf-8")
    told = report.document(rows, taken.samples, how, taken.failures)
    (output / "bench.json").write_text(
        json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    drawn = chart.draw(output / "bench.svg", rows, taken.samples)
    click.echo(text)
    if record:
        check.save(form, check.ratios(checked(rows), taken.samples), how)
    tell(f"written to {os.path.relpath(output)}: bench.md, bench.json{', bench.svg' if drawn else ''}")
    return [f"{key}: {why}" for key, why in taken.failures.items()] + problems


if __name__ == "__main__":
    main()
