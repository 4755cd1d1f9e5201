"""Tasks on pools: the order of starts, the ends of runs, and the effect of failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.worlds import (
    START,
    a_job,
    a_pool,
    anything,
    counts,
    named,
    new_world,
    running,
    scan,
    seconds,
    states,
    used,
)
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import ALL_ROWS, Counts, NewTask, TaskState
from taskcounts_emulator.state import timeline
from taskcounts_emulator.state.pool import Pool
from taskcounts_emulator.state.sampling import Distribution
from taskcounts_emulator.state.store import Store
from taskcounts_emulator.state.world import World


def history(world: World, task_id: str, job_id: str = "j") -> tuple[float | None, float | None]:
    """Return the last start and the end of a task, in seconds from the start."""
    row = world.task(job_id, task_id)
    return seconds(row.started), seconds(row.ended)


def test_without_a_pool_nothing_moves_by_itself() -> None:
    """The tasks of a job without a pool never change by themselves."""
    world = new_world(a_job("a", NewTask("b", state=TaskState.RUNNING), pool=None), pools=[a_pool(5)])
    world.advance(1e6)
    assert states(world) == {"a": "active", "b": "running"}


def test_tasks_run_one_after_the_other_on_one_slot() -> None:
    """The oldest first, each at the exact microsecond of the end before it."""
    world = new_world(a_job("b", "a", "c"), pools=[a_pool(1, 10)])
    assert running(world) == ["b"]
    world.advance(35)
    assert [history(world, each) for each in ("b", "a", "c")] == [(0, 10), (10, 20), (20, 30)]
    assert counts(world) == Counts(succeeded=3)
    assert used(world) == {"p": 0}


def test_tasks_take_the_slots_that_they_need() -> None:
    """Running tasks never exceed the slots; the first waiting task is never overtaken."""
    world = new_world(
        a_job(NewTask("a", 2), NewTask("b", 2), NewTask("c", 3), NewTask("d", 1)), pools=[a_pool(4, 10)]
    )
    assert running(world) == ["a", "b"]
    world.terminate_task("j", "a", anything)
    assert running(world) == ["b"]
    assert used(world) == {"p": 2}
    world.advance(10)
    assert running(world) == ["c", "d"]
    scan(world)


def test_a_large_task_at_the_head_keeps_later_jobs_waiting() -> None:
    """The queue belongs to the pool, so a job of lower priority cannot take the slots."""
    world = new_world(a_job(NewTask("a", 2), NewTask("b", 3)), a_job("x", job_id="k"), pools=[a_pool(3, 10)])
    assert (running(world), running(world, "k")) == (["a"], [])
    world.advance(10)
    assert (running(world), running(world, "k")) == (["b"], [])
    world.advance(10)
    assert running(world, "k") == ["x"]


def test_a_task_too_large_for_its_pool_holds_up_no_other() -> None:
    """It waits for ever, or until the pool grows."""
    world = new_world(a_job(NewTask("big", 5), "a"), pools=[a_pool(4)])
    assert running(world) == ["a"]
    world.advance(100)
    assert states(world) == {"big": "active", "a": "succeeded"}
    world.load([], [a_pool(5)])
    assert running(world) == ["big"]


def test_higher_priorities_are_served_first() -> None:
    """The higher priority first, then the older job; priorities can be changed."""
    world = new_world(pools=[])
    for job_id, priority in (("low", -5), ("high", 10), ("old", 0), ("new", 0)):
        world.add_job(a_job(*named(2, job_id), job_id=job_id, priority=priority))
    world.load([], [a_pool(3, 10)])

    def busy() -> dict[str, int]:
        return {job_id: len(running(world, job_id)) for job_id in ("high", "old", "new", "low")}

    assert busy() == {"high": 2, "old": 1, "new": 0, "low": 0}
    world.change_job("low", {"priority": 1}, anything)
    world.advance(10)
    assert busy() == {"high": 0, "old": 1, "new": 0, "low": 2}
    world.advance(10)
    assert busy() == {"high": 0, "old": 0, "new": 2, "low": 0}


def test_a_job_runs_no_more_at_once_than_it_may() -> None:
    """Slots that a limited job cannot use are for others; -1 is no limit, and 0 is a limit."""
    world = new_world(
        a_job(*named(7), max_parallel=2),
        a_job("x", job_id="k", max_parallel=0),
        a_job(*named(9), job_id="l"),
        pools=[a_pool(6, 10)],
    )
    assert [len(running(world, each)) for each in "jkl"] == [2, 0, 4]
    world.terminate_task("j", "t00000", anything)
    assert running(world) == ["t00001", "t00002"]
    world.change_job("j", {"max_parallel": 3}, anything)
    world.advance(10)
    assert [len(running(world, each)) for each in "jkl"] == [3, 0, 3]


def test_preparing_comes_before_running() -> None:
    """A preparing task holds its slot, and its run starts after the preparation."""
    world = new_world(a_job("a", "b"), pools=[a_pool(1, 10, preparing=Distribution("constant", (3,)))])
    assert states(world) == {"a": "preparing", "b": "active"}
    assert used(world) == {"p": 1}
    world.advance(3)
    assert states(world) == {"a": "running", "b": "active"}
    world.advance(10)
    assert states(world) == {"a": "succeeded", "b": "preparing"}
    row = world.task("j", "a")
    assert (seconds(row.started), seconds(row.ended), row.previous) == (3, 13, TaskState.RUNNING)


def test_nothing_takes_no_time_at_all() -> None:
    """Runs of zero length take a millisecond, so that time always advances."""
    world = new_world(a_job(*named(20)), pools=[a_pool(1, 0)])
    assert counts(world).running == 1
    world.advance(1)
    assert counts(world) == Counts(succeeded=20)
    assert [seconds(row.ended) for row in world.tasks("j", ALL_ROWS, None, 3)] == [0.001, 0.002, 0.003]


def test_a_pool_may_come_after_its_jobs() -> None:
    """As in the service, tasks wait for it; running ones hold its slots."""
    world = new_world(a_job("a", NewTask("b", 2, TaskState.RUNNING), "c"))
    assert used(world) == {}
    world.load([], [a_pool(3, pool_id="P")])
    assert used(world) == {"P": 3}
    assert running(world) == ["a", "b"]
    scan(world)


def test_a_pool_can_be_described_anew() -> None:
    """New slots are used at once; with fewer slots running tasks go on and nothing starts."""
    world = new_world(a_job(*named(6)), pools=[a_pool(2, 10)])
    world.load([], [a_pool(4, 10, "P")])
    assert len(running(world)) == 4
    world.load([], [a_pool(1, 20)])
    assert used(world) == {"p": 4}
    world.advance(10)
    assert counts(world) == Counts(1, 1, 4)


def test_an_undescribed_pool_is_like_the_star() -> None:
    """Each such pool has its own slots; a change of ``*`` applies to all of them."""
    jobs = [a_job(*named(3), job_id=each, pool=each) for each in ("one", "two")]
    world = new_world(*jobs[:1], a_job(*named(3), job_id="mine"), pools=[a_pool(1)])
    assert used(world) == {"p": 1}
    world.load(jobs[1:], [a_pool(2, 10, "*")])
    assert used(world) == {"*": 0, "one": 2, "p": 1, "two": 2}
    world.load([], [a_pool(3, 10, "*")])
    assert used(world) == {"*": 0, "one": 3, "p": 1, "two": 3}
    assert [(pool.id, pool.slots) for pool, _ in world.pools()] == [
        ("*", 3),
        ("one", 3),
        ("p", 1),
        ("two", 3),
    ]
    world.load([a_job("x", job_id="three", pool="ONE")], [a_pool(4, 10, "two")])
    assert [(pool.id, pool.slots) for pool, _ in world.pools()] == [
        ("*", 3),
        ("one", 3),
        ("p", 1),
        ("two", 4),
    ]
    scan(world)


@pytest.mark.parametrize(
    ("of_job", "of_task", "codes", "runs"),
    [
        (0, None, (1,), 1),
        (2, None, (1,), 3),
        (2, 0, (1,), 1),
        (0, 1, (1,), 2),
        (2, None, (1, 0), 2),
        (1, None, (1, 2, 0), 2),
        (-1, None, (1, 1, 1, 1, 0), 5),
        (0, -1, (1, 1, 0), 3),
    ],
)
def test_a_failure_is_retried_up_to_the_limit(
    of_job: int, of_task: int | None, codes: tuple[int, ...], runs: int
) -> None:
    """The task's limit precedes its job's; -1 has no end; the last run decides."""
    task = NewTask("t", max_retries=of_task, exit_codes=codes)
    world = new_world(a_job(task, max_retries=of_job), pools=[a_pool(1, 10)])
    world.advance(10 * runs - 1)
    assert running(world) == ["t"]
    world.advance(1)
    row = world.task("j", "t")
    assert (seconds(row.ended), row.retries) == (10 * runs, runs - 1)
    assert row.exit_code == codes[min(runs, len(codes)) - 1]
    assert row.failure == ("FailureExitCode" if row.exit_code else None)
    assert seconds(row.last_retry) == (10 * (runs - 1) if runs > 1 else None)


def test_a_retried_task_waits_in_its_old_place() -> None:
    """Its number is its place in the queue, so it runs next."""
    world = new_world(a_job(NewTask("a", exit_codes=(1, 0)), "b", max_retries=1), pools=[a_pool(1, 10)])
    world.advance(10)
    assert running(world) == ["a"]
    world.advance(10)
    assert states(world) == {"a": "succeeded", "b": "running"}


def test_a_run_that_lost_its_node_is_no_retry() -> None:
    """The task waits again and its requeues are counted, until it is terminated."""
    world = new_world(a_job("a"), pools=[a_pool(1, 10, requeue_rate=1.0)], seed=1)
    world.advance(100)
    row = world.task("j", "a")
    assert row.requeues >= 10
    assert row.retries == 0
    assert row.last_requeue is not None
    assert START < row.last_requeue <= START + 100 * 10**6
    assert row.state == TaskState.RUNNING
    world.terminate_task("j", "a", anything)
    world.advance(100)
    assert states(world) == {"a": "failed"}


def test_a_run_that_was_sent_back_uses_up_no_exit_code() -> None:
    """Exit codes apply only to runs that end, not to requeued ones."""
    task = NewTask("a", exit_codes=(3, 4, 0), max_retries=5)
    world = new_world(a_job(task, NewTask("b", 1, TaskState.RUNNING)), pools=[a_pool(2, 10)])
    for _ in range(2):
        world.advance(5)
        world.disable_job("j", "requeue", anything)
        world.enable_job("j", anything)
    world.change_job("j", {"max_retries": 0}, anything)
    world.advance(29)
    assert (world.task("j", "a").retries, running(world)) == (2, ["a"])
    world.advance(1)
    assert states(world) == {"a": "succeeded", "b": "succeeded"}


def test_endless_retries_do_not_stop_time() -> None:
    """Repeated runs of zero length take a tenth of a second, doubling up to a minute."""
    task = NewTask("a", seconds=0, exit_codes=(1,), max_retries=-1)
    world = new_world(a_job(task), pools=[a_pool(1, 10)])
    for until, retries in ((0.001, 1), (0.101, 2), (0.301, 3), (0.701, 4), (102.301, 11), (162.301, 12)):
        world.advance(until - (seconds(world.now()) or 0))
        assert world.task("j", "a").retries == retries
    world.advance(3600)
    assert world.task("j", "a").retries == 12 + 60


@pytest.mark.parametrize(
    ("preparing", "length", "takes"),
    [(0, 0.001, 0.001), (0, 1, 1), (2, 1, 3), (0.05, 0.02, 0.07), (1, 0, 1.001)],
)
def test_a_retry_takes_as_long_as_the_first_run(preparing: float, length: float, takes: float) -> None:
    """Every retry is prepared and runs as long as the pool says."""
    pool = a_pool(1, length, preparing=Distribution("constant", (preparing,)))
    world = new_world(a_job(NewTask("a", exit_codes=(1,)), max_retries=-1), pools=[pool])
    world.advance(20 * takes)
    row = world.task("j", "a")
    assert row.retries == 20
    assert seconds(row.last_retry) == pytest.approx(20 * takes)


def test_a_run_that_is_requeued_often_takes_as_long_as_ever() -> None:
    """Disabling and enabling a job does not change the length of a run."""
    world = new_world(a_job("a"), pools=[a_pool(1, 10)])
    for _ in range(12):
        world.advance(5)
        world.disable_job("j", "requeue", anything)
        world.enable_job("j", anything)
    world.advance(10)
    assert history(world, "a") == (60, 70)


@pytest.mark.parametrize(
    ("task", "takes"),
    [
        (NewTask("a", seconds=1, exit_codes=(2,)), 1),
        (NewTask("a", seconds=0, exit_codes=(2,)), 0.001),
        (NewTask("a", seconds=9, max_seconds=1), 1),
    ],
)
def test_a_reactivated_task_takes_as_long_as_ever(task: NewTask, takes: float) -> None:
    """A run of zero length stays short, since it is not repeated automatically."""
    world = new_world(a_job(task), pools=[a_pool(1, 10)])
    for _ in range(12):
        world.advance(takes)
        assert states(world) == {"a": "failed"}
        world.reactivate_task("j", "a", anything)


def test_too_much_at_once_is_refused_or_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scripted clock refuses the step; with the machine's clock emulated time falls behind."""
    monkeypatch.setattr(timeline, "_MAX_EVENTS", {False: 3, True: 5})
    scripted = new_world(
        a_job(*[NewTask(f"t{each}", seconds=each + 1) for each in range(9)], pool="p"), pools=[a_pool(9, 10)]
    )
    with pytest.raises(EmulatorError, match="more than 5 tasks would end or start by then; advance by less"):
        scripted.advance(100)
    assert (seconds(scripted.now()), counts(scripted).succeeded) == (0, 0)
    scripted.advance(5)
    scripted.advance(95)
    assert counts(scripted).succeeded == 9
    now = [datetime(2025, 1, 1, tzinfo=UTC)]
    machine = World(Store(), lambda: now[0])
    machine.load([a_job(*[NewTask(f"t{each}", seconds=each + 1) for each in range(9)])], [a_pool(9, 10)])
    now[0] += timedelta(hours=1)
    assert [machine.counts("j").tasks.succeeded for _ in range(5)] == [3, 6, 9, 9, 9]


def test_many_jobs_share_a_pool_in_their_order() -> None:
    """The highest priority first, then the oldest; no job is skipped."""
    jobs = [a_job(NewTask("t"), job_id=f"j{each:02}", priority=each % 3) for each in range(50)]
    world = new_world(*jobs, pools=[a_pool(1, 10)])
    order = []
    for _ in jobs:
        order += [job_id for job_id, of_job in world.all_counts().items() if of_job.tasks.running]
        world.advance(10)
    expected = sorted(range(50), key=lambda each: (-(each % 3), each))
    assert order == [f"j{each:02}" for each in expected]


def test_a_task_that_takes_too_long_is_stopped() -> None:
    """It fails for good, without an exit code; a quicker one is not affected."""
    world = new_world(
        a_job(NewTask("slow", max_seconds=9.5), NewTask("quick", max_seconds=10), max_retries=5),
        pools=[a_pool(2, 10)],
    )
    world.advance(10)
    slow, quick = world.task("j", "slow"), world.task("j", "quick")
    assert (slow.state, slow.exit_code, slow.failure) == (TaskState.FAILED, None, "TaskEnded")
    assert (seconds(slow.ended), seconds(quick.ended), quick.exit_code) == (9.5, 10, 0)


def test_a_tasks_own_seconds_come_before_the_pools() -> None:
    """The duration of a run can be fixed with the task, also at zero seconds."""
    world = new_world(a_job(NewTask("a", seconds=2.5), NewTask("b", seconds=0), "c"), pools=[a_pool(3, 10)])
    world.advance(10)
    assert [history(world, each)[1] for each in ("a", "b", "c")] == [2.5, 0.001, 10]


def test_a_deleted_task_leaves_its_slots() -> None:
    """A running or waiting task can be deleted: the next one starts, and its run has no end."""
    world = new_world(a_job("a", "b", "c"), pools=[a_pool(1, 10)])
    world.delete_task("j", "a", anything)
    world.delete_task("j", "c", anything)
    assert states(world) == {"b": "running"}
    scan(world)
    world.advance(30)
    assert states(world) == {"b": "succeeded"}
    assert used(world) == {"p": 0}


def test_tasks_that_a_scenario_started_go_on() -> None:
    """A task that is added as running ends like one that was started by its pool."""
    world = new_world(
        a_job(NewTask("p", 1, TaskState.PREPARING), NewTask("r", 2, TaskState.RUNNING, exit_codes=(3,)), "a"),
        pools=[a_pool(4, 10, preparing=Distribution("constant", (3,)))],
    )
    assert states(world) == {"a": "preparing", "p": "preparing", "r": "running"}
    world.advance(3)
    assert states(world) == {"a": "running", "p": "running", "r": "running"}
    world.advance(7)
    assert world.task("j", "r").exit_code == 3
    world.advance(3)
    assert states(world) == {"a": "succeeded", "p": "succeeded", "r": "failed"}
    assert used(world) == {"p": 0}


def test_a_task_that_is_started_by_hand_ends_by_hand() -> None:
    """A step ignores free slots; such a run does not end by itself, and holds its slots."""
    world = new_world(a_job("a", "b"), pools=[a_pool(1, 10)])
    world.step("j", start=1)
    assert used(world) == {"p": 2}
    world.advance(100)
    assert states(world) == {"a": "succeeded", "b": "running"}
    world.step("j", fail=1)
    assert (world.task("j", "b").exit_code, used(world)) == (1, {"p": 0})


def test_tasks_that_are_due_together_end_once() -> None:
    """If a due task ends or disables the job, the other due tasks are not ended a second time."""
    stopping: dict[str, Any] = {"default": {"jobAction": "terminate"}}
    tasks: list[str | NewTask] = [NewTask("a", exit_codes=(1,), exit_conditions=stopping), "b"]
    world = new_world(a_job(*tasks, acts_on_failure=True), pools=[a_pool(2, 10)])
    world.advance(10)
    assert (world.job("j").state, world.task("j", "b").failure) == ("completed", "TaskEnded")
    disabling = {"default": {"jobAction": "disable"}}
    tasks = [NewTask("a", exit_codes=(1,), exit_conditions=disabling), "b"]
    world = new_world(a_job(*tasks, acts_on_failure=True), pools=[a_pool(2, 10)])
    world.advance(10)
    assert (world.job("j").state, states(world)) == ("disabled", {"a": "failed", "b": "active"})


def test_failures_are_drawn_at_their_rate() -> None:
    """About the expected number of tasks fail, and always the same ones."""

    def failed(seed: int) -> set[str]:
        pool = Pool("p", 300, failure_rate=0.2)
        world = new_world(a_job(*named(300)), pools=[pool], seed=seed)
        world.advance(10)
        assert counts(world).completed == 300
        return {name for name, state in states(world).items() if state == "failed"}

    first = failed(1)
    assert 30 < len(first) < 90
    assert failed(1) == first != failed(2)


def test_a_fate_does_not_depend_on_the_neighbours() -> None:
    """Other tasks, in whatever order, do not change the outcome of a task's run."""

    def took(*others: str) -> float:
        world = new_world(a_job(*others, "T"), pools=[Pool("P", 10)], seed=5)
        world.advance(20)
        started, ended = history(world, "t")
        return (ended or 0) - (started or 0)

    assert took() == took("a") == took("b", "c", "d")


def test_small_steps_and_large_ones_come_to_the_same() -> None:
    """Time advances from event to event, whatever the steps of the clock."""

    def rows(*steps: float) -> list[object]:
        pool = Pool("p", 7, Distribution("exponential", (1.0,)), failure_rate=0.3, requeue_rate=0.2)
        world = new_world(a_job(*named(40), max_retries=2), pools=[pool], seed=9, settle=2)
        for step in steps:
            world.advance(step)
        return [world.job("j"), *world.tasks("j", ALL_ROWS, None, 100)]

    assert rows(64.0) == rows(*[0.5] * 128) == rows(0, 63.999999, 0.000001)


def test_half_a_slot_less_starts_nothing() -> None:
    """Tasks wait in a pool without slots."""
    world = new_world(a_job("a"), pools=[a_pool(0)])
    world.advance(100)
    assert states(world) == {"a": "active"}
