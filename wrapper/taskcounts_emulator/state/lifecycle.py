"""The passing of time as a discrete-event simulation: tasks start in free slots and end, jobs change states.

A ``Lifecycle`` belongs to one transaction. Time advances from event to event: the due events are processed,
then waiting tasks take free slots, then the lag model is informed. The seed determines all random draws, and
no function asks for the current time.
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

# The column `kept` may be long, and is not needed here.
_LIGHT_COLUMNS = ", ".join("''" if name == "kept" else name for name in JobRow._fields)
_BATCH = 20

# A UNION uses an index for each half; an OR would read all jobs.
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
    """The jobs and tasks of a store over time, within one transaction.

    Args:
        db: The store's connection.
        lag: The lag model.
        seed: The seed of all random draws.
        settle: Seconds that a job takes from disabling to disabled, and for similar changes.

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
        """Return the time of the next event; None if there is none."""
        (due,) = self._db.execute(_NEXT).fetchone()
        times = [time for time in (due, self.lag.next_pass(after)) if time is not None]
        return min(times, default=None)

    def advance(self, since: int, until: int, most: int) -> int:
        """Process all events up to a moment.

        Args:
            since: The moment up to which events are processed already.
            until: The moment, included.
            most: The limit of task starts and ends in one transaction.

        Returns:
            The moment up to which events are processed: the given one, or that of the last event.
        """
        count, last = 0, until
        while (at := self.next_event(since)) is not None and at <= until:
            if count >= most:
                return last
            # An overdue event is processed with its own time, which can be before later processed ones.
            last = at
            since = max(since, at)
            if self.lag.next_pass(since - 1) == since:
                self.lag.validate(since)
            for due in self.transitions.select("due <= ? ORDER BY due, number", (at,)):
                # An earlier event of this moment may have ended or requeued the task.
                for task in self.transitions.select("number = ? AND due <= ?", (due.number, at)):
                    self._task_due(task, at)
                    count += 1
            for job in self._jobs(_DUE, (at, at)):
                self._job_due(job, at)
            self.settle(at)
        return until

    def settle(self, at: int) -> None:
        """Process the consequences of changes: jobs end, tasks start, counts are reported.

        Every transaction that changes something ends with this call.
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
        if self.lag.keeps_history:
            self.lag.record(sorted(self.transitions.touched), at)
        self.transitions.touched.clear()

    def fill(self, pool_id: str, at: int) -> None:
        """Start waiting tasks in a pool's free slots: by job priority, then the oldest first."""
        pool, free = self._pool(pool_id)
        for job in self._jobs_that_wait(pool_id) if free > 0 else ():
            room = free
            if job.max_parallel >= 0:
                running = self._tally(job.number, 1, 2)
                room = min(free, job.max_parallel - running)
            if room <= 0:
                continue
            # A task that needs more slots than the pool has would block the others for ever.
            waiting = self.transitions.select(
                "job = ? AND state = 0 AND blockers = 0 AND slots <= ? ORDER BY number LIMIT ?",
                (job.number, pool.slots, room),
            )
            for task in waiting:
                if task.slots > free:
                    # The first task waits until it fits; otherwise small tasks would overtake it for ever.
                    return
                free -= task.slots
                self._start_task(job, task, pool, at)
            if free <= 0:
                return

    def resume(self, job: JobRow, at: int) -> None:
        """Continue tasks that a scenario added as running or preparing, if their pool has nodes."""
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
        """Change the state of a job; ``due`` is the time of its next change, if that is automatic."""
        self._db.execute(_JOB_STATE, (state, at, at, due, job.number))

    def terminate(self, job: JobRow, reason: str | None, at: int) -> None:
        """Start terminating a job: running tasks end, active ones stay active and never run."""
        self._db.execute(
            "UPDATE jobs SET terminate_reason = ?, expires = NULL WHERE number = ?", (reason, job.number)
        )
        self.job_state(job, "terminating", at, at + self._settle)
        self._stop_tasks(job, at)
        self._finish_if_immediate(job, at)

    def disable(self, job: JobRow, tasks: str, at: int) -> None:
        """Start disabling a job, whose running tasks are requeued, terminated or waited for."""
        self.job_state(job, "disabling", at, None if tasks == "wait" else at + self._settle)
        if tasks == "requeue":
            for task in self.transitions.select(_BUSY, (job.number,)):
                self.transitions.requeue(task, at)
        elif tasks == "terminate":
            self._stop_tasks(job, at)
        self.transitions.touched.add(job.number)
        self._finish_if_immediate(job, at)

    def enable(self, job: JobRow, at: int) -> None:
        """Start enabling a job."""
        self.job_state(job, "enabling", at, at + self._settle)
        self._finish_if_immediate(job, at)

    def delete(self, job: JobRow, at: int) -> None:
        """Start deleting a job."""
        self._db.execute("UPDATE jobs SET expires = NULL WHERE number = ?", (job.number,))
        self.job_state(job, "deleting", at, at + self._settle)
        self._stop_tasks(job, at)
        self._finish_if_immediate(job, at)

    def end(self, task: SchedulerTask, at: int, exit_code: int | None, failure: str | None) -> None:
        """Complete a task, with the consequences for dependent tasks and its job."""
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
        """Complete a change of a job's state, or terminate a job whose time is up."""
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
        """Disable or terminate a job whose last task has ended."""
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
            # A requeued run does not count as ended.
            ended=number - task.requeues,
            max_seconds=task.max_seconds,
        )

    def _pool(self, pool_id: str) -> tuple[Pool, int]:
        """Return a pool and the number of its free slots."""
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
        """Yield the active jobs of a pool that have active tasks, in batches."""
        after: tuple[int, int] = (-(2**31), 0)
        while jobs := self._jobs(
            "pool = ? AND state = 'active' AND waiting AND (-priority, number) > (?, ?) "
            "ORDER BY -priority, number LIMIT ?",
            (pool_id, *after, _BATCH),
        ):
            yield from jobs
            after = (-jobs[-1].priority, jobs[-1].number)


def _microseconds(seconds: float, repeats: int = 0) -> int:
    """Return a duration in microseconds: at least a millisecond.

    Tasks that fail at once and are retried for ever would stop time, so a repeated run of zero length takes a
    tenth of a second, which doubles with each further one up to a minute. Other durations are kept.

    Args:
        seconds: The duration.
        repeats: The number of times that the task was sent back, if it runs without preparation.
    """
    length = round(seconds * 1e6)
    if length == 0 and repeats:
        return min(100_000 << min(repeats - 1, 10), 60_000_000)
    return max(1_000, length)


def _exit_actions(task: SchedulerTask, exit_code: int | None, failure: str | None) -> tuple[str, str]:
    """Return the actions of a task's end: for dependent tasks, and for its job.

    Actions that ``exitConditions`` leaves open have the published defaults: a failure blocks, and ends the
    job.
    """
    options = _exit_options(json.loads(task.exit_conditions), exit_code) if task.exit_conditions else None
    if options is None:
        return ("block" if failure else "satisfy"), "none"
    return (
        (options.get("dependencyAction") or ("block" if failure else "satisfy")).lower(),
        (options.get("jobAction") or ("terminate" if failure else "none")).lower(),
    )


def _exit_options(conditions: Mapping[str, Any], exit_code: int | None) -> Mapping[str, Any] | None:
    """Return the options of the matching exit condition; None if none matches."""
    for entry in conditions.get("exitCodes") or ():
        if entry["code"] == exit_code:
            return entry["exitOptions"] or {}
    for entry in conditions.get("exitCodeRanges") or ():
        if exit_code is not None and entry["start"] <= exit_code <= entry["end"]:
            return entry["exitOptions"] or {}
    return conditions.get("default") if exit_code else None
