"""An offline emulator of an Azure Batch account: jobs, tasks, what time does to them, and their counts.

Microsoft's clients use it unchanged. It checks what the service checks, refuses in the service's words, and
goes wrong on demand; nothing is executed. The README beside this file begins with what it does not do::

    from taskcounts_emulator import Emulator

    with Emulator(scripted=True, slots=4) as emulator:
        emulator.add_job("nightly-render", [{"count": 6, "seconds": 30}], pool="render")
        emulator.fault("throttled", times=1, retry_after=1)
        ...  # call emulator.endpoint, as emulator.account with emulator.key
        emulator.advance(30)
"""

from __future__ import annotations

from taskcounts_emulator.account import EmulatedAccount
from taskcounts_emulator.errors import EmulatorError, NoSuchJob
from taskcounts_emulator.faults.plan import Fault
from taskcounts_emulator.model import Counts, JobCounts

try:
    from taskcounts_emulator.app import create_app
    from taskcounts_emulator.server import Emulator, serve
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
