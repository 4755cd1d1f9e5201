"""Certificates: an authority of the tests, certificates that sign themselves, and folders of trusted ones."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and a certificate for 127.0.0.1 that it signed.

    Attributes:
        certificate: The file of the authority's certificate.
        server: The context of a server that shows the signed certificate.
    """

    certificate: Path
    server: ssl.SSLContext
    leaf: trustme.LeafCert

    @classmethod
    def made(cls, folder: Path) -> Authority:
        """Return an authority whose certificate is in a folder."""
        authority = trustme.CA()
        leaf = authority.issue_cert(LOOPBACK)
        authority.cert_pem.write_to_path(folder / "ca.pem")
        return cls(folder / "ca.pem", _context(leaf), leaf)

    def fresh(self) -> ssl.SSLContext:
        """Return another context of the same server, for a test that changes it."""
        return _context(self.leaf)


def _context(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def self_signed(folder: Path, *, name: str = LOOPBACK, days: int = 9) -> tuple[Path, ssl.SSLContext]:
    """Return the file of a certificate that signs itself, and the context of a server that shows it.

    Args:
        folder: A folder for files.
        name: The server's name or address.
        days: The days from now on that the certificate is valid for; less than 0 if it has expired.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    alternative = x509.IPAddress(ipaddress.ip_address(name)) if name == LOOPBACK else x509.DNSName(name)
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


def trust_in_folder(folder: Path, certificate: Path) -> None:
    """Copy a certificate into a folder, under the name by which OpenSSL looks for its subject."""
    content = certificate.read_bytes()
    subject = x509.load_pem_x509_certificate(content).subject
    lowered = x509.Name([x509.NameAttribute(each.oid, str(each.value).lower()) for each in subject])
    # OpenSSL hashes the subject in lower case, without the two bytes that begin the sequence.
    digest = hashlib.sha1(lowered.public_bytes()[2:]).digest()  # noqa: S324 - OpenSSL's choice.
    (folder / f"{int.from_bytes(digest[:4], 'little'):08x}.0").write_bytes(content)
