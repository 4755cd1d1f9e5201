"""The way from a call to its snapshot stays short: so many functions, in so many files."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import taskcounts
from support.answers import COUNTS, REQUEST_ID, wire
from support.client import KEY
from support.servers import Peer, Server, header
from taskcounts import TaskCountsClient

PACKAGE = Path(taskcounts.__file__).parent

# Raise these only for something that is worth a detour on every call.
MOST_CALLS, MOST_FILES = 64, 17


def answer_counts(peer: Peer) -> None:
    """Answer as the service does, and keep the connection."""
    body = wire({"odata.metadata": "https://myaccount/$metadata#taskcounts", **COUNTS})
    lines = [
        "HTTP/1.1 200 OK",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json;odata=minimalmetadata",
        f"request-id: {REQUEST_ID}",
        f"client-request-id: {header(peer.head, 'client-request-id')}",
    ]
    peer.send("\r\n".join([*lines, "", ""]).encode() + body)


def test_one_call_over_a_connection_that_is_open() -> None:
    """A warm call stays short: each function and each file more is one that everybody pays for and reads."""
    # The first call of a second also formats the date, so the shortest of several counts.
    runs: list[Counter[tuple[str, str]]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        # Comprehensions have frames of their own before Python 3.12.
        if event == "call" and not code.co_name.endswith("comp>"):
            path = Path(code.co_filename)
            if path.is_relative_to(PACKAGE):
                runs[-1][path.relative_to(PACKAGE).as_posix(), code.co_qualname] += 1

    server = Server(answer_counts)
    try:
        with TaskCountsClient(server.url, KEY) as client:
            for _ in range(2):
                client.get_job_task_counts("job-1")
            before = sys.getprofile()
            for _ in range(3):
                runs.append(Counter())
                sys.setprofile(note)
                try:
                    snapshot = client.get_job_task_counts("job-1")
                finally:
                    sys.setprofile(before)
    finally:
        server.close()
    assert snapshot.total == 12
    assert server.accepted == 1
    passed = min(runs, key=Counter.total)
    files = {path for path, _ in passed}
    assert passed.total() <= MOST_CALLS, passed
    assert len(files) <= MOST_FILES, files
