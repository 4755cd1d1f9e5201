"""Time: scripted and machine clocks, and transactions at the current time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.worlds import (
    START,
    a_job,
    a_pool,
    anything,
    code,
    counts,
    new_world,
    reported,
    running,
    seconds,
    states,
)
from taskcounts_emulator.errors import EmulatorError, NoSuchJob
from taskcounts_emulator.model import NewTask
from taskcounts_emulator.state import timeline
from taskcounts_emulator.state.lag import LagModel
from taskcounts_emulator.state.store import Store
from taskcounts_emulator.state.timeline import EPOCH, microseconds
from taskcounts_emulator.state.world import World


class Machine:
    """A machine's clock that a test sets."""

    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def turn(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def on_a_machine(path: str | Path = ":memory:") -> tuple[World, Machine]:
    """Return a world with a machine's clock, and a pool with one slot and runs of ten seconds."""
    machine = Machine()
    world = World(Store(path), machine)
    world.load([], [a_pool(1, 10)])
    return world, machine


def test_a_scripted_clock_stands_until_it_is_advanced() -> None:
    """It begins at a fixed time, and advancing returns the new one."""
    world = new_world()
    assert world.scripted
    assert world.now() == START == microseconds(EPOCH)
    assert seconds(world.advance(0.25)) == 0.25
    assert seconds(world.advance(0)) == 0.25
    assert seconds(world.now()) == 0.25


def test_a_machines_clock_is_not_advanced() -> None:
    """The error says which clock can be advanced."""
    world, machine = on_a_machine()
    assert not world.scripted
    with pytest.raises(
        EmulatorError, match=r"^the clock is the machine's; only .* scripted clock is advanced$"
    ):
        world.advance(1)
    assert world.now() == microseconds(machine.time)


def test_a_clock_has_an_end() -> None:
    """A step beyond the last time changes nothing."""
    world = new_world(a_job("a"), pools=[a_pool(1, 10)])
    with pytest.raises(EmulatorError, match=r"^the clock ends with the year 8999$"):
        world.advance(7000 * 365 * 86_400)
    assert seconds(world.now()) == 0
    assert running(world) == ["a"]
    assert world.advance((datetime(9000, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()) > START


def test_on_a_machine_things_happen_by_themselves() -> None:
    """Each query processes the events until now, with their own times."""
    world, machine = on_a_machine()
    world.add_job(a_job("a", "b"))
    begun = world.now()
    machine.turn(25)
    assert counts(world).completed == 2
    assert [row.ended for row in world.tasks("j", ("1", ()), None, 9)] == [begun + 10**7, begun + 2 * 10**7]


@pytest.mark.parametrize("ask", ["task", "tasks", "job", "jobs", "counts", "reported", "all_counts", "pools"])
def test_every_question_is_answered_as_of_now(ask: str) -> None:
    """No query sees an outdated state."""
    world, machine = on_a_machine()
    world.add_job(a_job("a", terminates_when_done=True))
    machine.turn(10)
    answers: dict[str, Callable[[], object]] = {
        "task": lambda: world.task("j", "a").state,
        "tasks": lambda: world.tasks("j", ("state = 3", ()), None, 9)[0].state,
        "job": lambda: world.job("j").state,
        "jobs": lambda: world.jobs(("state = 'completed'", ()), None, 9)[0].state,
        "counts": lambda: world.counts("j").tasks.succeeded,
        "reported": lambda: world.reported("j").tasks.succeeded,
        "all_counts": lambda: world.all_counts()["j"].tasks.succeeded,
        "pools": lambda: world.pools()[0][1],
    }
    expected = {"task": 3, "tasks": 3, "job": "completed", "jobs": "completed", "pools": 0}
    assert answers[ask]() == expected.get(ask, 1)


def test_a_clock_that_is_put_back_undoes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Time never goes back, also across new settings and jobs, and the log has one warning."""
    world, machine = on_a_machine()
    world.add_job(a_job("a", "b"))
    machine.turn(10)
    assert states(world) == {"a": "succeeded", "b": "running"}
    late = world.now()
    machine.turn(-3600)
    world.load(settle=0)
    world.load([a_job("c", job_id="k", pool=None)])
    assert world.job("k").created == late
    world.terminate_task("j", "b", anything)
    row = world.task("j", "b")
    assert row.ended == late
    assert row.ended >= (row.started or 0)
    machine.turn(5)
    assert world.now() == late + 5_000_000
    assert [record.message for record in caplog.records] == [
        "the clock was put back; emulated time goes on from where it was"
    ]


def test_events_due_while_closed_have_happened(tmp_path: Path) -> None:
    """A reopened file continues with the events at their own times."""
    path = tmp_path / "jobs.db"
    world, machine = on_a_machine(path)
    world.add_job(a_job("a", "b"))
    begun = world.now()
    world._store.close()
    machine.turn(3600)
    later = World(Store(path), machine)
    assert counts(later).succeeded == 2
    assert later.task("j", "b").ended == begun + 20_000_000


@pytest.mark.parametrize("loads", [False, True])
def test_time_trails_if_too_much_was_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: bool
) -> None:
    """With more overdue events than one call can process, no task starts before it is added."""
    path = tmp_path / "jobs.db"
    world, machine = on_a_machine(path)
    world.load(lag=LagModel(miss=1, validation=15))
    world.add_job(a_job(*(f"t{each}" for each in range(9))))
    begun = world.now()
    world._store.close()
    machine.turn(3600)
    monkeypatch.setattr(timeline, "_MAX_EVENTS", {False: 3, True: 3})
    later = World(Store(path), machine)
    if loads:
        later.load([a_job("late", job_id="k")])
    else:
        later.add_tasks("j", [NewTask("late")])
    job = "k" if loads else "j"
    assert later.task(job, "late").created < begun + 90_000_000
    for _ in range(9):
        counts(later)
    assert reported(later) == counts(later)
    row = later.task(job, "late")
    assert begun < row.created <= (row.started or 0)
    assert row.started == begun + 90_000_000
    assert later.task("j", "t8").ended == begun + 90_000_000
    # Time has caught up.
    assert later.terminate_job("j", None, anything).changed == microseconds(machine.time)


def test_a_copy_of_long_ago_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more overdue events than one call can process, time falls behind after a restore, too."""
    world, machine = on_a_machine()
    world.add_job(a_job(*(f"t{each}" for each in range(9))))
    begun = world.now()
    world.snapshot("s")
    machine.turn(3600)
    assert counts(world).succeeded == 9
    monkeypatch.setattr(timeline, "_MAX_EVENTS", {False: 3, True: 3})
    world.restore("s")
    world.add_tasks("j", [NewTask("late")])
    for _ in range(5):
        counts(world)
    row = world.task("j", "late")
    assert (row.created < begun + 90_000_000, row.started) == (True, begun + 90_000_000)


def test_a_scripted_clock_is_kept_in_the_store(tmp_path: Path) -> None:
    """A reopened store has the same time, settings and runs."""
    path = tmp_path / "jobs.db"
    world = new_world(
        a_job("a"), pools=[a_pool(1, 10)], store=path, seed=-4, settle=3, lag=LagModel(delay=2, miss=0.5)
    )
    world.advance(9)
    world._store.close()
    later = new_world(store=path)
    assert (seconds(later.now()), later.seed, later.lag) == (9, -4, LagModel(delay=2, miss=0.5))
    later.advance(1)
    assert states(later) == {"a": "succeeded"}
    later.terminate_job("j", None, anything)
    later.advance(2.9)
    assert later.job("j").state == "terminating"


def test_settings_are_changed_one_by_one() -> None:
    """A setting that is None stays unchanged."""
    world = new_world(a_job("a", pool=None), a_job("a", job_id="k", pool=None))
    world.load(seed=7)
    world.load(settle=2)
    world.load(lag=LagModel(zero_slots=True))
    assert (world.seed, world.lag) == (7, LagModel(zero_slots=True))
    assert world.terminate_job("j", None, anything).state == "terminating"
    world.load()
    assert (world.seed, world.lag) == (7, LagModel(zero_slots=True))
    world.load(settle=0, lag=LagModel())
    assert world.terminate_job("k", None, anything).state == "completed"
    assert world.reported("k") == world.counts("k")


def test_settings_hold_for_what_is_loaded_with_them() -> None:
    """The seed, settle time and lag of a scenario apply to its own jobs."""

    def ended(before: int) -> object:
        world = new_world(seed=before, settle=9)
        pools = [a_pool(1), a_pool(1, pool_id="q")]
        job = a_job("a", NewTask("late", seconds=1), terminates_when_done=True)
        world.load([job], pools, seed=7, settle=2, lag=LagModel(delay=3))
        assert (counts(world).running, reported(world).running) == (1, 0)
        world.advance(3)
        assert (reported(world).active, reported(world).running) == (1, 1)
        world.advance(8)
        assert world.job("j").state == "terminating"
        world.advance(2)
        assert world.job("j").state == "completed"
        return world.tasks("j", ("1", ()), None, 9)

    assert ended(0) == ended(5)


def test_a_snapshot_has_clock_and_settings_too() -> None:
    """Time continues from the restored one, and the outcome is the same."""
    world = new_world(a_job("a", "b", "c"), pools=[a_pool(1)], seed=3)
    world.advance(4)
    world.snapshot("s")
    world.advance(100)
    rows = world.tasks("j", ("1", ()), None, 9)
    world.load(seed=4, lag=LagModel(delay=5))
    world.restore("s")
    assert (seconds(world.now()), world.seed, world.lag) == (4, 3, LagModel())
    world.advance(100)
    assert world.tasks("j", ("1", ()), None, 9) == rows
    with pytest.raises(EmulatorError, match="no snapshot 'other'"):
        world.restore("other")


def test_time_that_cannot_be_written_does_not_pass() -> None:
    """If the store fails, the clock does not move, and advancing succeeds once the store works again."""
    world = new_world(a_job("a", *(f"t{each}" for each in range(500))), pools=[a_pool(500, 10)])
    with world._store.connection() as db:
        db.execute("CREATE TEMP TRIGGER full AFTER UPDATE ON tasks BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(EmulatorError, match="full"):
        world.advance(10)
    assert seconds(world.now()) == 0
    with world._store.connection() as db:
        db.execute("DROP TRIGGER full")
    world.advance(10)
    assert counts(world).succeeded == 500


def test_a_refused_call_does_not_stop_the_clock() -> None:
    """Due events are processed even if the call that triggers them fails."""
    world, machine = on_a_machine()
    world.add_job(a_job("a"))
    machine.turn(10)
    with pytest.raises(NoSuchJob):
        world.delete_job("other", anything)
    assert code(world.add_job, a_job()) == "JobExists"
    assert states(world) == {"a": "succeeded"}


def test_a_restore_excludes_other_changes() -> None:
    """Changes of other threads come before or after a restore, never with the clock from before."""
    world = new_world(a_job("a", pool=None))
    world.snapshot("s")
    world.advance(1000)
    store, restore, got = world._store, world._store.restore, list[bool]()

    def restoring(name: str) -> None:
        restore(name)
        # The rows are back, and the clock is not yet.
        thread = threading.Thread(target=lambda: got.append(store._lock.acquire(blocking=False)))
        thread.start()
        thread.join()

    store.restore = restoring  # type: ignore[method-assign]
    world.restore("s")
    assert got == [False]
    world.add_tasks("j", [NewTask("b")])
    assert seconds(world.task("j", "b").created) == 0
