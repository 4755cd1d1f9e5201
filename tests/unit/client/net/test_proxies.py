"""How engines go through proxies: plain, in tunnels, and by SOCKS; and what the proxies get to know."""

import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Authority, Peer, Server, always, answer, header, tunnel
from taskcounts._connection import Proxy
from taskcounts._steps import Answer, Failure

Ask = Callable[..., Any]


def via(server: Server, scheme: str = "http", auth: tuple[str, str] | None = None) -> Proxy:
    return Proxy(scheme, "127.0.0.1", server.port, auth)


@pytest.mark.parametrize("auth", [None, ("me", "sécret:%/@"), ("", "secretword"), ("me", "")])
def test_a_proxy(ask: Ask, server: Server, auth: tuple[str, str] | None) -> None:
    """A plain request goes to the proxy whole, with what the proxy wants to know, and it alone."""
    assert ask("http://batch.example:81", via(server, auth=auth)).status == 200
    (head,) = server.requests
    assert head.startswith(b"GET http://batch.example:81/x HTTP/1.1\r\n")
    assert header(head, "host") == "batch.example:81"
    assert header(head, "authorization") == "SharedKey abc:secretword"
    expected = {
        ("me", "sécret:%/@"): "Basic bWU6c8OpY3JldDolL0A=",
        ("", "secretword"): "Basic OnNlY3JldHdvcmQ=",
        ("me", ""): "Basic bWU6",
    }
    assert header(head, "proxy-authorization") == (auth and expected[auth])


@pytest.mark.parametrize("auth", [None, ("me", "word")])
@pytest.mark.parametrize("outer", [False, True], ids=["http proxy", "https proxy"])
def test_a_tunnel(
    *,
    ask: Ask,
    serve: Callable[..., Server],
    secure: Server,
    authority: Authority,
    auth: tuple[str, str] | None,
    outer: bool,
) -> None:
    """An encrypted request goes through the proxy in a tunnel, of which the proxy knows the end alone."""
    proxy = serve(lambda peer: tunnel(peer, secure.port), authority.server if outer else None)
    found = ask(secure.url, via(proxy, "https" if outer else "http", auth), authority.certificate)
    # Nothing of the answer to CONNECT is the server's.
    assert isinstance(found, Answer)
    assert (found.status, found.headers["content-type"]) == (200, "application/json;odata=minimalmetadata")
    (head,) = proxy.requests
    assert head.startswith(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1\r\n".encode())
    assert header(head, "authorization") is None
    assert header(head, "proxy-authorization") == (auth and "Basic bWU6d29yZA==")
    (head,) = secure.requests
    assert head.startswith(b"GET /x HTTP/1.1\r\n")
    assert header(head, "proxy-authorization") is None


def test_headers_of_a_tunnel(
    ask: Ask, serve: Callable[..., Server], secure: Server, authority: Authority
) -> None:
    """What the proxy says as it opens the tunnel is no header of the answer."""

    def behave(peer: Peer) -> None:
        tunnel(peer, secure.port, b"HTTP/1.1 200 Connected\r\nclient-request-id: another\r\n\r\n")

    found = ask(secure.url, via(serve(behave)), authority.certificate)
    assert found.status == 200
    assert "client-request-id" not in found.headers


@pytest.mark.parametrize("outer", [False, True], ids=["http proxy", "https proxy"])
def test_a_tunnel_is_kept(ask: Ask, serve: Callable[..., Server], authority: Authority, outer: bool) -> None:
    """One request after the other goes through one tunnel."""
    secure = serve(lambda peer: peer.send(answer(connection="keep-alive").raw()), authority.server)
    proxy = serve(lambda peer: tunnel(peer, secure.port), authority.server if outer else None)

    found = ask(secure.url, via(proxy, "https" if outer else "http"), authority.certificate, times=3)
    assert [each.status for each in found] == [200] * 3
    assert (len(proxy.requests), len(secure.requests)) == (1, 3)
    assert b"proxy" not in secure.requests[2].lower()


@pytest.mark.parametrize("outer", [False, True], ids=["http proxy", "https proxy"])
def test_an_answer_that_ends_with_its_tunnel(
    ask: Ask, serve: Callable[..., Server], authority: Authority, outer: bool
) -> None:
    """The end of a connection is that of a body only with TLS's goodbye, inside a tunnel as well."""

    def behave(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        peer.socket.close()

    secure = serve(behave, authority.server)
    proxy = serve(lambda peer: tunnel(peer, secure.port), authority.server if outer else None)
    found = ask(secure.url, via(proxy, "https" if outer else "http"), authority.certificate)
    assert (found.status, found.body) == (200, b"all of it")
    assert found.broken.reason == "the server ended the connection without TLS's goodbye"


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_is_kept(ask: Ask, server: Server, scheme: str) -> None:
    """Plain requests, too, go over one connection to the proxy, each with what the proxy wants to know."""
    server.behave = lambda peer: peer.send(answer(connection="keep-alive").raw())
    proxy = Socks(auth=True) if scheme == "socks5" else server
    proxy.behave = server.behave
    found = ask("http://batch.example:81", via(proxy, scheme, ("me", "word")), times=3)
    assert [each.status for each in found] == [200] * 3
    expected = None if scheme == "socks5" else "Basic bWU6d29yZA=="
    assert [header(head, "proxy-authorization") for head in proxy.requests] == [expected] * 3
    if proxy is not server:
        proxy.close()


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_tunnel_that_is_refused(
    ask: Ask, serve: Callable[..., Server], authority: Authority, status: int
) -> None:
    """A proxy that refuses is no answer of the server's; its status is told, and its password not."""
    refusal = f'HTTP/1.1 {status} No\r\nproxy-authenticate: Basic realm="x"\r\ncontent-length: 2\r\n\r\n{{}}'
    proxy = serve(lambda peer: peer.send(refusal.encode()))
    found = ask("https://batch.example:443", via(proxy, auth=("me", "secretword")), authority.certificate)
    assert isinstance(found, Failure)
    assert str(status) in found.reason
    assert found.permanent == (status != 502)
    assert len(proxy.requests) == 1
    hidden(found, "secretword")


class Socks(Server):
    """A SOCKS5 proxy that notes what it is asked, and answers as the server behind it would."""

    def __init__(self, auth: bool) -> None:
        self.auth = auth
        self.asked: list[bytes] = []
        super().__init__(always(answer()))

    def _read(self, connection: socket.socket) -> bytes:
        if not self.asked:
            self.asked.append(connection.recv(257))
            connection.sendall(b"\x05\x02" if self.auth else b"\x05\x00")
            if self.auth:
                self.asked.append(connection.recv(513))
                connection.sendall(b"\x01\x00")
            self.asked.append(connection.recv(262))
            connection.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        return super()._read(connection)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("auth", [None, ("me", "word")])
def test_socks(ask: Ask, scheme: str, auth: tuple[str, str] | None) -> None:
    """A SOCKS proxy looks names up itself, as httpx has it; a request through it is as one without."""
    proxy = Socks(auth is not None)
    try:
        assert ask("http://batch.example:81", via(proxy, scheme, auth)).status == 200
    finally:
        proxy.close()
    assert proxy.asked[0] == (b"\x05\x01\x02" if auth else b"\x05\x01\x00")
    assert proxy.asked[1:-1] == ([b"\x01\x02me\x04word"] if auth else [])
    assert proxy.asked[-1] == b"\x05\x01\x00\x03\x0dbatch.example\x00\x51"
    assert proxy.requests[0].startswith(b"GET /x HTTP/1.1\r\n")


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_exceptions_of_the_environment(
    ask: Ask, server: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A proxy that was found is used, whatever hosts the environment excepts."""
    monkeypatch.setenv(name, "*")
    assert ask("http://127.0.0.1:9", via(server)).status == 200


def hidden(found: Failure, *secrets: str) -> None:
    """Check that a failure shows no secret, not even to an error reporter that prints local variables."""
    shown = traceback.TracebackException.from_exception(found.error, capture_locals=True)
    frames = [frame for frame in shown.stack if "tests" not in Path(frame.filename).parts]
    text = repr(found) + found.reason + repr(found.error) + repr([frame.locals for frame in frames])
    assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:9", "https://127.0.0.1:9", f"http://{'a' * 64}.invalid:9", "http://[::1]:9"]
)
@pytest.mark.parametrize("proxy", [None, "http", "socks5"])
def test_nobody_there(ask: Ask, place: str, proxy: str | None) -> None:
    """A server or proxy that isn't there is a failure that shows no secret, and may be there next time."""
    way = Proxy(proxy, "127.0.0.1", 9, ("me", "secretword")) if proxy else None
    found = ask(place, way)
    assert isinstance(found, Failure)
    assert found.reason
    assert not found.permanent
    hidden(found, "secretword", "SharedKey")
