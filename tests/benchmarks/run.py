"""Runs the rows in turn, round after round, each in a process of its own, and returns what they tell."""

from __future__ import annotations

import base64
import json
import os
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import environments
from benchmarks.rows import BLOCKS, Block, Row
from benchmarks.server import Responder

__all__ = ["Failed", "Runner", "Taken", "cores", "disturbed"]

TESTS = Path(__file__).parents[1]
ACCOUNT = "benchmark"
KEY = base64.b64encode(b"sixty-four bytes, as the access keys of real accounts have them.").decode()
# Seconds, many times what the slowest takes.
PATIENCE = 900

MILLION = 1_000_000
# What tells OpenSSL, httpx and ours, and requests whom to trust.
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class Failed(Exception):
    """A row could not be measured."""


@dataclass
class Taken:
    """The measurements by row and round, and the errors on the way."""

    samples: dict[str, dict[int, dict[str, float]]] = field(default_factory=lambda: defaultdict(dict))
    failures: dict[str, str] = field(default_factory=dict)
    disturbances: list[float] = field(default_factory=list)

    @property
    def disturbance(self) -> float:
        """Return what share of the cores' time others took meanwhile."""
        return statistics.mean(self.disturbances) if self.disturbances else 0.0


def cores() -> tuple[int | None, int | None]:
    """Return the core of the clients and that of the server; none where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def disturbed(core: int | None, seconds: float = 0.1) -> float:
    """Return what share of a core's time others take just now, by working on it for a while."""
    ours = os.sched_getaffinity(0)
    try:
        if core is not None:
            os.sched_setaffinity(0, {core})
        # From the beginning of what the scheduler gives.
        time.sleep(0.001)
        cpu, wall = time.thread_time(), time.perf_counter()
        while time.perf_counter() - wall < seconds:
            pass
        return max(0.0, 1 - (time.thread_time() - cpu) / (time.perf_counter() - wall))
    finally:
        os.sched_setaffinity(0, ours)


class Runner:
    """Runs rows against a responder.

    Args:
        responder: The server.
        folder: Where processes have their home.
        cores: The only core that clients may use, and that of the server; any if None.
        python: The interpreter for an environment; the tests have one for all.
    """

    def __init__(
        self,
        responder: Responder,
        folder: Path,
        cores: tuple[int | None, int | None] = (None, None),
        python: Callable[[str], Path] = environments.python,
    ) -> None:
        self._responder = responder
        self._home = folder
        self._cores = cores
        self._python = python
        self._blocks = {block.name: block for block in BLOCKS}

    def rounds(self, rows: Sequence[Row], count: int, tell: Callable[[str], object]) -> Taken:
        """Run the rows so many times, one after another; a row that fails isn't run again."""
        taken = Taken()
        started = time.monotonic()
        tell("running each program once: what it compiles then isn't measured")
        known = set()
        for row in rows:
            program = row.environment, row.program, row.words, row.how
            if program not in known:
                known.add(program)
                try:
                    self.sample(replace(row, calls=1, warm_up=1, in_flight=1))
                except Failed as error:
                    taken.failures[row.key] = str(error)
        for number in range(count):
            for name, block in self._blocks.items():
                mine = [row for row in rows if row.block == name and number < row.rounds]
                if mine:
                    taken.disturbances += [disturbed(core) for core in self._cores]
                    tell(f"round {number + 1} of {count}, {time.monotonic() - started:.0f} s: {block.title}")
                # Whoever runs first may find the machine in another mood than who runs last.
                for row in mine[:: -1 if number % 2 else 1]:
                    if row.key not in taken.failures:
                        try:
                            taken.samples[row.key][number] = self.sample(row)
                        except Failed as error:
                            taken.failures[row.key] = str(error)
        return taken

    def sample(self, row: Row) -> dict[str, float]:
        """Run a row once, and return what was measured: times in µs per call, sizes in bytes.

        Raises:
            Failed: It doesn't end well, or did something else than it was to do.
        """
        block = self._blocks[row.block]
        if block.kind == "size":
            return {"size": environments.size(environments.installed(row.environment))}
        if block.kind == "process":
            return self._process(row, block)
        return self._calls(row, block)

    def _calls(self, row: Row, block: Block) -> dict[str, float]:
        asked = {
            "endpoint": self._responder.endpoint(block),
            "account": ACCOUNT,
            "key": KEY,
            "calls": row.calls,
            "in_flight": row.in_flight,
            "warm_up": row.warm_up,
            "how": row.how,
            "authority": str(self._responder.authority) if block.tls else None,
            "status": self._responder.port,
        }
        words = ["-m", f"benchmarks.clients.{row.program}", json.dumps(asked)]
        trust = {name: str(self._responder.authority) for name in TRUST if block.tls}
        environment = {"PYTHONPATH": str(TESTS), **trust}
        told = json.loads(self._run([self._python(row.environment), *words], environment)[0])
        calls = told["calls"]
        sample = {
            "cpu": told["cpu"] / calls * MILLION,
            "wall": told["wall"] / calls * MILLION,
            "memory": told["memory"],
        }
        if block.kind == "calls":
            server = told["server"]
            if server["requests"] != calls:
                raise Failed(f"{calls} calls, but {server['requests']:.0f} requests")
            sample["server"] = server["cpu"] / calls * MILLION
            sample["busy"] = server["cpu"] / told["wall"]
            # One of them asked for this.
            sample["connections"] = server["connections"] - 1
        return sample

    def _process(self, row: Row, block: Block) -> dict[str, float]:
        environment = {}
        python = self._python(row.environment)
        command: list[str | Path] = [python.with_name(row.program), *row.words]
        if block.tls:
            environment = {
                "AZURE_BATCH_ENDPOINT": self._responder.endpoint(block),
                "AZURE_BATCH_ACCOUNT": ACCOUNT,
                "AZURE_BATCH_ACCESS_KEY": KEY,
                **{name: str(self._responder.bundle) for name in TRUST},
                "AZURE_CONFIG_DIR": str(self._home),
                "AZURE_CORE_COLLECT_TELEMETRY": "false",
            }
            if row.words[0].startswith("once/"):
                command[1:] = [Path(__file__).parent / row.words[0]]
            if "httpx" in row.words[0]:
                environment["PYTHONPATH"] = str(TESTS)
            if "azure.cli" in row.words:
                # Where az doesn't know its own version from an earlier day, it asks the internet.
                core = environments.packages(row.environment)["azure-cli-core"]
                known = json.dumps({"versions": {"core": {"local": core}}})
                (self._home / "versionCheck.json").write_text(known, encoding="utf-8")
        before = self._responder.status()
        output, cpu, wall = self._run(command, environment)
        asked = self._responder.status()["requests"] - before["requests"]
        if asked != block.tls:
            raise Failed(f"{asked:.0f} requests")
        if block.tls and "12" not in output:
            raise Failed(f"the counts aren't in {output!r}")
        return {"cpu": cpu * MILLION, "wall": wall * MILLION}

    def _run(self, words: Sequence[str | Path], environment: Mapping[str, str]) -> tuple[str, float, float]:
        """Run a command, and return what it says, and the seconds that it worked and took."""
        # As they stand in a user's shell: nothing that tells Python or a client to do otherwise than usual.
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._home), **environment}
        output, errors = self._home / "stdout", self._home / "stderr"
        ours = os.sched_getaffinity(0)
        started = time.perf_counter()
        with output.open("wb") as out, errors.open("wb") as err:
            try:
                if self._cores[0] is not None:
                    os.sched_setaffinity(0, {self._cores[0]})
                process = subprocess.Popen(  # noqa: S603 - Programs of our own.
                    words, env=environment, cwd=self._home, stdin=subprocess.DEVNULL, stdout=out, stderr=err
                )
            finally:
                os.sched_setaffinity(0, ours)
            timer = threading.Timer(PATIENCE, process.kill)
            timer.start()
            _, status, used = os.wait4(process.pid, 0)
            timer.cancel()
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            lines = errors.read_text(encoding="utf-8", errors="replace").splitlines()
            told = [line for line in lines if line.strip() and not line.startswith("hint:")]
            raise Failed(f"exit code {process.returncode}: {told[-1][:200] if told else 'no word'}")
        return output.read_text(encoding="utf-8"), used.ru_utime + used.ru_stime, wall
