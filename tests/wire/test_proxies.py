"""Proxies: tunnels, plain requests, SOCKS; and the secrets that they must not see."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from support.certificates import Authority
from support.client import ACCESS_KEY
from support.proxies import SOCKS_YES, Proxy, Socks
from support.servers import Server, header
from taskcounts import ServiceUnreachable, Snapshot, TaskCountsError
from wire.conftest import Open
from wire.sessions import OK, Transport, answering, body, one_line, whole
from wire.test_tls import UNTRUSTED, assert_says

Serve = Callable[..., Server]
Start = Callable[..., Any]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start proxies; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(kind: Any, *args: Any, **options: Any) -> Any:
            made = kind(*args, **options)
            stack.callback(made.close)
            return made

        yield start


@pytest.fixture
def secure(serve: Serve, authority: Authority) -> Server:
    """Return the server behind tunnels."""
    return serve(answering, authority.server)


def url_of(proxy: Server, scheme: str = "http", user: str = "") -> str:
    """Return how a client is told of a proxy."""
    return f"{scheme}://{user and user + '@'}127.0.0.1:{proxy.port}"


class Refusal(NamedTuple):
    """The right outcome of a refused CONNECT: words of the error, and the number of attempts."""

    says: str
    attempts: int


CONNECTED = b"HTTP/1.1 200 Connected\r\n"
# RFC 9110 9.3.6: any 2xx opens a tunnel, and has no body, whatever its headers say.
OPENED: dict[str, bytes] = {
    "200": CONNECTED + b"\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "201": b"HTTP/1.1 201 Created\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\n\r\n",
    "a length of 0": CONNECTED + b"content-length: 0\r\n\r\n",
    "a length": CONNECTED + b"content-length: 6\r\n\r\n",
    "a coding": CONNECTED + b"transfer-encoding: chunked\r\n\r\n",
    "close": CONNECTED + b"connection: close\r\nproxy-connection: close\r\n\r\n",
    "100 before": b"HTTP/1.1 100 Continue\r\n\r\n" + CONNECTED + b"\r\n",
    "headers of its own": CONNECTED + b"client-request-id: another\r\ncontent-type: text/html\r\n\r\n",
}
H11_TUNNELS = {"201", "close", "a length", "a coding", "a length of 0"}
_EMPTY = b"content-length: 0\r\n\r\n"
REFUSED: dict[str, tuple[bytes, Refusal]] = {
    "407": (
        b'HTTP/1.1 407 Authenticate\r\nproxy-authenticate: Basic realm="x"\r\n' + _EMPTY,
        Refusal("proxy.*407", 1),
    ),
    "403": (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\n\r\nnope!", Refusal("proxy.*403", 1)),
    "302": (b"HTTP/1.1 302 Found\r\nlocation: http://portal/\r\n" + _EMPTY, Refusal("proxy.*302", 1)),
    "502": (b"HTTP/1.1 502 Bad Gateway\r\n" + _EMPTY, Refusal("proxy.*502", 2)),
    "503": (b"HTTP/1.1 503 Busy\r\n" + _EMPTY, Refusal("proxy.*503", 2)),
    "no HTTP": (b"SSH-2.0-no\r\n\r\n", Refusal("proxy", 2)),
    "half a head": (b"HTTP/1.1 200 Connec", Refusal("proxy", 2)),
    "nothing": (b"", Refusal("proxy", 2)),
}
# Bytes behind the proxy's answer are dropped, or end the tunnel; they are no answer of the server's.
BEHIND: dict[str, bytes] = {
    "HTML": CONNECTED + b"content-length: 6\r\n\r\n<html>",
    "an answer": CONNECTED + b"\r\n" + whole(666),
}
schemes = pytest.mark.parametrize("scheme", ["http", "https"])


@schemes
@pytest.mark.parametrize("name", OPENED)
def test_a_tunnel(
    *,
    transport: Transport,
    open_session: Open,
    start: Start,
    secure: Server,
    authority: Authority,
    scheme: str,
    name: str,
) -> None:
    """Any 2xx opens a tunnel, which serves one request after the other, unchanged."""
    proxy = start(Proxy, secure.port, OPENED[name], authority.server if scheme == "https" else None)
    session = open_session(
        secure, proxy=url_of(proxy, scheme, "me:w%2Frd"), verify=str(authority.certificate)
    )
    found = [session.outcome(f"job-{job}") for job in (1, 2, 3)]
    if transport.module and name in H11_TUNNELS:
        # h11 reads the body that the headers promise, or thinks that the connection ends.
        assert all(isinstance(each, Snapshot | ServiceUnreachable) for each in found)
        return
    assert [isinstance(each, Snapshot) and each.task_counts.active for each in found] == [1, 2, 3]
    assert [each.attempts for each in found] == [1, 1, 1]
    (head,) = proxy.requests
    assert head.startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % secure.port)
    assert header(head, "host") == f"127.0.0.1:{secure.port}"
    assert header(head, "proxy-authorization") == "Basic bWU6dy9yZA=="
    assert header(head, "authorization") is None
    assert secure.accepted == 1
    for each in secure.requests:
        assert each.startswith(b"GET /jobs/")
        assert b"proxy" not in each.lower()


@schemes
@pytest.mark.parametrize("name", REFUSED)
def test_no_tunnel(
    *,
    transport: Transport,
    open_session: Open,
    start: Start,
    secure: Server,
    authority: Authority,
    scheme: str,
    name: str,
) -> None:
    """A refusal of CONNECT is judged by its status and reported as the proxy's, without secrets."""
    refusal, (says, attempts) = REFUSED[name]
    proxy = start(Proxy, secure.port, refusal, authority.server if scheme == "https" else None)
    session = open_session(
        secure, proxy=url_of(proxy, scheme, "me:secretword"), verify=str(authority.certificate)
    )
    found = session.outcome()
    assert isinstance(found, TaskCountsError), found
    text = one_line(found)
    assert "secretword" not in text + repr(found.__cause__)
    assert secure.requests == []
    if transport.module:
        # httpx tells of it in words alone, some of which don't name the proxy.
        return
    assert isinstance(found, ServiceUnreachable)
    assert re.search(says, text, re.IGNORECASE), text
    assert found.attempts == attempts
    assert proxy.accepted == attempts
    # The proxy may have changed its mind.
    proxy.connect = OPENED["200"]
    assert session.ask("job-2").task_counts.active == 2


@pytest.mark.parametrize("name", BEHIND)
def test_more_than_a_tunnel(
    open_session: Open, start: Start, secure: Server, authority: Authority, name: str
) -> None:
    """Bytes behind the proxy's answer are never taken for an answer of the server's."""
    proxy = start(Proxy, secure.port, BEHIND[name])
    session = open_session(secure, proxy=url_of(proxy), verify=str(authority.certificate))
    found = session.outcome()
    if isinstance(found, Snapshot):
        assert found.task_counts.active == 1
    else:
        assert isinstance(found, ServiceUnreachable)
    proxy.connect = OPENED["200"]
    assert session.ask("job-2").task_counts.active == 2


@schemes
def test_an_answer_that_ends_with_its_tunnel(
    *, transport: Transport, open_session: Open, start: Start, serve: Serve, authority: Authority, scheme: str
) -> None:
    """The end of TLS inside a tunnel ends a body; the end of the tunnel alone doesn't."""

    def behave(peer: Any) -> None:
        peer.send(OK + b"\r\n" + body(1))
        peer.socket.settimeout(1)
        with contextlib.suppress(OSError):
            peer.socket.unwrap()
        peer.socket.close()

    secure = serve(behave, authority.server)
    proxy = start(Proxy, secure.port, tls=authority.server if scheme == "https" else None)
    session = open_session(secure, proxy=url_of(proxy, scheme), verify=str(authority.certificate))
    for _ in range(2):
        found = session.ask("job-1")
        assert found.task_counts.active == 1
        # httpcore uses a connection again whose TLS has ended before its socket.
        assert found.attempts == 1 or transport.module
    assert secure.accepted == 2


@schemes
@pytest.mark.parametrize("user", ["", "me:s%C3%A9cret%3A%25%2F%40", ":word", "me"])
def test_a_plain_request(
    *, open_session: Open, serve: Serve, authority: Authority, scheme: str, user: str
) -> None:
    """A request that isn't encrypted goes to the proxy whole, with what the proxy alone wants."""
    proxy = serve(answering, authority.server if scheme == "https" else None)
    session = open_session(
        "http://batch.example:81", proxy=url_of(proxy, scheme, user), verify=str(authority.certificate)
    )
    assert [session.ask(f"job-{job}").task_counts.active for job in (1, 2)] == [1, 2]
    assert proxy.accepted == 1
    expected = {
        "": None,
        "me:s%C3%A9cret%3A%25%2F%40": "Basic bWU6c8OpY3JldDolL0A=",
        ":word": "Basic OndvcmQ=",
        "me": "Basic bWU6",
    }
    for head in proxy.requests:
        assert head.startswith(b"GET http://batch.example:81/jobs/job-")
        assert header(head, "host") == "batch.example:81"
        assert header(head, "proxy-authorization") == expected[user]
        assert str(header(head, "authorization")).startswith("SharedKey myaccount:")


def test_a_plain_request_that_the_proxy_refuses(open_session: Open, serve: Serve) -> None:
    """A 407 is reported as the proxy's, and not tried again."""
    refusal, _ = REFUSED["407"]
    proxy = serve(lambda peer: peer.send(refusal))
    found = open_session("http://batch.example:81", proxy=url_of(proxy, user="me:secretword")).outcome()
    assert isinstance(found, TaskCountsError)
    assert found.attempts == 1
    assert len(proxy.requests) == 1
    assert re.search("proxy", one_line(found), re.IGNORECASE), found
    assert "secretword" not in one_line(found)


@schemes
@pytest.mark.parametrize("wrong", ["nobody", "another name"])
def test_a_proxy_that_is_not_trusted(
    *,
    transport: Transport,
    open_session: Open,
    start: Start,
    secure: Server,
    authority: Authority,
    scheme: str,
    wrong: str,
) -> None:
    """The certificate of an https proxy is checked by the same rules; it gets nothing."""
    proxy = start(Proxy, secure.port, tls=authority.server)
    place = url_of(proxy, "https", "me:secretword")
    url = secure.url if scheme == "https" else "http://batch.example:81"
    if wrong == "another name":
        place = place.replace("127.0.0.1", "localhost")
    found = open_session(
        url, proxy=place, verify=str(authority.certificate) if wrong == "another name" else None
    ).outcome()
    assert isinstance(found, ServiceUnreachable)
    assert found.attempts == 1
    assert_says(found, "certificate" if transport.module else UNTRUSTED)
    assert proxy.requests == []


def test_a_server_behind_that_is_not_trusted(
    open_session: Open, start: Start, secure: Server, authority: Authority
) -> None:
    """So is the server's, inside a tunnel."""
    proxy = start(Proxy, secure.port)
    url = secure.url.replace("127.0.0.1", "localhost")
    session = open_session(url, proxy=url_of(proxy), verify=str(authority.certificate))
    found = session.outcome()
    assert isinstance(found, ServiceUnreachable)
    assert found.attempts == 1
    assert "certificate" in one_line(found)
    assert secure.requests == []


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("auth", [False, True], ids=["anybody", "user"])
def test_socks(
    *,
    open_session: Open,
    start: Start,
    serve: Serve,
    authority: Authority,
    scheme: str,
    tls: bool,
    auth: bool,
) -> None:
    """A SOCKS proxy looks names up itself; requests through it are as those without, over one connection."""
    server = serve(answering, authority.server if tls else None)
    proxy = start(Socks, server.port, 2 if auth else 0)
    host = "127.0.0.1" if tls else "batch.example"
    session = open_session(
        f"http{'s' if tls else ''}://{host}:81",
        proxy=url_of(proxy, scheme, "me:word" if auth else ""),
        verify=str(authority.certificate),
    )
    assert [session.ask(f"job-{job}").task_counts.active for job in (1, 2)] == [1, 2]
    name = b"\x01\x7f\x00\x00\x01" if tls else b"\x03\x0dbatch.example"
    asked = [b"\x05\x01\x02" if auth else b"\x05\x01\x00", *([b"\x01\x02me\x04word"] if auth else [])]
    assert proxy.asked[:-1] == asked
    # An address may be told as a name, too.
    assert proxy.asked[-1] in (b"\x05\x01\x00" + name + b"\x00\x51", b"\x05\x01\x00\x03\x09127.0.0.1\x00\x51")
    assert (proxy.accepted, server.accepted) == (1, 1)
    assert b"proxy" not in server.requests[0].lower()


# What the proxy says, and whether it would say so again: method, whether it lets in, reply; words, attempts.
SOCKS_REFUSED: dict[str, tuple[int, bool, bytes, Refusal]] = {
    **{
        f"code {code}": (0, True, bytes([5, code]) + SOCKS_YES[2:], Refusal("proxy.*SOCKS|SOCKS.*proxy", 2))
        for code in (1, 2, 4, 5, 99)
    },
    "another method": (255, True, SOCKS_YES, Refusal("proxy", 1)),
    "a wrong password": (2, False, SOCKS_YES, Refusal("proxy", 1)),
    "no SOCKS": (0, True, b"HTTP/1.1 400 Bad Request\r\n\r\n", Refusal("proxy", 2)),
    "half a reply": (0, True, SOCKS_YES[:6], Refusal("proxy", 2)),
    "nothing": (0, True, b"", Refusal("proxy", 2)),
}


@pytest.mark.parametrize("name", SOCKS_REFUSED)
def test_socks_that_refuses(
    transport: Transport, open_session: Open, start: Start, serve: Serve, name: str
) -> None:
    """A failure of SOCKS is reported as the proxy's; a wrong password is tried once."""
    server = serve(answering)
    method, accepts, reply, (says, attempts) = SOCKS_REFUSED[name]
    proxy = start(Socks, server.port, method, reply)
    proxy.accepts = accepts
    user = "me:secretword" if method == 2 else ""
    session = open_session("http://batch.example:81", proxy=url_of(proxy, "socks5", user), timeout=1.0)
    if transport.module:
        # socksio's own errors are none of httpx's.
        with contextlib.suppress(Exception):
            assert isinstance(session.outcome(), ServiceUnreachable)
    else:
        found = session.outcome()
        assert isinstance(found, ServiceUnreachable)
        assert re.search(says, one_line(found), re.IGNORECASE), found
        assert found.attempts == attempts
        assert "secretword" not in one_line(found)
    proxy.method, proxy.accepts, proxy.reply = (method if method == 2 else 0), True, SOCKS_YES
    assert session.ask("job-2").task_counts.active == 2
    assert server.accepted == 1


@pytest.mark.parametrize(
    "address",
    [b"\x04" + bytes(15) + b"\x01", b"\x03\x05proxy", b"\x03\x00"],
    ids=["IPv6", "a name", "an empty name"],
)
def test_where_socks_connects_from(open_session: Open, start: Start, serve: Serve, address: bytes) -> None:
    """The address in a reply is of one of three kinds."""
    server = serve(answering)
    proxy = start(Socks, server.port, 0, b"\x05\x00\x00" + address + b"\x00\x50")
    session = open_session("http://batch.example:81", proxy=url_of(proxy, "socks5"))
    assert [session.ask(f"job-{job}").task_counts.active for job in (1, 2)] == [1, 2]
    assert (proxy.accepted, server.accepted) == (1, 1)


def test_socks_that_sends_more(transport: Transport, open_session: Open, start: Start, serve: Serve) -> None:
    """Bytes behind the proxy's reply are no answer to a request."""
    server = serve(answering)
    proxy = start(Socks, server.port, 0, SOCKS_YES + whole(666))
    session = open_session("http://batch.example:81", proxy=url_of(proxy, "socks5"))
    # socksio's own error at it is none of httpx's.
    with contextlib.suppress(Exception) if transport.module else contextlib.nullcontext():
        found = session.outcome("job-1")
        assert isinstance(found, ServiceUnreachable)
        assert found.attempts == 2
    proxy.reply = SOCKS_YES
    assert session.ask("job-2").task_counts.active == 2


def test_a_password_that_socks_cannot_have(
    transport: Transport, open_session: Open, start: Start, serve: Serve
) -> None:
    """SOCKS has room for 255 bytes of a password: a longer one is refused, and never sent."""
    server = serve(answering)
    proxy = start(Socks, server.port, 2)
    url = url_of(proxy, "socks5", f"me:{'secretword' * 26}")
    if transport.module:
        pytest.skip("socksio's own error at it is none of httpx's")
    # At once, or with the first call.
    with pytest.raises((ValueError, ServiceUnreachable), match="255") as caught:
        open_session("http://batch.example:81", proxy=url).ask()
    assert "secretword" not in str(caught.value)
    assert [each for each in proxy.asked if b"secretword" in each] == []


@pytest.mark.parametrize("proxied", ["", "http", "https", "socks5"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9", "http://[::1]:9"])
def test_nobody_there(open_session: Open, authority: Authority, url: str, proxied: str) -> None:
    """A server or proxy that isn't there is a failure that shows no secret, and may be there next time."""
    session = open_session(
        url,
        proxy=f"{proxied}://me:secretword@127.0.0.1:9" if proxied else None,
        verify=str(authority.certificate),
    )
    found = session.outcome()
    assert isinstance(found, ServiceUnreachable)
    assert found.attempts == 2
    shown = one_line(found) + repr(found.__cause__)
    assert "secretword" not in shown
    assert ACCESS_KEY not in shown
