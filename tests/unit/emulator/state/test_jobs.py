"""States of jobs: the operations that each allows, its duration, and its effect on tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.worlds import (
    a_job,
    a_pool,
    anything,
    code,
    counts,
    named,
    new_world,
    running,
    scan,
    seconds,
    states,
    table,
    used,
)
from taskcounts_emulator.model import Counts, NewTask, TaskState
from taskcounts_emulator.state.world import World

FAILED = NewTask("f", state=TaskState.FAILED)

# The steps that bring a job into each state, with a settle time of one second.
WAYS: dict[str, tuple[Callable[[World], object], ...]] = {
    "active": (),
    "disabling": (lambda world: world.disable_job("j", "requeue", anything),),
    "disabled": (lambda world: world.disable_job("j", "requeue", anything), lambda world: world.advance(1)),
    "terminating": (lambda world: world.terminate_job("j", None, anything),),
    "completed": (lambda world: world.terminate_job("j", None, anything), lambda world: world.advance(1)),
    "deleting": (lambda world: world.delete_job("j", anything),),
}
WAYS["enabling"] = (*WAYS["disabled"], lambda world: world.enable_job("j", anything))

ACTIONS: dict[str, Callable[[World], object]] = {
    "add job": lambda world: world.add_job(a_job(job_id="J")),
    "change": lambda world: world.change_job("j", {"priority": 1}, anything),
    "terminate": lambda world: world.terminate_job("j", None, anything),
    "disable": lambda world: world.disable_job("j", "wait", anything),
    "enable": lambda world: world.enable_job("j", anything),
    "delete": lambda world: world.delete_job("j", anything),
    "add tasks": lambda world: world.add_tasks("j", [NewTask("new")]),
    "terminate task": lambda world: world.terminate_task("j", "a", anything),
    "reactivate task": lambda world: world.reactivate_task("j", "f", anything),
    "delete task": lambda world: world.delete_task("j", "a", anything),
    "count": lambda world: world.reported("j"),
}
ENDED = ("change", "terminate", "disable", "enable", "add tasks", "reactivate task")
REFUSED: dict[str, dict[str, str]] = {
    "active": {"enable": "OperationInvalidForCurrentState"},
    "disabling": {"enable": "OperationInvalidForCurrentState"},
    "disabled": {},
    "enabling": {"enable": "OperationInvalidForCurrentState", "disable": "JobNotActive"},
    "terminating": dict.fromkeys(ENDED, "JobBeingTerminated"),
    "completed": dict.fromkeys(ENDED, "JobCompleted"),
    "deleting": dict.fromkeys(ACTIONS, "JobBeingDeleted"),
}


def in_state(state: str) -> World:
    """Return a world with a job in a state, with an active task and a failed one."""
    world = new_world(a_job("a", FAILED, pool=None), settle=1)
    for step in WAYS[state]:
        step(world)
    assert world.job("j").state == state
    return world


@pytest.mark.parametrize("state", REFUSED)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_jobs_state_decides_what_can_be_done(state: str, action: str) -> None:
    """Each operation succeeds, or is refused with the service's code and changes nothing."""
    world = in_state(state)
    expected = REFUSED[state].get(action, "JobExists" if action == "add job" else None)
    before = (world.job("j"), states(world))
    assert code(ACTIONS[action], world) == expected
    if expected:
        assert (world.job("j"), states(world)) == before
    scan(world)


@pytest.mark.parametrize(
    ("state", "arrives"),
    [
        ("disabling", "disabled"),
        ("enabling", "active"),
        ("terminating", "completed"),
        ("deleting", None),
        ("disabled", "disabled"),
        ("completed", "completed"),
        ("active", "active"),
    ],
)
def test_a_state_on_the_way_lasts_for_the_settle_time(state: str, arrives: str | None) -> None:
    """It ends at the exact microsecond, and the job has its previous state and time."""
    world = in_state(state)
    since = world.job("j").changed
    world.advance(0.999999)
    row = world.job("j")
    assert (row.state, row.changed) == (state, since)
    world.advance(0.000001)
    if arrives is None:
        assert world.all_counts() == {}
    elif arrives == state:
        assert world.job("j") == row
    else:
        row = world.job("j")
        assert (row.state, row.previous) == (arrives, state)
        assert (row.changed, row.previous_changed) == (world.now(), since)
        assert row.ended == (world.now() if arrives == "completed" else None)


def test_without_a_settle_time_a_job_arrives_at_once() -> None:
    """The default settle time is zero."""
    world = new_world(a_job("a"), pools=[a_pool(1, 10)])
    assert world.disable_job("j", "requeue", anything).state == "disabled"
    assert world.enable_job("j", anything).state == "active"
    assert running(world) == ["a"]
    assert world.terminate_job("j", "Enough", anything).state == "completed"
    assert (world.job("j").terminate_reason, states(world)) == ("Enough", {"a": "failed"})
    world.delete_job("j", anything)
    assert (world.all_counts(), used(world)) == ({}, {"p": 0})


@pytest.mark.parametrize("settle", [0, 5])
@pytest.mark.parametrize(
    ("tasks", "then"),
    [("requeue", {"a": "active", "b": "active"}), ("terminate", {"a": "failed", "b": "active"})],
)
def test_disabling_deals_with_what_runs(tasks: str, then: dict[str, str], settle: float) -> None:
    """Running tasks are requeued or ended at once, and nothing starts until the job is enabled."""
    world = new_world(a_job("a", "b"), a_job("x", job_id="k"), pools=[a_pool(1, 10)], settle=settle)
    world.advance(4)
    world.disable_job("j", tasks, anything)
    assert states(world) == then
    assert running(world, "k") == ["x"]
    world.advance(100)
    assert (world.job("j").state, states(world)) == ("disabled", then)
    row = world.task("j", "a")
    assert (row.requeues, row.last_requeue) == ((1, row.changed) if tasks == "requeue" else (0, None))
    world.enable_job("j", anything)
    world.advance(settle)
    assert running(world) == [min(name for name, state in then.items() if state == "active")]


@pytest.mark.parametrize("settle", [0, 5])
def test_disabling_can_wait_for_what_runs(settle: float) -> None:
    """The job is disabling until the last running task has ended; retries wait."""
    world = new_world(
        a_job("a", NewTask("b", seconds=20, exit_codes=(1, 0)), "c", max_retries=1),
        pools=[a_pool(2, 10)],
        settle=settle,
    )
    world.disable_job("j", "wait", anything)
    world.advance(19)
    assert world.job("j").state == "disabling"
    assert states(world) == {"a": "succeeded", "b": "running", "c": "active"}
    world.advance(1)
    assert world.job("j").state == "disabled"
    assert states(world) == {"a": "succeeded", "b": "active", "c": "active"}


@pytest.mark.parametrize("first", ["wait", "requeue", "terminate"])
@pytest.mark.parametrize("second", ["wait", "requeue", "terminate"])
def test_disabling_can_be_asked_for_again(first: str, second: str) -> None:
    """A job that waits for tasks can still requeue or terminate them; a disabled job stays unchanged."""
    world = new_world(a_job("a"), pools=[a_pool(1, 10)], settle=5)
    world.disable_job("j", first, anything)
    world.advance(1)
    world.disable_job("j", second, anything)
    kind = next((each for each in (first, second) if each != "wait"), "wait")
    assert states(world) == {"a": {"wait": "running", "requeue": "active", "terminate": "failed"}[kind]}
    world.advance(10)
    row = world.job("j")
    assert row.state == "disabled"
    assert world.disable_job("j", "terminate", anything) == row


def test_a_job_without_running_tasks_is_disabled_without_waiting() -> None:
    """There is nothing to wait for."""
    world = new_world(a_job("a", pool=None), settle=5)
    assert world.disable_job("j", "wait", anything).state == "disabled"


def test_termination_stops_what_runs_and_leaves_what_waits() -> None:
    """Running tasks fail, and active ones stay active, even after the job has ended."""
    world = new_world(a_job("a", "b", "c"), a_job("x", job_id="k"), pools=[a_pool(2, 10)], settle=5)
    row = world.terminate_job("j", None, anything)
    assert (row.state, row.terminate_reason, row.ended) == ("terminating", "UserTerminate", None)
    assert counts(world) == Counts(active=1, failed=2)
    assert running(world, "k") == ["x"]
    world.advance(100)
    assert counts(world) == Counts(active=1, failed=2)
    assert seconds(world.job("j").ended) == 5
    assert world.task("j", "a").failure == "TaskEnded"


def test_deleting_while_tasks_run_frees_everything() -> None:
    """Slots are free at once, the id after the settle time; the tasks are gone."""
    world = new_world(a_job(*named(4)), a_job("x", job_id="k"), pools=[a_pool(2, 10)], settle=5, seed=1)
    world.advance(3)
    world.delete_job("j", anything)
    assert (running(world, "k"), used(world)) == (["x"], {"p": 1})
    world.advance(5)
    world.add_job(a_job("t00000", "new"))
    assert states(world) == {"t00000": "running", "new": "active"}
    world.advance(5)
    assert states(world) == {"t00000": "running", "new": "running"}
    world.advance(100)
    assert world.all_counts()["j"].tasks == Counts(succeeded=2)
    scan(world)


def test_tasks_of_a_deleted_job_are_removed_a_part_at_a_time() -> None:
    """Later changes remove them in batches, and no query finds them meanwhile."""
    world = new_world(a_job(*named(4500), pool=None), a_job("x", job_id="k", pool=None))
    world.delete_job("j", anything)
    left = []
    for _ in range(4):
        left.append(len(table(world, "tasks")))
        assert list(world.all_counts()) == ["k"]
        world.advance(1)
    assert left == [4501, 2501, 501, 1]
    assert table(world, "graves") == []


@pytest.mark.parametrize("settle", [0, 5])
def test_a_job_ends_when_its_time_is_up(settle: float) -> None:
    """The limit counts from the job's creation; its reason is shown, and running tasks are stopped."""
    world = new_world(settle=settle, pools=[a_pool(1, 100)])
    world.advance(7)
    world.add_job(a_job("a", "b", max_seconds=20))
    world.advance(19.999999)
    assert world.job("j").state == "active"
    world.advance(settle + 1)
    row = world.job("j")
    assert (row.state, row.terminate_reason, seconds(row.ended)) == (
        "completed",
        "MaxWallClockTimeExpiry",
        27 + settle,
    )
    assert seconds(world.task("j", "a").ended) == 27
    assert states(world) == {"a": "failed", "b": "active"}


def test_a_jobs_time_can_be_changed() -> None:
    """A new limit counts from the creation, none means no limit, and a past one takes effect at once."""
    world = new_world(*(a_job("a", job_id=each, max_seconds=20) for each in "jkl"), pools=[a_pool(3, 1e6)])
    world.advance(10)
    world.change_job("j", {"max_seconds": 40}, anything)
    world.change_job("k", {"max_seconds": None}, anything)
    world.change_job("l", {"max_seconds": 5}, anything)
    assert seconds(world.job("l").ended) == seconds(world.task("l", "a").ended) == 10
    world.advance(1e5)
    assert (seconds(world.job("j").ended), world.job("k").state) == (40, "active")


def test_a_job_that_is_ended_or_deleted_is_not_ended_again_by_its_time() -> None:
    """The first end and its reason stay."""
    world = new_world(a_job("a", max_seconds=5), a_job(job_id="k", max_seconds=5), settle=3)
    world.advance(4)
    world.terminate_job("j", "Mine", anything)
    world.delete_job("k", anything)
    world.advance(2)
    assert (world.job("j").state, world.job("k").state) == ("terminating", "deleting")
    world.advance(100)
    assert (world.job("j").terminate_reason, seconds(world.job("j").ended)) == ("Mine", 7)


def test_a_disabled_job_ends_by_its_time_too() -> None:
    """Even if both happen at the same moment."""
    world = new_world(a_job("a", max_seconds=5), settle=5)
    world.disable_job("j", "requeue", anything)
    world.advance(5)
    assert (world.job("j").state, world.job("j").previous) == ("terminating", "disabling")
    world.advance(5)
    assert world.job("j").state == "completed"


def test_a_job_can_end_with_its_last_task() -> None:
    """onAllTasksComplete applies however the tasks completed."""
    world = new_world(
        a_job("a", NewTask("b", exit_codes=(1,)), "c", terminates_when_done=True), pools=[a_pool(1, 10)]
    )
    world.advance(20)
    assert world.job("j").state == "active"
    world.delete_task("j", "c", anything)
    row = world.job("j")
    assert (row.state, row.terminate_reason, seconds(row.ended)) == ("completed", "AllTasksComplete", 20)


def test_a_job_without_tasks_has_them_all_complete() -> None:
    """As the reference says, it can be set once all tasks are added; a disabled job waits with it."""
    assert new_world(a_job(terminates_when_done=True)).job("j").state == "completed"
    world = new_world(a_job(FAILED))
    world.disable_job("j", "wait", anything)
    assert world.change_job("j", {"terminates_when_done": True}, anything).state == "disabled"
    assert world.enable_job("j", anything).state == "completed"


@pytest.mark.parametrize("ends", [True, False])
def test_a_job_can_end_with_its_manager(ends: bool) -> None:
    """The manager is the first task; the job decides whether it ends with it."""
    job = a_job("a", "b", manager=NewTask("M", 1, seconds=5), manager_ends_job=ends)
    world = new_world(job, pools=[a_pool(2, 10)])
    assert running(world) == ["a", "M"]
    world.advance(5)
    row = world.job("j")
    assert (row.state, row.terminate_reason) == (("completed", "JMComplete") if ends else ("active", None))
    assert states(world)["a"] == ("failed" if ends else "running")


def test_a_manager_that_is_terminated_ends_the_job_too() -> None:
    """A terminated manager has completed, too; a task of another name is no manager."""
    world = new_world(a_job("a", manager=NewTask("m")))
    world.terminate_task("j", "a", anything)
    assert world.job("j").state == "active"
    world.terminate_task("j", "M", anything)
    assert world.job("j").terminate_reason == "JMComplete"


OPTIONS: dict[str, Any] = {
    "exitCodes": [{"code": 3, "exitOptions": {"jobAction": "Terminate"}}, {"code": 0, "exitOptions": None}],
    "exitCodeRanges": [
        {"start": 3, "end": 5, "exitOptions": {"jobAction": "disable"}},
        {"start": 9, "end": 9, "exitOptions": {}},
        {"start": 10, "end": 11, "exitOptions": None},
        {"start": 12, "end": 12, "exitOptions": {"jobAction": "none"}},
    ],
    "default": {"jobAction": "terminate"},
}


@pytest.mark.parametrize(
    ("exit_code", "state"),
    [
        (3, "completed"),
        (4, "disabled"),
        (5, "disabled"),
        (6, "completed"),
        (9, "completed"),
        (10, "completed"),
        (12, "active"),
        (0, "active"),
        (-1, "completed"),
    ],
)
@pytest.mark.parametrize("acts", [True, False])
def test_exit_conditions_act_on_the_job(exit_code: int, state: str, acts: bool) -> None:
    """A code precedes a range, a range the default; the default action is to terminate."""
    tasks = [NewTask("a", exit_codes=(exit_code,), exit_conditions=OPTIONS), NewTask("b", seconds=50)]
    world = new_world(a_job(*tasks, acts_on_failure=acts), pools=[a_pool(2, 10)])
    world.advance(10)
    row = world.job("j")
    assert row.state == (state if acts else "active")
    assert row.terminate_reason == ("TaskFailed" if row.state == "completed" else None)
    expected = {"completed": "failed", "disabled": "active", "active": "running"}[row.state]
    assert states(world)["b"] == expected


def test_exit_conditions_act_once_the_retries_are_over() -> None:
    """They do not apply to a failure that is retried."""
    task = NewTask("a", exit_codes=(3,), exit_conditions=OPTIONS, max_retries=1)
    world = new_world(a_job(task, acts_on_failure=True), pools=[a_pool(1, 10)])
    world.advance(10)
    assert world.job("j").state == "active"
    world.advance(10)
    assert world.job("j").state == "completed"


@pytest.mark.parametrize("conditions", [{}, {"exitCodes": None, "exitCodeRanges": None, "default": None}])
def test_empty_exit_conditions_do_nothing(conditions: dict[str, Any]) -> None:
    """Members can be absent or null; a terminated task matches no condition."""
    world = new_world(
        a_job(NewTask("a", exit_codes=(1,), exit_conditions=conditions), acts_on_failure=True),
        a_job(NewTask("b", exit_conditions=OPTIONS), job_id="k", acts_on_failure=True),
        pools=[a_pool(2, 10)],
    )
    world.terminate_task("k", "b", anything)
    world.advance(10)
    assert (world.job("j").state, world.job("k").state) == ("active", "active")


def test_a_job_that_is_disabling_is_not_disabled_by_a_task() -> None:
    """It is disabling already, and keeps waiting for its tasks."""
    tasks = [NewTask("a", exit_codes=(4,), exit_conditions=OPTIONS), NewTask("b", seconds=20)]
    world = new_world(a_job(*tasks, acts_on_failure=True), pools=[a_pool(2, 10)])
    world.disable_job("j", "wait", anything)
    world.advance(10)
    assert (world.job("j").state, states(world)) == ("disabling", {"a": "failed", "b": "running"})
