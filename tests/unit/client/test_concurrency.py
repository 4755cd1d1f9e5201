"""One client, many threads or tasks."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from support import KEY, NoPauses, Peer, Server, always, answer, header
from taskcounts import AsyncTaskCountsClient, DeadlineExceeded, TaskCountsClient
from taskcounts._clock import SystemClock


def _counts_of(job: int) -> dict[str, dict[str, int]]:
    numbers = {"active": job, "running": 0, "completed": 0, "succeeded": 0, "failed": 0}
    return {"taskCounts": numbers, "taskSlotCounts": numbers}


def _behave(peer: Peer) -> None:
    """Answer with the number in the job's id, and with the request's own id."""
    number = re.search(rb"/jobs/job-(\d+)/", peer.head)
    assert number is not None
    echo = header(peer.head, "client-request-id") or ""
    peer.send(answer(_counts_of(int(number[1])), client_request_id=echo, connection="keep-alive").raw())


def test_threads_share_a_client(serve: Callable[..., Server]) -> None:
    """Sixteen threads over one client each get the answers to their own questions."""
    server = serve(_behave)

    def ask(thread: int) -> list[int]:
        return [client.get_job_task_counts(f"job-{thread}").task_counts.active for _ in range(5)]

    with TaskCountsClient(server.url, KEY) as client, ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == [[thread] * 5 for thread in range(16)]
    assert len(server.requests) == 80


def test_tasks_share_a_client(serve: Callable[..., Server]) -> None:
    """So do twenty tasks of an event loop."""
    server = serve(_behave)

    async def ask() -> list[int]:
        async with AsyncTaskCountsClient(server.url, KEY) as client:
            snapshots = await asyncio.gather(*[client.get_job_task_counts(f"job-{n}") for n in range(20)])
        return [snapshot.task_counts.active for snapshot in snapshots]

    assert asyncio.run(ask()) == list(range(20))


def test_deadlines_of_threads_are_their_own(serve: Callable[..., Server]) -> None:
    """A thread whose deadline passes doesn't cut short what another thread is reading."""

    def slow(peer: Peer) -> None:
        peer.wait(0.6)
        always(answer())(peer)

    server = serve(slow)

    def ask(deadline: float) -> str:
        try:
            client.get_job_task_counts("job-1", deadline=deadline)
        except DeadlineExceeded:
            return "late"
        return "in time"

    with TaskCountsClient(server.url, KEY, clock=NoPauses()) as client, ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, [0.2, 30])) == ["late", "in time"]


def test_clock_of_the_machine() -> None:
    """The default clock tells UTC, never goes back, draws within [0, 1) and really sleeps."""
    clock = SystemClock()
    first = clock.monotonic()
    clock.sleep(0.001)
    asyncio.run(clock.sleep_async(0.001))
    assert clock.monotonic() - first >= 0.002
    assert str(clock.now().tzinfo) == "UTC"
    assert all(0 <= clock.draw() < 1 for _ in range(100))
