"""An exchange with a limiter acquires a permit for each attempt, and releases it however that ends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from support.answers import GUID, answer, error
from support.client import ENDPOINT, KEY, TOKEN
from support.clocks import FakeClock
from taskcounts import (
    CredentialFailed,
    DeadlineExceeded,
    RetryPolicy,
    ServiceBusy,
    ServiceError,
    ServiceUnreachable,
    TaskCountsError,
)
from taskcounts.flow.drive import Stop, run, run_async
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import NoPermit, Settings
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.messages import Answer, Call, Failure
from taskcounts.tokens import TokenCache
from taskcounts_rest.contract import API_VERSION

GOOD = Answer(200, {**answer().headers, "client-request-id": GUID}, answer().body)
NONE = Failure("refused", ConnectionRefusedError("refused"))


def busy(status: int = 429, **headers: str) -> Answer:
    reply = error(status, "TooManyRequests", **headers)
    return Answer(status, reply.headers, reply.body)


class Limiter:
    """A limiter that grants at once, unless told otherwise, and records its calls."""

    def __init__(self, *refusals: NoPermit | None) -> None:
        self.asked: list[tuple[float, bool]] = []
        self.back: list[tuple[int | None, float]] = []
        self.refusals = list(refusals)

    def acquire(self, until: float, is_retry: bool, stop: Stop | None = None) -> Any:
        assert stop is None
        self.asked.append((until, is_retry))
        assert len(self.asked) == len(self.back) + 1, "a permit is still held"
        return (self.refusals.pop(0) if self.refusals else None) or self

    def release(self, permit: object, status: int | None, cooldown: float) -> None:
        assert permit is self
        self.back.append((status, cooldown))


class Engine:
    """An engine that gives one outcome after the other."""

    name = "script"

    def __init__(self, *outcomes: Answer | Failure | BaseException) -> None:
        self.outcomes = list(outcomes)

    def send(self, *_: Any) -> Answer | Failure:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self) -> None:
        """Have nothing to close."""


def ask(
    limiter: Any, *outcomes: Any, clock: FakeClock, credential: Any = KEY, retry: Any = None, **limits: Any
) -> Any:
    """Run an exchange with a limiter."""
    settings = Settings(ENDPOINT, credential, "scope", retry or RetryPolicy(), False, clock, limiter)
    call = Call("job-1", None, 35.0, limits.get("deadline", 120.0), GUID, API_VERSION)
    return run(exchange(settings, TASK_COUNTS_OPERATION, call), Engine(*outcomes), clock)


def test_good_answer(clock: FakeClock) -> None:
    """The permit comes back with the answer's status."""
    limiter = Limiter()
    assert ask(limiter, GOOD, clock=clock).total == 12
    assert (limiter.asked, limiter.back) == ([(1120, False)], [(200, 0)])


def test_permit_of_the_caller(clock: FakeClock) -> None:
    """A permit that the caller has acquired serves the first attempt alone."""
    limiter = Limiter()
    mine = limiter.acquire(0, False)
    settings = Settings(ENDPOINT, KEY, "scope", RetryPolicy(), False, clock, limiter)
    call = Call("job-1", None, 35.0, 120.0, GUID, API_VERSION)
    run(exchange(settings, TASK_COUNTS_OPERATION, call, mine), Engine(NONE, GOOD), clock)
    assert (limiter.asked[1:], limiter.back) == ([(1120, True)], [(None, 0.5), (200, 0)])


def test_permit_is_released_for_the_pause(clock: FakeClock) -> None:
    """No permit is held between two attempts, and the next one is acquired as a retry."""
    limiter = Limiter()
    ask(limiter, busy(), busy(503), GOOD, clock=clock)
    assert [is_retry for _, is_retry in limiter.asked] == [False, True, True]
    assert limiter.back == [(429, 0.5), (503, 1), (200, 0)]
    assert clock.pauses == [0.5, 1]


def test_wish_of_the_service(clock: FakeClock) -> None:
    """The cooldown is the service's Retry-After, or without one the pause of the policy."""
    limiter = Limiter()
    ask(limiter, busy(retry_after="0.1"), busy(retry_after="7"), GOOD, clock=clock)
    assert limiter.back == [(429, 0.1), (429, 7), (200, 0)]
    assert clock.pauses == [0.5, 7]


def test_wish_beyond_all_measure(clock: FakeClock) -> None:
    """A Retry-After of more than a year, such as a date in 9999, ends this exchange and delays no other."""
    limiter = Limiter()
    with pytest.raises(ServiceBusy, match="gave up: the service asks to wait"):
        ask(limiter, busy(retry_after="Fri, 31 Dec 9999 23:59:59 GMT"), clock=clock)
    with pytest.raises(ServiceBusy):
        ask(limiter, busy(retry_after="9" * 400), clock=clock)
    assert limiter.back == [(429, 0.5), (429, 0.5)]


def test_last_refusal_counts_too(clock: FakeClock) -> None:
    """The cooldown holds for others even if this exchange makes no further attempt."""
    limiter = Limiter()
    with pytest.raises(ServiceBusy):
        ask(limiter, busy(), clock=clock, retry=RetryPolicy(max_attempts=1, first_pause=3))
    assert limiter.back == [(429, 3)]


@pytest.mark.parametrize(
    ("outcome", "status", "kind"),
    [
        (NONE, None, ServiceUnreachable),
        (busy(404), 404, ServiceError),
        (GOOD._replace(body=b"{}"), 200, TaskCountsError),
        (GOOD._replace(broken=NONE), 200, TaskCountsError),
        (KeyboardInterrupt(), None, KeyboardInterrupt),
        (RuntimeError("a bug"), None, RuntimeError),
    ],
)
def test_failures(clock: FakeClock, outcome: Any, status: int | None, kind: type[BaseException]) -> None:
    """However an attempt ends, its permit is released once."""
    limiter = Limiter()
    with pytest.raises(kind):
        ask(limiter, outcome, clock=clock, retry=RetryPolicy(max_attempts=1))
    assert [each[0] for each in limiter.back] == [status]


class Broken:
    """A credential that gives no token."""

    def get_token(self, *_: str) -> Any:
        raise ValueError("no token today")


def test_credential_fails(clock: FakeClock) -> None:
    """A credential that fails leads to a release as well."""
    limiter = Limiter()
    with pytest.raises(CredentialFailed):
        ask(limiter, clock=clock, credential=TokenCache(Broken()))
    assert limiter.back == [(None, 0)]


def test_slow_credential(clock: FakeClock) -> None:
    """So does one that takes until the deadline."""

    class Slow:
        def get_token(self, *_: str) -> Any:
            clock.pass_by(500)
            return SimpleNamespace(token=TOKEN)

    limiter = Limiter()
    with pytest.raises(DeadlineExceeded):
        ask(limiter, clock=clock, credential=TokenCache(Slow()))
    assert limiter.back == [(None, 0)]


def test_no_permit_in_time(clock: FakeClock) -> None:
    """Without a permit nothing is sent, and the error names the cooldown."""
    with pytest.raises(DeadlineExceeded) as caught:
        ask(Limiter(NoPermit(300)), clock=clock)
    assert caught.value.attempts == 0
    assert str(caught.value) == (
        "job 'job-1': no time was left to send the request (0 attempts); "
        "gave up: the next attempt would wait 300 s, the deadline leaves 120 s"
    )


def test_no_permit_for_another_attempt(clock: FakeClock) -> None:
    """The error is that of the attempt before, with the reason to give up."""
    limiter = Limiter(None, NoPermit(0))
    with pytest.raises(ServiceBusy, match="gave up: the deadline of 120 s has passed") as caught:
        ask(limiter, busy(), clock=clock)
    assert caught.value.attempts == 1
    assert len(limiter.back) == 1


def test_no_limiter_no_difference(clock: FakeClock) -> None:
    """An exchange without a limiter needs no permit."""
    assert ask(None, GOOD, clock=clock).total == 12


class Cancelled:
    """An engine that is cancelled while it sends."""

    name = "cancelled"

    async def send(self, *_: Any) -> Any:
        raise asyncio.CancelledError

    async def close(self) -> None:
        """Have nothing to close."""


def test_cancelled_exchange(clock: FakeClock) -> None:
    """A task that is cancelled while it sends releases its permit at once."""

    class AsyncLimiter(Limiter):
        async def acquire(self, until: float, is_retry: bool, stop: Stop | None = None) -> Any:
            return Limiter.acquire(self, until, is_retry, stop)

    limiter = AsyncLimiter()
    settings = Settings(ENDPOINT, KEY, "scope", RetryPolicy(), False, clock, limiter)
    call = Call("job-1", None, 35.0, 120.0, GUID, API_VERSION)
    flow = exchange(settings, TASK_COUNTS_OPERATION, call)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run_async(flow, Cancelled(), clock))
    # The flow is still referred to, and yet it has ended.
    assert limiter.back == [(None, 0)]


def test_interrupted_exchange(clock: FakeClock) -> None:
    """So does a thread that is interrupted."""
    limiter = Limiter()
    settings = Settings(ENDPOINT, KEY, "scope", RetryPolicy(), False, clock, limiter)
    call = Call("job-1", None, 35.0, 120.0, GUID, API_VERSION)
    flow = exchange(settings, TASK_COUNTS_OPERATION, call)
    with pytest.raises(KeyboardInterrupt):
        run(flow, Engine(KeyboardInterrupt()), clock)
    assert limiter.back == [(None, 0)]
