"""The target of a contract run: an endpoint, and the credential that signs requests to it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import httpx

from taskcounts.credentials import BearerToken, SharedKey
from taskcounts.net.base import Engine
from taskcounts.protocol.answers import read_json
from taskcounts.protocol.messages import MAX_BODY, Failure, Request
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts.retry import retry_after_seconds
from taskcounts_rest import contract

# How often a throttled request is repeated before the run gives up, and how long it waits at the most.
PATIENCE = 3
LONGEST_PAUSE = 120.0
# Seconds that an answer may take.
TIMEOUT = 30.0

Counts = tuple[tuple[int, int, int, int, int], tuple[int, int, int, int, int]]
"""Tasks, then slots: active, running, completed, succeeded, failed."""

Move = Callable[[], Counts]

Item = dict[str, Any]
"""A task or a job, as a list has it."""

COUNTS, TASKS, JOB, JOBS = "Job_GetTaskCounts", "Task_List", "Job_Get", "Job_List"
LISTS = (TASKS, JOBS)

_PATHS = {
    name: re.compile(operation.path.replace("{jobId}", "[^/]+"))
    for name, operation in contract.OPERATIONS.items()
}
_CHECKS = {name: compile_schema(operation.result) for name, operation in contract.OPERATIONS.items()}


def operation_at(path: str) -> str | None:
    """Return the operation of the fragment that a path leads to."""
    return next((name for name, pattern in _PATHS.items() if pattern.fullmatch(path)), None)


@dataclass(frozen=True)
class Asked:
    """A request as it went out, without its Authorization."""

    method: str
    target: str
    headers: Mapping[str, str]
    endpoint: str
    api_version: str = contract.API_VERSION

    @property
    def operations(self) -> dict[str, contract.Operation]:
        """The operations at the version that is under test."""
        return contract.VERSIONS[self.api_version]

    @cached_property
    def operation(self) -> str | None:
        """The operation that is asked for, if it is one of the fragment's."""
        return operation_at(self.target.partition("?")[0])

    @property
    def job(self) -> str:
        """The id of the job that is asked for, in lower case; empty where there is none."""
        parts = self.target.partition("?")[0].split("/")
        return unquote(parts[2]).lower() if len(parts) > 2 else ""

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters of the query, their names in lower case; of two with one name, the last."""
        parts = [part.partition("=") for part in self.target.partition("?")[2].split("&")]
        return {unquote(name).lower(): unquote(value) for name, _, value in parts}

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
    secrets: tuple[str, ...] = field(repr=False, compare=False)

    @cached_property
    def result(self) -> tuple[Any, str | None]:
        """The body of a 200 and None, or None and what of it isn't as the fragment says."""
        if self.asked.operation is None:
            return None, "a path that the fragment doesn't have is answered"
        try:
            value = read_json(self.headers, self.body)
            _CHECKS[self.asked.operation](value)
        except Violation as violation:
            return None, f"{violation.path}: {violation.reason}"
        return value, None

    def conforming(self, *operations: str) -> Any:
        """Return the body if it is a 200 of one of these operations, and as the fragment says; else None."""
        return self.result[0] if self.status == 200 and self.asked.operation in operations else None

    @property
    def response(self) -> httpx.Response:
        """The answer as schemathesis takes it. What the connection did with it is no part of that."""
        hop = ("content-encoding", "content-length", "transfer-encoding", "connection")
        headers = {name: value for name, value in self.headers.items() if name not in hop}
        request = httpx.Request(self.asked.method, "http://endpoint" + self.asked.target)
        response = httpx.Response(self.status, headers=headers, content=self.body, request=request)
        response.elapsed = timedelta()  # It is set only by httpx's clients.
        return response


@dataclass(frozen=True)
class Chain:
    """The pages of a list up to one of them: the first request, and the ids on them in lower case."""

    first: Asked
    ids: frozenset[str] = frozenset()


@dataclass
class Reference:
    """What an endpoint said at the start of a run. All that it says later is held against it.

    Ids are in lower case throughout.

    Attributes:
        tasks: The tasks of each job that was listed to its end, by job id and task id.
        counts: The counts of each job.
        jobs: The account's jobs.
        pages: The pages before, by what their links lead to.
        lists: The lists of jobs that were read to their end.
        request_ids: The request-ids of all answers so far.
        versions: The ETag and Last-Modified of each job.
        throttled: How many answers asked for patience.
    """

    tasks: dict[str, dict[str, Item]] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    jobs: dict[str, Item] = field(default_factory=dict)
    pages: dict[str, Chain] = field(default_factory=dict)
    lists: list[Chain] = field(default_factory=list)
    request_ids: set[str] = field(default_factory=set)
    versions: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    throttled: int = 0


class Unreachable(Exception):
    """The endpoint gives no answers, so that nothing can be said of it."""


@dataclass
class Target:
    """An endpoint under test.

    Attributes:
        endpoint: Its URL.
        job: A job that exists there and stands still during the run.
        credential: Who is asking.
        engine: What carries the requests, with all the limits that the client has.
        gets_only: Send nothing but GETs, and no more than a few wrong credentials.
        pause: Seconds between two requests.
        api_version: The version of the contract that is checked.
        known: Jobs whose true counts the run knows, as tasks and as slots.
        moves: Each moves a task of the job, where the run can do that, and returns its true counts then.
        reference: What the endpoint said at the start of the run.
        secrets: What no answer may show, beside the signature or token of its request.
    """

    endpoint: str
    job: str
    credential: SharedKey | BearerToken
    engine: Engine
    gets_only: bool = True
    pause: float = 0.0
    api_version: str = contract.API_VERSION
    known: dict[str, Counts] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    reference: Reference = field(default_factory=Reference)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    sleep: Callable[[float], None] = time.sleep

    @property
    def operations(self) -> dict[str, contract.Operation]:
        """The operations at the version that is under test."""
        return contract.VERSIONS[self.api_version]

    @property
    def version_query(self) -> str:
        """The query that every right request has."""
        return f"api-version={self.api_version}"

    @property
    def other_case(self) -> str:
        """The job's id in other case; what a schedule adds to it, the fragment has in lower case alone."""
        begun, colon, number = self.job.partition(":")
        return begun.swapcase() + colon + number

    def path(self, job: str | None = None, operation: str = COUNTS) -> str:
        """Return the path of an operation, for a job."""
        return self.operations[operation].path.replace("{jobId}", (job or self.job).replace(":", "%3A"))

    def locate(self, operation: str = COUNTS, query: str = "", job: str | None = None) -> str:
        """Return the path of an operation with its query: the version, and what is given beside it."""
        return f"{self.path(job, operation)}?{self.version_query}" + (f"&{query}" if query else "")

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
        dated: bool = True,
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
            dated: Whether the request says when it is made.
        """
        target = target or self.locate()
        credential = credential or self.credential
        throttled = 0
        while True:
            now = format_datetime(date or datetime.now(UTC), usegmt=True)
            stamped = ({"ocp-date": now} if dated else {}) | dict(headers or {})
            asked = Asked(method, target, headers or {}, self.endpoint, self.api_version)
            if authorization is not None:
                sent = stamped | ({"authorization": authorization} if authorization else {})
            elif isinstance(credential, SharedKey):
                # A generated header that only looks like part of what is signed is signed as well.
                signed = credential.authorization(method, sign_as or target, stamped)
                sent = stamped | {"authorization": signed}
            else:
                sent = stamped | {"authorization": credential.authorization()}
            answered = self._send(asked, sent)
            wish = retry_after_seconds(answered.headers, datetime.now(UTC))
            # What is said to be no time to wait is an answer to be judged.
            said = wish is None and "retry-after" in answered.headers
            if answered.status not in (429, 503) or throttled == PATIENCE or said:
                return answered
            throttled += 1
            self.reference.throttled += 1
            pause = 2.0**throttled if wish is None else wish
            if pause > LONGEST_PAUSE:
                raise Unreachable(f"{asked}: {answered.status}, and to be asked again after {pause:g} s")
            self.sleep(pause)

    def _send(self, asked: Asked, headers: Mapping[str, str]) -> Answered:
        if self.pause:
            self.sleep(self.pause)
        # Headers hold Latin-1; what a generated one has beyond that can't be sent.
        sent = {name: value.encode("latin-1", "replace").decode("latin-1") for name, value in headers.items()}
        answer = self.engine.send(
            Request(asked.method, self.endpoint + asked.target, sent), TIMEOUT, MAX_BODY
        )
        failure = answer if isinstance(answer, Failure) else answer.broken
        if failure is not None:
            raise Unreachable(f"{asked}: {failure.reason}")
        assert not isinstance(answer, Failure)
        if answer.oversize:
            raise Unreachable(f"{asked}: the answer has no end")
        secret = headers.get("authorization", "").rpartition(" ")[2].rpartition(":")[2]
        return Answered(asked, answer.status, answer.headers, answer.body, (secret, *self.secrets))


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
