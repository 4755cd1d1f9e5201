"""The number of requests that may be under way at once: pure decisions, no clock and no waiting."""

from __future__ import annotations

from typing import NamedTuple

from taskcounts.net.limits import MAX_CONNECTIONS

# The statuses of a service that has too much to do.
BUSY_STATUSES = frozenset({429, 503})


class Window(NamedTuple):
    """A limit of concurrent requests that adapts to the answers.

    It begins at ``most`` and changes with each answer (additive increase, multiplicative decrease)::

        429 or 503                     limit = max(1, limit / 2), and a new round begins
        any other status below 500     limit = min(most, limit + 1 / limit)
        anything else                  limit stays

    408 belongs to "anything else". Only the answer to a request of this round changes the limit: a request
    sent before the last halving shows nothing of the load after it. So a burst of refusals halves the limit
    once.

    After a 429 or 503 of any round nobody sends for as long as the service asks (if that is at most a year),
    or else for the pause of the retry policy; of several such moments the latest counts.

    Attributes:
        most: The limit while the service keeps up, from 1.
        limit: The present limit, 1 to ``most``; a fraction is rounded down.
        round: The number of times that the limit was halved.
        resume_at: The moment from which on requests may be sent, on the monotonic clock.
    """

    most: int
    limit: float
    round: int = 0
    resume_at: float = float("-inf")

    def allows(self, in_flight: int, now: float) -> bool:
        """Return whether one more request may be sent while ``in_flight`` are under way."""
        return in_flight + 1 <= self.limit and now >= self.resume_at

    def after(self, of_round: int, status: int | None, resume_at: float) -> Window:
        """Return the window after a request; that is this object while the service keeps up.

        Args:
            of_round: The round in which the request was sent.
            status: The answer's status, None if there was none.
            resume_at: The moment from which on a busy service may be asked; ignored for another status.
        """
        if status in BUSY_STATUSES:
            resume_at = max(self.resume_at, resume_at)
            if of_round != self.round:
                return self._replace(resume_at=resume_at)
            return Window(self.most, max(1.0, self.limit / 2), self.round + 1, resume_at)
        if self.limit < self.most and of_round == self.round and _says_well(status):
            return self._replace(limit=min(float(self.most), self.limit + 1 / self.limit))
        return self


def _says_well(status: int | None) -> bool:
    """Return whether an answer shows that the service keeps up."""
    return status is not None and status < 500 and status != 408


def open_window(most: int) -> Window:
    """Return the window to begin with, which is as wide as it may be."""
    return Window(most, float(most))


def check_concurrency(concurrency: int) -> int:
    """Return a number of concurrent requests; raise ValueError or TypeError for an unfit one."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, int):
        raise TypeError(f"concurrency must be an int, not {type(concurrency).__name__}")
    if not 1 <= concurrency <= MAX_CONNECTIONS:
        raise ValueError(
            f"concurrency is {concurrency}; give 1 to {MAX_CONNECTIONS}: a client has no more connections"
        )
    return concurrency
