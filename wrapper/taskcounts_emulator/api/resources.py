"""Jobs and tasks as JSON members of responses.

Members without a value are left out, as in the service's responses. Members that the emulator does not use
are in a row's ``kept`` as JSON, and are shown as they were sent; they are parsed only when they are selected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from taskcounts_emulator.api.timestamps import etag, http_date, timestamp
from taskcounts_emulator.model import JobRow, TaskRow, TaskState
from taskcounts_emulator.responses import ResourceVersion
from taskcounts_emulator.versions import ApiVersion

__all__ = [
    "AUTO_USER",
    "JOB_MEMBERS",
    "NO_LIMIT",
    "RETENTION",
    "JobView",
    "TaskView",
    "duration",
    "task_members",
    "version",
]

# The service's values for no limit, and for members that the caller left out.
NO_LIMIT = "P10675199DT2H48M5.4775807S"
RETENTION = "P7D"
AUTO_USER = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}

_STATES = ("active", "preparing", "running", "completed", "completed")
_RESULTS = (None, None, None, "success", "failure")

# The message and details by the code of a failure, as seen in public threads.
_FAILURES: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "FailureExitCode": (
        "The task exited with an exit code representing a failure",
        (
            ("Message", "The task process exited with an unexpected exit code"),
            ("AdditionalErrorCode", "FailureExitCode"),
        ),
    ),
    "TaskEnded": ("Task Was Ended by User Request", ()),
}

# The members that come from a row's `kept`.
_TASK_KEPT_MEMBERS = (
    "displayName", "commandLine", "containerSettings", "exitConditions", "resourceFiles", "outputFiles",
    "environmentSettings", "affinityInfo", "userIdentity", "multiInstanceSettings", "dependsOn",
    "applicationPackageReferences", "authenticationTokenSettings", "constraints",
)  # fmt: skip
_JOB_KEPT_MEMBERS = (
    "displayName", "jobManagerTask", "jobPreparationTask", "jobReleaseTask", "commonEnvironmentSettings",
    "poolInfo", "networkConfiguration", "metadata",
)  # fmt: skip

_Members = dict[str, Any]
_TaskGetter = Callable[[TaskRow, str], object]
_JobGetter = Callable[[JobRow, str], object]


def version(row: JobRow | TaskRow) -> ResourceVersion:
    """Return the version of a resource, for the headers of a response."""
    return ResourceVersion(etag(row.modified, row.number), http_date(row.modified))


def task_members(version: ApiVersion) -> frozenset[str]:
    """Return the members of tasks that can be selected at an api-version."""
    return _TASK_MEMBERS if version.task_slots else _TASK_MEMBERS_WITHOUT_SLOTS


def duration(seconds: float | None) -> str:
    """Return a duration in the service's form, such as ``P1DT2H0.5S``; None means no limit."""
    if seconds is None:
        return NO_LIMIT
    ticks = round(seconds * 10_000_000)
    whole, fraction = divmod(ticks, 10_000_000)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    last = f"{rest}.{fraction:07}".rstrip("0").rstrip(".")
    date = f"P{days}D" if days else "P"
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
    time += f"{last}S" if last != "0" else ""
    return f"{date}T{time}" if time else date if days else "PT0S"


class TaskView:
    """Converts the tasks of a job into members of one response.

    Args:
        job: The job.
        endpoint: The URL of the service as the caller knows it, without a slash at the end.
        selection: The names of the selected members.
    """

    def __init__(self, job: JobRow, endpoint: str, selection: Collection[str]) -> None:
        self._place = f"{endpoint}/jobs/{job.id}/tasks/"
        self._constraints: _Members = {
            "maxWallClockTime": NO_LIMIT,
            "retentionTime": RETENTION,
            "maxTaskRetryCount": job.max_retries,
        }
        # Defaults of members that every task has, for tasks of scenarios.
        self._defaults: _Members = {"commandLine": "", "userIdentity": AUTO_USER, "constraints": {}}
        self._getters = {name: get for name, get in _TASK.items() if name in selection}
        self._kept = [name for name in _TASK_KEPT_MEMBERS if name in selection]

    def members(self, row: TaskRow) -> _Members:
        """Return the members of a task."""
        found = {
            name: value for name, get in self._getters.items() if (value := get(row, self._place)) is not None
        }
        if self._kept:
            kept = {**self._defaults, **json.loads(row.kept)}
            # The caller may have set only some of the limits.
            kept["constraints"] = {**self._constraints, **kept["constraints"]}
            found |= {name: value for name, value in kept.items() if name in self._kept}
        return found


class JobView:
    """Converts jobs into members of one response.

    Args:
        endpoint: The URL of the service as the caller knows it, without a slash at the end.
        selection: The names of the selected members.
    """

    def __init__(self, endpoint: str, selection: Collection[str]) -> None:
        self._endpoint = endpoint
        self._getters = {name: get for name, get in _JOB.items() if name in selection}
        self._kept = [name for name in _JOB_KEPT_MEMBERS if name in selection]

    def members(self, row: JobRow) -> _Members:
        """Return the members of a job."""
        found = {
            name: value
            for name, get in self._getters.items()
            if (value := get(row, self._endpoint)) is not None
        }
        if self._kept:
            found |= {name: value for name, value in json.loads(row.kept).items() if name in self._kept}
        return found


def _time_if(us: int | None) -> str | None:
    return None if us is None else timestamp(us)


def _execution(row: TaskRow) -> _Members:
    """Return the execution information of a task."""
    members: _Members = {}
    if row.started is not None:
        members["startTime"] = timestamp(row.started)
    if row.ended is not None:
        members["endTime"] = timestamp(row.ended)
    if row.exit_code is not None:
        members["exitCode"] = row.exit_code
    if row.failure is not None:
        members["failureInfo"] = _failure(row.failure)
    if row.state >= TaskState.SUCCEEDED:
        members["result"] = _RESULTS[row.state]
    members["retryCount"] = row.retries
    if row.last_retry is not None:
        members["lastRetryTime"] = timestamp(row.last_retry)
    members["requeueCount"] = row.requeues
    if row.last_requeue is not None:
        members["lastRequeueTime"] = timestamp(row.last_requeue)
    return members


def _failure(code: str) -> _Members:
    message, details = _FAILURES.get(code, (code, ()))
    members: _Members = {"category": "usererror", "code": code, "message": message}
    if details:
        members["details"] = [{"name": name, "value": value} for name, value in details]
    return members


def _job_execution(row: JobRow) -> _Members:
    # The reference defines the start time as "the time at which the job was created".
    members: _Members = {"startTime": timestamp(row.created)}
    if row.ended is not None:
        members["endTime"] = timestamp(row.ended)
    if row.pool is not None:
        members["poolId"] = row.pool
    if row.terminate_reason is not None:
        members["terminateReason"] = row.terminate_reason
    return members


_TASK: Mapping[str, _TaskGetter] = {
    "id": lambda row, _: row.id,
    "url": lambda row, place: place + row.id,
    "eTag": lambda row, _: etag(row.modified, row.number),
    "creationTime": lambda row, _: timestamp(row.created),
    "lastModified": lambda row, _: timestamp(row.modified),
    "state": lambda row, _: _STATES[row.state],
    "stateTransitionTime": lambda row, _: timestamp(row.changed),
    "previousState": lambda row, _: None if row.previous is None else _STATES[row.previous],
    "previousStateTransitionTime": lambda row, _: _time_if(row.previous_changed),
    "requiredSlots": lambda row, _: row.slots,
    "executionInfo": lambda row, _: _execution(row),
}
_JOB: Mapping[str, _JobGetter] = {
    "id": lambda row, _: row.id,
    "url": lambda row, endpoint: f"{endpoint}/jobs/{row.id}",
    "eTag": lambda row, _: etag(row.modified, row.number),
    "lastModified": lambda row, _: timestamp(row.modified),
    "creationTime": lambda row, _: timestamp(row.created),
    "state": lambda row, _: row.state,
    "stateTransitionTime": lambda row, _: timestamp(row.changed),
    "previousState": lambda row, _: row.previous,
    "previousStateTransitionTime": lambda row, _: _time_if(row.previous_changed),
    "priority": lambda row, _: row.priority,
    "maxParallelTasks": lambda row, _: row.max_parallel,
    "usesTaskDependencies": lambda row, _: bool(row.uses_dependencies),
    "allowTaskPreemption": lambda _row, _: False,
    "constraints": lambda row, _: {
        "maxWallClockTime": duration(row.max_seconds),
        "maxTaskRetryCount": row.max_retries,
    },
    "executionInfo": lambda row, _: _job_execution(row),
    "onAllTasksComplete": lambda row, _: "terminatejob" if row.terminates_when_done else "noaction",
    "onTaskFailure": lambda row, _: "performexitoptionsjobaction" if row.acts_on_failure else "noaction",
}

# The members that can be selected, including some of the service that the emulator never has.
_TASK_MEMBERS = frozenset((*_TASK, *_TASK_KEPT_MEMBERS, "nodeInfo", "stats"))
_TASK_MEMBERS_WITHOUT_SLOTS = _TASK_MEMBERS - {"requiredSlots"}
JOB_MEMBERS = frozenset((*_JOB, *_JOB_KEPT_MEMBERS, "stats"))
