"""Helpers for tests of the client: a clock that they turn, answers, and servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from taskcounts import AsyncTaskCountsClient, SharedKey, Snapshot, TaskCountsClient
from taskcounts.net.route import Connection
from taskcounts.protocol.messages import Request

ENDPOINT = "https://myaccount.westeurope.batch.azure.com"
GUID = "9c4d50ee-2d56-4cd3-8152-34347dc9f2b0"
REQUEST_ID = "730e1b9c-034b-4162-aa94-9e4f2ce0cebd"
# Made up: 64 bytes, as real keys have.
ACCESS_KEY = "3UX9lli8/iHsWeifWY2f6E4Z+o3GbLIIx2Sa4UzfDAHrTGg92PUoXpIb+DUQOLLFVIhN8HjPn6AytIus03ebzA=="
KEY = SharedKey("myaccount", ACCESS_KEY)
TOKEN = "eyJ0eXAiOiJKV1Qi.made-up-claims_of-nobody.c2lnbmF0dXJl"

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
        """Return it as httpx has it before anything was read."""
        return httpx.Response(self.status, headers=dict(self.headers), stream=httpx.ByteStream(self.body))

    def raw(self) -> bytes:
        """Return it as it goes over the wire, with its length and an end of the connection."""
        headers = {"content-length": str(len(self.body)), "connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def answer(body: object = COUNTS, status: int = 200, **headers: str) -> Reply:
    """Return an answer that keeps to the contract, but for what a test changes."""
    written = {"content-type": "application/json;odata=minimalmetadata", "request-id": REQUEST_ID}
    written |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, written, body if isinstance(body, bytes) else wire(body))


def error(status: int, code: str, text: str = "It failed.", **headers: str) -> Reply:
    """Return an error in the service's own format."""
    return answer({"code": code, "message": {"lang": "en-US", "value": text}}, status, **headers)


BUSY = error(503, "ServerBusy", "The server is busy.")


class Script:
    """A handler that gives one reply after the other, the last one for ever, and keeps the requests."""

    def __init__(self, *replies: Reply | Exception | Callable[[httpx.Request], Reply]) -> None:
        self.replies = replies
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        response = (reply if isinstance(reply, Reply) else reply(request)).response()
        # As the service does for whoever asks.
        response.headers.setdefault("client-request-id", request.headers["client-request-id"])
        return response


class FakeClock:
    """Time that passes only where somebody sleeps, and chance that always falls the same way."""

    def __init__(self, draw: float = 0.0) -> None:
        self.seconds = 1000.0
        self.pauses: list[float] = []
        self.chance = draw

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2024, 8, 1, 12, 34, 56, tzinfo=UTC) + timedelta(seconds=self.seconds - 1000)

    def draw(self) -> float:
        return self.chance

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class NoPauses(FakeClock):
    """Real time but for the pauses, which are only noted: for servers that are real."""

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True)
class Peer:
    """A request that came, and the connection that it came over."""

    server: Server
    socket: socket.socket
    head: bytes

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def wait(self, seconds: float = 5) -> bool:
        """Say nothing for a while; return whether the server is being closed."""
        return self.server.stopped.wait(seconds)


Behave = Callable[[Peer], object]


class Server:
    """A server on loopback.

    Args:
        behave: A function that gets each request as a `Peer`, and writes any bytes it likes.
        tls: The context of a server over TLS.
        backlog: The number of connections that may wait to be accepted.
        host: The address to listen on.

    Attributes:
        requests: The heads of the requests so far.
        accepted: The number of connections so far.
        stopped: Set as the server is closed.
    """

    def __init__(
        self,
        behave: Behave,
        tls: ssl.SSLContext | None = None,
        backlog: int = 128,
        host: str = "127.0.0.1",
    ) -> None:
        self.behave = behave
        self.tls = tls
        self.requests: list[bytes] = []
        self.accepted = 0
        self.stopped = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        place = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{place}:{self.port}"
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                # It goes on where only a descriptor was missing.
                if self.stopped.wait(0.01):
                    return
                continue
            # What is written leaves at once, not when the client has told that it has what came before.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self.accepted += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        # The client may hang up at any moment; that is its right, and often the test.
        with contextlib.suppress(OSError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection:
                while head := self._read(connection):
                    self.requests.append(head)
                    self.behave(Peer(self, connection, head))

    def _read(self, connection: socket.socket) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = connection.recv(65536)
            if not part:
                return b""
            head += part
        return head

    def close(self) -> None:
        self.stopped.set()
        # Closing alone doesn't wake a thread that accepts or reads.
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)


def get(port: int, scheme: str = "http", host: str = "127.0.0.1") -> Request:
    """Return a request to a server here, as engines take it."""
    return Request("GET", f"{scheme}://{host}:{port}/x", {"accept": "a", "authorization": "secretword"})


def way(port: int, scheme: str = "http", **options: Any) -> Connection:
    """Return how to reach it."""
    return Connection(scheme, "127.0.0.1", port, options.get("proxy"), options.get("verify"))


def always(reply: Reply) -> Behave:
    """Return a behaviour that gives one reply to everything, and hangs up."""

    def behave(peer: Peer) -> None:
        peer.send(reply.raw())
        peer.socket.shutdown(socket.SHUT_WR)

    return behave


def header(head: bytes, name: str) -> str | None:
    """Return a header of a raw request, None if it has none."""
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return None


Handler = Callable[[httpx.Request], httpx.Response]


class Call:
    """Asks for the counts of a job with one of the two clients, so that a test is written once."""

    def __init__(self, *, awaits: bool) -> None:
        self.awaits = awaits
        self.client_type: Any = AsyncTaskCountsClient if awaits else TaskCountsClient

    def __call__(self, to: Handler | str, job_id: Any = "job-1", **options: Any) -> Snapshot:
        """Return the snapshot, or raise; see `times`."""
        (snapshot,) = self.times(1, to, job_id, **options)
        return snapshot

    def times(
        self,
        times: int,
        to: Handler | str,
        job_id: Any = "job-1",
        *,
        credential: Any = KEY,
        endpoint: str = ENDPOINT,
        client: dict[str, Any] | None = None,
        **question: Any,
    ) -> list[Snapshot]:
        """Ask some times over one client.

        Args:
            times: How often.
            to: A handler of requests, which needs no socket, or the URL of a server.
            job_id: The job.
            credential: Who asks.
            endpoint: Where a handler pretends to be.
            client: The client's options.
            **question: The options of each call.
        """
        options: dict[str, Any] = dict(client or {})
        if isinstance(to, str):
            endpoint = to
        else:
            options["transport"] = httpx.MockTransport(to)
        if not self.awaits:
            with TaskCountsClient(endpoint, credential, **options) as sync:
                return [sync.get_job_task_counts(job_id, **question) for _ in range(times)]

        async def ask() -> list[Snapshot]:
            async with AsyncTaskCountsClient(endpoint, credential, **options) as asynchronous:
                return [await asynchronous.get_job_task_counts(job_id, **question) for _ in range(times)]

        return asyncio.run(ask())
