"""Requests and answers as plain values, between the flow, the operations and the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")

# How much of a body is read. An answer has some 400 bytes, an error some 1,000.
MAX_BODY = 1 << 20


class Call(NamedTuple):
    """What one call is about, its arguments checked; ``job_id`` is empty if it is about no single job."""

    job_id: str
    service_timeout: int | None
    timeout: float
    deadline: float
    client_request_id: str


class CheckedAnswer(NamedTuple):
    """A 200 whose body is what the fragment says, on its way to becoming a value."""

    call: Call
    attempt: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    observed_at: datetime
    strict: bool

    def __repr__(self) -> str:
        return f"CheckedAnswer({self.call.job_id!r})"


class RequestParts(NamedTuple):
    """What a request is made of, but for its job and what belongs to an attempt.

    Attributes:
        operation_id: The operation's name in the fragment.
        options: Parameters of the query by their names in the fragment.
        link: Path and query that the page before gave, in place of the operation's own; None without.
    """

    operation_id: str
    options: tuple[tuple[str, str | int], ...] = ()
    link: str | None = None


class Operation(NamedTuple, Generic[T]):
    """One operation: what it sends, and what it makes of the answer.

    Attributes:
        parts: What its request is made of.
        check: Raises Violation for a body that the fragment doesn't allow.
        build: Returns the value of a checked answer; raises Violation if that can't be trusted.
        limit: How many bytes of a body are read.
    """

    parts: RequestParts
    check: Callable[[Any, str], None]
    build: Callable[[CheckedAnswer], T]
    limit: int = MAX_BODY


class Request(NamedTuple):
    """One attempt's request, as it goes out.

    ``headers`` stays out of the repr: it holds the signature or token.
    """

    method: str
    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url})"


class Answer(NamedTuple):
    """What was read of an answer: names of headers in lower case, and the body up to its limit.

    ``broken`` says why the rest of the body is missing, if it is.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: Failure | None = None
    oversize: bool = False

    def __repr__(self) -> str:
        return f"Answer({self.status})"


class Failure(NamedTuple):
    """There is no answer, or not the whole of one; ``permanent`` marks what another attempt can't mend."""

    reason: str
    error: BaseException
    permanent: bool = False

    def __repr__(self) -> str:
        return f"Failure({type(self.error).__name__})"
