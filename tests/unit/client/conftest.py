"""The environment of these tests is theirs: no proxies or certificates of the machine's, no account."""

from pathlib import Path

import pytest

from support.certificates import Authority, trust_in_folder

OURS = ("AZURE_BATCH_ACCOUNT", "AZURE_BATCH_ENDPOINT", "AZURE_BATCH_ACCESS_KEY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SSLKEYLOGFILE")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OURS, *CERTIFICATES, *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hashed(authority: Authority, tmp_path: Path) -> Path:
    """A folder with the authority's certificate, under the name that OpenSSL looks for."""
    folder = tmp_path / "hashed"
    folder.mkdir()
    trust_in_folder(folder, authority.certificate)
    return folder
