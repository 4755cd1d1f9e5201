"""The steps that the flow yields to its drivers, and their outcomes: plain values without behaviour.

They are named tuples, since defining one takes a third of the time that an attrs class takes, at every
import. No repr shows a value from outside or a secret: error reporters print the local variables of all
frames.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol, TypeVar

from taskcounts.clock import Clock
from taskcounts.credentials import BearerToken, SharedKey
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.retry import RetryPolicy
from taskcounts.semaphore import Permit
from taskcounts.tokens import FetchToken, NoToken, TokenCache

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


class Settings(NamedTuple):
    """The parts of a client that all its exchanges share; ``limiter`` is None where nothing limits them."""

    endpoint: str
    credential: SharedKey | BearerToken | TokenCache
    scope: str
    retry: RetryPolicy
    strict: bool
    clock: Clock
    limiter: Limiter | None = None

    def __repr__(self) -> str:
        return f"Settings({self.endpoint!r}, {self.credential!r})"


class Send(NamedTuple):
    """A step: send a request and read its answer. The outcome is an Answer or a Failure.

    Attributes:
        request: The request.
        until: The end of the attempt on the monotonic clock.
        limit: The bytes of the body that are read at most.
    """

    request: Request
    until: float
    limit: int


class Pause(NamedTuple):
    """A step: wait for some seconds. The outcome is None."""

    seconds: float


class Acquire(NamedTuple):
    """A step: acquire a permit to send a request. The outcome is a Permit or a NoPermit.

    Attributes:
        limiter: The limiter.
        until: The latest moment on the monotonic clock.
        is_retry: Whether this is a further attempt; retries are served before first attempts.
    """

    limiter: Limiter
    until: float
    is_retry: bool


class NoPermit(NamedTuple):
    """The outcome if no permit was free in time; nobody may send for ``cooldown`` seconds from now."""

    cooldown: float


Step = FetchToken | Send | Pause | Acquire
Outcome = BearerToken | NoToken | Answer | Failure | Permit | NoPermit | None
Flow = Generator[Step, Outcome, T]
