"""Runs a flow of `exchange`, sync or async: sends, sleeps, fetches tokens, and decides nothing."""

from __future__ import annotations

import inspect
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, TypeVar, cast

from taskcounts.clock import AnyClock, SystemClock
from taskcounts.flow.steps import Acquire, Flow, Outcome, Pause, Send

if TYPE_CHECKING:
    from taskcounts.net.base import AsyncEngine, Engine

T = TypeVar("T")

# The least seconds that a request is given: the clock goes on between the decision to send and the sending.
LEAST = 0.001

# Seconds after which a thread that sleeps checks whether it is to stop.
STOP_INTERVAL = 0.25


class Stopped(Exception):
    """Nobody wants the result of a flow any more."""


class Stop:
    """A flag that ends flows at their next step. Not an Event: an interruption may leave its lock held."""

    __slots__ = ("is_set",)

    def __init__(self) -> None:
        self.is_set = False

    def check(self) -> None:
        """Raise Stopped if the flag is set."""
        if self.is_set:
            raise Stopped


def run(flow: Flow[T], engine: Engine, clock: AnyClock, stop: Stop | None = None) -> T:
    """Return the value that a flow comes to, or raise its error; raise Stopped once ``stop`` is set."""
    try:
        return _run(flow, engine, clock, stop)
    except BaseException as error:
        original = _stop_iteration_in(error) if isinstance(error, RuntimeError) else None
        if original is None:
            _clear_frames(error)
            raise
    # Raised here, not within the handler, where it would get the other error as its context.
    raise original


def _run(flow: Flow[T], engine: Engine, clock: AnyClock, stop: Stop | None) -> T:
    outcome: Outcome = None
    try:
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                # Only here does it mean the flow's end: a step may raise one, too, such as an iterator's.
                return cast(T, end.value)
            if stop is not None:
                stop.check()
            if isinstance(step, Send):
                outcome = engine.send(step.request, max(step.until - clock.monotonic(), LEAST), step.limit)
            elif isinstance(step, Pause):
                _sleep(clock, step.seconds, stop)
                outcome = None
            elif isinstance(step, Acquire):
                outcome = step.limiter.acquire(step.until, step.is_retry, stop)
            else:
                outcome = step.source.fetch(step, clock)
    finally:
        # However it ended: a flow that holds a permit releases it now.
        flow.close()


async def run_async(flow: Flow[T], engine: AsyncEngine, clock: AnyClock) -> T:
    """Return the value that a flow comes to, or raise its error.

    No StopIteration can leave a coroutine: Python raises a RuntimeError with it as the cause.
    """
    outcome: Outcome = None
    try:
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                return cast(T, end.value)
            if isinstance(step, Send):
                outcome = await engine.send(
                    step.request, max(step.until - clock.monotonic(), LEAST), step.limit
                )
            elif isinstance(step, Pause):
                await clock.sleep_async(step.seconds)
                outcome = None
            elif isinstance(step, Acquire):
                outcome = await step.limiter.acquire(step.until, step.is_retry)
            else:
                outcome = await step.source.fetch_async(step, clock)
    except BaseException as error:
        _clear_frames(error)
        raise
    finally:
        # However it ended: a flow that holds a permit releases it now.
        flow.close()


def _sleep(clock: AnyClock, seconds: float, stop: Stop | None) -> None:
    """Sleep for some seconds, or until soon after a stop on the machine's own clock."""
    if stop is None or not isinstance(clock, SystemClock):
        clock.sleep(seconds)
        return
    ends = clock.monotonic() + seconds
    while not stop.is_set and (left := ends - clock.monotonic()) > 0:
        clock.sleep(min(left, STOP_INTERVAL))


def _clear_frames(error: BaseException) -> None:
    """Clear the frames of this package that an error passed through.

    The traceback would keep a permit alive that was on its way to the flow, and could show secrets.
    """
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).startswith("taskcounts."):
            # A running frame can't be cleared.
            with suppress(RuntimeError):
                trace.tb_frame.clear()
        trace = trace.tb_next


def _stop_iteration_in(error: RuntimeError) -> StopIteration | None:
    """Return the StopIteration that Python replaced by this error as it left a flow (PEP 479), if it did.

    A clock, an observer or a progress function is called inside the flow, and may raise StopIteration, which
    no generator lets out. The first frame of that error's traceback is the last generator that it left. The
    RuntimeError in its place passes only through frames of `run` and of the flow's generators; one that
    passed through another frame was raised, or wrapped, by code that the flow called.
    """
    stop = error.__cause__
    if not isinstance(stop, StopIteration) or stop.__traceback__ is None:
        return None
    from traceback import walk_tb  # noqa: PLC0415 - almost nobody needs it.

    passed = [frame for frame, _ in walk_tb(error.__traceback__)][2:]
    return stop if all(map(_is_flow_frame, [stop.__traceback__.tb_frame, *passed])) else None


def _is_flow_frame(frame: FrameType) -> bool:
    """Return whether a frame is that of a generator of this package."""
    is_generator = bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
    return is_generator and str(frame.f_globals.get("__name__")).startswith("taskcounts.")
