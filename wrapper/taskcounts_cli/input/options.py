"""Options that several commands share.

`account_options` gives its command one value, ``account``. Nothing here does any I/O before the command uses
that value.
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
from taskcounts.base_client import API_VERSIONS, DEFAULT_API_VERSION, DEFAULT_TIMEOUT, VERSION_VARIABLE
from taskcounts.credentials import SharedKey
from taskcounts_cli.exits import CommandError, requires_extra

if TYPE_CHECKING:
    from taskcounts.credentials import TokenCredential

    _DurationType = click.ParamType[float | None]
else:
    # Older releases of click have no generic parameter types.
    _DurationType = click.ParamType

Command = TypeVar("Command", bound=Callable[..., Any])
AnyClient = TypeVar("AnyClient")
Checked = TypeVar("Checked")

# Seconds in each unit, in the order in which a duration has them.
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(
    r"(?=[\d.])" + "".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in "dhm") + r"(?:(\d+(?:\.\d+)?)s?)?",
    re.ASCII,
)


class Duration(_DurationType):
    """A duration in seconds, or a text such as ``90s``, ``10m``, ``2h`` or ``1h30m``."""

    name = "duration"

    def __init__(self, *words: str) -> None:
        """Take the words that stand for None."""
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Return the seconds, or None for one of the words."""
        if not isinstance(value, str):
            return float(value)
        text = value.strip().lower()
        if text in self._words:
            return None
        found = _DURATION.fullmatch(text)
        numbers = found.groups() if found else ()
        seconds = sum(
            float(number or 0) * unit for number, unit in zip(numbers, _UNITS.values(), strict=False)
        )
        if not 0 < seconds < math.inf:
            words = "".join(f"{word}, " for word in self._words)
            self.fail(
                f"{value!r} is not a duration above 0; give {words}seconds, or 90s, 10m, 2h, 1h30m",
                param,
                ctx,
            )
        return seconds


class FilePath(click.Path):
    """The path of a file, whether or not the file exists."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; an empty one, which click would take for the current folder, is refused."""
        if value == "":
            self.fail("the file's name is empty", param, ctx)
        return super().convert(value, param, ctx)


recording_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@frozen(kw_only=True)
class Account:
    """The account and the credential, as the options and the environment name them."""

    endpoint: str | None
    account: str | None
    key: str | None = field(repr=False)
    key_file: Path | None
    auth: str
    allow_token_over_http: bool
    api_version: str
    # Kept, since standard input can be read only once, and a token credential caches its tokens.
    _credentials: list[SharedKey | TokenCredential] = field(factory=list, init=False, eq=False, repr=False)

    def client(self, kind: Callable[..., AnyClient], **options: Any) -> AnyClient:
        """Return a client for the account.

        Args:
            kind: The class of the client.
            options: Its keyword arguments, apart from those that concern the account.

        Raises:
            CommandError: An option is missing or invalid; the error names it.
        """
        if not self.endpoint:
            raise CommandError("no endpoint is given", "set AZURE_BATCH_ENDPOINT, or pass --endpoint")
        endpoint = check_option("--endpoint", check_endpoint, self.endpoint)
        try:
            if not self._credentials:
                self._credentials.append(entra_credential() if self.auth == "entra" else self._shared_key())
            return kind(
                endpoint,
                self._credentials[0],
                allow_token_over_http=self.allow_token_over_http,
                api_version=self.api_version,
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
    """Return the result of a check of an option's value.

    Raises:
        BadParameter: The check raised ValueError; the error names the option.
    """
    try:
        return check(value)
    except ValueError as error:
        context = click.get_current_context()
        parameter = next(each for each in context.command.params if option in each.opts)
        raise click.BadParameter(str(error), context, parameter) from None


def shared_key(account: str, key: str, option: str = "--key") -> SharedKey:
    """Return the credential of an account and its key.

    Args:
        account: The account's name.
        key: The access key.
        option: The option that gave the key, for errors.
    """
    # With a valid key, only the account's name can be refused.
    check_option("--account", lambda name: SharedKey(name, "AAAA"), account)
    return check_option(option, lambda text: SharedKey(account, text), key)


def account_options(command: Command) -> Command:
    """Add the options of the account and its credential; the command gets them as ``account``."""
    options = [
        click.option(
            "--endpoint", envvar="AZURE_BATCH_ENDPOINT", show_envvar=True, help="The account's URL."
        ),
        click.option("--account", envvar="AZURE_BATCH_ACCOUNT", show_envvar=True, help="The account's name."),
        click.option(
            "--key",
            envvar="AZURE_BATCH_ACCESS_KEY",
            show_envvar=True,
            help="An access key. Other users of this machine can see it: use the variable or a file.",
        ),
        click.option(
            "--key-file",
            type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
            help="Read the access key from a file, or - for standard input.",
        ),
        click.option(
            "--auth",
            type=click.Choice(["shared-key", "entra"]),
            default="shared-key",
            help="Sign with an access key, or use the Microsoft Entra identity that azure-identity finds.",
        ),
        click.option(
            "--allow-token-over-http",
            is_flag=True,
            help="With --auth entra: allow http to an emulator on this machine.",
        ),
        click.option(
            "--api-version",
            type=click.Choice(API_VERSIONS),
            envvar=VERSION_VARIABLE,
            show_envvar=True,
            default=DEFAULT_API_VERSION,
            help="The version of the service's interface that requests name.",
        ),
    ]
    return option_group(command, options, "account", Account)


service_timeout_option = click.option(
    "--service-timeout",
    type=click.IntRange(1, 30),
    metavar="SECONDS",
    help="The time that the service may take for a request, 1 to 30.",
)

attempt_timeout_option = click.option(
    "--attempt-timeout",
    type=Duration(),
    default=f"{DEFAULT_TIMEOUT:g}s",
    help="The time that one attempt at a request may take.",
)

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log every attempt on stderr.")


def option_group(
    command: Command, options: Sequence[Callable[[Any], Any]], name: str, make: Callable[..., Any]
) -> Command:
    """Add options to a command, which gets their values as one argument.

    Args:
        command: The command's function.
        options: The decorators of the options, in the order of the help.
        name: The name of the argument.
        make: Builds the argument from the options' values, by name.
    """

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
    """Return the content of a file, or of standard input for ``-``."""
    if str(path) != "-":
        return path.read_text(encoding="utf-8", errors="replace")
    if sys.stdin is None:
        raise CommandError("there is no standard input to read the access key from")
    return sys.stdin.read()


def entra_credential() -> TokenCredential:
    """Return the credential of azure-identity that tries all identities of this machine."""
    with requires_extra("entra", "--auth entra"):
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra.

    # It logs every identity that it tries in vain.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    return DefaultAzureCredential()


def log_attempts(verbose: bool, *, before: Callable[[], object] = lambda: None) -> None:
    """Write the client's log records to stderr.

    Args:
        verbose: Whether all attempts are logged, or only warnings and attempts that are retried.
        before: Called before each record that is written.
    """

    def wanted(record: logging.LogRecord) -> bool:
        retried = getattr(record, "pause", None) is not None
        if not (verbose or retried or record.levelno >= logging.WARNING):
            return False
        before()
        return True

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(wanted)
    logger = logging.getLogger("taskcounts")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
