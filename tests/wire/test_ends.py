"""Connections that are dead, or odd from the start: what they cost, and what they never do."""

import contextlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.certificates import Authority
from support.servers import Peer, Server
from taskcounts import RetryPolicy, ServiceUnreachable, Snapshot, TaskCountsError
from wire.cases import FIN, RST, End, Write, end, play
from wire.conftest import Open
from wire.sessions import Transport, answering, number, one_line, whole

Serve = Callable[..., Server]


@contextlib.contextmanager
def pausing_after(*functions: str, seconds: float = 0.02) -> Iterator[None]:
    """Pause whenever one of these functions of C has ended in this thread: the server gets ahead."""

    def profile(_: object, event: str, function: Any) -> None:
        if event in ("c_return", "c_exception") and getattr(function, "__name__", "") in functions:
            time.sleep(seconds)

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


class Greeting(Server):
    """A server that writes something before it is asked, to whoever comes first."""

    def __init__(self, *writes: Write, tls: Any = None) -> None:
        self.writes = writes
        super().__init__(answering, tls)

    def _read(self, connection: socket.socket) -> bytes:
        if self.writes:
            writes, self.writes = self.writes, ()
            play(Peer(self, connection, b""), *writes)
        return super()._read(connection)


GREETINGS: dict[str, tuple[Write, ...]] = {
    "an answer": (whole(666),),
    "half an answer": (whole(666)[:99],),
    "garbage": (b"220 mail.example ESMTP\r\n",),
    "a byte": (b"H",),
    "the end": (FIN,),
    "a reset": (RST,),
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", GREETINGS)
def test_what_comes_before_the_first_request(
    transport: Transport, open_session: Open, authority: Authority, name: str, tls: bool
) -> None:
    """A connection over which something came before anything was asked is no connection to ask over."""
    context = authority.fresh()
    # In 1.3 the last word of the handshake is the client's, which may send its request along with it.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = Greeting(*GREETINGS[name], tls=context if tls else None)
    try:
        session = open_session(server, verify=str(authority.certificate) if tls else None)
        with pausing_after(*(["do_handshake"] if tls else ["connect", "connect_ex"])):
            found = session.outcome("job-1")
        if transport.module:
            # httpcore looks at kept connections alone, and h11 takes what came for the answer.
            assert isinstance(found, Snapshot | TaskCountsError)
            return
        assert isinstance(found, Snapshot), found
        assert found.task_counts.active == 1
        # It is a failure to connect: nothing was sent yet.
        assert found.attempts in (1, 2)
        assert session.ask("job-2").task_counts.active == 2
        assert server.accepted == 2
        assert [number(head) for head in server.requests] == [1, 2]
    finally:
        server.close()


def test_tickets_before_the_first_request(open_session: Open, serve: Serve, authority: Authority) -> None:
    """Session tickets that TLS sends after its handshake are no unasked answer."""
    server = serve(answering, authority.server)
    session = open_session(server, verify=str(authority.certificate))
    with pausing_after("do_handshake", "send"):
        assert session.ask("job-1").attempts == 1
    assert session.ask("job-2").task_counts.active == 2
    assert server.accepted == 1


class Forgetful(Server):
    """A server that keeps some connections, and can forget those that it has.

    Attributes:
        forget: What it does, instead of answering, on the connections that were there.
    """

    def __init__(self, kept: int, tls: Any = None) -> None:
        self.dead: set[int] = set()
        self.ports: set[int] = set()
        self.how: Callable[[Peer], object] = answering
        self.after: Callable[[Peer], object] = answering
        self._together = threading.Barrier(kept)
        super().__init__(self.take, tls)

    def take(self, peer: Peer) -> None:
        """Answer, or not."""
        port = peer.socket.getpeername()[1]
        if port in self.dead:
            self.how(peer)
            return
        if len(self.ports) < self._together.parties:
            self.ports.add(port)
            self._together.wait(5)
        (self.after if self.dead else answering)(peer)

    def forget(self, how: Callable[[Peer], object]) -> None:
        """From now on do this on the connections that are there."""
        self.how, self.dead = how, set(self.ports)


FORGETS: dict[str, Callable[[Peer], object]] = {
    "reset": lambda peer: end(peer, RST),
    "end": lambda peer: end(peer, FIN),
    "silence": Peer.wait,
}


@pytest.mark.parametrize("kept", [1, 6])
@pytest.mark.parametrize("name", FORGETS)
def test_dead_connections(transport: Transport, open_session: Open, name: str, kept: int) -> None:
    """A failure over a kept connection is followed by a new one, at once and uncounted if nothing came."""
    # httpcore tries one kept connection after the other, and each costs an attempt.
    kept = min(kept, 2) if transport.module else kept
    server = Forgetful(kept)
    try:
        retry = RetryPolicy(max_attempts=kept + 1 if transport.module else 2, first_pause=0)
        session = open_session(server, retry=retry, timeout=0.3)
        session.together(["job-1"] * kept)
        server.forget(FORGETS[name])
        before = server.accepted
        found = session.ask("job-2")
        assert found.task_counts.active == 2
        if transport.module:
            return
        # Silence is known by the time that it takes: that was an attempt.
        assert found.attempts == (2 if name == "silence" else 1)
        assert server.accepted == before + 1
        # The others are as old: nothing goes wrong with them, one after the other or at once.
        assert session.together(f"job-{job}" for job in range(kept)) == list(range(kept))
        assert session.ask("job-3").attempts == 1
    finally:
        server.close()


@pytest.mark.parametrize("over", ["plain", "tls"])
def test_a_dead_service(open_session: Open, authority: Authority, over: str) -> None:
    """If a new connection brings nothing either, that is an attempt: it goes on for no longer than any."""
    tls = over == "tls"
    server = Forgetful(3, authority.server if tls else None)
    try:
        session = open_session(server, verify=str(authority.certificate) if tls else None)
        session.together(["job-1"] * 3)
        server.after = FORGETS["end"]
        server.forget(FORGETS["end"])
        found = session.outcome("job-2")
        assert isinstance(found, ServiceUnreachable)
        assert found.attempts == 2
        assert one_line(found)
        assert len(server.requests) - 3 <= 4
        server.after = answering
        assert session.ask("job-3").task_counts.active == 3
    finally:
        server.close()


@pytest.mark.parametrize("how", [FIN, RST])
def test_a_kept_connection_that_breaks_off(open_session: Open, serve: Serve, how: End) -> None:
    """A kept connection that ends within an answer counts as an attempt."""

    def behave(peer: Peer) -> None:
        if len(peer.server.requests) == 2:
            play(peer, whole(2)[:40], 0.002, how)
        else:
            answering(peer)

    server = serve(behave)
    session = open_session(server)
    assert session.ask("job-1").attempts == 1
    found = session.ask("job-2")
    assert (found.task_counts.active, found.attempts, server.accepted) == (2, 2, 2)


def test_many_that_ended_meanwhile(open_session: Open) -> None:
    """Kept connections that have ended are passed over, all at once, and cost nothing."""
    server = Forgetful(12)
    try:
        session = open_session(server)
        session.together(["job-1"] * 12)
        for connection in list(server._open)[::2]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        session.pause(0.02)
        for _ in range(2):
            assert session.together(f"job-{job}" for job in range(12)) == list(range(12))
        assert len(server.requests) == 36
    finally:
        server.close()
