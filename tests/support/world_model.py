"""A model of the emulated world in plain Python, without a database, for comparison in the laws.

It has no tallies, indexes or triggers, and computes everything anew. Times are whole seconds. Tasks have
``seconds`` and exit codes of their own, so nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from taskcounts_emulator.model import Counts, JobCounts, TaskState

ACTIVE, PREPARING, RUNNING, SUCCEEDED, FAILED = TaskState
BUSY = (PREPARING, RUNNING)
ENDED = ("completed", "terminating")


class ModelRefusal(Exception):
    """The model refuses an action.

    Attributes:
        code: The service's error code, or the name of the emulator's own error.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class ModelTask:
    id: str
    number: int
    slots: int
    seconds: int
    codes: tuple[int, ...]
    waits: set[str]
    changed: int
    state: TaskState = ACTIVE
    runs: int = 0
    retries: int = 0
    requeues: int = 0
    due: int | None = None
    started: int | None = None
    ended: int | None = None
    exit_code: int | None = None


@dataclass
class ModelJob:
    id: str
    number: int
    pool: str | None
    created: int
    changed: int
    priority: int = 0
    max_parallel: int = -1
    max_retries: int = 0
    expires: int | None = None
    ends_when_done: bool = False
    state: str = "active"
    due: int | None = None
    ended: int | None = None
    reason: str | None = None
    tasks: dict[str, ModelTask] = field(default_factory=dict)

    def having(self, *states: TaskState) -> list[ModelTask]:
        """Return the tasks in given states, the oldest first."""
        return sorted((t for t in self.tasks.values() if t.state in states), key=lambda task: task.number)

    def counts(self) -> JobCounts:
        """Return the counts of the tasks."""

        def sums(weigh: bool) -> Counts:
            by_state = {
                state: sum(t.slots if weigh else 1 for t in self.having(state)) for state in TaskState
            }
            return Counts(
                by_state[ACTIVE],
                by_state[PREPARING] + by_state[RUNNING],
                by_state[SUCCEEDED],
                by_state[FAILED],
            )

        return JobCounts(sums(False), sums(True))


class ModelWorld:
    """Jobs, tasks and pools, with the methods of the emulated world.

    Attributes:
        pools: The slots and the seconds of preparation by pool id.
        history: The counts of each job, by its number, with the times of their changes.
    """

    def __init__(self, pools: dict[str, tuple[int, int]], settle: int) -> None:
        self.pools = pools
        self.settle = settle
        self.now = 0
        self.jobs: dict[str, ModelJob] = {}
        self.history: dict[int, list[tuple[int, JobCounts]]] = {}
        self._numbers = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def job(self, job_id: str, *refused: str) -> ModelJob:
        """Return a job that can be changed."""
        job = self.jobs.get(job_id.lower())
        if job is None:
            raise ModelRefusal("NoSuchJob")
        if job.state == "deleting":
            raise ModelRefusal("JobBeingDeleted")
        if job.state in refused:
            raise ModelRefusal("JobCompleted" if job.state == "completed" else "JobBeingTerminated")
        return job

    def task(self, job_id: str, task_id: str, *refused: str) -> tuple[ModelJob, ModelTask]:
        job = self.job(job_id, *refused)
        if task_id.lower() not in job.tasks:
            raise ModelRefusal("NoSuchTask")
        return job, job.tasks[task_id.lower()]

    def advance(self, seconds: int) -> None:
        until = self.now + seconds
        while (at := min(self._times(), default=until + 1)) <= until:
            self.now = at
            for job in self._all():
                for task in sorted(job.having(*BUSY), key=lambda each: each.number):
                    if task.due is not None and task.due <= at:
                        self._task_due(job, task)
            for job in self._all():
                if at in (job.due, job.expires):
                    self._arrive(job)
            self.follow()
        self.now = until

    def follow(self) -> None:
        """Process the consequences of a change: jobs end, tasks start."""
        for job in self._all():
            if job.state == "disabling" and not job.having(*BUSY) and (job.due is None or not self.settle):
                self._arrive(job)
            elif job.state == "active" and job.ends_when_done and not job.having(ACTIVE, *BUSY):
                self.terminate(job, "AllTasksComplete")
        for pool in self.pools:
            self._fill(pool)
        for job in self._all():
            self.history.setdefault(job.number, []).append((self.now, job.counts()))

    def terminate(self, job: ModelJob, reason: str) -> None:
        job.reason, job.expires = reason, None
        self._stop(job)
        self._leave(job, "terminating")

    def disable(self, job: ModelJob, tasks: str) -> None:
        if job.state == "enabling":
            raise ModelRefusal("JobNotActive")
        if job.state == "disabled":
            return
        if tasks == "requeue":
            for task in job.having(*BUSY):
                task.requeues += 1
                self.move(task, ACTIVE)
        elif tasks == "terminate":
            self._stop(job)
        job.state, job.changed = "disabling", self.now
        job.due = None if tasks == "wait" else self.now + self.settle

    def enable(self, job: ModelJob) -> None:
        if job.state != "disabled":
            raise ModelRefusal("OperationInvalidForCurrentState")
        self._leave(job, "enabling")

    def delete(self, job: ModelJob) -> None:
        job.expires = None
        self._stop(job)
        self._leave(job, "deleting")

    def add(self, job: ModelJob, task: ModelTask) -> bool:
        """Add a task; return whether its id was free."""
        if task.id.lower() in job.tasks:
            return False
        task.waits -= {name for name, other in job.tasks.items() if other.state == SUCCEEDED}
        job.tasks[task.id.lower()] = task
        if task.state != ACTIVE:
            task.runs, task.started = 1, self.now
        if task.state >= SUCCEEDED:
            task.ended, task.exit_code = self.now, int(task.state == FAILED)
            self._set_free(job, task)
        elif task.state == RUNNING and job.pool in self.pools:
            task.due = self.now + task.seconds
        return True

    def start(self, task: ModelTask, due: int | None, preparing: bool = False) -> None:
        self.move(task, PREPARING if preparing else RUNNING)
        task.runs += 1
        task.due, task.started = due, self.now
        task.ended = task.exit_code = None

    def end(self, job: ModelJob, task: ModelTask, exit_code: int | None) -> None:
        self.move(task, SUCCEEDED if exit_code == 0 else FAILED)
        task.ended, task.exit_code = self.now, exit_code
        self._set_free(job, task)

    def move(self, task: ModelTask, state: TaskState) -> None:
        task.state, task.changed, task.due = state, self.now, None

    def used(self, pool: str) -> int:
        return sum(task.slots for job in self._all() if job.pool == pool for task in job.having(*BUSY))

    def _all(self) -> list[ModelJob]:
        return sorted(self.jobs.values(), key=lambda job: job.number)

    def _times(self) -> Iterator[int]:
        for job in self._all():
            times = (job.due, job.expires, *(task.due for task in job.tasks.values()))
            yield from (time for time in times if time is not None)

    def _leave(self, job: ModelJob, state: str) -> None:
        job.state, job.changed, job.due = state, self.now, self.now + self.settle
        if not self.settle:
            self._arrive(job)

    def _arrive(self, job: ModelJob) -> None:
        if job.expires is not None and job.expires <= self.now:
            self.terminate(job, "MaxWallClockTimeExpiry")
            return
        if job.state == "deleting":
            del self.jobs[job.id.lower()]
        else:
            arrives = {"terminating": "completed", "disabling": "disabled", "enabling": "active"}
            job.state, job.changed, job.due = arrives[job.state], self.now, None
            if job.state == "completed":
                job.ended = self.now
        if job.pool in self.pools:
            self._fill(job.pool)

    def _stop(self, job: ModelJob) -> None:
        for task in job.having(*BUSY):
            self.end(job, task, None)

    def _set_free(self, job: ModelJob, task: ModelTask) -> None:
        if task.state == SUCCEEDED:
            for other in job.tasks.values():
                other.waits.discard(task.id.lower())

    def _task_due(self, job: ModelJob, task: ModelTask) -> None:
        if task.state == PREPARING:
            self.move(task, RUNNING)
            task.started, task.due = self.now, self.now + task.seconds
            return
        code = task.codes[min(task.runs - task.requeues, len(task.codes)) - 1]
        if code and task.retries < job.max_retries:
            task.retries += 1
            self.move(task, ACTIVE)
        else:
            self.end(job, task, code)

    def _fill(self, pool: str) -> None:
        slots, preparing = self.pools[pool]
        jobs = [job for job in self._all() if job.pool == pool and job.state == "active"]
        for job in sorted(jobs, key=lambda each: -each.priority):
            for task in job.having(ACTIVE):
                if task.waits or task.slots > slots:
                    continue
                if 0 <= job.max_parallel <= len(job.having(*BUSY)):
                    break
                if task.slots > slots - self.used(pool):
                    return
                self.start(task, self.now + (preparing or task.seconds), preparing=bool(preparing))
