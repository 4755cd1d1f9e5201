"""The handlers of the service's operations: each parses a request, asks the world, and returns a response.

A handler gets a request whose authentication, parameters and headers have been checked, but not its members.
It returns a response, or raises a Refusal, NoSuchJob or NoSuchTask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from taskcounts_emulator import responses
from taskcounts_emulator.account import EmulatedAccount
from taskcounts_emulator.api.auth import RawRequest
from taskcounts_emulator.api.bodies import Members
from taskcounts_emulator.api.filters import FilterError, job_filter, task_filter
from taskcounts_emulator.api.job_bodies import parse_changes, parse_disable, parse_job, parse_terminate
from taskcounts_emulator.api.preconditions import precondition
from taskcounts_emulator.api.resources import JOB_MEMBERS, JobView, TaskView, task_members, version
from taskcounts_emulator.api.selection import parse_select, read_skiptoken, skiptoken
from taskcounts_emulator.api.task_bodies import TaskRules, parse_task, parse_tasks, rules_of_job
from taskcounts_emulator.api.timestamps import etag, http_date, timestamp
from taskcounts_emulator.model import (
    ALL_ROWS,
    JobCounts,
    JobRow,
    NewTask,
    Precondition,
    SqlCondition,
    TaskRow,
)
from taskcounts_emulator.refusals import Refusal
from taskcounts_emulator.responses import RequestContext, Response
from taskcounts_emulator.state.lag import VALIDATED_UP_TO
from taskcounts_emulator.versions import ApiVersion

__all__ = ["Handler", "Request"]

# For jobs and for tasks.
_MAX_RESULTS = 1000

_NUMBER = re.compile(r"-?[0-9]+")


class Request(NamedTuple):
    """A request that has passed the checks before its operation.

    Attributes:
        operation: The operation's name.
        raw: The request as it was sent.
        context: The values of this request that its response repeats.
        version: The api-version.
        parameters: The parameters of the query, by name in lower case.
        job_id: The job id in the path; empty if there is none.
        task_id: The task id in the path; empty if there is none.
        document: The decoded body; empty if there is none.
        counts: Earlier counts by job id in lower case, which a fault reports instead of the current ones.
    """

    operation: str
    raw: RawRequest
    context: RequestContext
    version: ApiVersion
    parameters: Mapping[str, str]
    job_id: str
    task_id: str
    document: Members
    counts: Mapping[str, JobCounts] | None = None


Handler = Callable[[EmulatedAccount, Request], Response]


# Jobs


def job_add(service: EmulatedAccount, request: Request) -> Response:
    """Add a job."""
    row = service.world.add_job(parse_job(request.document))
    return _made(request.context, 201, f"{request.context.endpoint}/jobs/{row.id}", row)


def job_list(service: EmulatedAccount, request: Request) -> Response:
    """List jobs."""
    page = _Page(request, JOB_MEMBERS, job_filter)
    rows = service.world.jobs(page.where, page.after, page.size + 1)
    view = JobView(request.context.endpoint, page.selection)
    return page.response("jobs", rows, view.members, _modified(service, request))


def job_get(service: EmulatedAccount, request: Request) -> Response:
    """Get a job."""
    selection = _selection(request, JOB_MEMBERS)
    check = _check(request, reads=True)
    row = service.world.job(request.job_id)
    check(row)
    members = JobView(request.context.endpoint, selection).members(row)
    return responses.resource_response(request.context, "jobs", members, version(row))


def job_patch(service: EmulatedAccount, request: Request) -> Response:
    """Change a job."""
    check = _check(request)
    # Requests are handled one after another, so nobody changes the job in between.
    changes = parse_changes(request.document, service.world.job(request.job_id))
    row = service.world.change_job(request.job_id, changes, check)
    return _changed(request, 200, row)


def job_delete(service: EmulatedAccount, request: Request) -> Response:
    """Start deleting a job."""
    _check_force(request)
    service.world.delete_job(request.job_id, _check(request))
    return responses.empty_response(request.context, 202)


def job_terminate(service: EmulatedAccount, request: Request) -> Response:
    """Start terminating a job."""
    _check_force(request)
    reason = parse_terminate(request.document)
    return _changed(request, 202, service.world.terminate_job(request.job_id, reason, _check(request)))


def job_disable(service: EmulatedAccount, request: Request) -> Response:
    """Start disabling a job."""
    tasks = parse_disable(request.document)
    return _changed(request, 202, service.world.disable_job(request.job_id, tasks, _check(request)))


def job_enable(service: EmulatedAccount, request: Request) -> Response:
    """Start enabling a job."""
    return _changed(request, 202, service.world.enable_job(request.job_id, _check(request)))


def job_get_task_counts(service: EmulatedAccount, request: Request) -> Response:
    """Count the tasks of a job; before versions with task slots, the numbers of tasks are the whole body."""
    counts = service.world.reported(request.job_id)
    if request.counts is not None:
        # A job that was added after the fault was set has no earlier counts.
        counts = request.counts.get(request.job_id.lower(), JobCounts())
    if request.version.task_slots:
        modified = _modified(service, request)
        return responses.counts_response(request.context, "taskcountsresult", counts.as_json(), modified)
    members: dict[str, object] = {**counts.tasks.as_json()}
    if request.version.validation_status:
        validated = service.counts(request.job_id).tasks.total <= VALIDATED_UP_TO
        members["validationStatus"] = "validated" if validated else "unvalidated"
    return responses.counts_response(request.context, "taskcounts", members)


# Tasks


def task_add(service: EmulatedAccount, request: Request) -> Response:
    """Add a task to a job."""
    job = service.world.job(request.job_id)
    new = parse_task(request.document, rules_of_job(job), request.version)
    (added,) = service.world.add_tasks(request.job_id, [new])
    if isinstance(added, Refusal):
        raise added
    return _made(request.context, 201, f"{request.context.endpoint}/jobs/{job.id}/tasks/{added.id}", added)


def task_add_collection(service: EmulatedAccount, request: Request) -> Response:
    """Add up to a hundred tasks to a job; each is added or refused on its own."""
    documents = parse_tasks(request.document)
    job = service.world.job(request.job_id)
    rules = rules_of_job(job)
    parsed = [_parsed(document, rules, request.version) for document in documents]
    added = iter(service.world.add_tasks(request.job_id, [new for new in parsed if isinstance(new, NewTask)]))
    location = f"{request.context.endpoint}/jobs/{job.id}/tasks/"
    results = []
    for document, new in zip(documents, parsed, strict=True):
        outcome = next(added) if isinstance(new, NewTask) else new
        if isinstance(outcome, Refusal):
            result: dict[str, object] = {
                "status": "clienterror",
                "taskId": document["id"],
                "error": responses.error_members(request.context, outcome),
            }
        else:
            result = {
                "status": "success",
                "taskId": outcome.id,
                "eTag": etag(outcome.modified, outcome.number),
                "lastModified": timestamp(outcome.modified),
                "location": location + outcome.id,
            }
        results.append(result)
    return responses.collection_response(request.context, "taskaddresult", results)


def task_list(service: EmulatedAccount, request: Request) -> Response:
    """List the tasks of a job in their true states, whatever counts are reported."""
    page = _Page(request, task_members(request.version), task_filter)
    job = service.world.job(request.job_id)
    rows = service.world.tasks(request.job_id, page.where, page.after, page.size + 1)
    view = TaskView(job, request.context.endpoint, page.selection)
    return page.response("tasks", rows, view.members, _modified(service, request))


def task_get(service: EmulatedAccount, request: Request) -> Response:
    """Get a task."""
    selection = _selection(request, task_members(request.version))
    check = _check(request, reads=True)
    job = service.world.job(request.job_id)
    row = service.world.task(request.job_id, request.task_id)
    check(row)
    members = TaskView(job, request.context.endpoint, selection).members(row)
    return responses.resource_response(request.context, "tasks", members, version(row))


def task_delete(service: EmulatedAccount, request: Request) -> Response:
    """Delete a task."""
    service.world.delete_task(request.job_id, request.task_id, _check(request))
    return responses.empty_response(request.context, 200)


def task_terminate(service: EmulatedAccount, request: Request) -> Response:
    """Terminate a task."""
    row = service.world.terminate_task(request.job_id, request.task_id, _check(request))
    return _changed(request, 204, row)


def task_reactivate(service: EmulatedAccount, request: Request) -> Response:
    """Return a failed task to the active state."""
    row = service.world.reactivate_task(request.job_id, request.task_id, _check(request))
    return _changed(request, 204, row)


# Helpers


class _Page:
    """The page of a list that a request asks for: its rows, their members, and its size.

    Args:
        request: The request.
        known: The members that can be selected.
        to_where: The compiler of filters.

    Raises:
        Refusal: A parameter is invalid.
    """

    def __init__(
        self, request: Request, known: Collection[str], to_where: Callable[[str], SqlCondition]
    ) -> None:
        self.selection = _selection(request, known)
        self.size = _max_results(request.parameters.get("maxresults"))
        self._request = request
        given = request.parameters.get("$filter")
        try:
            self.where = ALL_ROWS if given is None else to_where(given)
        except FilterError as error:
            raise Refusal("InvalidQueryParameterValue", "$filter", given or "", str(error)) from None
        # A link is valid only for the list that it was returned for.
        self._bound_to = f"{request.operation}\n{request.job_id.lower()}\n{given or ''}"
        token = request.parameters.get("$skiptoken")
        try:
            self.after = None if token is None else read_skiptoken(token, self._bound_to)
        except ValueError as error:
            raise Refusal("InvalidQueryParameterValue", "$skiptoken", token or "", str(error)) from None

    def response(
        self,
        kind: str,
        rows: list[Any],
        to_members: Callable[[Any], dict[str, object]],
        modified: str | None,
    ) -> Response:
        """Return the response, with a link if there are more rows than the page holds."""
        shown = rows[: self.size]
        link = self._link(shown[-1].id) if len(rows) > len(shown) else None
        return responses.collection_response(
            self._request.context, kind, [to_members(row) for row in shown], link, modified
        )

    def _link(self, last_id: str) -> str:
        parameters = {"$skiptoken": skiptoken(last_id, self._bound_to)}
        parameters |= {
            name: value for name, value in self._request.parameters.items() if name != "$skiptoken"
        }
        # Fully encoded, so that every client signs the link as it sends it.
        query = "&".join(
            f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in parameters.items()
        )
        return f"{self._request.context.endpoint}{self._request.raw.path}?{query}"


def _selection(request: Request, known: Collection[str]) -> frozenset[str]:
    """Return the names of the selected members; without a selection, all that are known."""
    expand = request.parameters.get("$expand")
    # There are no statistics, so nothing is added, as for a new resource of the service.
    if expand is not None and expand.strip() != "stats":
        raise Refusal("InvalidQueryParameterValue", "$expand", expand, "Only stats can be expanded")
    given = request.parameters.get("$select")
    try:
        return parse_select(given, known) or frozenset(known)
    except ValueError as error:
        raise Refusal("InvalidQueryParameterValue", "$select", given or "", str(error)) from None


def _max_results(value: str | None) -> int:
    if value is None:
        return _MAX_RESULTS
    if not _NUMBER.fullmatch(value):
        raise Refusal("InvalidQueryParameterValue", "maxresults", value, "MaxResults is not a whole number")
    # Checked as text first: Python refuses to convert very long numbers.
    digits = value.lstrip("0")
    if value.startswith("-") or not digits:
        # Recorded with this code and reason, instead of the one for values out of range.
        raise Refusal("InvalidQueryParameterValue", "maxresults", value, "MaxResults cannot be less than 1")
    if len(digits) > 4 or int(digits) > _MAX_RESULTS:
        raise Refusal(
            "OutOfRangeQueryParameterValue",
            "maxresults",
            value,
            f"MaxResults cannot be more than {_MAX_RESULTS}",
        )
    return int(digits)


def _check_force(request: Request) -> None:
    """Refuse a wrong value of force, which has no effect here: there are no nodes."""
    force = request.parameters.get("force")
    if force is not None and force.lower() not in ("true", "false"):
        raise Refusal("InvalidQueryParameterValue", "force", force, "Force is not true or false")


def _check(request: Request, *, reads: bool = False) -> Precondition:
    return precondition(request.raw.headers, reads=reads)


def _parsed(document: Members, rules: TaskRules, version: ApiVersion) -> NewTask | Refusal:
    try:
        return parse_task(document, rules, version)
    except Refusal as refusal:
        return refusal


def _modified(service: EmulatedAccount, request: Request) -> str | None:
    """Return the Last-Modified of counts or a list: now, since nothing changed later; None for none."""
    return http_date(service.world.now()) if request.version.dated_lists else None


def _made(context: RequestContext, status: int, location: str, row: JobRow | TaskRow) -> Response:
    """Return the response to adding a resource: its location and version."""
    return responses.empty_response(
        context, status, (("location", location), ("dataserviceid", location), *version(row).headers())
    )


def _changed(request: Request, status: int, row: JobRow | TaskRow) -> Response:
    """Return the response to changing a resource: its URL and new version."""
    location = f"{request.context.endpoint}{request.raw.path}"
    return responses.empty_response(
        request.context, status, (("dataserviceid", location), *version(row).headers())
    )
