"""The job operations of the service: add, get, patch, disable, enable, terminate and delete."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.batch_api import DATE, NO_LIMIT, Api, refused, told

BEGIN = "2024-07-01T00:00:00.0000000Z"
ETAG = "0x8DC9960C02F4001"
MODIFIED = "Mon, 01 Jul 2024 00:00:00 GMT"
PASSED_OVER: dict[str, Any] = {
    "odata.metadata": "#jobs/@Element",
    "stats@odata.type": "x",
    "jobManagerTask": None,
}
AUTO_USER = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}


def test_a_job_that_is_added_is_answered_with_where_it_is(api: Api) -> None:
    """The 201 has the headers of recorded responses and no body."""
    answer = api("POST", "/jobs", {"id": "Nightly", "poolInfo": {"poolId": "pool"}})
    assert answer.status_code == 201
    assert answer.content == b""
    place = f"{api.emulator.endpoint}/jobs/Nightly"
    assert sorted(answer.headers.items()) == [
        ("content-length", "0"),
        ("dataserviceid", place),
        ("dataserviceversion", "3.0"),
        ("date", DATE),
        ("etag", ETAG),
        ("last-modified", MODIFIED),
        ("location", place),
        ("request-id", answer.headers["request-id"]),
        ("server", "Microsoft-HTTPAPI/2.0"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("x-content-type-options", "nosniff"),
    ]


def test_a_job_is_shown_with_the_services_defaults(api: Api) -> None:
    """A job with only the required members is shown with the defaults, in the service's layout."""
    api.add_job("Nightly")
    answer = api("GET", "/jobs/NIGHTLY")
    place = api.emulator.endpoint
    assert told(answer) == {
        "odata.metadata": f"{place}/$metadata#jobs/@Element",
        "id": "Nightly",
        "url": f"{place}/jobs/Nightly",
        "eTag": ETAG,
        "lastModified": BEGIN,
        "creationTime": BEGIN,
        "state": "active",
        "stateTransitionTime": BEGIN,
        "priority": 0,
        "maxParallelTasks": -1,
        "usesTaskDependencies": False,
        "allowTaskPreemption": False,
        "constraints": {"maxWallClockTime": NO_LIMIT, "maxTaskRetryCount": 0},
        "poolInfo": {"poolId": "pool"},
        "executionInfo": {"startTime": BEGIN, "poolId": "pool"},
        "onAllTasksComplete": "noaction",
        "onTaskFailure": "noaction",
    }
    assert answer.headers["etag"] == ETAG
    assert answer.headers["last-modified"] == MODIFIED
    assert answer.content.startswith(b'{\r\n  "odata.metadata":"')


def test_a_job_is_shown_with_the_members_it_was_added_with(api: Api) -> None:
    """A job is shown as it was sent, with numbers sent as text as numbers, and words in lower case."""
    api.add_job(
        displayName="Müller's",
        priority="5",
        maxParallelTasks=3,
        usesTaskDependencies=True,
        allowTaskPreemption=False,
        constraints={"maxWallClockTime": "PT01H00M01.5S", "maxTaskRetryCount": "2"},
        jobPreparationTask={"commandLine": "prepare", "environmentSettings": [{"name": "A"}]},
        jobReleaseTask={"commandLine": "release", "id": "bye", "retentionTime": "PT1H"},
        commonEnvironmentSettings=[{"name": "A", "value": "b"}],
        onAllTasksComplete="noAction",
        onTaskFailure="PerformExitOptionsJobAction",
        metadata=[{"name": "a", "value": "b"}],
        networkConfiguration={"subnetId": "s", "skipWithdrawFromVNet": False},
        **PASSED_OVER,
    )
    job = api.job()
    assert job["displayName"] == "Müller's"
    assert (job["priority"], job["maxParallelTasks"]) == (5, 3)
    assert (job["usesTaskDependencies"], job["allowTaskPreemption"]) == (True, False)
    assert job["constraints"] == {"maxWallClockTime": "PT1H1.5S", "maxTaskRetryCount": 2}
    assert job["jobPreparationTask"] == {
        "id": "jobpreparation",
        "commandLine": "prepare",
        "environmentSettings": [{"name": "A"}],
        "constraints": {"maxWallClockTime": NO_LIMIT, "retentionTime": "P7D", "maxTaskRetryCount": 0},
        "userIdentity": AUTO_USER,
        "waitForSuccess": True,
        "rerunOnNodeRebootAfterSuccess": True,
    }
    assert job["jobReleaseTask"] == {
        "id": "bye",
        "commandLine": "release",
        "maxWallClockTime": "PT15M",
        "retentionTime": "PT1H",
        "userIdentity": AUTO_USER,
    }
    assert job["commonEnvironmentSettings"] == [{"name": "A", "value": "b"}]
    assert job["onAllTasksComplete"] == "noaction"
    assert job["onTaskFailure"] == "performexitoptionsjobaction"
    assert job["metadata"] == [{"name": "a", "value": "b"}]
    assert job["networkConfiguration"] == {"subnetId": "s", "skipWithdrawFromVNet": False}
    assert not [name for name in job if name == "jobManagerTask" or "@" in name]


def test_a_job_manager_is_a_task_of_its_job(api: Api) -> None:
    """It is shown with the service's defaults, and added as a task of its job."""
    manager = {"id": "mgr", "commandLine": "manage", "requiredSlots": 2, "killJobOnCompletion": False}
    api.add_job(jobManagerTask=manager, constraints={"maxTaskRetryCount": 5})
    constraints = {"maxWallClockTime": NO_LIMIT, "retentionTime": "P7D", "maxTaskRetryCount": 5}
    assert api.job()["jobManagerTask"] == {
        **manager,
        "constraints": constraints,
        "userIdentity": AUTO_USER,
        "runExclusive": True,
        "allowLowPriorityNode": True,
    }
    task = api.task("mgr")
    assert (task["commandLine"], task["requiredSlots"]) == ("manage", 2)
    assert task["constraints"] == constraints
    assert "killJobOnCompletion" not in task


def test_a_job_manager_ends_its_job(api: Api) -> None:
    """A job ends with its manager, unless killJobOnCompletion is false."""
    api.emulator.load({"pools": [{"id": "pool", "slots": 1, "duration": 5}], "jobs": []})
    api.add_job(jobManagerTask={"id": "mgr", "commandLine": "manage"})
    assert api.task("mgr")["state"] == "running"
    api.emulator.advance(6)
    assert api.job()["executionInfo"]["terminateReason"] == "JMComplete"


def test_an_automatic_pool_gets_an_id_of_its_own(api: Api) -> None:
    """The id begins with the given prefix, and the job shows the specification."""
    for job_id, prefix in (("one", {"autoPoolIdPrefix": "Mine"}), ("two", {})):
        pool = {"autoPoolSpecification": {"poolLifetimeOption": "job", **prefix}}
        api.add_job(job_id, poolInfo=pool)
        job = api.job(job_id)
        assert job["poolInfo"] == pool
        begin = "Mine_" if prefix else ""
        guid = "[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"
        assert re.fullmatch(begin + guid, job["executionInfo"]["poolId"])


def test_a_job_of_a_scenario_is_shown(api: Api) -> None:
    """A job without a pool shows none; its id can be one of a job schedule."""
    api.emulator.add_job("sched:job-1")
    for spelled in ("sched:job-1", "sched%3Ajob-1", "SCHED%3ajob-1"):
        job = told(api("GET", f"/jobs/{spelled}"))
        assert job["url"] == f"{api.emulator.endpoint}/jobs/sched:job-1"
        assert job["executionInfo"] == {"startTime": BEGIN}
        assert "poolInfo" not in job


def test_a_second_job_of_an_id_is_refused(api: Api) -> None:
    """A second job of an id, in any case, is JobExists."""
    api.add_job("nightly")
    answer = api("POST", "/jobs", {"id": "NIGHTLY", "poolInfo": {"poolId": "pool"}})
    assert refused(answer, 409, "JobExists") == {}


def test_a_job_is_changed(api: Api) -> None:
    """Members that a patch does not name stay; constraints are replaced as a whole, as recorded."""
    api.add_job(
        priority=1,
        constraints={"maxTaskRetryCount": 5},
        metadata=[{"name": "a", "value": "b"}],
        displayName="kept",
    )
    answer = api(
        "PATCH",
        "/jobs/job",
        {
            "maxParallelTasks": 4,
            "allowTaskPreemption": False,
            "onAllTasksComplete": "noaction",
            "constraints": {"maxWallClockTime": "P1DT2H"},
            "metadata": [{"name": "c", "value": "d"}],
            "networkConfiguration": {"subnetId": "s"},
            "poolInfo": {"poolId": "pool"},
        },
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["dataserviceid"] == f"{api.emulator.endpoint}/jobs/job"
    job = api.job()
    assert job["eTag"] == answer.headers["etag"] != ETAG
    assert (job["priority"], job["maxParallelTasks"]) == (1, 4)
    assert job["constraints"] == {"maxWallClockTime": "P1DT2H", "maxTaskRetryCount": 0}
    assert job["metadata"] == [{"name": "c", "value": "d"}]
    assert job["networkConfiguration"] == {"subnetId": "s"}
    assert job["displayName"] == "kept"
    assert api("PATCH", "/jobs/job", {}).status_code == 200
    assert api.job()["metadata"] == [{"name": "c", "value": "d"}]


def test_a_patch_can_end_a_job_whose_tasks_are_done(api: Api) -> None:
    """A patch to terminatejob ends a job without unfinished tasks."""
    api.add_job()
    assert api("PATCH", "/jobs/job", {"onAllTasksComplete": "terminatejob"}).status_code == 200
    job = api.job()
    assert (job["state"], job["previousState"]) == ("completed", "terminating")
    assert job["executionInfo"]["terminateReason"] == "AllTasksComplete"
    assert job["executionInfo"]["endTime"] == job["stateTransitionTime"] == BEGIN


def test_a_job_is_ended(api: Api) -> None:
    """With a reason, without one, or without a body, as clients do it; only once."""
    for job_id, body, reason in (
        ("one", {"terminateReason": "enough"}, "enough"),
        ("two", {}, "UserTerminate"),
        ("three", b"", "UserTerminate"),
        ("four", None, "UserTerminate"),
    ):
        api.add_job(job_id)
        answer = api("POST", f"/jobs/{job_id}/terminate", body, force="true")
        assert (answer.status_code, answer.content) == (202, b"")
        assert answer.headers["dataserviceid"].endswith(f"/jobs/{job_id}/terminate")
        job = api.job(job_id)
        assert answer.headers["etag"] == job["eTag"]
        assert (job["state"], job["executionInfo"]["terminateReason"]) == ("completed", reason)
    refused(api("POST", "/jobs/one/terminate"), 409, "JobCompleted")


def test_a_job_is_disabled_and_enabled(api: Api) -> None:
    """Both are answered with 202, and only a disabled job can be enabled."""
    api.add_job()
    answer = api("POST", "/jobs/job/disable", {"disableTasks": "Requeue"})
    assert (answer.status_code, answer.content) == (202, b"")
    assert api.job()["state"] == "disabled"
    assert api("POST", "/jobs/job/enable").status_code == 202
    assert api.job()["state"] == "active"
    refused(api("POST", "/jobs/job/enable"), 409, "OperationInvalidForCurrentState")


def test_transitional_states_have_their_own_refusals(api: Api) -> None:
    """Each state that lasts for some time has its own refusal."""
    api.emulator.load({"settle": 60, "jobs": []})
    for job_id in ("a", "b", "c"):
        api.add_job(job_id)
    assert api("POST", "/jobs/a/terminate").status_code == 202
    assert api.job("a")["state"] == "terminating"
    refused(api("PATCH", "/jobs/a", {}), 409, "JobBeingTerminated")
    assert api("DELETE", "/jobs/b").status_code == 202
    assert api.job("b")["state"] == "deleting"
    refused(api("DELETE", "/jobs/b"), 409, "JobBeingDeleted")
    refused(api("GET", "/jobs/b/taskcounts"), 409, "JobBeingDeleted")
    api("POST", "/jobs/c/disable", {"disableTasks": "wait"})
    api.emulator.advance(60)
    api("POST", "/jobs/c/enable")
    assert api.job("c")["state"] == "enabling"
    refused(api("POST", "/jobs/c/disable", {"disableTasks": "wait"}), 409, "JobNotActive")
    refused(api("GET", "/jobs/b"), 404, "JobNotFound")


def test_a_job_is_deleted(api: Api) -> None:
    """The response is 202 without an ETag; then the job and its tasks are gone."""
    api.add_job()
    api.add_task()
    answer = api("DELETE", "/jobs/job", force="false")
    assert (answer.status_code, answer.content) == (202, b"")
    assert not {"etag", "last-modified", "dataserviceid"} & answer.headers.keys()
    for path in ("/jobs/job", "/jobs/job/tasks", "/jobs/job/tasks/task", "/jobs/job/taskcounts"):
        refused(api("GET", path), 404, "JobNotFound")


@pytest.mark.parametrize("path", ["/jobs/job", "/jobs/job/terminate"])
def test_force_must_be_true_or_false(api: Api, path: str) -> None:
    """The value has no effect here, but a wrong one is refused."""
    api.add_job()
    method = "POST" if path.endswith("terminate") else "DELETE"
    assert (
        refused(api(method, path, force="yes"), 400, "InvalidQueryParameterValue")["QueryParameterName"]
        == "force"
    )
    assert api.job()["state"] == "active"


@pytest.mark.parametrize("job_id", ["none", "%2e%2e", "a%2Fb", "%00", "%0A", "%ff", "a" * 65, "%ED%A0%80"])
@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "/terminate", None),
        ("POST", "/disable", {"disableTasks": "wait"}),
        ("POST", "/enable", None),
        ("GET", "/tasks", None),
        ("POST", "/tasks", {"id": "t", "commandLine": "x"}),
        ("POST", "/addtaskcollection", {"value": []}),
        ("GET", "/tasks/t", None),
        ("GET", "/tasks/%00", None),
        ("DELETE", "/tasks/t", None),
        ("POST", "/tasks/t/terminate", None),
        ("POST", "/tasks/t/reactivate", None),
    ],
)
def test_a_job_that_is_not_there_is_not_found(
    api: Api, job_id: str, method: str, rest: str, body: object
) -> None:
    """Every operation on it is JobNotFound, however hostile its id."""
    refused(api(method, f"/jobs/{job_id}{rest}", body), 404, "JobNotFound")


def test_manager_and_preparation_task_need_different_ids(api: Api) -> None:
    """The two tasks need different ids."""
    body = {
        "id": "job",
        "poolInfo": {"poolId": "pool"},
        "jobManagerTask": {"id": "JobPreparation", "commandLine": "x"},
        "jobPreparationTask": {"commandLine": "x"},
    }
    refused(api("POST", "/jobs", body), 409, "TaskIdSameAsJobPreparationTask")


def test_surrogates_are_refused_where_text_is_stored(api: Api) -> None:
    """Half of a surrogate pair in a reason cannot be stored, and is refused."""
    api.add_job()
    body = b'{"terminateReason": "\\ud83d"}'
    refused(api("POST", "/jobs/job/terminate", body), 400, "InvalidPropertyValue")
    assert api("POST", "/jobs/job/terminate", b'{"terminateReason": "\\ud83d\\ude00"}').status_code == 202
    assert api.job()["executionInfo"]["terminateReason"] == "\N{GRINNING FACE}"
