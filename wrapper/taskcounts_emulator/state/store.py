"""Where the emulated account keeps everything: SQLite, in memory or in a file.

A store knows transactions and files; what is in it is its users' concern. Whatever was committed is in the
file, also when the process is killed.
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

# Each is a copy of the whole store, in memory.
_MAX_SNAPSHOTS = 16


class Store:
    """The database of one emulated account; safe to use from any thread.

    Args:
        path: A file, made if it does not exist, or ``":memory:"``. One process at a time has it.

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
            # No implicit transactions: each begins and ends where `change` says so. Nobody else has the
            # file for long, so there is nothing to wait for.
            self._db = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=0.2, cached_statements=256
            )
        # An emulator that is only dropped leaves no connection open; Python 3.13 warns of those.
        weakref.finalize(self, self._db.close)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Hold a transaction: committed at the end, undone by any error.

        Raises:
            EmulatorError: The store cannot be read or written.
        """
        with self.connection() as db:
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
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection, for what changes nothing.

        Raises:
            EmulatorError: The store cannot be read.
        """
        with self._lock, self._translated():
            yield self._db

    def get(self, name: str, default: object = None) -> object:
        """Return a setting: what JSON can say."""
        with self.connection() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def put(self, name: str, value: object) -> None:
        """Keep a setting, inside a transaction of the caller's."""
        with self.connection() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def empty(self, db: sqlite3.Connection) -> None:
        """Remove all that is there, inside a transaction of the caller's."""
        for table in TABLES:
            db.execute(f"DELETE FROM {table}")

    def snapshot(self, name: str) -> None:
        """Copy all that is there, under a name, in memory; an earlier copy of that name is replaced.

        Raises:
            EmulatorError: There are too many already.
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
        """Put everything back as it was when the snapshot was made.

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
        """Forget all snapshots, and return how many they were."""
        with self._lock:
            count = len(self._snapshots)
            for copy in self._snapshots.values():
                copy.close()
            self._snapshots.clear()
            return count

    def close(self) -> None:
        """Let go of the file. Whatever was acknowledged is in it."""
        with self._lock:
            self.drop_snapshots()
            self._db.close()

    def __repr__(self) -> str:
        return f"Store({self.path!r})"

    def _prepare(self) -> None:
        """Make the tables of a new store, or see that an old one is ours; either way it can be written."""
        with self.connection() as db:
            (owner,) = db.execute("PRAGMA application_id").fetchone()
            (layout,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            # Looked at first: what is not ours stays as it is, byte for byte.
            new = (owner, layout, tables) == (0, 0, 0)
            if not new and owner != APPLICATION_ID:
                raise EmulatorError(f"{self.path}: a database of something else, not a store of the emulator")
            if not new and layout != LAYOUT:
                raise EmulatorError(
                    f"{self.path}: a store of layout {layout}, and this version knows {LAYOUT}; "
                    "start with a new file"
                )
            # The tallies in memory and the clock are this process's own, so no other may write beside it.
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            # A commit appends to a log and does not wait for the disk: it survives the end of the process,
            # however sudden. The last ones may be lost when the machine itself loses its power.
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        with self.change() as db:
            if new:
                for statement in STATEMENTS:
                    db.execute(statement)
            # Written to an old store as well: only a write shows that it can be written.
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {LAYOUT}")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error


def _failure(path: str, error: sqlite3.Error) -> EmulatorError:
    """Return an error of SQLite in words for the user."""
    if "locked" in str(error):
        return EmulatorError(f"{path}: in use by another process; stop it, or choose another file")
    return EmulatorError(f"{path}: cannot be used as a store: {error}")
