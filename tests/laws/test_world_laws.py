"""The law of the world: every operation has the same result as in a model without a database."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.world_model import BUSY, ENDED, ModelJob, ModelRefusal, ModelTask, ModelWorld
from support.world_strategies import collections, delayed, jobs, lags, new_task, pauses, which
from support.worlds import a_pool, anything, code, new_world, not_negative, scan, seconds, used
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import ALL_ROWS, JobCounts, NewJob, NewTask, TaskRow, TaskState
from taskcounts_emulator.state.lag import LagModel
from taskcounts_emulator.state.sampling import Distribution
from taskcounts_emulator.state.world import World

POOLS = {"p": (3, 0), "q": (2, 2)}


def paged(world: World, job_id: str, size: int) -> list[TaskRow]:
    """Return all tasks of a job, page by page."""
    found: list[TaskRow] = []
    while page := world.tasks(job_id, ALL_ROWS, found[-1].id if found else None, size):
        found += page
    return found


class Worlds(RuleBasedStateMachine):
    """The emulated world and the model, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.world = new_world()
        self.model = ModelWorld({}, 0)
        self.kept: ModelWorld | None = None
        self.lag = LagModel()

    @initialize(
        settle=st.sampled_from([0, 0, 2]),
        lag=st.just(LagModel()) | delayed | lags,
        first=jobs,
    )
    def begin(self, settle: int, lag: LagModel, first: dict[str, Any]) -> None:
        self.lag = lag
        self.model = ModelWorld(dict(POOLS), settle)
        pools = [
            a_pool(slots, pool_id=pool_id, preparing=Distribution("constant", (float(preparing),)))
            for pool_id, (slots, preparing) in POOLS.items()
        ]
        self.world.load([], pools, settle=settle, lag=lag)
        self.add_job(first)

    def some_job(self, which: int) -> str:
        """Return the id of one of the jobs, or of none."""
        known = sorted(self.model.jobs)
        return known[which % len(known)] if known and which < 15 else "D"

    def some_task(self, job_id: str, which: int) -> str:
        """Return the id of one of a job's tasks, or of none."""
        known = sorted(self.model.jobs[job_id].tasks) if job_id in self.model.jobs else []
        return known[which % len(known)].upper() if known and which < 15 else "none"

    def both(self, real: Callable[[], object], modelled: Callable[[], object]) -> None:
        """Do the same in both worlds, and check that both allow or refuse it."""
        self.model.advance(0)

        def followed() -> None:
            modelled()
            self.model.follow()

        assert code(real) == code(followed)

    def new_task(self, task: NewTask) -> ModelTask:
        waits = {each.lower() for each in task.depends_on}
        time = int(task.seconds or 0)
        now = self.model.now
        number = self.model.number()
        return ModelTask(task.id, number, task.slots, time, task.exit_codes, waits, now, task.state)

    @rule(job=jobs)
    def add_job(self, job: dict[str, Any]) -> None:
        options = dict(job)
        job_id: str = options.pop("job_id")
        tasks: list[NewTask] = options.pop("tasks")
        ends: bool = options.pop("ends")
        new = NewJob(job_id, tasks, uses_dependencies=True, terminates_when_done=ends, **options)

        def modelled() -> None:
            if old := self.model.jobs.get(job_id.lower()):
                raise ModelRefusal("JobBeingDeleted" if old.state == "deleting" else "JobExists")
            told, now = dict(options), self.model.now
            limit = told.pop("max_seconds")
            expires = None if limit is None else now + limit
            job = ModelJob(
                job_id,
                self.model.number(),
                created=now,
                changed=now,
                expires=expires,
                ends_when_done=ends,
                **told,
            )
            self.model.jobs[job_id.lower()] = job
            for task in tasks:
                assert self.model.add(job, self.new_task(task))

        self.both(lambda: self.world.add_job(new), modelled)

    @rule(one=which, tasks=collections, pause=pauses)
    def add_tasks(self, one: int, tasks: list[NewTask], pause: int) -> None:
        self.advance(pause)
        job_id = self.some_job(one)
        results: list[bool] = []
        # Only what comes with its job may be in the middle of a run.
        tasks = [task._replace(state=TaskState.ACTIVE) if task.state in BUSY else task for task in tasks]

        def real() -> None:
            results.extend(isinstance(each, TaskRow) for each in self.world.add_tasks(job_id, tasks))

        def modelled() -> None:
            job = self.model.job(job_id, *ENDED)
            assert [self.model.add(job, self.new_task(task)) for task in tasks] == results

        self.both(real, modelled)

    @rule(time=st.integers(1, 9))
    def advance(self, time: int) -> None:
        self.world.advance(time)
        self.model.advance(time)
        self.they_agree()

    # Rules are drawn alike, and most of what is of interest needs time.
    @rule(first=st.integers(1, 3), second=st.integers(1, 3), third=st.integers(1, 20))
    def advance_more(self, first: int, second: int, third: int) -> None:
        for time in (first, second, third):
            self.advance(time)

    @rule(times=st.lists(st.just(1), min_size=1, max_size=12))
    def advance_by_seconds(self, times: list[int]) -> None:
        for time in times:
            self.advance(time)

    @rule(one=which, start=st.integers(0, 2), succeed=st.integers(0, 2), fail=st.integers(0, 1))
    def step(self, one: int, start: int, succeed: int, fail: int) -> None:
        job_id = self.some_job(one)
        self.model.advance(0)
        before = copy.deepcopy(self.model)
        try:
            self.world.step(job_id, start=start, succeed=succeed, fail=fail)
            went = True
        except EmulatorError:
            went = False
        assert went == self._model_step(job_id, start, succeed, fail)
        if went:
            self.model.follow()
        else:
            self.model = before

    def _model_step(self, job_id: str, start: int, succeed: int, fail: int) -> bool:
        job = self.model.jobs.get(job_id.lower())
        if job is None or (start and job.state != "active"):
            return False
        waiting = job.having(TaskState.ACTIVE)[:start]
        for task in waiting:
            self.model.start(task, None)
        busy = sorted(job.having(*BUSY), key=lambda task: -task.state)[: succeed + fail]
        for place, task in enumerate(busy):
            self.model.end(job, task, int(place >= succeed))
        return len(waiting) == start and len(busy) == succeed + fail

    @precondition(lambda self: len(self.model.jobs) > 1)
    @rule(one=which)
    def terminate_job(self, one: int) -> None:
        job_id = self.some_job(one)
        self.both(
            lambda: self.world.terminate_job(job_id, None, anything),
            lambda: self.model.terminate(self.model.job(job_id, *ENDED), "UserTerminate"),
        )

    @rule(one=which, tasks=st.sampled_from(["requeue", "terminate", "wait"]), pause=pauses)
    def disable_job(self, one: int, tasks: str, pause: int) -> None:
        self.advance(pause)
        job_id = self.some_job(one)
        self.both(
            lambda: self.world.disable_job(job_id, tasks, anything),
            lambda: self.model.disable(self.model.job(job_id, *ENDED), tasks),
        )

    @rule(one=which, pause=pauses)
    def enable_job(self, one: int, pause: int) -> None:
        self.advance(pause)
        job_id = self.some_job(one)
        self.both(
            lambda: self.world.enable_job(job_id, anything),
            lambda: self.model.enable(self.model.job(job_id, *ENDED)),
        )

    @precondition(lambda self: len(self.model.jobs) > 1)
    @rule(one=which)
    def delete_job(self, one: int) -> None:
        job_id = self.some_job(one)
        self.both(
            lambda: self.world.delete_job(job_id, anything),
            lambda: self.model.delete(self.model.job(job_id)),
        )

    @rule(
        one=which,
        changes=st.fixed_dictionaries(
            {},
            optional={
                "priority": st.integers(-1, 1),
                "max_parallel": st.sampled_from([-1, 0, 1, 2]),
                "max_seconds": st.sampled_from([None, None, None, 3, 30]),
            },
        ),
    )
    def change_job(self, one: int, changes: dict[str, Any]) -> None:
        job_id = self.some_job(one)

        def modelled() -> None:
            job = self.model.job(job_id, *ENDED)
            told = dict(changes)
            if "max_seconds" in told:
                limit = told.pop("max_seconds")
                job.expires = None if limit is None else max(job.created + limit, self.model.now)
            vars(job).update(told)

        self.both(lambda: self.world.change_job(job_id, changes, anything), modelled)

    @rule(one=which, task=which)
    def terminate_task(self, one: int, task: int) -> None:
        job_id = self.some_job(one)
        task_id = self.some_task(job_id, task)

        def modelled() -> None:
            job, found = self.model.task(job_id, task_id)
            if found.state >= TaskState.SUCCEEDED:
                raise ModelRefusal("TaskCompleted")
            self.model.end(job, found, None)

        self.both(lambda: self.world.terminate_task(job_id, task_id, anything), modelled)

    @rule(one=which, task=which, pause=pauses)
    def reactivate_task(self, one: int, task: int, pause: int) -> None:
        self.advance(pause)
        job_id = self.some_job(one)
        task_id = self.some_task(job_id, task)

        def modelled() -> None:
            _, found = self.model.task(job_id, task_id, *ENDED)
            if found.state != TaskState.FAILED:
                raise ModelRefusal(
                    "TaskSucceeded" if found.state == TaskState.SUCCEEDED else "TaskNotCompleted"
                )
            self.model.move(found, TaskState.ACTIVE)
            found.retries, found.ended, found.exit_code = 0, None, None

        self.both(lambda: self.world.reactivate_task(job_id, task_id, anything), modelled)

    @rule(one=which, task=which)
    def delete_task(self, one: int, task: int) -> None:
        job_id = self.some_job(one)
        task_id = self.some_task(job_id, task)

        def modelled() -> None:
            job, found = self.model.task(job_id, task_id)
            del job.tasks[found.id.lower()]

        self.both(lambda: self.world.delete_task(job_id, task_id, anything), modelled)

    @rule(pool=st.sampled_from(sorted(POOLS)), slots=st.integers(0, 4))
    def change_pool(self, pool: str, slots: int) -> None:
        preparing = self.model.pools[pool][1]
        model = a_pool(slots, pool_id=pool, preparing=Distribution("constant", (float(preparing),)))

        def modelled() -> None:
            self.model.pools[pool] = (slots, preparing)

        self.both(lambda: self.world.load([], [model]), modelled)

    @rule()
    def snapshot(self) -> None:
        self.world.snapshot("s")
        self.kept = copy.deepcopy(self.model)

    @precondition(lambda self: self.kept is not None)
    @rule()
    def restore(self) -> None:
        self.world.restore("s")
        self.model = copy.deepcopy(self.kept) or self.model

    @invariant()
    def they_agree(self) -> None:
        """Jobs, tasks, counts and used slots equal the model's; the tallies equal a scan."""
        self.model.advance(0)
        found = self.world.jobs(ALL_ROWS, None, 100)
        assert [
            (row.id, row.state, seconds(row.changed), seconds(row.ended), row.terminate_reason)
            for row in found
        ] == [
            (job.id, job.state, job.changed, job.ended, job.reason)
            for _, job in sorted(self.model.jobs.items())
        ]
        for job in self.model.jobs.values():
            assert self.world.counts(job.id) == job.counts()
            rows = [
                (
                    row.id, row.state, row.slots, row.exit_code, row.retries, row.requeues,
                    seconds(row.changed), seconds(row.started), seconds(row.ended),
                )
                for row in paged(self.world, job.id, 3)
            ]  # fmt: skip
            assert rows == [
                (
                    task.id, task.state, task.slots, task.exit_code, task.retries, task.requeues,
                    task.changed, task.started, task.ended,
                )
                for _, task in sorted(job.tasks.items())
            ]  # fmt: skip
            self.reports_make_sense(job)
        assert used(self.world) == {pool: self.model.used(pool) for pool in self.model.pools}
        scan(self.world)

    def reports_make_sense(self, job: ModelJob) -> None:
        """Reported counts are the true ones, earlier true ones, or at least possible."""
        if job.state == "deleting":
            assert code(self.world.reported, job.id) == "JobBeingDeleted"
            return
        reported = self.world.reported(job.id)
        if self.lag == LagModel():
            assert reported == job.counts()
        elif self.lag == LagModel(delay=self.lag.delay):
            until = self.model.now - self.lag.delay
            before = [counts for at, counts in self.model.history[job.number] if at <= until]
            assert reported == (before[-1] if before else JobCounts())
        assert not_negative(reported)

    def teardown(self) -> None:
        """Once nothing changes, reports become true again: after the next pass and the delay."""
        self.world.advance(10_000)
        self.world.advance((self.lag.validation or 0) + self.lag.delay)
        for job in self.world.jobs(("state <> 'deleting'", ()), None, 100):
            truth = self.world.counts(job.id)
            assert self.world.reported(job.id) == (JobCounts(truth.tasks) if self.lag.zero_slots else truth)
            assert truth.tasks.running == 0 or any(
                row.state in BUSY for row in paged(self.world, job.id, 100)
            )


TestWorlds = Worlds.TestCase
TestWorlds.settings = settings(stateful_step_count=40)


def test_a_history_in_which_a_task_is_reactivated_often() -> None:
    """Found by Hypothesis: from its sixth run on, a task of one second took longer."""
    tasks = [new_task(id="1", seconds=1, exit_codes=(0,)), new_task(id="2", seconds=1, exit_codes=(2,))]
    job = {"job_id": "a", "tasks": tasks, "pool": "p", "max_retries": 0, "max_seconds": None, "ends": False}
    worlds = Worlds()
    worlds.begin(settle=0, lag=LagModel(), first=job)
    for _ in range(12):
        worlds.advance(1)
        worlds.reactivate_task(one=0, task=1, pause=0)
    worlds.teardown()
