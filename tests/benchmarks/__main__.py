"""How the emulator takes its size: `python -m benchmarks`, or `make bench`.

The emulator runs as a process of its own, pinned to one core where the system lets it be, and the caller to
another. What is told is the emulator's processor time, so that neither the caller nor the socket counts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import httpx

from taskcounts import SharedKey

COLLECTION = 100
VERSION = "2024-07-01.20.0"
TYPE = "application/json; odata=minimalmetadata"


class Server:
    """An emulator in a process of its own, and a caller that signs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        lines = "".join(process.stdout.readline() for _ in range(3))
        named = dict(re.findall(r"export AZURE_BATCH_(\w+)=(\S+)", lines))
        self._stat = Path(f"/proc/{process.pid}/stat")
        self._status = Path(f"/proc/{process.pid}/status")
        self._key = SharedKey(named["ACCOUNT"], named["ACCESS_KEY"])
        self._endpoint = named["ENDPOINT"]
        self._client = httpx.Client(base_url=self._endpoint, trust_env=False, timeout=600)

    def ask(self, method: str, target: str, document: object = None) -> httpx.Response:
        """Send a request, and return its answer, which is none of an error."""
        headers = {"ocp-date": formatdate(usegmt=True)}
        body = b"" if document is None else json.dumps(document).encode()
        if body:
            headers |= {"content-type": TYPE, "content-length": str(len(body))}
        headers["authorization"] = self._key.authorization(method, target, headers)
        answer = self._client.request(method, target, headers=headers, content=body)
        answer.raise_for_status()
        return answer

    def processor_time(self) -> float:
        """Return the seconds that the process has worked so far."""
        fields = self._stat.read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Return what the process has in memory, in MiB."""
        found = re.search(r"VmRSS:\s+(\d+)", self._status.read_text(encoding="ascii"))
        return int(found[1]) // 1024 if found else 0

    @contextmanager
    def cost(self) -> Iterator[list[float]]:
        """Measure the processor time of what is done meanwhile; it is in the list at the end."""
        told: list[float] = []
        before = self.processor_time()
        yield told
        told.append(self.processor_time() - before)


def main(tasks: int) -> None:
    """Add tasks to one job, count them again and again, list them all, and tell what that costs."""
    cores = sorted(os.sched_getaffinity(0))
    with subprocess.Popen(
        [sys.executable, "-m", "taskcounts", "emulate", "--slots", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            os.sched_setaffinity(process.pid, cores[:1])
            os.sched_setaffinity(0, cores[1:] or cores)
            run(Server(process), tasks)
        finally:
            process.terminate()


def run(server: Server, tasks: int) -> None:
    """Measure one emulator."""
    server.ask("POST", f"/jobs?api-version={VERSION}", {"id": "large", "poolInfo": {"poolId": "none"}})
    print(f"{'tasks':>9}  {'added per second':>16}  {'a count':>8}  {'MiB':>5}")
    added, step = 0, max(COLLECTION, tasks // 5 // COLLECTION * COLLECTION)
    tell(server, added, None)
    while added < tasks:
        with server.cost() as cost:
            for first in range(added, added + step, COLLECTION):
                collection = [
                    {"id": f"task-{number:07}", "commandLine": "/bin/true"}
                    for number in range(first, first + COLLECTION)
                ]
                server.ask(
                    "POST", f"/jobs/large/addtaskcollection?api-version={VERSION}", {"value": collection}
                )
        added += step
        tell(server, added, step / cost[0])
    before = server.memory()
    pages, listed = 0, 0
    target = f"/jobs/large/tasks?$select=id,state&api-version={VERSION}"
    with server.cost() as cost:
        while target:
            page = server.ask("GET", target).json()
            pages, listed = pages + 1, listed + len(page["value"])
            target = page.get("odata.nextLink", "").partition("/jobs")[2]
            target = target and f"/jobs{target}"
    assert listed == added, f"{listed} of {added} tasks were listed"
    print(
        f"\n{pages} pages list all {listed} tasks at {listed / cost[0]:,.0f} per second, "
        f"{server.memory() - before} MiB more"
    )


def tell(server: Server, tasks: int, rate: float | None) -> None:
    """Print a line: what a count costs now."""
    counts = 1000
    with server.cost() as cost:
        for _ in range(counts):
            answer = server.ask("GET", f"/jobs/large/taskcounts?api-version={VERSION}").json()
    assert answer["taskCounts"]["active"] == tasks, answer
    shown = "" if rate is None else f"{rate:,.0f}"
    print(f"{tasks:>9}  {shown:>16}  {cost[0] / counts * 1000:>5.2f} ms  {server.memory():>5}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
