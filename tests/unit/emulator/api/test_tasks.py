"""The task operations of the service: add, add a collection, get, terminate, reactivate and delete."""

from __future__ import annotations

from typing import Any

import pytest

from support.batch_api import NO_LIMIT, Api, refused, told

BEGIN = "2024-07-01T00:00:00.0000000Z"
ETAG = "0x8DC9960C02F4001"
AUTO_USER = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}


def with_pool(api: Api, **behaviour: object) -> None:
    """Set a pool with one slot and runs of five seconds."""
    api.emulator.load({"pools": [{"id": "pool", "slots": 1, "duration": 5, **behaviour}], "jobs": []})


def test_a_task_that_is_added_is_answered_with_where_it_is(api: Api) -> None:
    """The 201 has the headers of a new resource, with the job's own spelling, and no body."""
    api.add_job("Nightly")
    answer = api("POST", "/jobs/NIGHTLY/tasks", {"id": "T1", "commandLine": "true"})
    assert (answer.status_code, answer.content) == (201, b"")
    place = f"{api.emulator.endpoint}/jobs/Nightly/tasks/T1"
    assert answer.headers["location"] == answer.headers["dataserviceid"] == place
    assert answer.headers["etag"] == ETAG
    assert answer.headers["last-modified"] == "Mon, 01 Jul 2024 00:00:00 GMT"
    assert answer.headers["content-length"] == "0"
    assert "content-type" not in answer.headers


def test_a_task_is_shown_with_the_services_defaults(api: Api) -> None:
    """A task with only the required members is shown with the defaults; its retries are its job's."""
    api.add_job(constraints={"maxTaskRetryCount": 5})
    api.add_task("T1")
    answer = api("GET", "/jobs/job/tasks/t1")
    place = api.emulator.endpoint
    assert told(answer) == {
        "odata.metadata": f"{place}/$metadata#tasks/@Element",
        "id": "T1",
        "url": f"{place}/jobs/job/tasks/T1",
        "eTag": ETAG,
        "creationTime": BEGIN,
        "lastModified": BEGIN,
        "state": "active",
        "stateTransitionTime": BEGIN,
        "commandLine": "true",
        "userIdentity": AUTO_USER,
        "constraints": {"maxWallClockTime": NO_LIMIT, "retentionTime": "P7D", "maxTaskRetryCount": 5},
        "requiredSlots": 1,
        "executionInfo": {"retryCount": 0, "requeueCount": 0},
    }
    assert answer.headers["etag"] == ETAG
    assert answer.content.startswith(b'{\r\n  "odata.metadata":"')


def test_a_task_is_shown_with_the_members_it_was_added_with(api: Api) -> None:
    """Members without effect here are shown as they were sent."""
    api.add_job(usesTaskDependencies=True, onTaskFailure="performexitoptionsjobaction")
    members: dict[str, Any] = {
        "displayName": "ein Täßk",
        "commandLine": "/bin/sh -c 'echo \"x\"'",
        "containerSettings": {"imageName": "ubuntu"},
        "exitConditions": {
            "exitCodes": [{"code": 3, "exitOptions": {"jobAction": "disable"}}],
            "exitCodeRanges": [{"start": 4, "end": 9, "exitOptions": {"dependencyAction": "satisfy"}}],
            "fileUploadError": {},
            "default": {"jobAction": "none", "dependencyAction": "block"},
        },
        "resourceFiles": [{"httpUrl": "https://x/y?sig=z", "filePath": "a"}],
        "outputFiles": [{"filePattern": "*"}],
        "environmentSettings": [{"name": "A", "value": "b"}, {"name": "EMPTY"}],
        "affinityInfo": {"affinityId": "x"},
        "userIdentity": {"username": "me"},
        "multiInstanceSettings": {"coordinationCommandLine": "x", "numberOfInstances": 1},
        "dependsOn": {"taskIds": ["a", "b"], "taskIdRanges": [{"start": 1, "end": 3}]},
        "applicationPackageReferences": [{"applicationId": "x"}],
        "authenticationTokenSettings": {"access": ["job"]},
    }
    api.add_task(
        **members,
        requiredSlots="2",
        constraints={"maxTaskRetryCount": "3"},
        **{"odata.type": "x", "id@odata.type": "y"},
    )
    task = api.task()
    assert {name: task[name] for name in members} == members
    assert task["requiredSlots"] == 2
    assert task["constraints"] == {
        "maxWallClockTime": NO_LIMIT,
        "retentionTime": "P7D",
        "maxTaskRetryCount": 3,
    }


def test_a_task_of_a_scenario_is_shown(api: Api) -> None:
    """It has a command line, since clients rely on that member."""
    api.emulator.add_job("job", [{"id": "t1", "state": "completed", "result": "failure"}])
    task = api.task("t1")
    assert task["commandLine"] == ""
    assert task["executionInfo"] == {
        "startTime": BEGIN,
        "endTime": BEGIN,
        "exitCode": 1,
        "failureInfo": {
            "category": "usererror",
            "code": "FailureExitCode",
            "message": "The task exited with an exit code representing a failure",
            "details": [
                {"name": "Message", "value": "The task process exited with an unexpected exit code"},
                {"name": "AdditionalErrorCode", "value": "FailureExitCode"},
            ],
        },
        "result": "failure",
        "retryCount": 0,
        "requeueCount": 0,
    }


def test_a_completed_task_is_shown_with_its_times(api: Api) -> None:
    """Start, retry and end have their times, and so does the previous state."""
    with_pool(api)
    api.add_job()
    api.add_task(
        environmentSettings=[
            {"name": "TASKCOUNTS_SECONDS", "value": "2.5"},
            {"name": "TASKCOUNTS_EXIT_CODES", "value": "3, 0"},
        ],
        constraints={"maxTaskRetryCount": 1},
    )
    api.emulator.advance(60)
    task = api.task()
    assert (task["state"], task["previousState"]) == ("completed", "running")
    assert task["stateTransitionTime"] == "2024-07-01T00:00:05.0000000Z"
    assert task["previousStateTransitionTime"] == "2024-07-01T00:00:02.5000000Z"
    assert task["executionInfo"] == {
        "startTime": "2024-07-01T00:00:02.5000000Z",
        "endTime": "2024-07-01T00:00:05.0000000Z",
        "exitCode": 0,
        "result": "success",
        "retryCount": 1,
        "lastRetryTime": "2024-07-01T00:00:02.5000000Z",
        "requeueCount": 0,
    }


def test_a_job_may_say_how_all_its_tasks_run(api: Api) -> None:
    """The common environment determines runs, and a task's own environment takes precedence."""
    with_pool(api)
    api.add_job(
        commonEnvironmentSettings=[
            {"name": "TASKCOUNTS_SECONDS", "value": "1"},
            {"name": "TASKCOUNTS_EXIT_CODES", "value": "7"},
        ],
        jobManagerTask={"id": "mgr", "commandLine": "x", "killJobOnCompletion": False},
    )
    api.add_task("a", environmentSettings=[{"name": "TASKCOUNTS_EXIT_CODES", "value": "-8"}])
    api.emulator.advance(2)
    assert api.task("mgr")["executionInfo"]["exitCode"] == 7
    info = api.task("a")["executionInfo"]
    assert (info["startTime"], info["exitCode"]) == ("2024-07-01T00:00:01.0000000Z", -8)


def test_a_requeued_task_is_shown_with_the_time(api: Api) -> None:
    """A requeue is counted with its time, and is not a retry."""
    with_pool(api)
    api.add_job()
    api.add_task()
    api("POST", "/jobs/job/disable", {"disableTasks": "requeue"})
    assert api.task()["executionInfo"] == {
        "startTime": BEGIN,
        "retryCount": 0,
        "requeueCount": 1,
        "lastRequeueTime": BEGIN,
    }


def test_a_task_that_takes_too_long_is_ended(api: Api) -> None:
    """A time limit ends the task; the longest duration means no limit."""
    with_pool(api)
    api.add_job()
    api.add_task("a", constraints={"maxWallClockTime": "PT2S"})
    api.add_task("b", constraints={"maxWallClockTime": NO_LIMIT})
    api.emulator.advance(60)
    assert api.task("a")["executionInfo"]["endTime"] == "2024-07-01T00:00:02.0000000Z"
    assert api.task("a")["executionInfo"]["result"] == "failure"
    assert api.task("b")["executionInfo"]["result"] == "success"


def test_tasks_wait_for_those_that_they_depend_on(api: Api) -> None:
    """A task with ids and ranges runs once all of them have succeeded."""
    with_pool(api)
    api.add_job(usesTaskDependencies=True)
    api.add_task("z", dependsOn={"taskIds": ["a"], "taskIdRanges": [{"start": 1, "end": 2}]})
    for task_id in ("a", "1", "2"):
        api.add_task(task_id)
    api.emulator.advance(15)
    assert api.task("z")["state"] == "running"


def test_an_exit_condition_may_end_the_job(api: Api) -> None:
    """The world applies the parsed exit conditions."""
    with_pool(api)
    api.add_job(onTaskFailure="performexitoptionsjobaction")
    api.add_task(
        exitConditions={"exitCodes": [{"code": 3, "exitOptions": {"jobAction": "Terminate"}}]},
        environmentSettings=[{"name": "TASKCOUNTS_EXIT_CODES", "value": "3"}],
    )
    api.emulator.advance(6)
    assert api.job()["executionInfo"]["terminateReason"] == "TaskFailed"


def test_a_collection_is_added_item_by_item(api: Api) -> None:
    """Each item is added, exists already, or is wrong; a repeated id is TaskExists."""
    api.add_job()
    body = {
        "value": [
            {"id": "a", "commandLine": "x"},
            {"id": "A", "commandLine": "x"},
            {"id": "b", "commandLine": "x", "requiredSlots": 257},
            {"id": "c d", "commandLine": "x"},
            {"id": "e", "commandLine": "x", "dependsOn": {"taskIds": ["a"]}},
            {"id": "f", "commandLine": "x"},
        ]
    }
    answer = api("POST", "/jobs/JOB/addtaskcollection", body)
    place = api.emulator.endpoint
    assert told(answer)["odata.metadata"] == f"{place}/$metadata#taskaddresult"
    results = told(answer)["value"]
    assert results[0] == {
        "status": "success",
        "taskId": "a",
        "eTag": ETAG,
        "lastModified": BEGIN,
        "location": f"{place}/jobs/job/tasks/a",
    }
    assert [result["taskId"] for result in results] == ["a", "A", "b", "c d", "e", "f"]
    assert [result["status"] for result in results] == ["success", *["clienterror"] * 4, "success"]
    errors = [result["error"] for result in results[1:5]]
    assert [error["code"] for error in errors][:3] == ["TaskExists", *["InvalidPropertyValue"] * 2]
    assert errors[0]["message"]["value"].startswith("The specified task already exists.\nRequestId:")
    assert {"key": "PropertyName", "value": "requiredSlots"} in errors[1]["values"]
    assert "values" not in errors[0]
    listed = told(api("GET", "/jobs/job/tasks", _select="id"))["value"]
    assert [task["id"] for task in listed] == ["a", "f"]


def test_a_collection_has_a_hundred_tasks_at_most(api: Api) -> None:
    """One more is RequestBodyTooLarge, after which clients send fewer; nothing is added."""
    api.add_job()
    tasks = [{"id": f"t{number}", "commandLine": "x"} for number in range(101)]
    details = refused(
        api("POST", "/jobs/job/addtaskcollection", {"value": tasks}), 413, "RequestBodyTooLarge"
    )
    assert details == {"MaxLimit": "100 tasks"}
    assert told(api("GET", "/jobs/job/tasks"))["value"] == []
    answer = api("POST", "/jobs/job/addtaskcollection", {"value": tasks[:100]})
    assert {result["status"] for result in told(answer)["value"]} == {"success"}


def test_a_collection_may_be_empty(api: Api) -> None:
    """It has no tasks and no results."""
    api.add_job()
    assert told(api("POST", "/jobs/job/addtaskcollection", {"value": []}))["value"] == []


def test_a_task_is_ended_reactivated_and_deleted(api: Api) -> None:
    """Two responses have only headers, the third not even an ETag."""
    api.add_job()
    api.add_task()
    for verb, state in (("terminate", "completed"), ("reactivate", "active")):
        answer = api("POST", f"/jobs/job/tasks/task/{verb}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert not {"content-length", "transfer-encoding", "content-type"} & answer.headers.keys()
        task = api.task()
        assert (task["state"], task["eTag"]) == (state, answer.headers["etag"])
    answer = api("DELETE", "/jobs/job/tasks/task")
    assert (answer.status_code, answer.content) == (200, b"")
    assert "etag" not in answer.headers
    refused(api("GET", "/jobs/job/tasks/task"), 404, "TaskNotFound")


def test_a_terminated_task_has_its_failure(api: Api) -> None:
    """Its failure has a code and a message, and no details."""
    api.add_job()
    api.add_task()
    api("POST", "/jobs/job/tasks/task/terminate")
    assert api.task()["executionInfo"]["failureInfo"] == {
        "category": "usererror",
        "code": "TaskEnded",
        "message": "Task Was Ended by User Request",
    }
    refused(api("POST", "/jobs/job/tasks/task/terminate"), 409, "TaskCompleted")


def test_operations_that_a_state_forbids_are_refused(api: Api) -> None:
    """The refusals of the world become responses."""
    api.emulator.add_job("job", [{"id": "a"}, {"id": "s", "state": "completed", "result": "success"}])
    refused(api("POST", "/jobs/job/tasks/a/reactivate"), 409, "TaskNotCompleted")
    refused(api("POST", "/jobs/job/tasks/s/reactivate"), 409, "TaskSucceeded")
    refused(api("POST", "/jobs/job/tasks", {"id": "A", "commandLine": "x"}), 409, "TaskExists")
    api("POST", "/jobs/job/terminate")
    refused(api("POST", "/jobs/job/tasks", {"id": "b", "commandLine": "x"}), 409, "JobCompleted")
    body = {"value": [{"id": "b", "commandLine": "x"}]}
    refused(api("POST", "/jobs/job/addtaskcollection", body), 409, "JobCompleted")


@pytest.mark.parametrize(
    "task_id", ["none", "%2e%2e", "a%2Fb", "a:b", "%00", "%0A", "%ff", "a" * 65, "%ED%A0%80"]
)
@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("DELETE", ""), ("POST", "/terminate"), ("POST", "/reactivate")]
)
def test_a_task_that_is_not_there_is_not_found(api: Api, task_id: str, method: str, rest: str) -> None:
    """Every operation on it is TaskNotFound, however hostile its id."""
    api.add_job()
    assert refused(api(method, f"/jobs/job/tasks/{task_id}{rest}"), 404, "TaskNotFound") == {}


def test_a_task_has_not_the_id_of_the_preparation_task(api: Api) -> None:
    """The default id of the preparation task counts, too, and case is ignored."""
    api.add_job("one", jobPreparationTask={"commandLine": "x"})
    api.add_job("two", jobPreparationTask={"commandLine": "x", "id": "Prep"})
    for job_id, task_id in (("one", "JobPreparation"), ("two", "prep")):
        body = {"id": task_id, "commandLine": "x"}
        refused(api("POST", f"/jobs/{job_id}/tasks", body), 409, "TaskIdSameAsJobPreparationTask")
    api.add_task("prep", "one")
