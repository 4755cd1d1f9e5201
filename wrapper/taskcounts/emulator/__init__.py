"""An offline emulator of the Azure Batch operation that gets the task counts of a job.

It has state: jobs whose tasks move on as a test tells them, and counts that are counted. It checks what the
service checks, refuses in the service's words, and goes wrong on demand. It emulates one operation: jobs and
tasks come from a scenario or from Python, there are no pools, nothing is run, and counts are never late
unless a ``lag`` is set::

    from taskcounts.emulator import Emulator

    with Emulator() as emulator:
        emulator.add_job("nightly-render", [{"count": 5}, {"count": 2, "state": "running"}])
        emulator.fault("throttled", times=1, retry_after=1)
        ...  # call emulator.endpoint, as emulator.account with emulator.key
"""

from __future__ import annotations

from taskcounts.emulator.account import EmulatedAccount
from taskcounts.emulator.errors import EmulatorError, NoSuchJob
from taskcounts.emulator.faults.plan import Fault
from taskcounts.emulator.model import Counts, JobCounts

try:
    from taskcounts.emulator.api.app import create_app
    from taskcounts.emulator.server import Emulator, serve
except ModuleNotFoundError as error:
    # A module of our own that is missing is a broken installation, and this advice would not mend it.
    missing = (error.name or "taskcounts").partition(".")[0]
    if missing == "taskcounts":
        raise
    raise ImportError(
        f"the emulator needs {missing}: install taskcounts with its extra 'emulator'", name=missing
    ) from error

__all__ = [
    "Counts",
    "EmulatedAccount",
    "Emulator",
    "EmulatorError",
    "Fault",
    "JobCounts",
    "NoSuchJob",
    "create_app",
    "serve",
]
