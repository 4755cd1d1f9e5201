"""HTTP/1.1 as real clients send it: offers of another protocol, and what is no request at all."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from taskcounts.credentials import SharedKey
from taskcounts.emulator import Emulator

DATE = "Thu, 01 Aug 2024 12:34:56 GMT"
VERSION = "api-version=2024-07-01.20.0"
COUNTS = f"/jobs/nightly/taskcounts?{VERSION}"
JSON = "application/json; odata=minimalmetadata"

# Java's HTTP client, browsers, and anybody.
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
UNKNOWN = ("Upgrade: taler/2, x", "connection: keep-alive, upgrade", "Upgrade: y")
OFFERS = pytest.mark.parametrize("offer", [H2C, WEBSOCKET, UNKNOWN], ids=["h2c", "websocket", "unknown"])


@pytest.fixture
def connection(emulator: Emulator) -> Iterator[socket.socket]:
    """A connection to a running emulator."""
    url = urlsplit(emulator.endpoint)
    with socket.create_connection((url.hostname, url.port), timeout=5) as connected:
        yield connected


def request(
    emulator: Emulator,
    method: str = "GET",
    target: str = COUNTS,
    more: Sequence[str] = (),
    body: bytes = b"",
    *,
    hosts: Sequence[str] = ("myaccount.test",),
    version: str = "HTTP/1.1",
    chunked: bool = False,
) -> bytes:
    """Return the bytes of a signed request."""
    signed = {"ocp-date": DATE}
    if body:
        signed |= (
            {"content-type": JSON} if chunked else {"content-type": JSON, "content-length": str(len(body))}
        )
    proof = SharedKey(emulator.account, emulator.key).authorization(method, target, signed)
    lines = [f"{method} {target} {version}", *(f"Host: {host}" for host in hosts), f"Authorization: {proof}"]
    lines += [f"{name}: {value}" for name, value in signed.items()]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    return "\r\n".join([*lines, *more, "", ""]).encode() + body


def added(emulator: Emulator, job_id: str, more: Sequence[str] = (), **options: Any) -> bytes:
    """Return the bytes of a signed request that adds a job."""
    body = json.dumps({"id": job_id, "poolInfo": {"poolId": "any"}}).encode()
    return request(emulator, "POST", f"/jobs?{VERSION}", more, body, **options)


def answer(connection: socket.socket, method: str = "GET") -> http.client.HTTPResponse:
    """Return the next answer on a connection, read to its end and no further."""
    response = http.client.HTTPResponse(connection, method=method)
    # Unbuffered: the next answer is for the next reader.
    response.fp.close()
    response.fp = connection.makefile("rb", 0)  # type: ignore[assignment]
    response.begin()
    response.text = response.read().decode()  # type: ignore[attr-defined]
    return response


@OFFERS
def test_an_offer_of_another_protocol_is_ignored(
    emulator: Emulator, connection: socket.socket, offer: Sequence[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The request is served over HTTP/1.1, and so is the next one on its connection; nothing is logged."""
    for more in (offer, (), offer, offer):
        connection.sendall(request(emulator, more=more))
        assert answer(connection).status == 200
    assert not caplog.records


@OFFERS
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cut", ["nowhere", "behind the head", "everywhere"])
def test_a_body_that_follows_an_offer_is_read(
    emulator: Emulator, connection: socket.socket, offer: Sequence[str], chunked: bool, cut: str
) -> None:
    """However long the body says to be, and in whatever pieces it comes."""
    sent = added(emulator, "offered", offer, chunked=chunked) + request(emulator)
    head = sent.index(b"\r\n\r\n") + 4
    pieces = {
        "nowhere": [sent],
        "behind the head": [sent[:head], sent[head:]],
        "everywhere": [sent[at : at + 1] for at in range(len(sent))],
    }[cut]
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        connection.sendall(piece)
    assert answer(connection).status == 201
    assert answer(connection).status == 200
    assert emulator.counts("offered").tasks.active == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST"])
def test_an_offer_makes_no_difference(emulator: Emulator, connection: socket.socket, method: str) -> None:
    """Whatever the method is, the answer is the same with an offer and without."""
    statuses = []
    for more in ((), H2C):
        connection.sendall(request(emulator, method, f"/jobs/other?{VERSION}", more))
        statuses.append(answer(connection, method).status)
    assert statuses[0] == statuses[1]


def test_requests_with_offers_may_be_sent_ahead(emulator: Emulator, connection: socket.socket) -> None:
    """Each of several in one piece is served, in its order."""
    jobs = [added(emulator, f"job-{number}", H2C) + request(emulator, more=H2C) for number in range(5)]
    connection.sendall(
        b"".join(jobs) + request(emulator, more=("Connection: close, Upgrade", "Upgrade: h2c"))
    )
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"201", b"200"] * 5 + [b"200"]


def test_a_body_after_an_offer_may_be_held_back(emulator: Emulator, connection: socket.socket) -> None:
    """Whoever waits for a 100 gets it, and no 101."""
    sent = added(emulator, "waiting", [*H2C, "Expect: 100-continue"])
    head = sent.index(b"\r\n\r\n") + 4
    connection.sendall(sent[:head])
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(sent[head:])
    assert answer(connection).status == 201


def test_an_old_client_may_offer_too(emulator: Emulator, connection: socket.socket) -> None:
    """HTTP/1.0 knows no offers; it is answered all the same, as HTTP/1.0."""
    connection.sendall(request(emulator, more=H2C, version="HTTP/1.0"))
    answered = answer(connection)
    assert (answered.status, answered.getheader("transfer-encoding")) == (200, None)
    assert connection.recv(1) == b""


def test_an_offer_is_in_the_journal(emulator: Emulator, connection: socket.socket) -> None:
    """The journal shows what was sent."""
    connection.sendall(request(emulator, more=H2C))
    answer(connection)
    assert emulator.journal.entries()[-1].headers["upgrade"] == "h2c"
