"""A process whose calls are interrupted at each point where a signal handler can raise.

Python looks for signals as a function begins and after a call has returned: what a call gave may be lost
before it has a name. What is raised within a finalizer it shows, and goes on. Run as a program by
`test_interrupted`, since what goes wrong here may hang.
"""

import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import taskcounts

PACKAGE = str(Path(taskcounts.__file__).parent)
# Jobs from this one on the server holds until as many have come as it was told.
CROWD = 5000


class Interruption(Exception):
    """An exception that a signal handler raises, as Celery raises SoftTimeLimitExceeded."""


def in_finalizer(frame: FrameType | None) -> bool:
    """Return whether a finalizer is running."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


class Tracer:
    """Raises an Interruption at one of the points within this package, from 0.

    Attributes:
        reached: Where it was, in words; empty if there is no such point.
    """

    def __init__(self, at: int) -> None:
        self._left = at
        self.reached = ""

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Profile the functions of the package: what is raised here comes out of the call that has ended."""
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE) or event not in ("call", "return", "c_return"):
            return
        if event == "return" and code.co_flags & inspect.CO_GENERATOR:
            # Also where it only yields, or is closed.
            return
        self._left -= 1
        if self._left < 0 and not in_finalizer(frame):
            self.reached = f"{code.co_filename}:{frame.f_lineno} {code.co_name}, {event}"
            raise Interruption


def active(client: taskcounts.TaskCountsClient, job: int) -> int:
    """Return how many tasks of a job are active, which is its number; the first attempt tells."""
    snapshot = client.get_job_task_counts(f"job-{job}")
    assert snapshot.attempts == 1
    return snapshot.task_counts.active


def interrupt(client: taskcounts.TaskCountsClient, at: int) -> str:
    """Interrupt a call at a point; return where that was, nothing if there is none."""
    tracer = Tracer(at)
    raised: BaseException | None = None
    sys.setprofile(tracer)
    try:
        active(client, 999)
    except BaseException as error:
        raised = error
    finally:
        sys.setprofile(None)
    if not isinstance(raised, Interruption if tracer.reached else type(None)):
        raise AssertionError(f"{raised!r} after an interruption at {tracer.reached or 'no point'}")
    return tracer.reached


def at_each_point(client: taskcounts.TaskCountsClient, stride: int, before: int) -> None:
    """Interrupt calls at all points, or each of so many; make some calls before each."""
    at, where = 0, "the beginning"
    while where:
        for job in range(before):
            active(client, job)
        where = interrupt(client, at)
        try:
            found: object = active(client, at)
        except BaseException as error:
            found = error
        if found != at:
            raise AssertionError(f"{found!r} for job {at} after an interruption at {where}")
        at += stride
    # A call is no less than this.
    assert at > 30, at


def at_any_time(client: taskcounts.TaskCountsClient, times: int, _: int) -> None:
    """Let signals interrupt calls, a little later each time."""
    armed = False

    def handle(_: int, frame: FrameType | None) -> None:
        nonlocal armed
        if armed and not in_finalizer(frame):
            armed = False
            raise Interruption

    # What is imported only now locks modules, in callbacks in which Python raises nothing.
    active(client, 0)
    signal.signal(signal.SIGALRM, handle)
    for job in range(times):
        try:
            armed = True
            signal.setitimer(signal.ITIMER_REAL, 0.00002 + job * 0.0000015)
            assert active(client, job) == job
            armed = False
        except Interruption:
            armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)


def sockets() -> int:
    """Return how many sockets this process has open."""
    return sum(
        os.path.realpath(f"/proc/self/fd/{each}").partition("/socket:")[1] != ""
        for each in os.listdir("/proc/self/fd")
    )


def main(url: str, how: str, *given: str) -> None:
    """Make a client, interrupt it, and check that all of its permits are free and no socket is left."""
    act: Callable[..., None] = {"points": at_each_point, "signals": at_any_time}[how]
    count, before, crowd, options = map(json.loads, given)
    key = taskcounts.SharedKey("myaccount", os.environ["KEY"])
    retry = taskcounts.RetryPolicy(max_attempts=2, first_pause=0)
    client = taskcounts.TaskCountsClient(
        url, key, timeout=12, deadline=15, trust_env=False, retry=retry, **options
    )
    act(client, count, before)
    # What the server ends has ended: a request over it would count twice.
    time.sleep(0.03)
    jobs = range(CROWD, CROWD + crowd)
    with ThreadPoolExecutor(crowd) as pool:
        assert list(pool.map(lambda job: active(client, job), jobs)) == list(jobs)
    client.close()
    print(f"sockets: {sockets()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
