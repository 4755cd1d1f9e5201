"""The lag model: reported counts that trail the true ones.

The real service counts in the background: a state change shows after a while, and a missed one shows with the
next validation pass. The known anomalies, from public threads, each have a switch (named as in JSON):

==================== ============================================== =======================================
switch               reported counts                                source
==================== ============================================== =======================================
delay                the counts of that many seconds ago; zeros     the operation's own reference; a shell
                     for a job that is younger                      script that deletes "empty" fresh jobs
miss                 each change is missed with this probability    Azure/BatchExplorer#2628: 42 tasks running
                                                                    on 24 slots
validation           every so many seconds a pass over each job     the published `validationStatus`, before
                     corrects what was missed; not for jobs of      api-version 2018-08-01.7.0
                     more than 200,000 tasks
swapActiveRunning    active tasks as running, and the other way     Azure/azure-sdk-for-js#5496: active 1,
                     round                                          running 0 while a job manager task ran
staleFailures        a failure that was reactivated or deleted is   Azure/BatchExplorer#2628, #2081: failures
                     counted until the next pass                    that were not there, and later vanished
zeroSlots            every number of slots as 0                     recorded: 0/0/5/2/3 tasks with all slots 0
freezeAbove          while a job has more tasks than this, its      the same description: above 200,000 tasks
                     reported counts stand still                    nothing is validated
==================== ============================================== =======================================

List queries always return the true states.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

from taskcounts_emulator import json_reader
from taskcounts_emulator.model import Counts, JobCounts, TaskState
from taskcounts_emulator.state.sampling import MAX_SECONDS, draw

__all__ = ["IN_JSON", "Lag", "LagModel", "parse_lag", "sum_tallies"]

# The published description says that jobs with more tasks are not validated.
VALIDATED_UP_TO = 200_000

_STATES = tuple(TaskState)

# In place of the reported state of a task whose addition was missed.
_UNADDED = -1


@dataclass(frozen=True, slots=True)
class LagModel:
    """The switches of the lag; by default, true counts are reported.

    Attributes:
        delay: The delay in seconds.
        miss: The probability, from 0 to 1, that a change is missed.
        validation: Seconds between two validation passes; None: no passes.
        swap_active_running: Whether active and running tasks are swapped.
        stale_failures: Whether failures that were reactivated or deleted are still counted.
        zero_slots: Whether all numbers of slots are 0.
        freeze_above: The number of tasks above which a job's reported counts stand still; None: no limit.
    """

    delay: float = 0.0
    miss: float = 0.0
    validation: float | None = None
    swap_active_running: bool = False
    stale_failures: bool = False
    zero_slots: bool = False
    freeze_above: int | None = None

    def as_json(self) -> dict[str, object]:
        """Return the switches that are on, in the form of ``parse_lag``."""
        return {
            IN_JSON.get(field.name, field.name): getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }


# Names of switches that differ in JSON.
IN_JSON = {
    "swap_active_running": "swapActiveRunning",
    "stale_failures": "staleFailures",
    "zero_slots": "zeroSlots",
    "freeze_above": "freezeAbove",
}
NO_LAG = LagModel()


def parse_lag(document: object, path: str = "lag") -> LagModel:
    """Return the lag model that a JSON object describes.

    Raises:
        EmulatorError: The lag model is invalid. The message names the member.
    """
    known = [IN_JSON.get(field.name, field.name) for field in fields(LagModel)]
    given = json_reader.members(document, path, known)

    def flag(name: str) -> bool:
        return json_reader.boolean(given.get(name, False), f"{path}.{name}")

    return LagModel(
        delay=json_reader.number(given.get("delay", 0), f"{path}.delay", 0, MAX_SECONDS),
        miss=json_reader.number(given.get("miss", 0), f"{path}.miss", 0, 1),
        validation=json_reader.optional(
            json_reader.number, given.get("validation"), f"{path}.validation", 0.001, MAX_SECONDS
        ),
        swap_active_running=flag("swapActiveRunning"),
        stale_failures=flag("staleFailures"),
        zero_slots=flag("zeroSlots"),
        freeze_above=json_reader.optional(
            json_reader.whole_number, given.get("freezeAbove"), f"{path}.freezeAbove", 0, 2**31
        ),
    )


def sum_tallies(rows: Iterable[tuple[Any, ...]]) -> JobCounts:
    """Return the counts of rows that begin with a state, a number of tasks and a number of slots."""
    tasks, slots = [0] * len(_STATES), [0] * len(_STATES)
    for state, of_tasks, of_slots, *_ in rows:
        tasks[state] += of_tasks
        slots[state] += of_slots
    return JobCounts(_counts(tasks), _counts(slots))


def _counts(numbers: list[int]) -> Counts:
    active, preparing, running, succeeded, failed = numbers
    return Counts(active, preparing + running, succeeded, failed)


class Lag:
    """Follows every change of a task, and stores the reported counts of each job.

    All of its state is in the store, and each method runs in a transaction of its caller.
    """

    def __init__(self, db: sqlite3.Connection, model: LagModel, seed: int) -> None:
        self.model = model
        self._db = db
        self._seed = seed
        # The other switches only change the current numbers, and need no history.
        self.keeps_history = (
            bool(model.delay or model.miss or model.stale_failures) or model.freeze_above is not None
        )

    def restart(self, at: int) -> None:
        """Discard earlier reports, and report the true counts of this moment."""
        for table in ("reports", "unseen", "adjustments"):
            self._db.execute(f"DELETE FROM {table}")
        if self.keeps_history:
            # The reports are dated back by the delay, so that they show at once.
            delay = round(self.model.delay * 1e6)
            for number, created in self._db.execute("SELECT number, created FROM jobs").fetchall():
                self.record((number,), max(created, at - delay))

    def task_changed(  # noqa: PLR0917 - all of it is one change.
        self, job: int, task: int, run: int, slots: int, old: TaskState | None, new: TaskState | None
    ) -> None:
        """Record a change; an added task has no old state, a deleted one no new state."""
        row, reported = None, old
        if self.model.miss:
            row = self._db.execute("SELECT state FROM unseen WHERE task = ?", (task,)).fetchone()
        if row is not None:
            reported = None if row[0] == _UNADDED else TaskState(row[0])
        # Take back the effect of an earlier miss, then apply that of this change.
        if reported is not old:
            self._adjust(job, reported, -1, slots)
            self._adjust(job, old, 1, slots)
        if self._is_stale_failure(reported, new):
            self._adjust(job, TaskState.FAILED, 1, slots)
        elif self.model.miss and draw(self._seed, "miss", job, task, run, old, new) < self.model.miss:
            self._adjust(job, reported, 1, slots)
            self._adjust(job, new, -1, slots)
            state = _UNADDED if reported is None else reported
            self._db.execute("INSERT OR REPLACE INTO unseen VALUES (?, ?, ?)", (task, job, state))
            return
        if row is not None:
            self._db.execute("DELETE FROM unseen WHERE task = ?", (task,))

    def _is_stale_failure(self, reported: TaskState | None, new: TaskState | None) -> bool:
        """Return whether a reported failure is still counted although it is gone."""
        return self.model.stale_failures and reported is TaskState.FAILED and new is not TaskState.FAILED

    def record(self, jobs: Iterable[int], at: int) -> None:
        """Store the counts of some jobs, to be reported once the delay has passed."""
        freeze_above, delay = self.model.freeze_above, round(self.model.delay * 1e6)
        for job in jobs:
            tallies = self._db.execute(
                "SELECT state, tasks, slots FROM tallies WHERE job = ?", (job,)
            ).fetchall()
            size = sum(tasks for _, tasks, _ in tallies)
            # A deleted job has no tallies.
            if not tallies or (freeze_above is not None and size > freeze_above and self._latest(job, at)):
                continue
            adjusted = self._db.execute(
                "SELECT state, tasks, slots FROM adjustments WHERE job = ?", (job,)
            ).fetchall()
            counts = sum_tallies([*tallies, *adjusted])
            numbers = (*astuple(counts.tasks), *astuple(counts.slots))
            self._db.execute(
                "INSERT OR REPLACE INTO reports VALUES (?, ?, ?)", (job, at, json.dumps(numbers))
            )
            # Of the reports older than the delay, only the newest is needed.
            self._db.execute(
                "DELETE FROM reports WHERE job = :job AND at < "
                "(SELECT MAX(at) FROM reports WHERE job = :job AND at <= :shown)",
                {"job": job, "shown": at - delay},
            )

    def next_pass(self, at: int) -> int | None:
        """Return the time of the next validation pass; None if there is nothing to correct."""
        if self.model.validation is None or not self._to_correct():
            return None
        interval = max(1, round(self.model.validation * 1e6))
        return (at // interval + 1) * interval

    def validate(self, at: int) -> None:
        """Correct missed changes."""
        jobs = self._to_correct()
        for job in jobs:
            self._db.execute("DELETE FROM adjustments WHERE job = ?", (job,))
            self._db.execute("DELETE FROM unseen WHERE job = ?", (job,))
        self.record(jobs, at)

    def reported(self, job: int, truth: JobCounts, now: int) -> JobCounts:
        """Return the reported counts of a job."""
        counts = truth
        if self.keeps_history:
            row = self._latest(job, now - round(self.model.delay * 1e6))
            numbers = json.loads(row[0]) if row else [0] * 8
            counts = JobCounts(Counts(*numbers[:4]), Counts(*numbers[4:]))
        if self.model.swap_active_running:
            counts = JobCounts(_swapped(counts.tasks), _swapped(counts.slots))
        return JobCounts(counts.tasks) if self.model.zero_slots else counts

    def _latest(self, job: int, at: int) -> tuple[str] | None:
        row: tuple[str] | None = self._db.execute(
            "SELECT numbers FROM reports WHERE job = ? AND at <= ? ORDER BY at DESC LIMIT 1", (job, at)
        ).fetchone()
        return row

    def _to_correct(self) -> list[int]:
        rows = self._db.execute(
            "SELECT DISTINCT job FROM adjustments WHERE "
            "(SELECT SUM(tasks) FROM tallies WHERE tallies.job = adjustments.job) <= ?",
            (VALIDATED_UP_TO,),
        ).fetchall()
        return [job for (job,) in rows]

    def _adjust(self, job: int, state: TaskState | None, tasks: int, slots: int) -> None:
        if state is not None:
            self._db.execute(
                "INSERT INTO adjustments VALUES (?, ?, ?, ?) ON CONFLICT (job, state) DO UPDATE "
                "SET tasks = tasks + excluded.tasks, slots = slots + excluded.slots",
                (job, state, tasks, tasks * slots),
            )


def _swapped(counts: Counts) -> Counts:
    return Counts(counts.running, counts.active, counts.succeeded, counts.failed)


def stored_model(value: object) -> LagModel:
    """Return the lag model of a stored value."""
    return parse_lag(value) if isinstance(value, Mapping) else NO_LAG
