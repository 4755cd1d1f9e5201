"""An offline emulator of an Azure Batch account: jobs, tasks, their progress over time, and their counts.

Microsoft's clients use it unchanged. It checks requests as the service does, refuses them with the service's
errors, and injects faults on demand. It executes nothing; the README beside this file lists its limits::

    from taskcounts_emulator import Emulator

    with Emulator(scripted=True, slots=4) as emulator:
        emulator.add_job("nightly-render", [{"count": 6, "seconds": 30}], pool="render")
        emulator.fault("throttled", times=1, retry_after=1)
        ...  # call emulator.endpoint, as emulator.account with emulator.key
        emulator.advance(30)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskcounts_emulator.account import EmulatedAccount
    from taskcounts_emulator.app import create_app
    from taskcounts_emulator.errors import EmulatorError, NoSuchJob
    from taskcounts_emulator.faults.plan import Fault
    from taskcounts_emulator.model import Counts, JobCounts
    from taskcounts_emulator.server import Emulator, serve

# pytest loads this package's plugin in every test run, so each module is loaded on first use only.
_MODULES = {
    "Counts": "model",
    "EmulatedAccount": "account",
    "Emulator": "server",
    "EmulatorError": "errors",
    "Fault": "faults.plan",
    "JobCounts": "model",
    "NoSuchJob": "errors",
    "create_app": "app",
    "serve": "server",
}

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


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "taskcounts").partition(".")[0]
        if missing.startswith("taskcounts"):
            # A missing module of our own means a broken installation, and no extra repairs that.
            raise
        text = f"the emulator needs {missing}: install taskcounts with its extra 'emulator'"
        raise ImportError(text, name=missing) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
