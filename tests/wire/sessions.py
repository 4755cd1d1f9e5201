"""Transports, and a session: a client of either kind that a test calls without awaiting."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

from support.answers import wire
from support.client import KEY
from support.servers import Peer
from taskcounts import AsyncTaskCountsClient, RetryPolicy, Snapshot, TaskCountsClient, TaskCountsError

T = TypeVar("T")

# The most connections of a client over our own engine.
MAX_CONNECTIONS = 256

# Transports of httpx need a context; this one trusts nobody, and is made at once.
TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

RETRY = RetryPolicy(max_attempts=2, first_pause=0)


class Transport(NamedTuple):
    """The transport of a client: of httpx or httpx2, or our own engine, whose module is empty."""

    module: str
    awaits: bool

    def __str__(self) -> str:
        return f"{self.module or 'own'}-{'async' if self.awaits else 'sync'}"


OWN_ENGINE = [Transport("", False), Transport("", True)]
TRANSPORTS = [
    *OWN_ENGINE,
    *(Transport(module, awaits) for module in ("httpx", "httpx2") for awaits in (False, True)),
]


class Session:
    """A client over one transport, called from the test's thread; an event loop runs only during calls.

    Attributes:
        client: The client.
    """

    def __init__(
        self,
        over: Transport,
        url: str,
        *,
        verify: Any = None,
        proxy: str | None = None,
        **given: Any,
    ) -> None:
        """Make the client; it makes two attempts at most, without a pause."""
        self.transport = over
        self._closed = False
        options: dict[str, Any] = {
            "retry": RETRY,
            "timeout": 5.0,
            "deadline": 20.0,
            "trust_env": False,
        } | given
        if "transport" in options:
            pass
        elif over.module:
            module = import_module(over.module)
            kind = module.AsyncHTTPTransport if over.awaits else module.HTTPTransport
            context = (
                ssl.create_default_context(cafile=verify)
                if isinstance(verify, str)
                else verify or TRUSTS_NOBODY
            )
            through = None
            if proxy is not None:
                tls = {"ssl_context": context} if proxy.startswith("https") else {}
                through = module.Proxy(proxy, **tls)
            options["transport"] = kind(verify=context, proxy=through, trust_env=False)
        else:
            options |= {"verify": verify, "proxy": proxy}
        self._runner = asyncio.Runner() if over.awaits else None
        kind = AsyncTaskCountsClient if over.awaits else TaskCountsClient
        self.client: Any = kind(url, options.pop("credential", KEY), **options)

    def run(self, made: Any) -> Any:
        """Return what a method of the client gives: a value, or a coroutine to be run to its value."""
        return made if self._runner is None else self._runner.run(made)

    def ask(self, job: str = "job-1", **question: Any) -> Snapshot:
        """Return where a job stands."""
        snapshot: Snapshot = self.run(self.client.get_job_task_counts(job, **question))
        return snapshot

    def outcome(self, job: str = "job-1", **question: Any) -> Snapshot | TaskCountsError:
        """Return where a job stands, or why that is not known."""
        try:
            return self.ask(job, **question)
        except TaskCountsError as error:
            return error

    def together(self, jobs: Iterable[str]) -> list[int]:
        """Return how many tasks of each job are active, asking for all at once: by threads or by tasks."""
        if self._runner is None:
            asked = list(jobs)
            with ThreadPoolExecutor(len(asked)) as pool:
                return [each.task_counts.active for each in pool.map(self.ask, asked)]

        async def ask() -> list[int]:
            snapshots = await asyncio.gather(*map(self.client.get_job_task_counts, jobs))
            return [each.task_counts.active for each in snapshots]

        return self._runner.run(ask())

    def pause(self, seconds: float) -> None:
        """Let time pass; an event loop sees what comes meanwhile."""
        if self._runner is None:
            time.sleep(seconds)
        else:
            self._runner.run(asyncio.sleep(seconds))

    def close(self) -> None:
        """Close the client, and its loop; again is no matter."""
        if not self._closed:
            self._closed = True
            try:
                self.run(self.client.close())
            finally:
                if self._runner is not None:
                    self._runner.close()


def number(head: bytes) -> int:
    """Return the number in the id of the job that a request asks about."""
    found = re.search(rb"/jobs/(?:nightly%3A)?job-(\d+)/", head)
    assert found is not None, head
    return int(found[1])


def body(active: int) -> bytes:
    """Return the counts of a job with some active tasks."""
    numbers = {"active": active, "running": 0, "completed": 0, "succeeded": 0, "failed": 0}
    return wire({"taskCounts": numbers, "taskSlotCounts": numbers})


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def whole(active: int, headers: bytes = b"", start: bytes = OK) -> bytes:
    """Return a whole answer with the counts of a job."""
    data = body(active)
    return start + headers + b"content-length: %d\r\n\r\n" % len(data) + data


def answering(peer: Peer) -> None:
    """Answer with as many active tasks as the job's id says, and keep the connection."""
    peer.send(whole(number(peer.head)))


def descriptors() -> set[str]:
    """Return which sockets this process has open."""
    found = set()
    for each in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{each}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def eventually(check: Any, seconds: float = 5.0) -> bool:
    """Return whether something becomes true in time."""
    ends = time.monotonic() + seconds
    while not check():
        if time.monotonic() > ends:
            return False
        time.sleep(0.005)
    return True


def one_line(error: BaseException) -> str:
    """Return an error's text, which is one line."""
    text = str(error)
    assert text
    assert text.isprintable()
    return text


async def steps(made: Coroutine[Any, Any, T], count: int) -> tuple[bool, T | BaseException]:
    """Run a coroutine as a task for some steps of the loop, then cancel it; return whether it had ended."""
    task = asyncio.ensure_future(made)
    for _ in range(count):
        if task.done():
            break
        await asyncio.sleep(0)
    ended = task.done()
    task.cancel()
    (found,) = await asyncio.gather(task, return_exceptions=True)
    return ended, found
