"""Task counts of Azure Batch jobs that you can trust.

>>> from taskcounts import TaskCountsClient, SharedKey
>>> endpoint = "https://myaccount.westeurope.batch.azure.com"
>>> with TaskCountsClient(endpoint, SharedKey("myaccount", key)) as client:
...     snapshot = client.get_job_task_counts("nightly-render")
"""

from typing import TYPE_CHECKING, Any

from taskcounts._version import __version__
from taskcounts.client import AsyncTaskCountsClient, TaskCountsClient
from taskcounts.credentials import AsyncTokenCredential, BearerToken, Credential, SharedKey, TokenCredential
from taskcounts.errors import (
    AuthenticationFailed,
    ContractViolation,
    CredentialFailed,
    DeadlineExceeded,
    JobNotFound,
    ServiceBusy,
    ServiceError,
    ServiceUnreachable,
    TaskCountsError,
)
from taskcounts.retry import RetryPolicy
from taskcounts.snapshot import Inconsistency, Snapshot, TaskCounts, TaskSlotCounts

if TYPE_CHECKING:
    from taskcounts.many.values import JobResult, ListedJob
    from taskcounts.waiting.values import Kind, Observation, Observer, Outcome, Verdict, WaitFailed

__all__ = [
    "AsyncTaskCountsClient",
    "AsyncTokenCredential",
    "AuthenticationFailed",
    "BearerToken",
    "ContractViolation",
    "Credential",
    "CredentialFailed",
    "DeadlineExceeded",
    "Inconsistency",
    "JobNotFound",
    "JobResult",
    "Kind",
    "ListedJob",
    "Observation",
    "Observer",
    "Outcome",
    "RetryPolicy",
    "ServiceBusy",
    "ServiceError",
    "ServiceUnreachable",
    "SharedKey",
    "Snapshot",
    "TaskCounts",
    "TaskCountsClient",
    "TaskCountsError",
    "TaskSlotCounts",
    "TokenCredential",
    "Verdict",
    "WaitFailed",
    "__version__",
]

# These are loaded on first use: most callers neither wait nor ask for many jobs.
_LATER = {
    "taskcounts.many.values": ("JobResult", "ListedJob"),
    "taskcounts.waiting.values": ("Kind", "Observation", "Observer", "Outcome", "Verdict", "WaitFailed"),
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415 - needed here alone.

            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
