"""How many requests may be under way at once, and from when on: pure decisions, no clock and no waiting."""

from __future__ import annotations

from typing import NamedTuple

# As many connections as a client's pool has: what is beyond waits there, on its own attempt's time.
MOST = 100

# The answers of a service that has too much to do.
BUSY_STATUSES = frozenset({429, 503})


class Window(NamedTuple):
    """How many requests may be under way, as the answers so far suggest.

    It begins at ``most`` and changes with each answer (additive increase, multiplicative decrease)::

        429 or 503                     limit = max(1, limit / 2), and a new round begins
        any other status below 500     limit = min(most, limit + 1 / limit)
        anything else                  limit stays

    408 belongs to "anything else". Only the answer to a request of this round changes the limit: one that
    was sent before the last halving says nothing of what the service bears after it, neither way. So a
    burst of refusals halves the limit once.

    After a 429 or 503 of any round nobody sends for as long as the service asks (if that is no more than a
    year), or else for the pause of the retry policy; of several such wishes the latest moment counts.

    Attributes:
        most: The limit where the service keeps up, from 1.
        limit: How many may be under way, 1 to ``most``; of a fraction the whole part counts.
        in_flight: How many are.
        round: How often the limit was halved.
        resume_at: When sending may go on, on the monotonic clock.
    """

    most: int
    limit: float
    in_flight: int = 0
    round: int = 0
    resume_at: float = float("-inf")

    def may_start(self, now: float) -> bool:
        """Whether one more request may be sent."""
        return self.in_flight + 1 <= self.limit and now >= self.resume_at

    def start(self) -> Window:
        """Return the window with one more request under way; it is of the window's round."""
        return self._replace(in_flight=self.in_flight + 1)

    def end(self, of_round: int, status: int | None, resume_at: float) -> Window:
        """Return the window after a request.

        Args:
            of_round: The round in which it was sent.
            status: The answer's status, None if there was none.
            resume_at: When a busy service may be asked again; of no meaning after another status.
        """
        limit, current, resume = self.limit, self.round, self.resume_at
        if status in BUSY_STATUSES:
            resume = max(resume, resume_at)
            if of_round == current:
                limit, current = max(1.0, limit / 2), current + 1
        elif of_round == current and status is not None and status < 500 and status != 408:
            limit = min(float(self.most), limit + 1 / limit)
        return Window(self.most, limit, self.in_flight - 1, current, resume)


def open_window(most: int) -> Window:
    """Return the window of a service that nothing is known against yet."""
    return Window(most, float(most))


def check_concurrency(concurrency: int) -> int:
    """Return how many requests may be under way at once; refuse what is no such number."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, int):
        raise TypeError(f"concurrency must be an int, not {type(concurrency).__name__}")
    if not 1 <= concurrency <= MOST:
        raise ValueError(f"concurrency is {concurrency}; give 1 to {MOST}: a client has no more connections")
    return concurrency
