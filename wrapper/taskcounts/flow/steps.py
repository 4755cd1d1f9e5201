"""The steps that the flow yields to its drivers, and their outcomes: plain values without behaviour.

They are named tuples, since defining one takes a third of the time that an attrs class takes, at every
import. No repr shows a value from outside or a secret: error reporters print the local variables of all
frames.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, Protocol, TypeVar

from taskcounts.clock import Clock
from taskcounts.credentials import BearerToken, SharedKey
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.retry import RetryPolicy
from taskcounts.tokens import FetchToken, NoToken, TokenCache

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


class Settings(NamedTuple):
    """The settings of a client; its requests wait at ``gate``, if it has one."""

    endpoint: str
    credential: SharedKey | BearerToken | TokenCache
    scope: str
    retry: RetryPolicy
    strict: bool
    clock: Clock
    gate: Gate | None = None

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


Step = FetchToken | Send | Pause | Admit
Outcome = BearerToken | NoToken | Answer | Failure | Place | NoPlace | None
Flow = Generator[Step, Outcome, T]
