"""Where the emulated account keeps its jobs and tasks: SQLite, in memory or in a file.

Counts are counted from the tasks each time they are asked for. Nothing is answered
that is not the state of some task, and whatever was acknowledged is committed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator

from taskcounts.emulator.errors import EmulatorError, NoSuchJob
from taskcounts.emulator.model import JOB_ID, Counts, JobCounts, NewJob
from taskcounts.emulator.scenario import task_ids

__all__ = ["Store"]

# How SQLite tells whose file it is, and which layout it has.
_APPLICATION_ID = 0x7461736B
_LAYOUT = 1

# SQLite's NOCASE folds the ASCII letters, and job and task ids have no others.
_SCHEMA = (
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL COLLATE NOCASE UNIQUE
    )
    """,
    """
    CREATE TABLE tasks (
        number INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (number),
        id TEXT NOT NULL COLLATE NOCASE,
        state TEXT NOT NULL,
        result TEXT,
        required_slots INTEGER NOT NULL,
        UNIQUE (job, id)
    )
    """,
    # It holds all that counting needs, so that the tasks themselves are not read.
    "CREATE INDEX tasks_by_state ON tasks (job, state, result, required_slots)",
)

_COUNT = """
    SELECT jobs.id, tasks.state, tasks.result, COUNT(*), SUM(tasks.required_slots)
    FROM jobs LEFT JOIN tasks ON tasks.job = jobs.number
"""


class Store:
    """The jobs and tasks of one emulated account; safe to use from any thread.

    Args:
        path: A file, made if it does not exist, or ``":memory:"``.

    Raises:
        EmulatorError: The file is not a store of this emulator, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] = ":memory:") -> None:
        self.path = os.fspath(path)
        self._lock = threading.RLock()
        if "\0" in self.path:
            raise EmulatorError("a store's path cannot hold a NUL character")
        with self._translated():
            # No implicit transactions: each begins and ends where _change says so.
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        # An emulator that is only dropped leaves no connection open; Python 3.13 warns of those.
        weakref.finalize(self, self._db.close)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def add(self, jobs: Iterable[NewJob]) -> None:
        """Add jobs with their tasks: all of them, or none.

        Raises:
            EmulatorError: There is a job of such an id already.
        """
        with self._change() as db:
            for job in jobs:
                if self._find(db, job.id) is not None:
                    raise EmulatorError(f"there is a job {job.id!r} already")
                number = db.execute("INSERT INTO jobs (id) VALUES (?)", (job.id,)).lastrowid
                db.executemany(
                    "INSERT INTO tasks (job, id, state, result, required_slots) VALUES (?, ?, ?, ?, ?)",
                    (
                        (number, task_id, group.state, group.result, group.required_slots)
                        for task_id, group in task_ids(job)
                    ),
                )

    def step(self, job_id: str, *, start: int = 0, succeed: int = 0, fail: int = 0) -> None:
        """Start active tasks, then complete running ones, the oldest first: all that is asked, or nothing.

        Args:
            job_id: The job.
            start: How many active tasks begin to run.
            succeed: How many running tasks (or preparing ones, after those) complete with success.
            fail: How many of them complete with failure.

        Raises:
            NoSuchJob: There is no such job.
            EmulatorError: There are fewer tasks in that state.
        """
        with self._change() as db:
            job = self._find(db, job_id)
            if job is None:
                raise NoSuchJob(job_id)
            for wanted, verb, old, older, new, result in (
                (start, "start", "active", "active", "running", None),
                (succeed, "succeed", "running", "preparing", "completed", "success"),
                (fail, "fail", "running", "preparing", "completed", "failure"),
            ):
                moved = db.execute(
                    """
                    UPDATE tasks SET state = ?, result = ? WHERE number IN (
                        SELECT number FROM tasks WHERE job = ? AND state IN (?, ?)
                        ORDER BY state DESC, number LIMIT ?
                    )
                    """,
                    (new, result, job, old, older, wanted),
                ).rowcount
                if moved < wanted:
                    raise EmulatorError(
                        f"job {job_id!r}: {wanted} tasks are to {verb}, and {moved} are {old}"
                    )

    def counts(self, job_id: str) -> JobCounts:
        """Return what a job's tasks come to.

        Raises:
            NoSuchJob: There is no such job.
        """
        with self._reading() as db:
            job = self._find(db, job_id)
            rows = db.execute(
                _COUNT + "WHERE jobs.number = ? GROUP BY tasks.state, tasks.result", (job,)
            ).fetchall()
        if not rows:
            raise NoSuchJob(job_id)
        return _summed(rows)

    def all_counts(self) -> dict[str, JobCounts]:
        """Return what each job's tasks come to, by job id, in the order in which the jobs were added."""
        with self._reading() as db:
            # One statement, so that no other process changes the jobs in between.
            rows = db.execute(
                _COUNT + "GROUP BY jobs.number, tasks.state, tasks.result ORDER BY jobs.number"
            ).fetchall()
        by_job: dict[str, list[tuple[str, str | None, str | None, int, int]]] = {}
        for row in rows:
            by_job.setdefault(row[0], []).append(row)
        return {job_id: _summed(of_job) for job_id, of_job in by_job.items()}

    def clear(self) -> None:
        """Remove all jobs and tasks."""
        with self._change() as db:
            db.execute("DELETE FROM tasks")
            db.execute("DELETE FROM jobs")

    def close(self) -> None:
        """Let go of the file. Whatever was acknowledged is in it."""
        with self._lock:
            self._db.close()

    def __repr__(self) -> str:
        return f"Store({self.path!r})"

    def _prepare(self) -> None:
        """Make the tables of a new store, or see that an old one is ours; either way it can be written."""
        with self._change() as db:
            (owner,) = db.execute("PRAGMA application_id").fetchone()
            (layout,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            if (owner, layout, tables) == (0, 0, 0):
                for statement in _SCHEMA:
                    db.execute(statement)
            elif owner != _APPLICATION_ID:
                raise EmulatorError(f"{self.path}: a database of something else, not a store of the emulator")
            elif layout != _LAYOUT:
                raise EmulatorError(
                    f"{self.path}: a store of layout {layout}, and this version knows {_LAYOUT}; "
                    "start with a new file"
                )
            # Written to an old store as well: only a write shows that it can be written.
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_LAYOUT}")

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Hold a transaction: committed at the end, undone by any error."""
        with self._reading() as db:
            # Immediate, so that no other process changes what is read before it is changed here.
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # Some errors of SQLite end the transaction by themselves.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            yield self._db

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise EmulatorError(f"{self.path}: cannot be used as a store: {error}") from error

    @staticmethod
    def _find(db: sqlite3.Connection, job_id: str) -> int | None:
        # What cannot be an id may hold what SQLite does not take, such as half a surrogate pair.
        if not JOB_ID.fullmatch(job_id):
            return None
        row = db.execute("SELECT number FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else int(row[0])


def _summed(rows: Iterable[tuple[str, str | None, str | None, int, int]]) -> JobCounts:
    """Return the counts of the groups of one job; running is what prepares and what runs."""
    tasks = {"active": 0, "running": 0, "success": 0, "failure": 0}
    slots = dict(tasks)
    for _, state, result, count, required in rows:
        # A job without tasks has one row, and no state in it.
        if state is None:
            continue
        name = result or ("running" if state == "preparing" else state)
        tasks[name] += count
        slots[name] += required
    return JobCounts(Counts(*tasks.values()), Counts(*slots.values()))
