"""The environment of these tests is theirs: no proxies or certificates of the machine's, no account."""

import hashlib
from pathlib import Path

import pytest
from cryptography import x509

from support.client import Authority

OURS = ("AZURE_BATCH_ACCOUNT", "AZURE_BATCH_ENDPOINT", "AZURE_BATCH_ACCESS_KEY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SSLKEYLOGFILE")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OURS, *CERTIFICATES, *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)


def _hash(certificate: x509.Certificate) -> str:
    """Return the name that OpenSSL looks for in a folder, of a subject that is one common name."""
    (name,) = certificate.subject
    text = str(name.value).lower().encode()
    # A set of a sequence of an object identifier and a string, in the form that is hashed.
    entry = b"\x30" + bytes([len(text) + 7]) + b"\x06\x03\x55\x04\x03\x0c" + bytes([len(text)]) + text
    digest = hashlib.sha1(b"\x31" + bytes([len(entry)]) + entry).digest()  # noqa: S324 - OpenSSL's choice.
    return f"{int.from_bytes(digest[:4], 'little'):08x}.0"


@pytest.fixture
def hashed(authority: Authority, tmp_path: Path) -> Path:
    """A folder with the authority's certificate, under the name that OpenSSL looks for."""
    content = authority.certificate.read_bytes()
    folder = tmp_path / "hashed"
    folder.mkdir()
    (folder / _hash(x509.load_pem_x509_certificate(content))).write_bytes(content)
    return folder
