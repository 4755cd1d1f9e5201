"""The command line, run in this process or in one of its own."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


# Runs the command line with arguments, and with the text of standard input as `stdin`.
RunCommand = Callable[..., CommandResult]


class FakeTerminal(io.StringIO):
    """A stream in memory that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
    """Start the command line in a process that gets Ctrl-C."""
    # A background process of a shell ignores SIGINT, and its children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # noqa: S603
            [sys.executable, "-m", "taskcounts", *arguments],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
        )
    finally:
        signal.signal(signal.SIGINT, before)


def start_shell(arguments: str, before: str = "") -> subprocess.Popen[str]:
    """Start the command line in a shell, with redirections and further commands."""
    exec_ = "" if "&&" in arguments else "exec "
    command = f"{before} {exec_}{sys.executable} -m taskcounts {arguments}"
    return subprocess.Popen(  # noqa: S602
        command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a change that another process makes."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
