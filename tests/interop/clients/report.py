"""The report of a client's program: a line of JSON for each operation."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

__all__ = ["See", "report"]


class See:
    """Compares what a client shows with what it should show, and keeps it for the report."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, what: str, value: object, expected: object) -> None:
        """Note a value.

        Raises:
            AssertionError: It is not the one that is expected.
        """
        if value != expected:
            raise AssertionError(f"{what}: {value!r}, not {expected!r}")
        self.seen.append(f"{what} {value}")

    def holds(self, what: str, true: object) -> None:
        """Note that something holds.

        Raises:
            AssertionError: It doesn't.
        """
        if not true:
            raise AssertionError(f"{what}: it is not so")
        self.seen.append(what)


def report(name: str, client: Any, check: Callable[[Any, See], None]) -> bool:
    """Print the report of an operation, and return whether the client could do it."""
    see, error = See(), None
    try:
        check(client, see)
        if not see.seen:
            raise AssertionError("nothing was looked at")
    except Exception as failure:
        # Some clients write essays; the table has a line.
        error = " ".join(f"{type(failure).__name__}: {failure}".split())
        if not isinstance(failure, AssertionError):
            traceback.print_exc()
    told = {"operation": name, "ok": error is None, "saw": "; ".join(see.seen), "error": error}
    print(json.dumps(told), flush=True)
    return error is None
