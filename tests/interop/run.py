"""Runs the clients' programs, each against an emulator of its own, and judges their reports."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interop.clients.checks import CHECKS
from taskcounts_emulator import Emulator

__all__ = ["CLIENTS", "QUICK", "SCENARIO", "Client", "Outcome", "Result", "judged", "run", "table"]

# `make` puts them beside the environment that this runs in.
ENVIRONMENTS = Path(sys.prefix) / "interop"
TESTS = Path(__file__).parents[1]

# The account as the programs find it: the checks rely on these ids and numbers.
SCENARIO = {
    "pools": [{"id": "quick", "slots": 4, "duration": 0.05}, {"id": "slow", "slots": 4, "duration": 3600}],
    "jobs": [
        {
            "id": "seeded",
            "tasks": [
                {"count": 5},
                {"count": 3, "state": "running", "requiredSlots": 2},
                {"count": 1, "state": "preparing"},
                *({"id": f"succeeded-{n}", "state": "completed", "result": "success"} for n in (1, 2, 3)),
                *({"id": f"failed-{n}", "state": "completed", "result": "failure"} for n in (1, 2)),
            ],
        },
        {"id": "large", "tasks": [{"count": 1200}]},
        {"id": "throttled"},
        {"id": "cut-off"},
    ],
}


@dataclass(frozen=True)
class Client:
    """One of Microsoft's clients.

    Attributes:
        name: The name in the table.
        environment: The folder of its environment.
        module: Its program.
        lacks: The operations that it doesn't offer.
        patience: Seconds after which its program is stopped, many times its usual time: a wrong answer can
            make a client ask for ever.
    """

    name: str
    environment: str
    module: str
    lacks: frozenset[str] = frozenset()
    patience: float = 60

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return ENVIRONMENTS / self.environment / "bin" / "python"

    @property
    def operations(self) -> list[str]:
        """The operations that it has to report."""
        return [operation for operation in CHECKS if operation not in self.lacks]


QUICK = (
    Client("15.1", "azure-batch-15", "interop.clients.azure_batch_15"),
    Client("15.1-async", "azure-batch-15", "interop.clients.azure_batch_15_async"),
    Client("14.2", "azure-batch-14", "interop.clients.azure_batch_14"),
    Client("13.0", "azure-batch-13", "interop.clients.azure_batch_14"),
    Client("10.0", "azure-batch-10", "interop.clients.azure_batch_14"),
    Client("9.0", "azure-batch-9", "interop.clients.azure_batch_9"),
    Client("8.0", "azure-batch-8", "interop.clients.azure_batch_8"),
    Client("5.1", "azure-batch-5", "interop.clients.azure_batch_5"),
)
CLIENTS = (
    *QUICK,
    Client(
        "az",
        "azure-cli",
        "interop.clients.az",
        frozenset(
            (
                # az has no option for the length of pages, and would have to log in for a token.
                "Job_List over pages",
                "a token over TLS",
            )
        ),
        patience=900,
    ),
)


@dataclass(frozen=True)
class Result:
    """The result of one operation.

    Attributes:
        saw: What the client showed until it was done or failed.
        error: The first deviation, None if there is none.
    """

    saw: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The outcome of a client's program.

    Attributes:
        client: The client.
        results: The results by operation.
        seconds: The time that the program took.
        log: The standard error of the program.
    """

    client: Client
    results: dict[str, Result]
    seconds: float = 0.0
    log: str = field(default="", repr=False)

    @property
    def failures(self) -> dict[str, str]:
        """The errors by operation."""
        return {name: result.error for name, result in self.results.items() if result.error is not None}


def run(client: Client) -> Outcome:
    """Start emulators and a client's program, and return its outcome.

    Raises:
        FileNotFoundError: The client's environment is missing.
    """
    if not client.python.exists():
        raise FileNotFoundError(f"{client.python} is missing: 'make interop' sets it up")
    started = time.monotonic()
    with emulated() as environment:
        program = subprocess.Popen(  # noqa: S603 - Programs of our own.
            [client.python, "-m", client.module, *client.lacks],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with program, _stopped_after(client.patience, program) as stopped:
            report, log = program.communicate()
        if stopped.is_set():
            log += f"\nthe program was stopped after {client.patience:.0f} seconds\n"
    return judged(client, report, program.returncode, log, time.monotonic() - started)


def judged(client: Client, report: str, exit_code: int, log: str = "", seconds: float = 0.0) -> Outcome:
    """Return the outcome of a report; an operation that is missing from it has failed."""
    results = {}
    for line in report.splitlines():
        told = json.loads(line)
        error = None if told["ok"] else told["error"] or "the program gave no reason"
        results[told["operation"]] = Result(
            told["saw"], error if told["saw"] or error else "the program saw nothing"
        )
    last = log.strip().rpartition("\n")[2]
    for name in client.operations:
        results.setdefault(name, Result(error=f"not reported; exit code {exit_code}: {last}"))
    if exit_code != 0 and all(result.error is None for result in results.values()):
        results["the end of the program"] = Result(error=f"exit code {exit_code}: {last}")
    return Outcome(client, results, seconds, log)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a table of operations and clients, and below it the errors."""
    width = max(map(len, CHECKS))
    names = [outcome.client.name for outcome in outcomes]
    lines = ["  ".join([" " * width, *names])]
    for operation in CHECKS:
        cells = [
            _cell(outcome, operation).ljust(len(name)) for outcome, name in zip(outcomes, names, strict=True)
        ]
        lines.append("  ".join([operation.ljust(width), *cells]).rstrip())
    seconds = [
        f"{outcome.seconds:.1f}".ljust(len(name)) for outcome, name in zip(outcomes, names, strict=True)
    ]
    lines += ["  ".join(["seconds".ljust(width), *seconds]).rstrip(), ""]
    for outcome in outcomes:
        lines += [f"{outcome.client.name}: {name}: {error}" for name, error in outcome.failures.items()]
    failed = sum(len(outcome.failures) for outcome in outcomes)
    passed = sum(len(outcome.results) for outcome in outcomes) - failed
    return "\n".join([*lines, f"{passed} passed, {failed} failed"])


def _cell(outcome: Outcome, operation: str) -> str:
    result = outcome.results.get(operation)
    if result is None:
        return "-"
    return "ok" if result.error is None else "FAIL"


@contextlib.contextmanager
def _stopped_after(seconds: float, program: subprocess.Popen[str]) -> Iterator[threading.Event]:
    """Stop a program that takes too long, and set the event; the report until then remains."""
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        program.kill()

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        yield stopped
    finally:
        timer.cancel()


@contextlib.contextmanager
def emulated() -> Iterator[dict[str, str]]:
    """Start two emulators, the second over TLS, and yield the environment variables that name them."""
    with Emulator() as plain, Emulator(plain.account, plain.key, tls=True) as secured:
        for emulator in (plain, secured):
            emulator.load(SCENARIO)
        plain.fault("throttled", job="throttled", times=1, retry_after=1)
        plain.fault("reset", job="cut-off", times=1)
        yield {
            "AZURE_BATCH_ENDPOINT": plain.endpoint,
            "AZURE_BATCH_ACCOUNT": plain.account,
            "AZURE_BATCH_ACCESS_KEY": plain.key,
            "INTEROP_TLS_ENDPOINT": secured.endpoint,
            "INTEROP_AUTHORITY": str(secured.ca_path),
        }
