"""A semaphore that never loses a permit, for connections and for the limit on requests.

A signal handler may raise between any two byte codes, so no code can be sure to release what it acquired.
Therefore a permit holds a token, which returns by itself once Python finds that nothing refers to it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue


class _Token:
    """One of a semaphore's tokens: free in its queue, or held by a permit.

    Attributes:
        home: The semaphore, as long as there is one.
    """

    __slots__ = ("home",)

    def __init__(self, home: weakref.ref[Semaphore]) -> None:
        self.home = home

    def __del__(self) -> None:
        # Only a token that was lost comes here: Python swallows an interruption of a finalizer.
        if (home := self.home()) is not None:
            home.put(_Token(self.home))


class Permit:
    """Permission to use a connection or to send a request, until it is released or dropped.

    Attributes:
        token: Its token, None once it is released.
        round: Of a request: the round of the limiter's window in which the permit was granted.
    """

    __slots__ = ("round", "token")
    round: int
    token: _Token | None

    def release(self) -> None:
        """Return the token; a second call does nothing."""
        token, self.token = self.token, None
        if token is not None and (home := token.home()) is not None:
            home.put(token)


class Semaphore:
    """A fixed number of permits, for any number of threads."""

    def __init__(self, number: int, on_return: Callable[[], object] | None = None) -> None:
        """Make a semaphore.

        Args:
            number: The number of permits.
            on_return: Called after each return of a permit, in the thread that releases or drops it.
        """
        self.number = number
        self._on_return = on_return
        # A queue in C: no interruption leaves it locked.
        self._free: SimpleQueue[_Token] = SimpleQueue()
        home = weakref.ref(self)
        for _ in range(number):
            self._free.put(_Token(home))

    @property
    def in_use(self) -> int:
        """The number of permits that are held."""
        return self.number - self._free.qsize()

    def acquire(self, seconds: float = 0) -> Permit | None:
        """Return a permit, None if none is free within some seconds."""
        # Made first, so that the token has an owner at once.
        permit = Permit()
        try:
            permit.token = self._free.get(seconds > 0, min(seconds, threading.TIMEOUT_MAX))
        except Empty:
            return None
        return permit

    def put(self, token: _Token) -> None:
        """Take a token back."""
        self._free.put(token)
        if self._on_return is not None:
            self._on_return()
