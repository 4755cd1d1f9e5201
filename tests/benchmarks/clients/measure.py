"""Code that the programs share: their settings, the loops that call, and the report at the end."""

from __future__ import annotations

import gc
import json
import re
import resource
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

__all__ = ["Meter", "Setting", "in_tasks", "in_threads", "memory", "setting"]


class Setting(NamedTuple):
    """The settings of a program.

    Attributes:
        endpoint: The account's URL.
        account: Its name.
        key: Its access key.
        calls: How many calls are measured.
        in_flight: How many of them are under way at once.
        warm_up: How many are made before.
        how: Which of its ways, where a program has several.
        authority: A PEM file of whom to trust; None without TLS.
        status: The port where the responder tells how it fares; None if nobody answers there.
        job: The job that is asked for.
    """

    endpoint: str
    account: str
    key: str
    calls: int = 1
    in_flight: int = 1
    warm_up: int = 0
    how: str = ""
    authority: str | None = None
    status: int | None = None
    job: str = "nightly"

    def __repr__(self) -> str:
        return f"Setting({self.endpoint!r})"

    @property
    def url(self) -> str:
        """Return what a client that knows no service has to get."""
        return f"{self.endpoint}/jobs/{self.job}/taskcounts?api-version=2024-07-01.20.0"


def setting() -> Setting:
    """Return what the caller of this program wants."""
    return Setting(**json.loads(sys.argv[1]))


class Meter:
    """Measures this process, and the responder meanwhile, from its making to its end."""

    def __init__(self, given: Setting) -> None:
        self._given = given
        gc.collect()
        self._server = self._status()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def end(self, **more: Any) -> None:
        """Print what it was, as a line of JSON."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        told = {"calls": self._given.calls, "cpu": cpu, "wall": wall, "memory": memory(), **more}
        if self._given.status is not None:
            told["server"] = {name: value - self._server[name] for name, value in self._status().items()}
        print(json.dumps(told), flush=True)

    def _status(self) -> dict[str, float]:
        if self._given.status is None:
            return {}
        # By hand: a library for it would be in this process' memory.
        with socket.create_connection(("127.0.0.1", self._given.status)) as connection:
            connection.sendall(b"GET /-/status HTTP/1.1\r\nHost: responder\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := connection.recv(4096):
                answer += part
        told: dict[str, float] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return told


def in_threads(given: Setting, call: Callable[[], object]) -> None:
    """Measure a call: one after another, or in as many threads as are to be under way."""
    if given.in_flight == 1:
        _one_after_another(given, call)
        return
    warm_up, calls = iter(range(given.warm_up)), iter(range(given.calls))
    # What starting the threads costs is nobody's but the caller's.
    warm, begin, end = (threading.Barrier(given.in_flight + 1) for _ in range(3))
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in warm_up:
                call()
            warm.wait()
            begin.wait()
            for _ in calls:
                call()
            end.wait()
        except BaseException as error:
            failed.append(error)
            for barrier in (warm, begin, end):
                barrier.abort()

    threads = [threading.Thread(target=work) for _ in range(given.in_flight)]
    for thread in threads:
        thread.start()
    try:
        warm.wait()
        meter = Meter(given)
        begin.wait()
        end.wait()
    except threading.BrokenBarrierError:
        # The first is the cause: those who waited for it fail by that.
        raise failed[0] from None
    meter.end()
    for thread in threads:
        thread.join()


def _one_after_another(given: Setting, call: Callable[[], object]) -> None:
    for _ in range(given.warm_up):
        call()
    meter = Meter(given)
    for _ in range(given.calls):
        call()
    meter.end()


def in_tasks(
    given: Setting, opened: Callable[[Setting], AsyncIterator[Callable[[], Awaitable[object]]]]
) -> None:
    """Measure a coroutine, in as many tasks as are to be under way."""
    # A client that doesn't need it is to have the memory that it takes to itself.
    import asyncio
    from contextlib import asynccontextmanager

    async def work(call: Callable[[], Awaitable[object]], calls: int) -> None:
        left = iter(range(calls))

        async def take() -> None:
            for _ in left:
                await call()

        async with asyncio.TaskGroup() as group:
            for _ in range(given.in_flight):
                group.create_task(take())

    async def main() -> None:
        async with asynccontextmanager(opened)(given) as call:
            await work(call, given.warm_up)
            meter = Meter(given)
            await work(call, given.calls)
            meter.end()

    asyncio.run(main())


def memory() -> int:
    """Return how many bytes this process had in memory at most."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
    except OSError:
        found = None
    # What getrusage says begins with what the caller had, before this program took its place.
    return int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
