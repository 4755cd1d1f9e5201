"""No key, signature or token shows in texts, values, logs, or the frames that an error reporter collects."""

import base64
import json
import logging
import pickle
import socket
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

import taskcounts
from support.answers import COUNTS, Script, answer, error, wire
from support.client import ACCESS_KEY, ENDPOINT, KEY, TOKEN, Call
from support.clocks import NoPauses
from support.servers import Peer, Server, header
from taskcounts import (
    BearerToken,
    ContractViolation,
    RetryPolicy,
    SharedKey,
    TaskCountsClient,
    TaskCountsError,
)
from taskcounts.errors import causes_of

WRAPPER = str(Path(taskcounts.__file__).parent)


@dataclass
class StaticCredential:
    """A credential as people write them, with its key in its repr."""

    token: str

    def get_token(self, *_: str, **__: Any) -> Any:
        # As azure-core's AccessToken does, this shows its token too.
        return StaticCredential(self.token)


CREDENTIALS = {
    "shared-key": KEY,
    "bearer": BearerToken(TOKEN),
    "credential": StaticCredential(TOKEN),
}


@pytest.fixture(params=CREDENTIALS)
def credential(request: pytest.FixtureRequest) -> Any:
    return CREDENTIALS[request.param]


def secrets_of(head: bytes | None) -> list[str]:
    """Return the secrets: those of the credentials, and those that a request carried."""
    found = [ACCESS_KEY, repr(base64.b64decode(ACCESS_KEY))[2:-1], TOKEN]
    if head is not None:
        found.append((header(head, "authorization") or "").rpartition(" ")[2].rpartition(":")[2])
    return found


def leaks(text: str, secrets: list[str]) -> list[str]:
    """Return which secrets a text holds, even a good part of one."""
    return [
        secret for secret in secrets if any(secret[n : n + 16] in text for n in range(0, len(secret) - 15, 8))
    ]


def told_by(fault: BaseException) -> Iterator[tuple[str, str]]:
    """Yield all that an error and its causes tell to people, to programs and to error reporters."""
    seen: set[int] = set()
    one: BaseException | None = fault
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield "str", str(one)
        yield "repr", repr(one)
        yield "vars", repr(vars(one))
        one = one.__cause__ or one.__context__
    if isinstance(fault, TaskCountsError):
        yield "pickle", repr(pickle.dumps(fault))
    collected: traceback.TracebackException | None = traceback.TracebackException.from_exception(
        fault, capture_locals=True
    )
    while collected is not None:
        for frame in collected.stack:
            # The tests themselves hold the secrets that they look for.
            if not frame.filename.startswith(str(Path(__file__).parents[2])):
                for name, value in (frame.locals or {}).items():
                    yield f"local {name} of {frame.name} in {Path(frame.filename).name}", value
        collected = collected.__cause__ or collected.__context__


@contextmanager
def nothing_leaks(caplog: pytest.LogCaptureFixture, server: Server | None = None) -> Iterator[None]:
    """Look through the error that is raised inside, and through all that was logged at any level."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(TaskCountsError) as caught:
        yield
    heads: list[bytes | None] = [*server.requests] if server else [None]
    for head in heads:
        secrets = secrets_of(head)
        assert all(secrets)
        for where, text in told_by(caught.value):
            assert leaks(text, secrets) == [], where
        for record in caplog.records:
            # What a server puts into its headers httpcore itself logs at DEBUG; that isn't ours to change.
            if "receive_response_headers" not in record.getMessage():
                assert leaks(record.getMessage() + repr(vars(record)), secrets) == [], record.name


def test_this_can_fail() -> None:
    """The search finds secrets, whole or in part, in texts, values and frames."""
    secrets = secrets_of(None)
    assert leaks(f"x{ACCESS_KEY[:30]}", secrets) == [ACCESS_KEY]

    def fail() -> None:
        raise ValueError(TOKEN)

    with pytest.raises(ValueError, match="made-up") as caught:
        fail()
    assert {where for where, text in told_by(caught.value) if leaks(text, secrets)} >= {"str", "repr"}


def test_client(call: Call, credential: Any) -> None:
    """A client shows no secret, however one looks at it."""
    client = call.client_type(ENDPOINT, credential)
    for text in (
        repr(client),
        str(client),
        f"{client!r:>5}",
        repr(vars(client)),
        repr(vars(client)["_settings"]),
    ):
        assert leaks(text, secrets_of(None)) == []


@pytest.mark.parametrize("kind", [KEY, BearerToken(TOKEN)], ids=repr)
def test_credentials(kind: object) -> None:
    """Nor does a credential; it has no attribute dictionary and no pickle."""
    assert leaks(repr(kind) + str(kind) + f"{kind}", secrets_of(None)) == []
    with pytest.raises(TypeError):
        vars(kind)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(kind, protocol)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SharedKey("not an account!", ACCESS_KEY),
        lambda: SharedKey(None, ACCESS_KEY),  # type: ignore[arg-type]
        lambda: SharedKey("myaccount", ACCESS_KEY + "!"),
        lambda: BearerToken("Bearer " + TOKEN),
    ],
)  # fmt: skip
def test_frames_of_a_refused_credential(make: Callable[[], object]) -> None:
    """No local variable of ours holds the secret of a refused credential."""
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    for where, text in told_by(caught.value):
        assert leaks(text, secrets_of(None)) == [], where


def test_snapshot(call: Call, credential: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A good answer leaves no secret in the snapshot or in any log."""
    caplog.set_level(logging.DEBUG)
    script = Script(answer())
    snapshot = call(script, credential=credential)
    sent = script.requests[0].headers["authorization"].rpartition(" ")[2].rpartition(":")[2]
    for text in (repr(snapshot), repr(pickle.dumps(snapshot)), caplog.text):
        assert leaks(text, [*secrets_of(None), sent]) == []


def _echo(shape: Callable[[str], Any]) -> Callable[[Peer], None]:
    """Return a behaviour that repeats the Authorization header in the answer."""

    def behave(peer: Peer) -> None:
        reply = shape(header(peer.head, "authorization") or "")
        peer.send(reply if isinstance(reply, bytes) else reply.raw())
        peer.socket.shutdown(socket.SHUT_WR)

    return behave


def _only(value: str) -> str:
    return value.rpartition(" ")[2].rpartition(":")[2]


ECHOES: dict[str, Callable[[str], Any]] = {
    "403 JSON": lambda value: error(403, "AuthenticationFailed", f"Bad header: {value}"),
    "403 code": lambda value: error(403, value, value),
    "403 details": lambda value: answer(
        {"code": "X", "values": [{"key": _only(value), "value": value}]}, 403
    ),
    "403 HTML": lambda value: answer(f"<p>{value}</p>".encode(), 403, content_type="text/html"),
    "403 header": lambda value: error(403, "X", www_authenticate=value),
    "503 JSON": lambda value: error(503, "ServerBusy", value),
    "302 location": lambda value: answer(b"", 302, location=f"https://x.example/?{_only(value)}"),
    "200 HTML": lambda value: answer(f"<p>{value}</p>".encode()),
    "200 text": lambda value: answer(wire({"taskCounts": value})),
    "200 value": lambda value: answer(wire({"taskCounts": _only(value)})),
    "200 member twice": lambda value: answer(f'{{"{_only(value)}": 1, "{_only(value)}": 2}}'.encode()),
    "200 content type": lambda value: answer(content_type=_only(value)),
    "200 charset": lambda value: answer(content_type=f"application/json; charset={_only(value)}"),
    "200 coding": lambda value: answer(content_encoding=_only(value)),
    "200 request id": lambda value: answer(b"[]", request_id=_only(value)),
    "400 request id": lambda value: answer(b"[]", 400, request_id=_only(value)),
    "200 cut off": lambda value: answer(b" " * (2000 - 22) + _only(value).encode()),
    "status line": lambda value: value.encode() + b"\r\n\r\n",
    "header line": lambda value: b"HTTP/1.1 200 OK\r\n" + value.encode() + b"\r\n\r\n",
}


@pytest.mark.parametrize("shape", ECHOES)
def test_server_that_echoes(
    call: Call, serve: Callable[..., Server], credential: Any, shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that repeats our Authorization header doesn't bring it into errors or logs."""
    server = serve(_echo(ECHOES[shape]))
    options = {"allow_token_over_http": True, "retry": RetryPolicy(max_attempts=1)}
    with nothing_leaks(caplog, server):
        call(server.url, credential=credential, client=options)


def test_server_that_resets(
    call: Call, serve: Callable[..., Server], credential: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken connection, whose error has passed through all of the engine, shows nothing."""

    def reset(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.socket.close()

    server = serve(reset)
    options = {"allow_token_over_http": True, "clock": NoPauses()}
    with nothing_leaks(caplog, server):
        call(server.url, credential=credential, client=options)
    assert len(server.requests) == 4


def test_server_that_is_not_there(call: Call, credential: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does a connection that is refused."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with nothing_leaks(caplog):
        call(url, credential=credential, client={"allow_token_over_http": True, "clock": NoPauses()})


def test_server_that_is_late(
    call: Call, serve: Callable[..., Server], credential: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does a deadline."""
    server = serve(Peer.wait)
    with nothing_leaks(caplog, server):
        call(server.url, credential=credential, client={"allow_token_over_http": True}, deadline=0.2)


def test_causes_of_causes(call: Call, credential: Any) -> None:
    """Frames are dropped all along a chain of causes."""
    first, second = ConnectionError("first"), httpx.ReadError("second")

    def fail(request: httpx.Request) -> Any:
        try:
            raise first
        except ConnectionError as cause:
            raise second from cause

    with pytest.raises(TaskCountsError) as caught:
        call(fail, credential=credential, client={"retry": RetryPolicy(max_attempts=1)})
    assert caught.value.__cause__ is second
    assert first.__traceback__ is second.__traceback__ is None


def test_causes_that_bite_their_own_tail() -> None:
    """A chain of causes that runs in a circle is walked once: errors can be chained by hand."""
    first, second = ConnectionError("first"), httpx.ReadError("second")
    first.__cause__, second.__cause__ = second, first
    assert list(islice(causes_of(second), 10)) == [second, first]


def test_nonsense_of_a_credential(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    """A credential's result isn't shown, even if it can't be a token."""
    with nothing_leaks(caplog):
        call(Script(answer()), credential=StaticCredential(f"Bearer {TOKEN}"))
    assert json.dumps(TOKEN) not in caplog.text


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interruptions(call: Call, credential: Any, interruption: type[BaseException]) -> None:
    """An exception that passes through from the transport has no frames of it: they hold the headers."""
    held: list[Any] = []

    def interrupt(request: httpx.Request) -> Any:
        headers = request.headers.raw
        held.append(headers)
        raise interruption

    with pytest.raises(interruption) as caught:
        call(interrupt, credential=credential, client={"retry": RetryPolicy(max_attempts=1)})
    assert held
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "interrupt" not in [frame.name for frame in shown.stack]


def test_frames_of_a_refused_client() -> None:
    """An error reporter can show a client that refuses its arguments."""
    with pytest.raises(ValueError, match="the endpoint is not") as caught:
        TaskCountsClient("not an endpoint!", KEY)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert any("TaskCountsClient()" in (frame.locals or {}).get("self", "") for frame in shown.stack)


def test_other_spellings(call: Call, credential: Any) -> None:
    """A secret is found as JSON and as URLs may spell it, too."""

    def reply(request: httpx.Request) -> Any:
        secret = _only(request.headers["authorization"])
        spelt = secret.replace("/", "\\/"), urllib.parse.quote(secret, safe="")
        return answer(f'{{"a": "{spelt[0]}", "b": "{spelt[1]}"}}'.encode())

    script = Script(reply)
    with pytest.raises(ContractViolation) as caught:
        call(script, credential=credential)
    secret = _only(script.requests[0].headers["authorization"])
    told = str(vars(caught.value))
    assert "<hidden>" in told
    assert leaks(told.replace("\\", "") + urllib.parse.unquote(told), [secret]) == []


def test_spellings_of_json(call: Call, credential: Any) -> None:
    """Spelt with escapes, a secret is found in counts that are good and in ones that aren't."""

    def spelt(request: httpx.Request) -> str:
        return "".join(f"\\u{ord(letter):04X}" for letter in _only(request.headers["authorization"]))

    script = Script(
        lambda request: answer(wire(COUNTS)[:-1] + f', "x": ["{spelt(request)}"]}}'.encode()),
        lambda request: answer(f'{{"x": "{spelt(request)}"}}'.encode()),
    )
    snapshot = call(script, credential=credential)
    with pytest.raises(ContractViolation) as caught:
        call(script, credential=credential)
    sent = [_only(request.headers["authorization"]) for request in script.requests]
    assert snapshot.additional_properties == {"x": ("<hidden>",)}
    assert leaks(str(vars(caught.value)), sent) == []
    assert "\\u" not in caught.value.answer


def frames_of(error: BaseException) -> str:
    """Return the local variables of our frames, as an error reporter shows them."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return repr([frame.locals for frame in shown.stack if frame.filename.startswith(WRAPPER)])


def test_frames_of_a_key_that_is_not_wrapped(call: Call) -> None:
    """A key that is passed as a string gets a hint, and no frame shows it."""
    with pytest.raises(TypeError, match="wrap a token in BearerToken, or a key in SharedKey") as caught:
        call.client_type(ENDPOINT, ACCESS_KEY)
    assert leaks(frames_of(caught.value), [ACCESS_KEY]) == []


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AZURE_BATCH_ENDPOINT", ENDPOINT, "the proxy is not a URL"),
        ("AZURE_BATCH_ENDPOINT", "", "AZURE_BATCH_ENDPOINT is not set"),
        ("AZURE_BATCH_ENDPOINT", "ftp://x", "AZURE_BATCH_ENDPOINT: "),
        ("AZURE_BATCH_API_VERSION", "x", "AZURE_BATCH_API_VERSION: "),
    ],
)
def test_frames_of_an_environment_with_a_proxy(
    call: Call, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    """Nor does a frame show a proxy's password, whatever is wrong."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", ENDPOINT)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=says) as caught:
        call.client_type.from_environment(credential=KEY, proxy="ftp://me:secretword@proxy.example")
    assert "secretword" not in frames_of(caught.value)


def test_frames_of_a_credential_that_gives_something_else(call: Call) -> None:
    """Nor is the result of a credential that isn't a token at all."""

    class Odd:
        """A credential of another library."""

        def get_token(self, *_: str) -> Any:
            return {"token": TOKEN}

    with pytest.raises(TypeError, match=r"Odd\.get_token returned dict, which has no attribute") as caught:
        call(Script(answer()), credential=Odd())
    assert "\n" not in str(caught.value)
    assert leaks(frames_of(caught.value), [TOKEN]) == []


def test_frames_of_a_bug(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours doesn't show a secret that an answer repeats, but the frames show the job."""
    sent: list[str] = []

    def repeat(request: httpx.Request) -> Any:
        sent.append(_only(request.headers["authorization"]))
        return answer(x_echo=sent[-1])

    monkeypatch.setattr("taskcounts.protocol.answers.find_inconsistencies", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        call(Script(repeat))
    frames = frames_of(caught.value)
    assert leaks(frames, [*sent, ACCESS_KEY]) == []
