"""The errors, divided by what the caller can do about them.

::

    TaskCountsError           root; .job_id .attempts .client_request_id .api_version
    ├── CredentialFailed      the credential gave no token; this attempt was not sent
    ├── ServiceUnreachable    no usable answer; the transport's error is the cause
    │   └── DeadlineExceeded  the deadline passed before there was one
    ├── ServiceError          .status .code .message .details .request_id .retry_after
    │   ├── AuthenticationFailed   401 and 403
    │   ├── JobNotFound            404 with that code
    │   └── ServiceBusy            429 and 503
    ├── ContractViolation     an answer that is not what the service promises; .path .answer
    └── WaitFailed            a wait ended with another outcome; .verdict (of `waiting.values`)

A wrong argument is a ValueError or TypeError, raised before anything is sent.
``str()`` of every error is one line. All of them can be pickled, and none holds a secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskcounts.text import one_line

__all__ = [
    "AuthenticationFailed",
    "ContractViolation",
    "CredentialFailed",
    "DeadlineExceeded",
    "JobNotFound",
    "ServiceBusy",
    "ServiceError",
    "ServiceUnreachable",
    "TaskCountsError",
]


class TaskCountsError(Exception):
    """A call got no trustworthy answer, or a wait for a job ended with another outcome than it was to have.

    Attributes:
        job_id: The job of the call; empty for the account's list of jobs.
        attempts: The number of requests that were sent.
        client_request_id: The GUID that all these requests carried.
        api_version: The api-version that they named.
    """

    job_id: str
    attempts: int
    client_request_id: str
    api_version: str

    def __init__(self, text: str, **facts: Any) -> None:
        super().__init__(text)
        self.__dict__.update(facts)

    def __str__(self) -> str:
        return one_line(str(self.args[0]), limit=2000)


class CredentialFailed(TaskCountsError):
    """The credential gave no token; its own error is the cause. A retry fails until the credential works."""


class ServiceUnreachable(TaskCountsError):
    """No attempt got a usable answer; the transport's last error is the cause."""


class DeadlineExceeded(ServiceUnreachable):
    """The deadline passed before there was an answer. The job's state is unknown."""


class ServiceError(TaskCountsError):
    """The service, or a proxy in front of it, answered with another status than 200.

    Attributes:
        status: The HTTP status.
        code: The service's name for the error, None if the answer has none.
        message: The service's text, None if the answer has none.
        details: The pairs of key and value in the answer's ``values``.
        request_id: The service's id of the request; quote it to Azure support.
        retry_after: Seconds that the service asks to wait, None if it doesn't ask.
    """

    status: int
    code: str | None
    message: str | None
    details: tuple[tuple[str, str], ...]
    request_id: str | None
    retry_after: float | None


class AuthenticationFailed(ServiceError):
    """The service refuses the credential (401), or the credential lacks the permission (403)."""


class JobNotFound(ServiceError):
    """The account has no job with this id; it may have been deleted."""


class ServiceBusy(ServiceError):
    """The service throttled (429) or was overloaded (503) at the last attempt that was allowed."""


class ContractViolation(TaskCountsError):
    """An answer that can't be trusted: a 200 that breaks the contract, or the answer to another request.

    Attributes:
        path: The member at fault, such as ``taskCounts.failed``; ``$`` for the answer as a whole.
        answer: The beginning of the body, as text.
        status: 200, or the status of an answer that belongs to another request.
        request_id: The service's id of the request; quote it to Azure support.
    """

    path: str
    answer: str
    status: int
    request_id: str | None


def cut_context(error: BaseException, handled: BaseException | None) -> None:
    """Detach an error from the exception that the caller was handling, which must not be changed."""
    for cause in causes_of(error):
        if cause.__context__ is handled:
            cause.__context__ = None


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its chain of causes, each once, even if they form a circle."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
