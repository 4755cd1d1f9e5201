"""The exit codes of the command line, and the errors and hints that explain them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import IntEnum

import click

from taskcounts.errors import (
    AuthenticationFailed,
    ContractViolation,
    CredentialFailed,
    DeadlineExceeded,
    JobNotFound,
    ServiceUnreachable,
    TaskCountsError,
)


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    UNMET = 1
    USAGE = 2
    NOT_FOUND = 3
    AUTHENTICATION = 4
    SERVICE = 5
    CONTRACT = 6
    DEFECT = 70
    INPUT_OUTPUT = 74
    TIMED_OUT = 124
    STALLED = 125
    INTERRUPTED = 130
    PIPE_CLOSED = 141


# The exit code and hint of an error are those of the first class here that it is an instance of.
_CODES: tuple[tuple[type[TaskCountsError], Exit, str | None], ...] = (
    (
        JobNotFound,
        Exit.NOT_FOUND,
        "the id may be another account's; 'taskcounts get --all' shows this one's jobs",
    ),
    (
        AuthenticationFailed,
        Exit.AUTHENTICATION,
        "account, key and endpoint must belong together, and this machine's clock must be right",
    ),
    (CredentialFailed, Exit.AUTHENTICATION, "sign in with 'az login', or run where a managed identity is"),
    (DeadlineExceeded, Exit.TIMED_OUT, "--timeout gives it more time"),
    (ContractViolation, Exit.CONTRACT, "don't rely on anything in this answer"),
    (
        ServiceUnreachable,
        Exit.SERVICE,
        "is the endpoint right, and is something listening there? --attempt-timeout limits each attempt",
    ),
    (TaskCountsError, Exit.SERVICE, None),
)


class CommandError(click.ClickException):
    """An error that ends a command with Exit.USAGE.

    Attributes:
        message: The reason, in one line.
        hint: What the user might do about it, in one line; None for nothing.
    """

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


def code_and_hint(error: TaskCountsError) -> tuple[Exit, str | None]:
    """Return the exit code of an error, and a hint on what the user might do about it."""
    return next((code, hint) for kind, code, hint in _CODES if isinstance(error, kind))


def describe_error(error: Exception) -> tuple[Exit, str, str | None]:
    """Return exit code, text and hint of an error that ended a command."""
    if isinstance(error, CommandError):
        return Exit.USAGE, error.message, error.hint
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "taskcounts"
        return Exit.USAGE, error.format_message(), f"'{command} --help' shows the options"
    if isinstance(error, click.ClickException):
        return Exit.USAGE, error.format_message(), None
    if isinstance(error, TaskCountsError):
        code, hint = code_and_hint(error)
        return code, str(error), hint
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Exit.INPUT_OUTPUT, f"{where}{error.strerror or error}", None
    text = f"a defect of taskcounts: {type(error).__name__}: {error}"
    return Exit.DEFECT, text, "please report it; TASKCOUNTS_TRACEBACK=1 shows where it is"


@contextlib.contextmanager
def requires_extra(extra: str, feature: str) -> Iterator[None]:
    """Turn the failed import of an optional package into an error that names the extra to install.

    Args:
        extra: The extra of taskcounts that brings the package.
        feature: The beginning of the error's text.

    Raises:
        CommandError: A package is not installed.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "taskcounts").partition(".")[0]
        # A broken installation, of our own modules or of a library's files, is mended by no extra.
        if package.startswith("taskcounts"):
            raise
        package = "azure-identity" if package == "azure" else package
        raise CommandError(
            f"{feature} needs {package}", f"install taskcounts with its extra '{extra}'"
        ) from None
