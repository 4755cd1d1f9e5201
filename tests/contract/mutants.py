"""Servers that are wrong on purpose, each in one way: the emulator behind something that spoils it.

A contract run has to catch every one of them, by the check that names what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

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
        return _headers(self.scope)

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    @json.setter
    def json(self, value: Any) -> None:
        self.body = json.dumps(value).encode()


@dataclass(frozen=True)
class Mutant:
    """A wrong server: what is wrong with it, and which check has to say so."""

    name: str
    caught_by: str
    answer: Callable[[Exchange], None] | None = None
    request: Callable[[Scope], None] | None = None

    def around(self, app: App, credential: SharedKey) -> App:
        """Return the application that is wrong."""
        return _Spoiled(app, self, credential)


@dataclass
class _Spoiled:
    app: App
    mutant: Mutant
    credential: SharedKey
    memory: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: App, send: App) -> None:
        if self.mutant.request is not None:
            scope = dict(scope)
            self.mutant.request(scope)
            if scope.pop("resign", False):
                _resign(scope, self.credential)
        exchange = Exchange(scope, 0, {}, b"", self.memory)

        async def keep(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.headers = {
                    name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]
                }
            else:
                exchange.body += message.get("body", b"")

        await self.app(scope, receive, keep)
        if self.mutant.answer is not None:
            self.mutant.answer(exchange)
        exchange.headers.pop("content-length", None)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in exchange.headers.items()]
        await send({"type": "http.response.start", "status": exchange.status, "headers": headers})
        await send({"type": "http.response.body", "body": exchange.body})


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _resign(scope: Scope, credential: SharedKey) -> None:
    headers = _headers(scope)
    target = scope["raw_path"].decode()
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode()
    headers["authorization"] = credential.authorization(scope["method"], target, headers)
    scope["headers"] = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


# How answers are spoiled.

COUNTERS = ("active", "running", "completed", "succeeded", "failed")


def success(change: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
    """Spoil the answers with counts."""
    return lambda exchange: change(exchange) if exchange.status == 200 else None


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
    if exchange.status == 404:
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


def failed_twice(tasks: dict[str, Any], _: dict[str, Any]) -> None:
    """Count the failed tasks beside the completed ones, as scripts do."""
    tasks["completed"] = tasks["succeeded"]


def utf16(exchange: Exchange) -> None:
    """Write the body in UTF-16."""
    exchange.body = exchange.body.decode().encode("utf-16")


# How requests are spoiled, so that the server takes what it should refuse, or the reverse.


def trust_all(scope: Scope) -> None:
    """Take any credential, or none."""
    scope["resign"] = True


def trust_signed_by(*schemes: str) -> Callable[[Scope], None]:
    """Take any credential that looks like one of these."""

    def spoil(scope: Scope) -> None:
        scope["resign"] = _headers(scope).get("authorization", "").startswith(schemes)

    return spoil


def any_account(scope: Scope) -> None:
    """Look at the signature and not at the account's name."""
    headers = _headers(scope)
    if "anotheraccount" in headers.get("authorization", ""):
        scope["resign"] = True


def undated(scope: Scope) -> None:
    """Take requests of any age."""
    from datetime import UTC, datetime
    from email.utils import format_datetime

    headers = _headers(scope)
    if headers.get("authorization", "").startswith("SharedKey ") and "ocp-date" in headers:
        headers["ocp-date"] = format_datetime(datetime.now(UTC), usegmt=True)
        scope["headers"] = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
        scope["resign"] = True


def edit_query(change: Callable[[list[str]], list[str]]) -> Callable[[Scope], None]:
    """Read another query than the one that was sent."""

    def spoil(scope: Scope) -> None:
        parts = scope["query_string"].decode().split("&") if scope["query_string"] else []
        changed = change(parts)
        if changed != parts:
            scope["query_string"] = "&".join(changed).encode()
            scope["resign"] = True

    return spoil


def _named(part: str) -> str:
    return part.partition("=")[0].lower()


def assume_version(parts: list[str]) -> list[str]:
    """Need no api-version."""
    if any(_named(part) == "api-version" for part in parts):
        return parts
    return [*parts, "api-version=2024-07-01.20.0"]


def fill_version(parts: list[str]) -> list[str]:
    """Take a blank api-version for the current one."""
    return ["api-version=2024-07-01.20.0" if part.lower() == "api-version=" else part for part in parts]


def any_version(parts: list[str]) -> list[str]:
    """Take any text for an api-version."""
    return [
        "api-version=2024-07-01.20.0" if _named(part) == "api-version" and part != "api-version=" else part
        for part in parts
    ]


def case_sensitive(parts: list[str]) -> list[str]:
    """Know query parameters only in lower case."""
    return [part for part in parts if _named(part) == part.partition("=")[0]]


def drop_timeout(parts: list[str]) -> list[str]:
    """Take anything for a timeout."""
    return [part for part in parts if _named(part) != "timeout"]


def refuse_long(parts: list[str]) -> list[str]:
    """Refuse a timeout above 30."""
    return ["timeout=0" if part in ("timeout=31", "timeout=2147483647") else part for part in parts]


def edit_headers(change: Callable[[dict[str, str]], None]) -> Callable[[Scope], None]:
    """Read other headers than those that were sent."""

    def spoil(scope: Scope) -> None:
        headers = _headers(scope)
        before = dict(headers)
        change(headers)
        if headers != before:
            scope["headers"] = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
            # Only ids are changed: nothing that is signed.

    return spoil


def strip_braces(headers: dict[str, str]) -> None:
    """Take a GUID with braces."""
    own = headers.get("client-request-id", "")
    if own.startswith("{"):
        headers["client-request-id"] = own.strip("{}")


def drop_bad_flag(headers: dict[str, str]) -> None:
    """Take anything for a boolean."""
    if headers.get("return-client-request-id", "").lower() not in ("true", "false"):
        headers.pop("return-client-request-id", None)


def other_path(condition: Callable[[str], bool]) -> Callable[[Scope], None]:
    """Know nothing of some jobs."""

    def spoil(scope: Scope) -> None:
        if condition(unquote(scope["raw_path"].decode())):
            scope["raw_path"] = scope["path"] = "/jobs/none/taskcounts"
            scope["raw_path"] = scope["raw_path"].encode()
            scope["resign"] = True

    return spoil


def any_verb(scope: Scope) -> None:
    """Answer every verb as if it were GET."""
    if scope["method"] != "GET":
        scope["method"] = "GET"
        scope["resign"] = True


MUTANTS = (
    # Status
    Mutant("201 for 200", "status", success(status(201))),
    Mutant("206 for 200", "status", success(status(206))),
    Mutant("500 for 400", "status", when(400, 500)),
    Mutant("302 for 404", "status", when(404, 302)),
    Mutant("404 for 200", "right-request", success(status(404))),
    Mutant("400 for 404", "unknown-job", when(404, 400)),
    Mutant("404 for 405", "other-verbs", when(405, 404)),
    Mutant("zeros for an unknown job", "unknown-job", zero_for_unknown),
    Mutant("every verb is GET", "other-verbs", request=any_verb),
    # Headers
    Mutant("no Allow with 405", "other-verbs", header("allow", None)),
    Mutant("no request-id", "request-id", header("request-id", None)),
    Mutant("no request-id with errors", "request-id", failure(header("request-id", None))),
    Mutant("request-id is no GUID", "request-id", header("request-id", "42")),
    Mutant(
        "request-id in braces", "request-id", header("request-id", "{730e1b9c-034b-4162-aa94-9e4f2ce0cebd}")
    ),
    Mutant("the same request-id again", "fresh-ids", same_request_id),
    Mutant("echo unasked", "echo", always_echo),
    Mutant("no echo", "echo", header("client-request-id", None)),
    Mutant("stale echo", "echo", stale_echo),
    # Media type
    Mutant("text/json", "media-type", success(header("content-type", "text/json;odata=minimalmetadata"))),
    Mutant("no odata parameter", "media-type", success(header("content-type", "application/json"))),
    Mutant("odata=fullmetadata", "media-type", header("content-type", "application/json;odata=fullmetadata")),
    Mutant("errors as text/html", "media-type", failure(header("content-type", "text/html"))),
    Mutant("no content type", "media-type", header("content-type", None)),
    # Members
    Mutant(
        "taskSlotCounts missing",
        "result-body",
        success(value(lambda body: body.pop("taskSlotCounts") and body)),
    ),
    Mutant("failed missing", "result-body", drop(0, "failed")),
    Mutant("active slots missing", "result-body", drop(1, "active")),
    Mutant("the flat body of old", "result-body", success(value(flat))),
    Mutant("an array around", "result-body", success(value(lambda body: [body]))),
    Mutant("taskCounts is null", "result-body", success(value(lambda body: {**body, "taskCounts": None}))),
    Mutant("a member twice", "result-body", success(text(b'"active":', b'"active":0,"active":'))),
    # Types and ranges
    Mutant("a number as text", "result-body", put(0, "running", "7")),
    Mutant("5.0 for 5", "result-body", put(0, "active", 9.0)),
    Mutant("true for 1", "result-body", put(1, "failed", True)),
    Mutant("null for 0", "result-body", put(1, "failed", None)),
    Mutant("NaN", "result-body", put(0, "failed", float("nan"))),
    Mutant("-1", "result-body", put(0, "active", -1)),
    Mutant("beyond int32", "result-body", put(0, "active", 2**31)),
    Mutant("an empty body", "result-body", success(lambda exchange: setattr(exchange, "body", b""))),
    Mutant(
        "a cut body", "result-body", success(lambda exchange: setattr(exchange, "body", exchange.body[:-9]))
    ),
    Mutant("UTF-16", "result-body", success(utf16)),
    Mutant("HTML", "result-body", success(lambda exchange: setattr(exchange, "body", b"<html></html>"))),
    # Invariants and counts
    Mutant("completed without the failed", "invariants", counts(failed_twice)),
    Mutant("one succeeded too many", "invariants", bump(0, "succeeded")),
    Mutant("one failed slot too many", "invariants", bump(1, "failed")),
    Mutant("active and running swapped", "true-counts", counts(swap)),
    Mutant("preparing is active", "true-counts", counts(lambda tasks, _: tasks.update(active=12, running=4))),
    Mutant("slots are tasks", "true-counts", counts(lambda tasks, slots: slots.update(tasks))),
    Mutant(
        "slots are all 0", "true-counts", counts(lambda _, slots: slots.update(dict.fromkeys(COUNTERS, 0)))
    ),
    Mutant(
        "pages end at 1,000",
        "true-counts",
        counts(lambda tasks, _: tasks.update(running=min(tasks["running"], 1000))),
    ),
    Mutant("canned counts", "movement", success(canned)),
    Mutant("counts that waver", "stillness", success(jitter)),
    # Authentication
    Mutant("no credential needed", "no-credential", request=trust_all),
    Mutant("any shared key", "wrong-signature", request=trust_signed_by("SharedKey ")),
    Mutant("any token", "wrong-token", request=trust_signed_by("Bearer ")),
    Mutant("any scheme", "malformed-credential", request=trust_signed_by("Basic ", "nonsense")),
    Mutant("any account", "other-account", request=any_account),
    Mutant("any date", "stale-date", request=undated),
    Mutant("401 for 403", "wrong-signature", when(403, 401)),
    # Parameters
    Mutant("no api-version needed", "version-required", request=edit_query(assume_version)),
    Mutant("a blank api-version", "version-required", request=edit_query(fill_version)),
    Mutant("any api-version", "negative_data_rejection", request=edit_query(any_version)),
    Mutant("query names in one case", "query-names", request=edit_query(case_sensitive)),
    Mutant("any timeout", "service-timeout", request=edit_query(drop_timeout)),
    Mutant("no timeout above 30", "service-timeout", request=edit_query(refuse_long)),
    Mutant("a GUID in braces", "bad-own-id", request=edit_headers(strip_braces)),
    Mutant("any boolean", "negative_data_rejection", request=edit_headers(drop_bad_flag)),
    Mutant("job ids in one case", "job-case", request=other_path(lambda path: "NIGHTLY" in path)),
    Mutant("no jobs of schedules", "true-counts", request=other_path(lambda path: "nightly:job" in path)),
    # Errors
    Mutant("errors without a code", "error-body", failure(value(lambda body: body.pop("code") and body))),
    Mutant(
        "errors without a message", "error-body", failure(value(lambda body: body.pop("message") and body))
    ),
    Mutant("message is text", "error-body", failure(value(lambda body: {**body, "message": "no"}))),
    Mutant(
        "values is an object", "error-body", failure(value(lambda body: {**body, "values": {"key": "x"}}))
    ),
    Mutant("errors wrapped", "error-body", failure(value(lambda body: {"error": body}))),
    Mutant("empty errors", "error-body", failure(lambda exchange: setattr(exchange, "body", b""))),
    Mutant("HTML errors", "error-body", failure(lambda exchange: setattr(exchange, "body", b"<h1>no</h1>"))),
    Mutant("another service's code", "error-code", failure(value(lambda body: {**body, "code": "NotFound"}))),
)
