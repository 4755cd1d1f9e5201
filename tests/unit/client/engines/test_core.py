"""What engines over httpcore and over transports do at their edges, where no server leads them."""

import asyncio
import ssl
import time
import traceback
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import httpcore
import httpx
import pytest

from support import ENDPOINT, KEY, Call
from taskcounts import RetryPolicy, ServiceUnreachable
from taskcounts._connection import Connection, Proxy, Reach, connection
from taskcounts._steps import Answer, Failure, Request
from taskcounts.engines import core, engine_over, make_engine
from taskcounts.engines.seam import TimeIsUp

HERE = Connection("http", "127.0.0.1", 9, None)
REQUEST = Request("GET", "http://127.0.0.1:9/jobs", {"authorization": "SharedKey SECRET"})
LATE = "it took longer than this attempt may"


class Fake:
    """A connection that does what a test wants."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def handle_request(self, _: object) -> Any:
        if isinstance(self._stream, BaseException):
            raise self._stream
        stream = {"network_stream": None}
        return Mock(status=200, headers=[(b"a", b"b")], stream=self._stream, extensions=stream)

    def is_idle(self) -> bool:
        return False

    def close(self) -> None:
        """Do nothing."""


def send_over(lane: Fake, monkeypatch: pytest.MonkeyPatch) -> Answer | Failure:
    """Send a request over a connection of the test's, within 0.05 s."""
    engine = make_engine("httpcore", HERE, awaits=False)
    monkeypatch.setattr(engine._lanes, "_make", lambda: core.Lane(lane))
    outcome: Answer | Failure = engine.send(REQUEST, 0.05, 100)
    return outcome


def test_time_is_up_between_two_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come already, and is only read too late, is too late."""

    def chunks() -> Iterator[bytes]:
        yield b"one"
        time.sleep(0.1)
        yield b"two"

    outcome = send_over(Fake(chunks()), monkeypatch)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.headers, outcome.body) == (200, {"a": "b"}, b"onetwo")
    assert outcome.broken is not None
    assert outcome.broken.reason == LATE


def test_interruptions_leave_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes through leaves the library's frames behind: they hold the headers."""
    with pytest.raises(KeyboardInterrupt) as caught:
        send_over(Fake(KeyboardInterrupt()), monkeypatch)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "handle_request" not in [frame.name for frame in shown.stack]
    assert "SECRET" not in repr([frame.locals for frame in shown.stack if frame.name == "send"])


def test_no_lane_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gets no connection in time has used up the attempt."""
    engine = make_engine("httpcore", HERE, awaits=False)
    monkeypatch.setattr(engine._lanes, "take", Mock(side_effect=TimeIsUp))
    assert engine.send(REQUEST, 0.05, 100).reason == LATE


def test_no_lane_in_time_for_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same goes for tasks."""

    async def send() -> Any:
        engine = make_engine("httpcore", HERE, awaits=True)
        monkeypatch.setattr(engine._lanes, "take", lambda: asyncio.sleep(60))
        return await engine.send(REQUEST, 0.05, 100)

    assert asyncio.run(send()).reason == LATE


@pytest.mark.parametrize("kind", ["httpcore", "httptools"])
def test_a_closed_engine_sends_nothing(kind: str) -> None:
    """After the end nothing is sent."""
    engine = make_engine(kind, HERE, awaits=False)
    engine.close()
    assert engine.send(REQUEST, 1, 100).reason == "the client was closed"

    async def send() -> Any:
        engine = make_engine(kind, HERE, awaits=True)
        await engine.close()
        return await engine.send(REQUEST, 1, 100)

    assert asyncio.run(send()).reason == "the client was closed"


def test_a_closed_transport_sends_nothing() -> None:
    """The same goes for transports of the caller's."""
    engine = engine_over(httpx.MockTransport(Mock()), awaits=False)
    engine.close()
    assert engine.send(REQUEST, 1, 100).reason == "the client was closed"

    async def send() -> Any:
        engine = engine_over(httpx.MockTransport(Mock()), awaits=True)
        await engine.close()
        return await engine.send(REQUEST, 1, 100)

    assert asyncio.run(send()).reason == "the client was closed"


def test_certificates_over_a_transport(call: Call) -> None:
    """A certificate that isn't trusted is told, and not tried again, over a transport of the caller's too."""
    wrong = ssl.SSLCertVerificationError(1, "self-signed")
    wrong.verify_message = "self-signed certificate"

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no") from wrong

    with pytest.raises(ServiceUnreachable, match="not trusted: self-signed certificate") as caught:
        call(refuse, client={"retry": RetryPolicy(first_pause=0)})
    assert caught.value.attempts == 1


@pytest.mark.parametrize("awaits", [False, True])
def test_socks(monkeypatch: pytest.MonkeyPatch, awaits: bool) -> None:
    """A SOCKS proxy is httpcore's, with the user and password of its URL."""
    made = Mock()
    monkeypatch.setattr(httpcore, "AsyncSOCKSProxy" if awaits else "SOCKSProxy", made)
    proxy = Proxy("socks5", "127.0.0.1", 1080, ("me", "secret"))
    make_engine("httpcore", HERE._replace(proxy=proxy), awaits=awaits)
    assert made.call_args.args == ("socks5://127.0.0.1:1080",)
    assert made.call_args.kwargs["proxy_auth"] == (b"me", b"secret")


def test_a_proxy_with_a_name_in_another_alphabet() -> None:
    """It is looked up by the name's form in ASCII; its password shows nowhere."""
    found = connection(ENDPOINT, Reach("http://me:secret@bücher.example:81", None, False))
    assert found.proxy == ("http", "xn--bcher-kva.example", 81, ("me", "secret"))
    assert repr(found.proxy) == "Proxy('http://xn--bcher-kva.example:81')"
    assert "secret" not in repr(found)


def test_a_name_that_is_none(call: Call) -> None:
    """A name that only looks like one in another alphabet is refused."""
    with pytest.raises(ValueError, match="is neither a name nor an address"):
        call.client_type("https://xn--a.example", KEY)
