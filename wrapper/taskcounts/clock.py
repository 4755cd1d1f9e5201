"""Clocks: the time, sleeping and random numbers. The machine's own is every client's default."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """A source of the time and of random numbers; tests bring their own."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""

    def draw(self) -> float:
        """Return a number from a uniform distribution over [0, 1)."""


class AnyClock(Clock, Protocol):
    """A clock for both kinds of clients, which also makes a thread or a coroutine wait."""

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""

    async def sleep_async(self, seconds: float) -> None:
        """Wait for some seconds."""


class SystemClock:
    """The machine's clock and random numbers."""

    def __repr__(self) -> str:
        return "SYSTEM_CLOCK"

    # Functions in C: each call reads them five times.
    monotonic = staticmethod(time.monotonic)
    now = staticmethod(partial(datetime.now, UTC))

    def draw(self) -> float:
        """Return a number from a uniform distribution over [0, 1)."""
        import random  # noqa: PLC0415 - takes 2 ms to load, and is needed only after a failure.

        return random.random()  # noqa: S311 - not for cryptography.

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Wait for some seconds, and let other tasks run."""
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and a coroutine has loaded it.

        await asyncio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
