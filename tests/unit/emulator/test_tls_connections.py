"""Connections over TLS: faults as over plain ones, and handshakes that block nobody."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import logging
import os
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support.connections import REQUEST, TARGET, ByHand, answered, connect, received, secured, wait_until_read
from taskcounts_emulator import Emulator, tls


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator that serves HTTPS, with one job."""
    with Emulator(tls=True) as running:
        running.add_job("nightly", 5)
        yield running


def test_a_reset_reaches_the_client(emulator: Emulator) -> None:
    """The TCP connection is reset; Python's TLS clients report an unexpected end."""
    emulator.fault("reset", times=2)
    with connect(emulator) as connection:
        client = ByHand(connection, ssl.create_default_context(cafile=emulator.ca_path))
        client.tls.write(REQUEST)
        client.flush()
        with pytest.raises(ConnectionResetError):
            client.read(1)
    with secured(emulator) as connection:
        connection.sendall(REQUEST)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    with secured(emulator) as connection:
        assert answered(connection)[0] == 200


def test_a_truncated_answer_promises_more_than_it_has(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The length is that of the whole response, and the connection is closed in the middle of it."""
    with secured(emulator) as connection:
        right = answered(connection)[2]
    emulator.fault("truncate", times=1)
    with secured(emulator) as connection, pytest.raises(http.client.IncompleteRead) as caught:
        answered(connection)
    assert caught.value.partial == right[: len(right) // 2]
    assert caught.value.expected == len(right) - len(right) // 2
    assert not caplog.records


@pytest.mark.parametrize("headers_too", [False, True])
def test_a_drip_is_the_right_answer_in_bytes(emulator: Emulator, *, headers_too: bool) -> None:
    """Each byte has a TLS record of its own; after a dripped head the connection is closed."""
    with secured(emulator) as connection:
        status, _, body = answered(connection)
        emulator.fault("drip", times=1, interval=0, headers_too=headers_too)
        connection.sendall(REQUEST)
        if headers_too:
            pieces = list(iter(lambda: connection.recv(65536), b""))
            assert {len(piece) for piece in pieces} == {1}
            whole = b"".join(pieces)
            assert body in whole
            assert b"connection: close\r\n" in whole
        else:
            answer = http.client.HTTPResponse(connection, method="GET")
            answer.begin()
            assert (answer.status, answer.read()) == (status, body)
            assert answered(connection)[::2] == (status, body)


def test_a_slow_answer_is_right(emulator: Emulator) -> None:
    """It comes after the pause, and not before."""
    emulator.fault("slow", times=1, seconds=0.05)
    with secured(emulator) as connection:
        begun = time.monotonic()
        assert answered(connection)[0] == 200
        assert time.monotonic() - begun >= 0.05


@pytest.mark.parametrize("variant", ["empty", "not-utf8"])
def test_other_faults_are_as_ever(emulator: Emulator, variant: str) -> None:
    """Faults of responses work over TLS as without it."""
    emulator.fault("wrong-shape", times=1, variant=variant)
    emulator.fault("throttled", times=1)
    with secured(emulator) as connection:
        status, _, body = answered(connection)
        assert (status, body == b"" or b"\xff" in body) == (200, True)
        assert [answered(connection)[0] for _ in range(2)] == [429, 200]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("drip", {"interval": 60}),
        ("drip", {"interval": 60, "headers_too": True}),
        ("slow", {"seconds": 3600}),
    ],
)
def test_the_server_stops_at_once(
    kind: str, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither open connections nor pending responses delay it, and nothing is logged."""
    with contextlib.ExitStack() as stack:
        with Emulator(tls=True) as emulator:
            emulator.add_job("nightly")
            emulator.fault(kind, **options)
            idle, busy, twice = (stack.enter_context(secured(emulator)) for _ in range(3))
            busy.sendall(REQUEST)
            twice.sendall(REQUEST * 2)
            wait_until_read(emulator)
            begun = time.monotonic()
        assert time.monotonic() - begun < 0.5
        assert idle.fileno() != -1
    assert not caplog.records


def test_plain_http_ends_in_an_error_at_the_client(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A plain HTTP client gets an error at once; the emulator logs nothing, and continues."""
    with caplog.at_level(logging.DEBUG, "asyncio"), pytest.raises(httpx.TransportError):
        httpx.get(emulator.endpoint.replace("https", "http") + TARGET, trust_env=False, timeout=5)
    with secured(emulator) as connection:
        assert answered(connection)[0] == 200
    assert not [record for record in caplog.records if record.name in ("asyncio", "taskcounts_emulator")]


def nothing(_: socket.socket) -> None:
    """Connect and wait."""


@functools.cache
def hello() -> bytes:
    """Return a ClientHello."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def half_a_hello(connection: socket.socket) -> None:
    """Send half of a ClientHello."""
    connection.sendall(hello()[:100])


def a_hello(connection: socket.socket) -> None:
    """Send a ClientHello, and never respond to the server."""
    connection.sendall(hello())


@pytest.mark.parametrize("begin", [nothing, half_a_hello, a_hello])
def test_endless_handshakes_hold_up_no_other_client(
    begin: Callable[[socket.socket], None], caplog: pytest.LogCaptureFixture
) -> None:
    """They block neither other clients nor the end of the emulator."""
    with contextlib.ExitStack() as stack:
        with Emulator(tls=True) as emulator:
            emulator.add_job("nightly")
            for _ in range(50):
                begin(stack.enter_context(connect(emulator)))
            begun = time.monotonic()
            with secured(emulator) as connection:
                assert answered(connection)[0] == 200
            assert time.monotonic() - begun < 2
            begun = time.monotonic()
        assert time.monotonic() - begun < 0.5
    assert not caplog.records


def test_a_handshake_that_never_ends_is_ended(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is closed after a timeout."""
    assert tls._HANDSHAKE == 10
    monkeypatch.setattr(tls, "_HANDSHAKE", 0.05)
    with Emulator(tls=True) as emulator, connect(emulator) as connection:
        assert received(connection) == b""
    assert not caplog.records


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("begin", [nothing, half_a_hello, a_hello])
def test_a_caller_that_leaves_in_its_handshake_is_let_go(
    emulator: Emulator,
    caplog: pytest.LogCaptureFixture,
    begin: Callable[[socket.socket], None],
    *,
    reset: bool,
) -> None:
    """With a reset or without, nothing is logged, and others are served."""
    for _ in range(10):
        with connect(emulator) as connection:
            begin(connection)
            if reset:
                linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    with secured(emulator) as answers:
        assert answered(answers)[0] == 200
    assert not caplog.records


def test_handshakes_that_are_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No state of completed handshakes is kept."""
    under_way: set[tls.TlsHandshake] = set()

    def handshake(
        context: ssl.SSLContext, make: Callable[[], asyncio.Protocol], _: object
    ) -> tls.TlsHandshake:
        return tls.TlsHandshake(context, make, under_way)

    monkeypatch.setattr("taskcounts_emulator.server.TlsHandshake", handshake)
    with Emulator(tls=True) as emulator:
        for _ in range(3):
            with secured(emulator) as connection:
                assert answered(connection)[0] == 404
            with connect(emulator) as refused:
                refused.sendall(b"no handshake at all\r\n")
                received(refused)
    assert not under_way


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_data_after_the_handshake_is_read(emulator: Emulator, version: ssl.TLSVersion) -> None:
    """A request in one piece with the end of the handshake is answered."""
    context = ssl.create_default_context(cafile=emulator.ca_path)
    context.minimum_version = context.maximum_version = version
    with connect(emulator) as connection:
        client = ByHand(connection, context)
        # The end of the handshake is not yet sent.
        client.tls.write(REQUEST)
        client.flush()
        assert client.read(15) == b"HTTP/1.1 200 OK"


def test_a_caller_that_does_not_say_goodbye_is_not_waited_for(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that the emulator closes ends after a timeout, whatever the client does."""
    assert tls._GOODBYE == 5
    monkeypatch.setattr(tls, "_GOODBYE", 0.05)
    emulator.fault("truncate", times=1)
    with secured(emulator) as connection:
        connection.sendall(REQUEST)
        # Read below TLS, the emulator's goodbye is not answered.
        with socket.socket(fileno=os.dup(connection.fileno())) as below:
            below.settimeout(5)
            assert received(below)
    assert not caplog.records
