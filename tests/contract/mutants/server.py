"""A server that is wrong on purpose: the emulator behind something that changes what it gets or answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from contract.target import operation_at
from taskcounts import SharedKey
from taskcounts.protocol import messages
from taskcounts_emulator import Emulator
from taskcounts_emulator.api.asgi import Message
from taskcounts_emulator.api.auth import RawRequest, authenticate
from taskcounts_emulator.api.selection import read_skiptoken, skiptoken
from taskcounts_emulator.refusals import Refusal
from taskcounts_rest import contract

TOKEN = "$skiptoken"


@dataclass(frozen=True)
class Request:
    """A request as it came, or as a mutant reads it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @cached_property
    def operation(self) -> str | None:
        """The operation that is asked for, if it is one of the fragment's."""
        return operation_at(self.path)

    @property
    def target(self) -> str:
        """The path and query as in the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def job(self) -> str:
        """The job id in the path; empty if there is none."""
        return unquote([*self.path.split("/"), "", ""][2])

    @cached_property
    def parts(self) -> list[tuple[str, str]]:
        """The parameters of the query in their order, as they are spelled."""
        pairs = [part.partition("=") for part in self.query.split("&") if part]
        return [(unquote(name), unquote(text)) for name, _, text in pairs]

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters of the query, their names in lower case; of two with one name, the last."""
        return {name.lower(): text for name, text in self.parts}

    def asking(self, parts: list[tuple[str, str]]) -> Request:
        """Return the request with another query."""
        if parts == self.parts:
            return self
        query = "&".join(f"{quote(name, safe='$')}={quote(text, safe='')}" for name, text in parts)
        return replace(self, query=query)

    def of_job(self, job: str) -> Request:
        """Return the request for another job."""
        if not self.job:
            return self
        head, _, *rest = self.path.removeprefix("/").split("/")
        return replace(self, path="/" + "/".join([head, quote(job, safe=""), *rest]))


@dataclass
class Answer:
    """An answer on the way back; a mutant changes what it likes. The names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    @json.setter
    def json(self, value: Any) -> None:
        self.body = json.dumps(value).encode()


@dataclass
class Server:
    """A mutant at work.

    Attributes:
        emulator: The emulator that it is made of.
        memory: Values that it keeps from one request to the next.
        key: The key that makes right credentials.
    """

    emulator: Emulator
    memory: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = SharedKey(self.emulator.account, self.emulator.key)

    def ask(self, request: Request) -> Answer:
        """Return the emulator's answer to a request."""
        answer = Answer(0, {}, b"")

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                headers = [
                    (name.decode().lower(), text.decode("latin-1")) for name, text in message["headers"]
                ]
                answer.headers.update((name, text) for name, text in headers if name not in _HOP)
            else:
                answer.body += message.get("body", b"")

        try:
            # The emulator waits for nothing, so that it needs no event loop.
            self.emulator.app(_scope(request), receive, send).send(None)
        except StopIteration:
            return answer
        raise RuntimeError("the emulator waits")

    def ask_instead(self, came: Request, other: Request) -> Answer:
        """Return the answer to another request; it has a right credential if that which came has one.

        The token and the link of a page are those of the list that the client asked for.
        """
        if other == came:
            return self.ask(came)
        if TOKEN in other.parameters and other.parameters.get(TOKEN) == came.parameters.get(TOKEN):
            other = _with_token(other, _rebound(came.parameters[TOKEN], came, other))
        answer = self.ask(self.trusted(other) if self.is_trusted(came) else other)
        if answer.status == 200 and b"odata.nextLink" in answer.body:
            page = answer.json
            token = page["odata.nextLink"].partition(f"{TOKEN}=")[2].partition("&")[0]
            link = _with_token(came, _rebound(token, other, came)).target
            page["odata.nextLink"] = f"http://{came.headers['host']}{link}"
            answer.json = page
        return answer

    def is_trusted(self, request: Request, now: datetime | None = None) -> bool:
        """Return whether the credential of a request is right, now or at another time."""
        raw = RawRequest(request.method, request.path, request.query, request.headers)
        try:
            authenticate(raw, self.key, now or datetime.now(UTC))
        except Refusal:
            return False
        return True

    def trusted(self, request: Request) -> Request:
        """Return the request with a right credential, made now."""
        headers = {**request.headers, "ocp-date": format_datetime(datetime.now(UTC), usegmt=True)}
        headers["authorization"] = self.key.authorization(request.method, request.target, headers)
        return replace(request, headers=headers)


# What the connection did with an answer.
_HOP = ("content-length", "transfer-encoding")


def _scope(request: Request) -> dict[str, Any]:
    headers = [(name.encode(), text.encode("latin-1")) for name, text in request.headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": headers,
        "scheme": "http",
        "path": unquote(request.path),
        "raw_path": request.path.encode(),
        "query_string": request.query.encode(),
        "root_path": "",
    }


def _rebound(token: str, came: Request, other: Request) -> str:
    """Return the token of a page for another list; one that nobody gave as it is."""
    try:
        return skiptoken(read_skiptoken(token, _bound_to(came)), _bound_to(other))
    except ValueError:
        return token


def _bound_to(request: Request) -> str:
    """Return what the emulator binds the token of a page to."""
    return f"{request.operation}\n{request.job.lower()}\n{request.parameters.get('$filter', '')}"


def _with_token(request: Request, token: str) -> Request:
    return request.asking([*((name, text) for name, text in request.parts if name != TOKEN), (TOKEN, token)])


Serve = Callable[[Server, Request], Answer]


class Mutant(NamedTuple):
    """A wrong server.

    Attributes:
        family: What kind of thing is wrong.
        name: What is wrong.
        caught_by: The checks that say so: one of them has to.
        serve: Returns the wrong answers.
        unseen: The reason why nobody can see it at a named endpoint; empty if a run does.
        versions: The api-versions at which it is wrong.
    """

    family: str
    name: str
    caught_by: frozenset[str]
    serve: Serve
    unseen: str = ""
    versions: tuple[str, ...] = tuple(contract.VERSIONS)


class WrongServer:
    """A mutant as an engine: it answers in this process, without a connection."""

    name = "mutant"

    def __init__(self, mutant: Mutant, emulator: Emulator) -> None:
        self._serve = mutant.serve
        self._server = Server(emulator)

    def send(self, request: messages.Request, *_: float) -> messages.Answer:
        """Return the mutant's answer, which takes no time."""
        url = urlsplit(request.url)
        headers = {"host": url.netloc, **request.headers}
        answer = self._serve(self._server, Request(request.method, url.path, url.query, headers))
        return messages.Answer(
            answer.status, answer.headers, b"" if request.method == "HEAD" else answer.body
        )

    def close(self) -> None:
        """Do nothing: there is no connection."""
