"""A case: the bytes that a server writes for the first job, the outcomes that are right, and the check."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

from support.servers import Peer, Server
from taskcounts import ServiceUnreachable, Snapshot, TaskCountsError
from wire.sessions import Session, Transport, answering, number, one_line


class End(Enum):
    """The end of a connection: FIN, a reset, an end of TLS and of its socket, or an end of TLS alone."""

    FIN = "fin"
    RST = "rst"
    BYE = "bye"
    LEAVE = "leave"


FIN, RST, BYE, LEAVE = End
# Bytes; the records of one segment, where there is TLS; seconds of silence; an end.
Write = bytes | tuple[bytes, ...] | float | End


@dataclass(frozen=True)
class Right:
    """An outcome that is right.

    Attributes:
        connections: The number of connections until the second job was answered.
        attempts: The number of attempts for the first job.
        error: The class of the error, None if there are counts.
        says: A pattern that the text of the error matches, in any case.
    """

    connections: int = 1
    attempts: int = 1
    error: type[TaskCountsError] | None = None
    says: str = ""


# There are counts, and the connection serves the next request as well.
KEPT = Right()
# There are counts, and the connection isn't used again.
ENDS = Right(connections=2)


def refused(says: str = "") -> Right:
    """Return the outcome of a refused answer: a second attempt over another connection, then an error."""
    return Right(3, 2, ServiceUnreachable, says)


# As h11 and its users have it, which speak with their own words.
REFUSED = refused()
# The second job may get what was left of the first: nobody outside can see it.
LEAKS = Right(connections=0)


@dataclass(frozen=True)
class Case:
    """A server's answer to each request for the first job.

    Attributes:
        writes: Bytes, pauses in seconds, and ends.
        right: The outcomes that are right.
        h11: The outcomes over httpx and httpx2, whose parser is h11, if they differ.
        why: The reason why they differ.
    """

    writes: tuple[Write, ...]
    right: tuple[Right, ...]
    h11: tuple[Right, ...] = ()
    why: str = ""

    def expected(self, transport: Transport) -> tuple[Right, ...]:
        """Return the outcomes that are right over a transport."""
        return self.h11 if transport.module and self.h11 else self.right


def case(*writes: Write, right: Right | tuple[Right, ...], h11: object = (), why: str = "") -> Case:
    """Return a case; if no answer is right, it ends, so that nobody waits for more."""
    assert bool(h11) == bool(why), "a difference has a reason"
    rights = right if isinstance(right, tuple) else (right,)
    others = h11 if isinstance(h11, tuple) else (h11,)
    if all(each.error is ServiceUnreachable for each in rights) and not isinstance(writes[-1], End):
        writes = (*writes, FIN)
    return Case(writes, rights, others, why)


def play(peer: Peer, *writes: Write) -> None:
    """Write bytes, pause, and end the connection, as a case says."""
    for each in writes:
        if isinstance(each, bytes):
            peer.send(each)
        elif isinstance(each, tuple):
            peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            for record in each:
                peer.send(record)
            peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        elif isinstance(each, float):
            peer.wait(each)
        else:
            end(peer, each)


def end(peer: Peer, how: End) -> None:
    """End a connection."""
    if how is FIN:
        peer.socket.shutdown(socket.SHUT_WR)
    elif how in (BYE, LEAVE):
        assert isinstance(peer.socket, ssl.SSLSocket)
        peer.socket.settimeout(0)
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.socket.unwrap()
        peer.socket.settimeout(5)
        if how is BYE:
            peer.socket.close()
    else:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.socket.close()


class Played:
    """A behaviour: the answer of a case for job 1, and a right answer for each other job."""

    def __init__(self, case: Case) -> None:
        self._writes = case.writes
        self._ended = threading.Semaphore(0)

    def __call__(self, peer: Peer) -> None:
        if number(peer.head) != 1:
            answering(peer)
            return
        try:
            play(peer, *self._writes)
        finally:
            self._ended.release()

    def wait(self) -> None:
        """Wait until the answer to a request has been written."""
        assert self._ended.acquire(timeout=5)


def check(
    case: Case, open_session: Callable[..., Session], serve: Callable[..., Server], **options: Any
) -> None:
    """Ask for job 1, whose counts are 1, and for job 2, whose counts are 2, over one client.

    Args:
        case: The server's answer for job 1.
        open_session: Makes the client.
        serve: Makes the server.
        **options: The server's ``tls``, and the client's options.
    """
    played = Played(case)
    server = serve(played, options.pop("tls", None))
    session = open_session(server, **options)
    found = session.outcome("job-1")
    # What comes later than the answer has come before the next request.
    for _ in range(found.attempts):
        played.wait()
    after = session.outcome("job-2")
    expected = case.expected(session.transport)
    if expected == (LEAKS,):
        assert isinstance(found, Snapshot), found
        assert found.task_counts.active == 1
        return
    assert isinstance(after, Snapshot), (str(found), after)
    seen = Right(
        connections=server.accepted,
        attempts=found.attempts,
        error=None if isinstance(found, Snapshot) else type(found),
        says="" if isinstance(found, Snapshot) else one_line(found),
    )
    if isinstance(found, Snapshot):
        assert found.task_counts.active == 1
    # What came behind the first answer is never the second one.
    assert after.task_counts.active == 2, (str(after), seen)
    # httpcore uses a connection again whose TLS has ended before its socket.
    assert after.attempts == 1 or (session.transport.module and case.writes[-1] is LEAVE), (str(after), seen)
    assert any(_agrees(seen, each) for each in expected), (seen, expected)


def _agrees(seen: Right, right: Right) -> bool:
    if seen.error is None or right.error is None:
        same = seen.error is right.error
    else:
        same = issubclass(seen.error, right.error)
    return (
        same
        and (seen.connections, seen.attempts) == (right.connections, right.attempts)
        and re.search(right.says, seen.says, re.IGNORECASE) is not None
    )


def split(data: bytes, places: list[int]) -> list[bytes]:
    """Return data in pieces, cut at some places."""
    edges = [0, *sorted(places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges) if start < stop]
