"""Work in other threads, and interruptions where Python would bring them."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

SECONDS = 20


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true; fail the test if it never is."""
    ends = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


def in_threads(number: int, work: Callable[[], Any]) -> tuple[list[threading.Thread], list[Any]]:
    """Start threads; return them and the list that gets what each returns or raises."""
    came: list[Any] = []

    def run() -> None:
        try:
            came.append(work())
        except BaseException as error:
            came.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads, came


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start one thread; see `in_threads`."""
    (thread,), came = in_threads(1, work)
    return thread, came


def join(*threads: threading.Thread) -> None:
    """Wait until threads have ended; fail the test if one never does."""
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


class Interrupted(BaseException):
    """The exception of a signal handler."""


def interrupted(work: Callable[[], object], at: int) -> bool:
    """Call a function and interrupt it once, where Python would: at the call of a function, or after it.

    Returns whether it came so far: ``at`` counts these moments.
    """
    moments = 0

    def look(_: Any, event: str, argument: object) -> None:
        nonlocal moments
        # The last moment is the end of the profiling itself.
        if event in ("call", "c_return") and argument is not sys.setprofile:
            moments += 1
            if moments == at:
                raise Interrupted

    # What the collector calls swallows an interruption.
    gc.disable()
    try:
        sys.setprofile(look)
        work()
        sys.setprofile(None)
    except Interrupted:
        return True
    finally:
        sys.setprofile(None)
        gc.enable()
    return False
