"""The results of calls about many jobs."""

from __future__ import annotations

from attrs import frozen

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Inconsistency, Snapshot

__all__ = ["JobResult", "ListedJob"]


@frozen(kw_only=True)
class JobResult:
    """The result of one job among many: counts, or an error.

    Attributes:
        job_id: The job id, as it was given.
        snapshot: The job's counts, None if there is no trustworthy answer.
        error: The error, None with counts; a ValueError or TypeError for a value that is no job id.
    """

    job_id: str
    snapshot: Snapshot | None = None
    error: TaskCountsError | ValueError | TypeError | None = None


@frozen(kw_only=True)
class ListedJob:
    """A job of the account.

    Attributes:
        job_id: Its id.
        state: Its own state, in lower case: active, disabling, disabled, enabling, terminating,
            completed, deleting, or one that the service has introduced since.
        inconsistencies: Signs that the page with the job is stale, or isn't the service's answer to this
            request. Normally empty; don't rely on the list otherwise.
    """

    job_id: str
    state: str
    inconsistencies: tuple[Inconsistency, ...] = ()
