"""*Task - List*, *Job - Get* and *Job - List* as the flow asks them, and how their pages follow each other.

A link to the next page is followed as it came, and only to the same origin and path: anywhere else it
would take our signature or token along, or count the tasks of another job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from taskcounts import _answers
from taskcounts._steps import Ask, Question, Reply
from taskcounts.snapshot import Inconsistency
from taskcounts_rest import contract
from taskcounts_rest.api.jobs import job_get, job_list
from taskcounts_rest.api.tasks import task_list

# A page has up to 1,000 items. Most have some 300 bytes; one that failed says why at any length.
MAX_PAGE = 32 << 20

_CHECKS = {
    name: _answers.compile_schema(contract.OPERATIONS[name].result)
    for name in ("Task_List", "Job_Get", "Job_List")
}
_PORTS = {"http": 80, "https": 443}


class Page(NamedTuple):
    """One page of a list.

    Attributes:
        items: The items, as the fragment describes them.
        link: Where the next page is, path and query; None after the last.
        doubts: What speaks against the page: signs that it isn't ours or isn't fresh.
        headers: The answer's headers, names in lower case.
        attempts: How many requests it took.
    """

    items: list[dict[str, Any]]
    link: str | None
    doubts: tuple[Inconsistency, ...]
    headers: Any
    attempts: int


def ask_tasks(endpoint: str, *, link: str | None = None, **options: Any) -> Ask[Page]:
    """Return the question for a page of a job's tasks.

    Args:
        endpoint: The account's URL.
        link: The link of the page before, None for the first page.
        options: ``filter_``, ``select``, and ``maxresults``, 1 to 1,000 (the default).
    """

    def parts(question: Question, **common: Any) -> dict[str, Any]:
        return _following(task_list._get_kwargs(question.job_id, **options, **common), link)

    def path(question: Question) -> str:
        return f"/jobs/{quote(question.job_id, safe='')}/tasks"

    return Ask(parts, _CHECKS["Task_List"], _page(endpoint, path), MAX_PAGE)


def ask_jobs(endpoint: str, *, link: str | None = None, **options: Any) -> Ask[Page]:
    """Return the question for a page of the account's jobs; see ``ask_tasks``."""

    def parts(_: Question, **common: Any) -> dict[str, Any]:
        return _following(job_list._get_kwargs(**options, **common), link)

    return Ask(parts, _CHECKS["Job_List"], _page(endpoint, lambda _: "/jobs"), MAX_PAGE)


def ask_job() -> Ask[dict[str, Any]]:
    """Return the question for a job's own state: its ``id`` and ``state``."""

    def parts(question: Question, **common: Any) -> dict[str, Any]:
        return job_get._get_kwargs(question.job_id, select="id,state", **common)

    def build(reply: Reply) -> dict[str, Any]:
        if reply.body["id"].lower() != reply.question.job_id.lower():
            raise _answers.Violation("id", "it is another job's")
        return reply.body

    return Ask(parts, _CHECKS["Job_Get"], build)


def _following(parts: dict[str, Any], link: str | None) -> dict[str, Any]:
    """Return a generated request, or the one that a link of the page before makes of it."""
    return parts if link is None else {**parts, "url": link, "params": {}}


def _page(endpoint: str, path: Callable[[Question], str]) -> Callable[[Reply], Page]:
    def build(reply: Reply) -> Page:
        doubts = _answers.find_doubts(reply.headers)
        if doubts and reply.strict:
            raise _answers.Violation(doubts[0].path, "; ".join(doubt.text for doubt in doubts))
        link = reply.body.get("odata.nextLink")
        if link is not None:
            link = _checked_link(link, endpoint, path(reply.question))
        return Page(reply.body["value"], link, doubts, reply.headers, reply.attempt)

    return build


def _checked_link(link: str, endpoint: str, path: str) -> str:
    """Return the path and query of a link; raise Violation if it leads elsewhere."""
    ours = urlsplit(endpoint)
    try:
        theirs = urlsplit(link)
        same = (
            theirs.scheme == ours.scheme
            and (theirs.hostname or "").lower() == (ours.hostname or "").lower()
            and (theirs.port or _PORTS[ours.scheme]) == (ours.port or _PORTS[ours.scheme])
            and theirs.username is None
            and link.isascii()
            and link.isprintable()
            and " " not in link
        )
    except ValueError:
        same = False
    if not same:
        raise _answers.Violation("odata.nextLink", "it leads to another server, which gets nothing from us")
    if unquote(theirs.path).lower() != unquote(path).lower():
        raise _answers.Violation("odata.nextLink", "it leads to another list")
    return f"{theirs.path}?{theirs.query}"
