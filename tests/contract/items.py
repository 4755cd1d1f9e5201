"""Checks of every answer with tasks or jobs in it. A check yields complaints, or nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from contract.filters import filter_of
from contract.target import COUNTS, JOB, LISTS, TASKS, Answered, Asked, Item
from taskcounts_rest import contract

Complaints = Iterator[str]
Check = Callable[[Answered], Complaints]

# States of tasks and jobs in which they haven't ended.
UNENDED = {"active", "preparing", "running", "disabling", "disabled", "enabling", "terminating"}

# The longest page, where none is asked for.
LONGEST = contract.PARAMETERS["maxResults"]["maximum"]


def items_of(answered: Answered) -> list[Item]:
    """Return the tasks or jobs of an answer; none, if it isn't one that conforms."""
    page = answered.conforming(*LISTS)
    if page is not None:
        return list(page["value"])
    job = answered.conforming(JOB)
    return [] if job is None else [job]


def page_size(answered: Answered) -> Complaints:
    """A page is no longer than was asked for."""
    asked = answered.asked.query.get("maxresults", str(LONGEST))
    # Of what is no number, that is complained which answers it with 200.
    most = int(asked) if asked.isascii() and asked.isdigit() else LONGEST
    found = len(items_of(answered))
    if answered.conforming(*LISTS) and found > most:
        yield f"a page of {found} items; at most {most} were asked for"


def page_ids(answered: Answered) -> Complaints:
    """Each task or job has a name, and none stands twice on a page; case makes no difference."""
    seen = Counter(item["id"].lower() for item in items_of(answered))
    for name, times in seen.items():
        if not name or not name.isprintable():
            yield f"{name!r} is no id"
            return
        if times > 1:
            yield f"{name!r} stands on the page {times} times"
            return


def next_link(answered: Answered) -> Complaints:
    """The link to the next page leads to the same list at the same endpoint, and onwards."""
    link = (answered.conforming(*LISTS) or {}).get("odata.nextLink")
    if link is None:
        return
    there, here = urlsplit(link), urlsplit(answered.asked.endpoint + answered.asked.target)
    if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()):
        yield f"the next page is said to be at {there.scheme}://{there.netloc}, which nobody may follow"
    elif there.path.lower() != here.path.lower():
        yield f"the next page is said to be at the path {there.path!r}"
    elif link == answered.asked.endpoint + answered.asked.target:
        yield "the next page is said to be this one"


def filtered(answered: Answered) -> Complaints:
    """Every item is one of those that were asked for."""
    fits = filter_of(answered.asked)
    for item in items_of(answered):
        if fits is not None and fits(item) is False:
            asked = answered.asked.query["$filter"]
            yield f"{item['id']!r} doesn't fit the filter {asked}: its state is {item['state']!r}"
            return


def selected(answered: Answered) -> Complaints:
    """Items have no members but those that were asked for."""
    asked = answered.asked
    names = set(asked.query["$select"].split(",")) if is_selection(asked) else None
    for item in items_of(answered):
        for wrong in unselected(item, names):
            yield wrong
            return


def is_selection(asked: Asked) -> bool:
    """Return whether a request selects members as the fragment allows it."""
    pattern = asked.operations[asked.operation or COUNTS].parameters.get("$select", {}).get("pattern", "(?!)")
    return re.fullmatch(pattern, asked.query.get("$select", "")) is not None


def unselected(item: Item, names: set[str] | None) -> Complaints:
    """Complain about the members of an item that aren't selected; None selects all."""
    more = [
        name for name in item if names is not None and name not in names and not name.startswith("odata.")
    ]
    if more:
        yield f"{item['id']!r} has {', '.join(more)}; {', '.join(sorted(names or ()))} were asked for"


# Where the values stand that are known by name.
_NAMED: dict[bool, tuple[tuple[str, tuple[str, ...]], ...]] = {
    True: (
        ("CloudTask.state", ("state",)),
        ("TaskExecutionInformation.result", ("executionInfo", "result")),
        ("TaskFailureInformation.category", ("executionInfo", "failureInfo", "category")),
    ),
    False: (
        ("CloudJob.state", ("state",)),
        ("CloudJob.onAllTasksComplete", ("onAllTasksComplete",)),
        ("JobSchedulingError.category", ("executionInfo", "schedulingError", "category")),
    ),
}


def known_values(answered: Answered) -> Complaints:
    """States, results and the like are ones that the fragment knows; in which case doesn't matter."""
    for item in items_of(answered):
        for name, path in _NAMED[answered.asked.operation == TASKS]:
            value: Any = item
            for member in path:
                value = value.get(member) if isinstance(value, dict) else None
            if value is not None and value.lower() not in contract.KNOWN_VALUES[name]:
                yield f"{item['id']!r}: {'.'.join(path)} is {value!r}, which the fragment doesn't know"
                return


def endings(answered: Answered) -> Complaints:
    """A completed task says how it ended: without that it counts neither as succeeded nor as failed."""
    if answered.asked.operation != TASKS:
        return
    names = answered.asked.query.get("$select", "executionInfo").split(",")
    for item in items_of(answered):
        ended = item["state"].lower() == "completed"
        if ended and "executionInfo" in names and "result" not in item.get("executionInfo", {}):
            yield f"task {item['id']!r} is completed and has no result"
            return


def times(answered: Answered) -> Complaints:
    """Nothing comes to its state before it was made, or ends before it began; only what is completed ends."""
    for item in items_of(answered):
        info = item.get("executionInfo", {})
        made, moved = _moment(item, "creationTime"), _moment(item, "stateTransitionTime")
        begun, ended = _moment(info, "startTime"), _moment(info, "endTime")
        if made and moved and made > moved:
            yield f"{item['id']!r} came to its state before it was made"
        elif begun and ended and begun > ended:
            yield f"{item['id']!r} ended before it began"
        elif ended and item["state"].lower() in UNENDED:
            yield f"{item['id']!r} is {item['state']}, and has an endTime"
        else:
            continue
        return


def _moment(members: Item, name: str) -> datetime | None:
    return datetime.fromisoformat(members[name]) if name in members else None


CHECKS: dict[str, Check] = {
    "page-size": page_size,
    "page-ids": page_ids,
    "next-link": next_link,
    "filter": filtered,
    "select": selected,
    "known-values": known_values,
    "endings": endings,
    "times": times,
}
