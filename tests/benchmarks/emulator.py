"""The cost of a count in the emulator, and of filling it: `make bench-emulator`.

The emulator runs as a process of its own, pinned to one core where the system lets it be, and the caller to
another. What is told is the emulator's processor time: of everything between its socket and its store, and
of nothing that the caller does.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from taskcounts import SharedKey

COLLECTION = 100
VERSION = "2024-07-01.20.0"
TYPE = "application/json; odata=minimalmetadata"
COUNT = f"/jobs/large/taskcounts?api-version={VERSION}"

# Of as many connections, so many calls, so many times; the best time is that of the quietest moment.
CONNECTIONS = (1, 16)
CALLS, ROUNDS = 3000, 5

STARTS = 10


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

    def raw(self) -> bytes:
        """Return a request for counts as our client sends it, signed."""
        date = formatdate(usegmt=True)
        signature = self._key.authorization("GET", COUNT, {"ocp-date": date})
        lines = (
            f"GET {COUNT} HTTP/1.1", f"host: {urlsplit(self._endpoint).netloc}", "accept: application/json",
            "accept-encoding: identity", "user-agent: a benchmark", f"client-request-id: {uuid.uuid4()}",
            "return-client-request-id: true", f"ocp-date: {date}", f"authorization: {signature}",
        )  # fmt: skip
        return "\r\n".join((*lines, "", "")).encode()

    def connect(self) -> socket.socket:
        """Return a connection."""
        url = urlsplit(self._endpoint)
        connection = socket.create_connection((url.hostname, url.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

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
    """Start emulators; add tasks to a job, count them again and again, list them; tell what that costs."""
    starts()
    with started() as server:
        run(server, tasks)


@contextmanager
def started() -> Iterator[Server]:
    """Run an emulator on the first core, and what follows on the others."""
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
            yield Server(process)
        finally:
            os.sched_setaffinity(0, cores)
            process.terminate()


def starts() -> None:
    """Start emulators, one after another, and tell how long each took until its first answer."""
    times, costs = [], []
    for _ in range(STARTS):
        begun = time.perf_counter()
        with started() as server:
            server.ask("GET", f"/jobs?api-version={VERSION}")
            times.append(time.perf_counter() - begun)
            costs.append(server.processor_time())
    print(
        f"{STARTS} starts up to the first answer: {min(times) * 1e3:.0f} to {max(times) * 1e3:.0f} ms, "
        f"of its core {min(costs) * 1e3:.0f} to {max(costs) * 1e3:.0f} ms\n"
    )


def run(server: Server, tasks: int) -> None:
    """Measure one emulator."""
    server.ask("POST", f"/jobs?api-version={VERSION}", {"id": "large", "poolInfo": {"poolId": "none"}})
    calls(server)
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
        f"\n{pages} pages list all {listed} tasks at {listed / max(cost[0], 1e-3):,.0f} per second, "
        f"{server.memory() - before} MiB more"
    )


def calls(server: Server) -> None:
    """Count the tasks of an empty job over a few connections and over many, and tell what a call costs."""
    print(f"{'connections':>11}  {'a count':>8}  {'counts per second of its core':>29}  {'per second':>10}")
    for connections in CONNECTIONS:
        count(server, connections, CALLS // 10)
        costs, times = [], []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            with server.cost() as cost:
                count(server, connections, CALLS)
            costs.append(cost[0] / CALLS)
            times.append((time.perf_counter() - begun) / CALLS)
        best = min(costs)
        print(f"{connections:>11}  {best * 1e6:>5.0f} µs  {1 / best:>29,.0f}  {1 / min(times):>10,.0f}")
    print(flush=True)


def count(server: Server, connections: int, calls: int) -> None:
    """Ask for counts on some connections, each asking again as soon as it has its answer."""
    begun = ended = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = server.connect()
            selector.register(connection, selectors.EVENT_READ, bytearray())
            connection.sendall(server.raw())
            begun += 1
        while ended < calls:
            for ready, _ in selector.select():
                assert isinstance(ready.fileobj, socket.socket)
                ready.data.extend(ready.fileobj.recv(65536))
                if not ready.data.endswith(b"\r\n0\r\n\r\n"):
                    continue
                assert ready.data.startswith(b"HTTP/1.1 200 "), bytes(ready.data)
                ready.data.clear()
                ended += 1
                if begun < calls:
                    ready.fileobj.sendall(server.raw())
                    begun += 1
        for key in list(selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


def tell(server: Server, tasks: int, rate: float | None) -> None:
    """Print a line: what a count costs now."""
    answer = server.ask("GET", COUNT).json()
    assert answer["taskCounts"]["active"] == tasks, answer
    with server.cost() as cost:
        count(server, CONNECTIONS[-1], CALLS)
    shown = "" if rate is None else f"{rate:,.0f}"
    print(f"{tasks:>9}  {shown:>16}  {cost[0] / CALLS * 1e6:>5.0f} µs  {server.memory():>5}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
