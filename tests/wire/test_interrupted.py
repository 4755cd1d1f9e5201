"""Exceptions out of a signal handler, at each point where one can come: nothing hangs, nothing is lost.

Python looks for signals after a call has returned, as well as between lines: what a call gave may be lost
before it has a name. What is raised within a finalizer it shows, and goes on.
"""

import contextlib
import dis
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import taskcounts
from support import ACCESS_KEY, Authority, Peer, Server
from taskcounts import TaskCountsClient
from wire.cases import FIN, play
from wire.conftest import Open, each_way
from wire.crowd import PATIENT, Crowd
from wire.ways import OWN, Session, answering, descriptors, eventually, number, whole

Serve = Callable[..., Server]
# What is made and interrupted before it has a name is closed by whoever lets go of it, with a warning.
pytestmark = [pytest.mark.usefixtures("collected"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
over_threads = pytest.mark.parametrize("way", each_way([way for way in OWN if not way.awaits]))
PACKAGE = str(Path(taskcounts.__file__).parent)


class Interruption(Exception):
    """What a signal handler raises, as Celery's SoftTimeLimitExceeded."""


@cache
def points(code: CodeType) -> frozenset[int]:
    """Return where in a function a signal may be noticed: at the beginning of a line, and after a call."""
    found, after = set(), False
    for each in dis.get_instructions(code):
        if after or each.starts_line:
            found.add(each.offset)
        after = each.opname.startswith("CALL")
    return frozenset(found)


class Tracer:
    """Raises an Interruption at one of the points within this package, from 0.

    Attributes:
        reached: Where it was, in words; empty if there is no such point.
    """

    def __init__(self, at: int) -> None:
        self._left = at
        self.reached = ""

    def __call__(self, frame: FrameType, *_: object) -> Any:
        """Trace each function of the package."""
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._within

    def _within(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "opcode" and frame.f_lasti in points(frame.f_code):
            self._left -= 1
            if self._left < 0 and not in_finalizer(frame):
                self.reached = f"{frame.f_code.co_filename}:{frame.f_lineno} at {frame.f_lasti}"
                raise Interruption
        return self._within


def in_finalizer(frame: FrameType | None) -> bool:
    """Return whether a finalizer is running."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def interrupt(session: Session, at: int) -> bool:
    """Interrupt a call at a point; return whether it had one."""
    tracer, before = Tracer(at), sys.gettrace()
    sys.settrace(tracer)
    raised: BaseException | None = None
    try:
        session.client.get_job_task_counts("job-999")
    except BaseException as error:
        raised = error
    finally:
        sys.settrace(before)
    assert isinstance(raised, Interruption if tracer.reached else type(None)), (raised, tracer.reached)
    return bool(tracer.reached)


def within(seconds: float, act: Callable[[], object]) -> None:
    """Do something in a thread of its own, in time; raise what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        assert thread.ident is not None
        raise AssertionError("".join(traceback.format_stack(sys._current_frames()[thread.ident])))
    if raised:
        raise raised[0]


def closing(peer: Peer) -> None:
    """Answer, and close: each request needs a connection of its own."""
    peer.send(whole(number(peer.head), b"connection: close\r\n"))


def ending(peer: Peer) -> None:
    """Answer, and end without a word: what is kept is dead."""
    play(peer, whole(number(peer.head)), FIN)


# The server's behaviour, the client's options, and how many points it is from one that is tried to the next.
SCENES: dict[str, tuple[Callable[[Peer], None], dict[str, Any], int]] = {
    "new connections": (closing, {}, 1),
    "a kept connection": (answering, {}, 1),
    "dead connections": (ending, {}, 2),
    "concurrency": (answering, {"concurrency": 4}, 1),
    "tls": (closing, {"verify": True}, 5),
}


@over_threads
@pytest.mark.parametrize("scene", SCENES)
def test_interrupted_at_each_point(open_session: Open, authority: Authority, scene: str) -> None:
    """Wherever a call is interrupted, the next one gets its own answer, and no place or socket is lost."""
    before = descriptors()
    behave, options, stride = SCENES[scene]
    crowd = Crowd(behave)
    secure = options.get("verify")
    server = Server(crowd, authority.server if secure else None, backlog=512)
    if secure:
        options = {"verify": str(authority.certificate)}
    session = open_session(server, **PATIENT, **options)

    def play() -> None:
        at, reached = 0, True
        while reached:
            if scene == "dead connections":
                session.together(f"job-{job}" for job in range(2))
            reached = interrupt(session, at)
            assert session.ask(f"job-{at}").task_counts.active == at, at
            at += stride
        # A call is no less than this.
        assert at > 30
        crowd.check(session, *([4] if scene == "concurrency" else []))
        session.close()

    try:
        within(30, play)
        assert eventually(lambda: not any(each.fileno() >= 0 for each in server._open))
    finally:
        server.close()
    assert eventually(lambda: descriptors() <= before), descriptors() - before


@over_threads
def test_a_signal_while_it_waits(open_session: Open, serve: Serve) -> None:
    """A handler that raises ends at once what the main thread waits for, and shows no secret on the way."""
    server = serve(lambda peer: peer.wait() if number(peer.head) == 999 else answering(peer))
    session = open_session(server)

    def handle(*_: object) -> None:
        raise Interruption

    before = signal.signal(signal.SIGALRM, handle)
    try:
        for job in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            began = time.monotonic()
            with pytest.raises(Interruption) as caught:
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
def test_signals_at_any_time(open_session: Open, serve: Serve) -> None:
    """Signals at random, for a while: calls and interruptions, and nothing else."""
    crowd = Crowd()
    server = Server(crowd, backlog=512)
    session = open_session(server, **PATIENT)
    armed = False

    def handle(_: int, frame: FrameType | None) -> None:
        nonlocal armed
        if armed and not in_finalizer(frame):
            armed = False
            raise Interruption

    before = signal.signal(signal.SIGALRM, handle)
    try:
        for job in range(400):
            with contextlib.suppress(Interruption):
                armed = True
                signal.setitimer(signal.ITIMER_REAL, 0.00002 + job * 0.0000015)
                assert session.ask(f"job-{job}").task_counts.active == job
                armed = False
            armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        crowd.check(session)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        server.close()


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
