"""Options that several commands share, and the values that they amount to.

`account_options` hands its command one value, ``account``: whom to ask, and over what. Nothing here does any
I/O before the command asks for it.
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

from taskcounts.arguments import check_endpoint
from taskcounts.base_client import DEFAULT_TIMEOUT
from taskcounts.credentials import SharedKey
from taskcounts_cli.exits import CommandError

if TYPE_CHECKING:
    from taskcounts.credentials import TokenCredential

Command = TypeVar("Command", bound=Callable[..., Any])
AnyClient = TypeVar("AnyClient")
Checked = TypeVar("Checked")

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


class FilePath(click.Path):
    """The path of a file to be written or read, which has a name."""

    def __init__(self) -> None:
        """Take a path whether or not there is a file."""
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail("the file's name is empty", param, ctx)
        return super().convert(value, param, ctx)


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
        endpoint = check_option("--endpoint", check_endpoint, self.endpoint)
        try:
            if not self._found:
                self._found.append(entra_credential() if self.auth == "entra" else self._shared_key())
            return kind(
                endpoint,
                self._found[0],
                allow_token_over_http=self.allow_token_over_http,
                **options,
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
        return shared_key(self.account, key, "--key-file" if self.key_file else "--key")


def check_option(option: str, check: Callable[[Any], Checked], value: object) -> Checked:
    """Return what a check makes of an option's value; what it refuses is an error that names the option."""
    try:
        return check(value)
    except ValueError as error:
        context = click.get_current_context()
        parameter = next(each for each in context.command.params if option in each.opts)
        raise click.BadParameter(str(error), context, parameter) from None


def shared_key(account: str, key: str, option: str = "--key") -> SharedKey:
    """Return an access key that signs for an account; an error names the option at fault."""
    # With what is a key, only the account can be refused.
    check_option("--account", lambda name: SharedKey(name, "AAAA"), account)
    return check_option(option, lambda text: SharedKey(account, text), key)


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

    return option_group(command, options, "account", make)


service_timeout_option = click.option(
    "--service-timeout",
    type=click.IntRange(1, 30),
    metavar="SECONDS",
    help="How long the service may work on a request, 1 to 30.",
)

attempt_timeout_option = click.option(
    "--attempt-timeout",
    type=Duration(),
    metavar="DURATION",
    default=f"{DEFAULT_TIMEOUT:g}s",
    show_default=True,
    help="How long one attempt at a request may take.",
)

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Report every attempt on stderr.")


def option_group(
    command: Command, options: Sequence[Callable[[Any], Any]], name: str, make: Callable[..., Any]
) -> Command:
    """Add options to a command, which gets them as one value."""

    @functools.wraps(command)
    def whole(**given: Any) -> Any:
        mine = {option: given.pop(option) for option in names}
        return command(**{name: make(**mine)}, **given)

    before = len(getattr(whole, "__click_params__", ()))
    for option in reversed(options):
        whole = option(whole)
    names = [parameter.name for parameter in whole.__click_params__[before:]]  # type: ignore[attr-defined]
    return whole  # type: ignore[return-value]


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


def log_attempts(verbose: bool, *, before: Callable[[], object] = lambda: None) -> None:
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
