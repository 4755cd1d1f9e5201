"""What the flow and its drivers say to each other: plain values, no behaviour.

They are named tuples, which take a third of the time to define that attrs classes take: this is
paid at every import. What comes from outside, or holds a secret, stays out of every repr: error
reporters print the local variables of all frames.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from taskcounts.credentials import BearerToken, SharedKey
from taskcounts.retry import RetryPolicy

if TYPE_CHECKING:
    from taskcounts.tokens import TokenSource

T = TypeVar("T")

# How much of a body is read. An answer has some 400 bytes, an error some 1,000.
MAX_BODY = 1 << 20


class Clock(Protocol):
    """Where time and chance come from; tests bring their own."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""
        ...

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def draw(self) -> float:
        """Return a number drawn evenly from [0, 1)."""
        ...


class Place(Protocol):
    """Leave to send one request. Whoever has it gives it back, once."""

    def give_back(self, status: int | None, rest: float) -> None:
        """Say what came of the request.

        Args:
            status: The answer's status, None if there was none.
            rest: For how many seconds a service that is busy is to be left alone.
        """
        ...


class Gate(Protocol):
    """Decides when one more request may be sent."""

    def admit(self, until: float, again: bool) -> Any:
        """Return a Place as soon as there is one, or a NoPlace; an asynchronous gate is awaited."""
        ...


class Settings(NamedTuple):
    """What stays the same over all exchanges of a client; ``gate`` is what its requests wait at, if any."""

    endpoint: str
    credential: SharedKey | BearerToken | TokenSource
    scope: str
    retry: RetryPolicy
    strict: bool
    clock: Clock
    gate: Gate | None = None

    def __repr__(self) -> str:
        return f"Settings({self.endpoint!r}, {self.credential!r})"


class Question(NamedTuple):
    """What one call is about, its arguments checked; ``job_id`` is empty if it is about no single job."""

    job_id: str
    service_timeout: int | None
    timeout: float
    deadline: float
    client_request_id: str


class Reply(NamedTuple):
    """A 200 whose body is what the fragment says, on its way to becoming a value."""

    question: Question
    attempt: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    observed_at: datetime
    strict: bool

    def __repr__(self) -> str:
        return f"Reply({self.question.job_id!r})"


class Parts(NamedTuple):
    """What a request is made of, but for its job and what belongs to an attempt.

    Attributes:
        operation: Its name in the fragment.
        options: Parameters of the query by their names in the fragment.
        link: Path and query that the page before gave, in place of the operation's own; None without.
    """

    operation: str
    options: tuple[tuple[str, str | int], ...] = ()
    link: str | None = None


class Ask(NamedTuple, Generic[T]):
    """One operation: what it sends, and what it makes of the answer.

    Attributes:
        parts: What its request is made of.
        check: Raises Violation for a body that the fragment doesn't allow.
        build: Returns the value of a checked answer; raises Violation if that can't be trusted.
        limit: How many bytes of a body are read.
    """

    parts: Parts
    check: Callable[[Any, str], None]
    build: Callable[[Reply], T]
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


class FetchToken(NamedTuple):
    """Fetch a token until some moment, with claims if the service asks for some.

    The outcome is a BearerToken or a NoToken.
    """

    source: TokenSource
    scope: str
    claims: str | None
    until: float


class Send(NamedTuple):
    """Send a request, read its answer, both until some moment; the outcome is an Answer or a Failure."""

    request: Request
    until: float
    limit: int


class Pause(NamedTuple):
    """Wait for some seconds; the outcome is None."""

    seconds: float


class Admit(NamedTuple):
    """Wait for leave to send a request, until some moment; the outcome is a Place or a NoPlace.

    ``again`` marks the further attempts of an exchange: who was refused comes before who wasn't yet.
    """

    gate: Gate
    until: float
    again: bool


class NoPlace(NamedTuple):
    """There was no leave in time; ``rest`` is for how many seconds nobody may send at all."""

    rest: float


class NoToken(NamedTuple):
    """The credential failed, or was too slow."""

    reason: str
    error: BaseException
    timed_out: bool = False

    def __repr__(self) -> str:
        return f"NoToken({type(self.error).__name__})"


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


Step = FetchToken | Send | Pause | Admit
Outcome = BearerToken | NoToken | Answer | Failure | Place | NoPlace | None
Exchange = Generator[Step, Outcome, T]
