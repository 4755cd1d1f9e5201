"""Ways to spoil an answer, for the mutants."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from contract.target import COUNTS, operation_at
from taskcounts import SharedKey

App = Callable[..., Any]
Scope = dict[str, Any]


@dataclass
class Exchange:
    """A request and its answer, on the way back; a mutant changes what it likes."""

    scope: Scope
    status: int
    headers: dict[str, str]
    body: bytes
    memory: dict[str, str]

    @property
    def asked(self) -> dict[str, str]:
        """The headers of the request, names in lower case."""
        return headers_of(self.scope)

    @property
    def operation(self) -> str | None:
        """The operation that was asked for."""
        return operation_at(self.scope["raw_path"].decode())

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query, their names in lower case."""
        parts = [part.partition("=") for part in self.scope["query_string"].decode().split("&")]
        return {unquote(name).lower(): unquote(text) for name, _, text in parts}

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    @json.setter
    def json(self, value: Any) -> None:
        self.body = json.dumps(value).encode()


def headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}


def resign(scope: Scope, credential: SharedKey) -> None:
    headers = headers_of(scope)
    target = scope["raw_path"].decode()
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode()
    headers["authorization"] = credential.authorization(scope["method"], target, headers)
    scope["headers"] = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


# How answers are spoiled.

COUNTERS = ("active", "running", "completed", "succeeded", "failed")


def success(change: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
    """Spoil the answers with counts."""
    return answers_of(COUNTS, change)


def answers_of(operation: str, change: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
    """Spoil the right answers of an operation."""

    def spoil(exchange: Exchange) -> None:
        if exchange.status == 200 and exchange.operation == operation:
            change(exchange)

    return spoil


def failure(change: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
    """Spoil the errors."""
    return lambda exchange: change(exchange) if exchange.status >= 400 else None


def counts(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[[Exchange], None]:
    """Spoil the two blocks of counts."""

    def spoil(exchange: Exchange) -> None:
        value = exchange.json
        change(value["taskCounts"], value["taskSlotCounts"])
        exchange.json = value

    return success(spoil)


def value(change: Callable[[dict[str, Any]], Any]) -> Callable[[Exchange], None]:
    """Spoil the members of the body."""

    def spoil(exchange: Exchange) -> None:
        body = exchange.json
        changed = change(body)
        exchange.json = body if changed is None else changed

    return spoil


def text(old: bytes, new: bytes) -> Callable[[Exchange], None]:
    """Spoil the bytes of the body."""

    def spoil(exchange: Exchange) -> None:
        exchange.body = exchange.body.replace(old, new, 1)

    return spoil


def header(name: str, new: str | None) -> Callable[[Exchange], None]:
    """Set a header, or drop it."""

    def spoil(exchange: Exchange) -> None:
        exchange.headers.pop(name, None)
        if new is not None:
            exchange.headers[name] = new

    return spoil


def status(wrong: int) -> Callable[[Exchange], None]:
    """Set the status."""

    def spoil(exchange: Exchange) -> None:
        exchange.status = wrong

    return spoil


def when(right: int, wrong: int) -> Callable[[Exchange], None]:
    """Turn one status into another."""
    return lambda exchange: status(wrong)(exchange) if exchange.status == right else None


def zero_for_unknown(exchange: Exchange) -> None:
    """Count the tasks of a job that doesn't exist: none."""
    if exchange.status == 404 and exchange.operation == COUNTS:
        zeros = dict.fromkeys(COUNTERS, 0)
        exchange.status, exchange.json = 200, {"taskCounts": zeros, "taskSlotCounts": zeros}


def stale_echo(exchange: Exchange) -> None:
    """Echo the id of an earlier request."""
    own = exchange.headers.get("client-request-id")
    if own:
        exchange.headers["client-request-id"] = exchange.memory.setdefault("echo", own)


def always_echo(exchange: Exchange) -> None:
    """Echo the caller's id without being asked."""
    own = exchange.asked.get("client-request-id")
    if own and exchange.status == 200:
        exchange.headers["client-request-id"] = own


def same_request_id(exchange: Exchange) -> None:
    """Give every request the id of the first."""
    exchange.headers["request-id"] = exchange.memory.setdefault("id", exchange.headers["request-id"])


def canned(exchange: Exchange) -> None:
    """Answer each job as it was answered at first."""
    job = exchange.scope["path"].lower()
    exchange.body = exchange.memory.setdefault(job, exchange.body.decode()).encode()


def jitter(exchange: Exchange) -> None:
    """Count one task more at every second answer."""
    odd = exchange.memory["odd"] = "" if exchange.memory.get("odd") else "odd"
    if odd:
        counts(lambda tasks, _: tasks.update(active=tasks["active"] + 1))(exchange)


def flat(body: dict[str, Any]) -> dict[str, Any]:
    """Answer in the shape of the api-versions before 2020-09-01."""
    return dict(body["taskCounts"])


def swap(tasks: dict[str, Any], slots: dict[str, Any]) -> None:
    """Take active for running, as the service did in 2019."""
    for block in (tasks, slots):
        block["active"], block["running"] = block["running"], block["active"]


def bump(block: int, counter: str, by: int = 1) -> Callable[[Exchange], None]:
    """Count wrong by a few."""

    def spoil(*blocks: dict[str, Any]) -> None:
        blocks[block][counter] += by

    return counts(spoil)


def put(block: int, counter: str, wrong: Any) -> Callable[[Exchange], None]:
    """Put something in the place of a number."""

    def spoil(*blocks: dict[str, Any]) -> None:
        blocks[block][counter] = wrong

    return counts(spoil)


def drop(block: int, counter: str) -> Callable[[Exchange], None]:
    """Leave a counter out."""

    def spoil(*blocks: dict[str, Any]) -> None:
        del blocks[block][counter]

    return counts(spoil)


def capped(block: int, counter: str, most: int) -> Callable[[Exchange], None]:
    """Count no further than a page goes."""

    def spoil(*blocks: dict[str, Any]) -> None:
        blocks[block][counter] = min(blocks[block][counter], most)

    return counts(spoil)


def wrapped(block: int, counter: str, modulus: int) -> Callable[[Exchange], None]:
    """Count in too few bits."""

    def spoil(*blocks: dict[str, Any]) -> None:
        blocks[block][counter] %= modulus

    return counts(spoil)


def remembered(counter: str) -> Callable[[Exchange], None]:
    """Answer one counter of each job as it was at first."""

    def spoil(exchange: Exchange) -> None:
        body = exchange.json
        key = exchange.scope["path"].lower()
        body["taskCounts"][counter] = int(exchange.memory.setdefault(key, str(body["taskCounts"][counter])))
        exchange.json = body

    return success(spoil)


def tell_strangers(exchange: Exchange) -> None:
    """Tell anybody which jobs there are."""
    if exchange.status == 401 and "no-such-job" in exchange.scope["path"]:
        exchange.status, exchange.json = 404, {"code": "JobNotFound", "message": {"value": "There is none."}}


def no_echo_for_strangers(exchange: Exchange) -> None:
    """Echo nothing to whoever isn't let in."""
    if exchange.status in (401, 403):
        exchange.headers.pop("client-request-id", None)


def repeat_authorization(exchange: Exchange) -> None:
    """Say what was wrong with a request, with all that it had."""
    body = exchange.json
    if isinstance(body, dict) and "message" in body:
        body["message"]["value"] += f" Authorization: {exchange.asked.get('authorization')}"
        exchange.json = body


def failed_twice(tasks: dict[str, Any], _: dict[str, Any]) -> None:
    """Count the failed tasks beside the completed ones, as scripts do."""
    tasks["completed"] = tasks["succeeded"]


def utf16(exchange: Exchange) -> None:
    """Write the body in UTF-16."""
    exchange.body = exchange.body.decode().encode("utf-16")
