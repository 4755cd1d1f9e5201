"""Queries and insertions of jobs, tasks and pools, in a transaction of the caller."""

from __future__ import annotations

import sqlite3
from typing import Any

from taskcounts_emulator.errors import EmulatorError, NoSuchJob, NoSuchTask
from taskcounts_emulator.model import (
    JOB_ID,
    TASK_ID,
    JobCounts,
    JobRow,
    NewJob,
    NewTask,
    Precondition,
    TaskRow,
)
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.state.lag import sum_tallies
from taskcounts_emulator.state.lifecycle import JOB_COLUMNS, Lifecycle
from taskcounts_emulator.state.pool import ANY, Pool
from taskcounts_emulator.state.timeline import Transaction
from taskcounts_emulator.state.transitions import SCHEDULER_COLUMNS, TASK_COLUMNS, SchedulerTask

__all__ = [
    "add_job",
    "add_task",
    "count_tasks",
    "expiry",
    "find_job",
    "find_task",
    "job_to_change",
    "oldest_tasks",
    "set_pool",
    "task_to_change",
]

_ADD_JOB = """
    INSERT INTO jobs (id, state, pool, created, modified, changed, started, priority, max_parallel,
        max_retries, max_seconds, uses_dependencies, terminates_when_done, acts_on_failure, manager,
        manager_ends_job, kept, expires)
    VALUES (?, 'active', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COUNTED = """
    SELECT tallies.state, tasks, slots, number, jobs.state
    FROM jobs JOIN tallies ON tallies.job = jobs.number WHERE jobs.id = ?
"""


def find_job(db: sqlite3.Connection, job_id: str) -> JobRow:
    """Return a job.

    Raises:
        NoSuchJob: There is none of that id.
    """
    row = None
    # An invalid id may contain characters that SQLite refuses, such as half of a surrogate pair.
    if JOB_ID.fullmatch(job_id):
        row = db.execute(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise NoSuchJob(job_id)
    return JobRow(*row)


def find_task(db: sqlite3.Connection, job: JobRow, task_id: str) -> TaskRow:
    """Return a task of a job.

    Raises:
        NoSuchTask: There is none of that id.
    """
    return TaskRow(*_task(db, job, task_id, TASK_COLUMNS))


def job_to_change(db: sqlite3.Connection, job_id: str, check: Precondition, *refused: str) -> JobRow:
    """Return a job that may be changed.

    Args:
        db: The store's connection.
        job_id: The job.
        check: The precondition of the caller.
        refused: States in which it cannot be changed.

    Raises:
        NoSuchJob: There is none of that id.
        Refusal: The state or the precondition does not allow it.
    """
    job = find_job(db, job_id)
    check(job)
    if job.state == "deleting":
        raise Refusal("JobBeingDeleted")
    if job.state in refused:
        raise Refusal("JobCompleted") if job.state == "completed" else Refusal("JobBeingTerminated")
    return job


def task_to_change(db: sqlite3.Connection, job: JobRow, task_id: str, check: Precondition) -> SchedulerTask:
    """Return a task that is about to change.

    Raises:
        NoSuchTask: There is none of that id.
        Refusal: The precondition is not met.
    """
    check(find_task(db, job, task_id))
    return SchedulerTask(*_task(db, job, task_id, SCHEDULER_COLUMNS))


def oldest_tasks(  # noqa: PLR0917 - what is wanted, and how its lack is told.
    lifecycle: Lifecycle, job: JobRow, verb: str, condition: str, wanted: int, state: str
) -> list[SchedulerTask]:
    """Return the oldest tasks that match a condition, those in the latest state first.

    Raises:
        EmulatorError: There are fewer.
    """
    found = lifecycle.transitions.select(
        f"job = ? AND {condition} ORDER BY state DESC, number LIMIT ?", (job.number, wanted)
    )
    if len(found) < wanted:
        raise EmulatorError(f"job {job.id!r}: {wanted} tasks are to {verb}, and {len(found)} are {state}")
    return found


def count_tasks(db: sqlite3.Connection, job_id: str) -> tuple[int, str, JobCounts]:
    """Return a job's number, its state, and its true counts.

    Raises:
        NoSuchJob: There is none of that id.
    """
    # As in `find_job`. One query, since this is the most frequent operation.
    rows = db.execute(_COUNTED, (job_id,)).fetchall() if JOB_ID.fullmatch(job_id) else []
    if not rows:
        raise NoSuchJob(job_id)
    return rows[0][3], rows[0][4], sum_tallies(rows)


def add_job(transaction: Transaction, new: NewJob) -> None:
    """Add a job with its tasks.

    Raises:
        Refusal: There is a job of that id, or two of its tasks have the same id.
    """
    db, lifecycle, at = transaction
    if new.pool is not None:
        _know_pool(db, new.pool)
    try:
        number = db.execute(
            _ADD_JOB,
            (
                new.id, new.pool, at, at, at, at, new.priority, new.max_parallel, new.max_retries,
                new.max_seconds, new.uses_dependencies, new.terminates_when_done, new.acts_on_failure,
                new.manager and new.manager.id, new.manager_ends_job, new.kept, expiry(at, new.max_seconds),
            ),
        ).lastrowid  # fmt: skip
    except sqlite3.IntegrityError:
        if find_job(db, new.id).state == "deleting":
            raise Refusal("JobBeingDeleted") from None
        raise Refusal("JobExists") from None
    lifecycle.transitions.touched.add(number or 0)
    job = find_job(db, new.id)
    for tasks in (() if new.manager is None else (new.manager,), new.tasks):
        for task in tasks:
            if isinstance(added := add_task(lifecycle, job, task, at), Refusal):
                raise added
    lifecycle.resume(job, at)


def add_task(lifecycle: Lifecycle, job: JobRow, new: NewTask, at: int) -> TaskRow | Refusal:
    """Add a task to a job, and return its row or the refusal."""
    if (new.depends_on or new.depends_on_ranges) and not job.uses_dependencies:
        # The reference has a code of its own for this, TaskDependenciesNotSpecifiedOnJob. People got this one
        # (Azure/azure-sdk-for-python#27859 and #42399).
        return Refusal("UnsupportedProperty", "dependsOn", "", "The job does not use task dependencies")
    return lifecycle.transitions.add(job, new, at) or Refusal("TaskExists")


def expiry(created: int, seconds: float | None) -> int | None:
    """Return the time limit of a job."""
    return None if seconds is None else created + round(seconds * 1e6)


def set_pool(transaction: Transaction, pool: Pool) -> None:
    """Set a pool; ``*`` stands for all that have no settings of their own."""
    db = transaction.db
    row = db.execute("SELECT behaviour FROM pools WHERE id = ?", (pool.id,)).fetchone()
    behaviour = pool.as_text()
    if row is None:
        db.execute(
            "INSERT INTO pools (id, slots, behaviour) VALUES (?, ?, ?)", (pool.id, pool.slots, behaviour)
        )
        _count_used(db, pool.id)
    else:
        # Pools without settings of their own have the text of `*`, including its id.
        column, same = ("behaviour", row[0]) if pool.id == ANY else ("id", pool.id)
        db.execute(
            f"UPDATE pools SET slots = ?, behaviour = ? WHERE {column} = ?", (pool.slots, behaviour, same)
        )
    if pool.id == ANY:
        for (pool_id,) in db.execute("SELECT DISTINCT pool FROM jobs WHERE pool IS NOT NULL").fetchall():
            _know_pool(db, pool_id)
    transaction.lifecycle.transitions.touched.update(
        number for (number,) in db.execute("SELECT number FROM jobs").fetchall()
    )


def _know_pool(db: sqlite3.Connection, pool_id: str) -> None:
    """Add a pool without settings of its own, if ``*`` has some."""
    if db.execute("SELECT 1 FROM pools WHERE id = ?", (pool_id,)).fetchone() is None:
        row = db.execute("SELECT slots, behaviour FROM pools WHERE id = ?", (ANY,)).fetchone()
        if row is not None:
            db.execute("INSERT INTO pools (id, slots, behaviour) VALUES (?, ?, ?)", (pool_id, *row))
            _count_used(db, pool_id)


def _count_used(db: sqlite3.Connection, pool_id: str) -> None:
    """Count the slots in use when the pool is added; from then on triggers do."""
    db.execute(
        "UPDATE pools SET used = (SELECT COALESCE(SUM(tallies.slots), 0) FROM jobs JOIN tallies "
        "ON tallies.job = jobs.number WHERE jobs.pool = :pool AND tallies.state IN (1, 2)) WHERE id = :pool",
        {"pool": pool_id},
    )


def _task(db: sqlite3.Connection, job: JobRow, task_id: str, columns: str) -> tuple[Any, ...]:
    row = None
    if TASK_ID.fullmatch(task_id):
        row = db.execute(
            f"SELECT {columns} FROM tasks WHERE job = ? AND id = ?",
            (job.number, task_id),
        ).fetchone()
    if row is None:
        raise NoSuchTask(task_id)
    found: tuple[Any, ...] = row
    return found
