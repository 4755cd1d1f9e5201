"""What happens as time passes: tasks start where there are slots, and end; jobs come to their ends.

A ``Lifecycle`` belongs to one transaction. Time goes from event to event: whatever is due at a moment
happens, then waiting tasks take the slots that are free, then the lag model hears of it. All chance is fixed
by the seed, and nothing in here asks for the time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from taskcounts_emulator.model import JobRow, TaskState
from taskcounts_emulator.state.lag import Lag, LagModel
from taskcounts_emulator.state.pool import ANY, NO_NODES, Pool, Run, stored_pool
from taskcounts_emulator.state.transitions import ENDED_BY_REQUEST, EXIT_CODE, SchedulerTask, TaskTransitions

__all__ = ["JOB_COLUMNS", "Lifecycle"]

JOB_COLUMNS = ", ".join(JobRow._fields)

# What nothing in here looks at may be long.
_LIGHT_COLUMNS = ", ".join("''" if name == "kept" else name for name in JobRow._fields)
_BATCH = 20

# Each half by an index of its own; a plain OR would read all jobs.
_DUE = (
    "number IN (SELECT number FROM jobs WHERE due <= ? UNION SELECT number FROM jobs WHERE expires <= ?) "
    "ORDER BY number"
)
_BUSY = "job = ? AND state IN (1, 2)"

_NEXT = """
    SELECT MIN(at) FROM (
        SELECT MIN(due) AS at FROM tasks WHERE due IS NOT NULL
        UNION ALL SELECT MIN(due) FROM jobs WHERE due IS NOT NULL
        UNION ALL SELECT MIN(expires) FROM jobs WHERE expires IS NOT NULL
    )
"""
_JOB_STATE = """
    UPDATE jobs SET previous = state, previous_changed = changed, state = ?, changed = ?,
        modified = MAX(modified + 1, ?), due = ?
    WHERE number = ?
"""


class Lifecycle:
    """The passing of time over the jobs and tasks of a store, within one transaction.

    Args:
        db: The store's connection.
        lag: How reported counts trail the truth.
        seed: What all chance comes from.
        settle: Seconds that a job takes from disabling to disabled, and the like.

    Attributes:
        transitions: The state changes of single tasks.
    """

    def __init__(self, db: sqlite3.Connection, lag: LagModel, seed: int, settle: float) -> None:
        self._db = db
        self.lag = Lag(db, lag, seed)
        self.transitions = TaskTransitions(db, self.lag)
        self._seed = seed
        self._settle = round(settle * 1e6)
        self._pools: dict[str, Pool] = {}

    def next_event(self, after: int) -> int | None:
        """Return when something happens next; None if nothing does of itself."""
        (due,) = self._db.execute(_NEXT).fetchone()
        times = [time for time in (due, self.lag.next_pass(after)) if time is not None]
        return min(times, default=None)

    def advance(self, since: int, until: int, most: int) -> int:
        """Let everything happen that is due, up to a moment and with it.

        Args:
            since: Up to when it has happened already.
            until: The moment.
            most: After so many ends and starts of tasks it is enough for one transaction.

        Returns:
            The moment up to which everything has happened: the given one, or that of the last event.
        """
        count, last = 0, until
        while (at := self.next_event(since)) is not None and at <= until:
            if count >= most:
                return last
            # What is overdue happens at its own time, which may be before what has happened already.
            last = at
            since = max(since, at)
            if self.lag.next_pass(since - 1) == since:
                self.lag.validate(since)
            for due in self.transitions.select("due <= ? ORDER BY due, number", (at,)):
                # The end of one may have been the end of others, or have sent them back to wait.
                for task in self.transitions.select("number = ? AND due <= ?", (due.number, at)):
                    self._task_due(task, at)
                    count += 1
            for job in self._jobs(_DUE, (at, at)):
                self._job_due(job, at)
            self.settle(at)
        return until

    def settle(self, at: int) -> None:
        """Let follow what follows from the changes so far: jobs that end, tasks that start, reports.

        Every transaction that changes something ends with this.
        """
        pools: dict[str, None] = {}
        seen: set[int] = set()
        while new := sorted(self.transitions.touched - seen):
            seen.update(new)
            for job in new:
                if row := self._job(job):
                    self._check_job_end(row, at)
                    if row.pool is not None:
                        pools[row.pool.lower()] = None
        for pool in pools:
            self.fill(pool, at)
        if self.lag.follows:
            self.lag.record(sorted(self.transitions.touched), at)
        self.transitions.touched.clear()

    def fill(self, pool_id: str, at: int) -> None:
        """Let waiting tasks take a pool's free slots: the highest priority first, then the oldest."""
        pool, free = self._pool(pool_id)
        for job in self._jobs_that_wait(pool_id) if free > 0 else ():
            room = free
            if job.max_parallel >= 0:
                running = self._tally(job.number, 1, 2)
                room = min(free, job.max_parallel - running)
            if room <= 0:
                continue
            # A task that needs more than the pool has waits for ever, and must not keep others waiting.
            waiting = self.transitions.select(
                "job = ? AND state = 0 AND blockers = 0 AND slots <= ? ORDER BY number LIMIT ?",
                (job.number, pool.slots, room),
            )
            for task in waiting:
                if task.slots > free:
                    # The first in the line waits until it fits; else small tasks would pass it for ever.
                    return
                free -= task.slots
                self._start_task(job, task, pool, at)
            if free <= 0:
                return

    def resume(self, job: JobRow, at: int) -> None:
        """Let tasks go on that a scenario began in the middle of their run, if their pool has nodes."""
        if job.pool is None:
            return
        pool, _ = self._pool(job.pool)
        if pool is NO_NODES:
            return
        for task in self.transitions.select(_BUSY + " AND due IS NULL", (job.number,)):
            run = self._run(job, task, pool, 1)
            preparing = task.state == TaskState.PREPARING
            self._db.execute(
                "UPDATE tasks SET due = ? WHERE number = ?",
                (at + _microseconds(run.preparing if preparing else run.seconds), task.number),
            )

    def job_state(self, job: JobRow, state: str, at: int, due: int | None = None) -> None:
        """Let a job enter a state; ``due`` is when it leaves it of itself."""
        self._db.execute(_JOB_STATE, (state, at, at, due, job.number))

    def terminate(self, job: JobRow, reason: str | None, at: int) -> None:
        """Begin to end a job: what runs is stopped, what is active stays so and never runs."""
        self._db.execute(
            "UPDATE jobs SET terminate_reason = ?, expires = NULL WHERE number = ?", (reason, job.number)
        )
        self.job_state(job, "terminating", at, at + self._settle)
        self._stop_tasks(job, at)
        self._finish_if_immediate(job, at)

    def disable(self, job: JobRow, tasks: str, at: int) -> None:
        """Begin to disable a job: what runs is requeued, terminated or waited for."""
        self.job_state(job, "disabling", at, None if tasks == "wait" else at + self._settle)
        if tasks == "requeue":
            for task in self.transitions.select(_BUSY, (job.number,)):
                self.transitions.requeue(task, at)
        elif tasks == "terminate":
            self._stop_tasks(job, at)
        self.transitions.touched.add(job.number)
        self._finish_if_immediate(job, at)

    def enable(self, job: JobRow, at: int) -> None:
        """Begin to enable a job."""
        self.job_state(job, "enabling", at, at + self._settle)
        self._finish_if_immediate(job, at)

    def delete(self, job: JobRow, at: int) -> None:
        """Begin to delete a job."""
        self._db.execute("UPDATE jobs SET expires = NULL WHERE number = ?", (job.number,))
        self.job_state(job, "deleting", at, at + self._settle)
        self._stop_tasks(job, at)
        self._finish_if_immediate(job, at)

    def end(self, task: SchedulerTask, at: int, exit_code: int | None, failure: str | None) -> None:
        """Complete a task for good, with everything that follows for others and for its job."""
        job = self._job(task.job)
        dependency_action, job_action = _exit_actions(task, exit_code, failure)
        satisfies = dependency_action == "satisfy"
        self.transitions.end(task, at, exit_code, failure, satisfies)
        if job is None or job.state not in ("active", "disabling", "disabled", "enabling"):
            return
        action = job_action if job.acts_on_failure else "none"
        if job.manager is not None and job.manager.lower() == task.id.lower() and job.manager_ends_job:
            self.terminate(job, "JMComplete", at)
        elif action == "terminate":
            self.terminate(job, "TaskFailed", at)
        elif action == "disable" and job.state == "active":
            self.disable(job, "requeue", at)

    def _task_due(self, task: SchedulerTask, at: int) -> None:
        job = self._jobs("number = ?", (task.job,))[0]
        pool, _ = self._pool(job.pool or ANY)
        run = self._run(job, task, pool, task.runs)
        if task.state == TaskState.PREPARING:
            self.transitions.run(task, at, at + _microseconds(run.seconds))
        elif run.requeued:
            self.transitions.requeue(task, at)
        elif run.exit_code is None:
            self.end(task, at, None, ENDED_BY_REQUEST)
        elif run.exit_code == 0:
            self.end(task, at, 0, None)
        else:
            limit = job.max_retries if task.max_retries is None else task.max_retries
            if limit < 0 or task.retries < limit:
                self.transitions.retry(task, at)
            else:
                self.end(task, at, run.exit_code, EXIT_CODE)

    def _job_due(self, job: JobRow, at: int) -> None:
        """Let a job arrive where it is on its way to, or end because its time is up."""
        (expires,) = self._db.execute("SELECT expires FROM jobs WHERE number = ?", (job.number,)).fetchone()
        if expires is not None and expires <= at:
            self.terminate(job, "MaxWallClockTimeExpiry", at)
            return
        if job.state == "deleting":
            self._db.execute("DELETE FROM jobs WHERE number = ?", (job.number,))
        elif job.state == "terminating":
            self.job_state(job, "completed", at)
            self._db.execute("UPDATE jobs SET ended = ? WHERE number = ?", (at, job.number))
        else:
            self.job_state(job, {"disabling": "disabled", "enabling": "active"}[job.state], at)
        self.transitions.touched.add(job.number)
        if job.pool is not None:
            self.fill(job.pool, at)

    def _finish_if_immediate(self, job: JobRow, at: int) -> None:
        if not self._settle and (now := self._job(job.number)) is not None and now.state != "disabling":
            self._job_due(now, at)

    def _check_job_end(self, job: JobRow, at: int) -> None:
        """See whether a job has come to an end by what its tasks did."""
        if job.state == "disabling" and not self._tally(job.number, 1, 2):
            (due,) = self._db.execute("SELECT due FROM jobs WHERE number = ?", (job.number,)).fetchone()
            if due is None or not self._settle:
                self._job_due(job, at)
        elif job.state == "active" and job.terminates_when_done and not self._tally(job.number, 0, 1, 2):
            self.terminate(job, "AllTasksComplete", at)

    def _stop_tasks(self, job: JobRow, at: int) -> None:
        for task in self.transitions.select(_BUSY, (job.number,)):
            self.transitions.end(task, at, None, ENDED_BY_REQUEST, satisfies=False)
        self.transitions.touched.add(job.number)

    def _start_task(self, job: JobRow, task: SchedulerTask, pool: Pool, at: int) -> None:
        run = self._run(job, task, pool, task.runs + 1)
        prepares = run.preparing > 0
        takes = (
            _microseconds(run.preparing)
            if prepares
            else _microseconds(run.seconds, task.retries + task.requeues)
        )
        self.transitions.start(task, at, not prepares, at + takes)

    def _run(self, job: JobRow, task: SchedulerTask, pool: Pool, number: int) -> Run:
        return pool.run(
            self._seed,
            job.id,
            task.id,
            number,
            seconds=task.seconds,
            exit_codes=tuple(json.loads(task.exit_codes)) if task.exit_codes else (),
            # A run that was sent back has not ended.
            ended=number - task.requeues,
            max_seconds=task.max_seconds,
        )

    def _pool(self, pool_id: str) -> tuple[Pool, int]:
        """Return a pool, and how many of its slots are free."""
        row = self._db.execute(
            "SELECT slots - used, behaviour FROM pools WHERE id = ?", (pool_id,)
        ).fetchone()
        if row is None:
            return NO_NODES, 0
        pool = self._pools.get(row[1])
        if pool is None:
            pool = self._pools[row[1]] = stored_pool(row[1])
        return pool, row[0]

    def _tally(self, job: int, *states: int) -> int:
        marks = ", ".join(map(str, states))
        (count,) = self._db.execute(
            f"SELECT COALESCE(SUM(tasks), 0) FROM tallies WHERE job = ? AND state IN ({marks})",
            (job,),
        ).fetchone()
        return int(count)

    def _job(self, number: int) -> JobRow | None:
        return next(iter(self._jobs("number = ?", (number,))), None)

    def _jobs(self, condition: str, parameters: Iterable[object]) -> list[JobRow]:
        rows = self._db.execute(f"SELECT {_LIGHT_COLUMNS} FROM jobs WHERE {condition}", tuple(parameters))
        return [JobRow(*row) for row in rows.fetchall()]

    def _jobs_that_wait(self, pool_id: str) -> Iterator[JobRow]:
        """Yield the active jobs of a pool that have active tasks, a few at a time."""
        after: tuple[int, int] = (-(2**31), 0)
        while jobs := self._jobs(
            "pool = ? AND state = 'active' AND waiting AND (-priority, number) > (?, ?) "
            "ORDER BY -priority, number LIMIT ?",
            (pool_id, *after, _BATCH),
        ):
            yield from jobs
            after = (-jobs[-1].priority, jobs[-1].number)


def _microseconds(seconds: float, repeats: int = 0) -> int:
    """Return how long a task is prepared or runs, in microseconds: at least a millisecond.

    Tasks that fail at once and run again for ever would bring time to a stop, so a repeated run of no length
    takes a tenth of a second, which doubles with each further one up to a minute. Any other length is kept.

    Args:
        seconds: How long it is to take.
        repeats: How often the task has been sent back to run again, if it runs without being prepared.
    """
    length = round(seconds * 1e6)
    if length == 0 and repeats:
        return min(100_000 << min(repeats - 1, 10), 60_000_000)
    return max(1_000, length)


def _exit_actions(task: SchedulerTask, exit_code: int | None, failure: str | None) -> tuple[str, str]:
    """Return what follows from the end of a task, for those that depend on it and for its job.

    What ``exitConditions`` leaves open is the published default: a failure blocks, and ends the job.
    """
    options = _exit_options(json.loads(task.exit_conditions), exit_code) if task.exit_conditions else None
    if options is None:
        return ("block" if failure else "satisfy"), "none"
    return (
        (options.get("dependencyAction") or ("block" if failure else "satisfy")).lower(),
        (options.get("jobAction") or ("terminate" if failure else "none")).lower(),
    )


def _exit_options(conditions: Mapping[str, Any], exit_code: int | None) -> Mapping[str, Any] | None:
    """Return the options of the condition that holds; None if none does."""
    for entry in conditions.get("exitCodes") or ():
        if entry["code"] == exit_code:
            return entry["exitOptions"] or {}
    for entry in conditions.get("exitCodeRanges") or ():
        if exit_code is not None and entry["start"] <= exit_code <= entry["end"]:
            return entry["exitOptions"] or {}
    return conditions.get("default") if exit_code else None
