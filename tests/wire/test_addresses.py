"""A host's addresses: silent ones, those that refuse, and names that have none."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.servers import Server, header
from taskcounts import ServiceUnreachable, Snapshot
from wire.conftest import Open
from wire.sessions import Transport, answering, one_line
from wire.test_limits import full

Serve = Callable[..., Server]

SILENT, REFUSES, HERE = "127.0.0.2", "127.0.0.3", "127.0.0.1"
# RFC 8305 5: how long until the next address is tried beside a silent one.
BESIDE = (0.15, 0.8)
AT_ONCE = (0.0, 0.2)


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give names these addresses."""
    look_up = socket.getaddrinfo

    def resolve(**names: list[str]) -> None:
        def found(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            for each, addresses in names.items():
                if name == f"{each}.test":
                    if not addresses:
                        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
                    return [
                        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
                    ]
            return look_up(host, port, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return resolve


@pytest.mark.parametrize(
    ("addresses", "seconds"),
    [
        ([HERE], AT_ONCE),
        ([REFUSES, HERE], AT_ONCE),
        ([SILENT, HERE], BESIDE),
        ([SILENT, REFUSES, HERE], BESIDE),
        ([REFUSES, SILENT, HERE], BESIDE),
    ],
    ids=str,
)
def test_addresses(
    *,
    transport: Transport,
    open_session: Open,
    serve: Serve,
    resolve: Any,
    addresses: list[str],
    seconds: tuple[float, float],
) -> None:
    """The next address is tried at once after one that refuses, and beside one that is silent."""
    if transport.module and not transport.awaits and SILENT in addresses:
        pytest.skip("httpcore's synchronous sockets wait for each address as long as an attempt may take")
    server = serve(answering)
    resolve(several=addresses)
    with contextlib.ExitStack() as stack:
        full(stack, SILENT, server.port)
        session = open_session(f"http://several.test:{server.port}", timeout=5.0)
        began = time.monotonic()
        assert session.ask("job-1").attempts == 1
        assert seconds[0] <= time.monotonic() - began < seconds[1]
        assert session.ask("job-2").task_counts.active == 2
    assert server.accepted == 1
    assert header(server.requests[0], "host") == f"several.test:{server.port}"


@pytest.mark.parametrize("addresses", [[REFUSES], [REFUSES, HERE], []], ids=["one", "both", "no address"])
def test_nobody_there(open_session: Open, resolve: Any, addresses: list[str]) -> None:
    """A server that is not there is reported, and may be there next time."""
    with socket.create_server((HERE, 0)) as gone:
        port = gone.getsockname()[1]
    resolve(several=addresses)
    session = open_session(f"http://several.test:{port}")
    found = session.outcome()
    assert isinstance(found, ServiceUnreachable)
    assert found.attempts == 2
    assert "several.test" in one_line(found)
    server = Server(answering)
    try:
        resolve(several=[HERE])
        other = open_session(f"http://several.test:{server.port}")
        assert isinstance(other.outcome(), Snapshot)
    finally:
        server.close()


def test_a_name_that_is_none(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that can't be looked up is a failure like any other."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = open_session("http://account.invalid:9").outcome()
    assert isinstance(found, ServiceUnreachable)
    assert one_line(found)


def test_ipv6(open_session: Open) -> None:
    """An address of IPv6 is reached, and named in brackets."""

    try:
        server = Server(answering, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    try:
        session = open_session(server)
        assert [session.ask(f"job-{job}").task_counts.active for job in (1, 2)] == [1, 2]
    finally:
        server.close()
    assert header(server.requests[0], "host") == f"[::1]:{server.port}"
    assert server.accepted == 1
