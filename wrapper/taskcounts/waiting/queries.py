"""Small list queries that show whether a job has a task of some kind. Unlike counts, lists are never behind.

Each query asks for one task, whatever the size of the job. The filters use documented operators alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskcounts.protocol.schema import Violation
from taskcounts.text import one_line

_UNFINISHED = "state eq 'active' or state eq 'preparing' or state eq 'running'"

# The queries by their names, and their filters; None for no filter.
FILTERS: Mapping[str, str | None] = {
    "unfinished": _UNFINISHED,
    "failed": "state eq 'completed' and executionInfo/result eq 'failure'",
    "unsuccessful": f"{_UNFINISHED} or executionInfo/result eq 'failure'",
    "active": "state eq 'active'",
    "any": None,
}
SELECT = "id,state,creationTime,executionInfo"

_STATES = ("active", "preparing", "running", "completed")
_RESULTS = ("success", "failure")


class Task(NamedTuple):
    """A task that a query found.

    Attributes:
        id: The id of the task.
        state: Its state, in lower case.
        failed: Whether it is completed, and failed.
        created: The time of its creation, as the service writes it. It tells a task from a deleted one of the
            same id.
    """

    id: str
    state: str
    failed: bool
    created: str | None = None

    @property
    def completed(self) -> bool:
        """True if the task is completed."""
        return self.state == "completed"


def first_task(items: list[dict[str, Any]], query: str) -> Task | None:
    """Return the first task of a page, None if the page is empty.

    Raises:
        Violation: A task doesn't match the query, or has an unknown state or result.
    """
    tasks = [_read(item, f"value[{index}]") for index, item in enumerate(items)]
    for index, task in enumerate(tasks):
        if not _matches(task, query):
            raise Violation(
                f"value[{index}].state",
                f"the task {quoted(task.id)} is {_kind(task)}, and isn't what was looked for: {query}",
            )
    return tasks[0] if tasks else None


def _read(item: Mapping[str, Any], path: str) -> Task:
    state = item["state"].lower()
    if state not in _STATES:
        raise Violation(
            f"{path}.state", f"the task {quoted(item['id'])} is {quoted(state)}, which is no state"
        )
    if not item["id"]:
        raise Violation(f"{path}.id", "it is empty")
    result = item.get("executionInfo", {}).get("result", "").lower()
    if state == "completed" and result not in _RESULTS:
        what = f"the unknown result {quoted(result)}" if result else "no result"
        raise Violation(
            f"{path}.executionInfo.result", f"the task {quoted(item['id'])} is completed with {what}"
        )
    failed = state == "completed" and result == "failure"
    return Task(item["id"], state, failed, item.get("creationTime"))


def _matches(task: Task, query: str) -> bool:
    match query:
        case "unfinished":
            return not task.completed
        case "failed":
            return task.failed
        case "unsuccessful":
            return task.failed or not task.completed
        case "active":
            return task.state == "active"
    return True


def _kind(task: Task) -> str:
    return f"completed with {'failure' if task.failed else 'success'}" if task.completed else task.state


def quoted(text: str) -> str:
    """Return an id or a word of the service as it can stand in one line."""
    return repr(one_line(text, 100))
