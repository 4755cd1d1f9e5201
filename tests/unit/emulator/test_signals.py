"""Signals that stop a serving emulator: a first one and a second one."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from taskcounts_emulator import EmulatedAccount, serve
from taskcounts_emulator.server import _stopped_by_signals

pytestmark = pytest.mark.slow  # Its tests start processes.

TARGET = "/jobs/nightly/taskcounts?api-version=2024-07-01.20.0"


SERVER = """
import sys
from taskcounts_emulator import EmulatedAccount, serve
service = EmulatedAccount()
service.add_job("nightly")
service.fault("slow", seconds=3600)
serve(service, ready=lambda endpoint: print(endpoint, flush=True))
service.close()
print("stopped")
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A process that serves, as the command line does."""
    with subprocess.Popen(  # noqa: S603 - Our own program, in the Python that runs the tests.
        [sys.executable, "-W", "error", "-c", SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        yield started
        started.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """SIGINT and SIGTERM end serve at once, even during a response, and without output on stderr."""
    assert process.stdout is not None
    url = urlsplit(process.stdout.readline().strip())
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(
            f"GET {TARGET} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token\r\n\r\n".encode()
        )
        with socket.create_connection((url.hostname, url.port)) as other:
            other.sendall(b"GET /_emulator/health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            answer = http.client.HTTPResponse(other)
            answer.begin()
            assert answer.status == 200
        begun = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=5)
    assert (out, err, process.returncode) == ("stopped\n", "", 0)
    assert time.monotonic() - begun < 1


def test_serving_leaves_the_handlers_of_signals_as_they_were() -> None:
    """After serve has returned, the earlier handlers are back; the store is still open."""
    service = EmulatedAccount()
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    endpoints = []

    def ready(endpoint: str) -> None:
        endpoints.append(endpoint)
        signal.raise_signal(signal.SIGTERM)

    serve(service, ready=ready)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    service.add_job("nightly")
    with pytest.raises(httpx.ConnectError):
        httpx.get(endpoints[0], trust_env=False)


def test_a_second_signal_stops_the_server_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second signal has its default effect at once, even if the loop is busy."""
    told: list[tuple[int, object]] = []

    async def ask_twice() -> None:
        stop = asyncio.Event()
        with _stopped_by_signals(stop):
            os.kill(os.getpid(), signal.SIGINT)
            assert told == []
            os.kill(os.getpid(), signal.SIGINT)
            assert told == [(signal.SIGINT, signal.SIG_DFL)]
            await asyncio.sleep(0)
            assert stop.is_set()

    def raised(number: int) -> None:
        told.append((number, signal.getsignal(number)))

    monkeypatch.setattr(signal, "raise_signal", raised)
    asyncio.run(ask_twice())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")
def test_two_signals_end_a_busy_emulator_without_a_word() -> None:
    """The process ends by the signal without a traceback, even if it is busy."""
    program = (
        "import threading, time, os, signal\n"
        "from taskcounts_emulator import EmulatedAccount, serve\n"
        "def ready(endpoint):\n"
        "    for _ in range(2): os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "serve(EmulatedAccount(), ready=ready)\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
