"""The plan of faults: their kinds, operations, jobs, numbers and probabilities. No I/O.

A fault is injected where the service would perform the operation, so only into authenticated requests with
valid parameters. Other requests are refused as usual, and do not count. A request gets the first fault that
applies; later faults apply once that is used up, or where its probability spares the request.

A fault never applies to an operation that it cannot affect: most need a response with a body, and a lag
concerns only counts.

=============== ======================================== =================================================
kind            options (in JSON)                        response
=============== ======================================== =================================================
throttled       retryAfter: seconds or a date            429 TooManyRequests
busy            retryAfter: seconds or a date            503 ServerBusy
internal-error                                           500 InternalError
bad-gateway                                              502 with the HTML of a proxy
unknown-status                                           520 with the HTML of a proxy
reset           applied: boolean                         a reset of the connection; if it is applied, after
                                                         the operation was performed
drip            interval: seconds; headersToo: boolean   the right response, one byte at a time
truncate                                                 half of the right response
wrong-shape     variant (see ``malformed``)              a 200 whose body breaks the contract
slow            seconds                                  the right response after a pause
lag                                                      the counts of the time when the fault was set
=============== ======================================== =================================================
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from taskcounts_emulator import json_reader
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.faults.malformed import OF_NESTED_COUNTS, VARIANTS, WITH_BODY
from taskcounts_emulator.json_reader import optional
from taskcounts_emulator.model import JOB_ID, JobCounts
from taskcounts_emulator.versions import ApiVersion

__all__ = ["KINDS", "OPERATIONS", "Fault", "FaultPlan", "InjectedFault", "make_fault", "parse_fault"]

OPERATIONS = (
    "Job_Add", "Job_List", "Job_Get", "Job_Patch", "Job_Delete", "Job_Terminate", "Job_Disable", "Job_Enable",
    "Job_GetTaskCounts", "Task_Add", "Task_AddCollection", "Task_List", "Task_Get", "Task_Delete",
    "Task_Terminate", "Task_Reactivate",
)  # fmt: skip

KINDS: Mapping[str, tuple[str, ...]] = {
    "throttled": ("retry_after",),
    "busy": ("retry_after",),
    "internal-error": (),
    "bad-gateway": (),
    "unknown-status": (),
    "reset": ("applied",),
    "drip": ("interval", "headers_too"),
    "truncate": (),
    "wrong-shape": ("variant",),
    "slow": ("seconds",),
    "lag": (),
}

# Operations without a job in their path.
_JOBLESS = ("Job_Add", "Job_List")

# Options of all kinds.
_COMMON = ("kind", "job", "times", "operation", "probability", "seed")

# Option names that differ between Python and JSON.
_IN_JSON = {"retry_after": "retryAfter", "headers_too": "headersToo"}
_IN_PYTHON = {spelling: name for name, spelling in _IN_JSON.items()}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to inject.

    Attributes:
        kind: One of ``KINDS``.
        job: The id of the only job that it applies to, as in paths; None for all requests.
        times: The number of requests that it applies to; None for no limit.
        retry_after: The value of the Retry-After header; None for no header.
        interval: Seconds between two bytes of a drip.
        headers_too: Whether the head of the response drips, too.
        variant: The variant of a malformed body.
        seconds: The pause of a slow response.
        operation: The only operation that it applies to; None for all that it can affect.
        probability: The probability, above 0 and up to 1, that it applies to a request; others do not count.
        seed: The seed of its draws; None for other draws each time.
        applied: Whether the operation is performed before its connection is reset.
    """

    kind: str
    job: str | None = None
    times: int | None = None
    retry_after: str | None = None
    interval: float = 0.1
    headers_too: bool = False
    variant: str = "missing-member"
    seconds: float = 1.0
    operation: str | None = None
    probability: float = 1.0
    seed: int | None = None
    applied: bool = False

    @property
    def operations(self) -> tuple[str, ...]:
        """The operations that the fault can affect."""
        match self.kind:
            case "lag":
                return ("Job_GetTaskCounts",)
            case "wrong-shape":
                return VARIANTS[self.variant]
            case "truncate":
                return WITH_BODY
            case "drip" if not self.headers_too:
                return WITH_BODY
        return OPERATIONS

    def fits(self, operation: str, job_id: str | None, version: ApiVersion) -> bool:
        """Return whether the fault applies to an operation; ``job_id`` is None if its path names no job."""
        if self.variant in OF_NESTED_COUNTS and not version.task_slots:
            return False
        if self.job is not None and (job_id is None or self.job.lower() != job_id.lower()):
            return False
        return self.operation in (None, operation) and operation in self.operations

    def as_json(self, left: int | None) -> dict[str, object]:
        """Return the fault in the form of ``parse_fault``, with the number of requests that are left."""
        members: dict[str, object] = {
            "kind": self.kind,
            "job": self.job,
            "times": left,
            "operation": self.operation,
            "probability": self.probability if self.probability < 1 else None,
            "seed": self.seed,
        }
        members |= {_IN_JSON.get(name, name): getattr(self, name) for name in KINDS[self.kind]}
        if not self.applied:
            members.pop("applied", None)
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """The fault of one request; for a lag, with the earlier counts by job id in lower case."""

    fault: Fault
    counts: Mapping[str, JobCounts] | None = None


def parse_fault(document: object) -> Fault:
    """Return the fault that a JSON object describes.

    Raises:
        EmulatorError: The fault is invalid. The message names the member.
    """
    known = (*_COMMON, *(_IN_JSON.get(name, name) for name in _CHECKS))
    given = json_reader.members(document, "fault", known)
    return _checked({_IN_PYTHON.get(name, name): value for name, value in given.items()}, _IN_JSON)


def make_fault(kind: str, **options: object) -> Fault:
    """Return a fault, with options named as the attributes of ``Fault``.

    Raises:
        EmulatorError: The kind, an option or a value is invalid.
    """
    return _checked({"kind": kind, **options}, {})


class FaultPlan:
    """The faults that are set, in the order of precedence; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []
        self._seeds = random.Random()  # noqa: S311 - Tests are to be repeated, not kept secret.

    def set_seed(self, seed: int | None) -> None:
        """Set the seed for later faults without a seed of their own; None: other draws each time."""
        with self._lock:
            self._seeds.seed(seed)

    def add(self, fault: Fault, counts: Mapping[str, JobCounts] | None = None) -> None:
        """Add a fault; a lag has the counts that it reports from now on."""
        with self._lock:
            seed = self._seeds.getrandbits(64) if fault.seed is None else fault.seed
            self._entries.append(_Entry(fault, fault.times, counts, random.Random(seed)))  # noqa: S311 - as above.

    def take(self, operation: str, job_id: str | None, version: ApiVersion) -> InjectedFault | None:
        """Return the fault for a request, and count the request; None if no fault applies.

        Args:
            operation: The operation's name.
            job_id: The job in the path; None if there is none.
            version: The api-version of the request.
        """
        with self._lock:
            for entry in self._entries:
                # One draw for each matching request, whatever the probability, so that a seed gives one
                # sequence.
                if (
                    not entry.fault.fits(operation, job_id, version)
                    or entry.chance.random() >= entry.fault.probability
                ):
                    continue
                if entry.left is not None:
                    entry.left -= 1
                    if entry.left == 0:
                        self._entries.remove(entry)
                return InjectedFault(entry.fault, entry.counts)
        return None

    def clear(self) -> int:
        """Remove all faults, and return their number."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
        return count

    def as_json(self) -> list[dict[str, object]]:
        """Return the faults, with the number of requests that each has left."""
        with self._lock:
            return [entry.fault.as_json(entry.left) for entry in self._entries]


# Compared by identity, since two faults can be equal and only the used one is removed.
@dataclass(slots=True, eq=False)
class _Entry:
    fault: Fault
    left: int | None
    counts: Mapping[str, JobCounts] | None
    chance: random.Random


def _checked(given: Mapping[str, object], spelling: Mapping[str, str]) -> Fault:
    kind = json_reader.one_of(given.get("kind"), "fault.kind", KINDS)
    options = {}
    for name, value in given.items():
        if name in _COMMON:
            continue
        spelled = spelling.get(name, name)
        if name not in KINDS[kind]:
            hint = f"; in Python it is {_IN_PYTHON[name]}" if name in _IN_PYTHON else ""
            raise EmulatorError(f"fault.{spelled}: {kind} has no such option{hint}")
        options[name] = _CHECKS[name](value, f"fault.{spelled}")
    fault = Fault(
        kind,
        optional(json_reader.matching, given.get("job"), "fault.job", JOB_ID, "a job id"),
        optional(json_reader.whole_number, given.get("times"), "fault.times", 1, 1_000_000),
        operation=optional(json_reader.one_of, given.get("operation"), "fault.operation", OPERATIONS),
        probability=_probability(given.get("probability", 1)),
        seed=optional(json_reader.whole_number, given.get("seed"), "fault.seed", 0, 2**64 - 1),
        # Each option has been checked for its type.
        **options,  # type: ignore[arg-type]
    )
    _check_fit(fault)
    return fault


def _check_fit(fault: Fault) -> None:
    """Refuse a fault that can never apply."""
    if fault.operation is None:
        return
    if fault.operation not in fault.operations:
        what = f"{fault.kind} {fault.variant}" if fault.kind == "wrong-shape" else fault.kind
        fitting = ", ".join(fault.operations)
        raise EmulatorError(f"fault.operation: {what} cannot happen to {fault.operation}, only to {fitting}")
    if fault.job is not None and fault.operation in _JOBLESS:
        raise EmulatorError(f"fault.job: the address of {fault.operation} names no job")


def _probability(value: object) -> float:
    if value == 0:
        raise json_reader.InvalidValue("fault.probability", value, "must be more than 0")
    return json_reader.number(value, "fault.probability", 0, 1)


def _retry_after(value: object, path: str) -> str | None:
    """Return the value of Retry-After; any printable text is accepted, since a service may send nonsense."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15:
        return format(value, ".15g")
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= 100:
        return value
    raise json_reader.InvalidValue(path, value, "must be a number of seconds or a date as printable text")


_SECONDS = partial(json_reader.number, low=0, high=3600)
_CHECKS: Mapping[str, Callable[[object, str], object]] = {
    "retry_after": _retry_after,
    "interval": _SECONDS,
    "headers_too": json_reader.boolean,
    "variant": partial(json_reader.one_of, choices=VARIANTS),
    "seconds": _SECONDS,
    "applied": json_reader.boolean,
}
