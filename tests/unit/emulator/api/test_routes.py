"""Routing, and the errors for operations that are not emulated."""

from __future__ import annotations

import pytest

from support.batch_api import Api, refused
from taskcounts_emulator.api.routes import resolve
from taskcounts_emulator.refusals import Refusal

OPERATIONS = {
    "Job_Add": ("POST", "/jobs"),
    "Job_List": ("GET", "/jobs"),
    "Job_Get": ("GET", "/jobs/j"),
    "Job_Patch": ("PATCH", "/jobs/j"),
    "Job_Delete": ("DELETE", "/jobs/j"),
    "Job_Terminate": ("POST", "/jobs/j/terminate"),
    "Job_Disable": ("POST", "/jobs/j/disable"),
    "Job_Enable": ("POST", "/jobs/j/enable"),
    "Job_GetTaskCounts": ("GET", "/jobs/j/taskcounts"),
    "Task_Add": ("POST", "/jobs/j/tasks"),
    "Task_AddCollection": ("POST", "/jobs/j/addtaskcollection"),
    "Task_List": ("GET", "/jobs/j/tasks"),
    "Task_Get": ("GET", "/jobs/j/tasks/t"),
    "Task_Delete": ("DELETE", "/jobs/j/tasks/t"),
    "Task_Terminate": ("POST", "/jobs/j/tasks/t/terminate"),
    "Task_Reactivate": ("POST", "/jobs/j/tasks/t/reactivate"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_a_verb_and_a_path(name: str) -> None:
    """The match contains the ids of the path."""
    found = resolve(*OPERATIONS[name])
    assert found.operation.name == name
    _, _, *parts = [*OPERATIONS[name][1].split("/"), "", ""]
    assert found.job_id == parts[0]
    assert found.task_id == (parts[2] if parts[1:2] == ["tasks"] else "")


def test_ids_are_decoded_once() -> None:
    """An id that was encoded twice is decoded once."""
    assert resolve("GET", "/jobs/sched%3Ajob-1").job_id == "sched:job-1"
    assert resolve("GET", "/jobs/a%252Fb/tasks/%2525")[1:] == ("a%2Fb", "%25")
    assert resolve("GET", "/jobs/taskcounts").job_id == "taskcounts"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/jobs", "GET, POST"),
        ("/jobs/j", "GET, PATCH, DELETE"),
        ("/jobs/j/tasks", "GET, POST"),
        ("/jobs/j/tasks/t", "GET, DELETE"),
        ("/jobs/j/enable", "POST"),
    ],
)
@pytest.mark.parametrize("method", ["MKCOL", "OPTIONS", "TRACE", "HEAD"])
def test_another_verb_is_refused_with_the_allowed_ones(path: str, allowed: str, method: str) -> None:
    """The response is 405 with the methods of the path."""
    with pytest.raises(Refusal) as caught:
        resolve(method, path)
    assert (caught.value.status, caught.value.code) == (405, "UnsupportedHttpVerb")
    assert caught.value.headers == (("allow", allowed),)


@pytest.mark.parametrize("path", ["/jobs/j", "/jobs/j/tasks/t"])
def test_replacing_a_resource_is_not_implemented(path: str) -> None:
    """The response is 501 rather than 405, since the real service has the operation."""
    with pytest.raises(Refusal) as caught:
        resolve("PUT", path)
    assert (caught.value.status, caught.value.code) == (501, "NotImplemented")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/pools",
        "/pools/p",
        "/pools/p/nodes/n/files",
        "/jobschedules/s/jobs",
        "/certificates(thumbprintAlgorithm=sha1,thumbprint=x)",
        "/applications",
        "/lifetimepoolstats",
        "/lifetimejobstats",
        "/supportedimages",
        "/nodecounts",
        "/poolusagemetrics",
        "/jobs/j/jobpreparationandreleasetaskstatus",
        "/jobs/j/tasks/t/files",
        "/jobs/j/tasks/t/files/stdout.txt",
        "/jobs/j/tasks/t/subtasksinfo",
    ],
)
def test_other_operations_of_the_service_are_not_implemented(api: Api, method: str, path: str) -> None:
    """The response is 501 with a code of our own, which cannot be taken for the service's."""
    answer = api(method, path)
    assert refused(answer, 501, "NotImplemented") == {}
    assert "This emulator does not have" in answer.json()["message"]["value"]
