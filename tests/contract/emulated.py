"""The emulator as a target: jobs whose counts are known, and one whose tasks can be moved."""

from __future__ import annotations

from functools import partial
from typing import Any

from contract.target import Counts, InProcess, Target
from taskcounts import SharedKey
from taskcounts.net.base import Engine
from taskcounts.net.factory import engine_over
from taskcounts.net.route import RouteOptions, find_route
from taskcounts.net.transport_engine import over_httpx
from taskcounts_emulator import Emulator
from taskcounts_rest import contract

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
    # The one's id begins with the other's.
    "nightly:job-1": [{"count": 1, "state": "active", "requiredSlots": 4}],
    "nightly:job-12": [{"count": 2, "state": "running", "requiredSlots": 3}],
    # More than a page of a listing, and more slots than 16 bits hold.
    "large": [
        {"count": 1100, "state": "active", "requiredSlots": 101},
        {"count": 1200, "state": "running", "requiredSlots": 102},
        {"count": 1300, "state": "completed", "result": "success", "requiredSlots": 103},
        {"count": 1400, "state": "completed", "result": "failure", "requiredSlots": 104},
    ],
}
# One job is completed, so that not all are in one state; and its tasks had a pool.
OPTIONS = {"Mixed_Case-1": {"onAllTasksComplete": "terminatejob", "pool": "any"}}
KNOWN: dict[str, Counts] = {
    JOB: ((9, 7, 8, 2, 6), (18, 16, 16, 10, 6)),
    "empty": ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    "Mixed_Case-1": ((0, 0, 1, 1, 0), (0, 0, 1, 1, 0)),
    "nightly:job-1": ((1, 0, 0, 0, 0), (4, 0, 0, 0, 0)),
    "nightly:job-12": ((0, 2, 0, 0, 0), (0, 6, 0, 0, 0)),
    "large": ((1100, 1200, 2700, 1300, 1400), (111100, 122400, 279500, 133900, 145600)),
}
# One running task of one slot succeeds, another one fails, and an active one of two slots starts.
MOVES: tuple[tuple[dict[str, int], Counts], ...] = (
    ({"succeed": 1}, ((9, 6, 9, 3, 6), (18, 15, 17, 11, 6))),
    ({"fail": 1}, ((9, 5, 10, 3, 7), (18, 14, 18, 11, 7))),
    ({"start": 1}, ((8, 6, 10, 3, 7), (16, 16, 18, 11, 7))),
)


def make_emulator(**settings: Any) -> Emulator:
    """Return an emulator that holds the jobs, and refuses what the fragment doesn't allow."""
    emulator = Emulator(**settings)
    emulator.load({"settle": 0})
    for job, tasks in JOBS.items():
        emulator.add_job(job, tasks, **OPTIONS.get(job, {}))
    return emulator


def make_target(emulator: Emulator, app: Any = None, api_version: str = contract.API_VERSION) -> Target:
    """Return the target of an emulator: an application in this process, or its socket where none is given."""

    def move(step: dict[str, int], counts: Counts) -> Counts:
        emulator.step(JOB, **step)
        return counts

    return Target(
        endpoint="http://emulator.test" if app else emulator.endpoint,
        job=JOB,
        credential=SharedKey(emulator.account, emulator.key),
        engine=engine_over(InProcess(app), awaits=False) if app else socket_engine(emulator.endpoint),
        gets_only=False,
        api_version=api_version,
        known=KNOWN,
        moves=tuple(partial(move, step, counts) for step, counts in MOVES),
        secrets=(emulator.key,),
    )


def socket_engine(endpoint: str) -> Engine:
    """Return an engine over httpx, which sends requests that ours refuses, and with any verb."""
    engine: Engine = over_httpx(find_route(endpoint, RouteOptions(None, None, trust_env=True)), awaits=False)  # type: ignore[assignment]
    return engine
