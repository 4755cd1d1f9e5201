"""Scenarios: the initial jobs and pools of an account, and the outcome of their tasks, as JSON.

A scenario is validated as a whole before it is applied, so an invalid one changes nothing::

    {"seed": 7,
     "pools": [{"id": "render", "slots": 16, "duration": {"uniform": [2, 8]}, "failureRate": 0.05}],
     "jobs": [{"id": "nightly-render", "pool": "render", "tasks": [{"count": 60}]},
              {"id": "still", "tasks": [{"count": 7, "state": "running", "requiredSlots": 2},
                                        {"id": "t1", "state": "completed", "result": "failure"}]}]}

All members are optional, except the ``id`` of a job. With a ``pool`` a job's tasks run there; without one
they keep their state until they are moved by ``step``. An entry of ``tasks`` stands for ``count`` equal tasks
(default 1) in a ``state`` (default active: active, preparing, running, completed), each of which needs
``requiredSlots`` (default 1, at most 256). A ``result`` (success, failure) is required for completed tasks
and refused for others. A task without an ``id`` gets one. ``seconds`` and ``exitCodes`` fix the duration of
its runs and their exit codes in order; ``maxTaskRetryCount`` is its number of retries; ``dependsOn`` names
ids of tasks that must succeed first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from taskcounts_emulator import json_reader
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.json_reader import optional
from taskcounts_emulator.model import (
    JOB_ID,
    MAX_SLOTS,
    MAX_TASKS,
    RESULTS,
    STATES,
    TASK_ID,
    NewJob,
    NewTask,
    TaskState,
)
from taskcounts_emulator.state.lag import LagModel, parse_lag
from taskcounts_emulator.state.pool import ANY, Pool, parse_pool
from taskcounts_emulator.state.sampling import MAX_SECONDS

__all__ = ["Scenario", "parse_job", "parse_scenario"]

_INT32 = 2**31 - 1
_ID = "1 to 64 letters, digits, '-' and '_'"

_SCENARIO = ("jobs", "pools", "seed", "settle", "lag")
_JOB = (
    "id", "tasks", "pool", "priority", "maxParallelTasks", "maxTaskRetryCount", "maxSeconds",
    "usesTaskDependencies", "onAllTasksComplete", "manager",
)  # fmt: skip
_TASK = (
    "count", "id", "state", "result", "requiredSlots", "seconds", "exitCodes", "maxTaskRetryCount",
    "dependsOn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """A parsed scenario; settings that it leaves out are None.

    Attributes:
        jobs: The jobs, whose tasks are generated when they are read.
        pools: The pools.
        seed: The seed of all random draws.
        settle: Seconds that a job takes from disabling to disabled, and for similar changes.
        lag: The lag model.
    """

    jobs: tuple[NewJob, ...]
    pools: tuple[Pool, ...] = ()
    seed: int | None = None
    settle: float | None = None
    lag: LagModel | None = None


class _Group(NamedTuple):
    """``size`` equal tasks; only a single one has an id."""

    size: int
    task: NewTask


@dataclass(frozen=True, slots=True)
class _Tasks:
    """The tasks of a job, generated each time they are iterated over."""

    groups: Sequence[_Group]
    taken: frozenset[str]

    def __iter__(self) -> Iterator[NewTask]:
        number = 0
        for size, task in self.groups:
            if task.id:
                yield task
                continue
            for _ in range(size):
                number += 1
                while f"task-{number}" in self.taken:
                    number += 1
                yield task._replace(id=f"task-{number}")


def parse_scenario(source: object) -> Scenario:
    """Parse a scenario.

    Args:
        source: JSON as text or bytes, or the decoded value.

    Raises:
        EmulatorError: The scenario is invalid. The message names the place, such as
            ``jobs[0].tasks[2].state``.
    """
    document = json_reader.read_json(source) if isinstance(source, str | bytes) else source
    found = json_reader.members(document, "scenario", _SCENARIO)
    if not found:
        raise EmulatorError(f"scenario: it is empty; it may have {', '.join(_SCENARIO)}")
    pools = _pools(found.get("pools", ()))
    jobs, total = [], 0
    seen: dict[str, str] = {}
    for index, entry in enumerate(json_reader.array(found.get("jobs", ()), "jobs")):
        path = f"jobs[{index}]"
        job, count = _job(entry, path)
        # In a scenario with pools, an unknown pool is a typo.
        if pools and job.pool is not None and not {job.pool.lower(), ANY} & pools.keys():
            raise EmulatorError(f"{path}.pool: {job.pool!r} is not among the pools of the scenario")
        # The service ignores the case of ids.
        if earlier := seen.get(job.id.lower()):
            raise EmulatorError(f"{path}.id: {job.id!r} is already the id of {earlier}")
        seen[job.id.lower()] = path
        jobs.append(job)
        total += count
        if total > MAX_TASKS:
            # A short scenario can ask for any number of tasks, and adding them blocks other requests.
            raise EmulatorError(f"{path}.tasks: a scenario can have up to {MAX_TASKS} tasks, not {total}")
    return Scenario(
        tuple(jobs),
        tuple(pools.values()),
        optional(parse_seed, found.get("seed"), "seed"),
        optional(json_reader.number, found.get("settle"), "settle", 0, MAX_SECONDS),
        parse_lag(found["lag"]) if "lag" in found else None,
    )


def _pools(entries: object) -> dict[str, Pool]:
    pools: dict[str, Pool] = {}
    for index, entry in enumerate(json_reader.array(entries, "pools")):
        pool = parse_pool(entry, f"pools[{index}]")
        if pool.id.lower() in pools:
            raise EmulatorError(f"pools[{index}].id: {pool.id!r} is already described")
        pools[pool.id.lower()] = pool
    return pools


def parse_seed(value: object, path: str = "seed") -> int:
    """Return a seed.

    Raises:
        EmulatorError: The seed is not a whole number of 64 bits.
    """
    return json_reader.whole_number(value, path, -(2**63), 2**63 - 1)


def parse_job(job_id: object, tasks: object, **options: object) -> NewJob:
    """Parse a job from its id, the entries of its tasks and its other members, as in a scenario.

    Raises:
        EmulatorError: A value is invalid. The message names the place.
    """
    return _job({"id": job_id, "tasks": tasks, **options}, "")[0]


def _job(entry: object, path: str) -> tuple[NewJob, int]:
    """Return a job and the number of its tasks."""
    given = json_reader.members(entry, path or "job", _JOB, ("id",))

    def at(name: str) -> str:
        # A job outside a scenario has no path there.
        return f"{path}.{name}" if path else "job_id" if name == "id" else name

    def number(name: str, default: int, low: int, high: int) -> int:
        return json_reader.whole_number(given.get(name, default), at(name), low, high)

    pool = optional(
        json_reader.matching, given.get("pool"), at("pool"), json_reader.PLAIN_ID, f"a pool id ({_ID})"
    )
    on_all_complete = given.get("onAllTasksComplete", "noaction")
    groups = [
        _group(task, f"{at('tasks')}[{index}]")
        for index, task in enumerate(json_reader.array(given.get("tasks", ()), at("tasks")))
    ]
    taken = _distinct(groups, at("tasks"))
    manager = None
    if "manager" in given:
        manager = _group(given["manager"], at("manager")).task
        if not manager.id or manager.id.lower() in taken:
            raise EmulatorError(f"{at('manager')}.id: a manager needs an id that no other task has")
        taken.add(manager.id.lower())
    uses_dependencies = json_reader.boolean(
        given.get("usesTaskDependencies", False), at("usesTaskDependencies")
    )
    job = NewJob(
        id=json_reader.matching(given["id"], at("id"), JOB_ID, f"a job id ({_ID}; ':job-1' may follow)"),
        tasks=_Tasks(groups, frozenset(taken)),
        pool=pool,
        priority=number("priority", 0, -1000, 1000),
        max_parallel=number("maxParallelTasks", -1, -1, _INT32),
        max_retries=number("maxTaskRetryCount", 0, -1, _INT32),
        max_seconds=optional(json_reader.number, given.get("maxSeconds"), at("maxSeconds"), 0, MAX_SECONDS),
        # A task that depends on another implies it.
        uses_dependencies=uses_dependencies
        or any(task.depends_on for task in (*(group.task for group in groups), manager) if task),
        terminates_when_done=json_reader.one_of(
            on_all_complete, at("onAllTasksComplete"), ("noaction", "terminatejob")
        )
        == "terminatejob",
        manager=manager,
        kept=json.dumps({"poolInfo": {"poolId": pool}}) if pool else "{}",
    )
    return job, sum(group.size for group in groups)


def _distinct(groups: Sequence[_Group], path: str) -> set[str]:
    """Return the given ids of tasks, in lower case; all are distinct."""
    seen: dict[str, str] = {}
    total = 0
    for index, (size, task) in enumerate(groups):
        place = f"{path}[{index}]"
        total += size
        if total > MAX_TASKS:
            raise EmulatorError(f"{place}.count: a job can have up to {MAX_TASKS} tasks, not {total}")
        if task.id:
            if earlier := seen.get(task.id.lower()):
                raise EmulatorError(f"{place}.id: {task.id!r} is already the id of {earlier}")
            seen[task.id.lower()] = place
    return set(seen)


def _group(entry: object, path: str) -> _Group:
    given = json_reader.members(entry, path, _TASK)
    count = json_reader.whole_number(given.get("count", 1), f"{path}.count", 1, MAX_TASKS)
    task_id = ""
    if "id" in given:
        task_id = _task_id(given["id"], f"{path}.id")
        if count != 1:
            raise EmulatorError(f"{path}.id: {count} tasks cannot share an id")
    codes = json_reader.array(given.get("exitCodes", ()), f"{path}.exitCodes")
    ids = json_reader.array(given.get("dependsOn", ()), f"{path}.dependsOn")
    task = NewTask(
        task_id,
        slots=json_reader.whole_number(given.get("requiredSlots", 1), f"{path}.requiredSlots", 1, MAX_SLOTS),
        state=_state(given, path),
        max_retries=optional(
            json_reader.whole_number, given.get("maxTaskRetryCount"), f"{path}.maxTaskRetryCount", -1, _INT32
        ),
        depends_on=tuple(_task_id(one, f"{path}.dependsOn[{at}]") for at, one in enumerate(ids)),
        seconds=optional(json_reader.number, given.get("seconds"), f"{path}.seconds", 0, MAX_SECONDS),
        exit_codes=tuple(
            json_reader.whole_number(code, f"{path}.exitCodes[{at}]", -_INT32 - 1, _INT32)
            for at, code in enumerate(codes)
        ),
    )
    return _Group(count, task)


def _state(given: dict[str, object], path: str) -> TaskState:
    state = json_reader.one_of(given.get("state", "active"), f"{path}.state", STATES)
    if state != "completed":
        if "result" in given:
            raise EmulatorError(f"{path}.result: only a completed task has a result; this one is {state}")
        return TaskState[state.upper()]
    if "result" not in given:
        raise EmulatorError(f"{path}.result: a completed task needs a result, success or failure")
    succeeded = json_reader.one_of(given["result"], f"{path}.result", RESULTS) == "success"
    return TaskState.SUCCEEDED if succeeded else TaskState.FAILED


def _task_id(value: object, path: str) -> str:
    return json_reader.matching(value, path, TASK_ID, f"a task id ({_ID})")
