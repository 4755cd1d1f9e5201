"""Shows the whole chain without an account: ``taskcounts demo``, or ``make demo``.

It starts the emulator on a free loopback port with jobs whose tasks move, and asks for their counts as
anybody would: with a shared key, over a socket. It ends by itself when the jobs are done.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from taskcounts import SharedKey, Snapshot, TaskCountsClient
from taskcounts.emulator import Emulator

JOBS = {"nightly-render": 60, "reindex": 25, "weekly-report:job-7": 12}
SLOTS = 16
FAILURE_RATE = 0.08
TICK = 0.5
BAR = 30


def show(say: Callable[[str], None], tick: float = TICK, seed: int = 7) -> None:
    """Run the demonstration.

    Raises:
        RuntimeError: A job's tasks weren't all counted.
    """
    chance = random.Random(seed)  # noqa: S311 - the same show each time.
    with Emulator() as emulator:
        for job, tasks in JOBS.items():
            emulator.add_job(job, [{"count": tasks, "requiredSlots": 1 + tasks % 2}])
        say(f"emulator: {emulator.endpoint}, account {emulator.account!r}")
        with TaskCountsClient(emulator.endpoint, SharedKey(emulator.account, emulator.key)) as client:
            # One thing that goes wrong in the middle: the client waits as told, and goes on.
            emulator.fault("throttled", job="reindex", times=1, retry_after=1)
            while True:
                snapshots = [client.get_job_task_counts(job) for job in JOBS]
                say("")
                for snapshot in snapshots:
                    say(line(snapshot))
                if all(snapshot.done == snapshot.total for snapshot in snapshots):
                    break
                for job in JOBS:
                    move(emulator, job, chance)
                time.sleep(tick)
    wrong = [snapshot.job_id for snapshot in snapshots if snapshot.total != JOBS[snapshot.job_id]]
    if wrong:
        raise RuntimeError(f"counted wrong: {', '.join(wrong)}")
    say("")
    say("All jobs are done; every answer was counted right.")


def move(emulator: Emulator, job: str, chance: random.Random) -> None:
    """Let some running tasks end and some active ones start."""
    counts = emulator.counts(job).tasks
    ending = chance.randint(0, counts.running)
    failing = sum(chance.random() < FAILURE_RATE for _ in range(ending))
    emulator.step(job, succeed=ending - failing, fail=failing)
    emulator.step(job, start=min(counts.active, SLOTS - counts.running + ending))


def line(snapshot: Snapshot) -> str:
    """Return a job's counts with a bar: # succeeded, x failed, > running, . active."""
    tasks = snapshot.task_counts
    bar, drawn, passed = "", 0, 0
    for count, mark in (
        (tasks.succeeded, "#"), (tasks.failed, "x"), (tasks.running, ">"), (tasks.active, ".")
    ):  # fmt: skip
        passed += count
        end = BAR * passed // snapshot.total
        bar += mark * (end - drawn)
        drawn = end
    retried = f"  (attempt {snapshot.attempts})" if snapshot.attempts > 1 else ""
    return (
        f"{snapshot.job_id:20} [{bar}] {tasks.active:3} active {tasks.running:3} running "
        f"{tasks.succeeded:3} succeeded {tasks.failed:2} failed{retried}"
    )
