"""The machine's time and chance: the default of every client's ``clock``."""

from __future__ import annotations

import os
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


def new_guid() -> str:
    """Return a new random GUID, version 4, as the module uuid makes them in twice the time."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
