"""What can go wrong, cut by what the caller can do about it.

::

    TaskCountsError           root; .job_id .attempts .client_request_id
    ├── CredentialFailed      the credential gave no token; this attempt was not sent
    ├── ServiceUnreachable    no usable answer; the transport's error is the cause
    │   └── DeadlineExceeded  we stopped asking: the deadline is over
    ├── ServiceError          .status .code .message .details .request_id .retry_after
    │   ├── AuthenticationFailed   401 and 403
    │   ├── JobNotFound            404 with that code
    │   └── ServiceBusy            429 and 503
    ├── ContractViolation     an answer that is not what the service promises; .path .answer
    └── WaitFailed            a wait ended otherwise than it was meant to; .verdict (of `waiting.values`)

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
    """A question about a job has no trustworthy answer, or a wait for it another end than it was to have.

    Attributes:
        job_id: The job that was asked about; empty if it was the account's list of jobs.
        attempts: How many requests were sent, from 1; 0 if none was.
        client_request_id: The GUID that all these requests carried.
    """

    job_id: str
    attempts: int
    client_request_id: str

    def __init__(self, text: str, **facts: Any) -> None:
        super().__init__(text)
        self.__dict__.update(facts)

    def __str__(self) -> str:
        return one_line(str(self.args[0]), limit=2000)


class CredentialFailed(TaskCountsError):
    """The credential gave no token; its own error is the cause. Trying again won't help before it does."""


class ServiceUnreachable(TaskCountsError):
    """No attempt brought a usable answer; the transport's last error is the cause."""


class DeadlineExceeded(ServiceUnreachable):
    """The deadline passed before there was an answer. The job's state is unknown."""


class ServiceError(TaskCountsError):
    """The service, or a proxy in front of it, answered with something else than 200.

    Attributes:
        status: The HTTP status, 520 and its like included.
        code: The service's name for the error, None if the answer has none.
        message: The service's text, as it came, None if the answer has none.
        details: Pairs of key and value from the answer's ``values``.
        request_id: The service's id of the request; quote it to Azure support.
        retry_after: How long the service asks to wait, in seconds, None if it doesn't say.
    """

    status: int
    code: str | None
    message: str | None
    details: tuple[tuple[str, str], ...]
    request_id: str | None
    retry_after: float | None


class AuthenticationFailed(ServiceError):
    """The service doesn't accept the credential (401), or not for this (403)."""


class JobNotFound(ServiceError):
    """The account has no job of this id; it may have been deleted."""


class ServiceBusy(ServiceError):
    """The service throttles (429) or is overloaded (503), and was so at every attempt that was allowed."""


class ContractViolation(TaskCountsError):
    """An answer that can't be trusted: a 200 that breaks what the service promises, or another's answer.

    Attributes:
        path: The member at fault, such as ``taskCounts.failed``; ``$`` for the answer as a whole.
        answer: The beginning of the body, as text.
        status: 200; another one if the answer says that it belongs to another request.
        request_id: The service's id of the request; quote it to Azure support.
    """

    path: str
    answer: str
    status: int
    request_id: str | None


def cut_context(error: BaseException, handled: BaseException | None) -> None:
    """Part an error from the exception that the caller was handling, which is none of ours to change."""
    for cause in causes_of(error):
        if cause.__context__ is handled:
            cause.__context__ = None


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it, and what caused that; each once, even if they run in a circle."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
