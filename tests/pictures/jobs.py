"""Three jobs of one night, each on an emulator and a clock of its own: the same events on every run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from taskcounts import Observation, SharedKey, TaskCountsClient, Verdict
from taskcounts_emulator import Emulator
from taskcounts_emulator.model import NewTask

Event = Observation | Verdict

BEGAN = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SOME_GUID = "9c4d50ee-2d56-4cd3-8152-34347dc9f2b0"


@frozen(kw_only=True)
class Job:
    """A job, and what happens to it.

    Attributes:
        id: Its id.
        slots: The task slots of its pool.
        tasks: Its tasks, as a scenario has them.
        duration: The seconds that its tasks take, likewise.
        failure_rate: How likely a run is to fail.
        lag: How its counts trail the truth, likewise.
        happenings: What happens on purpose, by the seconds after it began.
    """

    id: str
    slots: int
    tasks: list[dict[str, object]]
    duration: Mapping[str, object]
    failure_rate: float = 0.0
    lag: Mapping[str, object] = {}
    happenings: Mapping[float, Callable[[Emulator], object]] = {}


class Clock:
    """A clock for a client and an emulator, which moves when the client sleeps."""

    def __init__(self, job: Job) -> None:
        self._emulator: Emulator | None = None
        self._passed = 0.0
        self._happenings = sorted(job.happenings.items())

    def drive(self, emulator: Emulator) -> None:
        """Take the emulator whose tasks live by this clock."""
        self._emulator = emulator

    def monotonic(self) -> float:
        """Return the seconds since the beginning."""
        return self._passed

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return BEGAN + timedelta(seconds=self._passed)

    def draw(self) -> float:
        """Return no chance."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        assert self._emulator is not None
        until = self._passed + seconds
        while self._happenings and self._happenings[0][0] <= until:
            due, happen = self._happenings.pop(0)
            self._advance(due)
            happen(self._emulator)
        self._advance(until)

    async def sleep_async(self, seconds: float) -> None:
        """Let time pass."""
        self.sleep(seconds)

    def _advance(self, until: float) -> None:
        assert self._emulator is not None
        if until > self._passed:
            self._emulator.advance(until - self._passed)
            self._passed = until


def overload(times: int) -> Callable[[Emulator], object]:
    """Return what makes the service answer the next requests with 503."""
    return lambda emulator: emulator.fault("busy", times=times)


def contradict(times: int) -> Callable[[Emulator], object]:
    """Return what makes the numbers of the next counts contradict each other."""
    return lambda emulator: emulator.fault(
        "wrong-shape", variant="contradiction", operation="Job_GetTaskCounts", times=times
    )


def add_late_tasks(emulator: Emulator) -> None:
    """Add tasks to a job that is done, while its counts still trail behind."""
    late = [NewTask(f"late-{number}", seconds=40.0 * number, exit_codes=(0,)) for number in range(1, 5)]
    emulator.world.add_tasks("weekly-report", late)


JOBS = (
    Job(
        id="nightly-render",
        slots=64,
        tasks=[{"count": 500, "requiredSlots": 2}],
        duration={"uniform": [20, 70]},
        failure_rate=0.06,
        happenings={420: overload(times=16), 560: contradict(times=4)},
    ),
    Job(
        id="reindex",
        slots=16,
        tasks=[{"count": 160}],
        duration={"uniform": [20, 60]},
        happenings={345: overload(times=12)},
    ),
    Job(
        id="weekly-report",
        slots=24,
        # One after the other, so that the counts never stand still.
        tasks=[{"requiredSlots": 2, "seconds": 240 + 4 * number, "exitCodes": [0]} for number in range(12)],
        duration={"uniform": [20, 60]},
        lag={"delay": 60},
        happenings={325: add_late_tasks},
    ),
)


def events_of(job: Job) -> list[Event]:
    """Wait for a job, and return everything that was seen."""
    seen: list[Event] = []
    clock = Clock(job)
    scenario: dict[str, Any] = {
        "pools": [
            {
                "id": "pool",
                "slots": job.slots,
                "duration": dict(job.duration),
                "failureRate": job.failure_rate,
            }
        ],
        "lag": dict(job.lag),
        "jobs": [{"id": job.id, "pool": "pool", "tasks": job.tasks}],
    }
    with Emulator(scripted=True, seed=7, now=clock.now) as emulator:
        clock.drive(emulator)
        emulator.load(scenario)
        key = SharedKey(emulator.account, emulator.key)
        with TaskCountsClient(emulator.endpoint, key, trust_env=False, clock=clock) as client:
            seen.append(client.wait_for_job(job.id, check=False, observer=seen.append))
    return seen


def night() -> list[Event]:
    """Return the events of all jobs, in the order in which they came."""
    events = [event for job in JOBS for event in events_of(job)]
    return sorted(events, key=lambda event: event.ended_at if isinstance(event, Verdict) else event.at)
