"""Options that several commands share, and the values that they amount to.

Each decorator hands its command one value: ``account`` (whom to ask), ``source`` (for which jobs) or
``wait`` (what to wait for). None of them does any I/O before the command asks for it.
"""

from __future__ import annotations

import functools
import logging
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import field, frozen

from taskcounts import SharedKey, TokenCredential
from taskcounts._arguments import check_service_timeout
from taskcounts._client import DEFAULT_MAX_FAILURES, DEFAULT_TIMEOUT
from taskcounts.cli.jobs import JobSource
from taskcounts.cli.outcome import CommandError

Command = TypeVar("Command", bound=Callable[..., Any])
AnyClient = TypeVar("AnyClient")

_DURATION = re.compile(
    r"(?=[\d.])((?P<d>\d+(\.\d+)?)d)?((?P<h>\d+(\.\d+)?)h)?((?P<m>\d+(\.\d+)?)m)?((?P<s>\d+(\.\d+)?)s?)?",
    re.ASCII,
)
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


if TYPE_CHECKING:
    _Type = click.ParamType[float | None]
else:
    # Older releases of click know no parameters of types.
    _Type = click.ParamType


class Duration(_Type):
    """Seconds, or a text such as ``90s``, ``10m``, ``2h`` or ``1h30m``."""

    name = "duration"

    def __init__(self, *words: str) -> None:
        """Take these words as they are, too: they stand for None."""
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Return the seconds, None for one of the words."""
        if not isinstance(value, str):
            return float(value)
        text = value.strip().lower()
        if text in self._words:
            return None
        found = _DURATION.fullmatch(text)
        seconds = sum(float(found[unit] or 0) * size for unit, size in _UNITS.items()) if found else 0.0
        if not 0 < seconds < math.inf:
            words = "".join(f"{word}, " for word in self._words)
            self.fail(
                f"{value!r} is no duration above 0; give {words}seconds, or 90s, 10m, 2h, 1h30m", param, ctx
            )
        return seconds


@frozen(kw_only=True)
class Account:
    """Whom to ask, as the options and the environment say it."""

    endpoint: str | None
    account: str | None
    key: str | None = field(repr=False)
    key_file: Path | None
    auth: str
    allow_token_over_http: bool
    # Standard input can be read once, and an identity keeps its tokens.
    _found: list[SharedKey | TokenCredential] = field(factory=list, init=False, eq=False, repr=False)

    def client(self, kind: Callable[..., AnyClient], **options: Any) -> AnyClient:
        """Return a client, or raise CommandError that says what is missing.

        Args:
            kind: Which client.
            options: Its keyword arguments but for those that concern the account.
        """
        if not self.endpoint:
            raise CommandError("no endpoint is given", "set AZURE_BATCH_ENDPOINT, or pass --endpoint")
        try:
            if not self._found:
                self._found.append(entra_credential() if self.auth == "entra" else self._shared_key())
            return kind(
                self.endpoint, self._found[0], allow_token_over_http=self.allow_token_over_http, **options
            )
        except ValueError as error:
            text = str(error).replace("allow_token_over_http=True", "--allow-token-over-http")
            raise CommandError(text) from None

    def _shared_key(self) -> SharedKey:
        key = read_key(self.key_file) if self.key_file else self.key
        if not self.account:
            raise CommandError("no account is given", "set AZURE_BATCH_ACCOUNT, or pass --account")
        if not key:
            raise CommandError(
                "no access key is given", "set AZURE_BATCH_ACCESS_KEY, pass --key-file, or use --auth entra"
            )
        return SharedKey(self.account, key)


@frozen(kw_only=True)
class WaitOptions:
    """What to wait for, and within which limits; times in seconds."""

    until: str
    timeout: float
    stall: float
    interval: float | None
    max_failures: int
    fail_fast: bool
    exact_at_end: bool
    empty_is_done: bool
    service_timeout: int | None
    attempt_timeout: float

    def limits(self) -> dict[str, Any]:
        """Return them as the keyword arguments of ``wait_for_job`` that limit the wait as a whole."""
        return {
            "deadline": self.timeout,
            "stall": self.stall,
            "interval": self.interval,
            "max_failures": self.max_failures,
            "fail_fast": self.fail_fast,
            "exact_at_end": self.exact_at_end,
            "empty_is_done": self.empty_is_done,
        }


def account_options(command: Command) -> Command:
    """Add the options that name the account and say who is asking; the command gets ``account``."""
    options = [
        click.option(
            "--endpoint", envvar="AZURE_BATCH_ENDPOINT", show_envvar=True, help="The account's URL."
        ),
        click.option(
            "--account",
            "account_name",
            envvar="AZURE_BATCH_ACCOUNT",
            show_envvar=True,
            help="The account's name.",
        ),
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

    def make(account_name: str | None, **given: Any) -> Account:
        return Account(account=account_name, **given)

    return _bundled(command, options, "account", make)


def job_options(command: Command) -> Command:
    """Add the argument and options that name jobs; the command gets ``source``."""
    options = [
        click.argument("jobs", metavar="[JOB|-]...", nargs=-1),
        click.option("--all", "everything", is_flag=True, help="Take all jobs of the account."),
        click.option(
            "--filter",
            "filter_",
            metavar="TEXT",
            callback=_filter,
            help="With --all: only those that the service's filter takes, "
            "such as \"state eq 'active'\" or \"startswith(id,'nightly')\".",
        ),
    ]

    def make(jobs: tuple[str, ...], everything: bool, filter_: str | None) -> JobSource:
        return JobSource(named=jobs, everything=everything, filter=filter_)

    return _bundled(command, options, "source", make)


def wait_options(command: Command) -> Command:
    """Add the options that say what to wait for; the command gets ``wait``."""
    options = [
        click.option(
            "--for",
            "until",
            metavar="GOAL",
            default="done",
            show_default=True,
            callback=_goal,
            help="What to wait for: done, all-succeeded, any-failed, no-active, percent=N, count>=N "
            "(completed tasks), or another counter: active, running, completed, succeeded, failed, total.",
        ),
        click.option(
            "--timeout",
            type=Duration(),
            metavar="DURATION",
            help="Give up after so long: 90 (seconds), 90s, 10m, 2h, 1h30m. Without it, never.",
        ),
        click.option(
            "--stall", type=Duration(), metavar="DURATION", help="Give up when nothing changes for so long."
        ),
        click.option(
            "--interval",
            type=Duration("auto"),
            metavar="auto|DURATION",
            default="auto",
            show_default=True,
            help="From one question to the next; auto asks more seldom while nothing changes.",
        ),
        click.option(
            "--max-failures",
            type=click.IntRange(1),
            metavar="N",
            default=DEFAULT_MAX_FAILURES,
            show_default=True,
            help="Give up after so many questions in a row without a trustworthy answer.",
        ),
        click.option("--fail-fast", is_flag=True, help="End as soon as a task has failed."),
        click.option(
            "--exact-at-end", is_flag=True, help="List all tasks before a verdict, and let that decide."
        ),
        click.option("--empty-is-done", is_flag=True, help="Take a job without tasks for done."),
        click.option(
            "--attempt-timeout",
            type=Duration(),
            metavar="DURATION",
            default=DEFAULT_TIMEOUT,
            show_default=True,
            help="How long one attempt at a request may take.",
        ),
        service_timeout_option,
    ]

    def make(*, timeout: float | None, stall: float | None, **given: Any) -> WaitOptions:
        return WaitOptions(
            timeout=math.inf if timeout is None else timeout,
            stall=math.inf if stall is None else stall,
            **given,
        )

    return _bundled(command, options, "wait", make)


def _filter(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return a filter that can be asked for; an empty one would take all jobs."""
    if value is not None and not value.strip():
        raise click.BadParameter("the filter is empty", param=parameter)
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("the filter is no text in UTF-8", param=parameter) from None
    return value


def _service_timeout(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
    try:
        return check_service_timeout(value)
    except ValueError as error:
        raise CommandError(str(error)) from None


service_timeout_option = click.option(
    "--service-timeout",
    type=int,
    metavar="SECONDS",
    callback=_service_timeout,
    help="How long the service may work on a request, 1 to 30.",
)

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Report every attempt on stderr.")


def _goal(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return what to wait for, once it is known that it can be waited for."""
    from taskcounts.waiting.goals import COUNTERS, parse_goal  # noqa: PLC0415 - `get` never waits.

    try:
        parse_goal(value)
    except ValueError as error:
        # What a shell leaves of count>=9, having written to a file called =9.
        bare = value.strip().lower() in ("count", *COUNTERS)
        quoting = f"; quote it for the shell: '{value.strip()}>=N'" if bare else ""
        raise click.BadParameter(f"{error}{quoting}", param=parameter) from None
    return value


def _bundled(
    command: Command, options: Sequence[Callable[[Any], Any]], name: str, make: Callable[..., Any]
) -> Command:
    """Add options to a command, which gets them as one value."""

    @functools.wraps(command)
    def bundled(**given: Any) -> Any:
        mine = {option: given.pop(option) for option in names}
        return command(**{name: make(**mine)}, **given)

    before = len(getattr(bundled, "__click_params__", ()))
    for option in reversed(options):
        bundled = option(bundled)
    names = [parameter.name for parameter in bundled.__click_params__[before:]]  # type: ignore[attr-defined]
    return bundled  # type: ignore[return-value]


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


def tell_attempts(verbose: bool, *, before: Callable[[], object] = lambda: None) -> None:
    """Show the client's records on stderr: all of them, or only warnings and attempts that are repeated.

    Args:
        verbose: Whether all of them are shown.
        before: Called before each that is shown.
    """

    def shown(record: logging.LogRecord) -> bool:
        repeated = getattr(record, "pause", None) is not None
        wanted = verbose or repeated or record.levelno >= logging.WARNING
        if wanted:
            before()
        return wanted

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(shown)
    logger = logging.getLogger("taskcounts")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
