"""State transitions of tasks.

Every start, end, return, addition and deletion of a task goes through ``TaskTransitions``, which informs
dependent tasks, the lag model, and the job (by ``touched``). Each method runs in a transaction of its caller.
Times are microseconds since 1970.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from taskcounts_emulator.model import JobRow, NewTask, TaskRow, TaskState
from taskcounts_emulator.state import dependencies
from taskcounts_emulator.state.lag import Lag

__all__ = ["ENDED_BY_REQUEST", "EXIT_CODE", "SchedulerTask", "TaskTransitions"]

# The service's codes for failures.
EXIT_CODE = "FailureExitCode"
ENDED_BY_REQUEST = "TaskEnded"


class SchedulerTask(NamedTuple):
    """The columns of a task that transitions and scheduling need."""

    number: int
    job: int
    id: str
    state: int
    slots: int
    runs: int
    retries: int
    requeues: int
    numeral: int | None
    satisfies: int
    max_retries: int | None
    max_seconds: float | None
    seconds: float | None
    exit_codes: str | None
    exit_conditions: str | None


SCHEDULER_COLUMNS = ", ".join(SchedulerTask._fields)
TASK_COLUMNS = ", ".join(TaskRow._fields)

_ADD = """
    INSERT OR IGNORE INTO tasks (job, id, state, slots, created, modified, changed, started, ended, exit_code,
        failure, kept, runs, satisfies, numeral, max_retries, max_seconds, seconds, exit_codes,
        exit_conditions)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# `modified` grows even if the clock stands still, so that the ETag is new.
_CHANGED = "previous = state, previous_changed = changed, changed = :at, modified = MAX(modified + 1, :at)"
_START = f"""
    UPDATE tasks SET {_CHANGED}, state = :state, due = :due, started = :at, runs = runs + 1,
        ended = NULL, exit_code = NULL, failure = NULL
    WHERE number = :number
"""
_RUN = f"UPDATE tasks SET {_CHANGED}, state = 2, due = :due, started = :at WHERE number = :number"
_END = f"""
    UPDATE tasks SET {_CHANGED}, state = :state, due = NULL, ended = :at, exit_code = :exit_code,
        failure = :failure, satisfies = MAX(satisfies, :satisfies)
    WHERE number = :number
"""
_RETRY = f"""
    UPDATE tasks SET {_CHANGED}, state = 0, due = NULL, retries = retries + 1, last_retry = :at
    WHERE number = :number
"""
_REQUEUE = f"""
    UPDATE tasks SET {_CHANGED}, state = 0, due = NULL, requeues = requeues + 1, last_requeue = :at
    WHERE number = :number
"""
_REACTIVATE = f"""
    UPDATE tasks SET {_CHANGED}, state = 0, satisfies = 0, retries = 0, last_retry = NULL,
        ended = NULL, exit_code = NULL,
        failure = NULL
    WHERE number = :number
"""


class TaskTransitions:
    """The transitions of tasks within one transaction.

    Attributes:
        touched: The numbers of jobs whose tasks have changed.
    """

    def __init__(self, db: sqlite3.Connection, lag: Lag) -> None:
        self.touched: set[int] = set()
        self._db = db
        self._lag = lag

    def add(self, job: JobRow, new: NewTask, at: int) -> TaskRow | None:
        """Add a task, and return its row; None if the job has a task of that id."""
        state, ended = new.state, new.state >= TaskState.SUCCEEDED
        exit_code = None if not ended else 1 if state is TaskState.FAILED else 0
        failure = EXIT_CODE if exit_code else None
        started = None if state is TaskState.ACTIVE else at
        done = self._db.execute(
            _ADD,
            (
                job.number, new.id, state, new.slots, at, at, at, started, at if ended else None, exit_code,
                failure, new.kept, state is not TaskState.ACTIVE, exit_code == 0,
                dependencies.numeral(new.id) if job.uses_dependencies else None,
                new.max_retries, new.max_seconds, new.seconds,
                json.dumps(new.exit_codes) if new.exit_codes else None,
                json.dumps(new.exit_conditions) if new.exit_conditions else None,
            ),
        )  # fmt: skip
        if not done.rowcount:
            return None
        number = done.lastrowid or 0
        if new.depends_on or new.depends_on_ranges:
            dependencies.add_dependencies(self._db, job.number, number, new.depends_on, new.depends_on_ranges)
        if exit_code == 0 and job.uses_dependencies:
            dependencies.release_dependents(self._db, job.number, new.id, dependencies.numeral(new.id))
        self._notify(job.number, number, 0, new.slots, None, state)
        return TaskRow(
            number, new.id, state, new.slots, at, at, at, None, None, started, at if ended else None,
            exit_code, failure, 0, None, 0, None, new.kept,
        )  # fmt: skip

    def start(self, task: SchedulerTask, at: int, running: bool, due: int | None) -> None:
        """Start an active task, with or without preparation."""
        state = TaskState.RUNNING if running else TaskState.PREPARING
        self._write(_START, task, state, at, due=due)

    def run(self, task: SchedulerTask, at: int, due: int | None) -> None:
        """Run a prepared task."""
        self._write(_RUN, task, TaskState.RUNNING, at, due=due)

    def end(
        self, task: SchedulerTask, at: int, exit_code: int | None, failure: str | None, satisfies: bool
    ) -> None:
        """Complete a task in any state.

        Args:
            task: The task.
            at: The time.
            exit_code: The exit code; None if the command did not end by itself.
            failure: The code of the failure; None for a success.
            satisfies: Whether tasks that depend on it may run now.
        """
        state = TaskState.SUCCEEDED if failure is None else TaskState.FAILED
        self._write(_END, task, state, at, exit_code=exit_code, failure=failure, satisfies=satisfies)
        if satisfies and not task.satisfies:
            dependencies.release_dependents(self._db, task.job, task.id, task.numeral)

    def retry(self, task: SchedulerTask, at: int) -> None:
        """Return a failed task to the active state for a retry."""
        self._write(_RETRY, task, TaskState.ACTIVE, at)

    def requeue(self, task: SchedulerTask, at: int) -> None:
        """Return a task to the active state because its node was lost or its job is disabled."""
        self._write(_REQUEUE, task, TaskState.ACTIVE, at)

    def reactivate(self, task: SchedulerTask, at: int) -> None:
        """Return a completed task to the active state, with all its retries."""
        self._write(_REACTIVATE, task, TaskState.ACTIVE, at)
        if task.satisfies:
            dependencies.block_dependents(self._db, task.job, task.numeral)

    def delete(self, task: SchedulerTask) -> None:
        """Delete a task, which removes it from every count."""
        dependencies.remove_dependencies(self._db, task.number)
        self._db.execute("DELETE FROM tasks WHERE number = ?", (task.number,))
        if task.satisfies:
            dependencies.block_dependents(self._db, task.job, task.numeral)
        self._notify(task.job, task.number, task.runs, task.slots, TaskState(task.state), None)

    def select(self, condition: str, parameters: Sequence[object]) -> list[SchedulerTask]:
        """Return the tasks that match a condition."""
        rows = self._db.execute(f"SELECT {SCHEDULER_COLUMNS} FROM tasks WHERE {condition}", parameters)
        return [SchedulerTask(*row) for row in rows.fetchall()]

    def _write(self, statement: str, task: SchedulerTask, new: TaskState, at: int, **columns: object) -> None:
        self._db.execute(statement, {"number": task.number, "state": new, "at": at, **columns})
        self._notify(task.job, task.number, task.runs, task.slots, TaskState(task.state), new)

    def _notify(  # noqa: PLR0917 - all of it is one change.
        self, job: int, task: int, run: int, slots: int, old: TaskState | None, new: TaskState | None
    ) -> None:
        self.touched.add(job)
        if self._lag.keeps_history:
            self._lag.task_changed(job, task, run, slots, old, new)
