"""Requests and answers as plain values, shared by the flow, the operations and the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")

# The bytes of a body that are read at most. An answer has some 400 bytes, an error some 1,000.
MAX_BODY = 1 << 20


class Call(NamedTuple):
    """The checked arguments of one call.

    Attributes:
        job_id: The job; empty for a call that is about no single job, such as a list of jobs.
        service_timeout: Seconds that the service may work on a request, None for its default.
        timeout: Seconds that one attempt may take.
        deadline: Seconds that all attempts and pauses may take together.
        client_request_id: The GUID that all requests of the call carry.
        api_version: The api-version that they name.
    """

    job_id: str
    service_timeout: int | None
    timeout: float
    deadline: float
    client_request_id: str
    api_version: str


class CheckedAnswer(NamedTuple):
    """A 200 whose body is as the fragment describes it, from which an operation builds its value."""

    call: Call
    attempt: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    observed_at: datetime
    strict: bool

    def __repr__(self) -> str:
        return f"CheckedAnswer({self.call.job_id!r})"


class RequestParts(NamedTuple):
    """The parts of a request that depend neither on the job nor on the attempt.

    Attributes:
        operation_id: The operation's name in the fragment.
        options: Pairs of name and value for the query, with the names of the fragment in lower case.
        link: The path and query that the previous page gave, in place of the operation's own; None without.
    """

    operation_id: str
    options: tuple[tuple[str, str | int], ...] = ()
    link: str | None = None


class Operation(NamedTuple, Generic[T]):
    """An operation of the service: the request that it sends, and the value that it builds from the answer.

    Attributes:
        parts: The parts of its request.
        check: Raises Violation for a body that the fragment doesn't allow.
        build: Returns the value of a checked answer; raises Violation if that can't be trusted.
        limit: The bytes of a body that are read at most.
    """

    parts: RequestParts
    check: Callable[[Any], None]
    build: Callable[[CheckedAnswer], T]
    limit: int = MAX_BODY


class Request(NamedTuple):
    """The request of one attempt.

    The repr leaves ``headers`` out: they hold the signature or the token.
    """

    method: str
    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url})"


class Answer(NamedTuple):
    """An answer, as far as it was read.

    Attributes:
        status: The HTTP status.
        headers: The headers, names in lower case.
        body: The body, up to the limit of the operation.
        broken: The reason why the rest of the body is missing; None if the body is whole.
        oversize: Whether the body is larger than the limit.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: Failure | None = None
    oversize: bool = False

    def __repr__(self) -> str:
        return f"Answer({self.status})"


class Failure(NamedTuple):
    """The reason why there is no answer, or only a part of one.

    Attributes:
        reason: The reason, for people.
        error: The error that ended the attempt.
        permanent: Whether another attempt would fail as well.
    """

    reason: str
    error: BaseException
    permanent: bool = False

    def __repr__(self) -> str:
        return f"Failure({type(self.error).__name__})"
