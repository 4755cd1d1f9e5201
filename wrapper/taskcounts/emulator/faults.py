"""Faults on demand: what goes wrong, for which job, and for how many calls. Values and a plan; no I/O.

A fault is met where the service would do its work: by a call that is authenticated and whose parameters
are right. Other calls are refused as ever, and use up nothing. The first fault that fits a call is its
only one; the next one's turn comes when that is used up.

=============== ======================================== =================================================
kind            options (in JSON)                        what the caller meets
=============== ======================================== =================================================
throttled       retryAfter: seconds or a date            429 TooManyRequests
busy            retryAfter: seconds or a date            503 ServerBusy
internal-error                                           500 InternalError
bad-gateway                                              502 with the HTML of a proxy
unknown-status                                           520 with the HTML of a proxy
reset                                                    the connection is reset before any answer
drip            interval: seconds; headersToo: boolean   the right answer, a byte at a time
truncate                                                 half of the right answer, then the end
wrong-shape     variant                                  a 200 whose body breaks the contract
slow            seconds                                  a pause, then the right answer
lag                                                      the counts as they stood when the fault was set
=============== ======================================== =================================================
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from taskcounts.emulator import documents
from taskcounts.emulator.errors import EmulatorError
from taskcounts.emulator.model import JOB_ID, JobCounts
from taskcounts.emulator.shapes import VARIANTS

__all__ = ["KINDS", "Fault", "FaultPlan", "Taken", "make_fault", "parse_fault"]

KINDS: Mapping[str, tuple[str, ...]] = {
    "throttled": ("retry_after",),
    "busy": ("retry_after",),
    "internal-error": (),
    "bad-gateway": (),
    "unknown-status": (),
    "reset": (),
    "drip": ("interval", "headers_too"),
    "truncate": (),
    "wrong-shape": ("variant",),
    "slow": ("seconds",),
    "lag": (),
}

# JSON is spelled as the service spells it, Python as Python does.
_IN_JSON = {"retry_after": "retryAfter", "headers_too": "headersToo"}
_IN_PYTHON = {spelling: name for name, spelling in _IN_JSON.items()}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong on purpose.

    Attributes:
        kind: One of ``KINDS``.
        job: The id of the only job that it happens to; None for all.
        times: For how many calls (counted down as they come); None until it is cleared.
        retry_after: What the header of that name says; None for no header.
        interval: Seconds between two bytes of a drip.
        headers_too: Whether the head of a dripped answer drips as well.
        variant: Which wrong shape.
        seconds: How long a slow answer keeps waiting.
    """

    kind: str
    job: str | None = None
    times: int | None = None
    retry_after: str | None = None
    interval: float = 0.1
    headers_too: bool = False
    variant: str = "missing-member"
    seconds: float = 1.0

    def as_json(self, left: int | None) -> dict[str, object]:
        """Return the fault as ``parse_fault`` takes it, with the number of calls that are left."""
        told: dict[str, object] = {"kind": self.kind, "job": self.job, "times": left}
        told |= {_IN_JSON.get(name, name): getattr(self, name) for name in KINDS[self.kind]}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Taken:
    """The fault of one call; with a lag, the counts of old by job id in lower case."""

    fault: Fault
    counts: Mapping[str, JobCounts] | None = None


def parse_fault(document: object) -> Fault:
    """Return the fault that a JSON object tells of.

    Raises:
        EmulatorError: It is none. The message names the member.
    """
    known = ("kind", "job", "times", *(_IN_JSON.get(name, name) for name in _CHECKS))
    given = documents.members(document, "fault", known)
    return _checked({_IN_PYTHON.get(name, name): value for name, value in given.items()}, _IN_JSON)


def make_fault(kind: str, *, job: str | None = None, times: int | None = None, **options: object) -> Fault:
    """Return a fault, its options spelled as those of ``Fault``.

    Raises:
        EmulatorError: There is no such kind or option, or a value is wrong.
    """
    return _checked({"kind": kind, "job": job, "times": times, **options}, {})


class FaultPlan:
    """The faults that are set, the oldest first; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []

    def add(self, fault: Fault, counts: Mapping[str, JobCounts] | None = None) -> None:
        """Set a fault; a lag comes with the counts that it tells from now on."""
        with self._lock:
            self._entries.append(_Entry(fault, fault.times, counts))

    def take(self, job_id: str) -> Taken | None:
        """Return the fault of a call for a job, and count that call; None if nothing is to go wrong."""
        with self._lock:
            for entry in self._entries:
                if entry.fault.job is not None and entry.fault.job.lower() != job_id.lower():
                    continue
                if entry.left is not None:
                    entry.left -= 1
                    if entry.left == 0:
                        self._entries.remove(entry)
                return Taken(entry.fault, entry.counts)
        return None

    def clear(self) -> int:
        """Remove all faults, and return how many they were."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
        return count

    def as_json(self) -> list[dict[str, object]]:
        """Return the faults with the calls that each has left."""
        with self._lock:
            return [entry.fault.as_json(entry.left) for entry in self._entries]


# Compared by identity: two faults may be set alike, and the used up one is to go.
@dataclass(slots=True, eq=False)
class _Entry:
    fault: Fault
    left: int | None
    counts: Mapping[str, JobCounts] | None


def _checked(given: Mapping[str, object], spelling: Mapping[str, str]) -> Fault:
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise EmulatorError(f"fault.kind: must be one of {', '.join(KINDS)}, not {documents.show(kind)}")
    times = given.get("times")
    if times is not None:
        times = documents.whole_number(times, "fault.times", 1, 1_000_000)
    job = given.get("job")
    if job is not None:
        job = documents.text(job, "fault.job")
        if not JOB_ID.fullmatch(job):
            raise EmulatorError(f"fault.job: {documents.show(job)} is no job id")
    options = {}
    for name, value in given.items():
        if name in ("kind", "job", "times"):
            continue
        spelled = spelling.get(name, name)
        if name not in KINDS[kind]:
            raise EmulatorError(f"fault.{spelled}: {kind} has no such option")
        options[name] = _CHECKS[name](value, f"fault.{spelled}")
    # The checks have seen to it that each option has its type.
    return Fault(kind, job, times, **options)  # type: ignore[arg-type]


def _seconds(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3600:
        raise EmulatorError(
            f"{path}: must be a number of seconds from 0 to 3600, not {documents.show(value)}"
        )
    return float(value)


def _retry_after(value: object, path: str) -> str | None:
    """Return what the header says. Any printable text will do: a service may send nonsense, too."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15:
        return format(value, ".15g")
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= 100:
        return value
    raise EmulatorError(
        f"{path}: must be a number of seconds or a date as printable text, not {documents.show(value)}"
    )


def _boolean(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise EmulatorError(f"{path}: must be true or false, not {documents.show(value)}")
    return value


def _variant(value: object, path: str) -> str:
    if not isinstance(value, str) or value not in VARIANTS:
        raise EmulatorError(f"{path}: must be one of {', '.join(VARIANTS)}, not {documents.show(value)}")
    return value


_CHECKS: Mapping[str, Callable[[object, str], object]] = {
    "retry_after": _retry_after,
    "interval": _seconds,
    "headers_too": _boolean,
    "variant": _variant,
    "seconds": _seconds,
}
