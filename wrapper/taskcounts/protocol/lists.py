"""The operations *Task - List*, *Job - Get* and *Job - List*, and the links between their pages.

The link to the next page is used word for word, and only if it leads to the same origin, path and version:
elsewhere it would take our signature or token along, or count the tasks of another job, or tasks without
their slots, which older versions don't know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote_to_bytes, urlsplit

from taskcounts.protocol import answers
from taskcounts.protocol.messages import Call, CheckedAnswer, Operation, RequestParts
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts.snapshot import Inconsistency
from taskcounts.urls import PORTS
from taskcounts_rest import contract

# Bytes. A page has up to 1,000 items. Most have some 300 bytes; a failed task has a message of any length.
MAX_PAGE = 32 << 20

# Bytes. The service runs on Microsoft-HTTPAPI, which takes no more for a request's line and headers together.
MAX_LINK = 16 << 10

_CHECKS = {
    name: compile_schema(contract.OPERATIONS[name].result) for name in ("Task_List", "Job_Get", "Job_List")
}
_NAMES = {"filter_": "$filter", "select": "$select", "maxresults": "maxresults"}


class Page(NamedTuple):
    """One page of a list.

    Attributes:
        items: The items, as the fragment describes them.
        link: Path and query of the next page; None after the last.
        inconsistencies: Signs that the page belongs to another request or comes from a cache.
        headers: The answer's headers, names in lower case.
        attempts: The number of requests that it took.
    """

    items: list[dict[str, Any]]
    link: str | None
    inconsistencies: tuple[Inconsistency, ...]
    headers: Any
    attempts: int


class LoopDetector:
    """A detector of loops in the links between a list's pages, in constant memory.

    It is Brent's algorithm: one link is kept and compared with those that follow. It is replaced after 1, 2,
    4, 8 … links, so the kept link soon belongs to the loop, and then comes again. A loop of n pages that
    begins after m others is found within 2 max(m, n) + n + 1 links.
    """

    __slots__ = ("_kept", "_room", "_since")

    def __init__(self) -> None:
        self._kept: str | None = None
        self._since = 0
        self._room = 1

    def follow(self, link: str) -> None:
        """Note a link; raise Violation if it was followed before."""
        if link == self._kept:
            raise Violation("odata.nextLink", "it leads to a page before: the list has no end")
        self._since += 1
        if self._since == self._room:
            self._kept, self._since, self._room = link, 0, 2 * self._room


def task_list_operation(
    endpoint: str, *, link: str | None = None, loop_detector: LoopDetector | None = None, **options: Any
) -> Operation[Page]:
    """Return the operation that gets a page of a job's tasks.

    Args:
        endpoint: The account's URL.
        link: The link of the previous page, None for the first page.
        loop_detector: Follows the links of the whole list, so that a page which leads back to an earlier one
            is refused; None for a page by itself.
        options: ``filter_``, ``select``, and ``maxresults``, 1 to 1,000 (the default).
    """

    def path(call: Call) -> str:
        return f"/jobs/{quote(call.job_id, safe='')}/tasks"

    parts = RequestParts("Task_List", _named(options), link)
    return Operation(parts, _CHECKS["Task_List"], _page(endpoint, path, loop_detector), MAX_PAGE)


def job_list_operation(
    endpoint: str, *, link: str | None = None, loop_detector: LoopDetector | None = None, **options: Any
) -> Operation[Page]:
    """Return the operation that gets a page of the account's jobs; see ``task_list_operation``."""
    parts = RequestParts("Job_List", _named(options), link)
    return Operation(parts, _CHECKS["Job_List"], _page(endpoint, lambda _: "/jobs", loop_detector), MAX_PAGE)


def job_get_operation() -> Operation[dict[str, Any]]:
    """Return the operation that gets a job's ``id`` and ``state``."""

    def build(answer: CheckedAnswer) -> dict[str, Any]:
        _inconsistencies(answer)
        if answer.body["id"].lower() != answer.call.job_id.lower():
            raise Violation("id", "it is another job's")
        return answer.body

    return Operation(RequestParts("Job_Get", _named({"select": "id,state"})), _CHECKS["Job_Get"], build)


def _named(options: dict[str, Any]) -> tuple[tuple[str, str | int], ...]:
    """Return options with their names in the fragment."""
    return tuple((_NAMES[name], value) for name, value in options.items())


def _page(
    endpoint: str, path: Callable[[Call], str], loop_detector: LoopDetector | None
) -> Callable[[CheckedAnswer], Page]:
    def build(answer: CheckedAnswer) -> Page:
        inconsistencies = _inconsistencies(answer)
        link = answer.body.get("odata.nextLink")
        if link is not None:
            link = _checked_link(link, endpoint, path(answer.call), answer.call.api_version)
            if loop_detector is not None:
                loop_detector.follow(link)
        return Page(answer.body["value"], link, inconsistencies, answer.headers, answer.attempt)

    return build


def _inconsistencies(answer: CheckedAnswer) -> tuple[Inconsistency, ...]:
    """Return the signs that an answer isn't ours or isn't fresh; if the client is strict, raise Violation."""
    found = answers.header_inconsistencies(answer.headers)
    if found and answer.strict:
        raise Violation(found[0].path, "; ".join(each.text for each in found))
    return found


def _checked_link(link: str, endpoint: str, path: str, api_version: str) -> str:
    """Return the path and query of a link, word for word; raise Violation if it leads elsewhere."""
    ours = urlsplit(endpoint)
    # The link that is sent must be the one that was checked, so it may hold nothing that some parsers of URLs
    # drop and others keep.
    is_plain = link.isascii() and link.isprintable() and not set(link) & set(" \\#")
    try:
        theirs = urlsplit(link)
        same = (
            is_plain
            and theirs.scheme == ours.scheme
            and theirs.username is None
            and theirs.hostname == (ours.hostname or "").lower()
            and _port(theirs) == _port(ours)
        )
    except ValueError:
        same = False
    if not same:
        raise Violation(
            "odata.nextLink", "it is no URL of the same server; no other one gets anything from us"
        )
    if len(link) > MAX_LINK:
        raise Violation("odata.nextLink", f"it is longer than {MAX_LINK:,} characters")
    if _segments(theirs.path) != _segments(path):
        raise Violation("odata.nextLink", "it leads to another list")
    # The service's own links pass: it requires an api-version, and azure-batch 14.2 sends links as they come,
    # with no parameter of its own. azure-batch 15.1 replaces the link's version by that of the client.
    named = parse_qsl(theirs.query, keep_blank_values=True)
    if [value for name, value in named if name.lower() == "api-version"] != [api_version]:
        raise Violation("odata.nextLink", f"it is not of api-version {api_version} alone")
    return f"{theirs.path}?{theirs.query}"


def _port(url: SplitResult) -> int:
    return PORTS[url.scheme] if url.port is None else url.port


def _segments(path: str) -> list[bytes]:
    """Return the decoded segments of a path in lower case; an encoded slash separates nothing."""
    return [unquote_to_bytes(segment).lower() for segment in path.split("/")]
