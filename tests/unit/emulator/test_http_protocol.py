"""HTTP/1.1 as real clients send it: offers to upgrade, and malformed requests."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from taskcounts.credentials import SharedKey
from taskcounts_emulator import Emulator

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
    """Return the next response on a connection, and read no further."""
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
    """The request and the next one are served over HTTP/1.1, and nothing is logged."""
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
    """A body of any length, in any pieces, is read."""
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
    """The response is the same with an offer and without, for every method."""
    statuses = []
    for more in ((), H2C):
        connection.sendall(request(emulator, method, f"/jobs/other?{VERSION}", more))
        statuses.append(answer(connection, method).status)
    assert statuses[0] == statuses[1]


def test_requests_with_offers_may_be_sent_ahead(emulator: Emulator, connection: socket.socket) -> None:
    """Several requests in one piece are answered in order."""
    jobs = [added(emulator, f"job-{number}", H2C) + request(emulator, more=H2C) for number in range(5)]
    connection.sendall(b"".join(jobs) + request(emulator, more=("Connection: close", *H2C)))
    statuses = [each[:3] for each in everything(connection)]
    assert statuses == [b"201", b"200"] * 5 + [b"200"]


def test_a_body_after_an_offer_may_be_held_back(emulator: Emulator, connection: socket.socket) -> None:
    """A client that waits for a 100 gets it, and no 101."""
    sent = added(emulator, "waiting", [*H2C, "Expect: 100-continue"])
    head = sent.index(b"\r\n\r\n") + 4
    connection.sendall(sent[:head])
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(sent[head:])
    assert answer(connection).status == 201


def test_an_old_client_may_offer_too(emulator: Emulator, connection: socket.socket) -> None:
    """HTTP/1.0 has no upgrades; the response is HTTP/1.0."""
    connection.sendall(request(emulator, more=H2C, version="HTTP/1.0"))
    answered = answer(connection)
    assert (answered.status, answered.getheader("transfer-encoding")) == (200, None)
    assert connection.recv(1) == b""


def test_an_offer_is_in_the_journal(emulator: Emulator, connection: socket.socket) -> None:
    """The journal has the header as it was sent."""
    connection.sendall(request(emulator, more=H2C))
    answer(connection)
    assert emulator.journal.entries()[-1].headers["upgrade"] == "h2c"


def everything(connection: socket.socket, begun: bytes = b"") -> list[bytes]:
    """Return all responses until the connection ends; the first may have begun."""
    return (begun + b"".join(iter(lambda: connection.recv(65536), b""))).split(b"HTTP/1.1 ")[1:]


def refused(answer: bytes, status: int, code: str) -> dict[str, Any]:
    """Return the error of a response, which must be the service's, and the last of its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"%d " % status)
    lines = head.decode().splitlines()
    assert "server: Microsoft-HTTPAPI/2.0" in lines
    assert "connection: close" in lines
    told: dict[str, Any] = json.loads(body)
    assert told["code"] == code
    return told


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the log records with their loggers."""
    return [(record.name, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize(
    ("target", "more"), [(COUNTS, ()), (COUNTS, H2C), ("/_emulator/health", ()), ("/", ())], ids=repr
)
def test_a_request_without_a_host_is_refused(
    emulator: Emulator,
    connection: socket.socket,
    caplog: pytest.LogCaptureFixture,
    target: str,
    more: Sequence[str],
) -> None:
    """HTTP/1.1 requires it (RFC 9112, 3.2); the emulator logs one line."""
    connection.sendall(request(emulator, target=target, more=more, hosts=()) + request(emulator))
    (only,) = everything(connection)
    refused(only, 400, "HostInformationNotPresent")
    line = "400 HostInformationNotPresent, The request has no Host header."
    assert logged(caplog) == [("taskcounts_emulator", f"refused a request and closed its connection: {line}")]


def test_an_old_client_needs_no_host(emulator: Emulator, connection: socket.socket) -> None:
    """HTTP/1.0 has no Host."""
    connection.sendall(request(emulator, hosts=(), version="HTTP/1.0"))
    (only,) = everything(connection)
    assert only.startswith(b"200 ")


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize(
    "hosts",
    [("a", "b"), ("a", "a"), ("a b",), ("user@a",), ("a/b",), ("[::1",), ("a:b",), ("\u00e9",)],
    ids=repr,
)
def test_an_invalid_host_is_refused(
    emulator: Emulator, connection: socket.socket, hosts: Sequence[str], version: str
) -> None:
    """Two hosts, even equal ones, and a value that is not a host are refused."""
    connection.sendall(request(emulator, hosts=hosts, version=version))
    (only,) = everything(connection)
    details = {each["key"]: each["value"] for each in refused(only, 400, "InvalidHeaderValue")["values"]}
    assert details["HeaderName"] == "host"


@pytest.mark.parametrize(
    "host",
    ["", "a:", "127.0.0.1:8080", "[::1]:80", "[fe80::1%25eth0]", "a_b.test", "xn--e1afmkfd.test", "A%20B"],
)
def test_a_valid_host_is_accepted(emulator: Emulator, connection: socket.socket, host: str) -> None:
    """Names and addresses, with or without a port, in the forms of RFC 3986, 3.2.2."""
    connection.sendall(request(emulator, hosts=[host]))
    assert answer(connection).status == 200


HEAD = b"POST /jobs HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            b"hello\r\n\r\n",
            (400, "InvalidHttpVerb", "The HTTP verb specified was not recognized by the server."),
        ),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", (400, "InvalidHttpVerb", "The HTTP verb")),
        (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", (400, "InvalidHttpVerb", "The HTTP verb")),
        (b"GET http:/jobs HTTP/1.1\r\nHost: a\r\n\r\n", (400, "RequestUrlFailedToParse", "The url in the")),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", (400, "RequestUrlFailedToParse", "The url in the")),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", (505, "UnsupportedHttpVersion", "The HTTP version")),
        (b"GET /\r\n\r\n", (505, "UnsupportedHttpVersion", "The HTTP version of the request")),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            (400, "InvalidInput", "a client speaks HTTP/2, and only HTTP/1.1"),
        ),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            (400, "InvalidHttpVerb", "a client speaks TLS where"),
        ),
        (HEAD + b"X-A: 1\r\n 2\r\n\r\n", (400, "InvalidInput", "Unexpected whitespace after header value")),
        (
            HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (400, "InvalidInput", "Transfer-Encoding can't be present with Content-Length"),
        ),
        (
            b"GET / HTTP/1.1\r\nX: " + b"x" * 2**20,
            (400, "InvalidInput", "The head is longer than 1048576 bytes"),
        ),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_malformed_request_is_refused_with_the_reason(
    connection: socket.socket,
    caplog: pytest.LogCaptureFixture,
    sent: bytes,
    expected: tuple[int, str, str],
) -> None:
    """The client gets an error of the service, and the log one line with the reason."""
    status, code, told = expected
    connection.sendall(sent)
    (only,) = everything(connection)
    refused(only, status, code)
    ((name, line),) = logged(caplog)
    assert name == "taskcounts_emulator"
    assert line.startswith(f"refused a request and closed its connection: {status} {code}, {told}")


@pytest.mark.parametrize("sent", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"], ids=["garbage", "no host"])
@pytest.mark.parametrize("ahead", [1, 3])
def test_earlier_requests_are_answered_first(
    emulator: Emulator, connection: socket.socket, sent: bytes, ahead: int
) -> None:
    """The error comes after their responses, however long they take."""
    emulator.fault("slow", times=1, seconds=0.02)
    connection.sendall(request(emulator) * ahead + sent)
    *earlier, last = everything(connection)
    assert [each[:3] for each in earlier] == [b"200"] * ahead
    assert last.startswith(b"400 ")


def test_nothing_is_read_behind_what_is_no_request(
    emulator: Emulator, connection: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes after a malformed request are ignored while earlier requests are answered."""
    emulator.fault("slow", times=1, seconds=0.2)
    connection.sendall(request(emulator) + b"hello\r\n\r\n")
    until = time.monotonic() + 5
    while not caplog.records and time.monotonic() < until:
        time.sleep(0.001)
    connection.sendall(added(emulator, "late"))
    assert [each[:3] for each in everything(connection)] == [b"200", b"400"]
    assert len(caplog.records) == 1
    assert set(emulator.all_counts()) == {"nightly"}


@pytest.mark.parametrize("ahead", [0, 1, 2])
@pytest.mark.parametrize("apart", [False, True])
def test_a_request_whose_body_breaks_off_is_not_carried_out(
    emulator: Emulator, connection: socket.socket, ahead: int, apart: bool
) -> None:
    """The error replaces its own response, after those of earlier requests."""
    emulator.fault("slow", operation="Job_GetTaskCounts", times=1, seconds=0.02)
    malformed_body = added(emulator, "broken", chunked=True)
    malformed_body = malformed_body[: malformed_body.index(b"\r\n\r\n") + 4]
    connection.sendall(request(emulator) * ahead + malformed_body + b'5\r\n{"id"\r\n' * apart)
    if apart:
        answered = [answer(connection).status for _ in range(ahead)]
        connection.sendall(b"no chunk\r\n")
    else:
        connection.sendall(b"no chunk\r\n")
        answered = []
    *earlier, last = everything(connection)
    assert [*answered, *(int(each[:3]) for each in earlier)] == [200] * ahead
    refused(last, 400, "InvalidInput")
    assert set(emulator.all_counts()) == {"nightly"}


def test_nothing_is_deleted_by_half_a_request(emulator: Emulator, connection: socket.socket) -> None:
    """An operation without a body also waits for the end of an unexpected one."""
    more = ["Transfer-Encoding: chunked"]
    connection.sendall(request(emulator, "DELETE", f"/jobs/nightly?{VERSION}", more) + b"no chunk\r\n")
    (only,) = everything(connection)
    refused(only, 400, "InvalidInput")
    assert set(emulator.all_counts()) == {"nightly"}


def test_a_body_that_is_not_asked_for_is_passed_over(emulator: Emulator, connection: socket.socket) -> None:
    """A GET with a body is served, and the connection can be reused."""
    for _ in range(2):
        connection.sendall(request(emulator, body=b"no JSON"))
        assert answer(connection).status == 200


def test_a_request_that_has_its_answer_gets_no_other(connection: socket.socket) -> None:
    """A request refused before its body has only that response; a broken body ends the connection."""
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    first = connection.recv(1)
    connection.sendall(b"no chunk\r\n")
    (only,) = everything(connection, first)
    assert only.startswith(b"401 ")


def test_a_failure_of_ours_is_no_error_of_the_caller(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is logged with its traceback, and the connection ends without a service error."""

    def fail(*_: object) -> None:
        raise LookupError("inside")

    monkeypatch.setattr("taskcounts_emulator.http_protocol._check_head", fail)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"InvalidInput" not in b"".join(iter(lambda: connection.recv(65536), b""))
    assert "inside" in caplog.text
