"""Jobs and tasks of the world: queries, additions, steps and changes, each atomic."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

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
    used,
)
from taskcounts_emulator.errors import EmulatorError, NoSuchJob, NoSuchTask
from taskcounts_emulator.model import ALL_ROWS, Counts, JobCounts, NewJob, NewTask, SqlCondition, TaskState
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.state.world import World

JOB = NewJob(
    "Nightly",
    (
        NewTask("a1"),
        NewTask("a2"),
        NewTask("a3"),
        NewTask("p1", 4, TaskState.PREPARING),
        NewTask("r1", state=TaskState.RUNNING),
        NewTask("r2", state=TaskState.RUNNING),
        NewTask("s1", 2, TaskState.SUCCEEDED),
        NewTask("f1", 3, TaskState.FAILED),
    ),
)


def refuse(_: object) -> None:
    """Refuse any resource."""
    raise Refusal("ConditionNotMet")


def test_counts_are_those_of_the_tasks() -> None:
    """Preparing counts as running, completed is split by result, and slots are summed."""
    world = new_world(JOB)
    assert world.counts("Nightly") == JobCounts(Counts(3, 3, 1, 1), Counts(3, 6, 2, 3))
    assert world.reported("Nightly") == world.counts("Nightly")
    assert Counts(3, 3, 1, 1).completed == 2


@pytest.mark.parametrize("job_id", ["nightly", "NIGHTLY", "Nightly"])
def test_job_ids_ignore_case_and_keep_their_spelling(job_id: str) -> None:
    """Ids ignore case and keep their first spelling."""
    world = new_world(JOB)
    assert world.counts(job_id).tasks.active == 3
    assert world.task(job_id, "A1").id == "a1"
    assert code(world.add_job, NewJob(job_id)) == "JobExists"
    with pytest.raises(EmulatorError, match=f"^there is a job '{job_id}' already$"):
        world.load([NewJob(job_id)])
    assert list(world.all_counts()) == ["Nightly"]


@pytest.mark.parametrize("job_id", ["other", "", "nightly ", "\0", "\ud800", "nıghtly"])
def test_an_unknown_job_is_an_error(job_id: str) -> None:
    """Every operation on an unknown job is NoSuchJob, whatever its id."""
    world = new_world(JOB)
    for use in (world.counts, world.reported, world.step, world.job):
        with pytest.raises(NoSuchJob):
            use(job_id)
    for change in (world.delete_job, world.enable_job):
        with pytest.raises(NoSuchJob):
            change(job_id, anything)
    with pytest.raises(NoSuchJob):
        world.add_tasks(job_id, [NewTask("a")])
    with pytest.raises(NoSuchJob):
        world.tasks(job_id, ALL_ROWS, None, 1)


@pytest.mark.parametrize("task_id", ["other", "", "a1 ", "\0", "\ud800", "x" * 65])
def test_an_unknown_task_is_an_error(task_id: str) -> None:
    """Every operation on an unknown task is NoSuchTask, after the check of its job."""
    world = new_world(JOB)
    with pytest.raises(NoSuchTask, match="there is no task"):
        world.task("nightly", task_id)
    for change in (world.delete_task, world.terminate_task, world.reactivate_task):
        with pytest.raises(NoSuchTask):
            change("nightly", task_id, anything)
        with pytest.raises(NoSuchJob):
            change("other", task_id, anything)


def test_jobs_are_loaded_all_or_none() -> None:
    """An existing job prevents the jobs before it, and the pools and settings, too."""
    world = new_world(JOB)
    with pytest.raises(EmulatorError):
        world.load([a_job("a", job_id="new"), NewJob("nightly")], [a_pool()], seed=5)
    assert world.all_counts() == {"Nightly": JobCounts(Counts(3, 3, 1, 1), Counts(3, 6, 2, 3))}
    assert used(world) == {}
    assert world.seed == 0


def test_a_job_is_added_with_its_tasks_or_not_at_all() -> None:
    """A job with two tasks of one id, or with a dependency that it does not allow, is not added."""
    world = new_world()
    twice = a_job("a", "A")
    lonely = a_job("a", NewTask("b", depends_on=("a",)))
    assert code(world.add_job, twice) == code(world.load, [twice]) == "TaskExists"
    assert code(world.add_job, lonely) == code(world.load, [lonely]) == "UnsupportedProperty"
    assert world.all_counts() == {}


def test_jobs_are_listed_in_the_order_added() -> None:
    """A job without tasks is included, with zeros."""
    world = new_world(JOB)
    world.load([NewJob("b"), a_job("a", job_id="a")])
    assert list(world.all_counts()) == ["Nightly", "b", "a"]
    assert world.counts("b") == world.all_counts()["b"] == JobCounts()


@pytest.mark.parametrize("size", [1, 2, 100])
def test_lists_are_paged_through_by_id(size: int) -> None:
    """Pages of any size contain every item once, in the order of ids without case."""
    ids = ["10", "9", "a", "B", "b-1", "C", "_"]
    world = new_world(a_job(*ids), a_job("other", job_id="k"), *(NewJob(each) for each in ids if each != "a"))

    def paged(fetch: str, *first: object) -> list[str]:
        found: list[str] = []
        while page := getattr(world, fetch)(*first, ALL_ROWS, found[-1] if found else None, size):
            assert len(page) <= size
            found += [row.id for row in page]
        return found

    assert paged("tasks", "J") == sorted(ids, key=str.lower)
    assert paged("jobs") == sorted([*(each for each in ids if each != "a"), "j", "k"], key=str.lower)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (("state IN (1, 2)", ()), ["p1", "r1", "r2"]),
        (("slots > ? AND state >= ?", (1, 3)), ["f1", "s1"]),
        (("state = 4 OR state = 0 OR id = ?", ("S1",)), ["a1", "a2", "a3", "f1", "s1"]),
        (("exit_code = 1", ()), ["f1"]),
    ],
)
def test_lists_take_conditions(where: SqlCondition, found: list[str]) -> None:
    """A condition applies to the job's own tasks, also if it is a disjunction."""
    world = new_world(JOB, a_job("z1", NewTask("z2", state=TaskState.FAILED), job_id="other"))
    assert [row.id for row in world.tasks("nightly", where, None, 10)] == found
    assert [row.id for row in world.jobs(("state = 'x' OR id = 'OTHER' OR id = 'a'", ()), "f", 10)] == [
        "other"
    ]


def test_steps_move_the_oldest_tasks() -> None:
    """Tasks start in their order; running ones complete before preparing ones."""
    world = new_world(JOB)
    world.step("nightly", start=2, succeed=1, fail=1)
    assert running(world, "nightly") == ["p1", "r1", "r2"]
    assert world.counts("nightly") == JobCounts(Counts(1, 3, 2, 2), Counts(1, 6, 3, 4))
    world.step("nightly", start=1, succeed=4)
    assert world.counts("nightly") == JobCounts(Counts(0, 0, 6, 2), Counts(0, 0, 10, 4))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"start": 4}, "job 'nightly': 4 tasks are to start, and 3 are active"),
        ({"start": 1, "succeed": 5}, "job 'nightly': 5 tasks are to succeed, and 4 are running"),
        ({"succeed": 2, "fail": 2}, "job 'nightly': 2 tasks are to fail, and 1 are running"),
    ],
)
def test_a_step_too_far_changes_nothing(step: dict[str, int], message: str) -> None:
    """A step is atomic."""
    world = new_world(JOB)
    before = world.tasks("nightly", ALL_ROWS, None, 100)
    with pytest.raises(EmulatorError) as caught:
        world.step("nightly", **step)
    assert str(caught.value).lower() == message
    assert world.tasks("nightly", ALL_ROWS, None, 100) == before


def test_only_active_jobs_start_tasks() -> None:
    """A step starts no task of an inactive job; running ones can be completed."""
    world = new_world(JOB, settle=5)
    world.disable_job("nightly", "wait", lambda _: None)
    world.step("nightly", succeed=1)
    with pytest.raises(
        EmulatorError, match="job 'nightly' is disabling, and only an active job starts tasks"
    ):
        world.step("nightly", start=1)


def test_a_step_that_ends_the_job_ends_no_task_twice() -> None:
    """If the first task to succeed is the job manager, its end stops the others."""
    world = new_world(a_job("a", "b", manager=NewTask("m"), pool=None))
    world.step("j", start=3)
    world.step("j", succeed=3)
    assert states(world) == {"m": "succeeded", "a": "failed", "b": "failed"}
    assert world.task("j", "a").failure == "TaskEnded"


def test_clearing_leaves_nothing() -> None:
    """After clear there are no jobs, and settings and the clock start again."""
    world = new_world(JOB, pools=[a_pool()], seed=4, settle=3)
    world.advance(60)
    world.clear()
    assert (world.all_counts(), world.pools(), world.seed, seconds(world.now())) == ({}, [], 0, 0)
    world.load([JOB])
    assert code(world.delete_job, "nightly", anything) is None
    assert world.all_counts() == {}


def test_threads_lose_no_change() -> None:
    """Steps from many threads add up, and every count in between is consistent."""
    world = new_world(a_job(*named(200), pool=None))

    def work(_: int) -> int:
        world.step("j", start=1, succeed=1)
        tasks = counts(world)
        return tasks.active + tasks.running + tasks.completed

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(work, range(200))) == {200}
    finally:
        sys.setswitchinterval(interval)
    assert counts(world) == Counts(succeeded=200)


def test_a_large_job_is_added_and_counted() -> None:
    """Tens of thousands of tasks work."""
    world = new_world(NewJob("big", (NewTask(name, 256) for name in named(40_000))))
    assert world.counts("big").slots.active == 40_000 * 256


def test_each_task_of_a_collection_has_its_own_result() -> None:
    """Refused tasks are reported in their places, and the others are added."""
    world = new_world(a_job("a", pool=None))
    results = world.add_tasks(
        "J", [NewTask("c"), NewTask("A"), NewTask("b", 3), NewTask("C"), NewTask("d", depends_on=("a",))]
    )
    told = [each.code if isinstance(each, Refusal) else each.id for each in results]
    assert told == ["c", "TaskExists", "b", "TaskExists", "UnsupportedProperty"]
    assert results[2] == world.task("j", "b")
    assert list(states(world)) == ["a", "b", "c"]
    scan(world)


@pytest.mark.parametrize("state", list(TaskState))
def test_a_task_that_was_added_is_shown_as_it_is(state: TaskState) -> None:
    """The returned row equals the stored one, in any initial state."""
    world = new_world(a_job(pool=None))
    world.advance(1.5)
    (added,) = world.add_tasks("j", [NewTask("t", 2, state, kept='{"x": 1}')])
    row = world.task("j", "t")
    assert row == added
    assert (row.slots, row.kept, seconds(row.created), seconds(row.changed)) == (2, '{"x": 1}', 1.5, 1.5)
    assert (row.started is None, row.ended is None) == (state == 0, state < 3)
    assert (row.exit_code, row.failure) == {3: (0, None), 4: (1, "FailureExitCode")}.get(state, (None, None))


@pytest.mark.parametrize(
    ("state", "spelled"),
    [
        (TaskState.ACTIVE, "active"),
        (TaskState.PREPARING, "preparing"),
        (TaskState.RUNNING, "running"),
        (TaskState.SUCCEEDED, "completed"),
        (TaskState.FAILED, "completed"),
    ],
)
def test_states_are_spelled_in_the_services_words(state: TaskState, spelled: str) -> None:
    """The service has one state for successes and failures."""
    assert state.spelled == spelled


@pytest.mark.parametrize(
    ("task_id", "refused"),
    [
        ("a1", {"reactivate": "TaskNotCompleted"}),
        ("p1", {"reactivate": "TaskNotCompleted"}),
        ("r1", {"reactivate": "TaskNotCompleted"}),
        ("s1", {"reactivate": "TaskSucceeded", "terminate": "TaskCompleted"}),
        ("f1", {"terminate": "TaskCompleted"}),
    ],
)
def test_a_tasks_state_decides_what_can_be_done(task_id: str, refused: dict[str, str]) -> None:
    """Unfinished tasks can be terminated, failed ones reactivated, and all deleted."""
    for verb in ("terminate", "reactivate", "delete"):
        world = new_world(JOB)
        before = states(world, "nightly")
        assert code(getattr(world, f"{verb}_task"), "nightly", task_id, anything) == refused.get(verb)
        after = {} if verb == "delete" else {task_id: "failed" if verb == "terminate" else "active"}
        expected = before if verb in refused else {**before, **after}
        if verb == "delete":
            del expected[task_id]
        assert states(world, "nightly") == expected
        scan(world)


def test_a_reactivated_task_begins_again() -> None:
    """Reactivation clears the end and the retries, and keeps the history."""
    world = new_world(a_job(NewTask("t", exit_codes=(1,), max_retries=1)), pools=[a_pool(seconds=10)])
    world.advance(20)
    ended = world.task("j", "t")
    assert (ended.exit_code, ended.retries, seconds(ended.ended)) == (1, 1, 20)
    world.change_job("j", {"kept": "{}"}, anything)
    world.disable_job("j", "wait", anything)
    world.advance(5)
    row = world.reactivate_task("j", "T", anything)
    assert (row.state, row.exit_code, row.failure, row.ended) == (TaskState.ACTIVE, None, None, None)
    assert (row.retries, row.last_retry, row.previous) == (0, None, TaskState.FAILED)
    assert seconds(row.changed) == 25
    world.enable_job("j", anything)
    world.advance(100)
    assert (world.task("j", "t").retries, seconds(world.task("j", "t").ended)) == (1, 45)


def test_a_terminated_task_has_failed_without_an_exit_code() -> None:
    """Its failure says that it was ended by a user."""
    world = new_world(JOB)
    row = world.terminate_task("nightly", "r1", anything)
    assert (row.state, row.exit_code, row.failure) == (TaskState.FAILED, None, "TaskEnded")
    assert row.ended == row.changed == world.now()


def test_a_check_sees_the_row_and_can_say_no() -> None:
    """It gets the row before any other check, and can prevent the change."""
    world = new_world(JOB, settle=5)
    before = (world.job("nightly"), world.tasks("nightly", ALL_ROWS, None, 100))
    seen: list[object] = []
    for verb, more in (
        ("change", ({"priority": 5},)),
        ("delete", ()),
        ("terminate", (None,)),
        ("disable", ("wait",)),
        ("enable", ()),
    ):
        assert code(getattr(world, f"{verb}_job"), "nightly", *more, refuse) == "ConditionNotMet"
    for verb in ("delete", "terminate", "reactivate"):
        assert code(getattr(world, f"{verb}_task"), "nightly", "s1", refuse) == "ConditionNotMet"
    assert (world.job("nightly"), world.tasks("nightly", ALL_ROWS, None, 100)) == before
    world.change_job("nightly", {"priority": 5}, seen.append)
    world.terminate_task("nightly", "a1", seen.append)
    assert [type(each).__name__ for each in seen] == ["JobRow", "TaskRow"]
    assert seen[0] == before[0]


def test_every_change_makes_a_new_etag() -> None:
    """``modified`` grows with each change, even if the clock stands still."""
    world = new_world(JOB, a_job("x", job_id="k", pool=None))
    moments = [world.job("nightly").modified]

    def changed(changes: Mapping[str, object]) -> None:
        moments.append(world.change_job("nightly", changes, anything).modified)

    changed({"priority": 1})
    changed({})
    moments.append(world.disable_job("nightly", "wait", anything).modified)
    world.step("nightly", succeed=3)
    moments.append(world.job("nightly").modified)
    moments.append(world.enable_job("nightly", anything).modified)
    moments.append(world.terminate_job("nightly", None, anything).modified)
    assert moments == sorted(set(moments))
    first = world.task("k", "x").modified
    world.step("k", start=1)
    second = world.task("k", "x").modified
    third = world.terminate_task("k", "x", anything).modified
    assert first < second < third < world.reactivate_task("k", "x", anything).modified


def test_a_jobs_constraints_can_be_changed() -> None:
    """A change is shown, and the rest stays; a column that callers cannot change is a programming error."""
    world: World = new_world(a_job("a"))
    row = world.change_job(
        "j", {"priority": 7, "max_parallel": 2, "max_retries": 3, "max_seconds": 9.0, "kept": "[]"}, anything
    )
    assert (row.priority, row.max_parallel, row.max_retries, row.max_seconds) == (7, 2, 3, 9.0)
    assert (row.kept, row.pool, row.state) == ("[]", "p", "active")
    assert world.job("j") == row
    with pytest.raises(ValueError, match=r"not changeable: \{'state'\}"):
        world.change_job("j", {"state": "completed"}, anything)
