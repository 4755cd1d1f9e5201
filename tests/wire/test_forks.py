"""Processes: one that was forked has connections of its own, and one may end at any time."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from support.client import ACCESS_KEY
from support.servers import Peer, Server
from wire.sessions import answering, number

Serve = Callable[..., Server]

BEGIN = """
import os, sys, threading, time
import taskcounts
def ask(client, job):
    try:
        snapshot = client.get_job_task_counts(f"job-{job}")
    except taskcounts.TaskCountsError as error:
        return str(error)
    return snapshot.task_counts.active if snapshot.attempts == 1 else f"{snapshot.attempts} attempts"
def asked(client, *jobs):
    began = time.monotonic()
    found = [ask(client, job) for job in jobs]
    return "right" if found == list(jobs) and time.monotonic() - began < SECONDS else found
SECONDS = 2
def forked(act):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            found = act()
            print("child:", found, flush=True)
            code = 0
        finally:
            os._exit(code)
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "the child hangs"
def client(**options):
    key = taskcounts.SharedKey("myaccount", os.environ["KEY"])
    return taskcounts.TaskCountsClient(os.environ["URL"], key, timeout=5, trust_env=False, **options)
"""


def run(program: str, server: Server) -> list[str]:
    """Run a program that has clients, and return what it prints."""
    # From 3.12 on, Python warns of forks beside threads; here they are what is tried.
    found = subprocess.run(  # noqa: S603
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            BEGIN + program,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"URL": server.url, "KEY": ACCESS_KEY, "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout.splitlines()


class Noting:
    """A behaviour that notes which connection each job came over, and lets slow ones wait."""

    def __init__(self) -> None:
        self.ports: dict[int, list[int]] = {}
        self.release = threading.Event()

    def __call__(self, peer: Peer) -> None:
        """Answer; jobs from 900 on take half of a second."""
        job = number(peer.head)
        self.ports.setdefault(job, []).append(peer.socket.getpeername()[1])
        if job >= 900:
            peer.wait(0.5)
        answering(peer)


@pytest.mark.parametrize("options", ["", "concurrency=2"])
def test_a_child_has_its_own(serve: Serve, options: str) -> None:
    """A child forked beside idle connections and calls under way works at once, and so does its parent."""
    program = f"""
ours = client({options})
assert asked(ours, 1) == "right"
slow = []
threads = [threading.Thread(target=lambda job=job: slow.append(asked(ours, job))) for job in (901, 902)]
for each in threads: each.start()
time.sleep(0.2)
print("status:", forked(lambda: asked(ours, 11, 12)))
for each in threads: each.join()
print("threads:", slow)
print("parent:", asked(ours, 2, 3))
ours.close()
"""
    noting = Noting()
    assert run(program, serve(noting)) == [
        "child: right",
        "status: 0",
        "threads: ['right', 'right']",
        "parent: right",
    ]
    theirs = {noting.ports[job][0] for job in (11, 12)}
    ours = {noting.ports[job][0] for job in (1, 901, 902, 2, 3)}
    assert len(theirs) == 1
    assert not theirs & ours
    # Nothing that the parent had was lost to the child.
    assert len(ours) == 2


@pytest.mark.parametrize("options", ["", "concurrency=3"])
def test_children_at_any_time(serve: Serve, options: str) -> None:
    """Forked while threads ask, child after child works: no lock is inherited in the hands of nobody."""
    program = f"""
ours, over = client({options}), threading.Event()
# What is imported by then, no thread is importing as it is forked: Python's own locks are inherited.
assert asked(ours, 0) == "right"
wrong = []
def work(job):
    while not over.is_set():
        if asked(ours, job) != "right":
            wrong.append(job)
threads = [threading.Thread(target=work, args=(job,)) for job in (1, 2, 3, 4)]
for each in threads: each.start()
times = 0
while times < 30 and forked(lambda: asked(ours, 5, 6)) == 0:
    times += 1
over.set()
for each in threads: each.join()
print(times, wrong, asked(ours, 7))
ours.close()
"""
    lines = run(program, serve(answering))
    assert lines == ["child: right"] * 30 + ["30 [] right"]


@pytest.mark.parametrize("closer", ["child", "parent"])
def test_who_closes(serve: Serve, closer: str) -> None:
    """Closing the client in one of both processes closes nothing of the other's."""
    in_child = closer == "child"
    program = f"""
ours = client()
assert asked(ours, 1) == "right"
def act():
    found = asked(ours, 11)
    if {in_child}:
        ours.close()
    return found
if not {in_child}:
    ours.close()
    def act():
        try:
            ours.get_job_task_counts("job-11")
        except RuntimeError as error:
            return "right" if "closed" in str(error) else error
print("status:", forked(act))
print("parent:", "right" if not {in_child} else asked(ours, 2))
ours.close()
"""
    noting = Noting()
    assert run(program, serve(noting)) == ["child: right", "status: 0", "parent: right"]
    if in_child:
        assert noting.ports[1] == noting.ports[2]


@pytest.mark.parametrize("how", ["threads", "tasks"])
def test_the_end_of_a_process(serve: Serve, how: str) -> None:
    """A process may end while requests are under way, in threads that don't hold it up or in tasks."""
    programs = {
        "threads": """
ours = client()
def work():
    while True:
        ask(ours, 901)
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print("the end")
""",
        "tasks": """
import asyncio
async def main():
    key = taskcounts.SharedKey("myaccount", os.environ["KEY"])
    ours = taskcounts.AsyncTaskCountsClient(os.environ["URL"], key, trust_env=False)
    tasks = [asyncio.create_task(ours.get_job_task_counts("job-901")) for _ in range(8)]
    await asyncio.sleep(0.3)
    print("the end")
    sys.exit(0)
asyncio.run(main())
""",
    }
    server = serve(Noting())
    assert run(programs[how], server) == ["the end"]
    # They were under way.
    assert server.requests


def test_ctrl_c(serve: Serve) -> None:
    """Ctrl-C ends at once what the main thread waits for; the client lives on."""
    program = """
import signal
ours = client()
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
began = time.monotonic()
try:
    ours.get_job_task_counts("job-901", timeout=5)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - began < 0.4)
print(asked(ours, 1))
ours.close()
"""
    server = serve(lambda peer: peer.wait() if number(peer.head) > 900 else answering(peer))
    assert run(program, server) == ["interrupted True", "right"]
    assert [re.findall(rb"job-\d+", head)[0] for head in server.requests] == [b"job-901", b"job-1"]
