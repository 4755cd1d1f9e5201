"""The checks of a client: `CHECKS`, in the order in which they run, since each leaves traces for the next.

A check gets the client and a `See`, which compares what the client shows with what it should show.
"""

from __future__ import annotations

import contextlib
import datetime
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from interop.clients.client import PAUSE
from interop.clients.report import See, report

__all__ = ["CHECKS", "run"]

# An adapter: see `client.Client`.
Client = Any
Check = Callable[[Client, See], None]

WRONG_KEY = "d3Jvbmc="

JOBS = [f"job-{number}" for number in range(1, 6)]
MANY = [f"many-{number:03}" for number in range(250)]

# Ten tasks of job-1, and an id that no task can have: a page's link has to carry it through every encoding.
HARD_FILTER = "state eq 'active' and (startswith(id, 'many-24') or id eq 'a+b & c=d%2F''é')"

# The status of each of the service's refusals; the one without a code is that of an unchanged job.
STATUS = {
    None: 304,
    "AuthenticationFailed": 403,
    "ConditionNotMet": 412,
    "InvalidQueryParameterValue": 400,
    "JobCompleted": 409,
    "JobExists": 409,
    "JobNotFound": 404,
    "TaskCompleted": 409,
    "TaskExists": 409,
    "TaskNotCompleted": 409,
    "TaskNotFound": 404,
    "TaskSucceeded": 409,
    "UnsupportedProperty": 400,
}


def refused(client: Client, see: See, code: str | None, call: str, *given: object, **options: object) -> None:
    """Make a call that has to be refused, and see the client's own error for it."""
    try:
        getattr(client, call)(*given, **options)
    except client.error as error:
        client.see_refusal(see, error, STATUS[code], code)
    else:
        raise AssertionError("it was not refused")


def refusal(code: str, call: str, *given: object, **options: object) -> Check:
    """Return the check of a call that has to be refused."""
    return lambda client, see: refused(client, see, code, call, *given, **options)


def see_members(client: Client, see: See, thing: object, expected: Mapping[str, object]) -> None:
    """See members of a job, of a task or of a result."""
    for path, value in expected.items():
        see(path, client.read(thing, path), value)


def see_recent(client: Client, see: See, thing: object) -> None:
    """See that something was created just now; on a busy machine az comes here minutes later."""
    age = datetime.datetime.now(datetime.UTC) - client.read(thing, "creation_time")
    see.holds("a recent time", abs(age) < datetime.timedelta(minutes=10))


def ids(client: Client, things: Iterable[object]) -> list[str]:
    """Return the ids of jobs or tasks, in their order."""
    return [client.read(each, "id") for each in things]


def counted(client: Client, job_id: str) -> dict[str, int]:
    """Return the counts of a job's tasks that aren't 0."""
    counts = client.members(client.task_counts(client.get_job_task_counts(job_id)))
    return {name: count for name, count in counts.items() if count}


def eventually(seconds: float, look: Callable[[], Any], right: Callable[[Any], bool]) -> Any:
    """Look again and again until the result is right or the time is over, and return the last result."""
    until = time.monotonic() + seconds
    while not right(shown := look()) and time.monotonic() < until:
        time.sleep(PAUSE)
    return shown


def see_state(client: Client, see: See, job_id: str, state: str, seconds: float | None = None) -> Any:
    """See that a job reaches a state in time, and return it."""
    job = eventually(
        client.settling if seconds is None else seconds,
        lambda: client.get_job(job_id),
        lambda job: client.read(job, "state") == state,
    )
    see("state", client.read(job, "state"), state)
    return job


def tally(told: Iterable[tuple[str, str | None]], numbers: Iterable[int]) -> dict[str, int]:
    """Return the right counts from each task's state and result, and from what it adds to them."""
    counts = dict.fromkeys(("active", "running", "completed", "succeeded", "failed"), 0)
    for (state, result), number in zip(told, numbers, strict=True):
        names = {
            "preparing": ["running"],
            "completed": ["completed", "succeeded" if result == "success" else "failed"],
        }
        for name in names.get(state, [state]):
            counts[name] += number
    return counts


def job_add(client: Client, see: See) -> None:
    limits = {"max_wall_clock_time": client.limit, "max_task_retry_count": 2}
    metadata = [{"name": "a", "value": "b"}]
    answer = client.create_job(JOBS[0], priority=5, constraints=limits, metadata=metadata)
    client.see_created_job(see, answer)
    for job_id in JOBS[1:]:
        client.create_job(job_id)


def job_get(client: Client, see: See) -> None:
    got = client.get_job("job-1")
    expected = {
        "id": "job-1",
        "state": "active",
        "priority": 5,
        "pool_info.pool_id": "no-such-pool",
        "constraints.max_wall_clock_time": client.limit,
        "constraints.max_task_retry_count": 2,
        "all_tasks_complete_mode": "noaction",
    }
    see_members(client, see, got, expected)
    metadata = [
        (client.read(each, "name"), client.read(each, "value")) for each in client.read(got, "metadata")
    ]
    see("metadata", metadata, [("a", "b")])
    see_recent(client, see, got)
    see.holds("an ETag", client.read(got, "etag"))
    see.holds("a URL", client.read(got, "url").endswith("/jobs/job-1"))


def job_get_unless_unchanged(client: Client, see: See) -> None:
    etag = client.read(client.get_job("job-1"), "etag")
    refused(client, see, None, "get_job", "job-1", if_none_match=etag)
    other = client.get_job("job-1", if_none_match="0x1")
    see("with another ETag", client.read(other, "id"), "job-1")


def job_list_over_pages(client: Client, see: See) -> None:
    pages = client.job_pages(max_results=2)
    names = [name for page in pages for name in ids(client, page)]
    see("jobs", [name for name in names if name.startswith("job-")], JOBS)
    see("no job twice", len(set(names)), len(names))
    see("longest page", max(map(len, pages)), 2)
    see.holds("several pages", len(pages) >= 3)


def job_list_selected(client: Client, see: See) -> None:
    question = "state eq 'active' and startswith(id, 'job-')"
    found = client.list_jobs(filter=question, select="id,state")
    see("jobs", sorted(ids(client, found)), JOBS)
    see("states", Counter(client.read(each, "state") for each in found), {"active": 5})
    see("what was not asked for", {client.read(each, "creation_time") for each in found}, {None})
    see("members", {tuple(sorted(client.members(each))) for each in found}, {("id", "state")})


def job_patch(client: Client, see: See) -> None:
    see("answer", client.update_job("job-1", priority=-7), None)
    # The retries are as they were.
    unchanged = {"constraints.max_task_retry_count": 2}
    see_members(client, see, client.get_job("job-1"), {"priority": -7, **unchanged})


def job_patch_if_unchanged(client: Client, see: See) -> None:
    refused(client, see, "ConditionNotMet", "update_job", "job-1", priority=1, if_match="0x1")
    first = client.get_job("job-1")
    see("priority, as it was", client.read(first, "priority"), -7)
    etag = client.read(first, "etag")
    client.update_job("job-1", priority=2, if_match=etag)
    second = client.get_job("job-1")
    see("priority", client.read(second, "priority"), 2)
    see.holds("another ETag", client.read(second, "etag") != etag)
    refused(client, see, "ConditionNotMet", "update_job", "job-1", priority=3, if_match=etag)


def task_add(client: Client, see: See) -> None:
    slots = {} if client.slots == 1 else {"required_slots": client.slots}
    client.see_created_task(see, client.create_task("job-1", "single", **slots))


def task_add_collection(client: Client, see: See) -> None:
    already = len(client.requests)
    results = client.create_tasks("job-1", MANY, **({"required_slots": 2} if client.has_slots else {}))
    see("added", Counter(client.read(each, "status") for each in results), {"success": 250})
    see("ids", sorted(client.read(each, "task_id") for each in results), MANY)
    see.holds("an ETag each", all(client.read(each, "etag") for each in results))
    if client.shows_requests:
        see("requests", client.requests[already:], ["POST"] * 3)


def task_add_collection_again(client: Client, see: See) -> None:
    results = client.create_tasks("job-1", ["single", "another"])
    told = {
        client.read(each, "task_id"): (
            client.read(each, "status"),
            client.read(each, "error") and client.read(each, "error.code"),
        )
        for each in results
    }
    # The clients take a task that exists for one that they have added, and show the error beside it.
    see("results", told, {"single": ("clienterror", "TaskExists"), "another": ("success", None)})


def task_add_collection_wrong(client: Client, see: See) -> None:
    try:
        client.create_tasks("job-1", ["no good!", "good"])
    except client.collection_error as error:
        client.see_refused_task(see, error, "no good!", "InvalidPropertyValue")
    else:
        raise AssertionError("it was not refused")
    see("the other one", client.read(client.get_task("job-1", "good"), "id"), "good")


def task_list_over_pages(client: Client, see: See) -> None:
    # More than the thousand tasks of the longest page.
    names = ids(client, client.list_tasks("large"))
    see("tasks", len(names), 1200)
    see("no task twice", len(set(names)), 1200)
    if client.has_page_length:
        already = len(client.requests)
        pages = client.task_pages("job-1", max_results=60)
        found = [name for page in pages for name in ids(client, page)]
        see("tasks of job-1", found, sorted(["single", "another", "good", *MANY]))
        see("pages", [len(page) for page in pages], [60, 60, 60, 60, 13])
        see("requests", len(client.requests) - already, 5)


def task_list_filtered(client: Client, see: See) -> None:
    client.terminate_task("job-1", "many-007")
    active = client.list_tasks("job-1", filter="state eq 'active'", max_results=100)
    see("active", len(active), 252)
    completed = client.list_tasks("job-1", filter="state eq 'completed'")
    see("completed", ids(client, completed), ["many-007"])
    see("by name, over pages", len(client.list_tasks("job-1", filter=HARD_FILTER, max_results=3)), 10)


def task_list_selected(client: Client, see: See) -> None:
    found = client.list_tasks("job-1", select="id,state", max_results=200)
    see("tasks", len(found), 253)
    see("members", {tuple(sorted(client.members(each))) for each in found}, {("id", "state")})


def task_list_by_result(client: Client, see: See) -> None:
    found = client.list_tasks("seeded", filter="executionInfo/result eq 'failure'")
    see("failed", sorted(ids(client, found)), ["failed-1", "failed-2"])
    see("results", {client.read(each, "execution_info.result") for each in found}, {"failure"})
    info = client.read(found[0], "execution_info")
    see.holds("an exit code", client.read(info, "exit_code") not in (None, 0))
    see("failure", client.read(info, "failure_info.category"), "usererror")
    see.holds("an end", client.read(info, "end_time") >= client.read(info, "start_time"))


def task_get(client: Client, see: See) -> None:
    got = client.get_task("job-1", "single")
    expected = {
        "id": "single",
        "state": "active",
        "command_line": "/bin/true",
        "execution_info.retry_count": 0,
    }
    see_members(client, see, got, expected)
    see_recent(client, see, got)
    other = client.get_task("job-1", "many-001")
    see_members(client, see, other, {"id": "many-001"})
    if client.has_slots:
        see("slots", [client.read(each, "required_slots") for each in (got, other)], [client.slots, 2])


def task_get_missing(client: Client, see: See) -> None:
    refused(client, see, "TaskNotFound", "get_task", "job-1", "none")
    refused(client, see, "JobNotFound", "get_task", "none", "none")


def job_task_counts(client: Client, see: See) -> None:
    for job_id in ("job-1", "seeded"):
        counts = client.get_job_task_counts(job_id)
        listed = client.list_tasks(job_id)
        told = [(client.read(each, "state"), client.read(each, "execution_info.result")) for each in listed]
        see(f"tasks of {job_id}", client.members(client.task_counts(counts)), tally(told, [1] * len(listed)))
        if client.has_slots:
            slots = [client.read(each, "required_slots") for each in listed]
            shown = client.members(client.read(counts, "task_slot_counts"))
            see(f"slots of {job_id}", shown, tally(told, slots))


def task_terminate(client: Client, see: See) -> None:
    see("answer", client.terminate_task("job-1", "single"), None)
    expected = {"state": "completed", "execution_info.result": "failure", "previous_state": "active"}
    see_members(client, see, client.get_task("job-1", "single"), expected)


def task_reactivate(client: Client, see: See) -> None:
    before = counted(client, "job-1")
    see("answer", client.reactivate_task("job-1", "single"), None)
    expected = {"state": "active", "previous_state": "completed", "execution_info.result": None}
    see_members(client, see, client.get_task("job-1", "single"), expected)
    after = counted(client, "job-1")
    see("active", after["active"] - before["active"], 1)
    see("failed", after["failed"] - before["failed"], -1)


def task_delete_if_unchanged(client: Client, see: See) -> None:
    refused(client, see, "ConditionNotMet", "delete_task", "job-1", "good", if_match="0x1")
    etag = client.read(client.get_task("job-1", "good"), "etag")
    see("answer", client.delete_task("job-1", "good", if_match=etag), None)
    refused(client, see, "TaskNotFound", "get_task", "job-1", "good")


def task_delete(client: Client, see: See) -> None:
    see("answer", client.delete_task("job-1", "another"), None)
    refused(client, see, "TaskNotFound", "delete_task", "job-1", "another")
    see("tasks", counted(client, "job-1"), {"active": 250, "completed": 1, "failed": 1})
    see("left", len(client.list_tasks("job-1", select="id")), 251)


def job_disable(client: Client, see: See) -> None:
    client.create_job("slow", "slow")
    client.create_tasks("slow", [f"task-{number}" for number in range(6)])
    see("tasks", counted(client, "slow"), {"active": 2, "running": 4})
    see("answer", client.disable_job("slow"), None)
    see_state(client, see, "slow", "disabled")
    see("then", counted(client, "slow"), {"active": 6})


def job_enable(client: Client, see: See) -> None:
    see("answer", client.enable_job("slow"), None)
    see.holds("a state before", client.read(see_state(client, see, "slow", "active"), "previous_state"))
    see("tasks", counted(client, "slow"), {"active": 2, "running": 4})


def job_terminate(client: Client, see: See) -> None:
    if not client.needs_reason:
        see("without a reason", client.terminate_job("job-2"), None)
        see_state(client, see, "job-2", "completed")
    see("answer", client.terminate_job("slow", "enough"), None)
    info = client.read(see_state(client, see, "slow", "completed"), "execution_info")
    see("reason", client.read(info, "termination_reason"), "enough")
    # Tasks that run are stopped; those that wait remain, and are never started.
    see("tasks", counted(client, "slow"), {"active": 2, "completed": 4, "failed": 4})
    refused(client, see, "JobCompleted", "terminate_job", "slow", "again")


def job_delete(client: Client, see: See) -> None:
    see("answer", client.delete_job("job-1"), None)
    left = eventually(
        client.settling,
        lambda: ids(client, client.list_jobs(filter="startswith(id, 'job-')")),
        lambda left: "job-1" not in left,
    )
    see("left", sorted(left), JOBS[1:])
    refused(client, see, "JobNotFound", "get_job", "job-1")


def job_that_ends(client: Client, see: See) -> None:
    client.create_job("whole", "quick", all_tasks_complete_mode="noaction")
    client.create_tasks("whole", [f"task-{number}" for number in range(12)])
    client.update_job("whole", all_tasks_complete_mode="terminatejob")
    info = client.read(see_state(client, see, "whole", "completed", 30), "execution_info")
    see("reason", client.read(info, "termination_reason"), "AllTasksComplete")
    see.holds("an end", client.read(info, "end_time") >= client.read(info, "start_time"))
    listed = client.list_tasks("whole")
    see("exit codes", {client.read(each, "execution_info.exit_code") for each in listed}, {0})
    see("tasks", counted(client, "whole"), {"completed": 12, "succeeded": 12})


def failing_at_first(job_id: str, pause: float) -> Check:
    """Return a check of a job of which the first request fails."""

    def check(client: Client, see: See) -> None:
        began = time.monotonic()
        see("id", client.read(client.get_job_patiently(see, job_id), "id"), job_id)
        see.holds("the pause that was asked for", time.monotonic() - began >= pause)

    return check


def wrong_key(client: Client, see: See) -> None:
    with contextlib.closing(client.another(key=WRONG_KEY)) as stranger:
        refused(stranger, see, "AuthenticationFailed", "get_job", "seeded")


def key_over_tls(client: Client, see: See) -> None:
    with contextlib.closing(client.another(tls=True)) as signing:
        see("id", signing.read(signing.get_job("seeded"), "id"), "seeded")
        see("over", signing.endpoint.partition("://")[0], "https")


def token_over_tls(client: Client, see: See) -> None:
    with contextlib.closing(client.another(tls=True, token=True)) as bearer:
        bearer.create_job("by-token")
        see("id", bearer.read(bearer.get_job("by-token"), "id"), "by-token")
        bearer.see_token(see)


CHECKS: dict[str, Check] = {
    "Job_Add": job_add,
    # Ids that differ in case alone are one.
    "Job_Add of an id that exists": refusal("JobExists", "create_job", "JOB-1"),
    "Job_Get": job_get,
    "Job_Get of a missing job": refusal("JobNotFound", "get_job", "none"),
    "Job_Get unless it is unchanged": job_get_unless_unchanged,
    "Job_List over pages": job_list_over_pages,
    "Job_List with filter and select": job_list_selected,
    "Job_Patch": job_patch,
    "Job_Patch if it is unchanged": job_patch_if_unchanged,
    "Task_Add": task_add,
    "Task_Add of an id that exists": refusal("TaskExists", "create_task", "job-1", "single"),
    "Task_Add to a missing job": refusal("JobNotFound", "create_task", "none", "single"),
    "Task_Add with dependencies that the job doesn't use": refusal(
        "UnsupportedProperty", "create_task", "job-1", "waits", depends_on=["single"]
    ),
    "Task_AddCollection": task_add_collection,
    "Task_AddCollection with an id that exists": task_add_collection_again,
    "Task_AddCollection with a wrong task": task_add_collection_wrong,
    "Task_List over pages": task_list_over_pages,
    "Task_List with a filter": task_list_filtered,
    "Task_List with select": task_list_selected,
    "Task_List with a wrong filter": refusal(
        "InvalidQueryParameterValue", "list_tasks", "job-1", filter="state eq"
    ),
    "Task_List of a missing job": refusal("JobNotFound", "list_tasks", "none"),
    "Task_List by result": task_list_by_result,
    "Task_Get": task_get,
    "Task_Get of a missing task": task_get_missing,
    "Job_GetTaskCounts": job_task_counts,
    "Job_GetTaskCounts of a missing job": refusal("JobNotFound", "get_job_task_counts", "none"),
    "Task_Terminate": task_terminate,
    "Task_Terminate of a completed task": refusal("TaskCompleted", "terminate_task", "job-1", "single"),
    "Task_Reactivate": task_reactivate,
    "Task_Reactivate of an active task": refusal("TaskNotCompleted", "reactivate_task", "job-1", "single"),
    "Task_Reactivate of a task that succeeded": refusal(
        "TaskSucceeded", "reactivate_task", "seeded", "succeeded-1"
    ),
    "Task_Delete if it is unchanged": task_delete_if_unchanged,
    "Task_Delete": task_delete,
    "Job_Disable": job_disable,
    "Job_Enable": job_enable,
    "Job_Terminate": job_terminate,
    "Task_Add to a completed job": refusal("JobCompleted", "create_task", "slow", "late"),
    "Job_Delete": job_delete,
    "a job that runs to its end": job_that_ends,
    "Job_Get, throttled at first": failing_at_first("throttled", 1.0),
    "Job_Get, cut off at first": failing_at_first("cut-off", 0.0),
    "a wrong key": wrong_key,
    "a key over TLS": key_over_tls,
    "a token over TLS": token_over_tls,
}


def run(client: Client) -> None:
    """Report all operations but those that the command line names, and exit: 0 if all were right, else 1."""
    right = [report(name, client, check) for name, check in CHECKS.items() if name not in sys.argv[1:]]
    client.close()
    sys.exit(0 if all(right) else 1)
