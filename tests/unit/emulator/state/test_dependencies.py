"""Dependencies of tasks: by id, by ranges of numbers, and their release."""

from __future__ import annotations

from typing import Any

import pytest

from support.worlds import a_job, a_pool, anything, counts, new_world, running, scan, states, table
from taskcounts_emulator.model import NewTask, TaskState
from taskcounts_emulator.state.dependencies import numeral
from taskcounts_emulator.state.world import World

SATISFYING: dict[str, Any] = {"default": {"dependencyAction": "Satisfy"}}
BLOCKING: dict[str, Any] = {"exitCodes": [{"code": 0, "exitOptions": {"dependencyAction": "block"}}]}


def after(task_id: str, *ids: str, ranges: tuple[tuple[int, int], ...] = (), **rest: Any) -> NewTask:
    """Return a task that depends on others."""
    return NewTask(task_id, depends_on=ids, depends_on_ranges=ranges, **rest)


def waiting(*tasks: str | NewTask, slots: int = 10) -> World:
    """Return a world whose tasks run for ten seconds each, as soon as they can."""
    return new_world(a_job(*tasks, uses_dependencies=True), pools=[a_pool(slots, 10)])


def test_a_task_waits_for_all_that_it_names() -> None:
    """It counts as active meanwhile, and starts when the last of them ends; ids ignore case."""
    world = waiting(after("d", "a", "B"), "A", NewTask("b", seconds=15))
    assert states(world) == {"A": "running", "b": "running", "d": "active"}
    world.advance(14)
    assert running(world) == ["b"]
    world.advance(1)
    assert running(world) == ["d"]


def test_chains_run_in_their_order() -> None:
    """Each waits for the one before it, although there are slots for all."""
    world = waiting(after("c", "b"), after("b", "a"), "a")
    for each in "abc":
        assert running(world) == [each]
        world.advance(10)
    assert counts(world).succeeded == 3


def test_a_task_may_wait_for_what_is_added_later() -> None:
    """A task can wait for an id or a range that is added later."""
    world = waiting(after("d", "late", ranges=((7, 7),)))
    world.advance(100)
    world.add_tasks("j", [NewTask("Late")])
    world.advance(10)
    assert states(world)["d"] == "active"
    world.add_tasks("j", [NewTask("7", state=TaskState.SUCCEEDED)])
    assert states(world)["d"] == "running"


def test_successful_dependencies_are_not_waited_for() -> None:
    """By id or range, named once or twice."""
    done = [NewTask(each, state=TaskState.SUCCEEDED) for each in ("1", "2", "x")]
    world = waiting(*done, after("d", "x", "X", "x", ranges=((1, 2), (2, 2))))
    assert running(world) == ["d"]
    assert table(world, "waits") == table(world, "wait_ranges") == []


def test_an_id_that_is_named_twice_is_waited_for_once() -> None:
    """It counts once, also in two ranges, and an empty range does not count."""
    world = waiting("1", after("d", "1", "1", ranges=((1, 1), (0, 1), (5, 4))), "0")
    world.advance(9)
    assert states(world)["d"] == "active"
    world.advance(1)
    assert states(world)["d"] == "running"


def test_ranges_are_of_numbers_with_both_ends() -> None:
    """1 to 3 is 1, 2 and 3; neither "02" nor 4 is in it."""
    world = waiting(
        "1", "02", NewTask("3", seconds=20), NewTask("4", seconds=50), after("d", ranges=((1, 3),))
    )
    world.advance(30)
    assert states(world)["d"] == "active"
    world.add_tasks("j", [NewTask("2", seconds=5)])
    world.advance(5)
    assert states(world)["d"] == "running"


@pytest.mark.parametrize(
    ("task_id", "number"),
    [
        ("0", 0),
        ("12", 12),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), None),
        ("1" * 20, None),
        ("007", None),
        ("-1", None),
        ("1a", None),
        ("²", None),
        ("٣", None),
    ],
)
def test_an_id_is_a_number_as_a_range_writes_it(task_id: str, number: int | None) -> None:
    """Decimal, without leading zeros, and within the integers of SQLite."""
    assert numeral(task_id) == number


def test_without_dependencies_ids_are_no_numbers() -> None:
    """A job without dependencies stores no numbers."""
    world = new_world(a_job("1", pool=None))
    with world._store.connection() as db:
        assert db.execute("SELECT numeral FROM tasks").fetchall() == [(None,)]


@pytest.mark.parametrize(
    ("conditions", "exit_code", "free"),
    [
        (None, 0, True),
        (None, 1, False),
        (SATISFYING, 1, True),
        (SATISFYING, 0, True),
        (BLOCKING, 0, False),
        (BLOCKING, 1, False),
        ({"exitCodeRanges": [{"start": 1, "end": 2, "exitOptions": {"jobAction": "none"}}]}, 1, False),
    ],
)
@pytest.mark.parametrize("how", ["id", "range"])
def test_how_a_task_ends_decides_what_it_sets_free(
    conditions: dict[str, Any] | None, exit_code: int, free: bool, how: str
) -> None:
    """A success satisfies and a failure blocks, unless exit conditions say otherwise."""
    first = NewTask("1", exit_codes=(exit_code,), exit_conditions=conditions)
    then = after("d", "1") if how == "id" else after("d", ranges=((1, 1),))
    world = waiting(first, then)
    world.advance(10)
    assert states(world)["d"] == ("running" if free else "active")


def test_a_task_that_was_terminated_sets_nothing_free() -> None:
    """The same is true of one that exceeded its time; its dependents stay active."""
    world = waiting(
        NewTask("a", exit_conditions=SATISFYING),
        NewTask("b", max_seconds=1),
        after("c", "a"),
        after("d", "b"),
    )
    world.terminate_task("j", "a", anything)
    world.advance(100)
    assert states(world) == {"a": "failed", "b": "failed", "c": "active", "d": "active"}


def test_a_task_that_succeeds_after_all_sets_free() -> None:
    """A reactivated failure that succeeds releases its dependents."""
    world = waiting(NewTask("a", exit_codes=(1, 0)), after("d", "a"))
    world.advance(10)
    assert states(world) == {"a": "failed", "d": "active"}
    world.reactivate_task("j", "a", anything)
    world.advance(10)
    assert states(world) == {"a": "succeeded", "d": "running"}


def test_a_failure_that_satisfied_does_not_while_it_runs_again() -> None:
    """A released task stays so; one added now, or still waiting for the range, waits for the new end."""
    world = waiting(
        NewTask("1", exit_codes=(1,), exit_conditions=SATISFYING),
        NewTask("2", seconds=100),
        after("free", "1"),
        after("range", ranges=((1, 2),)),
    )
    world.advance(10)
    assert states(world)["free"] == "running"
    world.advance(85)
    world.reactivate_task("j", "1", anything)
    world.add_tasks("j", [after("late", "1")])
    world.advance(5)
    assert states(world)["2"] == "succeeded"
    assert running(world) == ["1"]
    world.advance(5)
    assert running(world) == ["late", "range"]


def test_a_deleted_task_waits_for_nothing() -> None:
    """Its dependencies are removed, even if its id is added again."""
    world = waiting("1", after("d", "1", ranges=((1, 1),)))
    world.delete_task("j", "d", anything)
    world.add_tasks("j", [after("d", "other")])
    world.advance(20)
    assert states(world) == {"1": "succeeded", "d": "active"}
    assert table(world, "wait_ranges") == []


def test_a_released_task_stays_released() -> None:
    """Even if a task of its range is deleted, added again and succeeds again."""
    world = waiting(NewTask("1", seconds=1), after("d", ranges=((1, 1),), exit_codes=(1,)), slots=1)
    world.advance(1.5)
    for _ in range(2):
        world.delete_task("j", "1", anything)
        world.add_tasks("j", [NewTask("1", state=TaskState.SUCCEEDED)])
    world.advance(20)
    assert states(world)["d"] == "failed"
    world.reactivate_task("j", "d", anything)
    assert running(world) == ["d"]


def test_a_range_with_a_hole_is_waited_for_again() -> None:
    """A deleted task of the range is missing again."""
    world = waiting(NewTask("1", seconds=1), NewTask("2", seconds=5), after("d", ranges=((1, 2),)))
    world.advance(2)
    world.delete_task("j", "1", anything)
    world.advance(10)
    assert states(world) == {"2": "succeeded", "d": "active"}
    world.add_tasks("j", [NewTask("1", seconds=1)])
    world.advance(1)
    assert states(world)["d"] == "running"
    scan(world)


def test_jobs_do_not_mix() -> None:
    """A task waits only for ids of its own job."""
    world = new_world(
        a_job(after("d", "a", ranges=((1, 1),)), uses_dependencies=True),
        a_job("a", "1", job_id="k", uses_dependencies=True),
        pools=[a_pool(9, 10)],
    )
    world.advance(50)
    assert states(world) == {"d": "active"}
    assert counts(world, "k").succeeded == 2


def test_a_job_that_is_deleted_takes_its_waits_along() -> None:
    """A new job of the same id has none of the old dependencies."""
    world = waiting(after("d", "a", ranges=((1, 9),)))
    world.delete_job("j", anything)
    assert table(world, "waits") == table(world, "wait_ranges") == []


def test_a_very_large_range_costs_no_more_than_a_small_one() -> None:
    """It is counted, not enumerated."""
    world = waiting("0", after("d", ranges=((0, 2**31 - 1),)), after("e", ranges=((0, 0),)))
    world.advance(10)
    assert states(world) == {"0": "succeeded", "d": "active", "e": "running"}
