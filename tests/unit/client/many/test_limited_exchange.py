"""One exchange at a gate: it waits before each attempt, and gives its place back however that ends."""

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
from taskcounts.flow.drive import run, run_async
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import NoPlace, Settings
from taskcounts.protocol.counts import COUNTS
from taskcounts.protocol.messages import Answer, Failure, Question
from taskcounts.tokens import TokenCache

GOOD = Answer(200, {**answer().headers, "client-request-id": GUID}, answer().body)
NONE = Failure("refused", ConnectionRefusedError("refused"))


def busy(status: int = 429, **headers: str) -> Answer:
    reply = error(status, "TooManyRequests", **headers)
    return Answer(status, reply.headers, reply.body)


class Gate:
    """A gate that lets in at once, unless told otherwise, and keeps what it was told."""

    def __init__(self, *refusals: NoPlace | None) -> None:
        self.asked: list[tuple[float, bool]] = []
        self.back: list[tuple[int | None, float]] = []
        self.refusals = list(refusals)

    def admit(self, until: float, again: bool) -> Any:
        self.asked.append((until, again))
        assert len(self.asked) == len(self.back) + 1, "a place is still had"
        return (self.refusals.pop(0) if self.refusals else None) or self

    def give_back(self, status: int | None, rest: float) -> None:
        self.back.append((status, rest))


class Engine:
    """An engine that gives one outcome after the other."""

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
    gate: Any, *outcomes: Any, clock: FakeClock, credential: Any = KEY, retry: Any = None, **limits: Any
) -> Any:
    """Run an exchange at a gate."""
    settings = Settings(ENDPOINT, credential, "scope", retry or RetryPolicy(), False, clock, gate)
    question = Question("job-1", None, 35.0, limits.get("deadline", 120.0), GUID)
    return run(exchange(settings, COUNTS, question), Engine(*outcomes), clock)


def test_good_answer(clock: FakeClock) -> None:
    """The place comes back with the answer's status."""
    gate = Gate()
    assert ask(gate, GOOD, clock=clock).total == 12
    assert (gate.asked, gate.back) == ([(1120, False)], [(200, 0)])


def test_place_of_the_caller(clock: FakeClock) -> None:
    """A place that the caller has got is used for the first attempt alone."""
    gate, mine = Gate(), Gate()
    settings = Settings(ENDPOINT, KEY, "scope", RetryPolicy(), False, clock, gate)
    question = Question("job-1", None, 35.0, 120.0, GUID)
    run(exchange(settings, COUNTS, question, mine), Engine(NONE, GOOD), clock)
    assert (mine.back, gate.asked, gate.back) == ([(None, 0.5)], [(1120, True)], [(200, 0)])


def test_place_is_given_back_for_the_pause(clock: FakeClock) -> None:
    """Between two attempts no place is had, and the next one is asked for as somebody who was refused."""
    gate = Gate()
    ask(gate, busy(), busy(503), GOOD, clock=clock)
    assert [again for _, again in gate.asked] == [False, True, True]
    assert gate.back == [(429, 0.5), (503, 1), (200, 0)]
    assert clock.pauses == [0.5, 1]


def test_wish_of_the_service(clock: FakeClock) -> None:
    """What the service asks for is what everybody waits; only else it is the pause of the policy."""
    gate = Gate()
    ask(gate, busy(retry_after="0.1"), busy(retry_after="7"), GOOD, clock=clock)
    assert gate.back == [(429, 0.1), (429, 7), (200, 0)]
    assert clock.pauses == [0.5, 7]


def test_wish_beyond_all_measure(clock: FakeClock) -> None:
    """A wish of more than a year, such as a date in 9999, ends this exchange and silences nobody else."""
    gate = Gate()
    with pytest.raises(ServiceBusy, match="gave up: the service asks to wait"):
        ask(gate, busy(retry_after="Fri, 31 Dec 9999 23:59:59 GMT"), clock=clock)
    with pytest.raises(ServiceBusy):
        ask(gate, busy(retry_after="9" * 400), clock=clock)
    assert gate.back == [(429, 0.5), (429, 0.5)]


def test_last_refusal_counts_too(clock: FakeClock) -> None:
    """The others leave a busy service alone even where this exchange asks no more."""
    gate = Gate()
    with pytest.raises(ServiceBusy):
        ask(gate, busy(), clock=clock, retry=RetryPolicy(max_attempts=1, first_pause=3))
    assert gate.back == [(429, 3)]


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
    """However an attempt ends, its place comes back, once."""
    gate = Gate()
    with pytest.raises(kind):
        ask(gate, outcome, clock=clock, retry=RetryPolicy(max_attempts=1))
    assert [each[0] for each in gate.back] == [status]


class Broken:
    """A credential that gives no token."""

    def get_token(self, *_: str) -> Any:
        raise ValueError("no token today")


def test_credential_fails(clock: FakeClock) -> None:
    """A credential that fails gives the place back as well."""
    gate = Gate()
    with pytest.raises(CredentialFailed):
        ask(gate, clock=clock, credential=TokenCache(Broken()))
    assert gate.back == [(None, 0)]


def test_slow_credential(clock: FakeClock) -> None:
    """So does one that takes until the deadline."""

    class Slow:
        def get_token(self, *_: str) -> Any:
            clock.pass_by(500)
            return SimpleNamespace(token=TOKEN)

    gate = Gate()
    with pytest.raises(DeadlineExceeded):
        ask(gate, clock=clock, credential=TokenCache(Slow()))
    assert gate.back == [(None, 0)]


def test_no_place_in_time(clock: FakeClock) -> None:
    """Without a place nothing is sent, and the error says how long nobody may send."""
    with pytest.raises(DeadlineExceeded) as caught:
        ask(Gate(NoPlace(300)), clock=clock)
    assert caught.value.attempts == 0
    assert str(caught.value) == (
        "job 'job-1': no time was left to send the request (0 attempts); "
        "gave up: the next attempt would wait 300 s, the deadline leaves 120 s"
    )


def test_no_place_for_another_attempt(clock: FakeClock) -> None:
    """What failed before is the error then, with the reason to give up."""
    gate = Gate(None, NoPlace(0))
    with pytest.raises(ServiceBusy, match="gave up: the deadline of 120 s is over") as caught:
        ask(gate, busy(), clock=clock)
    assert caught.value.attempts == 1
    assert len(gate.back) == 1


def test_no_gate_no_difference(clock: FakeClock) -> None:
    """Without a gate nobody is asked for a place."""
    assert ask(None, GOOD, clock=clock).total == 12


class Cancelled:
    """An engine that is cancelled while it sends."""

    name = "cancelled"

    async def send(self, *_: Any) -> Any:
        raise asyncio.CancelledError

    async def close(self) -> None:
        """Have nothing to close."""


def test_cancelled_exchange(clock: FakeClock) -> None:
    """A task that is cancelled while it sends gives its place back, and not later than that."""

    class AsyncGate(Gate):
        async def admit(self, until: float, again: bool) -> Any:
            return Gate.admit(self, until, again)

    gate = AsyncGate()
    settings = Settings(ENDPOINT, KEY, "scope", RetryPolicy(), False, clock, gate)
    question = Question("job-1", None, 35.0, 120.0, GUID)
    flow = exchange(settings, COUNTS, question)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run_async(flow, Cancelled(), clock))
    # The flow is still referred to, and yet it has ended.
    assert gate.back == [(None, 0)]


def test_interrupted_exchange(clock: FakeClock) -> None:
    """So does a thread that is interrupted."""
    gate = Gate()
    settings = Settings(ENDPOINT, KEY, "scope", RetryPolicy(), False, clock, gate)
    question = Question("job-1", None, 35.0, 120.0, GUID)
    flow = exchange(settings, COUNTS, question)
    with pytest.raises(KeyboardInterrupt):
        run(flow, Engine(KeyboardInterrupt()), clock)
    assert gate.back == [(None, 0)]
