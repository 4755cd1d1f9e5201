"""The two drivers of a flow, sync and async: they send, wait and fetch tokens, and decide nothing."""

from __future__ import annotations

import inspect
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, TypeVar, cast

from taskcounts.clock import AsyncClock, SyncClock
from taskcounts.flow.steps import Admit, Flow, Outcome, Pause, Send

if TYPE_CHECKING:
    from taskcounts.net.base import AsyncEngine, Sender

T = TypeVar("T")

# Seconds. The clock may pass the end of the attempt between the decision to send and the sending.
LEAST = 0.001


def run(flow: Flow[T], engine: Sender, clock: SyncClock) -> T:
    """Run a flow to the value that it returns, or to the error that it raises."""
    try:
        return _run(flow, engine, clock)
    except BaseException as error:
        stop = _stop_iteration_in(error) if isinstance(error, RuntimeError) else None
        if stop is None:
            _clear_frames(error)
            raise
    # Raised outside the except clause, so that the other error doesn't become its context.
    raise stop


def _run(flow: Flow[T], engine: Sender, clock: SyncClock) -> T:
    outcome: Outcome = None
    try:
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                # Only here it means the end of the flow: a step may raise one as well.
                return cast(T, end.value)
            if isinstance(step, Send):
                outcome = engine.send(step.request, max(step.until - clock.monotonic(), LEAST), step.limit)
            elif isinstance(step, Pause):
                clock.sleep(step.seconds)
                outcome = None
            elif isinstance(step, Admit):
                outcome = step.gate.admit(step.until, step.again)
            else:
                outcome = step.source.fetch(step, clock)
    finally:
        # A flow that holds a place gives it back now, however it ended.
        flow.close()


async def run_async(flow: Flow[T], engine: AsyncEngine, clock: AsyncClock) -> T:
    """Run a flow to the value that it returns, or to the error that it raises.

    Python lets no StopIteration out of a coroutine: it raises a RuntimeError, with the StopIteration as
    cause.
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
            elif isinstance(step, Admit):
                outcome = await step.gate.admit(step.until, step.again)
            else:
                outcome = await step.source.fetch_async(step, clock)
    except BaseException as error:
        _clear_frames(error)
        raise
    finally:
        # A flow that holds a place gives it back now, however it ended.
        flow.close()


def _clear_frames(error: BaseException) -> None:
    """Clear the frames of this package that an error passed through.

    The traceback would keep a place that the flow hasn't received yet, and may show secrets.
    """
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).startswith("taskcounts."):
            # A frame that still runs can't be cleared.
            with suppress(RuntimeError):
                trace.tb_frame.clear()
        trace = trace.tb_next


def _stop_iteration_in(error: RuntimeError) -> StopIteration | None:
    """Return the StopIteration that Python turned into this error as it left a flow, None for another error.

    The flow calls a clock, an observer or a progress function, which may raise one, and Python turns a
    StopIteration that leaves a generator into a RuntimeError (PEP 479). The first frame in the traceback of
    the StopIteration is the last generator that it left. The RuntimeError passes only through the frames of
    `run` and of the flow's generators; one that passes through another frame was raised by code that the flow
    called.
    """
    stop = error.__cause__
    if not isinstance(stop, StopIteration) or stop.__traceback__ is None:
        return None
    from traceback import walk_tb  # noqa: PLC0415 - such errors are rare.

    passed = [frame for frame, _ in walk_tb(error.__traceback__)][2:]
    return stop if all(map(_is_flow_frame, [stop.__traceback__.tb_frame, *passed])) else None


def _is_flow_frame(frame: FrameType) -> bool:
    """Return whether a frame belongs to a generator of this package."""
    is_generator = bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
    return is_generator and str(frame.f_globals.get("__name__")).startswith("taskcounts.")
