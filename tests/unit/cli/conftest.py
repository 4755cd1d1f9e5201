"""Fixtures of the command line's tests: an emulator, and the command line."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.command_line import CommandResult, RunCommand
from taskcounts_cli.app import run
from taskcounts_emulator import Emulator

JOBS = {
    "nightly-render": [
        {"count": 5},
        {"count": 7, "state": "running", "requiredSlots": 2},
        {"count": 2, "state": "completed", "result": "success"},
        {"count": 2, "state": "completed", "result": "failure"},
    ],
    "empty": [],
}


@pytest.fixture(autouse=True)
def _loops_are_traced_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace event loops like threads of their own, so that the coverage of their callers is measured.

    When an awaited coroutine swallows a cancellation, as each connection of anyio does, Python 3.11 tells a
    trace function that its caller returns, but not that it went on. Coverage then takes frames that are still
    running for ended ones, and forgets those below the loop: the command itself.
    """
    run, trace = asyncio.Runner.run, threading.gettrace()

    def apart(*given: Any, **named: Any) -> Any:
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            return run(*given, **named)
        finally:
            sys.settrace(before)

    if trace is not None:
        monkeypatch.setattr(asyncio.Runner, "run", apart)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator with two jobs, named in the environment."""
    with Emulator() as running:
        for job, tasks in JOBS.items():
            running.add_job(job, tasks)
        monkeypatch.setenv("AZURE_BATCH_ENDPOINT", running.endpoint)
        monkeypatch.setenv("AZURE_BATCH_ACCOUNT", running.account)
        monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", running.key)
        yield running


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Iterator[RunCommand]:
    """Run the command line in this process."""
    logger = logging.getLogger("taskcounts")
    before = logger.handlers, logger.propagate, logger.level

    def call(*arguments: str, stdin: str | None = None) -> CommandResult:
        capfd.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            if stdin is not None:
                patch.setattr(sys, "stdin", io.StringIO(stdin, newline=""))
            code = run(list(arguments))
        captured = capfd.readouterr()
        return CommandResult(code, captured.out, captured.err)

    yield call
    logger.handlers, logger.propagate, logger.level = before[0], before[1], before[2]
