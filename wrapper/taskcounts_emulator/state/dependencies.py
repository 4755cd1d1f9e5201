"""Dependencies between tasks.

A task counts its blockers: one for each id, and one for each number of a range, that has not yet succeeded.
Each function runs in a transaction of its caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

__all__ = ["add_dependencies", "block_dependents", "numeral", "release_dependents", "remove_dependencies"]

# The largest integer of SQLite, and so the largest id that can be in a range.
_LARGEST = 2**63 - 1


def numeral(task_id: str) -> int | None:
    """Return the number of a numeric id, for ranges, or None; "007" is not numeric."""
    if not task_id.isascii() or not task_id.isdigit() or len(task_id) > 19:
        return None
    number = int(task_id)
    return number if str(number) == task_id and number <= _LARGEST else None


def add_dependencies(
    db: sqlite3.Connection, job: int, task: int, ids: Iterable[str], ranges: Iterable[tuple[int, int]]
) -> None:
    """Make a task wait for others, except those that have succeeded already."""
    blockers = 0
    for on_id in ids:
        done = db.execute("SELECT satisfies FROM tasks WHERE job = ? AND id = ?", (job, on_id)).fetchone()
        if done is None or not done[0]:
            # An id that is named twice counts once.
            blockers += db.execute(
                "INSERT OR IGNORE INTO waits VALUES (?, ?, ?)", (job, on_id, task)
            ).rowcount
    for low, high in ranges:
        (done,) = db.execute(
            "SELECT COUNT(*) FROM tasks WHERE job = ? AND numeral BETWEEN ? AND ? AND satisfies",
            (job, low, high),
        ).fetchone()
        if done < high - low + 1:
            db.execute("INSERT INTO wait_ranges VALUES (?, ?, ?, ?)", (job, low, high, task))
            blockers += high - low + 1 - done
    db.execute("UPDATE tasks SET blockers = ? WHERE number = ?", (blockers, task))


def release_dependents(db: sqlite3.Connection, job: int, task_id: str, number: int | None) -> None:
    """Release the tasks that wait for a task that has succeeded."""
    waiting = [
        task
        for (task,) in db.execute(
            "DELETE FROM waits WHERE job = ? AND on_id = ? RETURNING task", (job, task_id)
        ).fetchall()
    ]
    if number is not None:
        waiting += _in_ranges(db, job, number)
    # A released task stays so, even if a task of its range is deleted, added and run again.
    db.executemany(
        "UPDATE tasks SET blockers = blockers - 1 WHERE number = ? AND blockers > 0",
        ((task,) for task in waiting),
    )


def block_dependents(db: sqlite3.Connection, job: int, number: int | None) -> None:
    """Count another blocker for tasks that wait for a range, one of whose tasks is deleted or reactivated."""
    if number is not None:
        db.executemany(
            "UPDATE tasks SET blockers = blockers + 1 WHERE number = ? AND blockers > 0",
            ((task,) for task in _in_ranges(db, job, number)),
        )


def remove_dependencies(db: sqlite3.Connection, task: int) -> None:
    """Remove the dependencies of a deleted task."""
    db.execute("DELETE FROM waits WHERE task = ?", (task,))
    db.execute("DELETE FROM wait_ranges WHERE task = ?", (task,))


def _in_ranges(db: sqlite3.Connection, job: int, number: int) -> list[int]:
    rows = db.execute(
        "SELECT task FROM wait_ranges WHERE job = ? AND low <= ? AND high >= ?", (job, number, number)
    )
    return [task for (task,) in rows.fetchall()]
