"""What is loaded for whom, and which module knows which: a call pays for what it uses."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import taskcounts.cli
from taskcounts.emulator import Emulator

CLI = Path(taskcounts.cli.__file__).parent

# What one call of `get` doesn't need: it would take longer to load than the call takes.
HEAVY = ["asyncio", "httpx", "importlib.metadata", "matplotlib", "rich", "subprocess"]
LATER = ["cli.notify", "cli.session", "cli.watch", "emulator", "many", "waiting"]
# What is loaded to ask, and by which of our modules.
ASKING = ["cli.counting", "net.engine", "net.transport_engine"]


def loaded(*arguments: str) -> list[str]:
    """Return which of these modules, and of ours all, are there after a call."""
    code = (
        "import sys; from taskcounts.cli.app import run; code = run(sys.argv[1:]); assert code == 0, code\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    ours = {f"taskcounts.{name}" for name in (*LATER, *ASKING)}
    return [name for name in done.stdout.splitlines()[-1].split() if name in {*HEAVY, *ours}]


def test_what_is_not_needed_is_not_loaded(emulator: Emulator) -> None:
    """Nobody who asks once waits for what waiting, watching, plotting or many jobs need."""
    asking = ["taskcounts.cli.counting", "taskcounts.net.engine"]
    assert loaded("get", "empty") == asking
    assert loaded("get", "empty", "-o", "json") == asking
    assert loaded("get", "-h") == asking[:1]


def test_waiting_loads_no_other_client(emulator: Emulator) -> None:
    """Who waits, and notifies nobody, waits neither for httpx nor for what only a view is drawn with."""
    emulator.add_job("done", [{"state": "completed", "result": "success"}])
    names = set(loaded("wait", "done"))
    assert not names & {"httpx", "rich", "matplotlib", "taskcounts.cli.watch", "taskcounts.emulator"}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_nothing(argument: str) -> None:
    """The help of all commands loads none of them."""
    assert loaded(argument) == []


def test_watching_builds_on_the_rest() -> None:
    """What all commands share knows nothing of the watch, nor of other commands."""
    commands = {"waiting", "counting", "offline", "completing", "watch"}
    for path in CLI.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("taskcounts.cli"):
                names = {*(node.module or "").split(".")[2:3], *(alias.name for alias in node.names)}
                assert not names & commands, (path.name, node.module)
