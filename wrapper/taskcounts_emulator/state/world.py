"""The jobs and tasks of an emulated account, and the operations on them.

Each method is one transaction. It first processes all events until now, so that no caller sees an outdated
state, and ends with the consequences of its own change. Safe to use from any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import (
    JobCounts,
    JobRow,
    NewJob,
    NewTask,
    Precondition,
    SqlCondition,
    TaskRow,
    TaskState,
)
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.state.lag import LagModel, sum_tallies
from taskcounts_emulator.state.lifecycle import JOB_COLUMNS
from taskcounts_emulator.state.pool import Pool, stored_pool
from taskcounts_emulator.state.rows import (
    add_job,
    add_task,
    count_tasks,
    expiry,
    find_job,
    find_task,
    job_to_change,
    oldest_tasks,
    set_pool,
    task_to_change,
)
from taskcounts_emulator.state.timeline import Timeline
from taskcounts_emulator.state.transitions import ENDED_BY_REQUEST, EXIT_CODE, TASK_COLUMNS

__all__ = ["World"]

# The columns of a job that callers can change.
_CHANGEABLE = frozenset(
    ("priority", "max_parallel", "max_retries", "max_seconds", "terminates_when_done", "kept")
)
_ENDED = ("completed", "terminating")


class World(Timeline):
    """The jobs, tasks and pools of an account over time.

    A method raises NoSuchJob or NoSuchTask if there is no job or task of the given id. A method with a
    precondition raises a Refusal if that is not met, or if the state of the job or task does not allow the
    change.
    """

    def load(
        self,
        jobs: Iterable[NewJob] = (),
        pools: Iterable[Pool] = (),
        *,
        seed: int | None = None,
        settle: float | None = None,
        lag: LagModel | None = None,
    ) -> None:
        """Add jobs, set pools and change settings: all of them, or none.

        Raises:
            EmulatorError: One of the jobs exists already.
        """
        with self._reloading(), self._transaction() as begun:
            transaction = self._set(begun, seed, settle, lag)
            for pool in pools:
                set_pool(transaction, pool)
            for job in jobs:
                try:
                    add_job(transaction, job)
                except Refusal as refusal:
                    if refusal.code not in {"JobExists", "JobBeingDeleted"}:
                        raise
                    raise EmulatorError(f"there is a job {job.id!r} already") from None
            transaction.lifecycle.settle(transaction.at)

    def pools(self) -> list[tuple[Pool, int]]:
        """Return the pools by id, each with the number of its slots that are in use."""
        with self._store.connection() as db:
            self._catch_up()
            rows = db.execute("SELECT id, behaviour, used FROM pools ORDER BY id").fetchall()
        # Pools without settings of their own have the text of `*`, including its id.
        return [(replace(stored_pool(behaviour), id=pool_id), used) for pool_id, behaviour, used in rows]

    def add_job(self, job: NewJob) -> JobRow:
        """Add a job with its tasks.

        Raises:
            Refusal: There is a job of that id.
        """
        with self._transaction() as transaction:
            add_job(transaction, job)
            transaction.lifecycle.settle(transaction.at)
            return find_job(transaction.db, job.id)

    def job(self, job_id: str) -> JobRow:
        """Return a job."""
        with self._store.connection() as db:
            self._catch_up()
            return find_job(db, job_id)

    def jobs(self, where: SqlCondition, after: str | None, limit: int) -> list[JobRow]:
        """Return the jobs that match a condition, in the order of their ids.

        Args:
            where: The condition.
            after: The id after which to begin.
            limit: The maximum number.
        """
        condition, parameters = where
        with self._store.connection() as db:
            self._catch_up()
            rows = db.execute(
                f"SELECT {JOB_COLUMNS} FROM jobs WHERE id > ? AND ({condition}) ORDER BY id LIMIT ?",
                (after or "", *parameters, limit),
            )
            return [JobRow(*row) for row in rows.fetchall()]

    def change_job(self, job_id: str, changes: Mapping[str, object], check: Precondition) -> JobRow:
        """Change columns of a job."""
        if not changes.keys() <= _CHANGEABLE:
            raise ValueError(f"not changeable: {changes.keys() - _CHANGEABLE}")
        with self._transaction() as (db, lifecycle, at):
            job = job_to_change(db, job_id, check, *_ENDED)
            assignments = "".join(f", {name} = ?" for name in changes)
            db.execute(
                f"UPDATE jobs SET modified = MAX(modified + 1, ?){assignments} WHERE number = ?",
                (at, *changes.values(), job.number),
            )
            if "max_seconds" in changes:
                expires = expiry(job.created, find_job(db, job_id).max_seconds)
                # A limit in the past takes effect now.
                expires = None if expires is None else max(expires, at)
                db.execute("UPDATE jobs SET expires = ? WHERE number = ?", (expires, job.number))
            lifecycle.transitions.touched.add(job.number)
            lifecycle.settle(at)
            return find_job(db, job_id)

    def delete_job(self, job_id: str, check: Precondition) -> None:
        """Start deleting a job."""
        with self._transaction() as (db, lifecycle, at):
            lifecycle.delete(job_to_change(db, job_id, check), at)
            lifecycle.settle(at)

    def terminate_job(self, job_id: str, reason: str | None, check: Precondition) -> JobRow:
        """Start terminating a job."""
        with self._transaction() as (db, lifecycle, at):
            job = job_to_change(db, job_id, check, *_ENDED)
            lifecycle.terminate(job, "UserTerminate" if reason is None else reason, at)
            lifecycle.settle(at)
            return find_job(db, job_id)

    def disable_job(self, job_id: str, tasks: str, check: Precondition) -> JobRow:
        """Start disabling a job.

        Args:
            job_id: The job.
            tasks: The treatment of running tasks: ``requeue``, ``terminate`` or ``wait``.
            check: The precondition of the caller.
        """
        with self._transaction() as (db, lifecycle, at):
            job = job_to_change(db, job_id, check, *_ENDED)
            if job.state == "enabling":
                raise Refusal("JobNotActive")
            if job.state != "disabled":
                lifecycle.disable(job, tasks, at)
            lifecycle.settle(at)
            return find_job(db, job_id)

    def enable_job(self, job_id: str, check: Precondition) -> JobRow:
        """Start enabling a disabled job."""
        with self._transaction() as (db, lifecycle, at):
            job = job_to_change(db, job_id, check, *_ENDED)
            if job.state != "disabled":
                raise Refusal("OperationInvalidForCurrentState", job.state)
            lifecycle.enable(job, at)
            lifecycle.settle(at)
            return find_job(db, job_id)

    def add_tasks(self, job_id: str, tasks: Sequence[NewTask]) -> list[TaskRow | Refusal]:
        """Add tasks to a job, and return for each its row or its refusal."""
        with self._transaction() as (db, lifecycle, at):
            job = job_to_change(db, job_id, lambda _: None, *_ENDED)
            added = [add_task(lifecycle, job, task, at) for task in tasks]
            lifecycle.settle(at)
        return added

    def task(self, job_id: str, task_id: str) -> TaskRow:
        """Return a task."""
        with self._store.connection() as db:
            self._catch_up()
            return find_task(db, find_job(db, job_id), task_id)

    def tasks(self, job_id: str, where: SqlCondition, after: str | None, limit: int) -> list[TaskRow]:
        """Return the tasks of a job that match a condition, in the order of their ids.

        Args:
            job_id: The job.
            where: The condition.
            after: The id after which to begin.
            limit: The maximum number.
        """
        condition, parameters = where
        with self._store.connection() as db:
            self._catch_up()
            job = find_job(db, job_id)
            rows = db.execute(
                f"SELECT {TASK_COLUMNS} FROM tasks WHERE job = ? AND id > ? AND ({condition}) "
                "ORDER BY id LIMIT ?",
                (job.number, after or "", *parameters, limit),
            )
            return [TaskRow(*row) for row in rows.fetchall()]

    def delete_task(self, job_id: str, task_id: str, check: Precondition) -> None:
        """Delete a task in any state."""
        with self._transaction() as (db, lifecycle, at):
            job = job_to_change(db, job_id, lambda _: None)
            task = task_to_change(db, job, task_id, check)
            lifecycle.transitions.delete(task)
            lifecycle.settle(at)

    def terminate_task(self, job_id: str, task_id: str, check: Precondition) -> TaskRow:
        """Terminate a task, which completes it with a failure."""
        with self._transaction() as (db, lifecycle, at):
            job = job_to_change(db, job_id, lambda _: None)
            task = task_to_change(db, job, task_id, check)
            if task.state >= TaskState.SUCCEEDED:
                raise Refusal("TaskCompleted")
            lifecycle.end(task, at, None, ENDED_BY_REQUEST)
            lifecycle.settle(at)
            return find_task(db, job, task_id)

    def reactivate_task(self, job_id: str, task_id: str, check: Precondition) -> TaskRow:
        """Return a failed task to the active state."""
        with self._transaction() as (db, lifecycle, at):
            job = job_to_change(db, job_id, lambda _: None, *_ENDED)
            task = task_to_change(db, job, task_id, check)
            if task.state < TaskState.SUCCEEDED:
                raise Refusal("TaskNotCompleted")
            if task.state == TaskState.SUCCEEDED:
                raise Refusal("TaskSucceeded")
            lifecycle.transitions.reactivate(task, at)
            lifecycle.settle(at)
            return find_task(db, job, task_id)

    def step(self, job_id: str, *, start: int = 0, succeed: int = 0, fail: int = 0) -> None:
        """Start active tasks, then complete running ones, the oldest first: all of the steps, or none.

        Raises:
            EmulatorError: There are fewer tasks in that state, or the job is not active.
        """
        with self._transaction() as (db, lifecycle, at):
            job = find_job(db, job_id)
            if start and job.state != "active":
                raise EmulatorError(f"job {job_id!r} is {job.state}, and only an active job starts tasks")
            for task in oldest_tasks(lifecycle, job, "start", "state = 0", start, "active"):
                lifecycle.transitions.start(task, at, running=True, due=None)
            busy = "state IN (1, 2)"
            for verb, wanted, exit_code, why in (("succeed", succeed, 0, None), ("fail", fail, 1, EXIT_CODE)):
                for task in oldest_tasks(lifecycle, job, verb, busy, wanted, "running"):
                    # The end of an earlier task may have ended or requeued this one.
                    for still in lifecycle.transitions.select(f"number = ? AND {busy}", (task.number,)):
                        lifecycle.end(still, at, exit_code, why)
            lifecycle.settle(at)

    def counts(self, job_id: str) -> JobCounts:
        """Return the true counts of a job."""
        with self._store.connection() as db:
            self._catch_up()
            return count_tasks(db, job_id)[2]

    def reported(self, job_id: str) -> JobCounts:
        """Return the reported counts of a job.

        Raises:
            Refusal: It is being deleted.
        """
        with self._store.connection() as db:
            at = self._catch_up()
            number, state, counts = count_tasks(db, job_id)
            if state == "deleting":
                raise Refusal("JobBeingDeleted")
            return self._reporting.reported(number, counts, at)

    def all_counts(self) -> dict[str, JobCounts]:
        """Return the true counts of all jobs by job id, the oldest job first."""
        with self._store.connection() as db:
            self._catch_up()
            rows = db.execute(
                "SELECT jobs.id, state_of.state, tasks, slots FROM jobs JOIN tallies AS state_of "
                "ON state_of.job = jobs.number ORDER BY jobs.number"
            ).fetchall()
        by_job: dict[str, list[tuple[int, int, int]]] = {}
        for job_id, *tally in rows:
            by_job.setdefault(job_id, []).append(tuple(tally))
        return {job_id: sum_tallies(tallies) for job_id, tallies in by_job.items()}
