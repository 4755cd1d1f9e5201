"""Which operation a request is for: one table of paths and verbs.

The service has more than this emulator: what it has and isn't here is told apart from what nobody has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote

from taskcounts.emulator import refusals
from taskcounts.emulator.api import operations
from taskcounts.emulator.api.operations import Handler

__all__ = ["Body", "Match", "Operation", "resolve"]


class Body(Enum):
    """Whether an operation has a body."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is emulated.

    Attributes:
        name: Its name in the service's description.
        handler: What answers it.
        body: Whether it has a body.
        options: The query options of OData that it has.
    """

    name: str
    handler: Handler
    body: Body = Body.NONE
    options: tuple[str, ...] = ()


class Match(NamedTuple):
    """An operation, and the ids of its path, decoded; empty where it has none."""

    operation: Operation
    job_id: str
    task_id: str


_OF_LISTS = ("$filter", "$select", "$expand", "$skiptoken")
_OF_RESOURCES = ("$select", "$expand")

_JOB = "/jobs/([^/]+)"
_TASK = f"{_JOB}/tasks/([^/]+)"
_TABLE: Mapping[str, Mapping[str, Operation]] = {
    "/jobs": {
        "GET": Operation("Job_List", operations.job_list, options=_OF_LISTS),
        "POST": Operation("Job_Add", operations.job_add, Body.REQUIRED),
    },
    _JOB: {
        "GET": Operation("Job_Get", operations.job_get, options=_OF_RESOURCES),
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
        "GET": Operation("Task_List", operations.task_list, options=_OF_LISTS),
        "POST": Operation("Task_Add", operations.task_add, Body.REQUIRED),
    },
    _TASK: {
        "GET": Operation("Task_Get", operations.task_get, options=_OF_RESOURCES),
        "DELETE": Operation("Task_Delete", operations.task_delete),
    },
    f"{_TASK}/terminate": {"POST": Operation("Task_Terminate", operations.task_terminate)},
    f"{_TASK}/reactivate": {"POST": Operation("Task_Reactivate", operations.task_reactivate)},
}
_ROUTES = tuple((re.compile(pattern), verbs) for pattern, verbs in _TABLE.items())

# What the service replaces as a whole, and this emulator doesn't.
_PUT = (_JOB, _TASK)

# Paths that the service has besides.
_ELSEWHERE = (
    (re.compile(f"{_JOB}/jobpreparationandreleasetaskstatus"), "preparation and release tasks"),
    (re.compile(f"{_TASK}/files(/.*)?"), "files of tasks"),
    (re.compile(f"{_TASK}/subtasksinfo"), "subtasks"),
    (
        re.compile(
            "/(applications|certificates|jobschedules|lifetimejobstats|lifetimepoolstats|nodecounts"
            "|pools|poolusagemetrics|supportedimages)([/(].*)?"
        ),
        "pools, nodes, job schedules, certificates, applications or statistics; pools are part of a scenario",
    ),
)


def resolve(method: str, path: str) -> Match:
    """Return which operation a request is for.

    Args:
        method: The verb.
        path: The path as it was sent, percent-encoded.

    Raises:
        Refusal: None; or one that the service has and this emulator doesn't.
    """
    for pattern, verbs in _ROUTES:
        if match := pattern.fullmatch(path):
            if method == "PUT" and pattern.pattern in _PUT:
                raise refusals.not_implemented("the replacement of jobs and tasks; a job can be patched")
            if method not in verbs:
                raise refusals.unsupported_verb(verbs)
            job_id, task_id, *_ = (*map(unquote, match.groups()), "", "")
            return Match(verbs[method], job_id, task_id)
    for place, what in _ELSEWHERE:
        if place.fullmatch(path):
            raise refusals.not_implemented(what)
    raise refusals.invalid_uri()
