"""Scenarios: strict parsing, errors with paths, and all-or-nothing loading."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from dataclasses import replace

import pytest

from support.tables import table
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


def test_absent_settings_of_a_scenario_are_none() -> None:
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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        *table("emulator/scenarios", "wrong scenarios"),
        (b"\xff", "not JSON: 'utf-8' codec"),
        ("[" * 100_000, "not JSON: nested too deeply"),
        ('{"jobs": ' + "9" * 5000 + "}", "not JSON: Exceeds the limit"),
        ({1: 2}, "scenario: unknown member 1; known are jobs"),
        (
            {"jobs": [{"id": 10**5000}]},
            (
                "jobs[0].id: must be a job id (1 to 64 letters, digits, '-' and '_'; ':job-1' may follow), "
                "not a number of more than 30 digits"
            ),
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
