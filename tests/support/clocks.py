"""Clocks that a test turns by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock whose time passes only in `sleep` and `pass_by`, and whose random numbers are all the same."""

    def __init__(self, draw: float = 0.0) -> None:
        self.seconds = 1000.0
        self.pauses: list[float] = []
        self.chance = draw

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2024, 8, 1, 12, 34, 56, tzinfo=UTC) + timedelta(seconds=self.seconds - 1000)

    def draw(self) -> float:
        return self.chance

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class NoPauses(FakeClock):
    """Real time, but pauses are only noted: for tests with real servers."""

    def monotonic(self) -> float:
        return time.monotonic()
