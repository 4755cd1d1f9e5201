"""The machine's time and chance: the default of every client's ``clock``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """Where time and chance come from; tests bring their own."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""

    def draw(self) -> float:
        """Return a number drawn evenly from [0, 1)."""


class SyncClock(Clock, Protocol):
    """A clock on which one can also wait."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class AsyncClock(Clock, Protocol):
    """A clock on which a coroutine can also wait."""

    async def sleep_async(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """Time as it passes, and chance as it falls."""

    def __repr__(self) -> str:
        return "SYSTEM_CLOCK"

    # Functions in C: each call reads them five times.
    monotonic = staticmethod(time.monotonic)
    now = staticmethod(partial(datetime.now, UTC))

    def draw(self) -> float:
        """Return a number drawn evenly from [0, 1)."""
        import random  # noqa: PLC0415 - takes 2 ms to load, and is needed only after a failure.

        return random.random()  # noqa: S311 - spreads load, guards nothing.

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Wait, and let other tasks run."""
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and whoever waits so has it.

        await asyncio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
