"""TLS: how it ends, what it says when it fails, whom it trusts, and which protocol it agrees on."""

import contextlib
import re
import socket
import ssl
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from support.certificates import Authority
from support.servers import Peer, Server
from taskcounts import ServiceUnreachable, Snapshot
from wire.cases import BYE, ENDS, FIN, KEPT, LEAKS, LEAVE, RST, Case, case, check, refused
from wire.conftest import Open, over_own_engine
from wire.framing_cases import BODY, FORGED, H11_LEFTOVERS, LENGTH, PLAIN
from wire.sessions import OK, Transport, answering, one_line, whole

Serve = Callable[..., Server]

ABORTED = "clos|end|TLS|EOF"
H11_ABORT = "httpcore takes an abort of TLS for its end"
ENDINGS: dict[str, Case] = {
    "a length": case(OK + PLAIN, right=KEPT),
    "a length, then leave": case(OK + PLAIN, BYE, right=ENDS),
    "a length, then leave alone": case(OK + PLAIN, LEAVE, right=ENDS),
    "no length, leave alone": case(OK + b"\r\n" + BODY, LEAVE, right=ENDS),
    "a length, then no leave": case(OK + PLAIN, FIN, right=ENDS),
    "no length, leave": case(OK + b"\r\n" + BODY, BYE, right=ENDS),
    # RFC 9112 8: nobody knows whether more was to come.
    "no length, no leave": case(
        OK + b"\r\n" + BODY, FIN, right=refused(ABORTED), h11=(ENDS, refused()), why=H11_ABORT
    ),
    "no length, reset": case(
        OK + b"\r\n" + BODY, 0.05, RST, right=refused(), h11=(ENDS, refused()), why=H11_ABORT
    ),
    "HTTP/1.0, no leave": case(
        OK.replace(b"1.1", b"1.0") + b"\r\n" + BODY,
        FIN,
        right=refused(ABORTED),
        h11=(ENDS, refused()),
        why=H11_ABORT,
    ),
    "cut, leave": case(OK + LENGTH + b"\r\n" + BODY[:-9], BYE, right=refused("end|clos")),
    "cut, no leave": case(OK + LENGTH + b"\r\n" + BODY[:-9], FIN, right=refused("end|clos|EOF")),
    "a head cut, leave": case(OK, BYE, right=refused("end|clos")),
    "nothing, leave": case(BYE, right=refused("end|clos")),
    "nothing, no leave": case(FIN, right=refused("end|clos|EOF")),
    "an answer behind, in its record": case(OK + PLAIN + FORGED, right=ENDS, h11=LEAKS, why=H11_LEFTOVERS),
    "an answer behind, in its segment": case(
        (OK + PLAIN, FORGED), right=ENDS, h11=LEAKS, why="httpcore doesn't ask TLS for what it holds"
    ),
    "an answer behind, later": case(OK + PLAIN, 0.02, FORGED, right=ENDS),
    "many records": case(tuple(b"%c" % byte for byte in OK + PLAIN), right=KEPT),
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", ENDINGS)
def test_endings(
    *,
    transport: Transport,
    open_session: Open,
    serve: Serve,
    authority: Authority,
    name: str,
    version: ssl.TLSVersion,
) -> None:
    """An answer ends where it says so, or where TLS takes leave; an abort is no end."""
    if transport.module and version is ssl.TLSVersion.TLSv1_2:
        pytest.skip("what httpcore makes of TLS doesn't depend on its version")
    context = authority.fresh()
    context.maximum_version = version
    check(ENDINGS[name], open_session, serve, tls=context, verify=str(authority.certificate))


def _asks_for_a_certificate(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED


def _knows_no_name(context: ssl.SSLContext) -> None:
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


def _is_old(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


ALERTS: dict[str, tuple[Callable[[ssl.SSLContext], None], str]] = {
    "a certificate is required": (_asks_for_a_certificate, "certificate.required"),
    "a name that it doesn't know": (_knows_no_name, "unrecognized.name"),
    "TLS 1.1": (_is_old, "protocol.version|unsupported.protocol"),
}


class Patient(Server):
    """A server that reads on when its handshake has failed: a reset would overtake its alert."""

    def _serve(self, connection: Any) -> None:
        assert self.tls is not None
        secure = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._open.append(secure)
        with contextlib.suppress(OSError), secure:
            try:
                secure.do_handshake()
            except ssl.SSLError:
                while socket.socket.recv(secure, 65536):
                    pass


@pytest.mark.parametrize("name", ALERTS)
def test_alerts(transport: Transport, open_session: Open, authority: Authority, name: str) -> None:
    """The error has the alert of TLS; nothing was sent."""
    spoil, says = ALERTS[name]
    context = authority.fresh()
    spoil(context)
    server = Patient(answering, context)
    try:
        found = open_session(server, verify=str(authority.certificate)).outcome()
    finally:
        server.close()
    assert isinstance(found, ServiceUnreachable)
    assert found.attempts == 2
    # anyio's errors, over which httpcore reads asynchronously, have no words.
    if not (transport.module and transport.awaits):
        assert_says(found, says)
    assert server.requests == []


# The client's own words, and OpenSSL's reason.
UNTRUSTED = "the certificate is not trusted: (unable to get local issuer certificate|.* mismatch)"


def assert_says(error: BaseException, pattern: str) -> None:
    """Check that an error's one line has something, in any case."""
    assert re.search(pattern, one_line(error), re.IGNORECASE), error


@pytest.mark.parametrize("name", ["nobody", "another name"])
def test_certificates(
    transport: Transport, open_session: Open, serve: Serve, authority: Authority, name: str
) -> None:
    """A server whose certificate isn't trusted is asked once, gets no request, and is reported."""
    server = serve(answering, authority.server)
    url = server.url if name == "nobody" else server.url.replace("127.0.0.1", "localhost")
    session = open_session(url, verify=None if name == "nobody" else str(authority.certificate))
    for times in (1, 2):
        found = session.outcome()
        assert isinstance(found, ServiceUnreachable)
        assert found.attempts == 1
        assert_says(found, "certificate.*(issuer|name)" if transport.module else UNTRUSTED)
        assert server.accepted == times
    assert server.requests == []


def test_no_tls(open_session: Open, serve: Serve, authority: Authority) -> None:
    """A missing handshake is tried again, be it the server that has no TLS or the client."""
    plain = Greeter(b"SSH-2.0-no\r\n\r\n")
    try:
        found = open_session(
            plain.url.replace("http:", "https:"), verify=str(authority.certificate)
        ).outcome()
    finally:
        plain.close()
    secure = serve(answering, authority.server)
    other = open_session(secure.url.replace("https:", "http:")).outcome()
    for each in (found, other):
        assert isinstance(each, ServiceUnreachable)
        assert each.attempts == 2


class Greeter(Server):
    """A server that says its name as soon as something comes."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        super().__init__(answering)

    def _read(self, connection: Any) -> bytes:
        connection.recv(1)
        connection.sendall(self.name)
        return b""


class Watched(ssl.SSLContext):
    """A context that notes whether somebody changes which protocols it offers."""

    changed = 0

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        self.changed += 1
        super().set_alpn_protocols(alpn_protocols)


def trusting(authority: Authority, *offered: str) -> Watched:
    """Return a caller's context, which offers some protocols."""
    context = Watched(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.certificate)
    if offered:
        context.set_alpn_protocols(offered)
    context.changed = 0
    return context


def speaking(serve: Serve, authority: Authority, *spoken: str) -> tuple[Server, list[str | None]]:
    """Return a server that prefers some protocols, and a list of what is agreed on."""
    context, agreed = authority.fresh(), []
    context.set_alpn_protocols(spoken)

    def behave(peer: Peer) -> None:
        assert isinstance(peer.socket, ssl.SSLSocket)
        agreed.append(peer.socket.selected_alpn_protocol())
        answering(peer)

    return serve(behave, context), agreed


@over_own_engine
@pytest.mark.parametrize("offered", [(), ("http/1.1",), ("http/1.1", "h2")])
def test_a_context_is_not_changed(
    open_session: Open, serve: Serve, authority: Authority, offered: tuple[str, ...]
) -> None:
    """The protocols that a caller's context offers stay as they are: others use it, too."""
    server, _ = speaking(serve, authority, "http/1.1")
    context = trusting(authority, *offered)
    assert open_session(server, verify=context).ask().attempts == 1
    assert context.changed == 0


@over_own_engine
def test_another_protocol(open_session: Open, authority: Authority) -> None:
    """An agreement on HTTP/2 by a caller's context is reported at once; nothing is sent."""

    class Two(Server):
        def _read(self, connection: Any) -> bytes:
            # The frame with which each server of HTTP/2 begins.
            connection.sendall(b"\0\0\0\4\0\0\0\0\0")
            return super()._read(connection)

    context = authority.fresh()
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = Two(answering, context)
    try:
        session = open_session(server, verify=trusting(authority, "h2", "http/1.1"))
        began = time.monotonic()
        found = session.outcome()
        assert time.monotonic() - began < 2
        assert isinstance(found, ServiceUnreachable)
        assert_says(found, r"\bh2\b")
        assert server.requests == []
    finally:
        server.close()


@over_own_engine
def test_what_is_offered(open_session: Open, serve: Serve, authority: Authority) -> None:
    """A context of our own offers HTTP/1.1, to servers that would rather speak another one."""
    server, agreed = speaking(serve, authority, "h2", "http/1.1")
    assert isinstance(open_session(server, verify=str(authority.certificate)).outcome(), Snapshot)
    assert agreed == ["http/1.1"]


@pytest.mark.parametrize("size", [40_000, 90_000])
def test_large_records(open_session: Open, serve: Serve, authority: Authority, size: int) -> None:
    """An answer of more than one record and one read is read to its end."""
    server = serve(lambda peer: peer.send(whole(1, b"x: %b\r\n" % (b"y" * size))), authority.server)
    session = open_session(server, verify=str(authority.certificate))
    assert [session.ask().attempts for _ in range(3)] == [1, 1, 1]
    assert server.accepted == 1
