"""Helpers for tests of the emulated world: worlds with a scripted clock, and short queries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from support.world_model import ModelRefusal
from taskcounts_emulator.errors import NoSuchJob, NoSuchTask
from taskcounts_emulator.model import ALL_ROWS, Counts, JobCounts, NewJob, NewTask, TaskState, utc_now
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.state.pool import Pool
from taskcounts_emulator.state.sampling import Distribution
from taskcounts_emulator.state.store import Store
from taskcounts_emulator.state.timeline import EPOCH, microseconds
from taskcounts_emulator.state.world import World

START = microseconds(EPOCH)


def anything(_: object) -> None:
    """Accept any job or task."""


def new_world(
    *jobs: NewJob,
    pools: Iterable[Pool] = (),
    store: str | os.PathLike[str] = ":memory:",
    **settings: Any,
) -> World:
    """Return a world with these jobs and pools, its clock at the start."""
    world = World(Store(store), utc_now, scripted=True)
    world.load(jobs, pools, **settings)
    return world


def a_pool(slots: int = 1, seconds: float = 10.0, pool_id: str = "p", **rest: Any) -> Pool:
    """Return a pool whose tasks take a fixed time and never fail."""
    return Pool(pool_id, slots, duration=Distribution("constant", (seconds,)), **rest)


def a_job(*tasks: str | NewTask, job_id: str = "j", pool: str | None = "p", **rest: Any) -> NewJob:
    """Return a job; a task can be given by its id."""
    whole = tuple(NewTask(task) if isinstance(task, str) else task for task in tasks)
    return NewJob(job_id, whole, pool, **rest)


def named(count: int, prefix: str = "t") -> list[str]:
    """Return ids in ascending order."""
    return [f"{prefix}{number:05}" for number in range(count)]


def states(world: World, job_id: str = "j") -> dict[str, str]:
    """Return the states of a job's tasks by id."""
    rows = world.tasks(job_id, ALL_ROWS, None, 100_000)
    return {row.id: TaskState(row.state).name.lower() for row in rows}


def running(world: World, job_id: str = "j") -> list[str]:
    """Return the ids of the tasks that run or are prepared."""
    return [name for name, state in states(world, job_id).items() if state in ("preparing", "running")]


def counts(world: World, job_id: str = "j") -> Counts:
    """Return the true task counts of a job."""
    return world.counts(job_id).tasks


def reported(world: World, job_id: str = "j") -> Counts:
    """Return the reported task counts of a job."""
    return world.reported(job_id).tasks


def used(world: World) -> dict[str, int]:
    """Return the number of used slots of each pool."""
    return {pool.id: slots for pool, slots in world.pools()}


def seconds(at: int | None) -> float | None:
    """Return the seconds from the start to a moment."""
    return None if at is None else (at - START) / 1e6


def code(call: Callable[..., object], *arguments: object, **named: object) -> str | None:
    """Return the code of the refusal of a call, or the name of its error; None if it succeeds."""
    try:
        call(*arguments, **named)
    except (Refusal, ModelRefusal) as refusal:
        return refusal.code
    except (NoSuchJob, NoSuchTask) as missing:
        return type(missing).__name__
    return None


def not_negative(counts: JobCounts) -> bool:
    """Return whether no number is negative."""
    return min(number for each in counts.as_json().values() for number in each.values()) >= 0


def table(world: World, name: str, order: str = "1") -> list[tuple[Any, ...]]:
    """Return the rows of a table."""
    with world._store.connection() as db:
        return db.execute(f"SELECT * FROM {name} ORDER BY {order}").fetchall()  # noqa: S608 - ours.


def scan(world: World) -> None:
    """Compare the tallies and used slots, which triggers maintain, with a scan of the tables."""
    with world._store.connection() as db:
        counted = db.execute(
            "SELECT job, state, COUNT(*), SUM(slots) FROM tasks WHERE job IN (SELECT number FROM jobs) "
            "GROUP BY job, state ORDER BY job, state"
        ).fetchall()
        kept = db.execute(
            "SELECT * FROM tallies WHERE tasks <> 0 OR slots <> 0 ORDER BY job, state"
        ).fetchall()
        assert kept == counted
        busy = db.execute(
            "SELECT pools.id, (SELECT COALESCE(SUM(tasks.slots), 0) FROM tasks JOIN jobs "
            "ON jobs.number = tasks.job WHERE jobs.pool = pools.id AND tasks.state IN (1, 2)) FROM pools"
        ).fetchall()
        assert db.execute("SELECT id, used FROM pools").fetchall() == busy
