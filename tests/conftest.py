"""Fixtures for all tests, and Hypothesis' profiles: HYPOTHESIS_PROFILE=thorough looks harder."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import coverage
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, settings

from support.client import Authority, Behave, Call, FakeClock, Server
from taskcounts.clock import SystemClock

# The processes among which the tests are divided are measured; those that tests start are not.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

settings.register_profile(
    "default",
    max_examples=60,
    deadline=None,  # A slow machine is no bug.
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


TRACED = {Path(__file__).parent / name for name in ("unit", "wire")}


@pytest.fixture(autouse=True, scope="module")
def _only_unit_tests_are_traced(request: pytest.FixtureRequest) -> Iterator[None]:
    """Laws, histories and runs take twice as long if they are traced, and these tests reach every line."""
    tracing = None if TRACED & set(request.path.parents) else coverage.Coverage.current()
    if tracing is not None:
        tracing.stop()
    yield
    if tracing is not None:
        with warnings.catch_warnings():
            # It would tell that what it measures was imported before.
            warnings.simplefilter("ignore", coverage.exceptions.CoverageWarning)
            tracing.start()


@pytest.fixture(params=["sync", "async"], scope="session")
def call(request: pytest.FixtureRequest) -> Call:
    return Call(awaits=request.param == "async")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that have the machine's clock don't wait before they ask again."""

    async def sleep_async(_: SystemClock, seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(SystemClock, "sleep", lambda *_: None)
    monkeypatch.setattr(SystemClock, "sleep_async", sleep_async)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers on loopback; they end with the test."""
    servers: list[Server] = []

    def start(behave: Behave, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(behave, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority")
    # Not today's date: the tests hold for as long as the clock isn't far off.
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of tests")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    # Python 3.13 is strict: an authority has to say that it signs, and a certificate who signed it.
    signs_certificates = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        x509.CertificateBuilder(
            ca_name, ca_name, ca_key.public_key(), x509.random_serial_number(), begin, end
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .add_extension(signs_certificates, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder(ca_name, name, key.public_key(), x509.random_serial_number(), begin, end)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "ca.pem").write_bytes(ca.public_bytes(encoding))
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(encoding))
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, private, serialization.NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "leaf.pem", folder / "key.pem")
    return Authority(folder / "ca.pem", server)
