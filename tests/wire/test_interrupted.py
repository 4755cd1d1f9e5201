"""Exceptions out of a signal handler: nothing hangs, nothing is lost, the next call gets its own answer."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import taskcounts
from support.certificates import Authority
from support.client import ACCESS_KEY
from support.servers import Behave, Peer, Server
from taskcounts import TaskCountsClient
from wire import interrupted_process
from wire.cases import FIN, play
from wire.conftest import Open, each_transport
from wire.sessions import MAX_CONNECTIONS, OWN_ENGINE, answering, eventually, number, whole

Serve = Callable[..., Server]
over_threads = pytest.mark.parametrize(
    "transport", each_transport([transport for transport in OWN_ENGINE if not transport.awaits])
)
PACKAGE = str(Path(taskcounts.__file__).parent)


def closing(peer: Peer) -> None:
    """Answer, and close: each request needs a connection of its own."""
    peer.send(whole(number(peer.head), b"connection: close\r\n"))


def ending(peer: Peer) -> None:
    """Answer, and end without a word: what is kept is dead."""
    play(peer, whole(number(peer.head)), FIN)


class Scene(NamedTuple):
    """The setting of calls that are interrupted.

    Attributes:
        behave: What the server does.
        how: At each of the points, or by signals.
        number: How many points it is from one that is tried to the next; how many signals there are.
        before: How many calls are made before each.
        places: The number of calls that may run at once.
        options: The client's options.
    """

    behave: Behave
    how: str = "points"
    number: int = 1
    before: int = 0
    places: int = MAX_CONNECTIONS
    options: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it.


SCENES = {
    "new connections": Scene(closing),
    "a kept connection": Scene(answering),
    "dead connections": Scene(ending, number=2, before=1),
    "concurrency": Scene(answering, places=4, options={"concurrency": 4}),
    "tls": Scene(closing, number=5),
    "signals": Scene(answering, "signals", 400),
    "signals and concurrency": Scene(answering, "signals", 400, places=4, options={"concurrency": 4}),
}


@pytest.mark.parametrize("name", SCENES)
def test_interrupted(authority: Authority, name: str) -> None:
    """Wherever calls are interrupted, the next one gets its own answer, and no place or socket is lost."""
    scene = SCENES[name]
    together = threading.Barrier(scene.places)

    def behave(peer: Peer) -> None:
        if number(peer.head) >= interrupted_process.CROWD:
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(5)
        scene.behave(peer)

    options = scene.options
    if name == "tls":
        options = {"verify": str(authority.certificate)}
    server = Server(behave, authority.server if name == "tls" else None, backlog=512)
    given = [scene.how, scene.number, scene.before, scene.places, json.dumps(options)]
    try:
        process = subprocess.run(  # noqa: S603
            [sys.executable, interrupted_process.__file__, server.url, *map(str, given)],
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
            env={"KEY": ACCESS_KEY, "PYTHONPATH": ":".join(filter(None, sys.path))},
        )
        assert not process.stderr, process.stderr
        assert process.stdout == "sockets: 0\n"
        assert not together.broken, "a place was lost"
        assert eventually(lambda: not any(each.fileno() >= 0 for each in server._open))
    finally:
        server.close()


@over_threads
def test_a_signal_while_it_waits(open_session: Open, serve: Serve) -> None:
    """A handler that raises ends at once what the main thread waits for, and shows no secret on the way."""
    server = serve(lambda peer: peer.wait() if number(peer.head) == 999 else answering(peer))
    session = open_session(server)

    def handle(*_: object) -> None:
        raise interrupted_process.Interruption

    before = signal.signal(signal.SIGALRM, handle)
    try:
        for job in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            began = time.monotonic()
            with pytest.raises(interrupted_process.Interruption) as caught:
                session.ask("job-999")
            assert time.monotonic() - began < 1
            assert session.ask(f"job-{job}").task_counts.active == job
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [each for each in shown.stack if each.filename.startswith(PACKAGE)]
    assert frames
    text = repr([each.locals for each in frames])
    assert "SharedKey myaccount:" not in text
    assert ACCESS_KEY not in text


@over_threads
def test_closed_while_a_thread_waits(open_session: Open, serve: Serve) -> None:
    """A thread that waits for an answer while its client is closed gets it, and none after it."""
    release = threading.Event()

    def behave(peer: Peer) -> None:
        release.wait(5)
        answering(peer)

    server = serve(behave)
    session = open_session(server)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(session.outcome("job-1")))
    thread.start()
    assert eventually(lambda: len(server.requests) == 1)
    client: TaskCountsClient = session.client
    client.close()
    release.set()
    thread.join(5)
    assert found[0].task_counts.active == 1
    with pytest.raises(RuntimeError, match="closed"):
        session.ask("job-2")
    assert eventually(lambda: not any(each.fileno() >= 0 for each in server._open))
