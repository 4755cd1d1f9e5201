"""The threads of get_many: their number, and that none is left."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from support.answers import answer, error
from support.client import ENDPOINT, KEY, TOKEN
from support.clocks import FakeClock, NoPauses
from support.many import by_id, ids
from support.servers import Peer, Server, always
from support.threads import in_thread, join, until
from taskcounts import TaskCountsClient
from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.flow.drive import Stop, Stopped, run
from taskcounts.flow.steps import Flow, Pause
from taskcounts.many import threads as many_threads
from taskcounts.many.plan import PREFETCH
from taskcounts.net.limits import MAX_CONNECTIONS


def ours() -> list[threading.Thread]:
    """Return the worker threads."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("taskcounts-")]


def check_no_threads() -> None:
    """Check that all worker threads have ended, or do so soon."""
    until(lambda: not ours())


def client_for(handler: Any, **options: Any) -> TaskCountsClient:
    """Return a client that needs no socket."""
    return TaskCountsClient(ENDPOINT, KEY, transport=httpx.MockTransport(handler), **options)


def good(request: httpx.Request) -> httpx.Response:
    """Answer as the service does."""
    return answer(client_request_id=request.headers["client-request-id"]).response()


def test_no_more_threads_than_jobs() -> None:
    """There are at most as many threads as jobs, all of them daemons, and none at the end."""
    seen: list[threading.Thread] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(threading.current_thread())
        return good(request)

    with client_for(handler) as client:
        assert len(list(client.get_many(ids(3), concurrency=100))) == 3
        assert len(set(seen)) <= 3
        assert all(thread.daemon for thread in seen)
        assert ours() == []


@pytest.mark.parametrize("number", [8, MAX_CONNECTIONS])
def test_as_many_as_allowed_at_once(number: int) -> None:
    """All of the threads are used: so many jobs are asked for at once, and no more."""
    barrier = threading.Barrier(number, timeout=20)

    def handler(request: httpx.Request) -> httpx.Response:
        barrier.wait()
        return good(request)

    with client_for(handler) as client:
        assert len(list(client.get_many(ids(4 * number), concurrency=number))) == 4 * number


def test_idle_threads_come_first() -> None:
    """No other thread is started while one keeps up with the ids."""
    seen: set[threading.Thread] = set()

    def handler(request: httpx.Request) -> httpx.Response:
        seen.add(threading.current_thread())
        return good(request)

    def slow() -> Iterator[str]:
        yield "job-0"
        for n in range(1, 20):
            until(lambda: bool(results.gi_frame.f_locals["workers"]._idle))
            yield f"job-{n}"

    with client_for(handler) as client:
        results: Any = client.get_many(slow(), concurrency=8)
        assert len(list(results)) == 20
    assert len(seen) == 1


def test_idle_threads_and_new_ones() -> None:
    """If more ids come at once than threads are idle, those are woken and others started."""
    first, then = threading.Barrier(3, timeout=20), threading.Barrier(8, timeout=20)

    def handler(request: httpx.Request) -> httpx.Response:
        (first if "/early-" in request.url.path else then).wait()
        return good(request)

    def bursts() -> Iterator[str]:
        yield from ("early-1", "early-2", "early-3")
        until(lambda: len(results.gi_frame.f_locals["workers"]._idle) == 3)
        yield from ids(8)

    with client_for(handler) as client:
        results: Any = client.get_many(bursts(), concurrency=8)
        assert len(list(results)) == 11


def test_ids_are_read_in_the_callers_thread() -> None:
    """An iterator that is bound to its thread can be read; progress is told there, too."""
    database = sqlite3.connect(":memory:")
    database.executescript("create table jobs (id text); insert into jobs values ('a'), ('b'), ('c')")
    told: list[threading.Thread] = []
    with client_for(good) as client:
        rows = (row[0] for row in database.execute("select id from jobs"))
        results = list(client.get_many(rows, progress=lambda *_: told.append(threading.current_thread())))
    database.close()
    assert set(by_id(results)) == {"a", "b", "c"}
    assert set(told) == {threading.main_thread()}


@pytest.mark.parametrize("ended", ["closed", "dropped", "thrown"])
def test_closed_iterator(ended: str) -> None:
    """A loop that is left leaves no thread, and nothing more is sent."""
    sent: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(1)
        return good(request)

    with client_for(handler) as client:
        results = client.get_many((f"job-{n}" for n in range(10**6)), concurrency=16)
        next(results)
        if ended == "closed":
            results.close()
        elif ended == "thrown":
            with pytest.raises(KeyboardInterrupt):
                results.throw(KeyboardInterrupt)
        else:
            del results
            gc.collect()
        assert ours() == []
        before = len(sent)
        assert before <= 16 + PREFETCH + 1
        # The client goes on.
        assert client.get_job_task_counts("job-1").total == 12
        assert len(sent) == before + 1


def test_closed_while_the_service_is_busy() -> None:
    """Threads that pause, wait for the end of a cooldown or for a permit end at once."""
    busy = error(429, "TooManyRequests", retry_after="3000")

    def handler(request: httpx.Request) -> httpx.Response:
        return good(request) if "job-0/" in request.url.path else busy.response()

    with client_for(handler, deadline=10**6) as client:
        results = client.get_many(ids(50), concurrency=8)
        next(results)
        # Some are refused by now or soon, and the rest waits for them.
        results.close()
        check_no_threads()


def test_closed_while_threads_wait_for_a_permit() -> None:
    """Threads that wait for the client's only permit end while another call holds it."""
    with client_for(good, concurrency=1) as client:
        limiter: Any = client._settings.limiter
        permit = limiter.acquire(time.monotonic() + 20)
        results = client.get_many(["job-0", "job-1", "no id"], concurrency=8)
        assert next(results).job_id == "no id"
        until(lambda: sum(map(len, limiter._queues)) == 2)
        results.close()
        check_no_threads()
        limiter.release(permit, 200, 0)
        assert limiter.in_flight == 0
        assert client.get_job_task_counts("job-1").total == 12


def test_requests_under_way_end_by_themselves(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end waits for requests under way only a little; they end later, and send nothing more."""
    monkeypatch.setattr(many_threads, "GRACE", 0.01)
    hold = threading.Event()

    def behave(peer: Peer) -> None:
        if b"/jobs/job-0/" not in peer.head:
            hold.wait(20)
        always(answer(b"", 500))(peer)

    server = serve(behave)
    with TaskCountsClient(server.url, KEY, clock=NoPauses()) as client:
        results = client.get_many(["job-0", "job-1", "job-2"], concurrency=3)
        next(results)
        results.close()
        assert len(ours()) <= 2
        hold.set()
        check_no_threads()
    # Job 0 had its four attempts; the others none after the end.
    assert len([head for head in server.requests if b"/jobs/job-0/" not in head]) <= 2


def test_collector_may_end_it_anywhere() -> None:
    """An iterator that the garbage collector ends in a worker doesn't wait for that worker."""
    with client_for(good) as client:
        results: Any = client.get_many(ids(100), concurrency=2)
        next(results)
        workers = results.gi_frame.f_locals["workers"]
        mine, came = in_thread(
            lambda: workers._threads.append(threading.current_thread()) or workers.stop() or "ended"
        )
        join(mine)
        assert came == ["ended"]
        results.close()


def test_end_between_two_jobs() -> None:
    """A thread that becomes idle just at the end doesn't wait for another id."""
    with client_for(good) as client:
        results: Any = client.get_many(ids(1))
        next(results)
        workers = results.gi_frame.f_locals["workers"]

        class Idle(list[Any]):
            def append(self, woken: Any) -> None:
                workers._stop.is_set = True
                super().append(woken)

        workers._idle = Idle(workers._idle)
        mine, came = in_thread(lambda: workers._next_id(SimpleQueue()))
        join(mine)
        assert came == [None]
        results.close()


def test_nothing_is_sent_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that gets its token only after the end doesn't send its request."""
    monkeypatch.setattr(many_threads, "GRACE", 0.01)
    sent: list[httpx.Request] = []
    asked, go_on = threading.Event(), threading.Event()

    class Slow:
        def get_token(self, *_: str, **__: Any) -> Any:
            asked.set()
            go_on.wait(20)
            return SimpleNamespace(token=TOKEN)

    transport = httpx.MockTransport(lambda request: sent.append(request) or good(request))  # type: ignore[func-returns-value]
    with TaskCountsClient(ENDPOINT, Slow(), transport=transport) as client:
        results = client.get_many(["job-1", "no id", "no id"], concurrency=1)
        next(results)
        assert asked.wait(20)
        results.close()
        go_on.set()
        check_no_threads()
        assert sent == []


def test_stopped_flow(clock: FakeClock) -> None:
    """A stop ends a pause on the machine's clock soon, on another clock after it, and nothing follows."""
    stop, steps = Stop(), list[str]()

    def flow() -> Flow[None]:
        steps.append("begun")
        yield Pause(5)
        steps.append("paused")
        stop.is_set = True
        yield Pause(1e300)

    engine: Any = None
    with pytest.raises(Stopped):
        run(flow(), engine, clock, stop)
    assert (clock.pauses, steps) == ([5], ["begun", "paused"])
    stop.is_set = False
    threading.Timer(0.05, lambda: setattr(stop, "is_set", True)).start()
    with pytest.raises(Stopped):
        run(flow(), engine, SYSTEM_CLOCK, stop)
    assert steps == ["begun", "paused", "begun", "paused"]


def test_no_more_threads_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system gives no thread, that is the error, and the started ones end."""
    begin, begun = threading.Thread.start, list[threading.Thread]()

    def start(thread: threading.Thread) -> None:
        if thread.name == "taskcounts-3":
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with client_for(good) as client, pytest.raises(RuntimeError, match="can't start new thread"):
        list(client.get_many(ids(100), concurrency=8))
    assert len(begun) == 2
    check_no_threads()


def test_results_do_not_wait_for_ids() -> None:
    """A result that is there is handed out before a further id is read."""
    seen: list[str] = []
    seen_before: list[int] = []

    def source() -> Iterator[str]:
        for job_id in ids(10):
            # What was asked for before has been answered by now.
            until(lambda: not seen_before or workers().has_results() or not workers().pending)
            seen_before.append(len(seen))
            yield job_id

    def workers() -> Any:
        return results.gi_frame.f_locals["workers"]

    with client_for(good) as client:
        results: Any = client.get_many(source(), concurrency=4)
        seen.extend(result.job_id for result in results)
    assert all(n - 1 <= before <= n for n, before in enumerate(seen_before))


def test_sixty_four_threads(serve: Callable[..., Server]) -> None:
    """Sixty-four threads over sockets, some of them refused: each job gets the answer to its own question."""
    lock, refused = threading.Lock(), set[bytes]()

    def behave(peer: Peer) -> None:
        path = peer.head.split(b" ")[1]
        echo = peer.head.lower().split(b"client-request-id: ")[1].split(b"\r\n")[0].decode()
        with lock:
            refuse = b"0/taskcounts" in path and path not in refused
            refused.add(path)
        if refuse:
            reply = error(429, "TooManyRequests", retry_after="0", connection="keep-alive")
        else:
            number = int(path.split(b"/")[2].removeprefix(b"job-"))
            numbers = {"active": number, "running": 0, "completed": 0, "succeeded": 0, "failed": 0}
            body = {"taskCounts": numbers, "taskSlotCounts": numbers}
            reply = answer(body, client_request_id=echo, connection="keep-alive")
        peer.send(reply.raw())

    server = serve(behave)
    with TaskCountsClient(server.url, KEY, clock=NoPauses()) as client:
        results = list(client.get_many(ids(600), concurrency=64))
    assert len(results) == 600
    for result in results:
        assert result.snapshot is not None, result.error
        assert result.snapshot.task_counts.active == int(result.job_id.removeprefix("job-"))
    assert len(server.requests) > 600
    assert ours() == []


def test_many_calls_share_a_client() -> None:
    """Threads that each ask for many jobs over one limited client all come to their end."""
    under_way, most, lock = 0, 0, threading.Lock()

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.0005)
        with lock:
            under_way -= 1
        return good(request)

    found: list[int] = []
    with client_for(handler, concurrency=3) as client:

        def ask() -> None:
            found.append(len(list(client.get_many(ids(40), concurrency=8))))

        askers = [threading.Thread(target=ask) for _ in range(6)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(60)
    assert found == [40] * 6
    assert most <= 3
