"""Shows the whole chain without an account: ``taskcounts demo``, or ``make demo``.

It starts the emulator on a free loopback port with jobs whose tasks move by themselves, and watches them as
``taskcounts watch`` does: with a shared key, over a socket. What hurts people on the real service happens
here, too: counts trail the truth, the service throttles, an answer is broken, and tasks are added to a job
that looks done. It ends by itself, in some fifteen seconds, when each job has its verdict.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.waiting.values import Observation, Outcome, Verdict
from taskcounts_cli.input.options import Account, log_attempts
from taskcounts_cli.input.wait_options import WaitOptions
from taskcounts_cli.output.verdicts import verdict_line
from taskcounts_cli.output.viewers import StdoutLineViewer
from taskcounts_cli.screen.screen import Screen, can_animate
from taskcounts_cli.session import run_session
from taskcounts_cli.viewer import Broadcast, SessionResult, Viewer
from taskcounts_emulator import Emulator
from taskcounts_emulator.model import NewTask

# How many tasks each job has, of two slots each, and the slots of its pool.
JOBS = {"nightly-render": (90, 32), "reindex": (36, 14), "weekly-report:job-7": (12, 24)}

# The job that gets more tasks when it looks done, and how many.
LATE_JOB, LATE_TASKS = "weekly-report:job-7", 4

# Seconds: how far the counts trail behind, from one question to the next, and when the late tasks come.
# The counts say done for as long as the late tasks are late, which is long enough for a question.
DELAY, INTERVAL, LATE_AFTER = 1.5, 0.7, 0.9


def show(say: Callable[[str], object], *, pace: float = 1.0, seed: int = 7) -> None:
    """Run the demonstration.

    Args:
        say: Takes lines for stdout.
        pace: How many seconds one of its seconds takes.
        seed: What all chance comes from.

    Raises:
        RuntimeError: A verdict is wrong, or a count is.
        KeyboardInterrupt: A signal ended it.
    """
    with Emulator(seed=seed) as emulator:
        emulator.load(_scenario(pace))
        say(f"emulator: {emulator.endpoint}, account {emulator.account!r}")
        account = Account(
            endpoint=emulator.endpoint,
            account=emulator.account,
            key=emulator.key,
            key_file=None,
            auth="shared-key",
            allow_token_over_http=False,
        )
        trouble = FaultInjector(emulator, pace)
        log_attempts(verbose=False)
        result = run_session(account, list(JOBS), _options(pace), Broadcast(trouble, _view()))
        if result.interrupted is not None:
            raise KeyboardInterrupt
        say(verdict_line(result))
        _compare(emulator, result)
    say("Each verdict was checked against the emulator's own books: all are right.")


def _view() -> Viewer:
    """Return what `taskcounts watch` would show it with."""
    if can_animate(sys.stdout):
        return Screen(sys.stdout, "a demonstration; Ctrl-C ends it")
    return StdoutLineViewer()


def _scenario(pace: float) -> dict[str, object]:
    return {
        "pools": [
            {
                "id": _pool(job),
                "slots": slots,
                "preparing": 0.1 * pace,
                "duration": {"uniform": [0.5 * pace, 3 * pace]},
                "failureRate": 0.04,
            }
            for job, (_, slots) in JOBS.items()
        ],
        "lag": {"delay": DELAY * pace},
        "jobs": [
            {"id": job, "pool": _pool(job), "tasks": _tasks(job, tasks, pace)}
            for job, (tasks, _) in JOBS.items()
        ],
    }


def _tasks(job: str, number: int, pace: float) -> list[dict[str, object]]:
    """Return the tasks of a job; those of LATE_JOB end one by one, so that its counts never stand still."""
    if job != LATE_JOB:
        return [{"count": number, "requiredSlots": 2}]
    return [{"requiredSlots": 2, "seconds": (3 + n / 2) * pace, "exitCodes": [0]} for n in range(number)]


def _pool(job: str) -> str:
    return f"pool-{list(JOBS).index(job) + 1}"


def _options(pace: float) -> WaitOptions:
    return WaitOptions(
        until="done",
        timeout=120.0,
        stall=60.0,
        # Quicker than anybody should ask a service.
        interval=INTERVAL * pace,
        max_failures=10,
        fail_fast=False,
        exact_at_end=True,
        empty_is_done=False,
        service_timeout=None,
        attempt_timeout=10.0,
    )


class FaultInjector(Viewer):
    """A viewer that shows nothing: it lets things go wrong while the others look."""

    def __init__(self, emulator: Emulator, pace: float) -> None:
        """Take the emulator, and how many seconds one of the demonstration's takes."""
        self._emulator = emulator
        self._pace = pace
        self._done_at: float | None = None
        self._seen = dict.fromkeys(JOBS, 0)
        self._late = False

    def begin(self, jobs: Sequence[str]) -> None:
        """Let the service throttle one job at first."""
        self._emulator.fault("throttled", job=jobs[0], operation="Job_GetTaskCounts", times=1, retry_after=1)

    def observe(self, observation: Observation) -> None:
        """Let an answer for each job break after some, and look whether the late tasks are due."""
        self._seen[observation.job_id] += 1
        if observation.job_id == "reindex" and self._seen["reindex"] == 5:
            self._emulator.fault("wrong-shape", job="reindex", operation="Job_GetTaskCounts", times=2)
        self.tick()

    def judge(self, verdict: Verdict) -> None:
        """Leave a job alone that has its verdict."""
        self._late = self._late or verdict.job_id == LATE_JOB

    def tick(self) -> None:
        """Add tasks to a job when it is done, before the counts say so, which trail behind."""
        tasks, now = self._emulator.counts(LATE_JOB).tasks, SYSTEM_CLOCK.monotonic()
        if self._late or tasks.active or tasks.running:
            return
        self._done_at = self._done_at or now
        if now - self._done_at >= LATE_AFTER * self._pace:
            self._late = True
            self._emulator.world.add_tasks(LATE_JOB, [NewTask(f"late-{n}") for n in range(1, LATE_TASKS + 1)])


def _compare(emulator: Emulator, result: SessionResult) -> None:
    """Raise RuntimeError if a verdict isn't what the emulator knows."""
    for job in JOBS:
        verdict, true = result.verdicts[job], emulator.counts(job).tasks
        expected = Outcome.FAILED if true.failed else Outcome.MET
        told = None if verdict.snapshot is None else verdict.snapshot.task_counts
        counted = told is not None and (told.active, told.running, told.succeeded, told.failed) == (
            true.active, true.running, true.succeeded, true.failed
        )  # fmt: skip
        if verdict.outcome is not expected or not counted:
            raise RuntimeError(f"wrong: {verdict.text}, but it is {true}")
