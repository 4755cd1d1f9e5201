"""The emulated account: its settings, state, faults, journal and clock.

The application, the admin API and ``Emulator`` all work on one account. A process can have any number of
them.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypedDict

from taskcounts.credentials import SharedKey
from taskcounts_emulator import json_reader
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.faults.plan import Fault, FaultPlan, make_fault
from taskcounts_emulator.journal import Journal
from taskcounts_emulator.model import MAX_TASKS, JobCounts, utc_now
from taskcounts_emulator.state.lag import LagModel, parse_lag
from taskcounts_emulator.state.pool import ANY, MAX_POOL_SLOTS, Pool
from taskcounts_emulator.state.sampling import MAX_SECONDS
from taskcounts_emulator.state.scenario import parse_job, parse_scenario, parse_seed
from taskcounts_emulator.state.store import Store
from taskcounts_emulator.state.world import World

__all__ = ["EmulatedAccount", "Settings"]

_HOST = re.compile(r"[A-Za-z0-9._:-]+")


class Settings(TypedDict, total=False):
    """The settings of an ``EmulatedAccount``, for functions that pass them on."""

    store: str | os.PathLike[str]
    admin_hosts: Iterable[str]
    scripted: bool
    seed: int | None
    slots: int | None
    now: Callable[[], datetime]


class EmulatedAccount:
    """A Batch account that exists only in this process.

    Args:
        account: The account's name.
        key: Its access key, Base64; by default 64 random bytes.
        store: A file for jobs, tasks and settings, made if it does not exist; by default, they are in memory.
        admin_hosts: Further host names that the admin API accepts, such as the name of a container.
        scripted: Whether tasks follow a scripted clock, which ``advance`` moves, instead of the machine's.
            Requests are always dated by the machine's clock.
        seed: The seed of all random draws.
        slots: The number of task slots of each pool that no scenario describes; None keeps the number in the
            store. In a new store it is 0, and tasks wait for their pool, as in the service.
        now: The machine's clock; returns a time with its zone.

    Raises:
        EmulatorError: A setting is wrong, or the store cannot be used. The message doesn't show the key.
    """

    def __init__(
        self,
        account: str = "emulated",
        key: str | None = None,
        *,
        store: str | os.PathLike[str] = ":memory:",
        admin_hosts: Iterable[str] = (),
        scripted: bool = False,
        seed: int | None = None,
        slots: int | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if key is None:
            key = base64.b64encode(secrets.token_bytes(64)).decode("ascii")
        try:
            self.credential = SharedKey(account, key)
        except (TypeError, ValueError) as error:
            raise EmulatorError(str(error)) from error
        self.account = self.credential.account
        self.key = key.strip()
        self.admin_hosts = frozenset(host.lower() for host in admin_hosts)
        for host in sorted(self.admin_hosts):
            if not _HOST.fullmatch(host):
                raise EmulatorError(f"admin_hosts: {json_reader.show(host)} is not a host name")
        self._slots = json_reader.optional(json_reader.whole_number, slots, "slots", 0, MAX_POOL_SLOTS)
        self._seed = json_reader.optional(parse_seed, seed, "seed")
        self.now = now
        self.faults = FaultPlan()
        self.journal = Journal()
        self._store = Store(store)
        try:
            self.world = World(self._store, now, scripted=scripted)
            self._begin()
        except BaseException:
            self._store.close()
            raise
        self._lock = threading.Lock()

    def load(self, scenario: object) -> list[str]:
        """Apply a scenario, all of it or nothing, and return the ids of its jobs.

        Args:
            scenario: JSON as text or bytes, or the decoded value.

        Raises:
            EmulatorError: The scenario is invalid, or one of its jobs exists already.
        """
        found = parse_scenario(scenario)
        self.world.load(found.jobs, found.pools, seed=found.seed, settle=found.settle, lag=found.lag)
        if found.seed is not None:
            self.faults.set_seed(found.seed)
        return [job.id for job in found.jobs]

    def add_job(
        self, job_id: str | None = None, tasks: int | Iterable[object] = (), **options: object
    ) -> str:
        """Add a job with its tasks, and return its id.

        Args:
            job_id: Its id; by default ``job-1``, ``job-2`` and so on.
            tasks: The number of active tasks, or entries as in a scenario.
            options: The other members of a scenario's job, spelled as there, such as ``pool="render"``.

        Raises:
            EmulatorError: The id, an entry or an option is invalid, or the job exists already.
        """
        if isinstance(tasks, int):
            tasks = [{"count": tasks}] if tasks != 0 else ()
        # Locked, so that two callers never get the same free id.
        with self._lock:
            if job_id is None:
                taken = {known.lower() for known in self.all_counts()}
                job_id = next(name for number in count(1) if (name := f"job-{number}") not in taken)
            self.world.load([parse_job(job_id, list(tasks), **options)])
        return job_id

    def step(self, job_id: str, *, start: int = 0, succeed: int = 0, fail: int = 0) -> None:
        """Start active tasks, then complete running ones, the oldest first: all of the steps, or none.

        Args:
            job_id: The job.
            start: The number of active tasks to start.
            succeed: The number of running tasks to complete with success.
            fail: The number of running tasks to complete with failure, whatever retries they have left.

        Raises:
            NoSuchJob: There is no such job.
            EmulatorError: The job has fewer tasks in that state.
        """
        self.world.step(
            json_reader.text(job_id, "job"),
            start=json_reader.whole_number(start, "start", 0, MAX_TASKS),
            succeed=json_reader.whole_number(succeed, "succeed", 0, MAX_TASKS),
            fail=json_reader.whole_number(fail, "fail", 0, MAX_TASKS),
        )

    def advance(self, seconds: float) -> datetime:
        """Advance a scripted clock, process the events until then, and return the new time.

        Raises:
            EmulatorError: The clock is the machine's, or the step is longer than ten years.
        """
        return _time(self.world.advance(json_reader.number(seconds, "seconds", 0, MAX_SECONDS)))

    def clock(self) -> dict[str, object]:
        """Return the kind of the clock, ``machine`` or ``scripted``, and its time."""
        kind = "scripted" if self.world.scripted else "machine"
        return {"kind": kind, "now": _time(self.world.now()).isoformat()}

    def set_seed(self, seed: object) -> None:
        """Set the seed of all further random draws.

        Raises:
            EmulatorError: The seed is not a whole number.
        """
        known = parse_seed(seed)
        self.world.load(seed=known)
        self.faults.set_seed(known)

    def lag(self) -> dict[str, object]:
        """Return the switches of the lag model that are on, as in JSON."""
        return self.world.lag.as_json()

    def set_lag(self, document: object) -> None:
        """Set the lag model of reported counts from a JSON object; see ``LagModel``.

        Raises:
            EmulatorError: The lag model is invalid.
        """
        self.world.load(lag=parse_lag(document))

    def clear_lag(self) -> None:
        """Report the true counts from now on."""
        self.world.load(lag=LagModel())

    def snapshot(self, name: str = "snapshot") -> None:
        """Keep a copy of the jobs, tasks, pools, settings and the scripted time, in memory.

        Raises:
            EmulatorError: The limit of snapshots is reached.
        """
        self.world.snapshot(json_reader.text(name, "name"))

    def restore(self, name: str = "snapshot") -> None:
        """Restore a snapshot; faults and journal stay as they are.

        Raises:
            EmulatorError: There is no snapshot of that name.
        """
        self.world.restore(json_reader.text(name, "name"))

    def snapshots(self) -> list[str]:
        """Return the names of the snapshots."""
        return self._store.snapshots()

    def drop_snapshots(self) -> int:
        """Delete all snapshots, and return their number."""
        return self._store.drop_snapshots()

    def counts(self, job_id: str) -> JobCounts:
        """Return the true counts of a job, regardless of faults and lag.

        Raises:
            NoSuchJob: There is no such job.
        """
        return self.world.counts(job_id)

    def all_counts(self) -> dict[str, JobCounts]:
        """Return the true counts of all jobs by job id, in the order in which they were added."""
        return self.world.all_counts()

    def fault(
        self,
        kind: str,
        *,
        operation: str | None = None,
        job: str | None = None,
        times: int | None = None,
        probability: float = 1,
        seed: int | None = None,
        **options: object,
    ) -> None:
        """Set a fault; see ``Fault`` for the kinds and their options.

        Raises:
            EmulatorError: The kind, an option or a value is invalid.
        """
        self.set_fault(
            make_fault(
                kind,
                operation=operation,
                job=job,
                times=times,
                probability=probability,
                seed=seed,
                **options,
            )
        )

    def fail_next(
        self,
        kind: str = "busy",
        *,
        operation: str | None = None,
        job: str | None = None,
        times: int = 1,
        **options: Any,
    ) -> None:
        """Set a fault for the next ``times`` requests; see ``fault``."""
        self.set_fault(make_fault(kind, operation=operation, job=job, times=times, **options))

    def set_fault(self, fault: Fault) -> None:
        """Set a fault; the faults that were set before take precedence."""
        if fault.kind == "lag":
            self.faults.add(fault, {job_id.lower(): counts for job_id, counts in self.all_counts().items()})
        else:
            self.faults.add(fault)

    def clear_faults(self) -> int:
        """Remove all faults, and return their number."""
        return self.faults.clear()

    def reset(self) -> None:
        """Remove jobs, tasks, faults and journal, and restore the initial seed and slots."""
        # Locked, so that no request sees a half-finished reset.
        with self._store.connection():
            self.world.clear()
            self._begin()
        self.faults.clear()
        self.journal.clear()

    def _begin(self) -> None:
        """Write the initial settings into the store."""
        self.faults.set_seed(self._seed)
        pools = () if self._slots is None else (Pool(ANY, self._slots),)
        if pools or self._seed is not None:
            self.world.load((), pools, seed=self._seed)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def __repr__(self) -> str:
        return f"EmulatedAccount({self.account!r}, key=<hidden>, store={self._store.path!r})"


def _time(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
