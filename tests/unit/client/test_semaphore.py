"""The semaphore of connections and requests: its permits, and that none is lost."""

import contextlib
import gc
import threading

from taskcounts.semaphore import Semaphore


def test_permits() -> None:
    """A semaphore has a fixed number of permits, and an acquirer waits for one for a while."""
    semaphore = Semaphore(2)
    first, second = semaphore.acquire(), semaphore.acquire()
    assert first is not None
    assert second is not None
    assert semaphore.in_use == 2
    assert semaphore.acquire(0.01) is None
    threading.Timer(0.05, second.release).start()
    third = semaphore.acquire(5)
    first.release()
    fourth = semaphore.acquire(float("inf"))
    assert third is not None
    assert fourth is not None
    # A permit is released once: the token is that of its next holder.
    first.release()
    second.release()
    assert semaphore.in_use == 2


def test_dropped_permits() -> None:
    """A permit that is dropped returns by itself, and the return is reported."""
    returns: list[int] = []
    semaphore = Semaphore(1, lambda: returns.append(semaphore.in_use))
    for _ in range(3):
        with contextlib.suppress(ZeroDivisionError):
            _ = semaphore.acquire(), 1 / 0
    assert returns == [0] * 3
    permit = semaphore.acquire()
    assert permit is not None
    assert semaphore.acquire() is None
    permit.release()
    assert returns == [0] * 4


def test_permits_without_a_semaphore() -> None:
    """A permit that outlives its semaphore returns to nowhere."""
    semaphore = Semaphore(2)
    released, dropped = semaphore.acquire(), semaphore.acquire()
    assert released is not None
    del semaphore
    gc.collect()
    released.release()
    del dropped
    assert not [each for each in gc.get_objects() if type(each).__name__ == "_Token"]
