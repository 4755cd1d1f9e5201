"""The machine's time and chance: the default of every client's ``clock``."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime


class SystemClock:
    """Time as it passes, and chance as it falls."""

    def __repr__(self) -> str:
        return "SYSTEM_CLOCK"

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return datetime.now(UTC)

    def draw(self) -> float:
        """Return a number drawn evenly from [0, 1)."""
        return random.random()  # noqa: S311 - spreads load, guards nothing.

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Wait, and let other tasks run."""
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and whoever waits so has it.

        await asyncio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
