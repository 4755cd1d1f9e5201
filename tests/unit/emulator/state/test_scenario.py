"""Scenarios: strict parsing, errors with paths, and all-or-nothing loading."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from dataclasses import replace

import pytest

from taskcounts_emulator import EmulatedAccount
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import NewJob, NewTask, TaskState
from taskcounts_emulator.state.lag import LagModel
from taskcounts_emulator.state.pool import Pool
from taskcounts_emulator.state.sampling import Distribution
from taskcounts_emulator.state.scenario import Scenario, parse_job, parse_scenario

SCENARIO = """
{"seed": 7, "settle": 1.5, "lag": {"delay": 3},
 "pools": [{"id": "render", "slots": 16, "duration": {"uniform": [2, 8]}, "failureRate": 0.05},
           {"id": "*", "slots": 0}],
 "jobs": [
  {"id": "nightly-render", "tasks": [
    {"count": 2},
    {"count": 2, "state": "running", "requiredSlots": 2},
    {"id": "t1", "state": "completed", "result": "failure"}]},
  {"id": "sched:job-12", "pool": "render", "priority": -5, "maxParallelTasks": 3, "maxTaskRetryCount": 2,
   "maxSeconds": 60, "onAllTasksComplete": "terminatejob", "manager": {"id": "task-1", "seconds": 4},
   "tasks": [{"exitCodes": [1, 0], "seconds": 2.5, "maxTaskRetryCount": -1},
             {"id": "last", "dependsOn": ["task-1", "task-2"], "state": "preparing"}]}]}
"""

READ = Scenario(
    (
        NewJob(
            "nightly-render",
            (
                NewTask("task-1"),
                NewTask("task-2"),
                NewTask("task-3", 2, TaskState.RUNNING),
                NewTask("task-4", 2, TaskState.RUNNING),
                NewTask("t1", 1, TaskState.FAILED),
            ),
        ),
        NewJob(
            "sched:job-12",
            (
                NewTask("task-2", max_retries=-1, seconds=2.5, exit_codes=(1, 0)),
                NewTask("last", 1, TaskState.PREPARING, depends_on=("task-1", "task-2")),
            ),
            "render",
            -5,
            3,
            2,
            60.0,
            uses_dependencies=True,
            terminates_when_done=True,
            manager=NewTask("task-1", seconds=4.0),
            kept='{"poolInfo": {"poolId": "render"}}',
        ),
    ),
    (Pool("render", 16, duration=Distribution("uniform", (2.0, 8.0)), failure_rate=0.05), Pool("*", 0)),
    7,
    1.5,
    LagModel(delay=3.0),
)


@pytest.mark.parametrize(
    "source",
    [SCENARIO, SCENARIO.encode(), b"\xef\xbb\xbf" + SCENARIO.encode(), OrderedDict(json.loads(SCENARIO))],
)
def test_a_scenario_is_read_from_text_bytes_and_values(source: object) -> None:
    """Text, bytes (also with a byte order mark) and values are parsed alike, with the defaults."""
    read = parse_scenario(source)
    assert replace(read, jobs=tuple(replace(job, tasks=tuple(job.tasks)) for job in read.jobs)) == READ
    # What generates the tasks can be read again.
    assert [tuple(job.tasks) for job in read.jobs] == [job.tasks for job in READ.jobs]


def test_a_scenario_says_nothing_that_it_does_not_say() -> None:
    """Absent and null settings are None."""
    assert parse_scenario({"jobs": []}) == Scenario(())
    assert parse_scenario({"jobs": [], "seed": None, "settle": None, "pools": []}) == Scenario(())
    assert parse_scenario({"jobs": [{"id": "j", "pool": None, "maxSeconds": None}]}).jobs[0].kept == "{}"


def test_tasks_without_ids_are_given_some() -> None:
    """Generated ids are numbered in order, and avoid the given ones in any case."""
    entries: tuple[dict[str, object], ...] = ({"count": 2}, {"id": "TASK-2"}, {"id": "task-3"}, {})
    job = parse_job("j", entries, manager={"id": "Task-4"})
    assert [task.id for task in job.tasks] == ["task-1", "task-5", "TASK-2", "task-3", "task-6"]


def test_dependencies_are_used_where_there_are_some() -> None:
    """A dependency of a task or manager implies usesTaskDependencies, which can also be set."""
    manager = {"id": "m", "dependsOn": ["a"]}
    assert parse_job("j", [{"id": "a"}], manager=manager).uses_dependencies
    assert parse_job("j", [{"dependsOn": ["a"]}]).uses_dependencies
    assert parse_job("j", [], usesTaskDependencies=True).uses_dependencies
    assert not parse_job("j", [{"dependsOn": []}], manager={"id": "m"}).uses_dependencies
    account = EmulatedAccount()
    account.add_job("j", [{"id": "a"}], manager=manager)
    assert account.counts("j").tasks.active == 2


def wrong_task(entry: object) -> object:
    """Return a scenario with this third task in the first job."""
    return {"jobs": [{"id": "a", "tasks": [{}, {}, entry]}]}


def wrong_job(**members: object) -> object:
    """Return a scenario with a job of these members."""
    return {"jobs": [{"id": "a", **members}]}


PLAIN = "1 to 64 letters, digits, '-' and '_'"
JOB_ID, TASK_ID, POOL_ID = (
    f"a job id ({PLAIN}; ':job-1' may follow)",
    f"a task id ({PLAIN})",
    f"a pool id ({PLAIN})",
)

POOL = {"id": "p", "slots": 1}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "not JSON: Expecting value"),
        ("{", "not JSON"),
        (b"\xff", "not JSON: 'utf-8' codec"),
        ("[" * 100_000, "not JSON: nested too deeply"),
        ('{"jobs": [], "jobs": []}', "not JSON: an object has the member 'jobs' twice"),
        ('{"jobs": NaN}', "not JSON: NaN is no number of JSON"),
        ('{"jobs": ' + "9" * 5000 + "}", "not JSON: Exceeds the limit"),
        ("[]", "scenario: must be an object, not an array"),
        (None, "scenario: must be an object, not null"),
        ({}, "scenario: it is empty; it may have jobs, pools, seed, settle, lag"),
        (
            {"pools": [{"id": "p", "slots": 1}], "jobs": [{"id": "j", "pool": "q"}]},
            "jobs[0].pool: 'q' is not among the pools of the scenario",
        ),
        ({"jobs": [], "pool": []}, "scenario: unknown member 'pool'; known are jobs, pools"),
        ({1: 2}, "scenario: unknown member 1; known are jobs"),
        ({"jobs": {}}, "jobs: must be an array, not an object"),
        ({"jobs": ["x"]}, "jobs[0]: must be an object, not 'x'"),
        ({"jobs": [{}]}, "jobs[0]: the member 'id' is missing"),
        ({"jobs": [{"id": 5}]}, f"jobs[0].id: must be {JOB_ID}, not 5"),
        ({"jobs": [{"id": 10**5000}]}, f"jobs[0].id: must be {JOB_ID}, not a number of more than 30 digits"),
        ({"jobs": [{"id": True}]}, f"jobs[0].id: must be {JOB_ID}, not true"),
        ({"jobs": [{"id": "a b"}]}, f"jobs[0].id: must be {JOB_ID}, not 'a b'"),
        ({"jobs": [{"id": "a\n"}]}, rf"jobs[0].id: must be {JOB_ID}, not 'a\n'"),
        ({"jobs": [{"id": ""}]}, f"jobs[0].id: must be {JOB_ID}, not ''"),
        ({"jobs": [{"id": "x" * 65}]}, f"jobs[0].id: must be {JOB_ID}, not 'xxxx"),
        ({"jobs": [{"id": "a:b"}]}, f"jobs[0].id: must be {JOB_ID}, not 'a:b'"),
        ({"jobs": [{"id": "é"}]}, f"jobs[0].id: must be {JOB_ID}, not 'é'"),
        ({"jobs": [{"id": "a"}, {"id": "A"}]}, "jobs[1].id: 'A' is already the id of jobs[0]"),
        ({"jobs": [{"id": "a", "tasks": {}}]}, "jobs[0].tasks: must be an array, not an object"),
        ({"jobs": [{"id": "a", "tasks": None}]}, "jobs[0].tasks: must be an array, not null"),
        (wrong_task(5), "jobs[0].tasks[2]: must be an object, not 5"),
        (wrong_task({"slots": 1}), "jobs[0].tasks[2]: unknown member 'slots'; known are count, id"),
        (wrong_task({"count": 0}), "jobs[0].tasks[2].count: must be from 1 to 1000000, not 0"),
        (wrong_task({"count": 1.0}), "jobs[0].tasks[2].count: must be a whole number, not 1.0"),
        (wrong_task({"count": True}), "jobs[0].tasks[2].count: must be a whole number, not true"),
        (wrong_task({"count": 1000000}), "jobs[0].tasks[2].count: a job can have up to 1000000 tasks"),
        (wrong_task({"state": "done"}), "jobs[0].tasks[2].state: must be one of active, preparing, running"),
        (wrong_task({"state": ["active"]}), "jobs[0].tasks[2].state: must be one of"),
        (
            wrong_task({"requiredSlots": 257}),
            "jobs[0].tasks[2].requiredSlots: must be from 1 to 256, not 257",
        ),
        (wrong_task({"state": "completed"}), "jobs[0].tasks[2].result: a completed task needs a result"),
        (
            wrong_task({"state": "completed", "result": None}),
            "jobs[0].tasks[2].result: must be one of success",
        ),
        (wrong_task({"result": "success"}), "jobs[0].tasks[2].result: only a completed task has a result"),
        (wrong_task({"id": "a:b"}), f"jobs[0].tasks[2].id: must be {TASK_ID}, not 'a:b'"),
        (wrong_task({"id": None}), f"jobs[0].tasks[2].id: must be {TASK_ID}, not null"),
        (wrong_task({"id": "x", "count": 2}), "jobs[0].tasks[2].id: 2 tasks cannot share an id"),
        (wrong_task({"seconds": -1}), "jobs[0].tasks[2].seconds: must be from 0 to"),
        (wrong_task({"seconds": "1"}), "jobs[0].tasks[2].seconds: must be a number, not '1'"),
        (wrong_task({"exitCodes": 1}), "jobs[0].tasks[2].exitCodes: must be an array, not 1"),
        (wrong_task({"exitCodes": [0, 2**31]}), "jobs[0].tasks[2].exitCodes[1]: must be from -2147483648"),
        (wrong_task({"maxTaskRetryCount": -2}), "jobs[0].tasks[2].maxTaskRetryCount: must be from -1 to"),
        (
            wrong_task({"dependsOn": ["a", "b c"]}),
            f"jobs[0].tasks[2].dependsOn[1]: must be {TASK_ID}, not 'b c'",
        ),
        (wrong_task({"dependsOn": "a"}), "jobs[0].tasks[2].dependsOn: must be an array, not 'a'"),
        (wrong_job(pool="a b"), f"jobs[0].pool: must be {POOL_ID}, not 'a b'"),
        (wrong_job(pool="*"), f"jobs[0].pool: must be {POOL_ID}, not '*'"),
        (wrong_job(pool=5), f"jobs[0].pool: must be {POOL_ID}, not 5"),
        (wrong_job(priority=1001), "jobs[0].priority: must be from -1000 to 1000, not 1001"),
        (wrong_job(maxParallelTasks=-2), "jobs[0].maxParallelTasks: must be from -1 to"),
        (wrong_job(maxTaskRetryCount=None), "jobs[0].maxTaskRetryCount: must be a whole number, not null"),
        (wrong_job(maxSeconds=-1), "jobs[0].maxSeconds: must be from 0 to"),
        (wrong_job(usesTaskDependencies=1), "jobs[0].usesTaskDependencies: must be true or false, not 1"),
        (wrong_job(onAllTasksComplete="end"), "jobs[0].onAllTasksComplete: must be one of noaction, termin"),
        (wrong_job(manager={}), "jobs[0].manager.id: a manager needs an id that no other task has"),
        (wrong_job(manager={"id": "T"}, tasks=[{"id": "t"}]), "jobs[0].manager.id: a manager needs an id"),
        (wrong_job(manager={"count": 0}), "jobs[0].manager.count: must be from 1 to"),
        (wrong_job(manager=None), "jobs[0].manager: must be an object, not null"),
        ({"jobs": [], "pools": {}}, "pools: must be an array, not an object"),
        ({"jobs": [], "pools": [POOL, {"id": "q"}]}, "pools[1]: the member 'slots' is missing"),
        ({"jobs": [], "pools": [POOL, {"id": "P", "slots": 2}]}, "pools[1].id: 'P' is already described"),
        ({"jobs": [], "seed": 1.5}, "seed: must be a whole number, not 1.5"),
        ({"jobs": [], "seed": 2**63}, "seed: must be from -9223372036854775808 to"),
        ({"jobs": [], "settle": -1}, "settle: must be from 0 to"),
        ({"jobs": [], "lag": {"miss": 2}}, "lag.miss: must be from 0 to 1, not 2"),
        ({"jobs": [], "lag": None}, "lag: must be an object, not null"),
        (
            {"jobs": [{"id": "a", "tasks": [{"id": "T"}, {"id": "t"}]}]},
            "jobs[0].tasks[1].id: 't' is already the id of jobs[0].tasks[0]",
        ),
    ],
)
def test_a_bad_scenario_is_refused_with_its_place_and_changes_nothing(source: object, message: str) -> None:
    """The error is one line that begins with the path, and no job is added."""
    service = EmulatedAccount()
    with pytest.raises(EmulatorError) as caught:
        service.load(source)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert service.all_counts() == {}


def test_a_job_that_exists_keeps_a_whole_scenario_out() -> None:
    """An existing job makes the whole scenario fail."""
    service = EmulatedAccount()
    assert service.load({"jobs": [{"id": "b"}]}) == ["b"]
    with pytest.raises(EmulatorError, match="there is a job 'B' already"):
        service.load({"jobs": [{"id": "a"}, {"id": "B"}]})
    assert list(service.all_counts()) == ["b"]


def test_a_job_from_python_is_checked_like_one_from_a_scenario() -> None:
    """Errors of add_job name its own arguments; options are spelled as in a scenario."""
    account = EmulatedAccount()
    with pytest.raises(EmulatorError, match=r"^job_id: must be a job id .*, not ''$"):
        account.add_job("")
    with pytest.raises(EmulatorError, match=r"^tasks\[0\]\.count: must be"):
        account.add_job("a", [{"count": "5"}])
    with pytest.raises(EmulatorError, match=r"^priority: must be from -1000"):
        account.add_job("a", priority=9999)
    with pytest.raises(EmulatorError, match=r"^job: unknown member 'max_parallel'"):
        account.add_job("a", max_parallel=1)
    account.add_job("a", iter([{"count": 5}]), pool="p", maxParallelTasks=2)
    assert account.counts("A").tasks.active == 5
    assert account.world.job("a").max_parallel == 2


def test_a_scenario_is_bounded_as_a_whole() -> None:
    """A short scenario cannot add more tasks than the limit, in one job or several."""
    jobs = [{"id": f"job-{number}", "tasks": [{"count": 600_000}]} for number in range(2)]
    with pytest.raises(EmulatorError, match=r"^jobs\[1\]\.tasks: a scenario can have up to 1000000 tasks"):
        parse_scenario({"jobs": jobs})


def test_a_member_that_stands_twice_is_found_at_once() -> None:
    """The time to find it is linear in the length of the text."""
    text = "{" + ",".join(f'"{number}":0' for number in range(50_000)) + ',"49999":0}'
    started = time.monotonic()
    with pytest.raises(EmulatorError, match="twice"):
        parse_scenario(text)
    assert time.monotonic() - started < 2
