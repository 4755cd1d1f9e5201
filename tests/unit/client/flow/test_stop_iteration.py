"""A StopIteration that a caller's own code raises reaches the caller: only the flow itself ends a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

import httpx
import pytest

from support.answers import BUSY, Script, answer
from support.client import ENDPOINT, KEY, Call
from support.clocks import FakeClock
from taskcounts import RetryPolicy, TaskCountsClient
from taskcounts.errors import causes_of

PLAIN = ["get_job_task_counts", "get_exact_job_task_counts", "wait_for_job"]


def run_out(*_: Any, **__: Any) -> Any:
    """Do as the iterator of a test double does that has nothing left."""
    return next(iter([]))


def ask(call: Call, method: str, to: Any = answer, credential: Any = KEY, **options: Any) -> Any:
    """Call a method of a client; the keywords that begin with `client_` are the client's own."""
    own = {name[7:]: options.pop(name) for name in list(options) if name.startswith("client_")}
    own.setdefault("transport", httpx.MockTransport(to))
    argument = ["job-1"] if method == "get_many" else "job-1"
    if not call.awaits:
        with TaskCountsClient(ENDPOINT, credential, **own) as client:
            result = getattr(client, method)(argument, **options)
            return list(result) if method == "get_many" else result

    async def ask_async() -> Any:
        async with call.client_type(ENDPOINT, credential, **own) as client:
            result = getattr(client, method)(argument, **options)
            return [each async for each in result] if method == "get_many" else await result

    return asyncio.run(ask_async())


def raises(call: Call, generator: bool = False) -> Any:
    """Expect the StopIteration, or Python's own error where it had to leave a coroutine or generator."""
    return pytest.raises(RuntimeError if call.awaits or generator else StopIteration)


def assert_told(call: Call, error: BaseException, generator: bool = False) -> None:
    """Check that the StopIteration is what arrived, or the cause of that."""
    if call.awaits or generator:
        assert "StopIteration" in str(error)
        assert any(isinstance(cause, StopIteration) for cause in causes_of(error))


@pytest.mark.parametrize("method", [*PLAIN, "get_many"])
def test_from_a_transport(call: Call, method: str) -> None:
    """A StopIteration of a transport is never taken for the end of the flow."""
    with raises(call, method == "get_many") as caught:
        ask(call, method, run_out)
    assert_told(call, caught.value, method == "get_many")


class Credential:
    """A credential whose tokens have run out."""

    get_token = run_out


class AsyncCredential:
    """The same for coroutines."""

    async def get_token(self, *_: Any, **__: Any) -> Any:
        return run_out()


@pytest.mark.parametrize("method", [*PLAIN, "get_many"])
def test_from_a_credential(call: Call, method: str) -> None:
    """Nor is that of a credential, in any thread: no future can hold one."""
    kinds: list[Callable[[], Any]] = [Credential, AsyncCredential] if call.awaits else [Credential]
    for kind in kinds:
        with raises(call, method == "get_many") as caught:
            ask(call, method, credential=kind())
        assert_told(call, caught.value, method == "get_many")


class EndingClock(FakeClock):
    """A clock one of whose methods fails once, after some calls."""

    def __init__(self, method: str, calls: int, function: Callable[[], Any]) -> None:
        super().__init__()
        ask, numbers = getattr(self, method), count()

        def answers(*given: Any) -> Any:
            return function() if next(numbers) == calls else ask(*given)

        setattr(self, method, answers)


@pytest.mark.parametrize(
    ("clock_method", "calls"),
    [("monotonic", 0), ("monotonic", 1), ("monotonic", 2), ("now", 0), ("now", 1), ("draw", 0), ("sleep", 0)],
)
def test_from_a_clock(call: Call, clock_method: str, calls: int) -> None:
    """A clock's arrives as well, though it is called inside of the generators of which the flow is made."""
    if call.awaits and clock_method == "sleep":
        clock_method = "sleep_async"
    clock = EndingClock(clock_method, calls, run_out)
    with raises(call) as caught:
        ask(call, "get_job_task_counts", Script(BUSY, answer()), client_clock=clock)
    assert_told(call, caught.value)


@pytest.mark.parametrize("calls", range(0, 12, 3))
def test_from_a_clock_with_a_limiter(call: Call, calls: int) -> None:
    """The same with a limiter, which reads the clock in every attempt."""
    clock = EndingClock("monotonic", calls, run_out)
    with raises(call) as caught:
        ask(
            call, "wait_for_job", Script(BUSY, answer()), client_clock=clock, client_concurrency=1, interval=1
        )
    assert_told(call, caught.value)


def test_from_an_observer(call: Call) -> None:
    """An observer's arrives, too."""
    with raises(call) as caught:
        ask(call, "wait_for_job", Script(answer()), observer=lambda _: next(iter([])))
    assert_told(call, caught.value)


def consumer(*, wraps: bool = False) -> Any:
    """Return the `send` of a generator that takes nothing more, or that lets one out itself."""

    def consume() -> Generator[None, Any, None]:
        yield
        if wraps:
            run_out()

    consumes = consume()
    next(consumes)
    return consumes.send


def test_from_a_built_in_observer(call: Call) -> None:
    """A generator that consumes observations may end, and Python shows no frame of its `send`."""
    with raises(call) as caught:
        ask(call, "wait_for_job", Script(answer()), observer=consumer())
    assert_told(call, caught.value)


def test_from_progress(call: Call) -> None:
    """An exception of progress ends the call unchanged, through two generators of ours."""
    empty = Script(answer({"value": []}))
    for progress in (run_out, consumer()):
        with raises(call) as caught:
            ask(call, "get_exact_job_task_counts", empty, progress=progress)
        assert_told(call, caught.value)
    with raises(call, generator=True) as caught:
        ask(call, "get_many", Script(answer()), progress=run_out)
    assert_told(call, caught.value, generator=True)


def own_error() -> RuntimeError:
    """Return an error that looks like Python's replacement of a StopIteration."""
    return RuntimeError("generator raised StopIteration")


def raise_own(*_: Any) -> None:
    try:
        run_out()
    except StopIteration as stop:
        raise own_error() from stop


def raise_without_frames(*_: Any) -> None:
    raise own_error() from StopIteration()


def raise_plain(*_: Any) -> None:
    raise own_error()


def ask_another(*_: Any) -> None:
    """Let one out of a generator of ours that belongs to another call."""
    with TaskCountsClient(ENDPOINT, KEY, transport=httpx.MockTransport(run_out)) as client:
        list(client.list_jobs())


def failing_clock(fail: Any) -> FakeClock:
    """Return a clock that fails where the flow wants to know by how much to shorten a pause."""
    clock = FakeClock()
    clock.draw = lambda: fail(None)  # type: ignore[method-assign]
    return clock


CALLS: dict[str, Callable[[Call, Any], Any]] = {
    "observer": lambda call, fail: ask(call, "wait_for_job", Script(answer()), observer=fail),
    "progress": lambda call, fail: ask(call, PLAIN[1], Script(answer({"value": []})), progress=fail),
    "clock": lambda call, fail: ask(call, PLAIN[0], Script(BUSY), client_clock=failing_clock(fail)),
}


@pytest.mark.parametrize("fail", [raise_own, raise_without_frames, raise_plain, ask_another, "consumer"])
@pytest.mark.parametrize("where", CALLS)
def test_errors_of_the_callers_own(call: Call, fail: Any, where: str) -> None:
    """An error that came out of the caller's code stays one, even if Python made it of a StopIteration."""
    with pytest.raises(RuntimeError, match="generator raised StopIteration") as caught:
        CALLS[where](call, consumer(wraps=True) if fail == "consumer" else fail)
    assert type(caught.value) is RuntimeError


def test_it_arrives_unchanged() -> None:
    """The very exception arrives, with the cause that it had, and without one that it had not."""
    stop = StopIteration("mine")
    stop.__cause__ = KeyError("why")

    def fail(_: Any) -> None:
        raise stop

    with pytest.raises(StopIteration) as caught:
        ask(Call(awaits=False), "wait_for_job", Script(answer()), observer=fail)
    assert caught.value is stop
    assert isinstance(stop.__cause__, KeyError)
    assert stop.__context__ is None


def test_stop_async_iteration(call: Call) -> None:
    """A StopAsyncIteration passes through generators and coroutines alike."""
    stop = StopAsyncIteration()

    def fail(*_: Any) -> Any:
        raise stop

    for options in ({"to": fail}, {"observer": fail, "to": Script(answer())}):
        with pytest.raises(StopAsyncIteration) as caught:
            ask(call, "wait_for_job", client_retry=RetryPolicy(max_attempts=1), **options)
        assert caught.value is stop
