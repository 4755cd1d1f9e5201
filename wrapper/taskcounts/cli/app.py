"""The commands and their options."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
from click.shell_completion import get_completion_class

from taskcounts import SharedKey, TaskCountsClient, TaskCountsError, TokenCredential, __version__
from taskcounts._arguments import check_job_id, check_service_timeout
from taskcounts.cli.outcome import CommandError, Exit, code_and_hint, complain, explain
from taskcounts.cli.output import WRITERS, Writer
from taskcounts.client import DEFAULT_DEADLINE, DEFAULT_TIMEOUT

EMULATOR_MISSING = "the emulator needs more packages"
EMULATOR_HINT = "install taskcounts with its extra 'emulator'"

Command = TypeVar("Command", bound=Callable[..., Any])


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code. No traceback gets out of here."""
    code = run_command(arguments)
    for stream in (sys.stdout, sys.stderr):
        settle(stream)
    return code


def run_command(arguments: list[str]) -> Exit:
    """Run the command line and return its exit code."""
    if sys.stdout is None:
        complain("there is no standard output to write to")
        return Exit.INPUT_OUTPUT
    try:
        return Exit(cli.main(arguments, prog_name="taskcounts", standalone_mode=False) or Exit.OK)
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return Exit.INTERRUPTED
    except SystemExit as end:
        # So click ends when whoever read our output has enough of it; and after completing, with 0.
        return Exit.PIPE_CLOSED if end.code else Exit.OK
    except Exception as error:
        code, text, hint = explain(error)
        if code is Exit.DEFECT and os.environ.get("TASKCOUNTS_TRACEBACK"):
            raise
        complain(text, hint)
        return code


def settle(stream: TextIO | None) -> None:
    """Let go of what can't be written: the interpreter's last flush would spoil the exit code."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="taskcounts", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Ask Azure Batch where jobs stand, or emulate it.

    Exit codes: 0 answered, 2 wrong usage, 3 no such job, 4 not authenticated, 5 the service
    failed, 6 the answer breaks its contract, 70 a defect of taskcounts, 74 input or output
    failed, 124 out of time, 130 interrupted, 141 nobody reads the output any more.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def account_options(command: Command) -> Command:
    """Add the options that name the account and say who is asking."""
    options = [
        click.option(
            "--endpoint", envvar="AZURE_BATCH_ENDPOINT", show_envvar=True, help="The account's URL."
        ),
        click.option("--account", envvar="AZURE_BATCH_ACCOUNT", show_envvar=True, help="The account's name."),
        click.option(
            "--key",
            envvar="AZURE_BATCH_ACCESS_KEY",
            show_envvar=True,
            help="An access key. Others on this machine may see an option: use the variable or a file.",
        ),
        click.option(
            "--key-file",
            type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
            metavar="FILE",
            help="Read the access key from a file, or - for stdin.",
        ),
        click.option(
            "--auth",
            type=click.Choice(["shared-key", "entra"]),
            default="shared-key",
            show_default=True,
            help="Sign with an access key, or use whatever Microsoft Entra identity is at hand.",
        ),
        click.option(
            "--allow-token-over-http",
            is_flag=True,
            help="With --auth entra, take an emulator on this machine without TLS.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command(short_help="Show the task counts of jobs.")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@account_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(list(WRITERS)),
    default="table",
    show_default=True,
    help="Table for people; a JSON array; one JSON object a line; tab-separated values.",
)
@click.option("--strict", is_flag=True, help="Treat contradictory numbers as an error, not a warning.")
@click.option(
    "--service-timeout", type=int, metavar="SECONDS", help="How long the service may work, 1 to 30."
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    default=DEFAULT_TIMEOUT,
    show_default=True,
    help="How long one attempt may take.",
)
@click.option(
    "--deadline",
    type=float,
    metavar="SECONDS",
    default=DEFAULT_DEADLINE,
    show_default=True,
    help="How long a job's attempts and pauses may take together.",
)
@click.option("-v", "--verbose", is_flag=True, help="Report every attempt on stderr.")
def get(
    jobs: tuple[str, ...], output: str, service_timeout: int | None, verbose: bool, **options: Any
) -> Exit:
    """Show how many tasks of each JOB are active, running, completed, succeeded, failed.

    The service counts in the background: the numbers may trail the truth. Jobs are asked for
    one after another. One that can't be counted is reported on stderr and doesn't keep the
    others from being counted; the exit code is the first failure's.
    """
    try:
        # All are looked at before the first is asked for.
        for job in jobs:
            check_job_id(job)
        check_service_timeout(service_timeout)
    except ValueError as error:
        raise CommandError(str(error)) from None
    tell_attempts(verbose)
    first_failure = Exit.OK
    with make_client(**options) as client:
        writer = WRITERS[output]()
        try:
            for job in jobs:
                code = ask(client, job, service_timeout, writer)
                first_failure = first_failure or code
        finally:
            # What was counted before an interruption isn't lost.
            writer.end()
    return first_failure


def ask(client: TaskCountsClient, job: str, service_timeout: int | None, writer: Writer) -> Exit:
    """Hand the counts of a job to the writer, or the error, which is told as well; return its exit code."""
    try:
        snapshot = client.get_job_task_counts(job, service_timeout=service_timeout)
    except TaskCountsError as error:
        code, hint = code_and_hint(error)
        complain(str(error), hint)
        writer.add(error)
        return code
    for doubt in snapshot.inconsistencies:
        complain(f"job {job!r}: {doubt.text}; don't rely on these numbers", word="warning")
    writer.add(snapshot)
    return Exit.OK


def make_client(
    *, endpoint: str | None, account: str | None, key: str | None, key_file: Any, auth: str, **options: Any
) -> TaskCountsClient:
    """Return a client for what the options and the environment say, or say what is missing."""
    if not endpoint:
        raise CommandError("no endpoint is given", "set AZURE_BATCH_ENDPOINT, or pass --endpoint")
    credential: SharedKey | TokenCredential
    try:
        if auth == "entra":
            credential = entra_credential()
        else:
            key = read_key(key_file) if key_file else key
            if not account:
                raise CommandError("no account is given", "set AZURE_BATCH_ACCOUNT, or pass --account")
            if not key:
                raise CommandError(
                    "no access key is given",
                    "set AZURE_BATCH_ACCESS_KEY, pass --key-file, or use --auth entra",
                )
            credential = SharedKey(account, key)
        return TaskCountsClient(endpoint, credential, **options)
    except ValueError as error:
        text = str(error).replace("allow_token_over_http=True", "--allow-token-over-http")
        raise CommandError(text) from None


def read_key(path: Path) -> str:
    """Return what a file holds; ``-`` is standard input."""
    if str(path) != "-":
        return path.read_text(encoding="utf-8", errors="replace")
    if sys.stdin is None:
        raise CommandError("there is no standard input to read the access key from")
    return sys.stdin.read()


def entra_credential() -> TokenCredential:
    """Return azure-identity's choice of what identity is at hand."""
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra.
    except ModuleNotFoundError:
        raise CommandError(
            "--auth entra needs azure-identity", "install taskcounts with its extra 'entra'"
        ) from None
    # It logs every identity that it tries and doesn't find.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    return DefaultAzureCredential()


def tell_attempts(verbose: bool) -> None:
    """Show the client's records on stderr: all of them, or only those of attempts that are repeated."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    if not verbose:
        handler.addFilter(lambda record: getattr(record, "pause", None) is not None)
    logger = logging.getLogger("taskcounts")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


@cli.command(short_help="Emulate the service, until Ctrl-C.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 takes a free one."
)
@click.option("--account", default="emulated", show_default=True, help="The account to be.")
@click.option("--key", metavar="KEY", help="Its access key; by default a new one.")
@click.option(
    "--scenario",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A JSON file of jobs and pools to begin with.",
)
@click.option(
    "--data", type=click.Path(dir_okay=False, path_type=Path), help="Keep the state in a file, not in memory."
)
@click.option(
    "--slots",
    type=click.IntRange(0),
    help="The task slots of each pool that no scenario describes; 16, unless --data says otherwise.",
)
@click.option("--seed", type=int, help="Let all chance come from this number.")
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
        from taskcounts.cli.emulate import serve_emulator  # noqa: PLC0415 - an extra.
    except ImportError as error:
        raise CommandError(EMULATOR_MISSING, EMULATOR_HINT) from error
    serve_emulator(**options)


@cli.command(short_help="Show what needs no account: the emulator, and jobs whose tasks move.")
def demo() -> None:
    """Start the emulator with jobs whose tasks move, and ask for their counts until all are done."""
    try:
        from taskcounts.demo import show  # noqa: PLC0415 - needs the emulator, which is an extra.
    except ImportError as error:
        raise CommandError(EMULATOR_MISSING, EMULATOR_HINT) from error
    show(click.echo)


@cli.command(short_help="Print a shell's completion script.")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in a SHELL: bash, zsh or fish.

    For bash: eval "$(taskcounts completion bash)"
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has all three.
    click.echo(kind(cli, {}, "taskcounts", "_TASKCOUNTS_COMPLETE").source())
