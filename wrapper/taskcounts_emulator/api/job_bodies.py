"""Request bodies of Job - Add, Patch, Disable and Terminate.

Names and ranges are those of the reference of each operation, and of the models of Microsoft's clients.
Members without effect here are kept and shown as they were sent; members that would mislead are refused, as
for tasks.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from taskcounts_emulator.api.bodies import (
    Check,
    Members,
    array_of,
    choice,
    duration,
    invalid,
    kept,
    members,
    object_of,
    plain_id,
    text,
    whole_number,
)
from taskcounts_emulator.api.resources import AUTO_USER, NO_LIMIT, RETENTION
from taskcounts_emulator.api.task_bodies import (
    COMMON_TASK_MEMBERS,
    CONSTRAINTS,
    RETRIES,
    RUN_TASK_MEMBERS,
    SETTINGS,
    TaskRules,
    limits,
    new_task,
    rules_of_body,
)
from taskcounts_emulator.json_reader import any_object, boolean, show
from taskcounts_emulator.model import JobRow, NewJob, NewTask
from taskcounts_emulator.refusals import Refusal

__all__ = ["parse_changes", "parse_disable", "parse_job", "parse_terminate"]

_INT32 = 2**31 - 1


def parse_job(document: Members) -> NewJob:
    """Parse the body of Job - Add.

    Raises:
        Refusal: A member is missing, wrong or not supported.
    """
    given = members(document, "", _JOB, ("id", "poolInfo"))
    columns = _columns(given)
    acts = given.get("onTaskFailure", "noaction") != "noaction"
    rules = rules_of_body(given, TaskRules(acts_on_failure=acts))
    manager, ends = None, True
    if "jobManagerTask" in given:
        manager, ends = _manager(given["jobManagerTask"], rules, columns.get("max_retries", 0))
    for name, fill in (("jobPreparationTask", _preparation), ("jobReleaseTask", _release)):
        if name in given:
            given[name] = fill(given[name])
    return NewJob(
        id=given["id"],
        pool=_pool(given["poolInfo"]),
        uses_dependencies=given.get("usesTaskDependencies", False),
        acts_on_failure=acts,
        manager=manager,
        manager_ends_job=ends,
        kept=kept(given, _IN_COLUMNS),
        **columns,
    )


def parse_changes(document: Members, job: JobRow) -> dict[str, object]:
    """Parse the body of Job - Patch into new values of the job's columns.

    Raises:
        Refusal: A member is wrong, or cannot be changed.
    """
    given = members(document, "", _CHANGES)
    shown = json.loads(job.kept)
    if "poolInfo" in given and given["poolInfo"] != shown.get("poolInfo"):
        # Running tasks would have to move to the other pool, which is not emulated.
        raise Refusal(
            "UnsupportedProperty",
            "poolInfo",
            show(given["poolInfo"]),
            "This emulator cannot move a job to another pool",
        )
    changes: dict[str, object] = _columns(given)
    new: Members = {name: given[name] for name in ("metadata", "networkConfiguration") if name in given}
    if new:
        changes["kept"] = kept({**shown, **new})
    return changes


def parse_disable(document: Members) -> str:
    """Parse the body of Job - Disable: requeue, terminate or wait for running tasks.

    Raises:
        Refusal: The member is missing or wrong.
    """
    action: str = members(document, "", _DISABLE, ("disableTasks",))["disableTasks"]
    return action


def parse_terminate(document: Members) -> str | None:
    """Parse the body of Job - Terminate: the reason, or None.

    Raises:
        Refusal: The reason is not a string.
    """
    reason: str | None = members(document, "", _TERMINATE).get("terminateReason")
    return reason


def _columns(given: Members) -> dict[str, Any]:
    """Return the columns of a job's row that members set."""
    named = (("priority", "priority"), ("maxParallelTasks", "max_parallel"))
    columns = {column: given[name] for name, column in named if name in given}
    if "onAllTasksComplete" in given:
        columns["terminates_when_done"] = given["onAllTasksComplete"] == "terminatejob"
    if "constraints" in given:
        # A patch sets all constraints: the missing ones return to their defaults, as recorded and as the
        # reference of Job - Patch says.
        max_retries, columns["max_seconds"] = limits(given["constraints"])
        columns["max_retries"] = max_retries or 0
    return columns


def _manager(given: Members, rules: TaskRules, max_retries: int) -> tuple[NewTask, bool]:
    """Return a job manager task with the service's defaults, and whether the job ends with it.

    Its wish for an exclusive node has no effect: the emulator has no nodes.
    """
    if rules.preparation == given["id"].lower():
        raise Refusal("TaskIdSameAsJobPreparationTask")
    given["constraints"] = _constraints(max_retries) | given.get("constraints", {})
    given.setdefault("requiredSlots", 1)
    given.setdefault("userIdentity", AUTO_USER)
    for name in _MANAGER_MEMBERS:
        given.setdefault(name, True)
    return new_task(given, rules, _MANAGER_MEMBERS), given["killJobOnCompletion"]


def _preparation(given: Members) -> Members:
    """Return a preparation task with the service's defaults.

    It is not run; the pool determines the time of preparation.
    """
    return {
        "id": "jobpreparation",
        "userIdentity": AUTO_USER,
        "waitForSuccess": True,
        "rerunOnNodeRebootAfterSuccess": True,
        **given,
        "constraints": _constraints(0) | given.get("constraints", {}),
    }


def _release(given: Members) -> Members:
    """Return a release task with the service's defaults; it is not run."""
    times = {"maxWallClockTime": "PT15M", "retentionTime": RETENTION}
    return {"id": "jobrelease", "userIdentity": AUTO_USER, **times, **given}


def _constraints(max_retries: int) -> Members:
    return {"maxWallClockTime": NO_LIMIT, "retentionTime": RETENTION, "maxTaskRetryCount": max_retries}


def _pool(given: Members) -> str:
    """Return the id of a job's pool; that of an automatic pool is made as the service makes it."""
    if ("poolId" in given) == ("autoPoolSpecification" in given):
        invalid("poolInfo", given, "must have either poolId or autoPoolSpecification")
    if "poolId" in given:
        return str(given["poolId"])
    prefix = given["autoPoolSpecification"].get("autoPoolIdPrefix")
    number = str(uuid.uuid4()).upper()
    return number if prefix is None else f"{prefix}_{number}"


def _parallel(value: Any, path: str) -> int:
    """Return the limit of parallel tasks; -1 means any number, and 0 is not allowed."""
    number: int = whole_number(-1, _INT32)(value, path)
    if number == 0:
        invalid(path, value, "must be -1 or greater than 0")
    return number


def _no_preemption(value: Any, path: str) -> bool:
    if boolean(value, path):
        # The emulator never stops a running task for a job of higher priority.
        raise Refusal(
            "UnsupportedProperty", path, "true", "In this emulator no task that runs gives way to another"
        )
    return False


def _auto_pool(value: Any, path: str) -> Members:
    """Return the description of an automatic pool, of which only the id prefix is used."""
    given = any_object(value, path)
    prefix = given.get("autoPoolIdPrefix")
    # The longest that the reference permits.
    if prefix is not None and len(plain_id(prefix, f"{path}.autoPoolIdPrefix")) > 20:
        invalid(f"{path}.autoPoolIdPrefix", prefix, "must have at most 20 characters")
    return given


_CHANGES: dict[str, Check] = {
    "priority": whole_number(-1000, 1000),
    "maxParallelTasks": _parallel,
    "allowTaskPreemption": _no_preemption,
    "onAllTasksComplete": choice("noaction", "terminatejob"),
    "constraints": object_of({"maxWallClockTime": duration, "maxTaskRetryCount": RETRIES}),
    "poolInfo": object_of({"poolId": plain_id, "autoPoolSpecification": _auto_pool}),
    "metadata": array_of(object_of({"name": text, "value": text}, ("name", "value"))),
    "networkConfiguration": any_object,
}
_MANAGER_MEMBERS: dict[str, Check] = {
    "runExclusive": boolean,
    "allowLowPriorityNode": boolean,
    "killJobOnCompletion": boolean,
}
_JOB: dict[str, Check] = {
    "id": plain_id,
    "displayName": text,
    **_CHANGES,
    "usesTaskDependencies": boolean,
    "onTaskFailure": choice("noaction", "performexitoptionsjobaction"),
    "jobManagerTask": object_of({**RUN_TASK_MEMBERS, **_MANAGER_MEMBERS}, ("id", "commandLine")),
    "jobPreparationTask": object_of(
        {
            **COMMON_TASK_MEMBERS,
            "constraints": CONSTRAINTS,
            "waitForSuccess": boolean,
            "rerunOnNodeRebootAfterSuccess": boolean,
        },
        ("commandLine",),
    ),
    "jobReleaseTask": object_of(
        {**COMMON_TASK_MEMBERS, "maxWallClockTime": duration, "retentionTime": duration}, ("commandLine",)
    ),
    "commonEnvironmentSettings": SETTINGS,
}
# Members with columns of their own; preemption is always off and needs none.
_IN_COLUMNS = (
    "id", "priority", "maxParallelTasks", "allowTaskPreemption", "onAllTasksComplete", "constraints",
    "usesTaskDependencies", "onTaskFailure",
)  # fmt: skip
_DISABLE: dict[str, Check] = {"disableTasks": choice("requeue", "terminate", "wait")}
_TERMINATE: dict[str, Check] = {"terminateReason": text}
