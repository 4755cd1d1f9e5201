"""Routing: the table of paths, methods and operations.

Operations of the service that are not emulated are refused with another error than unknown paths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote

from taskcounts_emulator.api import operations
from taskcounts_emulator.api.operations import Handler
from taskcounts_emulator.refusals import Refusal

__all__ = ["Body", "Match", "Operation", "resolve"]


class Body(Enum):
    """The body of an operation: none, optional or required."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Operation:
    """An emulated operation.

    Attributes:
        name: The name in the service's description.
        handler: The function that performs it.
        body: Its need for a body.
        options: The OData query options that it accepts.
    """

    name: str
    handler: Handler
    body: Body = Body.NONE
    options: tuple[str, ...] = ()


class Match(NamedTuple):
    """An operation, and the decoded ids of its path; empty if there are none."""

    operation: Operation
    job_id: str
    task_id: str


_LIST_OPTIONS = ("$filter", "$select", "$expand", "$skiptoken")
_RESOURCE_OPTIONS = ("$select", "$expand")

# The pattern of an id is any part that is not empty.
_JOB = "/jobs/{}"
_TASK = f"{_JOB}/tasks/{{}}"
_TABLE: Mapping[str, Mapping[str, Operation]] = {
    "/jobs": {
        "GET": Operation("Job_List", operations.job_list, options=_LIST_OPTIONS),
        "POST": Operation("Job_Add", operations.job_add, Body.REQUIRED),
    },
    _JOB: {
        "GET": Operation("Job_Get", operations.job_get, options=_RESOURCE_OPTIONS),
        "PATCH": Operation("Job_Patch", operations.job_patch, Body.REQUIRED),
        "DELETE": Operation("Job_Delete", operations.job_delete),
    },
    f"{_JOB}/terminate": {"POST": Operation("Job_Terminate", operations.job_terminate, Body.OPTIONAL)},
    f"{_JOB}/disable": {"POST": Operation("Job_Disable", operations.job_disable, Body.REQUIRED)},
    f"{_JOB}/enable": {"POST": Operation("Job_Enable", operations.job_enable)},
    f"{_JOB}/taskcounts": {"GET": Operation("Job_GetTaskCounts", operations.job_get_task_counts)},
    f"{_JOB}/addtaskcollection": {
        "POST": Operation("Task_AddCollection", operations.task_add_collection, Body.REQUIRED)
    },
    f"{_JOB}/tasks": {
        "GET": Operation("Task_List", operations.task_list, options=_LIST_OPTIONS),
        "POST": Operation("Task_Add", operations.task_add, Body.REQUIRED),
    },
    _TASK: {
        "GET": Operation("Task_Get", operations.task_get, options=_RESOURCE_OPTIONS),
        "DELETE": Operation("Task_Delete", operations.task_delete),
    },
    f"{_TASK}/terminate": {"POST": Operation("Task_Terminate", operations.task_terminate)},
    f"{_TASK}/reactivate": {"POST": Operation("Task_Reactivate", operations.task_reactivate)},
}


def _shape(parts: list[str]) -> tuple[int | str, ...]:
    """Return the key of a path in the table: the number of its parts, and every other part."""
    return len(parts), *parts[1::2]


_ROUTES = {_shape(pattern.split("/")): verbs for pattern, verbs in _TABLE.items()}

# Resources that the service replaces by PUT; the emulator does not.
_PUT = (_shape(_JOB.split("/")), _shape(_TASK.split("/")))

# Other paths of the service, with the name of their feature.
_NOT_EMULATED = (
    (re.compile("/jobs/[^/]+/jobpreparationandreleasetaskstatus"), "preparation and release tasks"),
    (re.compile("/jobs/[^/]+/tasks/[^/]+/files(/.*)?"), "files of tasks"),
    (re.compile("/jobs/[^/]+/tasks/[^/]+/subtasksinfo"), "subtasks"),
    (
        re.compile(
            "/(applications|certificates|jobschedules|lifetimejobstats|lifetimepoolstats|nodecounts"
            "|pools|poolusagemetrics|supportedimages)([/(].*)?"
        ),
        "pools, nodes, job schedules, certificates, applications or statistics; pools are part of a scenario",
    ),
)


def resolve(method: str, path: str) -> Match:
    """Return the operation of a request.

    Args:
        method: The method.
        path: The path as it was sent, percent-encoded.

    Raises:
        Refusal: There is no such operation, or it is not emulated.
    """
    parts = path.split("/")
    shape, ids = _shape(parts), parts[2::2]
    verbs = _ROUTES.get(shape)
    if verbs is not None and not parts[0] and all(ids):
        if method == "PUT" and shape in _PUT:
            raise _not_implemented("the replacement of jobs and tasks; a job can be patched")
        if method not in verbs:
            raise Refusal("UnsupportedHttpVerb", headers=(("allow", ", ".join(verbs)),))
        job_id, task_id, *_ = (*(unquote(each) if "%" in each else each for each in ids), "", "")
        return Match(verbs[method], job_id, task_id)
    for pattern, feature in _NOT_EMULATED:
        if pattern.fullmatch(path):
            raise _not_implemented(feature)
    raise Refusal("InvalidUri")


def _not_implemented(feature: str) -> Refusal:
    return Refusal("NotImplemented", message=f"This emulator does not have {feature}.")
