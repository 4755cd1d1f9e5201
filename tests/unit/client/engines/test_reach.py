"""How engines reach a server: certificates, proxies, and nothing of the environment's."""

import asyncio
import contextlib
import datetime
import hashlib
import ipaddress
import socket
import ssl
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support import Authority, Peer, Server, always, answer, header
from taskcounts._connection import Connection, Proxy
from taskcounts._steps import Answer, Failure, Request
from taskcounts.engines import make_engine

GET = {"accept": "application/json", "authorization": "SharedKey abc:secretword"}


Ask = Callable[..., Any]
KINDS = [(engine, awaits) for engine in ("httpcore", "httptools") for awaits in (False, True)]


@pytest.fixture(params=KINDS, ids=[f"{engine}-{'async' if awaits else 'sync'}" for engine, awaits in KINDS])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Return what sends a request, or several one after the other, over an engine of its own."""
    kind, awaits = request.param

    def ask(url: str, proxy: Proxy | None = None, verify: Path | None = None, times: int = 1) -> Any:
        scheme, _, place = url.partition("://")
        host, _, port = place.rpartition(":")
        way = Connection(scheme, host.strip("[]"), int(port), proxy, None if verify is None else str(verify))
        request = Request("GET", f"{url}/x", GET)

        async def send() -> Any:
            engine = make_engine(kind, way, awaits=True)
            found = [await engine.send(request, 5, 10_000) for _ in range(times)]
            await engine.close()
            return found

        if awaits:
            found = asyncio.run(send())
        else:
            engine = make_engine(kind, way, awaits=False)
            found = [engine.send(request, 5, 10_000) for _ in range(times)]
            engine.close()
        return found if times > 1 else found[0]

    return ask


def via(server: Server, scheme: str = "http", auth: tuple[str, str] | None = None) -> Proxy:
    return Proxy(scheme, "127.0.0.1", server.port, auth)


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(always(answer()))


@pytest.fixture
def secure(serve: Callable[..., Server], authority: Authority) -> Server:
    return serve(always(answer()), authority.server)


def tunnel(peer: Peer, port: int, opened: bytes = b"HTTP/1.1 200 Connected\r\n\r\n") -> None:
    """Carry bytes to and fro, as a proxy does after CONNECT, until one side ends."""
    peer.send(opened)
    with socket.create_connection(("127.0.0.1", port)) as far:
        near = peer.socket
        near.settimeout(0.02)
        far.settimeout(0.02)
        while not peer.server.stopped.is_set():
            for source, sink in ((near, far), (far, near)):
                with contextlib.suppress(TimeoutError):
                    data = source.recv(65536)
                    if not data:
                        return
                    sink.sendall(data)


def refused(found: Any, reason: str) -> None:
    """Check that a server, or a proxy, was refused for its certificate."""
    assert isinstance(found, Failure)
    assert found.reason.startswith(f"the certificate is not trusted: {reason}")
    assert found.permanent


def test_a_file(ask: Ask, secure: Server, authority: Authority) -> None:
    """A file says what is trusted."""
    assert ask(secure.url, verify=authority.certificate).status == 200


def test_the_list_of_httpx(ask: Ask, secure: Server) -> None:
    """Without one it is the list that comes with httpx, and not the machine's."""
    refused(ask(secure.url), "unable to get local issuer certificate")
    assert secure.requests == []


def _hash(certificate: x509.Certificate) -> str:
    """Return the name that OpenSSL looks for in a folder, of a subject that is one common name."""
    (name,) = certificate.subject
    text = str(name.value).lower().encode()
    # A set of a sequence of an object identifier and a string, in the form that is hashed.
    entry = b"\x30" + bytes([len(text) + 7]) + b"\x06\x03\x55\x04\x03\x0c" + bytes([len(text)]) + text
    digest = hashlib.sha1(b"\x31" + bytes([len(entry)]) + entry).digest()  # noqa: S324 - OpenSSL's choice.
    return f"{int.from_bytes(digest[:4], 'little'):08x}.0"


def test_a_folder(ask: Ask, secure: Server, authority: Authority, tmp_path: Path) -> None:
    """A folder says what is trusted, if its files are hashed; one without them trusts nobody."""
    refused(ask(secure.url, verify=tmp_path), "unable to get local issuer certificate")
    certificate = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    (tmp_path / _hash(certificate)).write_bytes(authority.certificate.read_bytes())
    assert ask(secure.url, verify=tmp_path).status == 200


def _certificate(folder: Path, *, name: str = "127.0.0.1", days: int = 9) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate that signs itself, as a file, and a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    alternative = x509.DNSName(name) if name != "127.0.0.1" else x509.IPAddress(ipaddress.ip_address(name))
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "own.pem").write_bytes(signed.public_bytes(encoding))
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, private, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "key.pem")
    return folder / "own.pem", context


def test_another_name(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """A certificate for another name isn't trusted."""
    path, context = _certificate(tmp_path, name="batch.example")
    refused(ask(serve(always(answer()), context).url, verify=path), "IP address mismatch")


def test_out_of_date(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """Nor is one that has expired."""
    path, context = _certificate(tmp_path, days=-1)
    refused(ask(serve(always(answer()), context).url, verify=path), "certificate has expired")


def test_old_tls(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """TLS before 1.2 isn't spoken."""
    path, context = _certificate(tmp_path)
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


@pytest.mark.parametrize("auth", [None, ("me", "sécret:%/@"), ("", "secretword"), ("me", "")])
def test_a_proxy(ask: Ask, server: Server, auth: tuple[str, str] | None) -> None:
    """A plain request goes to the proxy whole, with what the proxy wants to know, and it alone."""
    assert ask("http://batch.example:81", via(server, auth=auth)).status == 200
    (head,) = server.requests
    assert head.startswith(b"GET http://batch.example:81/x HTTP/1.1\r\n")
    assert header(head, "host") == "batch.example:81"
    assert header(head, "authorization") == GET["authorization"]
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
    """The end of a connection may be that of a body, inside a tunnel as well."""

    def behave(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        peer.socket.close()

    secure = serve(behave, authority.server)
    proxy = serve(lambda peer: tunnel(peer, secure.port), authority.server if outer else None)
    found = ask(secure.url, via(proxy, "https" if outer else "http"), authority.certificate)
    assert (found.status, found.body, found.broken) == (200, b"all of it", None)


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
    assert not found.permanent
    assert len(proxy.requests) == 1
    hidden(found, "secretword")


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


def test_a_proxy_that_is_not_trusted(ask: Ask, secure: Server) -> None:
    """The certificate of an https proxy is checked by the same rules; it gets nothing."""
    refused(ask("http://batch.example:80", via(secure, "https")), "unable to get local issuer certificate")
    assert secure.requests == []


def test_a_proxy_of_another_name(ask: Ask, serve: Callable[..., Server], tmp_path: Path) -> None:
    """Its name is checked, too."""
    path, context = _certificate(tmp_path, name="proxy.example")
    proxy = serve(always(answer()), context)
    refused(ask("http://batch.example:80", via(proxy, "https"), path), "IP address mismatch")
    assert proxy.requests == []


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
    assert header(server.requests[0], "authorization") == GET["authorization"]
    refused(ask(secure.url), "unable to get local issuer certificate")


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_exceptions_of_the_environment(
    ask: Ask, server: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A proxy that was found is used, whatever hosts the environment excepts."""
    monkeypatch.setenv(name, "*")
    assert ask("http://127.0.0.1:9", via(server)).status == 200


def test_ipv6(ask: Ask) -> None:
    """An address of IPv6 is reached, and named in brackets."""

    class Six(Server):
        def _start(self, target: Callable[..., None], *args: object) -> None:
            if not self._threads:
                self._listener.close()
                self._listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
            super()._start(target, *args)

    try:
        server = Six(always(answer()))
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = server._listener.getsockname()[1]
    try:
        assert ask(f"http://[::1]:{port}").status == 200
    finally:
        server.close()
    assert header(server.requests[0], "host") == f"[::1]:{port}"
