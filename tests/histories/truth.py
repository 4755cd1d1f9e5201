"""The true states of a job, moment by moment: the emulator's store records every change."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from taskcounts_emulator.model import TaskState
from taskcounts_emulator.state.world import World

__all__ = ["State", "Truth", "Witness"]

# Kept by the connection, not by the store: a reset leaves them.
_STATEMENTS = """
    CREATE TEMP TABLE changes (number INTEGER PRIMARY KEY, at INTEGER, task TEXT, state INTEGER, job TEXT);
    CREATE TEMP TRIGGER witness_added AFTER INSERT ON tasks BEGIN
        INSERT INTO changes (at, task, state) VALUES (new.created, new.id, new.state);
    END;
    CREATE TEMP TRIGGER witness_moved AFTER UPDATE OF state ON tasks WHEN new.state <> old.state BEGIN
        INSERT INTO changes (at, task, state) VALUES (new.changed, new.id, new.state);
    END;
    CREATE TEMP TRIGGER witness_deleted AFTER DELETE ON tasks BEGIN
        INSERT INTO changes (task) VALUES (old.id);
    END;
    CREATE TEMP TRIGGER witness_job AFTER INSERT ON jobs BEGIN
        INSERT INTO changes (at, job) VALUES (new.created, new.state);
    END;
    CREATE TEMP TRIGGER witness_job_moved AFTER UPDATE OF state ON jobs BEGIN
        INSERT INTO changes (at, job) VALUES (new.changed, new.state);
    END;
    CREATE TEMP TRIGGER witness_job_gone AFTER DELETE ON jobs BEGIN
        INSERT INTO changes (at, job) VALUES (old.due, 'gone');
    END;
"""


class State(NamedTuple):
    """The state of a job from a moment on; ``job`` is its own state, ``gone`` once it is deleted."""

    at: int
    job: str
    active: int = 0
    preparing: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def unfinished(self) -> int:
        """The number of tasks that are not completed."""
        return self.active + self.preparing + self.running

    @property
    def completed(self) -> int:
        """The number of tasks that succeeded or failed."""
        return self.succeeded + self.failed

    @property
    def total(self) -> int:
        """The number of tasks."""
        return self.unfinished + self.completed

    @property
    def finished(self) -> bool:
        """True if there are tasks, and all are completed."""
        return self.total > 0 and not self.unfinished

    def __str__(self) -> str:
        numbers = f"{self.active}+{self.preparing}+{self.running}/{self.succeeded}/{self.failed}"
        return f"{self.at / 1e6:.3f} {self.job} {numbers}"


class Truth:
    """The states of a job, each from its moment to the next one's; times in microseconds."""

    def __init__(self, states: list[State], failures: dict[str, list[tuple[int, bool]]]) -> None:
        self.states = states
        self._times = [state.at for state in states]
        self._failures = failures

    def during(self, since: int, until: int) -> list[State]:
        """Return all states that the job was in at some moment from one time to another, both included."""
        first = max(bisect_right(self._times, since) - 1, 0)
        return self.states[first : bisect_right(self._times, until)]

    def at(self, moment: int) -> State:
        """Return the state at a moment."""
        return self.during(moment, moment)[-1]

    def settled(self, until: int, test: Callable[[State], bool]) -> int | None:
        """Return since when a test holds without a break up to a moment; None if it doesn't then."""
        since = None
        for state in reversed(self.during(0, until)):
            if not test(state):
                break
            since = state.at
        return since

    def failed(self, task_id: str, since: int, until: int) -> bool:
        """Return whether a task was a failed one at some moment."""
        now = False
        for at, failed in self._failures.get(task_id, ()):
            if at > until:
                break
            if now and at > since:
                return True
            now = failed
        return now


class Witness:
    """Notes every change of the tasks and jobs of a world, in which there is one job at a time."""

    def __init__(self, world: World) -> None:
        self._store = world._store
        with self._store.connection() as db:
            db.executescript(_STATEMENTS)

    def begin(self) -> None:
        """Forget all records."""
        with self._store.connection() as db:
            db.execute("DELETE FROM changes")

    def date(self, at: int) -> None:
        """Give what was noted without a time, as deletions are, the time at which it was done."""
        with self._store.connection() as db:
            db.execute("UPDATE changes SET at = ? WHERE at IS NULL", (at,))

    def truth(self, origin: int) -> Truth:
        """Return all that happened, in microseconds since an origin."""
        with self._store.connection() as db:
            rows = db.execute("SELECT at, task, state, job FROM changes ORDER BY number").fetchall()
        states: list[State] = []
        failures: dict[str, list[tuple[int, bool]]] = {}
        for state in _states(rows, origin, failures):
            # Of what happened in one moment the end alone could be seen.
            if states and states[-1].at == state.at:
                states.pop()
            states.append(state)
        return Truth(states, failures)


def _states(
    rows: list[tuple[int, str | None, int | None, str | None]],
    origin: int,
    failures: dict[str, list[tuple[int, bool]]],
) -> Iterator[State]:
    tasks: dict[str, int] = {}
    counts = [0] * len(TaskState)
    now = ""
    for at, task, state, job in rows:
        if now == "gone":
            # What is swept up later was gone already.
            return
        if job is not None:
            now = job
            if job == "gone":
                counts = [0] * len(TaskState)
        elif task is not None:
            before = tasks.pop(task, None)
            if before is not None:
                counts[before] -= 1
            if state is not None:
                tasks[task] = state
                counts[state] += 1
            failures.setdefault(task, []).append((at - origin, state == TaskState.FAILED))
        yield State(at - origin, now, *counts)
