"""Routes: proxies and certificates, from arguments and from the environment."""

import gc
import os
import socket
import ssl
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
import trustme

from support.answers import Script, answer
from support.certificates import Authority
from support.client import ENDPOINT, KEY, Call
from support.clocks import NoPauses
from support.proxies import tunnel
from support.servers import Peer, Server, always, header
from taskcounts import BearerToken, RetryPolicy, ServiceUnreachable
from taskcounts.net.factory import make_engine
from taskcounts.net.route import Route, RouteOptions, find_route
from taskcounts.urls import is_loopback

TESTS = Path(__file__).parents[3]
FAR = "http://batch.example"
ONCE = {"retry": RetryPolicy(max_attempts=1), "timeout": 2.0}


@pytest.fixture
def proxy(serve: Callable[..., Server]) -> Server:
    """A proxy that answers plain requests itself, and refuses to connect to anywhere."""

    def behave(peer: Peer) -> None:
        refusal = b"HTTP/1.1 407 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        peer.send(refusal if peer.head.startswith(b"CONNECT") else answer().raw())
        peer.socket.close()

    return serve(behave)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_proxy_of_the_environment(
    call: Call, proxy: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The proxy that the environment names gets the request, with the whole URL, signed for the endpoint."""
    # urllib ignores HTTP_PROXY where a web server may have set it from a header.
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.setenv(name, proxy.url)
    assert call(FAR).attempts == 1
    (head,) = proxy.requests
    assert head.startswith(b"GET http://batch.example/jobs/job-1/taskcounts?api-version=")
    assert header(head, "host") == "batch.example"


def test_proxy_of_another_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for https is none for http, and a variable that is empty names none."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "")
    assert find_route(FAR, RouteOptions(None, None, True)).proxy is None
    assert find_route(ENDPOINT, RouteOptions(None, None, True)).proxy == ("http", "127.0.0.1", 9, None)


def test_proxy_without_a_scheme(call: Call, proxy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is named by host and port alone is spoken to over http."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
    assert call(FAR).attempts == 1
    assert len(proxy.requests) == 1


def test_proxy_for_https(call: Call, proxy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """For https the proxy gets a CONNECT with the host alone; the error has its refusal."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ServiceUnreachable, match="407"):
        call("https://batch.example", client=ONCE)
    (head,) = proxy.requests
    assert head.startswith(b"CONNECT batch.example:443 HTTP/1.1\r\n")
    assert header(head, "authorization") is None


def excepted(monkeypatch: pytest.MonkeyPatch, endpoint: str, entries: str) -> bool:
    """Return whether NO_PROXY keeps an endpoint from the environment's proxy."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", entries)
    return find_route(endpoint, RouteOptions(None, None, True)).proxy is None


@pytest.mark.parametrize(
    ("endpoint", "entries"),
    [
        (FAR, "*"),
        (FAR, "batch.example"),
        (FAR, ".example"),
        (FAR, "*.example"),
        (FAR, "*.batch.example"),
        (FAR, "other,batch.example"),
        (FAR, " other \t,, batch.example "),
        (FAR, "other batch.example"),
        (FAR, "other *"),
        (FAR, "10.0.0.0/8 :: [x] a:b:c 1.2 EXAMPLE."),
        (FAR, "batch.example:80"),
        (FAR, "*.example:80"),
        (FAR, "*:80"),
        (FAR, "batch.example:"),
        ("https://Batch.Example.", "batch.example:443"),
        ("http://batch.example:8080", "other:8080,Batch.Example:8080"),
        ("http://bücher.example", "BÜCHER.example"),
        ("http://xn--bcher-kva.example", "bücher。example"),
        ("http://10.1.2.3", "10.1.2.3"),
        ("http://10.1.2.3:8080", "10.1.2.3:8080"),
        ("http://10.1.2.3", "10.0.0.0/8"),
        ("http://10.1.2.3", "10.9.9.9/8"),
        ("http://10.1.2.3", "10.0.0.0/255.0.0.0"),
        ("http://[fd00::1]", "fd00::1"),
        ("http://[FD00:0::1]", "fd00::0:1"),
        ("http://[fd00::1]", "[fd00::1]"),
        ("http://[fd00::1]:8080", "[fd00::1]:8080"),
        ("http://[fd00::1]", "fd00::/8"),
    ],
)
def test_no_proxy(monkeypatch: pytest.MonkeyPatch, endpoint: str, entries: str) -> None:
    """Hosts that NO_PROXY names are reached directly, in each of the forms in use."""
    assert not excepted(monkeypatch, endpoint, "")
    assert excepted(monkeypatch, endpoint, entries)


@pytest.mark.parametrize(
    ("endpoint", "entries"),
    [
        (FAR, "other.example"),
        ("http://xbatch.example", "batch.example"),
        ("http://batch.example.com", "batch.example"),
        ("http://example", "batch.example"),
        (FAR, "batch.example:8080"),
        (FAR, "batch.example:443"),
        (FAR, "batch.example:80:80"),
        (FAR, "batch.example:123456789"),
        (FAR, "b*.example"),
        (FAR, "*batch.example"),
        (FAR, ". .. : / *. .batch"),
        (FAR, "0.0.0.0/0"),
        ("http://11.1.2.3", "10.0.0.0/8"),
        ("http://10.1.2.3", "10.0.0.0/33"),
        ("http://10.1.2.3", "10.1.2.3:8080"),
        ("http://10.1.2.3", "::/0"),
        ("http://[fd00::1]", "[fd00::1]:8080"),
        ("http://[fd00::1]", "0.0.0.0/0"),
        ("http://[fd00::1]", "d00::1"),
    ],
)
def test_no_proxy_of_others(monkeypatch: pytest.MonkeyPatch, endpoint: str, entries: str) -> None:
    """An entry for another host, port or network doesn't match, and an invalid entry is ignored."""
    assert not excepted(monkeypatch, endpoint, entries)


def test_loopback_needs_no_proxy(
    call: Call, serve: Callable[..., Server], proxy: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine itself is never reached through a proxy of the environment."""
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    server = serve(always(answer()))
    assert call(server.url).attempts == 1
    assert (len(server.requests), proxy.requests) == (1, [])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    """Loopback is known by name and by address."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example", "127.0.0.1.example", "10.0.0.1", "::2", "0.0.0.0"])  # noqa: S104
def test_no_loopback(host: str) -> None:
    """A host that only looks like loopback is no loopback."""
    assert not is_loopback(host)


def test_proxy_given(call: Call, proxy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is given takes the place of the environment's, for loopback as well."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert call(FAR, client={"proxy": proxy.url}).attempts == 1
    assert call("http://127.0.0.1:9", client={"proxy": proxy.url}).attempts == 1
    assert len(proxy.requests) == 2


def test_proxy_with_a_password(call: Call, proxy: Server) -> None:
    """User and password of a proxy's URL go to the proxy, as its own kind of authorization."""
    url = proxy.url.replace("//", "//me:secret@")
    assert call(FAR, client={"proxy": url}).attempts == 1
    assert header(proxy.requests[0], "proxy-authorization") == "Basic bWU6c2VjcmV0"


def test_environment_is_not_trusted(call: Call, proxy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With trust_env=False the environment names no proxy and no certificates."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert find_route(FAR, RouteOptions(None, None, False)).proxy is None
    call.client_type(ENDPOINT, KEY, trust_env=False)


BAD_PROXIES = [
    "ftp://me:secretword@proxy.example",
    "http://me:secretword@proxy.example:x",
    "http://me:secretword@proxy.example:0",
    "http://me:secretword@",
    "http://me:secretword@127.1",
    # What stands behind the first slash, question mark or hash is none of the host's.
    *(
        f"http://me:{start}{mark}secretword@proxy.example:8080"
        for mark in "/?#"
        for start in ("12", "ab", "")
    ),
    "http://proxy.example:8080/secretword",
    "http://proxy.example:8080//",
    "http://proxy.example:8080?secretword",
    "http://proxy.example:8080/#secretword",
    "http://me:12#secretword",
    "http://proxy.example:12?",
    # Neither control characters nor what has no bytes.
    "http://me:secret%0Aword@proxy.example",
    "http://me%00:secretword@proxy.example",
    "http://me:secretword%7F@proxy.example",
    "http://me:secret%C2%85word@proxy.example",
    "http://me:secret\nword@proxy.example",
    "http://me:secret\tword@proxy.example",
    "http://me:secretword\udcff@proxy.example",
    "http://me:secretword%FF@proxy.example",
]


def check_refused(error: BaseException) -> None:
    """Check that an error says what to do with a proxy's URL, and that no frame of ours shows any of it."""
    assert "percent-encode the special characters" in str(error)
    assert "\n" not in str(error)
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if not Path(frame.filename).is_relative_to(TESTS)]
    assert frames
    found = str(error) + repr([frame.locals for frame in frames])
    assert not [part for part in ("secret", "word@", "me:") if part in found]
    assert error.__context__ is None


@pytest.mark.parametrize("url", [*BAD_PROXIES, "me:secretword"], ids=ascii)
def test_proxies_that_are_none(call: Call, url: str) -> None:
    """A text that is no URL of a proxy is refused, and not shown: it may hold a password."""
    with pytest.raises(ValueError, match=r"^the proxy is not a URL such as") as caught:
        call.client_type(ENDPOINT, KEY, proxy=url)
    check_refused(caught.value)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_proxies_of_the_environment_that_are_none(
    call: Call, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """So is that of the environment, by the name of the variable that counts."""
    # Where both are set, that in lower case counts.
    monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for url in BAD_PROXIES:
        monkeypatch.setenv(name, url)
        with pytest.raises(ValueError, match=f"^{name}: the proxy is not a URL such as") as caught:
            call.client_type(ENDPOINT, KEY)
        check_refused(caught.value)
    monkeypatch.setenv(name, "me:12/secretword@proxy.example:8080")
    with pytest.raises(ValueError, match=f"^{name}: the proxy is not a URL such as") as caught:
        call.client_type(ENDPOINT, KEY)
    check_refused(caught.value)


@pytest.mark.parametrize(
    ("given", "auth"),
    [
        ("", None),
        ("@", None),
        ("user@", ("user", "")),
        (":pw@", ("", "pw")),
        ("user:p@ss@", ("user", "p@ss")),
        ("user:a:b@", ("user", "a:b")),
        ("DOM\\user:pw@", ("DOM\\user", "pw")),
        ("user:p%40ss%3Aw%2Ford@", ("user", "p@ss:w/ord")),
        ("us%C3%A9r:p%23@", ("usér", "p#")),
        ("usér:€@", ("usér", "€")),
        ("user:p%25@", ("user", "p%")),
        ("user:p%@", ("user", "p%")),
        ("user:%zz%4@", ("user", "%zz%4")),
        ("user:a+b c@", ("user", "a+b c")),
    ],
)
def test_users_of_proxies(given: str, auth: tuple[str, str] | None) -> None:
    """User and password are percent-encoded UTF-8; a percent sign that encodes nothing is one."""
    for end in ("", "/"):
        found = find_route(FAR, RouteOptions(f"HTTP://{given}Proxy.Example.:3128{end}", None, False)).proxy
        assert found == ("http", "proxy.example", 3128, auth)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks(scheme: str) -> None:
    """A SOCKS proxy needs no further package, and has a port of its own."""
    proxy = find_route(ENDPOINT, RouteOptions(f"{scheme}://me:word@127.0.0.1", None, False)).proxy
    assert proxy == (scheme, "127.0.0.1", 1080, ("me", "word"))


def test_proxy_over_tls(call: Call, serve: Callable[..., Server], authority: Authority) -> None:
    """A proxy that is reached over https shows a certificate, too, and it is checked by the same rules."""
    proxy = serve(always(answer()), authority.server)
    assert call(FAR, client={"proxy": proxy.url, "verify": authority.certificate}).attempts == 1
    with pytest.raises(ServiceUnreachable, match="the certificate is not trusted"):
        call(FAR, client={"proxy": proxy.url, "clock": NoPauses()})


@pytest.fixture
def secure(serve: Callable[..., Server], authority: Authority) -> Server:
    return serve(always(answer()), authority.server)


@pytest.mark.parametrize("kind", [str, Path])
def test_certificates_of_a_file(
    call: Call, secure: Server, authority: Authority, kind: Callable[[Path], Any]
) -> None:
    """The certificates of a PEM file are trusted, over real TLS."""
    assert call(secure.url, client={"verify": kind(authority.certificate)}).attempts == 1
    assert len(secure.requests) == 1


def test_certificates_of_a_context(call: Call, secure: Server, authority: Authority) -> None:
    """So are those of an SSLContext, which is used unchanged."""
    context = ssl.create_default_context(cafile=authority.certificate)
    assert call(secure.url, client={"verify": context}).attempts == 1


def test_certificates_of_a_folder(call: Call, secure: Server, authority: Authority, tmp_path: Path) -> None:
    """So are those of a folder, if its files are hashed; without such files nothing is trusted."""
    with pytest.raises(ServiceUnreachable, match="the certificate is not trusted"):
        call(secure.url, client={"verify": tmp_path})


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates_of_the_environment(
    call: Call, secure: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """So does the environment, unless it isn't trusted itself."""
    monkeypatch.setenv(name, str(authority.certificate))
    assert call(secure.url).attempts == 1
    with pytest.raises(ServiceUnreachable, match="the certificate is not trusted"):
        call(secure.url, client={"trust_env": False})


@pytest.mark.parametrize(
    "variables",
    [
        {"SSL_CERT_DIR": "{hashed}"},
        {"SSL_CERT_DIR": "{empty}:{hashed}"},
        {"SSL_CERT_DIR": ":/nowhere::{hashed}:"},
        {"SSL_CERT_DIR": "{hashed}", "SSL_CERT_FILE": "{other}"},
        {"SSL_CERT_DIR": "{empty}", "SSL_CERT_FILE": "{own}"},
        {"SSL_CERT_DIR": "{hashed}", "SSL_CERT_FILE": "", "REQUESTS_CA_BUNDLE": "/nowhere"},
        {"SSL_CERT_DIR": "", "SSL_CERT_FILE": "{own}"},
        {"SSL_CERT_DIR": "", "SSL_CERT_FILE": "", "REQUESTS_CA_BUNDLE": "{own}"},
        {"REQUESTS_CA_BUNDLE": "{hashed}"},
    ],
    ids=str,
)
def test_folders_of_the_environment(
    *,
    call: Call,
    secure: Server,
    authority: Authority,
    hashed: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
) -> None:
    """SSL_CERT_DIR is a list of folders, and adds to SSL_CERT_FILE, as for OpenSSL; empty is not set."""
    other = tmp_path / "other.pem"
    other.write_text(trustme.CA().cert_pem.bytes().decode())
    places = {"hashed": hashed, "empty": tmp_path, "own": authority.certificate, "other": other}
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace(":", os.pathsep).format(**places))
    assert call(secure.url).attempts == 1


def test_order_of_the_environment(
    call: Call, secure: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the variables SSL_CERT_FILE and SSL_CERT_DIR go before REQUESTS_CA_BUNDLE."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    assert call(secure.url).attempts == 1
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with pytest.raises(ServiceUnreachable, match="the certificate is not trusted"):
        call(secure.url)


def test_certificates_that_cannot_be_read(call: Call, tmp_path: Path) -> None:
    """A file that isn't there, or holds no certificates, is named."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for path in (tmp_path / "nowhere.pem", nonsense):
        with pytest.raises(ValueError, match=f"the CA certificates in '{path}' can't be read: "):
            call.client_type(ENDPOINT, KEY, verify=path)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "nonsense"])
def test_environment_that_cannot_be_read(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: str | None
) -> None:
    """The same goes for a file that the environment names."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(name, str(path))
    with pytest.raises(ValueError, match=f"the CA certificates in '{path}' can't be read: "):
        call.client_type(ENDPOINT, KEY)


def test_files_of_the_environment_are_named(
    call: Call, hashed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is the variable, and a folder beside it is no substitute: less would be trusted than asked for."""
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed))
    # A folder is no file, as for OpenSSL.
    monkeypatch.setenv("SSL_CERT_FILE", str(hashed))
    with pytest.raises(ValueError, match=f"^SSL_CERT_FILE: the CA certificates in '{hashed}' can't be read"):
        call.client_type(ENDPOINT, KEY)
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.delenv("SSL_CERT_DIR")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with pytest.raises(ValueError, match=r"^REQUESTS_CA_BUNDLE: the CA certificates in '/nowhere' can't be"):
        call.client_type(ENDPOINT, KEY)


@pytest.mark.parametrize("folders", ["/nowhere", os.pathsep, f"/nowhere{os.pathsep}/neither"])
def test_folders_that_do_not_exist(call: Call, monkeypatch: pytest.MonkeyPatch, folders: str) -> None:
    """A list of folders of which none exists is an error, which names the variable."""
    monkeypatch.setenv("SSL_CERT_DIR", folders)
    with pytest.raises(ValueError, match=f"^SSL_CERT_DIR: '{folders}' names no folder that exists$"):
        call.client_type(ENDPOINT, KEY)


def test_keys_that_cannot_be_logged(
    call: Call, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An SSLKEYLOGFILE that can't be written is named, and no file of certificates is blamed for it."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "keys.log"))
    wrong = r"^SSLKEYLOGFILE: TLS keys can't be written there: .*No such file or directory: '.*keys.log'$"
    for verify in (None, authority.certificate, tmp_path):
        with pytest.raises(ValueError, match=wrong):
            call.client_type(ENDPOINT, KEY, verify=verify)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with pytest.raises(ValueError, match=wrong):
        call.client_type(ENDPOINT, KEY)
    # Nor is the log blamed for the certificates.
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with pytest.raises(ValueError, match=r"^SSL_CERT_FILE: the CA certificates"):
        call.client_type(ENDPOINT, KEY)
    monkeypatch.setenv("SSLKEYLOGFILE", "")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert call.client_type(ENDPOINT, KEY).endpoint == ENDPOINT


def test_contexts_of_ours_ask_for_http_1_1(
    authority: Authority, hashed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context of ours asks for HTTP/1.1, whatever certificates it trusts."""
    asked = Mock()
    monkeypatch.setattr(ssl.SSLContext, "set_alpn_protocols", asked)
    for number, verify in enumerate((None, authority.certificate, hashed)):
        find_route(ENDPOINT, RouteOptions(None, verify, False)).tls()
        assert asked.call_args_list == [((["http/1.1"],),)] * (number + 1)
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed))
    find_route(ENDPOINT, RouteOptions(None, None, True)).tls()
    assert asked.call_count == 4


def test_contexts_of_the_caller_are_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller's context is used unchanged, whatever it checks: another client may use it, too."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name in ("set_alpn_protocols", "load_verify_locations", "load_default_certs"):
        monkeypatch.setattr(ssl.SSLContext, name, Mock(side_effect=AssertionError))
    found = find_route(ENDPOINT, RouteOptions(None, context, True))
    assert found.tls() is context
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)


def test_plain_http_loads_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """For plain http no certificates are loaded: none will be checked, and it takes time."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    assert (
        find_route("http://127.0.0.1", RouteOptions(None, None, True)).tls().verify_mode is ssl.CERT_REQUIRED
    )


def test_default_certificates() -> None:
    """Without any wish certificates are checked, by the list that comes with httpx."""
    tls = find_route(ENDPOINT, RouteOptions(None, None, True)).tls()
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(tls.get_ca_certs()) > 50


def test_connection_is_kept(call: Call, serve: Callable[..., Server]) -> None:
    """A client keeps its connection from call to call."""
    peers = []

    def behave(peer: Peer) -> None:
        peers.append(peer.socket.getpeername())
        peer.send(answer(connection="keep-alive").raw())

    server = serve(behave)
    assert len(call.times(3, server.url)) == 3
    assert len(set(peers)) == 1


def test_transport_is_closed_with_the_client() -> None:
    """A transport that is handed over is closed with the client."""
    closed = []

    class Transport(httpx.MockTransport):
        def close(self) -> None:
            closed.append(True)

    client = Call(awaits=False).client_type(ENDPOINT, KEY, transport=Transport(Script(answer())))
    with client:
        assert client.get_job_task_counts("job-1").attempts == 1
    assert closed == [True]


@pytest.mark.parametrize("verify", [False, True, 0], ids=repr)
def test_certificates_are_always_checked(call: Call, verify: Any) -> None:
    """There is no switch that takes any certificate; who wants that has to build the SSLContext."""
    with pytest.raises(TypeError, match="certificates are always checked"):
        call.client_type(ENDPOINT, KEY, verify=verify)


def test_tls_through_a_tls_proxy(call: Call, serve: Callable[..., Server], authority: Authority) -> None:
    """An https proxy carries a connection to an https endpoint, TLS inside TLS."""
    secure = serve(always(answer()), authority.server)
    proxy = serve(lambda peer: tunnel(peer, secure.port), authority.server)
    client = {"proxy": proxy.url, "verify": str(authority.certificate)}
    assert call(secure.url, client=client).attempts == 1
    assert proxy.requests[0].startswith(b"CONNECT 127.0.0.1:")
    assert secure.requests[0].startswith(b"GET /jobs/job-1/taskcounts")


def test_no_token_through_a_proxy_without_tls(call: Call) -> None:
    """A token that may be sent to this machine without TLS is not sent there through a proxy."""
    with pytest.raises(ValueError, match="through a proxy"):
        call.client_type(
            "http://localhost:1",
            BearerToken("opaque"),
            allow_token_over_http=True,
            proxy="http://127.0.0.1:9",
        )


@pytest.mark.parametrize("outer", [False, True], ids=["plain proxy", "https proxy"])
def test_broken_tunnels_are_forgotten(
    call: Call,
    serve: Callable[..., Server],
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    outer: bool,
) -> None:
    """A client that lives through an outage of its proxy works again after it: nothing stays behind."""
    for name in ("sync_engine", "async_engine"):
        monkeypatch.setattr(f"taskcounts.net.{name}.MAX_CONNECTIONS", 3)
    secure = serve(always(answer()), authority.server)

    def behave(peer: Peer) -> None:
        if len(peer.server.requests) > 6:
            tunnel(peer, secure.port)
        else:
            peer.send(b"HTTP/1.1 200 Connected\r\n\r\nno TLS at all, as some say")
            peer.socket.shutdown(socket.SHUT_WR)

    middle = serve(behave, authority.server if outer else None)
    client = {
        "proxy": middle.url,
        "verify": str(authority.certificate),
        "retry": RetryPolicy(max_attempts=7, first_pause=0),
        "deadline": 10,
    }
    assert call(secure.url, client=client).attempts == 7
    # What was only forgotten would be found here, as a ResourceWarning.
    gc.collect()


@pytest.mark.parametrize("awaits", [False, True])
def test_the_list_is_loaded_once(monkeypatch: pytest.MonkeyPatch, *, awaits: bool) -> None:
    """The list of authorities is loaded once: that takes longer than a call."""
    made = Mock(wraps=ssl.create_default_context)
    monkeypatch.setattr(ssl, "create_default_context", made)
    make_engine(Route("https", "127.0.0.1", 9, None), awaits=awaits)
    assert made.call_count == 1
