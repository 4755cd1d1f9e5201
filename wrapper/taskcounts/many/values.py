"""What asking for many jobs tells of each."""

from __future__ import annotations

from attrs import frozen

from taskcounts.errors import TaskCountsError
from taskcounts.snapshot import Inconsistency, Snapshot

__all__ = ["JobResult", "ListedJob"]


@frozen(kw_only=True)
class JobResult:
    """What became of one job among many: counts, or the error that it met.

    Attributes:
        job_id: The job, as it was asked for.
        snapshot: Its counts, None if there is no trustworthy answer.
        error: Why there is none; a ValueError or TypeError for what is no job id.
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
            completed, deleting, or one that the service has come to know since.
        inconsistencies: Signs that the page which named it isn't the service's to our request, or isn't
            fresh. Empty is the rule; otherwise don't rely on the list.
    """

    job_id: str
    state: str
    inconsistencies: tuple[Inconsistency, ...] = ()
