"""Scenarios: strict reading, errors that name the place, and all or nothing."""

from __future__ import annotations

import json
import time
from collections import OrderedDict

import pytest

from taskcounts.emulator import EmulatedAccount
from taskcounts.emulator.errors import EmulatorError
from taskcounts.emulator.model import NewJob, NewTasks
from taskcounts.emulator.scenario import parse_job, parse_scenario, task_ids

SCENARIO = """
{"jobs": [
  {"id": "nightly-render", "tasks": [
    {"count": 5},
    {"count": 7, "state": "running", "requiredSlots": 2},
    {"id": "t1", "state": "completed", "result": "failure"}]},
  {"id": "sched:job-12"}]}
"""


@pytest.mark.parametrize(
    "source",
    [SCENARIO, SCENARIO.encode(), b"\xef\xbb\xbf" + SCENARIO.encode(), OrderedDict(json.loads(SCENARIO))],
)
def test_a_scenario_is_read_from_text_bytes_and_values(source: object) -> None:
    """JSON text, its bytes (with a byte order mark, too) and its value are read alike, with the defaults."""
    assert parse_scenario(source) == (
        NewJob(
            "nightly-render",
            (
                NewTasks(5, None, "active", None, 1),
                NewTasks(7, None, "running", None, 2),
                NewTasks(1, "t1", "completed", "failure", 1),
            ),
        ),
        NewJob("sched:job-12", ()),
    )


def test_tasks_without_ids_are_given_some() -> None:
    """Generated ids are numbered in order, and keep clear of those that are given, in any case."""
    job = parse_job("j", ({"count": 2}, {"id": "TASK-2"}, {"id": "task-3"}, {}))
    assert [task_id for task_id, _ in task_ids(job)] == ["task-1", "task-4", "TASK-2", "task-3", "task-5"]


def wrong_task(entry: object) -> object:
    """Return a scenario whose third task of the first job is this."""
    return {"jobs": [{"id": "a", "tasks": [{}, {}, entry]}]}


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
        ({}, "scenario: the member 'jobs' is missing"),
        ({"jobs": [], "pools": []}, "scenario: unknown member 'pools'; known are jobs"),
        ({1: 2}, "scenario: unknown member 1; known are jobs"),
        ({"jobs": {}}, "jobs: must be an array, not an object"),
        ({"jobs": ["x"]}, "jobs[0]: must be an object, not 'x'"),
        ({"jobs": [{}]}, "jobs[0]: the member 'id' is missing"),
        ({"jobs": [{"id": 5}]}, "jobs[0].id: must be a string, not 5"),
        ({"jobs": [{"id": 10**5000}]}, "jobs[0].id: must be a string, not a number of more than 30 digits"),
        ({"jobs": [{"id": True}]}, "jobs[0].id: must be a string, not true"),
        ({"jobs": [{"id": "a b"}]}, "jobs[0].id: 'a b' is no job id"),
        ({"jobs": [{"id": "a\n"}]}, r"jobs[0].id: 'a\n' is no job id"),
        ({"jobs": [{"id": ""}]}, "jobs[0].id: '' is no job id"),
        ({"jobs": [{"id": "x" * 65}]}, "jobs[0].id: 'xxxx"),
        ({"jobs": [{"id": "a:b"}]}, "jobs[0].id: 'a:b' is no job id"),
        ({"jobs": [{"id": "é"}]}, "jobs[0].id: 'é' is no job id"),
        ({"jobs": [{"id": "a"}, {"id": "A"}]}, "jobs[1].id: 'A' is the id of jobs[0] already"),
        ({"jobs": [{"id": "a", "tasks": {}}]}, "jobs[0].tasks: must be an array, not an object"),
        ({"jobs": [{"id": "a", "tasks": None}]}, "jobs[0].tasks: must be an array, not null"),
        (wrong_task(5), "jobs[0].tasks[2]: must be an object, not 5"),
        (wrong_task({"slots": 1}), "jobs[0].tasks[2]: unknown member 'slots'; known are count, id"),
        (wrong_task({"count": 0}), "jobs[0].tasks[2].count: must be from 1 to 1000000, not 0"),
        (wrong_task({"count": 1.0}), "jobs[0].tasks[2].count: must be a whole number, not 1.0"),
        (wrong_task({"count": True}), "jobs[0].tasks[2].count: must be a whole number, not true"),
        (wrong_task({"count": 1000000}), "jobs[0].tasks[2].count: a job has at most 1000000 tasks here"),
        (wrong_task({"state": "done"}), "jobs[0].tasks[2].state: must be one of active, preparing, running"),
        (wrong_task({"state": ["active"]}), "jobs[0].tasks[2].state: must be one of"),
        (
            wrong_task({"requiredSlots": 257}),
            "jobs[0].tasks[2].requiredSlots: must be from 1 to 256, not 257",
        ),
        (wrong_task({"state": "completed"}), "jobs[0].tasks[2].result: a completed task needs one"),
        (
            wrong_task({"state": "completed", "result": None}),
            "jobs[0].tasks[2].result: must be one of success",
        ),
        (wrong_task({"result": "success"}), "jobs[0].tasks[2].result: only a completed task has one"),
        (wrong_task({"id": "a:b"}), "jobs[0].tasks[2].id: 'a:b' is no task id"),
        (wrong_task({"id": None}), "jobs[0].tasks[2].id: must be a string, not null"),
        (wrong_task({"id": "x", "count": 2}), "jobs[0].tasks[2].id: 2 tasks cannot share an id"),
        (
            {"jobs": [{"id": "a", "tasks": [{"id": "T"}, {"id": "t"}]}]},
            "jobs[0].tasks[1].id: 't' is the id of jobs[0].tasks[0] already",
        ),
    ],
)
def test_a_bad_scenario_is_refused_with_its_place_and_changes_nothing(source: object, message: str) -> None:
    """The error is one line that begins with the path of what is wrong, and no job was added."""
    service = EmulatedAccount()
    with pytest.raises(EmulatorError) as caught:
        service.load(source)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert service.all_counts() == {}


def test_a_job_that_exists_keeps_a_whole_scenario_out() -> None:
    """Loading is all or nothing with regard to what is there already, too."""
    service = EmulatedAccount()
    assert service.load({"jobs": [{"id": "b"}]}) == ["b"]
    with pytest.raises(EmulatorError, match="there is a job 'B' already"):
        service.load({"jobs": [{"id": "a"}, {"id": "B"}]})
    assert list(service.all_counts()) == ["b"]


def test_a_job_from_python_is_checked_like_one_from_a_scenario() -> None:
    """Errors of add_job name its own arguments."""
    service = EmulatedAccount()
    with pytest.raises(EmulatorError, match=r"^job_id: '' is no job id"):
        service.add_job("")
    with pytest.raises(EmulatorError, match=r"^tasks\[0\]\.count: must be"):
        service.add_job("a", [{"count": "5"}])
    service.add_job("a", iter([{"count": 5}]))
    assert service.counts("A").tasks.active == 5


@pytest.mark.parametrize("value", [-1, 1.0, True, "1", None, 10**30])
@pytest.mark.parametrize("name", ["start", "succeed", "fail"])
def test_a_step_takes_whole_numbers_alone(name: str, value: object) -> None:
    """A step of less than nothing, or of no number, is refused by name."""
    service = EmulatedAccount()
    service.add_job("a", [{"count": 2}])
    with pytest.raises(EmulatorError, match=f"^{name}: must be"):
        service.step("a", **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"account": "https://x"}, "is not the name of a Batch account"),
        ({"account": None}, "account must be a str"),
        ({"key": "s3cret?"}, "the access key is not Base64"),
        ({"admin_hosts": ["a b"]}, "admin_hosts: 'a b' is no name of a host"),
    ],
)
def test_a_wrong_setting_is_an_error_without_the_key(arguments: dict[str, object], message: str) -> None:
    """Settings of the account are checked when it is made; the key is not shown."""
    with pytest.raises(EmulatorError, match=message) as caught:
        EmulatedAccount(**arguments)  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


def test_names_of_hosts_are_kept_in_lower_case() -> None:
    """Hosts for the administration are compared without regard to case."""
    assert EmulatedAccount(admin_hosts=["Batch", "emulator.test"]).admin_hosts == {"batch", "emulator.test"}


def test_every_account_has_a_key_of_its_own() -> None:
    """Without a key, 64 random bytes are made."""
    first, second = EmulatedAccount(), EmulatedAccount()
    assert first.key != second.key
    assert len(first.decoded_key) == 64


def test_a_scenario_is_bounded_as_a_whole() -> None:
    """A few words can't ask for more tasks than can be added in a moment, spread over jobs or not."""
    jobs = [{"id": f"job-{number}", "tasks": [{"count": 600_000}]} for number in range(2)]
    with pytest.raises(EmulatorError, match=r"^jobs\[1\]\.tasks: a scenario has at most 1000000 tasks"):
        parse_scenario({"jobs": jobs})


def test_a_member_that_stands_twice_is_found_at_once() -> None:
    """Looking for it takes time that grows with the text, not with its square."""
    text = "{" + ",".join(f'"{number}":0' for number in range(50_000)) + ',"49999":0}'
    started = time.monotonic()
    with pytest.raises(EmulatorError, match="twice"):
        parse_scenario(text)
    assert time.monotonic() - started < 2
