"""The clock that clients have by default."""

import asyncio

from taskcounts.clock import SystemClock


def test_clock_of_the_machine() -> None:
    """The default clock has UTC, never goes back, draws within [0, 1) and really sleeps."""
    clock = SystemClock()
    first = clock.monotonic()
    clock.sleep(0.001)
    asyncio.run(clock.sleep_async(0.001))
    assert clock.monotonic() - first >= 0.002
    assert str(clock.now().tzinfo) == "UTC"
    assert all(0 <= clock.draw() < 1 for _ in range(100))
