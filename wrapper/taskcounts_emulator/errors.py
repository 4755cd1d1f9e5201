"""Errors of the emulator itself: a wrong scenario, store, port or admin request.

The error answers of the emulated service are in ``refusals``.
"""

from __future__ import annotations

__all__ = ["EmulatorError", "NoSuchJob", "NoSuchTask"]


class EmulatorError(Exception):
    """The emulator cannot do what was asked. ``str(error)`` is one line, and nothing has changed."""


class NoSuchJob(EmulatorError):
    """The requested job does not exist."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}")


class NoSuchTask(EmulatorError):
    """The requested task does not exist."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"there is no task {task_id!r}")
