"""The clock, and transactions that first process the events until now."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.state.lag import Lag, LagModel, stored_model
from taskcounts_emulator.state.lifecycle import Lifecycle
from taskcounts_emulator.state.store import Store

__all__ = ["EPOCH", "Timeline", "Transaction", "microseconds"]

# The initial time of a scripted clock.
EPOCH = datetime(2024, 7, 1, tzinfo=UTC)

# The end of emulated time; every time before it can be written as a date.
_LAST = datetime(9000, 1, 1, tzinfo=UTC)

# The limit of task starts and ends in one transaction, by whether the clock is scripted.
_MAX_EVENTS = {False: 20_000, True: 2_000_000}

# Each change removes this many tasks of deleted jobs, so that no request waits for long.
_MAX_SWEPT = 2_000

logger = logging.getLogger("taskcounts_emulator")


class _Settings(NamedTuple):
    seed: int
    settle: float
    lag: LagModel


class Transaction(NamedTuple):
    """A transaction at a moment up to which all events are processed.

    Attributes:
        db: The store's connection.
        lifecycle: The events of jobs and tasks.
        at: The moment, in microseconds since 1970.
    """

    db: sqlite3.Connection
    lifecycle: Lifecycle
    at: int


class Timeline:
    """A store, a clock, and the settings of its simulation.

    Args:
        store: The store.
        now: The machine's clock.
        scripted: Whether time advances only by ``advance``. It then begins at ``EPOCH``, and the time is part
            of the store.

    Raises:
        EmulatorError: The store was made with the other kind of clock.
    """

    def __init__(self, store: Store, now: Callable[[], datetime], *, scripted: bool = False) -> None:
        self.scripted = scripted
        self._store = store
        self._machine = now
        self._clock = 0
        # The time of the next event, if there is one, and the time up to which events are processed.
        self._next: int | None = 0
        self._since = 0
        # The lead of emulated time over a machine's clock that was set back.
        self._skew = 0
        kept = store.get("scripted")
        if kept is not None and kept != scripted:
            whose = "a scripted clock" if kept else "the machine's clock"
            raise EmulatorError(f"{store.path}: its tasks live by {whose}; start it with that one")
        with store.change():
            store.put("scripted", scripted)
        self._reload()

    def now(self) -> int:
        """Return the emulated time, in microseconds since 1970."""
        return self._clock if self.scripted else microseconds(self._machine()) + self._skew

    def advance(self, seconds: float) -> int:
        """Advance the clock, and return the new time.

        Raises:
            EmulatorError: The clock is the machine's.
        """
        if not self.scripted:
            raise EmulatorError(
                "the clock is the machine's; only an emulator with a scripted clock is advanced"
            )
        with self._store.connection():
            until = self._clock + round(seconds * 1e6)
            if until > microseconds(_LAST):
                raise EmulatorError(f"the clock ends with the year {_LAST.year - 1}")
            before = self._clock
            self._clock = until
            try:
                with self._transaction():
                    self._store.put("clock", until)
            except BaseException:
                self._clock = before
                raise
            return until

    @property
    def seed(self) -> int:
        """The seed of all random draws."""
        return self._settings.seed

    @property
    def lag(self) -> LagModel:
        """The lag model of reported counts."""
        return self._settings.lag

    def clear(self) -> None:
        """Remove everything; a scripted clock starts again."""
        with self._reloading(), self._store.change() as db:
            self._store.empty(db)
            self._store.put("scripted", self.scripted)

    def snapshot(self, name: str) -> None:
        """Keep a copy of everything under a name.

        Raises:
            EmulatorError: The limit of snapshots is reached.
        """
        self._store.snapshot(name)

    def restore(self, name: str) -> None:
        """Restore a snapshot.

        Raises:
            EmulatorError: There is no such snapshot.
        """
        with self._reloading():
            self._store.restore(name)

    def _set(
        self, transaction: Transaction, seed: int | None, settle: float | None, lag: LagModel | None
    ) -> Transaction:
        """Change settings, and return the transaction with the new ones."""
        seed = self.seed if seed is None else seed
        settle = self._settings.settle if settle is None else settle
        lifecycle = Lifecycle(transaction.db, self.lag if lag is None else lag, seed, settle)
        self._store.put("seed", seed)
        self._store.put("settle", settle)
        if lag is not None:
            self._store.put("lag", lag.as_json())
            lifecycle.lag.restart(transaction.at)
        return transaction._replace(lifecycle=lifecycle)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """Open a transaction at the current time."""
        with self._store.connection() as db:
            settings = self._settings
            lifecycle = Lifecycle(db, settings.lag, settings.seed, settings.settle)
            at = self._monotonic_now()
            # If this fails, the next event has to be looked up again.
            self._next = 0
            with self._store.change():
                at = self._check_reached(lifecycle.advance(self._since, at, _MAX_EVENTS[self.scripted]), at)
                _sweep(db)
                yield Transaction(db, lifecycle, at)
                following = lifecycle.next_event(at)
            self._next, self._since = following, at

    def _catch_up(self) -> int:
        """Process the events until now, and return the time; the caller holds the connection."""
        at = self._monotonic_now()
        if self._next is None or at < self._next:
            return at
        with self._transaction():
            pass
        return self._since

    def _monotonic_now(self) -> int:
        """Return the current time, which never decreases, even if the machine's clock is set back."""
        now = self.now()
        if now < self._since:
            logger.warning("the clock was put back; emulated time goes on from where it was")
            self._skew += self._since - now
            now = self._since
        return now

    def _check_reached(self, reached: int, at: int) -> int:
        """Return the moment of a transaction: earlier than asked for if there are too many events.

        Raises:
            EmulatorError: The clock is scripted, and can be advanced in smaller steps.
        """
        if reached < at and self.scripted:
            raise EmulatorError(
                f"more than {_MAX_EVENTS[True]} tasks would end or start by then; advance by less"
            )
        # With the machine's clock emulated time falls behind, and later requests catch up.
        return reached

    @contextlib.contextmanager
    def _reloading(self) -> Iterator[None]:
        """Lock the store until the values in memory are read from it again."""
        with self._store.connection():
            yield
            self._reload()

    def _reload(self) -> None:
        """Read the values in memory from the store."""
        get = self._store.get
        self._settings = _Settings(
            int(str(get("seed", 0))), float(str(get("settle", 0.0))), stored_model(get("lag"))
        )
        with self._store.connection() as db:
            self._reporting = Lag(db, self._settings.lag, self._settings.seed)
        self._clock = int(str(get("clock", microseconds(EPOCH))))
        self._next = 0
        if self.scripted:
            self._since = self._clock
        elif not self._since:
            # The events since the last run may exceed one transaction, so time begins with the first of them,
            # and never jumps over pending events.
            self._since = min(self.now(), self._overdue())

    def _overdue(self) -> int:
        """Return the time of the first pending event, or the current time if none is overdue."""
        now, settings = self.now(), self._settings
        with self._store.connection() as db:
            due = Lifecycle(db, settings.lag, settings.seed, settings.settle).next_event(now)
        return now if due is None else due


def microseconds(time: datetime) -> int:
    """Return a time in microseconds since 1970."""
    return round(time.timestamp() * 1e6)


def _sweep(db: sqlite3.Connection) -> None:
    """Remove some tasks of deleted jobs."""
    for (job,) in db.execute("SELECT job FROM graves LIMIT 1").fetchall():
        swept = db.execute(
            "DELETE FROM tasks WHERE number IN (SELECT number FROM tasks WHERE job = ? LIMIT ?)",
            (job, _MAX_SWEPT),
        ).rowcount
        if swept < _MAX_SWEPT:
            db.execute("DELETE FROM graves WHERE job = ?", (job,))
