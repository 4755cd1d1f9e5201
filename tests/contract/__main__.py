"""`make contract`: check an endpoint, or the emulator where none is named, and say what came of it.

Credentials come from the environment: AZURE_BATCH_ACCOUNT with AZURE_BATCH_ACCESS_KEY, or
AZURE_BATCH_TOKEN with a bearer token. An endpoint that is named gets GETs only, at a limited
rate, and a handful of wrong credentials.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import click

from contract.emulated import make_emulator, make_target, socket_engine
from contract.run import EXAMPLES, Report, run
from contract.target import Target
from taskcounts import BearerToken, SharedKey
from taskcounts.arguments import check_endpoint, check_job_id, check_token_channel
from taskcounts.net.route import RouteOptions


@click.command()
@click.option("--endpoint", help="The account's URL; without it, the emulator is started and checked.")
@click.option("--job", help="A job there that stands still during the run.")
@click.option(
    "--rate", type=click.FloatRange(0.1, 1000), default=5.0, show_default=True, help="Requests a second."
)
@click.option("--examples", type=click.IntRange(1, 10000), default=EXAMPLES, show_default=True)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    default="reports/contract.xml",
    show_default=True,
)
def main(endpoint: str | None, job: str | None, rate: float, examples: int, junit: Path) -> None:
    """Check an endpoint against the fragment and the invariants of the counts.

    Exit codes: 0 the contract is kept, 1 it is broken, 2 wrong usage.
    """
    report = _emulator(examples) if endpoint is None else _endpoint(endpoint, job, rate, examples)
    report.write_junit(junit)
    click.echo(report.text())
    sys.exit(0 if report.passed else 1)


def _emulator(examples: int) -> Report:
    click.echo("no ENDPOINT is given: checking the emulator", err=True)
    with make_emulator() as emulator:
        return run(make_target(emulator), examples)


def _endpoint(endpoint: str, job: str | None, rate: float, examples: int) -> Report:
    if job is None:
        raise click.UsageError("an endpoint needs the name of a job there: JOB=job-id")
    try:
        endpoint = check_endpoint(endpoint)
        credential = _credential()
        if isinstance(credential, BearerToken):
            check_token_channel(endpoint, True, RouteOptions(None, None, trust_env=True))
        target = Target(
            endpoint=endpoint,
            job=check_job_id(job),
            credential=credential,
            engine=socket_engine(endpoint),
            pause=1 / rate,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with closing(target.engine):
        return run(target, examples)


def _credential() -> SharedKey | BearerToken:
    token = os.environ.get("AZURE_BATCH_TOKEN")
    if token:
        return BearerToken(token)
    account, key = os.environ.get("AZURE_BATCH_ACCOUNT"), os.environ.get("AZURE_BATCH_ACCESS_KEY")
    if not account or not key:
        raise click.UsageError(
            "set AZURE_BATCH_ACCOUNT and AZURE_BATCH_ACCESS_KEY, or AZURE_BATCH_TOKEN, in the environment"
        )
    return SharedKey(account, key)


if __name__ == "__main__":
    main(prog_name="python -m contract")
