"""Whom a client trusts: certificates in files and folders, and nothing of an environment that it isn't to."""

import datetime
import hashlib
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.client import Authority, Server, header
from taskcounts import ServiceUnreachable
from wire.conftest import Open, over_own
from wire.ways import answering, one_line

Serve = Callable[..., Server]


def own_certificate(folder: Path, days: int) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate that signs itself, valid for some more days, and a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "own.pem").write_bytes(signed.public_bytes(encoding))
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, private, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "key.pem")
    return folder / "own.pem", context


def refused(outcome: object, *words: str) -> None:
    """Check that a certificate was refused, at once and for good."""
    assert isinstance(outcome, ServiceUnreachable), outcome
    assert outcome.attempts == 1
    assert all(each in one_line(outcome) for each in ("certificate", *words)), outcome


@pytest.mark.parametrize("days", [9, -1])
def test_dates(open_session: Open, serve: Serve, tmp_path: Path, days: int) -> None:
    """A certificate that has expired isn't trusted, whoever signed it."""
    path, context = own_certificate(tmp_path, days)
    server = serve(answering, context)
    session = open_session(server, verify=str(path))
    if days > 0:
        assert session.ask().attempts == 1
    else:
        refused(session.outcome(), "expired")
        assert server.requests == []


def hashed_name(certificate: x509.Certificate) -> str:
    """Return the name that OpenSSL looks for in a folder, of a subject that is one common name."""
    (name,) = certificate.subject
    text = str(name.value).lower().encode()
    # A set of a sequence of an object identifier and a string, in the form that is hashed.
    entry = b"\x30" + bytes([len(text) + 7]) + b"\x06\x03\x55\x04\x03\x0c" + bytes([len(text)]) + text
    digest = hashlib.sha1(b"\x31" + bytes([len(entry)]) + entry).digest()  # noqa: S324 - OpenSSL's choice.
    return f"{int.from_bytes(digest[:4], 'little'):08x}.0"


@over_own
def test_a_folder(open_session: Open, serve: Serve, authority: Authority, tmp_path: Path) -> None:
    """A folder says what is trusted, if its files are hashed; one without them trusts nobody."""
    server = serve(answering, authority.server)
    refused(open_session(server, verify=tmp_path).outcome(), "issuer")
    certificate = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    (tmp_path / hashed_name(certificate)).write_bytes(authority.certificate.read_bytes())
    assert open_session(server, verify=tmp_path).ask().attempts == 1


def test_nothing_of_the_environment(
    *,
    open_session: Open,
    serve: Serve,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Who doesn't trust the environment looks at nothing in it."""
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority.certificate))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secretword\n")
    server, secure = serve(answering), serve(answering, authority.server)
    assert open_session(server).ask().attempts == 1
    assert str(header(server.requests[0], "authorization")).startswith("SharedKey myaccount:")
    refused(open_session(secure).outcome(), "issuer")


@over_own
def test_a_proxy_that_was_named(open_session: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that a caller names is used, whatever hosts the environment excepts."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("NO_PROXY", "*")
    proxy = serve(answering)
    session = open_session("http://127.0.0.1:9", proxy=proxy.url, trust_env=True)
    assert session.ask().attempts == 1
    assert len(proxy.requests) == 1
