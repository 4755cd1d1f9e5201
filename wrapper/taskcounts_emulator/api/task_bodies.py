"""Request bodies of Task - Add and Task - Add Collection.

Names and ranges are those of the reference of Task - Add, and of the models of Microsoft's clients. Members
without effect here are kept and shown as they were sent. Members that would change when a task runs, and are
not emulated, are refused: ignoring them would mislead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

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
from taskcounts_emulator.api.resources import NO_LIMIT
from taskcounts_emulator.api.timestamps import parse_duration
from taskcounts_emulator.json_reader import any_object, array
from taskcounts_emulator.model import MAX_SLOTS, JobRow, NewTask
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.state.sampling import MAX_SECONDS
from taskcounts_emulator.versions import ApiVersion

__all__ = [
    "COMMON_TASK_MEMBERS",
    "CONSTRAINTS",
    "MAX_TASKS_AT_ONCE",
    "RETRIES",
    "RUN_TASK_MEMBERS",
    "SETTINGS",
    "TaskRules",
    "limits",
    "new_task",
    "parse_task",
    "parse_tasks",
    "rules_of_body",
    "rules_of_job",
]

MAX_TASKS_AT_ONCE = 100

# Environment variables, of a task or of its job for all tasks, that determine the emulated runs.
SECONDS, EXIT_CODES = "TASKCOUNTS_SECONDS", "TASKCOUNTS_EXIT_CODES"

_INT32 = 2**31 - 1
_MAX_DEPENDENCIES = 64_000  # Characters of all ids together.
_MAX_EXIT_CODES = 1_000

_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_EXIT_CODE = re.compile(r" *(-?[0-9]{1,10}) *")

# A float cannot represent the last digits.
_ENDLESS = float(int(parse_duration(NO_LIMIT) or 0))


class TaskRules(NamedTuple):
    """The settings of a job that apply to its tasks.

    Attributes:
        uses_dependencies: Whether tasks may depend on each other.
        acts_on_failure: Whether exit conditions of tasks may act on the job.
        preparation: The id of the job's preparation task, in lower case; None without one.
        seconds: The duration of runs of tasks that have none of their own, in seconds.
        exit_codes: The exit codes of runs of tasks that have none of their own.
    """

    uses_dependencies: bool = False
    acts_on_failure: bool = False
    preparation: str | None = None
    seconds: float | None = None
    exit_codes: tuple[int, ...] = ()


def rules_of_job(job: JobRow) -> TaskRules:
    """Return the task rules of a job."""
    rules = TaskRules(bool(job.uses_dependencies), bool(job.acts_on_failure))
    # Most jobs have neither, and their JSON need not be read.
    if "jobPreparationTask" in job.kept or "TASKCOUNTS_" in job.kept:
        return rules_of_body(json.loads(job.kept), rules)
    return rules


def rules_of_body(given: Members, rules: TaskRules) -> TaskRules:
    """Return task rules, extended by the members of a job."""
    preparation = None
    if "jobPreparationTask" in given:
        preparation = given["jobPreparationTask"].get("id", "jobpreparation").lower()
    seconds, exit_codes = _run_overrides(
        given.get("commonEnvironmentSettings", ()), "commonEnvironmentSettings", None, ()
    )
    return rules._replace(preparation=preparation, seconds=seconds, exit_codes=exit_codes)


def parse_tasks(document: Members) -> list[Members]:
    """Parse the body of Task - Add Collection into tasks, each with an id and otherwise unchecked.

    Raises:
        Refusal: The body is not a collection, or the collection is too large.
    """
    found: list[Members] = members(document, "", {"value": _collection}, ("value",))["value"]
    return found


def parse_task(document: Members, rules: TaskRules, version: ApiVersion) -> NewTask:
    """Parse a task to be added to a job.

    Raises:
        Refusal: A member is missing, wrong or not supported.
    """
    known = _TASK if version.task_slots else _TASK_WITHOUT_SLOTS
    given = members(document, "", known, ("id", "commandLine"))
    if rules.preparation is not None and given["id"].lower() == rules.preparation:
        raise Refusal("TaskIdSameAsJobPreparationTask")
    new = new_task(given, rules)
    if "exitConditions" in given:
        _check_actions(given["exitConditions"], rules)
        new = new._replace(exit_conditions=given["exitConditions"])
    if "dependsOn" in given:
        ids, ranges = _dependencies(given["dependsOn"])
        new = new._replace(depends_on=ids, depends_on_ranges=ranges)
    return new


def new_task(given: Members, rules: TaskRules, left_out: Collection[str] = ()) -> NewTask:
    """Return the task of checked members.

    Args:
        given: The members.
        rules: The task rules of its job.
        left_out: Names of members that are none of a task's.

    Raises:
        Refusal: An environment variable for its runs is invalid.
    """
    seconds, exit_codes = rules.seconds, rules.exit_codes
    if "environmentSettings" in given:
        seconds, exit_codes = _run_overrides(
            given["environmentSettings"], "environmentSettings", seconds, exit_codes
        )
    max_retries, max_seconds = limits(given["constraints"]) if "constraints" in given else (None, None)
    return NewTask(
        given["id"],
        slots=given.get("requiredSlots", 1),
        max_retries=max_retries,
        max_seconds=max_seconds,
        seconds=seconds,
        exit_codes=exit_codes,
        kept=kept(given, ("id", "requiredSlots", *left_out)),
    )


def limits(constraints: Members) -> tuple[int | None, float | None]:
    """Return the retries, and the maximum time in seconds, of a task or job."""
    seconds = parse_duration(constraints.get("maxWallClockTime", NO_LIMIT))
    endless = seconds is None or seconds >= _ENDLESS
    return constraints.get("maxTaskRetryCount"), None if endless else seconds


def _collection(value: Any, path: str) -> list[Members]:
    """Return the tasks of a collection; a result names its task by the id, so each must have one."""
    tasks = array(value, path)
    if len(tasks) > MAX_TASKS_AT_ONCE:
        raise Refusal("RequestBodyTooLarge", f"{MAX_TASKS_AT_ONCE} tasks")
    for index, task in enumerate(tasks):
        if any_object(task, f"{path}[{index}]").get("id") is None:
            raise Refusal("MissingRequiredProperty", f"{path}[{index}].id")
        text(task["id"], f"{path}[{index}].id")
    return list(tasks)


def _dependencies(given: Members) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Return the ids and the ranges of ids that a task depends on."""
    ids = given.get("taskIds", ())
    if sum(map(len, ids)) > _MAX_DEPENDENCIES:
        raise Refusal("TaskDependencyListTooLong", str(_MAX_DEPENDENCIES))
    ranges = tuple((each["start"], each["end"]) for each in given.get("taskIdRanges", ()))
    for low, high in ranges:
        if low > high:
            invalid("dependsOn.taskIdRanges", f"{low} to {high}", "must begin with the smaller number")
    return tuple(ids), ranges


def _check_actions(conditions: Members, rules: TaskRules) -> None:
    """Refuse exit actions that the job does not allow (see ExitOptions in the reference)."""
    mapped = [*conditions.get("exitCodes", ()), *conditions.get("exitCodeRanges", ())]
    options = [each["exitOptions"] for each in mapped]
    options += [conditions[name] for name in _OTHER_CONDITIONS if name in conditions]
    for option in options:
        if "jobAction" in option and not rules.acts_on_failure:
            invalid(
                "exitOptions.jobAction",
                option["jobAction"],
                "needs a job whose onTaskFailure is performexitoptionsjobaction",
            )
        if "dependencyAction" in option and not rules.uses_dependencies:
            invalid(
                "exitOptions.dependencyAction",
                option["dependencyAction"],
                "needs a job whose usesTaskDependencies is true",
            )


def _run_overrides(
    settings: Iterable[Members], path: str, seconds: float | None, exit_codes: tuple[int, ...]
) -> tuple[float | None, tuple[int, ...]]:
    """Return the duration and exit codes that environment variables set, or else the given ones."""
    for setting in settings:
        name = setting["name"]
        if name == SECONDS:
            value = setting.get("value", "")
            if not _SECONDS.fullmatch(value) or float(value) > MAX_SECONDS:
                invalid(f"{path}.{name}", value, f"must be a number of seconds from 0 to {MAX_SECONDS:.0f}")
            seconds = float(value)
        elif name == EXIT_CODES:
            exit_codes = _exit_codes(setting.get("value", ""), f"{path}.{name}")
    return seconds, exit_codes


def _exit_codes(value: str, path: str) -> tuple[int, ...]:
    parts = value.split(",", _MAX_EXIT_CODES)
    codes = [int(match[1]) for part in parts if (match := _EXIT_CODE.fullmatch(part))]
    fit = all(-_INT32 <= code <= _INT32 for code in codes)
    if not fit or len(codes) < len(parts) or len(codes) > _MAX_EXIT_CODES:
        invalid(path, value, f"must be 1 to {_MAX_EXIT_CODES} exit codes with commas between them")
    return tuple(codes)


def _one_instance(value: Any, path: str) -> Members:
    """Return multi-instance settings, if they demand one instance."""
    given: Members = _INSTANCES(value, path)
    if (number := given.get("numberOfInstances", 1)) > 1:
        # Such a task starts when several nodes are free at once, and the emulator has no nodes.
        raise Refusal(
            "UnsupportedProperty",
            "numberOfInstances",
            str(number),
            "This emulator runs each task in one instance",
        )
    return given


_NUMBER = whole_number(-_INT32 - 1, _INT32)
_FROM_ZERO = whole_number(0, _INT32)
_INSTANCES = object_of(
    {
        "numberOfInstances": whole_number(1, _INT32),
        "coordinationCommandLine": text,
        "commonResourceFiles": array,
    },
    ("coordinationCommandLine",),
)
_OPTIONS = object_of(
    {"jobAction": choice("none", "disable", "terminate"), "dependencyAction": choice("satisfy", "block")}
)
_RANGE = {"start": _NUMBER, "end": _NUMBER, "exitOptions": _OPTIONS}
_OTHER_CONDITIONS = ("preProcessingError", "fileUploadError", "default")

RETRIES = whole_number(-1, _INT32)
SETTINGS = array_of(object_of({"name": text, "value": text}, ("name",)))
CONSTRAINTS = object_of(
    {"maxWallClockTime": duration, "retentionTime": duration, "maxTaskRetryCount": RETRIES}
)
# Members of all kinds of tasks, including preparation and release tasks.
COMMON_TASK_MEMBERS: dict[str, Check] = {
    "id": plain_id,
    "commandLine": text,
    "containerSettings": any_object,
    "resourceFiles": array,
    "environmentSettings": SETTINGS,
    "userIdentity": any_object,
}
# Members of tasks and job manager tasks.
RUN_TASK_MEMBERS: dict[str, Check] = {
    **COMMON_TASK_MEMBERS,
    "displayName": text,
    "outputFiles": array,
    "constraints": CONSTRAINTS,
    "requiredSlots": whole_number(1, MAX_SLOTS),
    "applicationPackageReferences": array,
    "authenticationTokenSettings": any_object,
}
_TASK: dict[str, Check] = {
    **RUN_TASK_MEMBERS,
    "exitConditions": object_of(
        {
            "exitCodes": array_of(
                object_of({"code": _NUMBER, "exitOptions": _OPTIONS}, ("code", "exitOptions"))
            ),
            "exitCodeRanges": array_of(object_of(_RANGE, tuple(_RANGE))),
            **dict.fromkeys(_OTHER_CONDITIONS, _OPTIONS),
        }
    ),
    "affinityInfo": any_object,
    "multiInstanceSettings": _one_instance,
    "dependsOn": object_of(
        {
            "taskIds": array_of(plain_id),
            "taskIdRanges": array_of(object_of({"start": _FROM_ZERO, "end": _FROM_ZERO}, ("start", "end"))),
        }
    ),
}
_TASK_WITHOUT_SLOTS = {name: check for name, check in _TASK.items() if name != "requiredSlots"}
