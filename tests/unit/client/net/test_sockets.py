"""What servers do on sockets: every engine makes the same of it."""

import asyncio
import gzip
import re
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import (
    COUNTS,
    KEY,
    Call,
    NoPauses,
    Peer,
    Reply,
    Server,
    always,
    answer,
    header,
    wire,
)
from taskcounts import (
    AsyncTaskCountsClient,
    ContractViolation,
    DeadlineExceeded,
    RetryPolicy,
    ServiceError,
    ServiceUnreachable,
    TaskCountsClient,
    TaskCountsError,
)


@pytest.mark.parametrize("status", [200, 400])
def test_gzip_bomb(call: Call, serve: Callable[..., Server], status: int) -> None:
    """What is compressed unasked is never inflated."""
    bomb = gzip.compress(b" " * (64 << 20), 9)
    server = serve(always(answer(bomb, status, content_encoding="gzip")))
    tracemalloc.start()
    try:
        with pytest.raises(TaskCountsError):
            call(server.url)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert b"accept-encoding: identity\r\n" in server.requests[0].lower()


@pytest.mark.parametrize("status", [200, 400])
def test_endless_body(call: Call, serve: Callable[..., Server], status: int) -> None:
    """A body is read up to a megabyte; then the connection is closed."""
    sent = 0

    def flood(peer: Peer) -> None:
        nonlocal sent
        peer.send(f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\n\r\n".encode())
        while sent < 100 << 20:
            sent += peer.socket.send(b" " * 65536)

    server = serve(flood)
    with pytest.raises(ContractViolation if status == 200 else ServiceError):
        call(server.url)
    # What the sockets' buffers hold has left as well.
    assert sent < 32 << 20


def test_client_lives_on_after_an_oversize_answer(call: Call, serve: Callable[..., Server]) -> None:
    """An answer that was cut off doesn't spoil the next one."""
    big = answer(b" " * (2 << 20), 503)
    replies = [big, answer()]
    server = serve(lambda peer: always(replies.pop(0))(peer))  # noqa: PLW0108 - another one each time.
    assert call(server.url, client={"retry": RetryPolicy(first_pause=0)}).attempts == 2


def test_answers_that_break_off(call: Call, serve: Callable[..., Server]) -> None:
    """A 200 whose body breaks off is no answer, and is asked for again."""
    whole = answer()
    half = Reply(200, {**whole.headers, "content-length": "500"}, whole.body)
    replies = [half, whole]
    server = serve(lambda peer: always(replies.pop(0))(peer))  # noqa: PLW0108 - another one each time.
    assert call(server.url, client={"clock": NoPauses()}).attempts == 2


def test_answers_that_always_break_off(call: Call, serve: Callable[..., Server]) -> None:
    """A 200 that breaks off at every attempt is unreachable, not a violation: we can't know what it said."""
    half = Reply(200, {**answer().headers, "content-length": "500"}, answer().body)
    server = serve(always(half))
    with pytest.raises(ServiceUnreachable) as caught:
        call(server.url, client={"clock": NoPauses()})
    assert caught.value.attempts == 4
    assert caught.value.__cause__ is not None


def test_errors_that_break_off(call: Call, serve: Callable[..., Server]) -> None:
    """An error whose body breaks off still has its status, which decides."""
    server = serve(always(Reply(403, {**answer().headers, "content-length": "500"}, b'{"code":')))
    with pytest.raises(ServiceError) as caught:
        call(server.url, client={"clock": NoPauses()})
    assert (caught.value.status, caught.value.code, caught.value.attempts) == (403, None, 1)


def test_server_that_hangs_up(call: Call, serve: Callable[..., Server]) -> None:
    """A connection that is closed or reset without an answer is followed by another attempt."""

    def hang_up_first(peer: Peer) -> None:
        if len(peer.server.requests) == 1:
            peer.socket.close()
        else:
            always(answer())(peer)

    server = serve(hang_up_first)
    assert call(server.url, client={"clock": NoPauses()}).attempts == 2
    assert len({header(head, "client-request-id") for head in server.requests}) == 1


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

    with (
        TaskCountsClient(server.url, KEY, clock=NoPauses()) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        assert list(pool.map(ask, [0.2, 30])) == ["late", "in time"]


BODY = wire(COUNTS)
LENGTH = b"content-length: %d\r\n" % len(BODY)
TYPE = b"content-type: application/json\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + TYPE
# What is right, though rarely seen.
SOUND: dict[str, bytes] = {
    "chunks": OK
    + b"transfer-encoding: chunked\r\n\r\n"
    + b"".join(b"%x;x=y\r\n%b\r\n" % (1, BODY[place : place + 1]) for place in range(len(BODY)))
    + b"0\r\ntrailer: x\r\n\r\n",
    "until closed": OK + b"\r\n" + BODY,
    "HTTP/1.0": OK.replace(b"1.1", b"1.0") + LENGTH + b"\r\n" + BODY,
    "no reason": OK.replace(b" OK", b" ") + LENGTH + b"\r\n" + BODY,
    "names in capitals": (OK + LENGTH).upper().replace(b"APPLICATION/JSON", b"application/json")
    + b"\r\n"
    + BODY,
    "hints before": b"HTTP/1.1 103 Early Hints\r\nage: 7\r\nx: y\r\n\r\n" + OK + LENGTH + b"\r\n" + BODY,
    "a header of 30 KB": OK + LENGTH + b"x: " + b"y" * 30_000 + b"\r\n\r\n" + BODY,
    "another alphabet": OK + LENGTH + b"x: \xff\xe9\r\n\r\n" + BODY,
    "more than it says": OK + LENGTH + b"\r\n" + BODY + b"HTTP/1.1 200 OK\r\n",
}
# What is no answer: whatever is made of it, there are no counts in it.
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"hello\r\n\r\n",
    "HTTP/0.9": BODY,
    "no status": b"HTTP/1.1 OK\r\n" + TYPE + LENGTH + b"\r\n" + BODY,
    "a status of two digits": OK.replace(b"200", b"20") + LENGTH + b"\r\n" + BODY,
    "half a head": OK,
    "a length that is none": OK + b"content-length: many\r\n\r\n" + BODY,
    "a negative length": OK + b"content-length: -1\r\n\r\n" + BODY,
    "two lengths": OK + LENGTH + b"content-length: 2\r\n\r\n" + BODY,
    "a length too long": OK + b"content-length: 9999\r\n\r\n" + BODY,
    "a chunk that is none": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "a chunk cut off": OK + b"transfer-encoding: chunked\r\n\r\nfff\r\n" + BODY,
    "no last chunk": OK + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(BODY), BODY),
    "a coding of its own": OK + b"transfer-encoding: own\r\n\r\n" + BODY,
    "endless headers": OK + b"x: y\r\n" * 200_000,
    "nothing to say": b"HTTP/1.1 204 No Content\r\n" + TYPE + b"\r\n" + BODY,
    "not modified": b"HTTP/1.1 304 Not Modified\r\n" + TYPE + b"\r\n" + BODY,
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
    + BODY,
    "elsewhere": b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\n" + LENGTH + b"\r\n" + BODY,
    "a part": OK.replace(b"200", b"206") + LENGTH + b"\r\n" + BODY,
    "compressed": OK + b"content-encoding: gzip\r\n" + LENGTH + b"\r\n" + BODY,
}


def _raw(data: bytes) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.send(data)
        peer.socket.close()

    return behave


@pytest.mark.parametrize("name", SOUND)
def test_sound_answers(call: Call, serve: Callable[..., Server], name: str) -> None:
    """Whatever HTTP allows is understood, and nothing of an interim answer taken for the answer's."""
    snapshot = call(serve(_raw(SOUND[name])).url)
    assert (snapshot.total, snapshot.attempts) == (12, 1)
    assert "age" not in [each.invariant for each in snapshot.inconsistencies]


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answers(call: Call, serve: Callable[..., Server], name: str) -> None:
    """What HTTP doesn't allow gives no counts, whatever it looks like, and nothing but our own errors."""
    server = serve(_raw(BROKEN[name]))
    with pytest.raises(TaskCountsError):
        call(server.url, client={"retry": RetryPolicy(max_attempts=1), "deadline": 5.0})
    assert len(server.requests) == 1


def test_headers_that_are_given_twice(call: Call, serve: Callable[..., Server]) -> None:
    """A header that is given twice has both values: a second echo doesn't hide somebody else's."""
    foreign = b"client-request-id: 00000000-0000-4000-8000-000000000000\r\n"

    def behave(peer: Peer) -> None:
        echo = f"client-request-id: {header(peer.head, 'client-request-id')}\r\n".encode()
        peer.send(OK + foreign + echo + LENGTH + b"\r\n" + BODY)
        peer.socket.close()

    with pytest.raises(ContractViolation, match="answers another request"):
        call(serve(behave).url)


def test_a_connection_that_was_closed_meanwhile(call: Call, serve: Callable[..., Server]) -> None:
    """A connection that the server closed while it was idle costs no attempt."""

    def behave(peer: Peer) -> None:
        peer.send(answer(connection="keep-alive").raw())
        peer.socket.close()

    server = serve(behave)

    async def ask() -> list[int]:
        async with AsyncTaskCountsClient(server.url, KEY) as client:
            first = await client.get_job_task_counts("job-1")
            await asyncio.sleep(0.1)
            return [first.attempts, (await client.get_job_task_counts("job-1")).attempts]

    if call.awaits:
        assert asyncio.run(ask()) == [1, 1]
    else:
        with TaskCountsClient(server.url, KEY) as client:
            assert client.get_job_task_counts("job-1").attempts == 1
            time.sleep(0.1)
            assert client.get_job_task_counts("job-1").attempts == 1
    assert len(server.requests) == 2


def test_what_is_sent(call: Call, serve: Callable[..., Server]) -> None:
    """Every engine sends the same: our headers, the host, and none of its own but for Accept and the like."""
    server = serve(always(answer()))
    call(server.url)
    lines = server.requests[0].decode().strip().splitlines()
    assert re.fullmatch(r"GET /jobs/job-1/taskcounts\?api-version=[0-9.-]+ HTTP/1\.1", lines[0])
    names = [line.partition(":")[0].lower() for line in lines[1:]]
    assert sorted(names) == [
        "accept",
        "accept-encoding",
        "authorization",
        "client-request-id",
        "host",
        "ocp-date",
        "return-client-request-id",
        "user-agent",
    ]


def test_an_answer_that_nobody_asked_for(call: Call, serve: Callable[..., Server]) -> None:
    """What a server sends while a connection is idle isn't taken for the next answer."""

    def behave(peer: Peer) -> None:
        peer.send(answer(connection="keep-alive").raw())
        peer.wait(0.05)
        # Right in every way, but for its numbers: it echoes nothing.
        peer.send(answer(_counts_of(666), connection="keep-alive").raw())

    server = serve(behave)

    async def ask() -> list[int]:
        async with AsyncTaskCountsClient(server.url, KEY) as client:
            totals = []
            for _ in range(3):
                totals.append((await client.get_job_task_counts("job-1")).total)
                await asyncio.sleep(0.15)
            return totals

    def ask_in_turn() -> list[int]:
        with TaskCountsClient(server.url, KEY) as client:
            totals = []
            for _ in range(3):
                totals.append(client.get_job_task_counts("job-1").total)
                time.sleep(0.15)
            return totals

    assert (asyncio.run(ask()) if call.awaits else ask_in_turn()) == [12, 12, 12]
