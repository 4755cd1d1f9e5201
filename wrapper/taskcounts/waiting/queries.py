"""Looks: small list queries that tell whether a job has a task of some kind; lists are never behind.

Each asks for one task, whatever the size of the job. The filters use documented operators alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskcounts.protocol.answers import Violation
from taskcounts.text import one_line

_UNFINISHED = "state eq 'active' or state eq 'preparing' or state eq 'running'"

# What is looked for, and how the service is asked for it.
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
    """What a look found.

    Attributes:
        id: The task.
        state: Its state, in lower case.
        failed: Whether it is completed, and failed.
        created: When it was added, as the service writes it; a deleted task and a new one may have one id.
    """

    id: str
    state: str
    failed: bool
    created: str | None = None

    @property
    def completed(self) -> bool:
        """Whether it is at its end."""
        return self.state == "completed"


def first_task(items: list[dict[str, Any]], query: str) -> Task | None:
    """Return the first task of a page, None if the page is empty.

    Raises:
        Violation: A task is of a kind that wasn't looked for, or of one that nobody knows.
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
    return repr(one_line(text, 100))
