"""Answers of the service, and scripts of them for a mock transport."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

Handler = Callable[[httpx.Request], httpx.Response]

GUID = "9c4d50ee-2d56-4cd3-8152-34347dc9f2b0"
REQUEST_ID = "730e1b9c-034b-4162-aa94-9e4f2ce0cebd"

COUNTS: dict[str, Any] = {
    "taskCounts": {"active": 5, "running": 3, "completed": 4, "succeeded": 3, "failed": 1},
    "taskSlotCounts": {"active": 10, "running": 6, "completed": 8, "succeeded": 6, "failed": 2},
}


def wire(value: object) -> bytes:
    """Return a value as JSON bytes."""
    return json.dumps(value).encode()


@dataclass(frozen=True)
class Reply:
    """An answer of a server, for a mock transport or a socket."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def response(self) -> httpx.Response:
        """Return the answer as httpx has it before reading its body."""
        return httpx.Response(self.status, headers=dict(self.headers), stream=httpx.ByteStream(self.body))

    def raw(self) -> bytes:
        """Return the bytes of the answer, with its length and an end of the connection."""
        headers = {"content-length": str(len(self.body)), "connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def answer(body: object = COUNTS, status: int = 200, **headers: str) -> Reply:
    """Return an answer that keeps to the contract, except where a test changes it."""
    written = {"content-type": "application/json;odata=minimalmetadata", "request-id": REQUEST_ID}
    written |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, written, body if isinstance(body, bytes) else wire(body))


def error(status: int, code: str, text: str = "It failed.", **headers: str) -> Reply:
    """Return an error in the service's own format."""
    return answer({"code": code, "message": {"lang": "en-US", "value": text}}, status, **headers)


BUSY = error(503, "ServerBusy", "The server is busy.")


class Script:
    """A handler that gives one reply after the other, then repeats the last one; it keeps the requests."""

    def __init__(self, *replies: Reply | Exception | Callable[[httpx.Request], Reply]) -> None:
        self.replies = replies
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        response = (reply if isinstance(reply, Reply) else reply(request)).response()
        # The service sends the id back to those who ask for it.
        response.headers.setdefault("client-request-id", request.headers["client-request-id"])
        return response
