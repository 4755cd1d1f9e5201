"""*Task - List*, *Job - Get* and *Job - List* as the flow asks them, and how their pages follow each other.

A link to the next page is followed as it came, and only to the same origin and path: anywhere else it
would take our signature or token along, or count the tasks of another job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

from taskcounts.protocol import answers
from taskcounts.protocol.messages import Call, CheckedAnswer, Operation, RequestParts
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts.snapshot import Inconsistency
from taskcounts_rest import contract

# A page has up to 1,000 items. Most have some 300 bytes; one that failed says why at any length.
MAX_PAGE = 32 << 20

# Answers name Microsoft-HTTPAPI, which takes no more than this for a request's line and headers together.
MAX_LINK = 16 << 10

_CHECKS = {
    name: compile_schema(contract.OPERATIONS[name].result) for name in ("Task_List", "Job_Get", "Job_List")
}
_NAMES = {"filter_": "$filter", "select": "$select", "maxresults": "maxresults"}
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


class LoopDetector:
    """The links that were followed through one list; finds a loop of any length in constant memory.

    Brent's way: one link is kept and compared with those that follow. It is replaced after 1, 2, 4, 8 …
    links, so in a loop the kept one soon is one of the loop's, and then comes again. A loop of n pages that
    begins after m others is found within 2 max(m, n) + n + 1 links.
    """

    __slots__ = ("_kept", "_room", "_since")

    def __init__(self) -> None:
        self._kept: str | None = None
        self._since = 0
        self._room = 1

    def follow(self, link: str | None) -> str | None:
        """Return the link, None after the last page.

        Raises:
            Violation: The link was followed before.
        """
        if link is None:
            return None
        if link == self._kept:
            raise Violation("odata.nextLink", "it leads to a page before: the list has no end")
        self._since += 1
        if self._since == self._room:
            self._kept, self._since, self._room = link, 0, 2 * self._room
        return link


def task_list_operation(
    endpoint: str, *, link: str | None = None, loop_detector: LoopDetector | None = None, **options: Any
) -> Operation[Page]:
    """Return the question for a page of a job's tasks.

    Args:
        endpoint: The account's URL.
        link: The link of the page before, None for the first page.
        trail: What follows the links of the whole list; a page that leads back is no answer.
        options: ``filter_``, ``select``, and ``maxresults``, 1 to 1,000 (the default).
    """

    def path(call: Call) -> str:
        return f"/jobs/{quote(call.job_id, safe='')}/tasks"

    parts = RequestParts("Task_List", _named(options), link)
    return Operation(parts, _CHECKS["Task_List"], _page(endpoint, path, loop_detector), MAX_PAGE)


def job_list_operation(
    endpoint: str, *, link: str | None = None, loop_detector: LoopDetector | None = None, **options: Any
) -> Operation[Page]:
    """Return the question for a page of the account's jobs; see ``ask_tasks``."""
    parts = RequestParts("Job_List", _named(options), link)
    return Operation(parts, _CHECKS["Job_List"], _page(endpoint, lambda _: "/jobs", loop_detector), MAX_PAGE)


def job_get_operation() -> Operation[dict[str, Any]]:
    """Return the question for a job's own state: its ``id`` and ``state``."""

    def build(answer: CheckedAnswer) -> dict[str, Any]:
        _doubts(answer)
        if answer.body["id"].lower() != answer.call.job_id.lower():
            raise Violation("id", "it is another job's")
        return answer.body

    return Operation(RequestParts("Job_Get", _named({"select": "id,state"})), _CHECKS["Job_Get"], build)


def _named(options: dict[str, Any]) -> tuple[tuple[str, str | int], ...]:
    """Return the options of a query by their names in the fragment."""
    return tuple((_NAMES[name], value) for name, value in options.items())


def _page(
    endpoint: str, path: Callable[[Call], str], loop_detector: LoopDetector | None
) -> Callable[[CheckedAnswer], Page]:
    def build(answer: CheckedAnswer) -> Page:
        doubts = _doubts(answer)
        link = answer.body.get("odata.nextLink")
        if link is not None:
            link = _checked_link(link, endpoint, path(answer.call))
            if loop_detector is not None:
                loop_detector.follow(link)
        return Page(answer.body["value"], link, doubts, answer.headers, answer.attempt)

    return build


def _doubts(answer: CheckedAnswer) -> tuple[Inconsistency, ...]:
    """Return what speaks against an answer; raise Violation if there is anything and that isn't allowed."""
    doubts = answers.header_inconsistencies(answer.headers)
    if doubts and answer.strict:
        raise Violation(doubts[0].path, "; ".join(doubt.text for doubt in doubts))
    return doubts


def _checked_link(link: str, endpoint: str, path: str) -> str:
    """Return the path and query of a link, as they came; raise Violation if it leads elsewhere."""
    ours = urlsplit(endpoint)
    # What is sent has to be what was checked: nothing here that one reader of URLs drops, and
    # another one doesn't.
    sound = link.isascii() and link.isprintable() and not set(link) & set(" \\#")
    try:
        theirs = urlsplit(link)
        same = (
            sound
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
    return f"{theirs.path}?{theirs.query}" if theirs.query else theirs.path


def _port(url: SplitResult) -> int:
    return _PORTS[url.scheme] if url.port is None else url.port


def _segments(path: str) -> list[bytes]:
    """Return what a path names, however it is encoded and in any case; an encoded slash parts nothing."""
    return [unquote_to_bytes(segment).lower() for segment in path.split("/")]
