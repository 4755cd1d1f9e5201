"""Reported counts: each switch of the lag model against the public thread that it reproduces."""

from __future__ import annotations

from typing import Any

import pytest

from support.worlds import a_job, a_pool, anything, counts, named, new_world, reported, states, table
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import Counts, JobCounts, NewTask, TaskState
from taskcounts_emulator.state.lag import LagModel, parse_lag, stored_model
from taskcounts_emulator.state.world import World

# Azure/BatchExplorer#2628: with 24 slots, 42 tasks were reported as running.
SLOTS = 24


def rows(world: World, name: str) -> int:
    """Return the number of rows of a table."""
    return len(table(world, name))


def test_without_lag_reports_are_the_truth_and_keep_nothing() -> None:
    """By default, nothing trails and no history is written."""
    world = new_world(a_job(*named(9)), pools=[a_pool(3, 1)], lag=LagModel())
    for _ in range(5):
        assert world.reported("j") == world.counts("j")
        world.advance(1)
    assert [rows(world, each) for each in ("reports", "unseen", "adjustments")] == [0, 0, 0]


def test_delay_reports_what_was() -> None:
    """Counts of some seconds ago; zeros for a younger job, which a shell script took for empty."""
    world = new_world(lag=LagModel(delay=5), pools=[a_pool(2, 10)])
    world.advance(100)
    world.add_job(a_job(*named(4)))
    seen = []
    for _ in range(4):
        world.advance(4.999999)
        seen.append(reported(world))
        world.advance(0.000001)
        seen.append(reported(world))
    nothing, first, second = Counts(), Counts(2, 2), Counts(0, 2, 2)
    assert seen == [nothing, first, first, first, first, second, second, second]
    world.advance(5)
    assert reported(world) == counts(world) == Counts(succeeded=4)


def test_delay_keeps_no_more_than_it_needs() -> None:
    """Of the reports older than the delay only the newest is kept."""
    world = new_world(a_job(*named(200)), pools=[a_pool(1, 1)], lag=LagModel(delay=10))
    world.advance(200)
    assert rows(world, "reports") <= 12
    world.delete_job("j", anything)
    assert rows(world, "reports") == 0


def test_delay_begins_with_the_truth_of_the_moment() -> None:
    """An older job is reported as it was; a job younger than the delay is not there yet."""
    world = new_world(a_job(*named(3), pool=None))
    world.advance(60)
    world.add_job(a_job("a", job_id="young", pool=None))
    world.advance(4)
    world.load(lag=LagModel(delay=5))
    assert reported(world) == Counts(active=3)
    assert reported(world, "young") == Counts()
    world.step("j", start=3)
    assert reported(world) == Counts(active=3)
    world.advance(1)
    assert reported(world, "young") == Counts(active=1)
    world.advance(4)
    assert reported(world) == Counts(running=3)


def test_a_scenario_that_stands_still_is_reported_too() -> None:
    """Its counts appear once the delay has passed, although nothing changes."""
    world = new_world(a_job("a", pool=None), lag=LagModel(delay=5))
    world.advance(5)
    assert reported(world) == Counts(active=1)


@pytest.mark.parametrize("miss", [0.3, 1.0])
def test_missed_changes_make_counts_that_cannot_be(miss: float) -> None:
    """Azure/BatchExplorer#2628: more running tasks than slots; the sum is right."""
    world = new_world(a_job(*named(100)), pools=[a_pool(SLOTS, 10)], seed=6)
    world.advance(9)
    world.load(lag=LagModel(miss=miss))
    world.advance(42)
    told = reported(world)
    assert counts(world).running <= SLOTS
    assert told.active + told.running + told.completed == 100
    assert min(told.active, told.running, told.succeeded, told.failed) >= 0
    if miss == 1:
        assert told == Counts(76, 24)
    else:
        assert told.running > SLOTS


def test_a_miss_stays_until_a_validation_pass() -> None:
    """Passes are at multiples of the interval; without passes a missed change never appears."""
    world = new_world(a_job("a"), lag=LagModel(miss=1.0))
    assert reported(world) == Counts()
    world.advance(1e6)
    assert reported(world) == Counts()
    world.load(lag=LagModel(miss=1.0, validation=60))
    world.add_tasks("j", [NewTask("b")])
    assert reported(world) == Counts(active=1)
    until = 60 - 1e6 % 60
    world.advance(until - 0.000001)
    assert reported(world) == Counts(active=1)
    world.advance(0.000001)
    assert reported(world) == Counts(active=2)
    assert (rows(world, "unseen"), rows(world, "adjustments")) == (0, 0)


def test_missed_steps_of_one_task_add_up_to_one() -> None:
    """A task is reported once, in its last seen state, however many of its changes were missed."""
    world = new_world(a_job("a", pool=None))
    world.load(lag=LagModel(miss=1.0))
    world.step("j", start=1)
    world.step("j", fail=1)
    world.reactivate_task("j", "a", anything)
    assert reported(world) == Counts(active=1)
    world.step("j", start=1)
    world.step("j", succeed=1)
    assert reported(world) == Counts(active=1)
    world.delete_task("j", "a", anything)
    assert reported(world) == Counts(active=1)


def test_a_change_that_is_seen_takes_back_what_was_missed() -> None:
    """A seen change corrects the missed ones of its task."""
    world = new_world(a_job(*named(60), pool=None), seed=2)
    world.load(lag=LagModel(miss=0.5))
    world.step("j", start=60)
    wrong = reported(world).active
    world.step("j", succeed=60)
    right = reported(world).succeeded
    assert 15 < wrong < 45
    assert 15 < right < 45
    assert reported(world).active < wrong


def test_a_missed_deletion_does_not_reach_another_job() -> None:
    """Later tasks have new numbers, and are not confused with deleted ones."""
    world = new_world(a_job(NewTask("a", 4, TaskState.RUNNING), pool=None), a_job(job_id="k", pool=None))
    world.load(lag=LagModel(miss=1.0))
    world.delete_task("j", "a", anything)
    world.add_tasks("k", [NewTask("b", 2)])
    assert reported(world) == Counts(running=1)
    assert reported(world, "k") == Counts()
    assert world.reported("j").slots == Counts(running=4)


def test_large_jobs_are_not_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the published 200,000 tasks missed changes stay, until the job is smaller."""
    monkeypatch.setattr("taskcounts_emulator.state.lag.VALIDATED_UP_TO", 3)
    world = new_world(a_job(*named(4), pool=None), a_job(*named(3), job_id="k", pool=None))
    world.load(lag=LagModel(miss=1.0, validation=60))
    world.step("j", start=1)
    world.step("k", start=1)
    world.advance(60)
    assert (reported(world), reported(world, "k")) == (Counts(active=4), Counts(2, 1))
    world.delete_task("j", "t00003", anything)
    world.advance(60)
    assert reported(world) == Counts(2, 1)


def test_swapping_reports_waiting_tasks_as_running() -> None:
    """Azure/azure-sdk-for-js#5496: active 1 and running 0 while a job manager ran."""
    job = a_job(manager=NewTask("manager"), pool="p")
    world = new_world(job, pools=[a_pool(1, 100)], lag=LagModel(swap_active_running=True))
    assert states(world) == {"manager": "running"}
    assert world.reported("j") == JobCounts(Counts(active=1), Counts(active=1))
    world.add_tasks("j", [NewTask("child", 3)])
    assert world.reported("j").slots == Counts(active=1, running=3)
    assert rows(world, "reports") == 0


@pytest.mark.parametrize("gone", ["reactivate", "delete"])
def test_stale_failures_vanish_with_the_next_pass(gone: str) -> None:
    """Azure/BatchExplorer#2628, #2081: wrong failures that later vanished."""
    failed = [NewTask("a", 2, TaskState.FAILED), NewTask("b", 1, TaskState.FAILED)]
    world = new_world(a_job(*failed, pool=None), lag=LagModel(stale_failures=True, validation=60))
    getattr(world, f"{gone}_task")("j", "a", anything)
    active = 1 if gone == "reactivate" else 0
    assert reported(world) == Counts(active=active, failed=2)
    assert world.reported("j").slots.failed == 3
    world.advance(59)
    assert reported(world).failed == 2
    world.advance(1)
    assert reported(world) == counts(world) == Counts(active=active, failed=1)


def test_no_slots_are_reported_though_tasks_are() -> None:
    """As recorded: 0/0/5/2/3 tasks, and all numbers of slots 0."""
    tasks = [NewTask(name, 2, TaskState.SUCCEEDED) for name in ("a", "b")]
    tasks += [NewTask(name, 3, TaskState.FAILED) for name in ("c", "d", "e")]
    world = new_world(a_job(*tasks), lag=LagModel(zero_slots=True))
    assert world.reported("j").as_json() == {
        "taskCounts": {"active": 0, "running": 0, "completed": 5, "succeeded": 2, "failed": 3},
        "taskSlotCounts": {"active": 0, "running": 0, "completed": 0, "succeeded": 0, "failed": 0},
    }
    assert world.counts("j").slots == Counts(0, 0, 4, 9)


def test_counts_of_large_jobs_can_stand_still() -> None:
    """Above the limit reports do not change; below it they are right after the next change."""
    world = new_world(a_job(*named(3), pool=None), lag=LagModel(freeze_above=3))
    world.step("j", start=1)
    assert reported(world) == Counts(2, 1)
    world.add_tasks("j", [NewTask("more")])
    world.step("j", start=3)
    world.advance(1e6)
    assert reported(world) == Counts(2, 1)
    assert counts(world) == Counts(running=4)
    world.delete_task("j", "more", anything)
    assert reported(world) == Counts(running=3)


def test_a_job_that_begins_large_stands_still_from_there() -> None:
    """Its first counts stay; an existing job is frozen as it was."""
    world = new_world(a_job(*named(5), pool=None), lag=LagModel(freeze_above=0))
    world.step("j", start=5)
    assert reported(world) == Counts(active=5)
    world.load(lag=LagModel(freeze_above=4))
    assert reported(world) == Counts(running=5)
    world.step("j", succeed=5)
    assert reported(world) == Counts(running=5)


def test_switches_work_together() -> None:
    """Delay, swap and zero slots can be combined."""
    model = LagModel(delay=5, swap_active_running=True, zero_slots=True)
    world = new_world(a_job("a", "b", pool=None), lag=model)
    world.advance(5)
    world.step("j", start=2)
    assert world.reported("j") == JobCounts(Counts(running=2))
    world.advance(5)
    assert world.reported("j") == JobCounts(Counts(active=2))


def test_lists_tell_the_truth() -> None:
    """Lists and true counts are independent of the reports."""
    world = new_world(a_job("a", "b", pool=None), lag=LagModel(delay=100, miss=1.0))
    world.step("j", start=1)
    assert states(world) == {"a": "running", "b": "active"}
    assert (counts(world), reported(world)) == (Counts(1, 1), Counts())


def test_lag_ends_when_it_is_switched_off() -> None:
    """Clearing the lag model discards missed and delayed changes, also for a lag model that is set later."""
    world = new_world(a_job("a", "b", pool=None), lag=LagModel(delay=100, miss=1.0, stale_failures=True))
    world.step("j", start=1)
    world.load(lag=LagModel())
    assert reported(world) == Counts(1, 1)
    assert [rows(world, each) for each in ("reports", "unseen", "adjustments")] == [0, 0, 0]
    world.advance(1000)
    world.load(lag=LagModel(delay=100))
    assert reported(world) == Counts(1, 1)


def test_one_seed_misses_the_same_changes() -> None:
    """Even after a reset, and whatever was deleted in between."""

    def run(world: World, advances: int) -> list[Counts]:
        lag = LagModel(miss=0.5)
        world.load([a_job("a", pool=None), a_job(*named(4500), job_id="k", pool=None)], seed=8, lag=lag)
        world.delete_job("k", anything)
        for _ in range(advances):
            world.advance(60 / advances)
        world.add_tasks("j", [NewTask(name) for name in named(40)])
        world.step("j", start=20)
        return [counts(world), reported(world)]

    world = new_world()
    first = run(world, 1)
    world.clear()
    assert run(world, 1) == first == run(new_world(), 4)
    assert first[0] != first[1]


@pytest.mark.parametrize(
    ("document", "model"),
    [
        ({}, LagModel()),
        ({"delay": 5, "miss": 0.1, "validation": 60}, LagModel(5.0, 0.1, 60.0)),
        (
            {"swapActiveRunning": True, "staleFailures": True, "zeroSlots": True, "freezeAbove": 200_000},
            LagModel(swap_active_running=True, stale_failures=True, zero_slots=True, freeze_above=200_000),
        ),
        ({"validation": None, "freezeAbove": None, "zeroSlots": False}, LagModel()),
        ({"freezeAbove": 0, "validation": 0.001}, LagModel(validation=0.001, freeze_above=0)),
    ],
)
def test_a_model_is_read_and_written(document: dict[str, Any], model: LagModel) -> None:
    """JSON has only the switches that are on, and is read back as the same model."""
    assert parse_lag(document) == model
    assert parse_lag(model.as_json()) == stored_model(model.as_json()) == model
    assert model.as_json().keys() == {
        name for name, value in document.items() if value is not None and value is not False
    }


def test_a_store_that_kept_no_model_has_no_lag() -> None:
    """Another stored value has the same effect."""
    assert stored_model(None) == stored_model(5) == LagModel()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "lag: must be an object, not an array"),
        ({"jitter": 1}, "lag: unknown member 'jitter'; known are delay, miss, validation, swapActiveRunning"),
        ({"delay": -1}, "lag.delay: must be from 0 to"),
        ({"delay": None}, "lag.delay: must be a number, not null"),
        ({"miss": 1.01}, "lag.miss: must be from 0 to 1, not 1.01"),
        ({"validation": 0}, "lag.validation: must be from 0.001 to"),
        ({"freezeAbove": -1}, "lag.freezeAbove: must be from 0 to"),
        ({"freezeAbove": 1.5}, "lag.freezeAbove: must be a whole number, not 1.5"),
        ({"zeroSlots": 1}, "lag.zeroSlots: must be true or false, not 1"),
        ({"staleFailures": "yes"}, "lag.staleFailures: must be true or false"),
        ({"swapActiveRunning": None}, "lag.swapActiveRunning: must be true or false"),
    ],
)
def test_an_invalid_model_is_refused(document: object, message: str) -> None:
    """The error begins with the path."""
    with pytest.raises(EmulatorError) as caught:
        parse_lag(document)
    assert str(caught.value).startswith(message)


def test_a_failure_stays_once_and_only_if_it_was_reported() -> None:
    """A deleted failure is not counted twice, and a missed one is not counted."""
    lag = LagModel(miss=1.0, stale_failures=True)
    world = new_world(a_job(NewTask("a", state=TaskState.FAILED), pool=None))
    world.load(lag=lag)
    world.delete_task("j", "a", anything)
    assert world.reported("j").tasks == Counts(failed=1)
    world = new_world(a_job(NewTask("a", state=TaskState.RUNNING), pool=None))
    world.load(lag=lag)
    world.step("j", fail=1)
    world.reactivate_task("j", "a", anything)
    assert world.reported("j").tasks == Counts(running=1)
