"""What the flow and its drivers say to each other: plain values, no behaviour.

They are named tuples, which take a third of the time to define that attrs classes take: this is
paid at every import. What comes from outside, or holds a secret, stays out of every repr: error
reporters print the local variables of all frames.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from taskcounts.clock import Clock
from taskcounts.credentials import BearerToken, SharedKey
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.retry import RetryPolicy

T = TypeVar("T")


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


class TokenSource(Protocol):
    """Gives the tokens of a credential; `tokens.TokenCache` is one."""

    def known(self, now: datetime, claims: str | None) -> BearerToken | None:
        """Return the token that is there already, None if there is none that lives and has the claims."""
        ...

    def forget(self, request: Request) -> None:
        """Forget the token that a request was refused with."""
        ...

    def takes_claims(self) -> bool:
        """Whether a token with certain claims can be asked for."""
        ...

    def fetch(self, step: FetchToken, clock: Clock) -> BearerToken | NoToken:
        """Fetch a token in this thread."""
        ...

    async def fetch_async(self, step: FetchToken, clock: Clock) -> BearerToken | NoToken:
        """Fetch a token in this event loop."""
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


Step = FetchToken | Send | Pause | Admit
Outcome = BearerToken | NoToken | Answer | Failure | Place | NoPlace | None
Flow = Generator[Step, Outcome, T]
