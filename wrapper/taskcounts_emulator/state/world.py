"""The jobs and tasks of an emulated account: what callers can do to them.

Each method is one transaction. It first lets everything happen that is due by now, so that nobody ever sees
what should be over, and it ends with what follows from its own change. Safe to use from any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from taskcounts_emulator import refusals
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import (
    Check,
    JobCounts,
    JobRow,
    NewJob,
    NewTask,
    TaskRow,
    TaskState,
    Where,
)
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.state.lag import LagModel, tallied
from taskcounts_emulator.state.lifecycle import JOB_ROW
from taskcounts_emulator.state.moves import ENDED_BY_REQUEST, EXIT_CODE, ROW
from taskcounts_emulator.state.pool import Pool, stored_pool
from taskcounts_emulator.state.rows import (
    add_job,
    add_task,
    changeable,
    counted,
    expiry,
    job_of,
    movable,
    oldest,
    set_pool,
    task_of,
)
from taskcounts_emulator.state.timeline import Timeline

__all__ = ["World"]

# What a caller may change of a job.
_CHANGEABLE = frozenset(
    ("priority", "max_parallel", "max_retries", "max_seconds", "terminates_when_done", "kept")
)
_ENDED = ("completed", "terminating")


class World(Timeline):
    """Jobs, tasks and pools, under a clock."""

    def load(
        self,
        jobs: Iterable[NewJob],
        pools: Iterable[Pool] = (),
        *,
        seed: int | None = None,
        settle: float | None = None,
        lag: LagModel | None = None,
    ) -> None:
        """Add jobs, describe pools and change settings: all of it, or nothing.

        Raises:
            EmulatorError: There is a job of such an id already.
        """
        with self._resetting(), self._turn() as begun:
            turn = self._set(begun, seed, settle, lag)
            for pool in pools:
                set_pool(turn, pool)
            for job in jobs:
                try:
                    add_job(turn, job)
                except Refusal as refusal:
                    if refusal.code not in {"JobExists", "JobBeingDeleted"}:
                        raise
                    raise EmulatorError(f"there is a job {job.id!r} already") from None
            turn.life.settle(turn.at)

    def pools(self) -> list[tuple[Pool, int]]:
        """Return the pools by id, each with the number of its slots that are in use."""
        with self._store.reading() as db:
            self._seen()
            rows = db.execute("SELECT id, behaviour, used FROM pools ORDER BY id").fetchall()
        # The text of those that are like `*` has its id.
        return [(replace(stored_pool(behaviour), id=pool_id), used) for pool_id, behaviour, used in rows]

    def add_job(self, job: NewJob) -> JobRow:
        """Add a job with its tasks.

        Raises:
            Refusal: There is a job of that id.
        """
        with self._turn() as turn:
            db, life, at = turn
            add_job(turn, job)
            life.settle(at)
            return job_of(db, job.id)

    def job(self, job_id: str) -> JobRow:
        """Return a job.

        Raises:
            NoSuchJob: There is none of that id.
        """
        with self._store.reading() as db:
            self._seen()
            return job_of(db, job_id)

    def jobs(self, where: Where, after: str | None, limit: int) -> list[JobRow]:
        """Return jobs by a condition, in the order of their ids.

        Args:
            where: The condition.
            after: The id after which to begin.
            limit: How many at most.
        """
        condition, parameters = where
        with self._store.reading() as db:
            self._seen()
            rows = db.execute(
                f"SELECT {JOB_ROW} FROM jobs WHERE id > ? AND ({condition}) ORDER BY id LIMIT ?",
                (after or "", *parameters, limit),
            )
            return [JobRow(*row) for row in rows.fetchall()]

    def change_job(self, job_id: str, changes: Mapping[str, object], check: Check) -> JobRow:
        """Change what a caller may change of a job.

        Raises:
            NoSuchJob: There is none of that id.
            Refusal: It has ended, or the check says so.
        """
        if not changes.keys() <= _CHANGEABLE:
            raise ValueError(f"not changeable: {changes.keys() - _CHANGEABLE}")
        with self._turn() as turn:
            db, life, at = turn
            job = changeable(db, job_id, check, *_ENDED)
            assignments = "".join(f", {name} = ?" for name in changes)
            db.execute(
                f"UPDATE jobs SET modified = MAX(modified + 1, ?){assignments} WHERE number = ?",
                (at, *changes.values(), job.number),
            )
            if "max_seconds" in changes:
                expires = expiry(job.created, job_of(db, job_id).max_seconds)
                # What is over already ends now, and not before what it does.
                expires = None if expires is None else max(expires, at)
                db.execute("UPDATE jobs SET expires = ? WHERE number = ?", (expires, job.number))
            life.moves.touched.add(job.number)
            life.settle(at)
            return job_of(db, job_id)

    def delete_job(self, job_id: str, check: Check) -> None:
        """Begin to delete a job.

        Raises:
            NoSuchJob: There is none of that id.
            Refusal: It is being deleted already, or the check says so.
        """
        with self._turn() as turn:
            db, life, at = turn
            life.delete(changeable(db, job_id, check), at)
            life.settle(at)

    def terminate_job(self, job_id: str, reason: str | None, check: Check) -> JobRow:
        """Begin to end a job.

        Raises:
            NoSuchJob: There is none of that id.
            Refusal: It has ended, or the check says so.
        """
        with self._turn() as turn:
            db, life, at = turn
            job = changeable(db, job_id, check, *_ENDED)
            life.terminate(job, "UserTerminate" if reason is None else reason, at)
            life.settle(at)
            return job_of(db, job_id)

    def disable_job(self, job_id: str, tasks: str, check: Check) -> JobRow:
        """Begin to disable a job.

        Args:
            job_id: The job.
            tasks: What becomes of tasks that run: ``requeue``, ``terminate`` or ``wait``.
            check: What the caller demands of the job.

        Raises:
            NoSuchJob: There is none of that id.
            Refusal: It is in no state for this, or the check says so.
        """
        with self._turn() as turn:
            db, life, at = turn
            job = changeable(db, job_id, check, *_ENDED)
            if job.state == "enabling":
                raise refusals.job_not_active()
            if job.state != "disabled":
                life.disable(job, tasks, at)
            life.settle(at)
            return job_of(db, job_id)

    def enable_job(self, job_id: str, check: Check) -> JobRow:
        """Begin to enable a job that is disabled.

        Raises:
            NoSuchJob: There is none of that id.
            Refusal: It is in no state for this, or the check says so.
        """
        with self._turn() as turn:
            db, life, at = turn
            job = changeable(db, job_id, check, *_ENDED)
            if job.state != "disabled":
                raise refusals.invalid_for_state(job.state)
            life.enable(job, at)
            life.settle(at)
            return job_of(db, job_id)

    def add_tasks(self, job_id: str, tasks: Sequence[NewTask]) -> list[TaskRow | Refusal]:
        """Add tasks to a job, and return for each the task that was added, or why it was not.

        Raises:
            NoSuchJob: There is no such job.
            Refusal: It has ended, or is about to.
        """
        with self._turn() as turn:
            db, life, at = turn
            job = changeable(db, job_id, lambda _: None, *_ENDED)
            added = [add_task(turn, job, task) for task in tasks]
            life.settle(at)
        return added

    def task(self, job_id: str, task_id: str) -> TaskRow:
        """Return a task.

        Raises:
            NoSuchJob: There is no such job.
            NoSuchTask: There is no such task in it.
        """
        with self._store.reading() as db:
            self._seen()
            return task_of(db, job_of(db, job_id), task_id)

    def tasks(self, job_id: str, where: Where, after: str | None, limit: int) -> list[TaskRow]:
        """Return tasks of a job by a condition, in the order of their ids: the truth, whatever is reported.

        Args:
            job_id: The job.
            where: The condition.
            after: The id after which to begin.
            limit: How many at most.

        Raises:
            NoSuchJob: There is no such job.
        """
        condition, parameters = where
        with self._store.reading() as db:
            self._seen()
            job = job_of(db, job_id)
            rows = db.execute(
                f"SELECT {ROW} FROM tasks WHERE job = ? AND id > ? AND ({condition}) ORDER BY id LIMIT ?",
                (job.number, after or "", *parameters, limit),
            )
            return [TaskRow(*row) for row in rows.fetchall()]

    def delete_task(self, job_id: str, task_id: str, check: Check) -> None:
        """Delete a task, whatever its state.

        Raises:
            NoSuchJob: There is no such job.
            NoSuchTask: There is no such task in it.
            Refusal: The check says so.
        """
        with self._turn() as turn:
            db, life, at = turn
            job = changeable(db, job_id, lambda _: None)
            task = movable(turn, job, task_id, check)
            life.moves.delete(task)
            life.settle(at)

    def terminate_task(self, job_id: str, task_id: str, check: Check) -> TaskRow:
        """Complete a task, which has then failed.

        Raises:
            NoSuchJob: There is no such job.
            NoSuchTask: There is no such task in it.
            Refusal: It is completed, or the check says so.
        """
        with self._turn() as turn:
            db, life, at = turn
            job = changeable(db, job_id, lambda _: None)
            task = movable(turn, job, task_id, check)
            if task.state >= TaskState.SUCCEEDED:
                raise refusals.task_completed()
            life.end(task, at, None, ENDED_BY_REQUEST)
            life.settle(at)
            return task_of(db, job, task_id)

    def reactivate_task(self, job_id: str, task_id: str, check: Check) -> TaskRow:
        """Let a task that failed run again.

        Raises:
            NoSuchJob: There is no such job.
            NoSuchTask: There is no such task in it.
            Refusal: It has not failed, its job has ended, or the check says so.
        """
        with self._turn() as turn:
            db, life, at = turn
            job = changeable(db, job_id, lambda _: None, *_ENDED)
            task = movable(turn, job, task_id, check)
            if task.state < TaskState.SUCCEEDED:
                raise refusals.task_not_completed()
            if task.state == TaskState.SUCCEEDED:
                raise refusals.task_succeeded()
            life.moves.reactivate(task, at)
            life.settle(at)
            return task_of(db, job, task_id)

    def step(self, job_id: str, *, start: int = 0, succeed: int = 0, fail: int = 0) -> None:
        """Start active tasks, then complete running ones, the oldest first: all that is asked, or nothing.

        Raises:
            NoSuchJob: There is no such job.
            EmulatorError: There are fewer tasks in that state, or the job is in none in which tasks start.
        """
        with self._turn() as turn:
            db, life, at = turn
            job = job_of(db, job_id)
            if start and job.state != "active":
                raise EmulatorError(f"job {job_id!r} is {job.state}, and only an active job starts tasks")
            for task in oldest(turn, job, "start", "state = 0", start, "active"):
                life.moves.start(task, at, running=True, due=None)
            busy = "state IN (1, 2)"
            for verb, wanted, exit_code, why in (("succeed", succeed, 0, None), ("fail", fail, 1, EXIT_CODE)):
                for task in oldest(turn, job, verb, busy, wanted, "running"):
                    # The end of one may have been the end of others, or have sent them back to wait.
                    for still in life.moves.select(f"number = ? AND {busy}", (task.number,)):
                        life.end(still, at, exit_code, why)
            life.settle(at)

    def counts(self, job_id: str) -> JobCounts:
        """Return what a job's tasks come to, in truth.

        Raises:
            NoSuchJob: There is no such job.
        """
        with self._store.reading() as db:
            self._seen()
            return counted(db, job_id)[2]

    def reported(self, job_id: str) -> JobCounts:
        """Return what the service says a job's tasks come to.

        Raises:
            NoSuchJob: There is no such job.
            Refusal: It is being deleted.
        """
        with self._store.reading() as db:
            at = self._seen()
            number, state, counts = counted(db, job_id)
            if state == "deleting":
                raise refusals.job_being_deleted()
            return self._reporting.reported(number, counts, at)

    def all_counts(self) -> dict[str, JobCounts]:
        """Return what each job's tasks come to, in truth, by job id, the oldest job first."""
        with self._store.reading() as db:
            self._seen()
            rows = db.execute(
                "SELECT jobs.id, state_of.state, tasks, slots FROM jobs JOIN tallies AS state_of "
                "ON state_of.job = jobs.number ORDER BY jobs.number"
            ).fetchall()
        by_job: dict[str, list[tuple[int, int, int]]] = {}
        for job_id, *tally in rows:
            by_job.setdefault(job_id, []).append(tuple(tally))
        return {job_id: tallied(tallies) for job_id, tallies in by_job.items()}
