"""The store of an emulated account: an SQLite database, in memory or in a file.

A store handles transactions and files, not their content. A committed transaction is in the file, even if the
process is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator

from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.state.schema import APPLICATION_ID, LAYOUT, STATEMENTS, TABLES

__all__ = ["Store"]

# Each snapshot is a copy of the whole store in memory.
_MAX_SNAPSHOTS = 16


class Store:
    """The database of one emulated account; safe to use from any thread.

    Args:
        path: A file, made if it does not exist, or ``":memory:"``. Only one process at a time can use it.

    Raises:
        EmulatorError: The file is not a store of this emulator, is in use, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] = ":memory:") -> None:
        self.path = os.fspath(path)
        self._lock = threading.RLock()
        self._snapshots: dict[str, sqlite3.Connection] = {}
        if "\0" in self.path:
            raise EmulatorError("a store's path cannot hold a NUL character")
        with self._translated():
            # No implicit transactions: `change` begins and ends each one. A short timeout, since another
            # process that has the file keeps it.
            self._db = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=0.2, cached_statements=256
            )
        # Closes the connection of a store that is not closed; Python 3.13 warns of those.
        weakref.finalize(self, self._db.close)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction: committed at the end, rolled back by any error.

        Raises:
            EmulatorError: The store cannot be read or written.
        """
        with self.connection() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # Some errors of SQLite end the transaction.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lock the connection, to read.

        Raises:
            EmulatorError: The store cannot be read.
        """
        with self._lock, self._translated():
            yield self._db

    def get(self, name: str, default: object = None) -> object:
        """Return a setting, which is a JSON value."""
        with self.connection() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def put(self, name: str, value: object) -> None:
        """Store a setting, in a transaction of the caller."""
        with self.connection() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def empty(self, db: sqlite3.Connection) -> None:
        """Remove all rows, in a transaction of the caller."""
        for table in TABLES:
            db.execute(f"DELETE FROM {table}")

    def snapshot(self, name: str) -> None:
        """Copy the whole store into memory; an earlier snapshot of that name is replaced.

        Raises:
            EmulatorError: The limit of snapshots is reached.
        """
        with self.connection() as db:
            if name not in self._snapshots and len(self._snapshots) >= _MAX_SNAPSHOTS:
                raise EmulatorError(f"there are {_MAX_SNAPSHOTS} snapshots already; drop some first")
            copy = sqlite3.connect(":memory:", check_same_thread=False)
            weakref.finalize(self, copy.close)
            db.backup(copy)
            earlier = self._snapshots.pop(name, None)
            if earlier is not None:
                earlier.close()
            self._snapshots[name] = copy

    def restore(self, name: str) -> None:
        """Restore a snapshot.

        Raises:
            EmulatorError: There is no such snapshot.
        """
        with self.connection() as db:
            if name not in self._snapshots:
                known = ", ".join(self._snapshots) or "none"
                raise EmulatorError(f"there is no snapshot {name!r}; there are: {known}")
            self._snapshots[name].backup(db)

    def snapshots(self) -> list[str]:
        """Return the names of the snapshots, the oldest first."""
        with self._lock:
            return list(self._snapshots)

    def drop_snapshots(self) -> int:
        """Delete all snapshots, and return their number."""
        with self._lock:
            count = len(self._snapshots)
            for copy in self._snapshots.values():
                copy.close()
            self._snapshots.clear()
            return count

    def close(self) -> None:
        """Close the store. A file contains everything that was acknowledged."""
        with self._lock:
            self.drop_snapshots()
            self._db.close()

    def __repr__(self) -> str:
        return f"Store({self.path!r})"

    def _prepare(self) -> None:
        """Make the tables of a new store, or check an existing one, and that it can be written."""
        with self.connection() as db:
            (owner,) = db.execute("PRAGMA application_id").fetchone()
            (layout,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            # Checked before any write, so that a foreign file stays unchanged.
            new = (owner, layout, tables) == (0, 0, 0)
            if not new and owner != APPLICATION_ID:
                raise EmulatorError(f"{self.path}: a database of something else, not a store of the emulator")
            if not new and layout != LAYOUT:
                raise EmulatorError(
                    f"{self.path}: a store of layout {layout}, and this version knows {LAYOUT}; "
                    "start with a new file"
                )
            # The clock and the time of the next event are in memory, so no other process may write.
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            # A commit appends to a log and does not wait for the disk: it survives a killed process. The last
            # commits can be lost in a power failure.
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        with self.change() as db:
            if new:
                for statement in STATEMENTS:
                    db.execute(statement)
            # Written to an existing store, too: only a write shows that it can be written.
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {LAYOUT}")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error


def _failure(path: str, error: sqlite3.Error) -> EmulatorError:
    """Return the error for the user that an error of SQLite means."""
    if "locked" in str(error):
        return EmulatorError(f"{path}: in use by another process; stop it, or choose another file")
    return EmulatorError(f"{path}: cannot be used as a store: {error}")
