"""What the flow and its drivers say to each other: plain values, no behaviour.

They are named tuples, which take a third of the time to define that attrs classes take: this is
paid at every import. What comes from outside, or holds a secret, stays out of every repr: error
reporters print the local variables of all frames.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from taskcounts.clock import Clock
from taskcounts.credentials import BearerToken, SharedKey
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.retry import RetryPolicy
from taskcounts.semaphore import Permit

T = TypeVar("T")


class Limiter(Protocol):
    """A limit to the number of requests under way."""

    @property
    def acquire(self) -> Callable[..., Any]:
        """Return a Permit as soon as one is free, or a NoPermit; see `many.limiter`."""
        ...

    def release(self, permit: Permit, status: int | None, cooldown: float) -> None:
        """Take a permit back, once.

        Args:
            permit: The permit.
            status: The status of the answer to its request, None if there was none.
            cooldown: Seconds during which nobody may send to a service that is busy.
        """
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
    """The parts of a client that all its exchanges share; ``limiter`` is None where nothing limits them."""

    endpoint: str
    credential: SharedKey | BearerToken | TokenSource
    scope: str
    retry: RetryPolicy
    strict: bool
    clock: Clock
    limiter: Limiter | None = None

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


class Acquire(NamedTuple):
    """Acquire a permit to send a request, until some moment; the outcome is a Permit or a NoPermit.

    ``is_retry`` is true from the second attempt on: retries are served before first attempts.
    """

    limiter: Limiter
    until: float
    is_retry: bool


class NoPermit(NamedTuple):
    """No permit was free in time; for ``cooldown`` seconds from now nobody may send at all."""

    cooldown: float


class NoToken(NamedTuple):
    """The credential failed, or was too slow."""

    reason: str
    error: BaseException
    timed_out: bool = False

    def __repr__(self) -> str:
        return f"NoToken({type(self.error).__name__})"


Step = FetchToken | Send | Pause | Acquire
Outcome = BearerToken | NoToken | Answer | Failure | Permit | NoPermit | None
Exchange = Generator[Step, Outcome, T]
