"""A crowd: as many requests at once as a client may have under way, which shows whether a place was lost."""

import contextlib
import threading

from support.client import Behave, Peer
from wire.ways import PLACES, Session, answering


class Crowd:
    """A behaviour that can hold requests until as many have come as can come at once.

    Args:
        behave: How each request is answered.
    """

    def __init__(self, behave: Behave = answering) -> None:
        self.behave = behave
        self._together: threading.Barrier | None = None

    def __call__(self, peer: Peer) -> None:
        """Answer, when all are there."""
        if self._together is not None:
            with contextlib.suppress(threading.BrokenBarrierError):
                self._together.wait(10)
        self.behave(peer)

    def check(self, session: Session, places: int = PLACES) -> None:
        """Check that so many requests of a client are under way at once, and each gets its own answer."""
        # What a server ends has ended: a request over it would count twice.
        session.pause(0.03)
        self._together = together = threading.Barrier(places)
        try:
            assert session.together(f"job-{job}" for job in range(places)) == list(range(places))
        finally:
            self._together = None
        assert not together.broken, "a place was lost"


# For a client that waits for the whole crowd.
PATIENT = {"timeout": 12.0, "deadline": 15.0}
