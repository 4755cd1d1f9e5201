"""The command ``taskcounts demo`` (``make demo``), which needs the extra ``emulator`` but no account.

It starts the emulator on a free loopback port with jobs whose tasks run by themselves, and watches them as
``taskcounts watch`` does: with a shared key, over a socket. Faults that the real service has happen here too:
counts lag, requests are throttled, an answer is broken, and tasks are added to a job that looks done. It ends
after about fifteen seconds, once each job has its verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from taskcounts.base_client import DEFAULT_API_VERSION
from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.waiting.values import Observation, Outcome, Verdict
from taskcounts_cli.exits import requires_extra
from taskcounts_cli.input.options import Account, log_attempts
from taskcounts_cli.input.wait_options import WaitOptions
from taskcounts_cli.output.verdicts import verdict_line
from taskcounts_cli.screen.stdout_viewer import stdout_viewer
from taskcounts_cli.session import run_session
from taskcounts_cli.viewer import Broadcast, SessionResult, Viewer

if TYPE_CHECKING:
    from taskcounts_emulator import Emulator

# By job: the number of its tasks, which need two slots each, and the slots of its pool.
JOBS = {"nightly-render": (90, 32), "reindex": (36, 14), "weekly-report:job-7": (12, 24)}

# The job that gets more tasks once it looks done, and how many.
LATE_JOB, LATE_TASKS = "weekly-report:job-7", 4

# Seconds: the lag of the counts, the interval between polls, and the delay of the late tasks. The counts show
# the late job as done for DELAY - LATE_AFTER, which is long enough for a poll to fall into.
DELAY, INTERVAL, LATE_AFTER = 1.5, 0.7, 0.9


@click.command
def demo() -> None:
    """Start the emulator with jobs whose tasks run, and watch them until all are done."""
    run_demo(click.echo)


def run_demo(print_line: Callable[[str], object], *, pace: float = 1.0, seed: int = 7) -> None:
    """Run the demonstration.

    Args:
        print_line: Writes a line to stdout.
        pace: The factor by which all its durations are multiplied.
        seed: The seed of all random choices.

    Raises:
        RuntimeError: A verdict or a count is wrong.
        KeyboardInterrupt: A signal ended the demonstration.
    """
    with requires_extra("emulator", "the emulator"):
        from taskcounts_emulator import Emulator  # noqa: PLC0415 - an extra.

    with Emulator(seed=seed) as emulator:
        emulator.load(_scenario(pace))
        print_line(f"emulator: {emulator.endpoint}, account {emulator.account!r}")
        account = Account(
            endpoint=emulator.endpoint,
            account=emulator.account,
            key=emulator.key,
            key_file=None,
            auth="shared-key",
            allow_token_over_http=False,
            api_version=DEFAULT_API_VERSION,
        )
        log_attempts(verbose=False)
        viewers = Broadcast(FaultInjector(emulator, pace), stdout_viewer("a demonstration; Ctrl-C ends it"))
        # Polls come more often than anybody should ask a real service.
        options = WaitOptions(
            until="done",
            deadline=120.0,
            attempt_timeout=10.0,
            others={"stall": 60.0, "interval": INTERVAL * pace, "exact_at_end": True},
        )
        result = run_session(account, list(JOBS), options, viewers)
        if result.interrupted is not None:
            raise KeyboardInterrupt
        print_line(verdict_line(result))
        _check(emulator, result)
    print_line("Each verdict was checked against the emulator's own books: all are right.")


def _scenario(pace: float) -> dict[str, object]:
    return {
        "pools": [
            {
                "id": f"pool-{number}",
                "slots": slots,
                "preparing": 0.1 * pace,
                "duration": {"uniform": [0.5 * pace, 3 * pace]},
                "failureRate": 0.04,
            }
            for number, (_, slots) in enumerate(JOBS.values())
        ],
        "lag": {"delay": DELAY * pace},
        "jobs": [
            {"id": job, "pool": f"pool-{number}", "tasks": _tasks(job, tasks, pace)}
            for number, (job, (tasks, _)) in enumerate(JOBS.items())
        ],
    }


def _tasks(job: str, number: int, pace: float) -> list[dict[str, object]]:
    """Return the tasks of a job; those of LATE_JOB end one by one, so that its counts keep changing."""
    if job != LATE_JOB:
        return [{"count": number, "requiredSlots": 2}]
    return [{"requiredSlots": 2, "seconds": (3 + n / 2) * pace, "exitCodes": [0]} for n in range(number)]


class FaultInjector(Viewer):
    """A viewer that displays nothing but makes the emulator go wrong while the jobs are watched."""

    def __init__(self, emulator: Emulator, pace: float) -> None:
        """Take the emulator, and the factor of all durations."""
        self._emulator = emulator
        self._pace = pace
        self._done_at: float | None = None
        self._polls = dict.fromkeys(JOBS, 0)
        self._tasks_added = False

    def begin(self, jobs: Sequence[str]) -> None:
        """Throttle the first request for one job."""
        self._emulator.fault("throttled", job=jobs[0], operation="Job_GetTaskCounts", times=1, retry_after=1)

    def observe(self, observation: Observation) -> None:
        """Break two answers after the fifth poll of a job, and add the late tasks if they are due."""
        self._polls[observation.job_id] += 1
        if observation.job_id == "reindex" and self._polls["reindex"] == 5:
            self._emulator.fault("wrong-shape", job="reindex", operation="Job_GetTaskCounts", times=2)
        self.tick()

    def judge(self, verdict: Verdict) -> None:
        """Add no tasks to a job that has its verdict."""
        self._tasks_added = self._tasks_added or verdict.job_id == LATE_JOB

    def tick(self) -> None:
        """Add tasks to LATE_JOB after its last task ended, before the lagging counts show that end."""
        from taskcounts_emulator.model import NewTask  # noqa: PLC0415 - an extra.

        tasks, now = self._emulator.counts(LATE_JOB).tasks, SYSTEM_CLOCK.monotonic()
        if self._tasks_added or tasks.active or tasks.running:
            return
        self._done_at = self._done_at or now
        if now - self._done_at >= LATE_AFTER * self._pace:
            self._tasks_added = True
            self._emulator.world.add_tasks(LATE_JOB, [NewTask(f"late-{n}") for n in range(1, LATE_TASKS + 1)])


def _check(emulator: Emulator, result: SessionResult) -> None:
    """Raise RuntimeError if a verdict or its counts differ from the emulator's own."""
    for job in JOBS:
        verdict, true = result.verdicts[job], emulator.counts(job).tasks
        expected = Outcome.FAILED if true.failed else Outcome.MET
        counts = None if verdict.snapshot is None else verdict.snapshot.task_counts
        names = ("active", "running", "succeeded", "failed")
        right = counts is not None and all(getattr(counts, name) == getattr(true, name) for name in names)
        if verdict.outcome is not expected or not right:
            raise RuntimeError(f"wrong: {verdict.text}, but the job's counts are {true}")
