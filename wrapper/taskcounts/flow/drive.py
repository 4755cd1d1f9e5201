"""Runs the flow of `exchange`, sync and async: sends, waits, has tokens fetched; decides nothing."""

from __future__ import annotations

import inspect
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, TypeVar, cast

from taskcounts.clock import AsyncClock, SyncClock
from taskcounts.flow.steps import Acquire, Exchange, Outcome, Pause, Send

if TYPE_CHECKING:
    from taskcounts.net.base import AsyncEngine, Sender

T = TypeVar("T")

# Seconds; the clock goes on between the decision to send and the sending.
LEAST = 0.001


def run(flow: Exchange[T], engine: Sender, clock: SyncClock) -> T:
    """Run a flow to the value that it returns, or to the error that it raises."""
    try:
        return _run(flow, engine, clock)
    except BaseException as error:
        stop = _wrapped(error) if isinstance(error, RuntimeError) else None
        if stop is None:
            _clear_frames(error)
            raise
    # Not in there: it would have the other error as its context.
    raise stop


def _run(flow: Exchange[T], engine: Sender, clock: SyncClock) -> T:
    outcome: Outcome = None
    try:
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                # Here alone it is the flow's end: a step may raise one, too, such as that of an iterator.
                return cast(T, end.value)
            if isinstance(step, Send):
                outcome = engine.send(step.request, max(step.until - clock.monotonic(), LEAST), step.limit)
            elif isinstance(step, Pause):
                clock.sleep(step.seconds)
                outcome = None
            elif isinstance(step, Acquire):
                outcome = step.limiter.acquire(step.until, step.is_retry)
            else:
                outcome = step.source.fetch(step, clock)
    finally:
        # Whatever ended it: a flow that holds a permit gives it back now.
        flow.close()


async def run_async(flow: Exchange[T], engine: AsyncEngine, clock: AsyncClock) -> T:
    """Run a flow to the value that it returns, or to the error that it raises.

    A StopIteration leaves no coroutine: Python raises a RuntimeError in its place, and that is its cause.
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
        # Whatever ended it: a flow that holds a permit gives it back now.
        flow.close()


def _clear_frames(error: BaseException) -> None:
    """Clear the frames of this package that an error passed through.

    Its traceback would keep a permit that was on its way to the flow, and may show secrets.
    """
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).startswith("taskcounts."):
            # Those that still run can't be cleared.
            with suppress(RuntimeError):
                trace.tb_frame.clear()
        trace = trace.tb_next


def _wrapped(error: RuntimeError) -> StopIteration | None:
    """Return the StopIteration that left a flow as this error (PEP 479), None if that is not what it is.

    A clock, an observer or a progress function is called inside the flow, and Python lets no StopIteration
    out of a generator. The last generator that it left is the first frame of its own traceback. Its
    replacement passes through the frames of `run` and of the flow's generators alone: what passes through
    another one was raised, or wrapped, in code that the flow has called.
    """
    stop = error.__cause__
    if not isinstance(stop, StopIteration) or stop.__traceback__ is None:
        return None
    from traceback import walk_tb  # noqa: PLC0415 - almost nobody needs it.

    passed = [frame for frame, _ in walk_tb(error.__traceback__)][2:]
    return stop if all(map(_of_a_flow, [stop.__traceback__.tb_frame, *passed])) else None


def _of_a_flow(frame: FrameType) -> bool:
    """Whether a frame is that of a generator of this package."""
    is_generator = bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
    return is_generator and str(frame.f_globals.get("__name__")).startswith("taskcounts.")
