"""What the client programs share: the operations, the account, and a line of JSON for each operation."""

from __future__ import annotations

import datetime
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum

__all__ = ["HARD_FILTER", "OPERATIONS", "Account", "Report", "See", "group", "now", "tally", "values"]

# In the order in which every program goes through them. A client that has no such operation leaves it out.
OPERATIONS = (
    "Job_Add",
    "Job_Add of an id that exists",
    "Job_Get",
    "Job_Get of a missing job",
    "Job_Get unless it is unchanged",
    "Job_List over pages",
    "Job_List with filter and select",
    "Job_Patch",
    "Job_Patch if it is unchanged",
    "Task_Add",
    "Task_Add of an id that exists",
    "Task_Add to a missing job",
    "Task_Add with dependencies that the job doesn't use",
    "Task_AddCollection",
    "Task_AddCollection with an id that exists",
    "Task_AddCollection with a wrong task",
    "Task_List over pages",
    "Task_List with a filter",
    "Task_List with select",
    "Task_List with a wrong filter",
    "Task_List of a missing job",
    "Task_List by result",
    "Task_Get",
    "Task_Get of a missing task",
    "Job_GetTaskCounts",
    "Job_GetTaskCounts of a missing job",
    "Task_Terminate",
    "Task_Terminate of a completed task",
    "Task_Reactivate",
    "Task_Reactivate of an active task",
    "Task_Reactivate of a task that succeeded",
    "Task_Delete if it is unchanged",
    "Task_Delete",
    "Job_Disable",
    "Job_Enable",
    "Job_Terminate",
    "Task_Add to a completed job",
    "Job_Delete",
    "a job that runs to its end",
    "Job_Get, throttled at first",
    "Job_Get, cut off at first",
    "a wrong key",
    "a key over TLS",
    "a token over TLS",
)

# Ten tasks of job-1, and an id that no task can have: a page's link has to carry it through every encoding.
HARD_FILTER = "state eq 'active' and (startswith(id, 'many-24') or id eq 'a+b & c=d%2F''é')"


class Account:
    """The account that a program is to call, as its environment names it."""

    def __init__(self) -> None:
        self.endpoint = os.environ["AZURE_BATCH_ENDPOINT"]
        self.name = os.environ["AZURE_BATCH_ACCOUNT"]
        self.key = os.environ["AZURE_BATCH_ACCESS_KEY"]
        # An account of the same name and key over TLS, and the authority that vouches for it.
        self.tls_endpoint = os.environ["INTEROP_TLS_ENDPOINT"]
        self.authority = os.environ["INTEROP_AUTHORITY"]


class See:
    """Compares what a client shows with what it should show, and keeps it for the report."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, what: str, value: object, expected: object) -> None:
        """Note a value.

        Raises:
            AssertionError: It is not the one that is expected.
        """
        shown = _plain(value)
        if shown != _plain(expected):
            raise AssertionError(f"{what}: {shown!r}, not {_plain(expected)!r}")
        self.seen.append(f"{what} {shown}")

    def holds(self, what: str, true: object) -> None:
        """Note that something holds.

        Raises:
            AssertionError: It doesn't.
        """
        if not true:
            raise AssertionError(f"{what}: it is not so")
        self.seen.append(what)


class Report:
    """Prints a line of JSON for each operation, whatever becomes of it."""

    def __init__(self) -> None:
        self.failed = 0
        self._left = list(OPERATIONS)

    @contextmanager
    def operation(self, name: str) -> Iterator[See]:
        """Report what is seen inside; whatever goes wrong there, the next operation has its turn."""
        # Twice or out of order, and the table would lie.
        while self._left and self._left[0] != name:
            self._left.pop(0)
        if not self._left:
            raise ValueError(f"{name!r} is no operation, or not at its place")
        self._left.pop(0)
        see, error = See(), None
        try:
            yield see
            if not see.seen:
                raise AssertionError("nothing was looked at")
        except Exception as failure:
            # Some clients write essays; the table has a line.
            error = " ".join(f"{type(failure).__name__}: {failure}".split())
            if not isinstance(failure, AssertionError):
                traceback.print_exc()
        self.failed += error is not None
        told = {"operation": name, "ok": error is None, "saw": "; ".join(see.seen), "error": error}
        print(json.dumps(told), flush=True)

    def end(self) -> None:
        """Leave the program: 0 if every operation was right, else 1."""
        sys.exit(1 if self.failed else 0)


def values(names: Iterable[object]) -> list[str]:
    """Return enumerations or texts as sorted texts."""
    return sorted(str(_plain(name)) for name in names)


def group(names: Iterable[object]) -> dict[str, int]:
    """Return how often each enumeration or text occurs."""
    return dict(sorted(Counter(str(_plain(name)) for name in names).items()))


def now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.UTC)


def tally(listed: Iterable[tuple[object, object, int]], *, slots: bool) -> dict[str, int]:
    """Return what counts should be, of tasks or of task slots, from each task's state, result and slots."""
    counts = dict.fromkeys(("active", "running", "completed", "succeeded", "failed"), 0)
    for state, result, required in listed:
        names = {
            "preparing": ["running"],
            "completed": ["completed", "succeeded" if _plain(result) == "success" else "failed"],
        }
        for name in names.get(str(_plain(state)), [str(_plain(state))]):
            counts[name] += required if slots else 1
    return counts


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value
