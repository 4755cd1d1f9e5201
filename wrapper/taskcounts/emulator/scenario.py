"""Scenarios: the jobs and tasks that an emulated account begins with, told in JSON.

A scenario is read whole before any of it is used, so a bad one changes nothing::

    {"jobs": [{"id": "nightly-render",
               "tasks": [{"count": 5},
                         {"count": 7, "state": "running", "requiredSlots": 2},
                         {"id": "t1", "state": "completed", "result": "failure"}]}]}

A job needs an ``id``; its ``tasks`` may be missing. An entry of ``tasks`` stands for ``count`` tasks
alike (default 1) in a ``state`` (default active: active, preparing, running, completed), each in need
of ``requiredSlots`` (default 1, at most 256). A ``result`` (success, failure) is required for completed
tasks and refused for others. A task without an ``id`` is given one.
"""

from __future__ import annotations

from collections.abc import Iterator

from taskcounts.emulator import documents
from taskcounts.emulator.errors import EmulatorError
from taskcounts.emulator.model import (
    JOB_ID,
    MAX_SLOTS,
    MAX_TASKS,
    RESULTS,
    STATES,
    TASK_ID,
    NewJob,
    NewTasks,
)

__all__ = ["parse_job", "parse_scenario", "task_ids"]


def parse_scenario(source: object) -> tuple[NewJob, ...]:
    """Return the jobs of a scenario.

    Args:
        source: JSON as text or bytes, or what such a text decodes to.

    Raises:
        EmulatorError: It is no scenario. The message names the place, such as ``jobs[0].tasks[2].state``.
    """
    document = documents.read_json(source) if isinstance(source, str | bytes) else source
    found = documents.members(document, "scenario", ("jobs",))
    if "jobs" not in found:
        raise EmulatorError("scenario: the member 'jobs' is missing")
    jobs = []
    seen: dict[str, str] = {}
    total = 0
    for index, entry in enumerate(documents.array(found["jobs"], "jobs")):
        path = f"jobs[{index}]"
        given = documents.members(entry, path, ("id", "tasks"))
        if "id" not in given:
            raise EmulatorError(f"{path}: the member 'id' is missing")
        job = parse_job(given["id"], given.get("tasks", ()), f"{path}.id", f"{path}.tasks")
        # Ids that differ in case alone are one id to the service.
        if earlier := seen.get(job.id.lower()):
            raise EmulatorError(f"{path}.id: {job.id!r} is the id of {earlier} already")
        seen[job.id.lower()] = path
        jobs.append(job)
        total += sum(group.count for group in job.tasks)
        if total > MAX_TASKS:
            # A few words ask for any number of tasks, and adding them keeps callers waiting.
            raise EmulatorError(f"{path}.tasks: a scenario has at most {MAX_TASKS} tasks; this makes {total}")
    return tuple(jobs)


def parse_job(job_id: object, tasks: object, id_path: str = "job_id", tasks_path: str = "tasks") -> NewJob:
    """Return a job from its id and the entries of its tasks, as a scenario has them.

    Args:
        job_id: The id of the job.
        tasks: The array of task entries.
        id_path: What errors call the id.
        tasks_path: What errors call the tasks.

    Raises:
        EmulatorError: One of them is wrong; the message names the place.
    """
    known = documents.text(job_id, id_path)
    if not JOB_ID.fullmatch(known):
        raise EmulatorError(
            f"{id_path}: {documents.show(known)} is no job id "
            "(1 to 64 letters, digits, '-' and '_'; ':job-1' may follow)"
        )
    groups: list[NewTasks] = []
    seen: dict[str, str] = {}
    total = 0
    for index, entry in enumerate(documents.array(tasks, tasks_path)):
        path = f"{tasks_path}[{index}]"
        group = _tasks(entry, path)
        total += group.count
        if total > MAX_TASKS:
            raise EmulatorError(f"{path}.count: a job has at most {MAX_TASKS} tasks here; this makes {total}")
        if group.id is not None:
            if earlier := seen.get(group.id.lower()):
                raise EmulatorError(f"{path}.id: {group.id!r} is the id of {earlier} already")
            seen[group.id.lower()] = path
        groups.append(group)
    return NewJob(known, tuple(groups))


def task_ids(job: NewJob) -> Iterator[tuple[str, NewTasks]]:
    """Yield an id for every single task of a job: its own, or ``task-1``, ``task-2`` and so on."""
    taken = {group.id.lower() for group in job.tasks if group.id is not None}
    number = 0
    for group in job.tasks:
        if group.id is not None:
            yield group.id, group
            continue
        for _ in range(group.count):
            number += 1
            while f"task-{number}" in taken:
                number += 1
            yield f"task-{number}", group


def _tasks(entry: object, path: str) -> NewTasks:
    given = documents.members(entry, path, ("count", "id", "state", "result", "requiredSlots"))
    count = documents.whole_number(given.get("count", 1), f"{path}.count", 1, MAX_TASKS)
    state = _one_of(given.get("state", "active"), f"{path}.state", STATES)
    slots = documents.whole_number(given.get("requiredSlots", 1), f"{path}.requiredSlots", 1, MAX_SLOTS)
    result = None
    if state == "completed":
        if "result" not in given:
            raise EmulatorError(f"{path}.result: a completed task needs one, success or failure")
        result = _one_of(given["result"], f"{path}.result", RESULTS)
    elif "result" in given:
        raise EmulatorError(f"{path}.result: only a completed task has one; this one is {state}")
    task_id = None
    if "id" in given:
        task_id = documents.text(given["id"], f"{path}.id")
        if not TASK_ID.fullmatch(task_id):
            raise EmulatorError(
                f"{path}.id: {documents.show(task_id)} is no task id (1 to 64 letters, digits, '-' and '_')"
            )
        if count != 1:
            raise EmulatorError(f"{path}.id: {count} tasks cannot share an id")
    return NewTasks(count, task_id, state, result, slots)


def _one_of(value: object, path: str, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise EmulatorError(f"{path}: must be one of {', '.join(choices)}, not {documents.show(value)}")
    return value
