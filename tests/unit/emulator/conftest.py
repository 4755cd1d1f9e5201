"""Fixtures of the emulator's tests: an account with a fixed clock, and a client for it."""

from __future__ import annotations

import asyncio
import base64
import http.client
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from support.batch_api import Api
from taskcounts.credentials import SharedKey
from taskcounts_emulator import Emulator

Ask = Callable[..., httpx.Response]

KEY = base64.b64encode(bytes(range(64))).decode()
NOW = datetime(2024, 8, 1, 12, 34, 56, 654321, tzinfo=UTC)
DATE = "Thu, 01 Aug 2024 12:34:56 GMT"
TARGET = "/jobs/nightly/taskcounts?api-version=2024-07-01.20.0"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A running emulator, its clock at 2024-08-01 12:34:56.654321, with the job ``nightly``."""
    with Emulator("myaccount", KEY, now=lambda: NOW) as running:
        running.add_job(
            "nightly",
            [
                {"count": 5},
                {"count": 1, "state": "preparing"},
                {"count": 6, "state": "running", "requiredSlots": 2},
                {"count": 2, "state": "completed", "result": "success"},
                {"count": 2, "state": "completed", "result": "failure", "requiredSlots": 4},
            ],
        )
        yield running


@pytest.fixture
def api() -> Iterator[Api]:
    """A client of a running emulator without jobs, with a scripted clock at 2024-07-01."""
    with (
        Emulator("myaccount", KEY, now=lambda: NOW, scripted=True) as running,
        closing(Api(running)) as caller,
    ):
        yield caller


@pytest.fixture(params=["in process", "over a socket"])
def caller(request: pytest.FixtureRequest) -> Callable[[Emulator], Ask]:
    """Return a function that sends a request: signed by default, with exactly the given headers."""
    send = _in_process if request.param == "in process" else _over_a_socket

    def caller(emulator: Emulator) -> Ask:
        def ask(
            target: str = TARGET,
            method: str = "GET",
            headers: list[tuple[str, str]] | None = None,
            *,
            sign: bool = True,
            body: bytes = b"",
            host: bool = True,
        ) -> httpx.Response:
            sent = [("host", "myaccount.test")] * host + (headers or [])
            if sign:
                if not any(name == "ocp-date" for name, _ in sent):
                    sent.append(("ocp-date", DATE))
                key = SharedKey(emulator.account, emulator.key)
                sent.append(("authorization", key.authorization(method, target, dict(sent))))
            if body:
                sent.append(("content-length", str(len(body))))
            return send(emulator, target, method, sent, body)

        return ask

    return caller


@pytest.fixture
def ask(emulator: Emulator, caller: Callable[[Emulator], Ask]) -> Ask:
    """Send requests in process and over a socket."""
    return caller(emulator)


def _over_a_socket(
    emulator: Emulator, target: str, method: str, headers: list[tuple[str, str]], body: bytes
) -> httpx.Response:
    url = urlsplit(emulator.endpoint)
    with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=5)) as connection:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return _response(answer.status, answer.getheaders(), answer.read())


def _in_process(
    emulator: Emulator, target: str, method: str, headers: list[tuple[str, str]], body: bytes
) -> httpx.Response:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 12345),
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(emulator.app(scope, receive, send))
    start, *parts = sent
    return _response(start["status"], start["headers"], b"".join(part["body"] for part in parts))


def _response(status: int, headers: Any, content: bytes) -> httpx.Response:
    """Return a response with exactly these headers: httpx adds a length to plain content."""
    response = httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))
    response.read()
    return response
