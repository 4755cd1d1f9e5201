"""What goes wrong on the emulator's own side: a bad scenario, store, port or request of an administrator.

What the emulated service refuses is no error of the emulator, and lives in ``refusals``.
"""

from __future__ import annotations

__all__ = ["EmulatorError", "NoSuchJob", "NoSuchTask"]


class EmulatorError(Exception):
    """The emulator cannot do what its user asks. ``str(error)`` is one line, and nothing was changed."""


class NoSuchJob(EmulatorError):
    """The job that is asked for does not exist."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}")


class NoSuchTask(EmulatorError):
    """The task that is asked for does not exist."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"there is no task {task_id!r}")
