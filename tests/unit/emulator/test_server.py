"""The server: real connections, and faults on them; starting, stopping and ports."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import logging
import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.connections import REQUEST, TARGET, answered, connect, wait_until_read
from taskcounts.credentials import SharedKey
from taskcounts_emulator import EmulatedAccount, Emulator, EmulatorError, serve
from taskcounts_emulator.faults import connection

DATE = "Thu, 01 Aug 2024 12:34:56 GMT"


def request(emulator: Emulator, version: str = "1.1", more: str = "") -> bytes:
    """Return the bytes of a signed request."""
    headers = {"host": "myaccount.test", "ocp-date": DATE}
    headers["authorization"] = SharedKey(emulator.account, emulator.key).authorization("GET", TARGET, headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {TARGET} HTTP/{version}\r\n{lines}{more}\r\n".encode()


def received(connection: socket.socket) -> list[bytes]:
    """Return all bytes until the connection is closed, in the received pieces."""
    return list(iter(lambda: connection.recv(65536), b""))


def test_many_calls_share_a_connection(emulator: Emulator) -> None:
    """Connections are kept open, and each response is delimited."""
    with connect(emulator) as connection:
        for _ in range(3):
            status, headers, body = answered(connection, request(emulator))
            assert status == 200
            assert headers["transfer-encoding"] == "chunked"
            assert b'"active":5' in body


def test_calls_may_be_sent_ahead(emulator: Emulator) -> None:
    """Pipelined requests are answered in order."""
    with connect(emulator) as connection:
        connection.sendall(request(emulator) * 3 + request(emulator, more="connection: close\r\n"))
        assert b"".join(received(connection)).count(b"HTTP/1.1 200 OK") == 4


def test_an_old_client_gets_a_length(emulator: Emulator) -> None:
    """HTTP/1.0 has no chunks."""
    with connect(emulator) as connection:
        status, headers, body = answered(connection, request(emulator, "1.0"))
        assert status == 200
        assert headers["content-length"] == str(len(body))
        assert "transfer-encoding" not in headers


def test_malformed_http_is_refused(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Malformed bytes never reach the service."""
    with connect(emulator) as connection, caplog.at_level(logging.CRITICAL):
        connection.sendall(b"FOO /jobs HTTP/1.1\r\n\r\n")
        assert b"".join(received(connection)).startswith(b"HTTP/1.1 400 ")


def test_a_reset_reaches_the_client(emulator: Emulator) -> None:
    """The client gets a reset before any byte of a response."""
    emulator.fault("reset", times=1)
    with connect(emulator) as connection:
        connection.sendall(request(emulator))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with connect(emulator) as connection:
        assert answered(connection, request(emulator))[0] == 200


def test_a_truncated_answer_promises_more_than_it_has(emulator: Emulator) -> None:
    """The length is that of the whole response, and the connection is closed in the middle of it."""
    emulator.fault("truncate", times=1)
    with connect(emulator) as connection, pytest.raises(http.client.IncompleteRead) as caught:
        answered(connection, request(emulator))
    assert len(caught.value.partial) == 132
    assert caught.value.expected == 132


def test_a_drip_is_the_right_answer_in_bytes(emulator: Emulator) -> None:
    """The body comes byte by byte, and is complete; the connection is kept open."""
    with connect(emulator) as connection:
        right = answered(connection, request(emulator))
        emulator.fault("drip", times=1, interval=0)
        connection.sendall(request(emulator))
        answer = http.client.HTTPResponse(connection, method="GET")
        answer.begin()
        assert answer.read1(1) == b"{"
        assert b"{" + answer.read() == right[2]
        assert answered(connection, request(emulator))[0] == 200


@pytest.mark.parametrize("job", ["nightly", "other"])
def test_a_head_drips_too(emulator: Emulator, job: str) -> None:
    """With headers_too every byte comes alone, including the status line, also of a refusal."""
    emulator.fault("drip", times=1, interval=0, headers_too=True)
    if job == "other":
        emulator.reset()
        emulator.fault("drip", times=1, interval=0, headers_too=True)
    with connect(emulator) as connection:
        status, headers, body = answered(connection, request(emulator))
        assert connection.recv(1) == b""
    assert headers["connection"] == "close"
    assert status == (200 if job == "nightly" else 404)
    assert (b"JobNotFound" in body) == (job == "other")


def test_an_empty_answer_drips_too(emulator: Emulator) -> None:
    """An empty body has an end as well (here: the response to the variant "empty")."""
    from taskcounts_emulator import responses

    empty = responses.Response(200, (("transfer-encoding", "chunked"),), b"")
    assert responses.http_bytes(empty).endswith(b"connection: close\r\n\r\n0\r\n\r\n")


def test_a_slow_answer_is_right(emulator: Emulator) -> None:
    """It comes after the pause, and not before."""
    emulator.fault("slow", times=1, seconds=0.05)
    with connect(emulator) as connection:
        begun = time.monotonic()
        assert answered(connection, request(emulator))[0] == 200
        assert time.monotonic() - begun >= 0.05


@pytest.mark.parametrize("kind", ["drip", "slow"])
def test_a_caller_that_leaves_is_not_waited_for(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """A client that disconnects ends a drip or a wait, and nothing is logged."""
    options: dict[str, Any] = {"drip": {"interval": 60}, "slow": {"seconds": 60}}[kind]
    emulator.fault(kind, **options)
    with connect(emulator) as connection:
        connection.sendall(request(emulator))
    emulator.clear_faults()
    with connect(emulator) as connection:
        assert answered(connection, request(emulator))[0] == 200
    assert not caplog.records


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("drip", {"interval": 60}),
        ("drip", {"interval": 60, "headers_too": True}),
        ("slow", {"seconds": 3600}),
        (None, {}),
    ],
)
def test_the_server_stops_at_once(
    kind: str | None, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither open connections nor pending responses delay it, and nothing is logged."""
    with Emulator() as emulator:
        emulator.add_job("nightly")
        if kind is not None:
            emulator.fault(kind, **options)
        idle, busy, twice = connect(emulator), connect(emulator), connect(emulator)
        busy.sendall(REQUEST)
        twice.sendall(REQUEST + REQUEST)
        wait_until_read(emulator)
        begun = time.monotonic()
    assert time.monotonic() - begun < 0.5
    for open_connection in (idle, busy, twice):
        open_connection.close()
    assert not caplog.records


def test_an_endless_response_delays_the_stop_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that does not end delays the stop of the emulator for a while, not for ever."""

    async def stubborn(_: object, seconds: float) -> None:
        await asyncio.sleep(seconds)

    monkeypatch.setattr(connection.Connection, "pause", stubborn)
    with Emulator() as emulator:
        emulator.fault("slow", seconds=3600)
        with connect(emulator) as caller:
            caller.sendall(REQUEST)
            wait_until_read(emulator)
        begun = time.monotonic()
    assert 0.5 < time.monotonic() - begun < 3


@pytest.mark.slow  # It looks for a race, thirty times.
@pytest.mark.parametrize("tls", [False, True])
def test_a_stopped_server_leaves_no_connection_open(tls: bool) -> None:
    """Clients that connect while it stops find their connections closed."""
    port, over = 0, threading.Event()

    def connect() -> None:
        while not over.wait(0.0005):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), timeout=5) as caller,
            ):
                caller.sendall(b"GET /jobs HTTP/1.1\r\n")
                while port and caller.recv(65536):
                    pass

    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(4) as callers:
        warnings.simplefilter("always")
        calling = [callers.submit(connect) for _ in range(4)]
        try:
            for _ in range(30):
                with Emulator(tls=tls) as emulator:
                    port = urlsplit(emulator.endpoint).port or 0
                    time.sleep(0.005)
        finally:
            over.set()
        for each in calling:
            each.result(10)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_stopped_emulator_leaves_nothing_behind() -> None:
    """After the with statement there is no socket, endpoint or thread."""
    with Emulator() as emulator:
        endpoint = emulator.endpoint
        assert repr(emulator) == f"Emulator('emulated', key=<hidden>, endpoint='{endpoint}')"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{endpoint}/_emulator/health", trust_env=False)
    with pytest.raises(EmulatorError, match=r"^the emulator is not running"):
        _ = emulator.endpoint
    assert not [thread for thread in threading.enumerate() if thread.name == f"emulator {endpoint}"]


def test_an_emulator_cannot_be_entered_twice() -> None:
    """Entering a running emulator is an error; leaving one that never ran is none."""
    with Emulator() as emulator, pytest.raises(EmulatorError, match="running already"):
        emulator.__enter__()
    with pytest.raises(EmulatorError, match="the emulator has ended; make another one"):
        emulator.__enter__()
    with (
        pytest.raises(EmulatorError, match="in use"),
        closing(socket.create_server(("127.0.0.1", 0))) as taken,
    ):
        Emulator(port=taken.getsockname()[1]).__enter__()
    Emulator().__exit__(None, None, None)


def test_two_emulators_share_nothing() -> None:
    """Each has its own port, account, key, jobs and faults."""
    with Emulator("first") as first, Emulator("second") as second:
        assert first.endpoint != second.endpoint
        assert first.key != second.key
        first.load({"jobs": [{"id": "nightly", "tasks": [{}]}]})
        second.add_job("nightly")
        second.fault("busy")
        token = {"authorization": "Bearer token"}
        with httpx.Client(headers=token, trust_env=False) as client:
            assert client.get(first.endpoint + TARGET).json()["taskCounts"]["active"] == 1
            assert client.get(second.endpoint + TARGET).status_code == 503
        first.reset()
        assert second.counts("nightly").tasks.active == 0


def test_many_callers_at_once_are_all_answered(emulator: Emulator) -> None:
    """Requests, steps and admin requests from many threads give consistent counts and no error."""
    problems = []

    def work() -> None:
        try:
            with connect(emulator) as connection:
                for _ in range(25):
                    status, _, _ = answered(connection, request(emulator))
                    assert status == 200
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    emulator.step("nightly", start=5)
    for thread in threads:
        thread.join()
    assert not problems


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("127.0.0.1", 99999, "port 99999 on 127.0.0.1: cannot listen: "),
        ("127.0.0.1", -1, "port -1 on 127.0.0.1: cannot listen: "),
        ("a..b", 0, "port 0 on a..b: cannot listen: "),
        ("192.0.2.1", 0, "port 0 on 192.0.2.1: cannot listen: "),
        ("x" * 64, 0, "port 0 on xxx"),
    ],
)
def test_a_failure_to_listen_is_an_error_of_one_line(host: str, port: int, message: str) -> None:
    """A failure to listen is an EmulatorError of one line."""
    with pytest.raises(EmulatorError) as caught:
        serve(EmulatedAccount(), host=host, port=port)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_taken_port_is_reported_with_advice() -> None:
    """The message has the port and advice."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorError) as caught:
            serve(EmulatedAccount(), port=port)
    assert str(caught.value) == f"port {port} on 127.0.0.1 is in use; choose another, or 0 for any free one"


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_address_of_ipv6_is_written_in_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint of an IPv6 address is a valid URL."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        # A container without IPv6: the socket is IPv4's, the name stays.
        found = socket.getaddrinfo("127.0.0.1", 0, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with Emulator(host="::1") as emulator:
        assert emulator.endpoint.startswith("http://[::1]:")


def test_an_error_in_ready_lets_go_of_the_port() -> None:
    """An exception of ready is raised by serve, also outside the main thread."""
    caught = []

    def ready(endpoint: str) -> None:
        raise LookupError(endpoint)

    def run() -> None:
        with pytest.raises(LookupError) as error:
            serve(EmulatedAccount(), ready=ready)
        caught.append(str(error.value))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    with pytest.raises(httpx.ConnectError):
        httpx.get(caught[0], trust_env=False)


def test_in_process_a_broken_connection_is_raised(emulator: Emulator) -> None:
    """In process, reset and truncate raise, and a drip or pause only takes time."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(emulator.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get(TARGET, headers={"authorization": "Bearer token"})

    right = asyncio.run(ask())
    for kind in ("reset", "truncate"):
        emulator.fault(kind, times=1)
        with pytest.raises(ConnectionResetError, match="as a fault asks"):
            asyncio.run(ask())
    emulator.fault("slow", times=1, seconds=0)
    emulator.fault("drip", times=1, interval=0, headers_too=True)
    assert asyncio.run(ask()).content == asyncio.run(ask()).content == right.content


def test_only_our_own_server_lends_its_connection() -> None:
    """Other objects in the extensions of a scope are not taken for a connection."""
    for extensions in (None, {}, {connection.EXTENSION: object()}):
        found = connection.connection_of({"extensions": extensions})
        assert isinstance(found, connection.InProcessConnection)


def test_an_endless_head_is_refused(emulator: Emulator) -> None:
    """A request with endless headers is refused."""

    def go_on() -> None:
        with connect(emulator) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nx: ")
            for _ in range(200):
                connection.sendall(b"y" * 2**16)

    # It ends in a reset or a broken pipe, as it happens.
    with pytest.raises(OSError, match=r"reset|pipe"):
        go_on()


def test_a_long_body_is_no_long_head(emulator: Emulator) -> None:
    """Only the head is limited; a body may be larger."""
    body = b" " * 2**21 + b'{"jobs": []}'
    head = (
        "POST /_emulator/scenario HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    with connect(emulator) as connection:
        status, _, _ = answered(connection, head.encode() + body)
    assert status == 200


def test_trailers_are_ignored(emulator: Emulator) -> None:
    """Trailers of a chunked body are not signed and ignored, in whatever pieces they arrive."""
    head = (
        "POST /_emulator/reset HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n"
        "content-type: application/json\r\ntrailer: origin\r\n\r\n"
    )
    with connect(emulator) as connection:
        status, _, _ = answered(connection, f"{head}0\r\norigin: http://elsewhere.example\r\n\r\n".encode())
    assert status == 200


def test_the_loggers_of_the_process_are_left_alone() -> None:
    """Another uvicorn server in the process keeps its access log."""
    access = logging.getLogger("uvicorn.access")
    handler = logging.NullHandler()
    access.addHandler(handler)
    try:
        with Emulator():
            assert access.propagate
            assert handler in access.handlers
    finally:
        access.removeHandler(handler)


def test_an_access_is_logged_by_the_journal_alone(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A request is not logged, whatever the log level."""
    with caplog.at_level(logging.INFO), connect(emulator) as connection:
        assert answered(connection, request(emulator))[0] == 200
    assert not caplog.records
