"""The modules that a call loads: it pays only for what it uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from taskcounts_emulator import Emulator

pytestmark = pytest.mark.slow  # Its tests start interpreters.

# Modules that `get` does not need: loading them would take longer than the call.
HEAVY = ["asyncio", "httpx", "importlib.metadata", "matplotlib", "rich", "subprocess"]
LATER = [
    "taskcounts.many",
    "taskcounts.waiting",
    "taskcounts_cli.notify",
    "taskcounts_cli.session",
    "taskcounts_cli.screen",
    "taskcounts_emulator",
]
# Modules that send requests, and the command that loads them.
ASKING = ["taskcounts.net.sync_engine", "taskcounts.net.transport_engine", "taskcounts_cli.commands.get"]


def loaded(*arguments: str) -> list[str]:
    """Return the modules among these, and all of ours, that a call has loaded."""
    code = (
        "import sys; from taskcounts_cli.app import run; code = run(sys.argv[1:]); assert code == 0, code\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return [name for name in done.stdout.splitlines()[-1].split() if name in {*HEAVY, *LATER, *ASKING}]


def test_unneeded_modules_are_not_loaded(emulator: Emulator) -> None:
    """A call for one job loads no module that only other commands need."""
    asking = ["taskcounts_cli.commands.get", "taskcounts.net.sync_engine"]
    assert loaded("get", "empty") == asking
    assert loaded("get", "empty", "-o", "json") == asking
    assert loaded("get", "-h") == asking[:1]


def test_the_help_of_a_command_loads_no_network() -> None:
    """Help, completion and errors of usage are there before anything that only sends."""
    code = (
        "import sys, taskcounts_cli.commands.get; print(*{'ssl', 'taskcounts.net.base'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == []


def test_waiting_loads_no_other_client(emulator: Emulator) -> None:
    """A wait without notifications loads neither httpx nor the libraries of the live view."""
    emulator.add_job("done", [{"state": "completed", "result": "success"}])
    names = set(loaded("wait", "done"))
    assert not names & {"httpx", "rich", "matplotlib", "taskcounts_cli.screen", "taskcounts_emulator"}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_nothing(argument: str) -> None:
    """The help of all commands loads none of them."""
    assert loaded(argument) == []
