"""The capacity of a client: as many requests at once as it may send, to show whether a permit was lost."""

import contextlib
import threading

from support.servers import Behave, Peer
from wire.sessions import MAX_CONNECTIONS, Session, answering


class Capacity:
    """A behaviour that holds requests back until as many have come as the client may send at once.

    Args:
        behave: Answers each request.
    """

    def __init__(self, behave: Behave = answering) -> None:
        self.behave = behave
        self._together: threading.Barrier | None = None

    def __call__(self, peer: Peer) -> None:
        """Answer, as soon as all requests are there."""
        if self._together is not None:
            with contextlib.suppress(threading.BrokenBarrierError):
                self._together.wait(10)
        self.behave(peer)

    def check(self, session: Session, permits: int = MAX_CONNECTIONS) -> None:
        """Check that a client sends so many requests at once, and that each gets its own answer."""
        # A request over a connection that the server has closed would be sent twice.
        session.pause(0.03)
        self._together = together = threading.Barrier(permits)
        try:
            assert session.together(f"job-{job}" for job in range(permits)) == list(range(permits))
        finally:
            self._together = None
        assert not together.broken, "a permit was lost"


# Options of a client that waits for all of these requests.
PATIENT = {"timeout": 12.0, "deadline": 15.0}
