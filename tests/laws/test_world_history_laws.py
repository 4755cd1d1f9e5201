"""Laws of the world's time and reports, by random search for counterexamples."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.world_strategies import collections, delayed, lags, random_pools, task_ids
from support.worlds import a_pool, anything, code, new_world, not_negative, seconds, table
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import Counts, NewJob, NewTask
from taskcounts_emulator.state.lag import LagModel
from taskcounts_emulator.state.pool import Pool
from taskcounts_emulator.state.world import World

Operation = Callable[[World], object]


def adds(tasks: list[NewTask]) -> Operation:
    """Return strategies for added tasks, whose durations are drawn."""
    return lambda world: world.add_tasks("a", [task._replace(seconds=None, exit_codes=()) for task in tasks])


operations: st.SearchStrategy[Operation] = (
    st.builds(adds, collections)
    | st.builds(lambda count: lambda world: world.step("a", start=count), st.integers(1, 2))
    | st.builds(
        lambda tasks: lambda world: world.disable_job("a", tasks, anything),
        st.sampled_from(["requeue", "terminate", "wait"]),
    )
    | st.just(lambda world: world.enable_job("a", anything))
    | st.builds(lambda task: lambda world: world.delete_task("a", task, anything), task_ids)
    | st.builds(lambda task: lambda world: world.reactivate_task("a", task, anything), task_ids)
    | st.just(lambda world: world.add_job(NewJob("k", [NewTask(f"k{n}") for n in range(9)])))
    | st.just(lambda world: world.delete_job("k", anything))
)
# What is done, and how long it is before the next: in one step of the clock, and in several.
times = st.lists(st.integers(0, 3_000_000), min_size=1, max_size=6)
histories = st.lists(st.tuples(operations, times), min_size=1, max_size=8)
KEPT = ("jobs", "tallies", "pools", "waits", "reports", "unseen", "adjustments", "sqlite_sequence")


@given(
    history=histories,
    pool=random_pools,
    lag=st.just(LagModel()) | lags,
    settle=st.sampled_from([0, 0.7]),
    seed=st.integers(0, 99),
)
def test_one_seed_gives_one_history(
    history: list[tuple[Operation, list[int]]], pool: Pool, lag: LagModel, settle: float, seed: int
) -> None:
    """The final state does not depend on the steps of the clock, or on queries in between."""
    job = NewJob("a", (), "p", max_retries=2, uses_dependencies=True)

    def kept(in_steps: bool) -> list[list[Any]]:
        world = new_world(job, pools=[pool], lag=lag, settle=settle, seed=seed)
        for operation, pauses in history:
            # A step may be one too far.
            with contextlib.suppress(EmulatorError):
                code(operation, world)
            for pause in pauses if in_steps else [sum(pauses)]:
                world.advance(pause / 1e6)
                if in_steps:
                    world.reported("a")
                    world.all_counts()
        there = {row[0] for row in table(world, "jobs")}
        # Those of a job that was deleted are removed as time goes by.
        tasks = [row for row in table(world, "tasks") if row[1] in there]
        return [tasks, *(table(world, name, "1, 2") for name in KEPT)]

    with pytest.MonkeyPatch.context() as patch:
        # So that some are left.
        patch.setattr("taskcounts_emulator.state.timeline._MAX_SWEPT", 2)
        assert kept(in_steps=True) == kept(in_steps=False)


@given(lag=lags, steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8))
def test_reports_add_up_to_what_was_there(lag: LagModel, steps: list[tuple[int, int]]) -> None:
    """A task is reported in one state at a time, whatever changes are missed, unless its failure is stale."""
    world = new_world(NewJob("a", [NewTask(str(each), 2) for each in range(9)]))
    world.load(lag=replace(lag, delay=0, validation=None, stale_failures=False, zero_slots=False))
    for start, end in steps:
        active, running = world.counts("a").tasks.active, world.counts("a").tasks.running
        started = min(start, active)
        world.step("a", start=started, fail=min(end, running + started))
        world.advance(1)
        reported = world.reported("a")
        assert sum((reported.tasks.active, reported.tasks.running, reported.tasks.completed)) == 9
        assert sum((reported.slots.active, reported.slots.running, reported.slots.completed)) == 18
        assert not_negative(reported)


@given(lag=st.just(LagModel()) | delayed, times=st.lists(st.integers(1, 4), max_size=12))
def test_done_is_said_too_early_only_under_lag(lag: LagModel, times: list[int]) -> None:
    """Without lag, zero reported work means that nothing is left; with lag, a young job can look finished."""
    world = new_world(pools=[a_pool(1, 3)], lag=lag)
    world.add_job(NewJob("a", [NewTask("x"), NewTask("y")], "p"))
    for time in [0, *times]:
        world.advance(time)
        reported, truth = world.reported("a").tasks, world.counts("a").tasks
        left = (reported.active + reported.running, truth.active + truth.running)
        if lag == LagModel():
            assert left[0] == left[1]
        elif seconds(world.now()) < lag.delay:  # type: ignore[operator]
            assert reported == Counts()
        else:
            assert left[0] >= left[1]
