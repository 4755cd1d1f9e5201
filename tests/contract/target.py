"""Where the requests of a contract run go, and who signs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx

from taskcounts.credentials import BearerToken, SharedKey
from taskcounts.retry import retry_after_seconds
from taskcounts_rest import contract

# How often a throttled request is repeated before the run gives up.
PATIENCE = 3


@dataclass(frozen=True)
class Asked:
    """A request as it went out, without its Authorization."""

    method: str
    target: str
    headers: Mapping[str, str]

    def __str__(self) -> str:
        shown = [f"{name}: {value}" for name, value in self.headers.items() if name in SHOWN]
        return f"{self.method} {self.target}" + (f" ({'; '.join(shown)})" if shown else "")


SHOWN = ("client-request-id", "return-client-request-id", "ocp-date")


@dataclass(frozen=True)
class Answered:
    """An answer, with the request that it belongs to; names of headers in lower case."""

    asked: Asked
    status: int
    headers: Mapping[str, str]
    body: bytes
    response: httpx.Response = field(repr=False, compare=False)


class Unreachable(Exception):
    """The endpoint gives no answers, so that nothing can be said of it."""


@dataclass
class Target:
    """An endpoint under test.

    Attributes:
        endpoint: Its URL.
        job: A job that exists there and stands still during the run.
        credential: Who is asking.
        transport: What carries the requests.
        gets_only: Send nothing but GETs, and no more than a few wrong credentials.
        pause: Seconds between two requests.
        known: Jobs whose true counts the run knows, as tasks and as slots.
        move: Moves a task of the job, where the run can do that, and returns its true counts then.
    """

    endpoint: str
    job: str
    credential: SharedKey | BearerToken
    transport: httpx.BaseTransport
    gets_only: bool = True
    pause: float = 0.0
    known: dict[str, Counts] = field(default_factory=dict)
    move: Callable[[], Counts] | None = None
    sleep: Callable[[float], None] = time.sleep

    def path(self, job: str | None = None) -> str:
        """Return the path of the operation for a job."""
        return contract.PATH.replace("{jobId}", (job or self.job).replace(":", "%3A"))

    def ask(
        self,
        target: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        credential: SharedKey | BearerToken | None = None,
        authorization: str | None = None,
        sign_as: str | None = None,
        date: datetime | None = None,
    ) -> Answered:
        """Send a request and return its answer, whatever it is.

        Args:
            target: Path and query; by default those of a right request for the job.
            headers: Headers beside those of the authorization, names in lower case.
            method: The verb.
            credential: Who is asking, instead of the target's own credential.
            authorization: An Authorization header of one's own; empty for none.
            sign_as: Path and query to sign, instead of those that are sent.
            date: When to pretend that the request is made.
        """
        target = target or f"{self.path()}?api-version={contract.API_VERSION}"
        credential = credential or self.credential
        throttled = 0
        while True:
            stamped = {"ocp-date": format_datetime(date or datetime.now(UTC), usegmt=True), **(headers or {})}
            asked = Asked(method, target, headers or {})
            if authorization is not None:
                sent = stamped | ({"authorization": authorization} if authorization else {})
            elif isinstance(credential, SharedKey):
                # A generated header that only looks like part of what is signed is signed as well.
                signed = credential.authorization(method, sign_as or target, stamped)
                sent = stamped | {"authorization": signed}
            else:
                sent = stamped | {"authorization": credential.authorization()}
            answered = self._send(asked, sent)
            if answered.status not in (429, 503) or throttled == PATIENCE:
                return answered
            throttled += 1
            wish = retry_after_seconds(answered.headers, datetime.now(UTC))
            self.sleep(2.0**throttled if wish is None else wish)

    def _send(self, asked: Asked, headers: Mapping[str, str]) -> Answered:
        if self.pause:
            self.sleep(self.pause)
        encoded = {name: value.encode("latin-1", "replace") for name, value in headers.items()}
        request = httpx.Request(
            asked.method,
            httpx.URL(self.endpoint).copy_with(raw_path=asked.target.encode("ascii")),
            headers=encoded,  # type: ignore[arg-type]
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), 30.0)},
        )
        try:
            response = self.transport.handle_request(request)
            body = b"".join(response.stream)  # type: ignore[arg-type]
            response.close()
        except httpx.TransportError as error:
            raise Unreachable(f"{asked}: {type(error).__name__}: {error}") from error
        answer = httpx.Response(response.status_code, headers=response.headers, content=body, request=request)
        answer.elapsed = timedelta()  # schemathesis reads it; httpx sets it only in its clients.
        merged = {name.lower(): value for name, value in response.headers.items()}
        return Answered(asked, response.status_code, merged, body, answer)


Counts = tuple[tuple[int, int, int, int, int], tuple[int, int, int, int, int]]
"""Tasks, then slots: active, running, completed, succeeded, failed."""


class InProcess(httpx.BaseTransport):
    """Sends to an ASGI application in this process, from synchronous code."""

    def __init__(self, app: Any) -> None:
        self._runner = asyncio.Runner()
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read its answer."""
        status, headers, body = self._runner.run(self._exchange(request))
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    async def _exchange(self, request: httpx.Request) -> tuple[int, httpx.Headers, bytes]:
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = b"".join([chunk async for chunk in response.stream])
        return response.status_code, response.headers, body

    def close(self) -> None:
        """Close the event loop."""
        self._runner.close()
