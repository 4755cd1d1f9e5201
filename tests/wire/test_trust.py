"""Trust: certificates in files and folders, and nothing from an environment that isn't trusted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.certificates import Authority, self_signed, trust_in_folder
from support.servers import Server, header
from taskcounts import ServiceUnreachable
from wire.conftest import Open, over_own_engine
from wire.sessions import answering, one_line

Serve = Callable[..., Server]


def refused(outcome: object, *words: str) -> None:
    """Check that a certificate was refused, at once and for good."""
    assert isinstance(outcome, ServiceUnreachable), outcome
    assert outcome.attempts == 1
    assert all(each in one_line(outcome) for each in ("certificate", *words)), outcome


@pytest.mark.parametrize("days", [9, -1])
def test_dates(open_session: Open, serve: Serve, tmp_path: Path, days: int) -> None:
    """A certificate that has expired isn't trusted, whoever signed it."""
    path, context = self_signed(tmp_path, days=days)
    server = serve(answering, context)
    session = open_session(server, verify=str(path))
    if days > 0:
        assert session.ask().attempts == 1
    else:
        refused(session.outcome(), "expired")
        assert server.requests == []


@over_own_engine
def test_a_folder(open_session: Open, serve: Serve, authority: Authority, tmp_path: Path) -> None:
    """A folder says what is trusted, if its files are hashed; one without them trusts nobody."""
    server = serve(answering, authority.server)
    refused(open_session(server, verify=tmp_path).outcome(), "issuer")
    trust_in_folder(tmp_path, authority.certificate)
    assert open_session(server, verify=tmp_path).ask().attempts == 1


def test_nothing_of_the_environment(
    *,
    open_session: Open,
    serve: Serve,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A client with trust_env=False takes nothing from the environment."""
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority.certificate))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secretword\n")
    (tmp_path / ".curlrc").write_text("user-agent = another\n")
    server, secure = serve(answering), serve(answering, authority.server)
    assert open_session(server).ask().attempts == 1
    assert str(header(server.requests[0], "authorization")).startswith("SharedKey myaccount:")
    assert str(header(server.requests[0], "user-agent")).startswith("taskcounts/")
    refused(open_session(secure).outcome(), "issuer")


@over_own_engine
def test_a_proxy_that_was_named(open_session: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that a caller names is used, whatever hosts the environment excepts."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("NO_PROXY", "*")
    proxy = serve(answering)
    session = open_session("http://127.0.0.1:9", proxy=proxy.url, trust_env=True)
    assert session.ask().attempts == 1
    assert len(proxy.requests) == 1
