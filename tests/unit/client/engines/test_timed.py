"""Threads' sockets as httpcore takes them: what goes wrong on them has one name, and comes in time."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import httpcore
import pytest

from taskcounts.engines.seam import TimeIsUp
from taskcounts.engines.timed import TimedBackend, TimedStream, attempt

# More than the system holds for a connection, on both sides together.
MANY = 32 << 20


@contextlib.contextmanager
def connected(seconds: float) -> Iterator[tuple[TimedStream, socket.socket]]:
    """Give a stream for an attempt of some seconds, and the other end of it."""
    attempt.ends = time.monotonic() + seconds
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = TimedBackend().connect_tcp(*server.getsockname())
        far, _ = server.accept()
        with far:
            yield stream, far
        stream.close()


def test_all_of_it_is_written() -> None:
    """However little the system takes at once, all of it arrives, in order."""
    data = bytes(range(251)) * (MANY // 251)
    with connected(20) as (stream, far):
        writing = threading.Thread(target=lambda: stream.write(data), daemon=True)
        # Each thread has an attempt of its own, and this one none.
        writing.start()
        got = bytearray()
        while len(got) < len(data):
            got += far.recv(1 << 20)
        writing.join(5)
    assert got == data


def test_a_server_that_does_not_read() -> None:
    """Whoever writes waits for it as long as the attempt may take."""
    with connected(0.1) as (stream, _):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            stream.write(b"x" * MANY)
        with pytest.raises(TimeIsUp):
            stream.write(b"x")
        assert time.monotonic() - began < 2


def test_a_reset() -> None:
    """A connection that is reset is an error of httpcore's, to who reads and to who writes."""
    with connected(5) as (stream, far):
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        with pytest.raises(httpcore.ReadError, match="reset"):
            stream.read(1)
        with pytest.raises(httpcore.WriteError):
            stream.write(b"x" * MANY)
        assert stream.get_extra_info("is_readable")
