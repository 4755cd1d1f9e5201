"""Acts: changes of a job or of the service while a client waits."""

from __future__ import annotations

import random
from collections.abc import Callable

from histories.drawing import Act, History
from taskcounts_emulator import Emulator
from taskcounts_emulator.model import ALL_ROWS, NewTask, TaskRow, TaskState
from taskcounts_emulator.state.pool import parse_pool
from taskcounts_emulator.state.world import World

__all__ = ["perform"]

_UNFINISHED = (TaskState.ACTIVE, TaskState.PREPARING, TaskState.RUNNING)
_KINDS = {
    "failed": (TaskState.FAILED,),
    "completed": (TaskState.SUCCEEDED, TaskState.FAILED),
    "unfinished": _UNFINISHED,
    "any": tuple(TaskState),
}


def perform(act: Act, emulator: Emulator, history: History, chance: random.Random) -> None:
    """Do something.

    Raises:
        Refusal: The job or task is in no state for it.
        EmulatorError: The job is gone.
    """
    world, job = emulator.world, history.job_id
    if act.kind in _TO_TASKS:
        rows = [row for row in world.tasks(job, ALL_ROWS, None, 1000) if row.state in _KINDS[act.text]]
        for row in chance.sample(rows, min(act.number, len(rows))):
            _TO_TASKS[act.kind](world, job, row)
    elif act.kind in _TO_JOBS:
        _TO_JOBS[act.kind](world, job, act)
    elif act.kind == "pool":
        pool = {**history.scenario["pools"][0], "slots": act.number}
        world.load((), [parse_pool(pool, "pool")])
    elif act.kind == "fault":
        emulator.fault(**act.fault)
    else:
        emulator.clear_faults()


_TO_TASKS: dict[str, Callable[[World, str, TaskRow], object]] = {
    "delete": lambda world, job, row: world.delete_task(job, row.id, _anything),
    "reactivate": lambda world, job, row: world.reactivate_task(job, row.id, _anything),
    "end": lambda world, job, row: world.terminate_task(job, row.id, _anything),
}


def _add(world: World, job: str, act: Act) -> None:
    tasks = [
        NewTask(f"{act.text}-{each}", seconds=act.seconds, exit_codes=act.exit_codes)
        for each in range(act.number)
    ]
    world.add_tasks(job, tasks)


_TO_JOBS: dict[str, Callable[[World, str, Act], object]] = {
    "add": _add,
    "disable": lambda world, job, act: world.disable_job(job, act.text, _anything),
    "enable": lambda world, job, _: world.enable_job(job, _anything),
    "terminate-job": lambda world, job, _: world.terminate_job(job, None, _anything),
    "delete-job": lambda world, job, _: world.delete_job(job, _anything),
}


def _anything(_: object) -> None:
    """Demand nothing of a job or task."""
