"""The retry policy, and the parsing of Retry-After: pure decisions without clock, sleep or state."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from attrs import Attribute, field, frozen

__all__ = ["RetryPolicy"]

# Repeating a GET is always safe; after these statuses it may also succeed.
RETRYABLE_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)

# The comma between the values of a header; a comma after the day of a week belongs to a date.
_COMMA = re.compile(r"(?<!mon|tue|wed|thu|fri|sat|sun|day),", re.IGNORECASE)

# Seconds, a year. Nobody waits longer.
LONGEST = 366 * 86400


def _number(least: float, most: float = math.inf) -> Callable[[object, Attribute[float], object], None]:
    def check(_: object, attribute: Attribute[float], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{attribute.name} must be a number, not {type(value).__name__}")
        if not (least <= value <= most and value <= LONGEST):
            upper = f" to {most:g}" if most < math.inf else " or more"
            raise ValueError(f"{attribute.name} is {value!r}; give {least:g}{upper}")

    return check


@frozen(kw_only=True)
class RetryPolicy:
    """The number of attempts, and the pauses between them.

    After attempt n (from 1) the pause in seconds is::

        max(retry_after, min(max_pause, first_pause * 2 ** (n - 1)) * (1 - jitter * u))

    with ``u`` from a uniform distribution over [0, 1), and ``retry_after`` the wait that the service asked
    for, or 0. That wait is never cut short: if it, or any pause, doesn't fit into the deadline, there is no
    further attempt.

    The client retries after the statuses 408, 429, 500, 502, 503 and 504, and after transport errors other
    than an untrusted certificate. ``RetryPolicy(max_attempts=1)`` never retries. The one request that answers
    a challenge for another token doesn't count.

    Attributes:
        max_attempts: The number of requests at most, including the first one.
        first_pause: Seconds, before jitter, after the first attempt.
        max_pause: Seconds, the longest pause that the service didn't ask for.
        jitter: The fraction of such a pause that is random, 0 to 1.
    """

    max_attempts: int = field(default=4)
    first_pause: float = field(default=0.5, validator=_number(0))
    max_pause: float = field(default=20.0, validator=_number(0))
    jitter: float = field(default=0.5, validator=_number(0, 1))

    @max_attempts.validator
    def _check_max_attempts(self, _: object, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"max_attempts must be an int, not {type(value).__name__}")
        if value < 1:
            raise ValueError(f"max_attempts is {value}; give 1 or more")

    def pause_after(self, attempt: int, retry_after: float | None, draw: float) -> float | None:
        """Return the seconds to pause after a failed attempt, None if it was the last one.

        Args:
            attempt: The number of the failed attempt, from 1.
            retry_after: Seconds that the service asks to wait, None if it doesn't ask.
            draw: A random number from a uniform distribution over [0, 1).
        """
        if attempt >= self.max_attempts:
            return None
        # The exponent is bounded so that no number of attempts overflows a float.
        backoff = min(self.max_pause, self.first_pause * 2.0 ** min(attempt - 1, 64))
        return max(retry_after or 0.0, backoff * (1 - self.jitter * draw))


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that an answer asks to wait, None if it asks for none or can't be read.

    Args:
        headers: The answer's headers, names in lower case. ``retry-after`` holds seconds,
            with or without a fraction, or an HTTP date; ``retry-after-ms`` and
            ``x-ms-retry-after-ms`` hold milliseconds. Of several values, even in one header, the
            longest counts.
        now: The current time, for an HTTP date in an answer that has no ``date`` of its own.
    """
    wishes = [
        float(milliseconds) / 1000
        for name in ("retry-after-ms", "x-ms-retry-after-ms")
        for milliseconds in _values(headers.get(name, ""))
        if _NUMBER.fullmatch(milliseconds)
    ]
    for wish in _values(headers.get("retry-after", "")):
        if _NUMBER.fullmatch(wish):
            wishes.append(float(wish))
        elif moment := parse_http_date(wish):
            # Relative to the service's own clock, so that an error of ours doesn't matter.
            since = parse_http_date(headers.get("date", "")) or now
            wishes.append(max(0.0, (moment - since).total_seconds()))
    # Clamp to a finite float: the value is serialised to JSON.
    return min(max(wishes), sys.float_info.max) if wishes else None


def _values(header: str) -> list[str]:
    """Return the values of a header, which may have come several times."""
    return [value.strip() for value in _COMMA.split(header)]


def parse_http_date(text: str) -> datetime | None:
    """Return the moment of an HTTP date, None if the text isn't one."""
    if not text:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - takes 12 ms to load; few answers need it.

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
