"""The emulated account: settings, state, faults and a clock.

The application, its administration and ``Emulator`` all work on one of these,
and there may be any number of them in a process.
"""

from __future__ import annotations

import base64
import logging
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
from taskcounts_rest import contract

__all__ = ["API_VERSION", "EmulatedAccount", "Settings"]

API_VERSION = contract.API_VERSION

# Every version that was warned of is remembered, and a caller can make up any number of them.
_MAX_VERSIONS = 100

_HOST = re.compile(r"[A-Za-z0-9._:-]+")

logger = logging.getLogger("taskcounts_emulator")


class Settings(TypedDict, total=False):
    """The settings of an ``EmulatedAccount``, for those who hand them on."""

    store: str | os.PathLike[str]
    strict: bool
    admin_hosts: Iterable[str]
    scripted: bool
    seed: int | None
    slots: int | None
    now: Callable[[], datetime]


class EmulatedAccount:
    """A Batch account that exists in this process alone.

    Args:
        account: Its name.
        key: Its access key, Base64; by default 64 random bytes.
        store: A file that keeps jobs, tasks and settings, made if it does not exist; by default, memory does.
        strict: Refuse every api-version but the one that is emulated, instead of a warning in the log.
        admin_hosts: Names, beside those of this machine, under which the administration may be asked,
            such as the name of a container.
        scripted: Whether tasks live by a scripted clock, which ``advance`` moves, instead of the machine's.
            Requests are dated by the machine's in any case.
        seed: What all chance comes from.
        slots: How many task slots each pool has that no scenario describes; None leaves that as the store has
            it. In a new one there are none, and as in the service, tasks wait until there is such a pool.
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
        strict: bool = False,
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
        self.strict = strict
        self.admin_hosts = frozenset(host.lower() for host in admin_hosts)
        for host in sorted(self.admin_hosts):
            if not _HOST.fullmatch(host):
                raise EmulatorError(f"admin_hosts: {json_reader.show(host)} is no name of a host")
        self._slots = None if slots is None else json_reader.whole_number(slots, "slots", 0, MAX_POOL_SLOTS)
        self._seed = None if seed is None else parse_seed(seed)
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
        self._versions: set[str] = set()
        self._lock = threading.Lock()

    @property
    def decoded_key(self) -> bytes:
        """The bytes of the access key."""
        return base64.b64decode(self.key)

    def load(self, scenario: object) -> list[str]:
        """Take what a scenario says, all of it or nothing, and return the ids of its jobs.

        Args:
            scenario: JSON as text or bytes, or what such a text decodes to.

        Raises:
            EmulatorError: It is no scenario, or one of its jobs exists already.
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
            tasks: How many active tasks, or tasks as the entries of a scenario.
            options: The other members of a scenario's job, spelled as there, such as ``pool="render"``.

        Raises:
            EmulatorError: The id, an entry or an option is wrong, or the job exists already.
        """
        if isinstance(tasks, int):
            tasks = [{"count": tasks}] if tasks != 0 else ()
        # Held, so that two callers don't find the same id free.
        with self._lock:
            if job_id is None:
                taken = {known.lower() for known in self.all_counts()}
                job_id = next(name for number in count(1) if (name := f"job-{number}") not in taken)
            self.world.load([parse_job(job_id, list(tasks), **options)])
        return job_id

    def step(self, job_id: str, *, start: int = 0, succeed: int = 0, fail: int = 0) -> None:
        """Start active tasks, then complete running ones, the oldest first: all that is asked, or nothing.

        Args:
            job_id: The job.
            start: How many active tasks begin to run.
            succeed: How many running tasks complete with success.
            fail: How many running tasks complete with failure, whatever retries they have left.

        Raises:
            NoSuchJob: There is no such job.
            EmulatorError: There are fewer tasks in that state.
        """
        self.world.step(
            json_reader.text(job_id, "job"),
            start=json_reader.whole_number(start, "start", 0, MAX_TASKS),
            succeed=json_reader.whole_number(succeed, "succeed", 0, MAX_TASKS),
            fail=json_reader.whole_number(fail, "fail", 0, MAX_TASKS),
        )

    def advance(self, seconds: float) -> datetime:
        """Let time pass on a scripted clock, with all that happens meanwhile, and return the new time.

        Raises:
            EmulatorError: The clock is the machine's, or would run for more than ten years at once.
        """
        return _time(self.world.advance(json_reader.number(seconds, "seconds", 0, MAX_SECONDS)))

    def clock(self) -> dict[str, object]:
        """Return which clock it is, ``machine`` or ``scripted``, and its time."""
        kind = "scripted" if self.world.scripted else "machine"
        return {"kind": kind, "now": _time(self.world.now()).isoformat()}

    def set_seed(self, seed: object) -> None:
        """Let all further chance come from a seed.

        Raises:
            EmulatorError: It is no whole number.
        """
        known = parse_seed(seed)
        self.world.set(seed=known)
        self.faults.set_seed(known)

    def lag(self) -> dict[str, object]:
        """Return how reported counts trail the truth: the switches that are on, as in JSON."""
        return self.world.lag.as_json()

    def set_lag(self, document: object) -> None:
        """Let reported counts trail the truth from now on, as a JSON object says; see ``LagModel``.

        Raises:
            EmulatorError: It is no lag model.
        """
        self.world.set(lag=parse_lag(document))

    def clear_lag(self) -> None:
        """Let reported counts be the true ones."""
        self.world.set(lag=LagModel())

    def snapshot(self, name: str = "snapshot") -> None:
        """Keep a copy of the jobs, tasks, pools, settings and a scripted clock's time, in memory.

        Raises:
            EmulatorError: There are too many copies already.
        """
        self.world.snapshot(json_reader.text(name, "name"))

    def restore(self, name: str = "snapshot") -> None:
        """Put everything back as it was when a copy of that name was kept; faults and journal stay.

        Raises:
            EmulatorError: There is no such copy.
        """
        self.world.restore(json_reader.text(name, "name"))

    def snapshots(self) -> list[str]:
        """Return the names of the copies."""
        return self._store.snapshots()

    def drop_snapshots(self) -> int:
        """Forget the copies, and return how many they were."""
        return self._store.drop_snapshots()

    def counts(self, job_id: str) -> JobCounts:
        """Return the true counts of a job, whatever faults are set.

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
        """Let something go wrong: see ``Fault`` for the kinds and their options.

        Raises:
            EmulatorError: There is no such kind or option, or a value is wrong.
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
        """Let the next call go wrong, or the next ``times`` of them: see ``fault``."""
        self.set_fault(make_fault(kind, operation=operation, job=job, times=times, **options))

    def set_fault(self, fault: Fault) -> None:
        """Let a fault happen from the next call on, after those that were set before."""
        if fault.kind == "lag":
            self.faults.add(fault, {job_id.lower(): counts for job_id, counts in self.all_counts().items()})
        else:
            self.faults.add(fault)

    def clear_faults(self) -> int:
        """Let nothing go wrong any more, and return how many faults were set."""
        return self.faults.clear()

    def reset(self) -> None:
        """Begin again: without jobs, tasks, faults and journal, with the seed and slots of the beginning."""
        # Held, so that nobody sees it half done.
        with self._store.connection():
            self.world.clear()
            self._begin()
        self.faults.clear()
        self.journal.clear()

    def _begin(self) -> None:
        """Bring the settings into the store that the account was made with."""
        self.faults.set_seed(self._seed)
        pools = () if self._slots is None else (Pool(ANY, self._slots),)
        if pools or self._seed is not None:
            self.world.load((), pools, seed=self._seed)

    def accepts(self, version: str) -> bool:
        """Return whether an api-version is answered; warn in the log, once for each unknown one."""
        if version == API_VERSION:
            return True
        if self.strict:
            return False
        with self._lock:
            new = version not in self._versions and len(self._versions) < _MAX_VERSIONS
            if new:
                self._versions.add(version)
        if new:
            logger.warning(
                "api-version %s is answered as if it were %s", json_reader.show(version), API_VERSION
            )
        return True

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def __repr__(self) -> str:
        return f"EmulatedAccount({self.account!r}, key=<hidden>, store={self._store.path!r})"


def _time(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
