"""`make contract`: check an endpoint, or the emulator where none is named, and say what came of it.

Credentials come from the environment: AZURE_BATCH_ACCOUNT with AZURE_BATCH_ACCESS_KEY, or
AZURE_BATCH_TOKEN with a bearer token. An endpoint that is named gets GETs only, at a limited
rate, and a handful of wrong credentials.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import click

from contract.emulated import make_emulator, make_target, socket_engine
from contract.replay import check_steps, read_replay, replay, write_replay
from contract.report import EXAMPLES, MOST_SEED, write_junit
from contract.run import run
from contract.target import Target
from taskcounts import BearerToken, SharedKey
from taskcounts.arguments import check_endpoint, check_job_id, check_token_channel
from taskcounts.net.route import RouteOptions
from taskcounts_rest import contract

# Makes the target of a version, for as long as it is asked.
MakeTarget = Callable[[str], AbstractContextManager[Target]]


@click.command()
@click.option("--endpoint", help="The account's URL; without it, the emulator is started and checked.")
@click.option("--job", help="A job there that stands still during the run.")
@click.option(
    "--api-version",
    type=click.Choice(list(contract.VERSIONS)),
    help="Check this version alone; by default all at the emulator, and the first at an endpoint.",
)
@click.option(
    "--rate", type=click.FloatRange(0.1, 1000), default=5.0, show_default=True, help="Requests a second."
)
@click.option("--examples", type=click.IntRange(1, 10000), default=EXAMPLES, show_default=True)
@click.option("--seed", type=click.IntRange(0, MOST_SEED), help="What the random requests are drawn by.")
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    default="reports/contract.xml",
    show_default=True,
    help="The report for CI; the requests of all findings go to contract-replay.json beside it.",
)
@click.option(
    "--replay",
    "noted",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send the requests of an earlier run's findings again.",
)
def main(
    *,
    endpoint: str | None,
    job: str | None,
    api_version: str | None,
    rate: float,
    examples: int,
    seed: int | None,
    junit: Path,
    noted: Path | None,
) -> None:
    """Check an endpoint against the fragment and the invariants of the counts.

    Exit codes: 0 the contract is kept, 1 it is broken, 2 wrong usage.
    """
    if noted is not None:
        sys.exit(0 if _replay(noted, endpoint, job, rate) else 1)
    make = _maker(endpoint, job, rate)
    if seed is None:
        # In CI each run makes the same requests.
        seed = 0 if os.environ.get("CI") else secrets.randbelow(MOST_SEED + 1)
    default = [contract.API_VERSION] if endpoint else list(contract.VERSIONS)
    reports = []
    for version in [api_version] if api_version else default:
        with make(version) as target:
            reports.append(run(target, examples, seed))
        click.echo(reports[-1].text())
    write_junit(reports, junit)
    write_replay(reports, junit.with_name("contract-replay.json"), named=endpoint is not None)
    kept = sum(report.passed for report in reports)
    if len(reports) > 1:
        click.echo(f"\n{kept} of {len(reports)} versions keep the contract")
    sys.exit(0 if kept == len(reports) else 1)


def _replay(path: Path, endpoint: str | None, job: str | None, rate: float) -> bool:
    """Send the requests of findings again; return whether nothing is wrong any more."""
    passed = True
    with _usage():
        runs = read_replay(path)
    for noted in runs:
        if noted.endpoint and not endpoint:
            # Credentials go only where the caller says, and never where a file does.
            raise click.UsageError(f"{path} is of a run over {noted.endpoint}: name it with ENDPOINT=")
        if job not in (None, noted.job):
            raise click.UsageError(f"{path} is of a run over the job {noted.job}, not {job}")
        with _maker(endpoint, noted.job, rate)(noted.api_version) as target:
            with _usage():
                check_steps(target, noted)
            report, lines = replay(target, noted)
        click.echo("\n".join([f"{target.endpoint}, api-version {noted.api_version}", *lines]))
        passed = passed and report.passed
    click.echo(f"the findings of {path} {'are gone' if passed else 'HOLD'}")
    return passed


def _maker(endpoint: str | None, job: str | None, rate: float) -> MakeTarget:
    """Return what makes the target of a version: the endpoint, or an emulator where none is named."""
    if endpoint is None:
        click.echo("no ENDPOINT is given: checking the emulator", err=True)
        return _emulator
    if job is None:
        raise click.UsageError("an endpoint needs the name of a job there: JOB=job-id")
    with _usage():
        url, job_id, credential = check_endpoint(endpoint), check_job_id(job), _credential()
        if isinstance(credential, BearerToken):
            check_token_channel(url, True, RouteOptions(None, None, trust_env=True))

    key = os.environ.get("AZURE_BATCH_ACCESS_KEY", "")

    @contextmanager
    def named(api_version: str) -> Iterator[Target]:
        with closing(socket_engine(url)) as engine:
            yield Target(
                url, job_id, credential, engine, pause=1 / rate, api_version=api_version, secrets=(key,)
            )

    return named


@contextmanager
def _emulator(api_version: str) -> Iterator[Target]:
    with make_emulator() as emulator:
        target = make_target(emulator, api_version=api_version)
        with closing(target.engine):
            yield target


@contextmanager
def _usage() -> Iterator[None]:
    """Make an error about a value one of wrong usage."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _credential() -> SharedKey | BearerToken:
    token = os.environ.get("AZURE_BATCH_TOKEN")
    if token:
        return BearerToken(token)
    account, key = os.environ.get("AZURE_BATCH_ACCOUNT"), os.environ.get("AZURE_BATCH_ACCESS_KEY")
    if not account or not key:
        raise ValueError(
            "set AZURE_BATCH_ACCOUNT and AZURE_BATCH_ACCESS_KEY, or AZURE_BATCH_TOKEN, in the environment"
        )
    return SharedKey(account, key)


if __name__ == "__main__":
    main(prog_name="python -m contract")
