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
from datetime import datetime

from taskcounts.credentials import SharedKey
from taskcounts.emulator import documents
from taskcounts.emulator.errors import EmulatorError
from taskcounts.emulator.faults import Fault, FaultPlan, make_fault
from taskcounts.emulator.model import MAX_TASKS, JobCounts, utc_now
from taskcounts.emulator.scenario import parse_job, parse_scenario
from taskcounts.emulator.store import Store
from taskcounts_rest import contract

__all__ = ["API_VERSION", "EmulatedAccount"]

API_VERSION = contract.API_VERSION

# Every version that was warned of is remembered, and a caller can make up any number of them.
_MAX_VERSIONS = 100

_HOST = re.compile(r"[A-Za-z0-9._:-]+")

logger = logging.getLogger("taskcounts.emulator")


class EmulatedAccount:
    """A Batch account that exists in this process alone.

    Args:
        account: Its name.
        key: Its access key, Base64; by default 64 random bytes.
        store: A file that keeps the jobs, made if it does not exist; by default they are kept in memory.
        strict: Refuse every api-version but the one that is emulated, instead of a warning in the log.
        admin_hosts: Names, beside those of this machine, under which the administration may be asked,
            such as the name of a container.
        now: The clock; returns a time with its zone.

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
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if key is None:
            key = base64.b64encode(secrets.token_bytes(64)).decode("ascii")
        try:
            self.account = SharedKey(account, key).account
        except (TypeError, ValueError) as error:
            raise EmulatorError(str(error)) from error
        self.key = key.strip()
        self.strict = strict
        self.admin_hosts = frozenset(host.lower() for host in admin_hosts)
        for host in sorted(self.admin_hosts):
            if not _HOST.fullmatch(host):
                raise EmulatorError(f"admin_hosts: {documents.show(host)} is no name of a host")
        self.now = now
        self.faults = FaultPlan()
        self._store = Store(store)
        self._versions: set[str] = set()
        self._lock = threading.Lock()

    @property
    def decoded_key(self) -> bytes:
        """The bytes of the access key."""
        return base64.b64decode(self.key)

    def load(self, scenario: object) -> list[str]:
        """Add the jobs of a scenario, all or none, and return their ids.

        Args:
            scenario: JSON as text or bytes, or what such a text decodes to.

        Raises:
            EmulatorError: It is no scenario, or one of its jobs exists already.
        """
        jobs = parse_scenario(scenario)
        self._store.add(jobs)
        return [job.id for job in jobs]

    def add_job(self, job_id: str, tasks: Iterable[object] = ()) -> None:
        """Add a job with its tasks, given as the entries of a scenario are.

        Raises:
            EmulatorError: The id or an entry is wrong, or the job exists already.
        """
        self._store.add([parse_job(job_id, list(tasks))])

    def step(self, job_id: str, *, start: int = 0, succeed: int = 0, fail: int = 0) -> None:
        """Start active tasks, then complete running ones, the oldest first: all that is asked, or nothing.

        Args:
            job_id: The job.
            start: How many active tasks begin to run.
            succeed: How many running tasks complete with success.
            fail: How many running tasks complete with failure.

        Raises:
            NoSuchJob: There is no such job.
            EmulatorError: There are fewer tasks in that state.
        """
        self._store.step(
            documents.text(job_id, "job"),
            start=documents.whole_number(start, "start", 0, MAX_TASKS),
            succeed=documents.whole_number(succeed, "succeed", 0, MAX_TASKS),
            fail=documents.whole_number(fail, "fail", 0, MAX_TASKS),
        )

    def counts(self, job_id: str) -> JobCounts:
        """Return the true counts of a job, whatever faults are set.

        Raises:
            NoSuchJob: There is no such job.
        """
        return self._store.counts(job_id)

    def all_counts(self) -> dict[str, JobCounts]:
        """Return the true counts of all jobs by job id, in the order in which they were added."""
        return self._store.all_counts()

    def fault(
        self, kind: str, *, job: str | None = None, times: int | None = None, **options: object
    ) -> None:
        """Let something go wrong: see ``Fault`` for the kinds and their options.

        Raises:
            EmulatorError: There is no such kind or option, or a value is wrong.
        """
        self.set_fault(make_fault(kind, job=job, times=times, **options))

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
        """Forget all jobs, tasks and faults."""
        self._store.clear()
        self.faults.clear()

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
                "api-version %s is answered as if it were %s", documents.show(version), API_VERSION
            )
        return True

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def __repr__(self) -> str:
        return f"EmulatedAccount({self.account!r}, key=<hidden>, store={self._store.path!r})"
