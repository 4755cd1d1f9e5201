"""TLS certificates: their names, their trust, and their removal."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.connections import TARGET, answered, connect, secured
from taskcounts import RetryPolicy, ServiceUnreachable, SharedKey, TaskCountsClient
from taskcounts_emulator import EmulatedAccount, Emulator, EmulatorError, serve
from taskcounts_emulator.tls import Authority


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator that serves HTTPS, with one job."""
    with Emulator(tls=True) as running:
        running.add_job("nightly", 5)
        yield running


@pytest.fixture
def tempdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_our_client_asks_over_tls(emulator: Emulator) -> None:
    """The endpoint is https, and a client that trusts the authority gets counts."""
    assert emulator.endpoint.startswith("https://127.0.0.1:")
    key = SharedKey(emulator.account, emulator.key)
    with TaskCountsClient(emulator.endpoint, key, verify=emulator.ca_path) as client:
        assert client.get_job_task_counts("nightly").task_counts.active == 5
        client.get_job_task_counts("nightly")


def test_whoever_does_not_trust_it_is_not_answered(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the certificate no request is made, and nothing is logged."""
    with Emulator(tls=True) as other, caplog.at_level(logging.INFO, "taskcounts_emulator"):
        for ca_path in (None, other.ca_path):
            client = TaskCountsClient(
                emulator.endpoint,
                SharedKey(emulator.account, emulator.key),
                verify=ca_path,
                trust_env=False,
                retry=RetryPolicy(max_attempts=1),
            )
            with client, pytest.raises(ServiceUnreachable, match="the certificate is not trusted"):
                client.get_job_task_counts("nightly")
    assert not [record for record in caplog.records if record.name != "taskcounts"]
    assert len(emulator.journal) == 0


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_certificate_is_for_this_machine(emulator: Emulator, name: str) -> None:
    """It has all loopback names, and the server speaks HTTP/1.1."""
    with secured(emulator, name) as connection:
        assert answered(connection)[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        secured(emulator, "example.com")


def test_alpn_selects_http_1_1(emulator: Emulator) -> None:
    """Of HTTP/2 and HTTP/1.1 the server selects HTTP/1.1."""
    context = ssl.create_default_context(cafile=emulator.ca_path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(connect(emulator), server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_the_certificate_is_for_what_is_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate names the host and the names of the admin API."""
    hosts = []

    class Noting(Authority):
        def __init__(self, given: list[str]) -> None:
            hosts.extend(given)
            super().__init__(given)

    monkeypatch.setattr("taskcounts_emulator.server.Authority", Noting)
    emulator = Emulator(tls=True, host="localhost")
    emulator.admin_hosts = frozenset({"batch"})
    with emulator, secured(emulator, "batch") as connection:
        assert answered(connection, b"GET /_emulator/health HTTP/1.1\r\nhost: batch\r\n\r\n")[0] == 200
    assert hosts == ["localhost", "batch"]


def test_addresses_and_names_of_all_kinds_have_certificates() -> None:
    """International names and addresses have certificates, and an empty host has none."""
    with Authority(["", "0.0.0.0", "::", "192.0.2.7", "bücher.example", "batch"]) as authority:  # noqa: S104 - Not bound.
        assert authority.ca_path.exists()


def test_the_authoritys_file_is_deleted_with_the_emulator(tempdir: Path) -> None:
    """While it runs there is the authority's certificate, but no key; afterwards there is nothing."""
    with Emulator(tls=True) as emulator:
        assert emulator.ca_path is not None
        (directory,) = tempdir.iterdir()
        assert list(directory.iterdir()) == [emulator.ca_path]
        text = emulator.ca_path.read_text()
        assert text.count("-----BEGIN CERTIFICATE-----") == text.count("-----BEGIN") == 1
        assert ssl.create_default_context(cafile=emulator.ca_path).get_ca_certs()[0]["subject"]
    assert list(tempdir.iterdir()) == []
    assert emulator.ca_path is None


def test_without_tls_there_is_no_certificate(tempdir: Path) -> None:
    """A plain emulator writes no file, and leaves the trust of its clients alone."""
    with Emulator() as emulator:
        assert emulator.ca_path is None
        assert emulator.endpoint.startswith("http://")
        assert list(tempdir.iterdir()) == []


def test_an_emulator_that_cannot_listen_leaves_nothing(tempdir: Path) -> None:
    """A port in use is an error, and the certificate is removed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        emulator = Emulator(tls=True, port=taken.getsockname()[1])
        with pytest.raises(EmulatorError, match="in use"):
            emulator.__enter__()
    assert emulator.ca_path is None
    assert list(tempdir.iterdir()) == []


def test_a_directory_of_ones_own_keeps_the_certificate(tmp_path: Path) -> None:
    """In a given directory the file stays, and the next one replaces it."""
    with Authority(directory=tmp_path) as first:
        assert first.ca_path == tmp_path / "taskcounts-ca.pem"
        before = first.ca_path.read_bytes()
    with Authority(directory=str(tmp_path)) as second:
        assert second.ca_path == first.ca_path
    assert list(tmp_path.iterdir()) == [second.ca_path]
    assert second.ca_path.read_bytes() != before


@pytest.mark.parametrize(
    ("hosts", "directory", "message"),
    [
        (["a b"], None, "no certificate can be made for localhost, 127.0.0.1, ::1, a b: "),
        (["x" * 64], None, "no certificate can be made for "),
        (["a..b"], None, "no certificate can be made for "),
        ([], "/nowhere/at/all", "the certificate cannot be written: "),
    ],
)
def test_an_uncertifiable_name_is_an_error(
    hosts: list[str], directory: str | None, message: str, tempdir: Path
) -> None:
    """The error is one line, and no file is left behind."""
    with pytest.raises(EmulatorError) as caught:
        Authority(hosts, directory)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert list(tempdir.iterdir()) == []


def test_an_unwritable_folder_is_reported(tempdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a directory for temporary files there is no TLS."""
    monkeypatch.setattr("tempfile.tempdir", str(tempdir / "gone"))
    with pytest.raises(EmulatorError, match=r"^the certificate cannot be written: "):
        Authority()


def test_a_full_disk_is_an_error(tempdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure removes what was made so far."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("trustme.Blob.write_to_path", fail)
    with pytest.raises(EmulatorError, match="No space left on device"):
        Authority()
    assert list(tempdir.iterdir()) == []


def test_trustme_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, one line says what to install; nothing else needs it."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(EmulatorError) as caught:
        Emulator(tls=True).__enter__()
    assert str(caught.value) == "TLS needs trustme: install taskcounts with its extra 'tls'"
    with Emulator() as emulator, connect(emulator) as connection:
        assert answered(connection)[0] == 404


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for a thread")
def test_serve_serves_it_too(tmp_path: Path) -> None:
    """For the command line: the authority is made by the caller, and outlives the server."""
    service = EmulatedAccount()
    service.add_job("nightly")
    seen = []

    with Authority(["127.0.0.1"], tmp_path) as authority:

        def ask(endpoint: str) -> None:
            main = threading.main_thread().ident
            assert main is not None
            try:
                context = ssl.create_default_context(cafile=authority.ca_path)
                headers = {"authorization": "Bearer token"}
                answer = httpx.get(endpoint + TARGET, headers=headers, verify=context, trust_env=False)
                seen.append((endpoint, answer.status_code))
            finally:
                signal.pthread_kill(main, signal.SIGTERM)

        def ready(endpoint: str) -> None:
            thread = threading.Thread(target=ask, args=(endpoint,), daemon=True)
            thread.start()

        serve(service, tls=authority, ready=ready)
    service.close()
    ((endpoint, status),) = seen
    assert endpoint.startswith("https://127.0.0.1:")
    assert status == 200
