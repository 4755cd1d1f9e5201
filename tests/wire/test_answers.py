"""Answers to one request, right and wrong, and the next request of the same client: tables of cases."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.servers import Peer, Server
from taskcounts import Snapshot
from wire.cases import FIN, RST, Case, Right, case, check, play, split
from wire.conftest import Open
from wire.framing_cases import BODILESS, CHUNKED, CODINGS, INTERIM, LEFTOVERS, LENGTHS, PLAIN, STATUS_LINES
from wire.header_cases import HEADERS
from wire.sessions import OK, Transport, body, number, whole

Serve = Callable[..., Server]
CASES: dict[str, Case] = {**LENGTHS, **CODINGS, **BODILESS, **INTERIM, **STATUS_LINES, **HEADERS}


@pytest.mark.parametrize("name", CASES)
def test_answers(open_session: Open, serve: Serve, name: str) -> None:
    """An answer is taken for what it is, or not at all, and leaves nothing to the next one."""
    check(CASES[name], open_session, serve)


@pytest.mark.parametrize("name", LEFTOVERS)
def test_leftovers(open_session: Open, serve: Serve, name: str) -> None:
    """Bytes behind an answer, at once or later, are never the answer to the next request."""
    check(LEFTOVERS[name], open_session, serve)


def chunked(job: int, size: int) -> bytes:
    """Return a whole answer in chunks of a size, after an interim one, with a trailer."""
    data = body(job)
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 102 Wait\r\n\r\n" + OK + CHUNKED + b"\r\n" + chunks + b"0\r\nx: y\r\n\r\n"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_all_splits(open_session: Open, serve: Serve, data: st.DataObject) -> None:
    """However an answer is divided into segments, it is the same answer, over one connection."""
    size = data.draw(st.sampled_from([0, 1, 50, 1000]))
    length = len(chunked(1, size) if size else whole(1))
    cuts = data.draw(st.lists(st.integers(1, length - 1), max_size=6))

    def behave(peer: Peer) -> None:
        job = number(peer.head)
        for part in split(chunked(job, size) if size else whole(job), cuts):
            play(peer, part, 0.0005)

    server = serve(behave)
    session = open_session(server)
    for job in (1, 2):
        found = session.ask(f"job-{job}")
        assert (found.task_counts.active, found.attempts) == (job, 1)
    assert server.accepted == 1


# What h11 costs is not the client's; it gets fewer of them.
STRIDE = {True: 1, False: 7}


@pytest.mark.parametrize("how", [FIN, RST])
@pytest.mark.parametrize("data", [OK + PLAIN, chunked(1, 50)], ids=["length", "chunks"])
def test_cut_at_every_byte(
    transport: Transport, open_session: Open, serve: Serve, data: bytes, how: object
) -> None:
    """Wherever an answer is cut off, it is asked for again, and what came of it leaves no trace."""
    cuts = list(range(0, len(data), STRIDE[not transport.module]))
    pending = iter(cuts)
    asked: list[int] = []

    def behave(peer: Peer) -> None:
        asked.append(number(peer.head))
        if asked.count(asked[-1]) > 1:
            peer.send(whole(asked[-1]))
        else:
            # A reset may overtake what was sent before.
            play(peer, data[: next(pending)], *([0.002] if how is RST else []), how)  # type: ignore[arg-type]

    session = open_session(serve(behave))
    for job in range(len(cuts)):
        found = session.ask(f"job-{job}")
        assert (found.task_counts.active, found.attempts) == (job, 2), job


CLOSES = {"at once": (), "a moment later": (0.01,)}


@pytest.mark.parametrize("how", [FIN, RST])
@pytest.mark.parametrize("when", CLOSES)
def test_the_end_of_a_kept_connection(open_session: Open, serve: Serve, how: object, when: str) -> None:
    """A connection that ends behind its answer, or half of it, costs the next request no attempt."""
    right = Right(connections=2), *([Right(3, 2)] if when == "at once" and how is RST else [])
    ended = case(whole(1), *CLOSES[when], how, right=right)  # type: ignore[arg-type]
    check(ended, open_session, serve)


def test_one_connection_for_all(open_session: Open, serve: Serve) -> None:
    """One request after the other goes over one connection, until the server has enough of it."""

    def behave(peer: Peer) -> None:
        job = number(peer.head)
        peer.send(whole(job, b"connection: close\r\n" if job == 3 else b""))

    server = serve(behave)
    session = open_session(server)
    assert [session.ask(f"job-{job}").task_counts.active for job in range(6)] == list(range(6))
    assert server.accepted == 2


def test_all_at_once(transport: Transport, open_session: Open, serve: Serve) -> None:
    """Many requests at once each get their own answer."""
    server = serve(lambda peer: play(peer, 0.001 * (number(peer.head) % 3), whole(number(peer.head))))
    session = open_session(server)
    for _ in range(3):
        assert session.together(f"job-{job}" for job in range(40)) == list(range(40))
    assert isinstance(session.outcome("job-7"), Snapshot)
    # Transports of the caller's keep fewer than they open.
    assert transport.module or server.accepted <= 40
