"""Ways to spoil a request or an answer, for the mutants."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

from taskcounts import SharedKey
from taskcounts.retry import http_date

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


# How requests are spoiled, so that the server takes what it should refuse, or the reverse.


def trust_all(scope: Scope) -> None:
    """Take any credential, or none."""
    scope["resign"] = True


def trust_signed_by(*schemes: str) -> Callable[[Scope], None]:
    """Take any credential that looks like one of these."""

    def spoil(scope: Scope) -> None:
        scope["resign"] = headers_of(scope).get("authorization", "").startswith(schemes)

    return spoil


def any_account(scope: Scope) -> None:
    """Look at the signature and not at the account's name."""
    headers = headers_of(scope)
    if "anotheraccount" in headers.get("authorization", ""):
        scope["resign"] = True


def undated(minutes: int) -> Callable[[Scope], None]:
    """Take requests of any age, or up to some minutes."""

    def spoil(scope: Scope) -> None:
        headers = headers_of(scope)
        date = http_date(headers.get("ocp-date", ""))
        if not headers.get("authorization", "").startswith("SharedKey ") or date is None:
            return
        now = datetime.now(UTC)
        if not minutes or abs(now - date) < timedelta(minutes=minutes):
            headers["ocp-date"] = format_datetime(now, usegmt=True)
            scope["headers"] = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
            scope["resign"] = True

    return spoil


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


def pythonic_timeout(parts: list[str]) -> list[str]:
    """Read a timeout as Python reads a number."""
    changed = []
    for part in parts:
        name, _, text = part.partition("=")
        try:
            number = int(unquote(text)) if name.lower() == "timeout" else 0
        except ValueError:
            number = 0
        changed.append(f"{name}={number}" if number > 0 and number < 2**31 else part)
    return changed


def last_of_two(parts: list[str]) -> list[str]:
    """Take the last of a parameter that stands twice."""
    return list({_named(part): part for part in parts}.values())


def one_for_true(headers: dict[str, str]) -> None:
    """Take 1 for true."""
    if headers.get("return-client-request-id") == "1":
        headers["return-client-request-id"] = "true"


def beginning_of_id(scope: Scope) -> None:
    """Find a job by the beginning of its id."""
    if b"nightly%3Ajob-12" in scope["raw_path"]:
        scope["raw_path"] = scope["raw_path"].replace(b"job-12", b"job-1")
        scope["resign"] = True


def refuse_long(parts: list[str]) -> list[str]:
    """Refuse a timeout above 30."""
    return ["timeout=0" if part in ("timeout=31", "timeout=2147483647") else part for part in parts]


def edit_headers(change: Callable[[dict[str, str]], None]) -> Callable[[Scope], None]:
    """Read other headers than those that were sent."""

    def spoil(scope: Scope) -> None:
        headers = headers_of(scope)
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
