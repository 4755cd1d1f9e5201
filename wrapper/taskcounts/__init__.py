"""Task counts of Azure Batch jobs that you can trust.

>>> from taskcounts import TaskCountsClient, SharedKey
>>> endpoint = "https://myaccount.westeurope.batch.azure.com"
>>> with TaskCountsClient(endpoint, SharedKey("myaccount", key)) as client:
...     snapshot = client.get_job_task_counts("nightly-render")
"""

from taskcounts._version import __version__
from taskcounts.client import AsyncTaskCountsClient, TaskCountsClient
from taskcounts.credentials import (
    AsyncTokenCredential,
    BearerToken,
    Credential,
    SharedKey,
    TokenCredential,
)
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
from taskcounts.snapshot import Inconsistency, Snapshot
from taskcounts_rest.models import TaskCounts, TaskSlotCounts

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
    "__version__",
]
