"""The emulator as a target: jobs whose counts are known, and one whose tasks can be moved."""

from __future__ import annotations

from typing import Any

import httpx

from contract.target import Counts, InProcess, Target
from taskcounts import SharedKey
from taskcounts.emulator import Emulator

JOB = "nightly-render"

# Every counter is another number, in tasks and in slots, so that none can stand for another.
JOBS: dict[str, list[dict[str, Any]]] = {
    JOB: [
        {"count": 9, "state": "active", "requiredSlots": 2},
        {"count": 3, "state": "preparing", "requiredSlots": 4},
        {"count": 4, "state": "running"},
        {"count": 2, "state": "completed", "result": "success", "requiredSlots": 5},
        {"count": 6, "state": "completed", "result": "failure"},
    ],
    "empty": [],
    "Mixed_Case-1": [{"count": 1, "state": "completed", "result": "success"}],
    "nightly:job-1": [{"count": 1, "state": "active", "requiredSlots": 4}],
    "large": [{"count": 1500, "state": "running", "requiredSlots": 2}],
}
KNOWN: dict[str, Counts] = {
    JOB: ((9, 7, 8, 2, 6), (18, 16, 16, 10, 6)),
    "empty": ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    "Mixed_Case-1": ((0, 0, 1, 1, 0), (0, 0, 1, 1, 0)),
    "nightly:job-1": ((1, 0, 0, 0, 0), (4, 0, 0, 0, 0)),
    "large": ((0, 1500, 0, 0, 0), (0, 3000, 0, 0, 0)),
}
# One running task succeeds; preparing ones don't yet run.
MOVED: Counts = ((9, 6, 9, 3, 6), (18, 15, 17, 11, 6))


def make_emulator(**settings: Any) -> Emulator:
    """Return an emulator that holds the jobs, and refuses what the fragment doesn't allow."""
    emulator = Emulator(strict=True, **settings)
    for job, tasks in JOBS.items():
        emulator.add_job(job, tasks)
    return emulator


def make_target(emulator: Emulator, app: Any = None) -> Target:
    """Return the target of an emulator: an application in this process, or its socket where none is given."""

    def move() -> Counts:
        emulator.step(JOB, succeed=1)
        return MOVED

    return Target(
        endpoint="http://emulator.test" if app else emulator.endpoint,
        job=JOB,
        credential=SharedKey(emulator.account, emulator.key),
        transport=InProcess(app) if app else httpx.HTTPTransport(),
        gets_only=False,
        known=KNOWN,
        move=move,
    )
