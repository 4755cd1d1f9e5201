"""How engines reach a server: certificates, proxies, and nothing of the environment's."""

import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from support.certificates import Authority, self_signed
from support.client import Peer, Server, always, answer, header
from taskcounts.net.factory import make_engine
from taskcounts.net.route import Connection, Proxy
from taskcounts.protocol.messages import Failure

Ask = Callable[..., Any]


def refused(found: Any, reason: str) -> None:
    """Check that a server, or a proxy, was refused for its certificate."""
    assert isinstance(found, Failure)
    assert f"the certificate is not trusted: {reason}" in found.reason
    assert found.permanent


def test_a_file(ask: Ask, secure: Server, authority: Authority) -> None:
    """A file says what is trusted."""
    assert ask(secure.url, verify=authority.certificate).status == 200


def test_the_list_of_httpx(ask: Ask, secure: Server) -> None:
    """Without one it is the list that comes with httpx, and not the machine's."""
    refused(ask(secure.url), "unable to get local issuer certificate")
    assert secure.requests == []


@pytest.mark.parametrize("awaits", [False, True])
@pytest.mark.parametrize("kind", ["httpcore", "httptools"])
def test_the_list_is_loaded_once(monkeypatch: pytest.MonkeyPatch, kind: str, awaits: bool) -> None:
    """Loading it takes longer than a call."""
    made = Mock(wraps=ssl.create_default_context)
    monkeypatch.setattr(ssl, "create_default_context", made)
    make_engine(Connection("https", "127.0.0.1", 9, None), awaits=awaits)
    assert made.call_count == 1


def test_a_folder(ask: Ask, secure: Server, hashed: Path, tmp_path: Path) -> None:
    """A folder says what is trusted, if its files are hashed; one without them trusts nobody."""
    refused(ask(secure.url, verify=tmp_path), "unable to get local issuer certificate")
    assert ask(secure.url, verify=hashed).status == 200


def test_another_name(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """A certificate for another name isn't trusted."""
    path, context = self_signed(tmp_path, name="batch.example")
    refused(ask(serve(always(answer()), context).url, verify=path), "IP address mismatch")


def test_out_of_date(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """Nor is one that has expired."""
    path, context = self_signed(tmp_path, days=-1)
    refused(ask(serve(always(answer()), context).url, verify=path), "certificate has expired")


def test_the_protocol(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """Servers that speak HTTP/2 as well are told, in the handshake, that this is HTTP/1.1."""
    path, context = self_signed(tmp_path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    agreed: list[str | None] = []

    def behave(peer: Peer) -> None:
        assert isinstance(peer.socket, ssl.SSLSocket)
        agreed.append(peer.socket.selected_alpn_protocol())
        peer.send(answer().raw())

    assert ask(serve(behave, context).url, verify=path).status == 200
    assert agreed == ["http/1.1"]


def test_old_tls(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """TLS before 1.2 isn't spoken."""
    path, context = self_signed(tmp_path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = serve(always(answer()), context)
    assert isinstance(ask(server.url, verify=path), Failure)
    assert server.requests == []


def test_no_tls(ask: Ask, serve: Callable[..., Server], authority: Authority) -> None:
    """A server that speaks no TLS may do so at the next attempt."""

    class Plain(Server):
        def _read(self, connection: socket.socket) -> bytes:
            connection.recv(1)
            connection.sendall(b"SSH-2.0-no\r\n\r\n")
            return b""

    server = Plain(Peer.wait)
    try:
        found = ask(server.url.replace("http:", "https:"), verify=authority.certificate)
    finally:
        server.close()
    assert isinstance(found, Failure)
    assert not found.permanent


def test_a_proxy_that_is_not_trusted(ask: Ask, secure: Server) -> None:
    """The certificate of an https proxy is checked by the same rules; it gets nothing."""
    refused(
        ask("http://batch.example:80", Proxy("https", "127.0.0.1", secure.port, None)),
        "unable to get local issuer certificate",
    )
    assert secure.requests == []


def test_a_proxy_of_another_name(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """Its name is checked, too."""
    path, context = self_signed(tmp_path, name="proxy.example")
    proxy = serve(always(answer()), context)
    refused(
        ask("http://batch.example:80", Proxy("https", "127.0.0.1", proxy.port, None), path),
        "IP address mismatch",
    )
    assert proxy.requests == []


def test_nothing_of_the_environment(
    *,
    ask: Ask,
    server: Server,
    secure: Server,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Whatever the environment names, it was looked at before; nobody looks again."""
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority.certificate))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secretword\n")
    (tmp_path / ".curlrc").write_text("user-agent = another\n")
    assert ask(server.url).status == 200
    assert b"me" not in server.requests[0].replace(b"name", b"").partition(b"\r\n\r\n")[0].split()
    assert header(server.requests[0], "user-agent") is None
    assert header(server.requests[0], "authorization") == "SharedKey abc:secretword"
    refused(ask(secure.url), "unable to get local issuer certificate")


def test_ipv6(ask: Ask) -> None:
    """An address of IPv6 is reached, and named in brackets."""

    try:
        server = Server(always(answer()), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    try:
        assert ask(server.url).status == 200
    finally:
        server.close()
    assert header(server.requests[0], "host") == f"[::1]:{server.port}"
