"""The rows of the benchmark: one for each client and way to call, in blocks that are compared within."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["BLOCKS", "IDEAL", "JOBS", "ROWS", "Block", "Row"]

# Milliseconds until a server answers that is not next door.
LATENCY = 30
# Microseconds for each of its jobs, 64 of which are in flight, if nothing else took time.
IDEAL = LATENCY * 1000 / 64
# How many jobs get_many is asked for.
JOBS = (1_000, 10_000, 100_000)

# By name: what readers call it, its environment, and its program among ``clients``.
CLIENTS = {
    "azure-batch-15.1": ("azure-batch 15.1", "bench/azure-batch-15", "azure_batch_15"),
    "azure-batch-15.1-aio": ("azure-batch 15.1 aio", "interop/azure-batch-15", "azure_batch_15"),
    "azure-batch-14.2": ("azure-batch 14.2", "interop/azure-batch-14", "azure_batch_14"),
    "ours": ("taskcounts", "bench/default", "ours"),
    "generated": ("generated client", "bench/default", "over_generated"),
    "httpx": ("httpx", "bench/httpx", "over_httpx"),
    "httpx2": ("httpx2", "bench/httpx2", "over_httpx2"),
    "urllib3": ("urllib3", "bench/urllib3", "over_urllib3"),
    "aiohttp": ("aiohttp", "bench/aiohttp", "over_aiohttp"),
    "pyreqwest": ("pyreqwest", "bench/pyreqwest", "over_pyreqwest"),
    "pycurl": ("pycurl", "bench/pycurl", "over_pycurl"),
    "socket": ("a raw socket", "bench/default", "over_socket"),
}


@dataclass(frozen=True)
class Row:
    """One client, used in one way.

    Attributes:
        block: The block that it belongs to.
        name: Its name there.
        label: What readers call it.
        environment: Where its packages are.
        program: A module of ``clients``; of a process, a command of the environment.
        words: What that is told.
        how: Which of the program's ways.
        calls: How many calls are measured.
        in_flight: How many of them at once.
        warm_up: How many before.
        quick: How many calls the quick form measures; 0 where it leaves the row out.
        rounds: In how many rounds at most.
    """

    block: str
    name: str
    label: str
    environment: str
    program: str = ""
    words: tuple[str, ...] = ()
    how: str = ""
    calls: int = 1000
    in_flight: int = 1
    warm_up: int = 200
    quick: int = 0
    rounds: int = 1000

    @property
    def key(self) -> str:
        """Return its name among all rows."""
        return f"{self.block}/{self.name}"

    @property
    def ours(self) -> bool:
        """Return whether it is one of ours."""
        return self.name.startswith("ours")


@dataclass(frozen=True)
class Block:
    """Rows that are compared with one of them.

    Attributes:
        name: Its name.
        title: What it measures.
        kind: How its rows run: ``calls``, a ``process``, a ``size``, or ``micro``.
        base: The row that the others are compared with, if there is one.
        tls: Whether the calls go over TLS.
        latency: Milliseconds until the server answers.
        chunked: Whether its answers are, or have a length.
    """

    name: str
    title: str
    kind: str = "calls"
    base: str | None = None
    tls: bool = False
    latency: int = 0
    chunked: bool = True


THEIRS, AIO = "azure-batch-15.1", "azure-batch-15.1-aio"
# Libraries that know no service, and can be used one call after another.
PEERS = ("httpx", "httpx2", "urllib3", "pyreqwest", "pycurl")
BLOCKS = (
    Block("sync", "One call after another", base=THEIRS),
    Block("sync-tls", "One call after another, over TLS", base=THEIRS, tls=True),
    Block("sync-length", "One call after another, answers with a length", base=THEIRS, chunked=False),
    Block("asyncio", "64 in flight, asyncio", base=AIO),
    Block("asyncio-tls", "64 in flight, asyncio, over TLS", base=AIO, tls=True),
    Block("threads", "64 in flight, threads", base=THEIRS),
    Block("in-flight", "More and more in flight"),
    Block("jobs", "More and more jobs, 64 in flight"),
    Block("latency", f"1,000 jobs of {LATENCY} ms, 64 in flight", base=AIO, latency=LATENCY),
    Block("cold", "The same over TLS, without a connection at first", base=AIO, tls=True, latency=LATENCY),
    Block("import", "Imports: a process that does nothing else", "process"),
    Block("start", "One call over TLS: a process from start to end", "process", base=THEIRS, tls=True),
    Block("size", "Installed, without pip", "size", base=THEIRS),
    Block("micro", "Parts of ours, and what Python's library takes for the same", "micro"),
)


def row(block: str, client: str, way: str = "", **options: Any) -> Row:
    """Return a row for a client; ``way`` tells its ways apart."""
    label, environment, program = CLIENTS[client]
    name = f"{client}-{way.replace(', ', '-').replace(',', '').replace(' ', '-')}" if way else client
    label = f"{label}, {way}" if way else label
    return Row(block, name, label, environment, program, **options)


def _sync() -> Iterator[Row]:
    for client in (THEIRS, "ours", "azure-batch-14.2", "generated", *PEERS, "socket"):
        yield row("sync", client, quick=500 * (client in (THEIRS, "ours", "httpx")))
    for client in (THEIRS, "ours", "httpx", "urllib3", "pyreqwest", "pycurl", "socket"):
        yield row("sync-tls", client)
    for client in (THEIRS, "ours", "httpx", "urllib3", "pycurl"):
        yield row("sync-length", client)


def _asyncio() -> Iterator[Row]:
    shape: dict[str, Any] = {"how": "async", "in_flight": 64, "calls": 2000}
    # Slow enough to be measured soon.
    slow = shape | {"calls": 1000}
    yield row("asyncio", AIO, quick=500, **slow)
    yield row("asyncio", "ours", quick=1000, **shape)
    yield row("asyncio", "ours", "get_many", **shape | {"how": "many-async"})
    for client in ("generated", "httpx", "httpx2"):
        yield row("asyncio", client, **slow)
    for client in ("aiohttp", "pyreqwest", "pycurl"):
        yield row("asyncio", client, **shape)
    yield row("asyncio-tls", AIO, **slow)
    for client in ("ours", "aiohttp", "pyreqwest", "pycurl"):
        yield row("asyncio-tls", client, **shape)


def _threads() -> Iterator[Row]:
    shape: dict[str, Any] = {"in_flight": 64, "calls": 2000}
    slow = shape | {"calls": 1000}
    yield row("threads", THEIRS, quick=500, **slow)
    yield row("threads", "ours", quick=1000, **shape)
    yield row("threads", "ours", "one thread", quick=1000, **shape | {"in_flight": 1})
    yield row("threads", "ours", "get_many", **shape | {"how": "many"})
    for client in PEERS:
        yield row("threads", client, **slow if client in ("httpx", "httpx2") else shape)


def _in_flight() -> Iterator[Row]:
    for way, how in (("asyncio", "async"), ("threads", "")):
        for count in (1, 16, 64, 256):
            shape: dict[str, Any] = {"how": how, "in_flight": count, "calls": 3000, "warm_up": 1000}
            if way == "threads" and count in (16, 256):
                # What so many threads cost Python by themselves.
                yield row("in-flight", "urllib3", f"{way}, {count}", **shape)
            yield row("in-flight", "ours", f"{way}, {count}", quick=1500 * (count in (16, 256)), **shape)


def _jobs() -> Iterator[Row]:
    for way, how in (("asyncio", "many-async"), ("threads", "many")):
        for calls, rounds in zip(JOBS, (1000, 5, 3), strict=True):
            shape: dict[str, Any] = {"how": how, "in_flight": 64, "calls": calls, "warm_up": 1000}
            quick = calls * (way == "asyncio" and calls < JOBS[-1])
            yield row("jobs", "ours", f"{way}, {calls:,}", quick=quick, rounds=rounds, **shape)


def _latency() -> Iterator[Row]:
    # Without a connection at first: one call loads what is loaded late, and opens one of 64.
    for block, warm_up in (("latency", 128), ("cold", 1)):
        shape: dict[str, Any] = {"in_flight": 64, "warm_up": warm_up}
        quick = 1000 * (block == "latency")
        yield row(block, AIO, quick=quick, how="async", **shape)
        yield row(block, "ours", "get_many, asyncio", quick=quick, how="many-async", **shape)
        yield row(block, "ours", "get_many, threads", quick=quick, how="many", **shape)
        if quick:
            yield row(block, "ours", "asyncio", how="async", **shape)
            yield row(block, "ours", "threads", **shape)
        yield row(block, THEIRS, "threads", **shape)
        yield row(block, "aiohttp", how="async", **shape)
        yield row(block, "pyreqwest", how="async", **shape)


def _processes() -> Iterator[Row]:
    for name, label, environment, what in (
        ("nothing", "nothing", "bench/default", "pass"),
        ("ours", "taskcounts", "bench/default", "import taskcounts"),
        ("theirs", "httpx and attrs", "bench/default", "import httpx, attrs"),
        ("httpx", "httpx", "bench/default", "import httpx"),
        ("attrs", "attrs", "bench/default", "import attrs"),
        (THEIRS, "azure-batch 15.1", "bench/azure-batch-15", "import azure.batch"),
    ):
        quick = int(name in ("nothing", "ours", "theirs"))
        yield Row("import", name, label, environment, "python", ("-c", what), quick=quick)
    once = "once/{}.py"
    az = ("-m", "azure.cli", "batch", "job", "task-counts", "show", "--job-id", "nightly")
    for name, label, environment, words in (
        (THEIRS, "a script with azure-batch 15.1", "bench/azure-batch-15", (once.format("azure_batch_15"),)),
        ("ours", "taskcounts get nightly", "bench/cli", ("get", "nightly")),
        ("az", "az batch job task-counts show", "interop/azure-cli", az),
        (
            "azure-batch-14.2",
            "a script with azure-batch 14.2",
            "interop/azure-batch-14",
            (once.format("azure_batch_14"),),
        ),
        ("httpx", "a script with httpx", "bench/httpx", (once.format("over_httpx"),)),
    ):
        program = "taskcounts" if name == "ours" else "python"
        quick = int(name in (THEIRS, "ours"))
        yield Row("start", name, label, environment, program, words, quick=quick)


def _rest() -> Iterator[Row]:
    for client in (THEIRS, AIO, "ours", "azure-batch-14.2", *PEERS, "aiohttp"):
        yield replace(row("size", client, quick=1, rounds=1), program="")
    yield Row("size", "ours-cli", "taskcounts[cli]", "bench/cli", quick=1, rounds=1)
    yield Row("size", "az", "azure-cli", "interop/azure-cli", rounds=1)
    for name, label in (
        ("ours-answer", "an answer of 1 KB, decoded, checked and typed"),
        ("ours-signature", "a signature"),
        ("json", "json.loads of that answer"),
        ("hmac", "hmac.digest of what is signed"),
    ):
        yield Row("micro", name, label, "bench/default", "micro", how=name, calls=2000, quick=2000)


ROWS = (*_sync(), *_asyncio(), *_threads(), *_in_flight(), *_jobs(), *_latency(), *_processes(), *_rest())
