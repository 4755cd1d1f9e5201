"""What each operation of the service does here: parse, ask the world, answer. One handler an operation.

A handler is called with a request that has been admitted: everything about it is right but for its members
and what it asks of the world. It returns the answer, or raises a Refusal, NoSuchJob or NoSuchTask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from taskcounts_emulator import refusals, wire
from taskcounts_emulator.account import EmulatedAccount
from taskcounts_emulator.api.auth import Call
from taskcounts_emulator.api.filters import FilterError, job_filter, task_filter
from taskcounts_emulator.api.job_bodies import parse_changes, parse_disable, parse_job, parse_terminate
from taskcounts_emulator.api.members import Members
from taskcounts_emulator.api.preconditions import precondition
from taskcounts_emulator.api.resources import JOB_MEMBERS, TASK_MEMBERS, JobView, TaskView, version
from taskcounts_emulator.api.selection import parse_select, read_skiptoken, skiptoken
from taskcounts_emulator.api.task_bodies import Terms, parse_task, parse_tasks, terms_of
from taskcounts_emulator.api.timestamps import etag, timestamp
from taskcounts_emulator.model import EVERYTHING, Check, JobCounts, JobRow, NewTask, TaskRow, Where
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.wire import Answer, Stamp

__all__ = ["Handler", "Request"]

# Of jobs and of tasks alike.
_MAX_RESULTS = 1000

_NUMBER = re.compile(r"-?[0-9]+")


class Request(NamedTuple):
    """A request that has been admitted.

    Attributes:
        operation: The operation's name.
        call: The request as it was sent.
        stamp: What is written into the answer.
        parameters: The query's parameters, by their names in lower case.
        job_id: The job of its path; empty where it has none.
        task_id: The task of its path; empty where it has none.
        document: Its body; empty where it has none.
        counts: By job id in lower case, the counts that a fault tells instead of those of now.
    """

    operation: str
    call: Call
    stamp: Stamp
    parameters: Mapping[str, str]
    job_id: str
    task_id: str
    document: Members
    counts: Mapping[str, JobCounts] | None = None


Handler = Callable[[EmulatedAccount, Request], Answer]


# Jobs


def job_add(service: EmulatedAccount, request: Request) -> Answer:
    """Add a job."""
    row = service.world.add_job(parse_job(request.document))
    return _made(request.stamp, 201, f"{request.stamp.endpoint}/jobs/{row.id}", row)


def job_list(service: EmulatedAccount, request: Request) -> Answer:
    """List jobs."""
    page = _Page(request, JOB_MEMBERS, job_filter)
    rows = service.world.jobs(page.where, page.after, page.size + 1)
    view = JobView(request.stamp.endpoint, page.selection)
    return page.answer("jobs", rows, view.members)


def job_get(service: EmulatedAccount, request: Request) -> Answer:
    """Tell of a job."""
    selection = _selection(request, JOB_MEMBERS)
    check = _check(request, reads=True)
    row = service.world.job(request.job_id)
    check(row)
    members = JobView(request.stamp.endpoint, selection).members(row)
    return wire.resource_answer(request.stamp, "jobs", members, version(row))


def job_patch(service: EmulatedAccount, request: Request) -> Answer:
    """Change a job."""
    check = _check(request)
    # Calls are answered one after another, so that nobody changes the job in between.
    changes = parse_changes(request.document, service.world.job(request.job_id))
    row = service.world.change_job(request.job_id, changes, check)
    return _changed(request, 200, row)


def job_delete(service: EmulatedAccount, request: Request) -> Answer:
    """Begin to delete a job."""
    _check_force(request)
    service.world.delete_job(request.job_id, _check(request))
    return wire.done_answer(request.stamp, 202)


def job_terminate(service: EmulatedAccount, request: Request) -> Answer:
    """Begin to end a job."""
    _check_force(request)
    reason = parse_terminate(request.document)
    return _changed(request, 202, service.world.terminate_job(request.job_id, reason, _check(request)))


def job_disable(service: EmulatedAccount, request: Request) -> Answer:
    """Begin to disable a job."""
    tasks = parse_disable(request.document)
    return _changed(request, 202, service.world.disable_job(request.job_id, tasks, _check(request)))


def job_enable(service: EmulatedAccount, request: Request) -> Answer:
    """Begin to enable a job."""
    return _changed(request, 202, service.world.enable_job(request.job_id, _check(request)))


def job_get_task_counts(service: EmulatedAccount, request: Request) -> Answer:
    """Count the tasks of a job."""
    counts = service.world.reported(request.job_id)
    if request.counts is not None:
        # A job that is younger than what the fault tells was not yet counted at all.
        counts = request.counts.get(request.job_id.lower(), JobCounts())
    return wire.counts_answer(request.stamp, counts)


# Tasks


def task_add(service: EmulatedAccount, request: Request) -> Answer:
    """Add a task to a job."""
    job = service.world.job(request.job_id)
    new = parse_task(request.document, terms_of(job))
    (added,) = service.world.add_tasks(request.job_id, [new])
    if isinstance(added, Refusal):
        raise added
    return _made(request.stamp, 201, f"{request.stamp.endpoint}/jobs/{job.id}/tasks/{added.id}", added)


def task_add_collection(service: EmulatedAccount, request: Request) -> Answer:
    """Add up to a hundred tasks to a job; each is added or refused by itself."""
    documents = parse_tasks(request.document)
    job = service.world.job(request.job_id)
    terms = terms_of(job)
    parsed = [_parsed(document, terms) for document in documents]
    added = iter(service.world.add_tasks(request.job_id, [new for new in parsed if isinstance(new, NewTask)]))
    place = f"{request.stamp.endpoint}/jobs/{job.id}/tasks/"
    results = []
    for document, new in zip(documents, parsed, strict=True):
        outcome = next(added) if isinstance(new, NewTask) else new
        if isinstance(outcome, Refusal):
            told: dict[str, object] = {
                "status": "clienterror",
                "taskId": document["id"],
                "error": wire.error_of(request.stamp, outcome),
            }
        else:
            told = {
                "status": "success",
                "taskId": outcome.id,
                "eTag": etag(outcome.modified, outcome.number),
                "lastModified": timestamp(outcome.modified),
                "location": place + outcome.id,
            }
        results.append(told)
    return wire.collection_answer(request.stamp, "taskaddresult", results)


def task_list(service: EmulatedAccount, request: Request) -> Answer:
    """List the tasks of a job: the truth, whatever its counts say."""
    page = _Page(request, TASK_MEMBERS, task_filter)
    job = service.world.job(request.job_id)
    rows = service.world.tasks(request.job_id, page.where, page.after, page.size + 1)
    view = TaskView(job, request.stamp.endpoint, page.selection)
    return page.answer("tasks", rows, view.members)


def task_get(service: EmulatedAccount, request: Request) -> Answer:
    """Tell of a task."""
    selection = _selection(request, TASK_MEMBERS)
    check = _check(request, reads=True)
    job = service.world.job(request.job_id)
    row = service.world.task(request.job_id, request.task_id)
    check(row)
    members = TaskView(job, request.stamp.endpoint, selection).members(row)
    return wire.resource_answer(request.stamp, "tasks", members, version(row))


def task_delete(service: EmulatedAccount, request: Request) -> Answer:
    """Delete a task."""
    service.world.delete_task(request.job_id, request.task_id, _check(request))
    return wire.done_answer(request.stamp, 200)


def task_terminate(service: EmulatedAccount, request: Request) -> Answer:
    """End a task."""
    row = service.world.terminate_task(request.job_id, request.task_id, _check(request))
    return _changed(request, 204, row)


def task_reactivate(service: EmulatedAccount, request: Request) -> Answer:
    """Let a task that failed wait for a new run."""
    row = service.world.reactivate_task(request.job_id, request.task_id, _check(request))
    return _changed(request, 204, row)


# Inside


class _Page:
    """A page of a list, as a request asks for it: which rows, which members of them, and how many.

    Args:
        request: The request.
        known: The members that can be selected.
        to_where: Reads a filter.

    Raises:
        Refusal: A parameter is wrong.
    """

    def __init__(self, request: Request, known: Collection[str], to_where: Callable[[str], Where]) -> None:
        self.selection = _selection(request, known)
        self.size = _max_results(request.parameters.get("maxresults"))
        self._request = request
        given = request.parameters.get("$filter")
        try:
            self.where = EVERYTHING if given is None else to_where(given)
        except FilterError as error:
            raise refusals.invalid_query_parameter("$filter", given or "", str(error)) from None
        # A link leads through the list that it was given for, and no other.
        self._bound_to = f"{request.operation}\n{request.job_id.lower()}\n{given or ''}"
        token = request.parameters.get("$skiptoken")
        try:
            self.after = None if token is None else read_skiptoken(token, self._bound_to)
        except ValueError as error:
            raise refusals.invalid_query_parameter("$skiptoken", token or "", str(error)) from None

    def answer(self, kind: str, rows: list[Any], to_members: Callable[[Any], dict[str, object]]) -> Answer:
        """Return the answer, with a link if there is a row more than the page holds."""
        shown = rows[: self.size]
        link = self._link(shown[-1].id) if len(rows) > len(shown) else None
        return wire.collection_answer(self._request.stamp, kind, [to_members(row) for row in shown], link)

    def _link(self, last_id: str) -> str:
        parameters = {"$skiptoken": skiptoken(last_id, self._bound_to)}
        parameters |= {
            name: value for name, value in self._request.parameters.items() if name != "$skiptoken"
        }
        # Encoded in full: every client, whatever it makes of a link, then signs and sends the same.
        query = "&".join(
            f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in parameters.items()
        )
        return f"{self._request.stamp.endpoint}{self._request.call.path}?{query}"


def _selection(request: Request, known: Collection[str]) -> frozenset[str] | None:
    """Return the members that were asked for; None for all of them."""
    expand = request.parameters.get("$expand")
    # There are no statistics: as for a resource that the service has none of yet, nothing is added.
    if expand is not None and expand.strip() != "stats":
        raise refusals.invalid_query_parameter("$expand", expand, "Only stats can be expanded")
    given = request.parameters.get("$select")
    try:
        return parse_select(given, known)
    except ValueError as error:
        raise refusals.invalid_query_parameter("$select", given or "", str(error)) from None


def _max_results(value: str | None) -> int:
    if value is None:
        return _MAX_RESULTS
    if not _NUMBER.fullmatch(value):
        raise refusals.invalid_query_parameter("maxresults", value, "MaxResults is not a whole number")
    # Looked at as text first: Python does not convert a number of any length.
    digits = value.lstrip("0")
    if value.startswith("-") or not digits:
        # Recorded with this code and reason, and not as out of range.
        raise refusals.invalid_query_parameter("maxresults", value, "MaxResults cannot be less than 1")
    if len(digits) > 4 or int(digits) > _MAX_RESULTS:
        raise refusals.query_parameter_out_of_range(
            "maxresults", value, f"MaxResults cannot be more than {_MAX_RESULTS}"
        )
    return int(digits)


def _check_force(request: Request) -> None:
    """Refuse a wish to force something that is none; there are no nodes here that would have to be forced."""
    force = request.parameters.get("force")
    if force is not None and force.lower() not in ("true", "false"):
        raise refusals.invalid_query_parameter("force", force, "Force is not true or false")


def _check(request: Request, *, reads: bool = False) -> Check:
    return precondition(request.call.headers, reads=reads)


def _parsed(document: Members, terms: Terms) -> NewTask | Refusal:
    try:
        return parse_task(document, terms)
    except Refusal as refusal:
        return refusal


def _made(stamp: Stamp, status: int, place: str, row: JobRow | TaskRow) -> Answer:
    """Return the answer to whoever made something: where it is, and its version."""
    return wire.done_answer(
        stamp, status, (("location", place), ("dataserviceid", place), *version(row).headers())
    )


def _changed(request: Request, status: int, row: JobRow | TaskRow) -> Answer:
    """Return the answer to whoever changed something: its new version, and what was asked."""
    place = f"{request.stamp.endpoint}{request.call.path}"
    return wire.done_answer(request.stamp, status, (("dataserviceid", place), *version(row).headers()))
