"""Calls that are cancelled, at each point where they can be: nothing is lost, nothing left open."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from support.certificates import Authority
from support.proxies import Proxy
from support.servers import Peer, Server
from taskcounts import Snapshot
from wire.capacity import PATIENT, Capacity
from wire.cases import FIN, play
from wire.conftest import Jump, Open, each_transport
from wire.sessions import TRANSPORTS, Session, Transport, answering, descriptors, eventually, number, whole

Serve = Callable[..., Server]
pytestmark = pytest.mark.usefixtures("collected")
over_own_engine = pytest.mark.parametrize(
    "transport",
    each_transport([transport for transport in TRANSPORTS if transport.awaits and not transport.module]),
)
over_async = pytest.mark.parametrize(
    "transport", each_transport([transport for transport in TRANSPORTS if transport.awaits])
)


class Cancelled:
    """An awaitable that runs a coroutine, and cancels its task at one of the points where that waits.

    Args:
        made: The coroutine.
        at: At which point, from 0.
        done: Whether to do so as what it waits for comes, and not before.

    Attributes:
        reached: Whether there was such a point.
    """

    def __init__(self, made: Coroutine[Any, Any, Any], at: int, done: bool) -> None:
        self._made = made
        self._at = at
        self._done = done
        self.reached = False

    def __await__(self) -> Generator[Any, Any, Any]:
        step, value, task = self._made.send, None, asyncio.current_task()
        assert task is not None
        while True:
            try:
                waits_for = step(value)
            except StopIteration as end:
                return end.value
            if self._at == 0:
                self.reached = True
                if self._done and isinstance(waits_for, asyncio.Future):
                    # Before the task itself is told.
                    waits_for.add_done_callback(lambda _: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
            self._at -= 1
            try:
                yield waits_for
                step, value = self._made.send, None
            except BaseException as error:
                step, value = self._made.throw, error


def cancel(session: Session, at: int, done: bool) -> bool:
    """Cancel a call at a point; return whether it had one."""
    cancelled = Cancelled(session.client.get_job_task_counts("job-999"), at, done)

    async def call() -> object:
        return await asyncio.gather(cancelled, return_exceptions=True)

    (outcome,) = session.run(call())
    assert isinstance(outcome, asyncio.CancelledError | Snapshot), outcome
    return cancelled.reached


def closing(peer: Peer) -> None:
    """Answer, and close: each request needs a connection of its own."""
    peer.send(whole(number(peer.head), b"connection: close\r\n"))


def ending(peer: Peer) -> None:
    """Answer, and end without a word: what is kept is dead."""
    play(peer, whole(number(peer.head)), FIN)


def cut_first(peer: Peer) -> None:
    """Answer half of it to every second request."""
    if len(peer.server.requests) % 2:
        play(peer, whole(number(peer.head))[:50], FIN)
    else:
        answering(peer)


SCENES = {
    "new connections": closing,
    "a kept connection": answering,
    "dead connections": ending,
    "stale connections": answering,
    "another attempt": cut_first,
    "tls": closing,
    "a tunnel": closing,
}


@over_own_engine
@pytest.mark.parametrize("scene", SCENES)
def test_cancelled_at_each_point(open_session: Open, authority: Authority, jump: Jump, scene: str) -> None:
    """Wherever a call is cancelled, the next one gets its own answer, and no place or socket is lost."""
    before = descriptors()
    capacity = Capacity(SCENES[scene])
    secure = scene in ("tls", "a tunnel")
    with contextlib.ExitStack() as stack:
        server = Server(capacity, authority.server if secure else None, backlog=512)
        stack.callback(server.close)
        options: dict[str, Any] = {"verify": str(authority.certificate)} if secure else {}
        if scene == "a tunnel":
            proxy = Proxy(server.port)
            stack.callback(proxy.close)
            options["proxy"] = proxy.url
        session = open_session(server, **options, **PATIENT)
        points = 0
        for done in (False, True):
            at, reached = 0, True
            while reached:
                if scene in ("dead connections", "stale connections"):
                    session.together(f"job-{job}" for job in range(3))
                if scene == "stale connections":
                    jump(61)
                reached = cancel(session, at, done)
                assert session.ask(f"job-{at}").task_counts.active == at, (at, done)
                at += 1
                points += reached
        assert points >= 2
        if scene != "another attempt":
            capacity.check(session)
        session.close()
        assert eventually(lambda: not live(server))
    assert eventually(lambda: descriptors() <= before), descriptors() - before


def live(server: Server) -> int:
    """Return how many connections a server has that haven't ended."""
    return sum(each.fileno() >= 0 for each in server._open)


@over_own_engine
def test_cancelled_while_waiting_for_a_place(open_session: Open) -> None:
    """A call that is cancelled before its turn takes no place with it."""
    capacity = Capacity()
    server = Server(capacity, backlog=512)
    try:
        session = open_session(server, **PATIENT)

        async def play() -> None:
            for at in range(4):
                for done in (False, True):
                    crowd_task = asyncio.gather(
                        *(session.client.get_job_task_counts(f"job-{job}") for job in range(300))
                    )
                    waiting = Cancelled(session.client.get_job_task_counts("job-999"), at, done)
                    await asyncio.sleep(0)
                    task = asyncio.ensure_future(waiting)
                    found = await crowd_task
                    assert [each.task_counts.active for each in found] == list(range(300))
                    await asyncio.gather(task, return_exceptions=True)

        session.run(play())
        capacity.check(session)
    finally:
        server.close()


@over_async
@pytest.mark.parametrize("scene", ["new connections", "a kept connection"])
def test_the_next_call_over_any_transport(
    transport: Transport, open_session: Open, serve: Serve, scene: str
) -> None:
    """Whatever transport it is that a cancelled call goes over, the next one gets its own answer."""
    session = open_session(serve(SCENES[scene]))
    for done in (False, True):
        at, reached = 0, True
        while reached:
            reached = cancel(session, at, done)
            assert session.ask(f"job-{at}").task_counts.active == at, (at, done)
            at += 1


@over_own_engine
def test_cancelled_while_it_closes(open_session: Open) -> None:
    """Closing that is cancelled has closed, or can be gone on with; nothing stays open."""
    before = descriptors()
    server = Server(answering)
    session = open_session(server)
    session.together(f"job-{job}" for job in range(8))

    async def close() -> None:
        task = asyncio.ensure_future(session.client.close())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await session.client.close()

    session.run(close())
    session.pause(0.01)
    assert eventually(lambda: not live(server))
    server.close()
    session.close()
    assert eventually(lambda: descriptors() <= before)


@over_own_engine
@pytest.mark.parametrize("waits", [False, True], ids=["under way", "in the queue"])
def test_closed_meanwhile(open_session: Open, serve: Serve, waits: bool) -> None:
    """Calls under way when the client is closed hear of it at once."""
    server = Server(Peer.wait, backlog=512)
    try:
        session = open_session(server)

        async def play() -> list[Any]:
            calls = [session.client.get_job_task_counts(f"job-{job}") for job in range(300 if waits else 3)]
            tasks = asyncio.gather(*calls, return_exceptions=True)
            while len(server.requests) < (256 if waits else 3):  # noqa: ASYNC110 - another thread's list.
                await asyncio.sleep(0.005)
            await session.client.close()
            return await asyncio.wait_for(tasks, 2)

        assert {str(each).partition("closed")[1] for each in session.run(play())} == {"closed"}
    finally:
        server.close()
