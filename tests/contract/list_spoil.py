"""Ways to spoil lists of tasks and jobs, for the mutants."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from contract.spoil import Exchange, Scope, answers_of, value
from contract.target import JOB, JOBS, TASKS, operation_at

Spoil = Callable[[Exchange], None]
Item = dict[str, Any]


def tasks(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    """Spoil the pages of tasks."""
    return answers_of(TASKS, value(change))


def jobs(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    """Spoil the pages of jobs."""
    return answers_of(JOBS, value(change))


def the_job(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    """Spoil the answers with one job."""
    return answers_of(JOB, value(change))


def each(change: Callable[[Item], Any]) -> Callable[[dict[str, Any]], Any]:
    """Spoil every item of a page."""

    def spoil(page: dict[str, Any]) -> None:
        for item in page["value"]:
            change(item)

    return spoil


def without(name: str) -> Callable[[dict[str, Any]], None]:
    """Leave a member out."""
    return lambda members: members.pop(name, None)


def put(name: str, wrong: Any) -> Callable[[dict[str, Any]], None]:
    """Put something in a member's place, where it has one."""
    return lambda members: members.update({name: wrong}) if name in members else None


def in_execution(change: Callable[[dict[str, Any]], None]) -> Callable[[Item], None]:
    """Spoil how the runs of a task went."""

    def spoil(item: Item) -> None:
        if "executionInfo" in item:
            change(item["executionInfo"])

    return spoil


def rename(member: str, old: str, new: str) -> Callable[[dict[str, Any]], None]:
    """Take one state or result for another."""
    return lambda members: members.update({member: new}) if members.get(member) == old else None


def twice(page: dict[str, Any]) -> None:
    """Send the first item of a page again as its last."""
    page["value"] += page["value"][:1]


def without_first(page: dict[str, Any]) -> None:
    """Lose the first item of a page."""
    del page["value"][:1]


def lost_between(page: dict[str, Any]) -> None:
    """Lose the last item of every page that isn't the last."""
    if "odata.nextLink" in page:
        del page["value"][-1:]


def again_on_next(exchange: Exchange) -> None:
    """Begin each page with the last item of the page before."""

    def change(page: dict[str, Any]) -> None:
        last = exchange.memory.pop("last", None)
        if "$skiptoken" in exchange.query and last:
            page["value"] = [json.loads(last), *page["value"]][: int(exchange.query.get("maxresults", 1000))]
        if page["value"]:
            exchange.memory["last"] = json.dumps(page["value"][-1])

    tasks(change)(exchange)


def link(change: Callable[[str], str]) -> Callable[[dict[str, Any]], None]:
    """Spoil the links to next pages."""

    def spoil(page: dict[str, Any]) -> None:
        if "odata.nextLink" in page:
            page["odata.nextLink"] = change(page["odata.nextLink"])

    return spoil


def elsewhere(old: str) -> str:
    """Lead to another host."""
    return old.replace("://", "://elsewhere.example.", 1)


def relative(old: str) -> str:
    """Leave out the endpoint."""
    return "/" + old.split("/", 3)[3]


def other_list(old: str) -> str:
    """Lead to the tasks of another job."""
    return re.sub("/jobs/[^/]+/", "/jobs/empty/", old)


def to_itself(exchange: Exchange) -> None:
    """Lead from each page but the last to itself."""
    target = exchange.scope["raw_path"].decode() + "?" + exchange.scope["query_string"].decode()
    tasks(link(lambda old: "/".join(old.split("/", 3)[:3]) + target))(exchange)


def to_first(exchange: Exchange) -> None:
    """Lead from the last page to the first."""
    here = f"http://{exchange.asked.get('host')}{exchange.scope['raw_path'].decode()}"
    query = re.sub("&[$]skiptoken=[^&]*", "", exchange.scope["query_string"].decode())
    tasks(lambda page: page.setdefault("odata.nextLink", f"{here}?{query}") and None)(exchange)


def ends_at(most: int) -> Callable[[dict[str, Any]], None]:
    """Say after so many items that there are no more."""

    def spoil(page: dict[str, Any]) -> None:
        if len(page["value"]) >= most:
            page.pop("odata.nextLink", None)

    return spoil


def too_long(page: dict[str, Any]) -> None:
    """Send one task more than the longest page has."""
    if len(page["value"]) == 1000:
        page["value"].append({**page["value"][0], "id": "one-more"})


def where(name: str, change: Spoil) -> Spoil:
    """Spoil the answers to questions that have a parameter."""
    return lambda exchange: change(exchange) if name in exchange.query else None


def first_answer(exchange: Exchange) -> None:
    """Answer each list of tasks as it was answered at first."""

    def change(exchange: Exchange) -> None:
        asked = exchange.scope["raw_path"].decode() + exchange.scope["query_string"].decode()
        exchange.body = exchange.memory.setdefault(asked, exchange.body.decode()).encode()

    answers_of(TASKS, change)(exchange)


def empty_for_unknown(exchange: Exchange) -> None:
    """List the tasks of a job that doesn't exist: none."""
    if exchange.status == 404 and exchange.operation == TASKS:
        exchange.status, exchange.json = 200, {"value": []}


def not_found_if_empty(exchange: Exchange) -> None:
    """Take a job without tasks for one that doesn't exist."""
    if exchange.status == 200 and exchange.operation == TASKS and exchange.json["value"] == []:
        exchange.status = 404
        exchange.json = {"code": "JobNotFound", "message": {"lang": "en-US", "value": "There is none."}}


def empty_for(*operations: str) -> Spoil:
    """Answer strangers with an empty list."""

    def spoil(exchange: Exchange) -> None:
        if exchange.status == 401 and exchange.operation in operations:
            exchange.status, exchange.json = 200, {"value": []}

    return spoil


def other_code(exchange: Exchange) -> None:
    """Take a wrong filter for a wrong request."""
    if exchange.status == 400 and "$filter" in exchange.query:
        exchange.json = {**exchange.json, "code": "InvalidHeaderValue"}


# How requests are spoiled.

Parts = list[str]


def only(operation: str, change: Callable[[Scope], None]) -> Callable[[Scope], None]:
    """Spoil the requests for one operation."""

    def spoil(scope: Scope) -> None:
        if operation_at(scope["raw_path"].decode()) == operation:
            change(scope)

    return spoil


def ignore(name: str, pattern: str = "") -> Callable[[Parts], Parts]:
    """Pass over a parameter, or over those of its values that match."""

    def change(parts: Parts) -> Parts:
        return [part for part in parts if not _is(part, name) or not re.search(pattern, _text(part))]

    return change


def reread(name: str, reading: Callable[[str], str]) -> Callable[[Parts], Parts]:
    """Read a parameter's value in another way."""

    def change(parts: Parts) -> Parts:
        return [f"{name}={quote(reading(_text(part)))}" if _is(part, name) else part for part in parts]

    return change


def one_more(text: str) -> str:
    """Read a number as one more."""
    return str(int(text) + 1) if text.isdigit() and 0 < int(text) < 1000 else text


def no_999(text: str) -> str:
    """Read a number that is right as one that isn't."""
    return "0" if text == "999" else text


def at_most(text: str) -> str:
    """Read a number beyond the limit as the limit."""
    return "1000" if text.isdigit() and int(text) > 1000 else text


def at_least(text: str) -> str:
    """Read a number below the limit as the limit."""
    return "1" if re.fullmatch("0|-[0-9]+", text) else text


def any_spelling(text: str) -> str:
    """Read the names of members in any case."""
    return text.replace("State", "state")


def only_known(text: str) -> str:
    """Pass over the names of members that there aren't."""
    return ",".join(name for name in text.split(",") if name != "nonsense") or "id,state"


def any_value(text: str) -> str:
    """Take a state that there isn't for one that there is."""
    return text.replace("'sleeping'", "'active'")


def first_term(text: str) -> str:
    """Read a filter up to its first and."""
    return text.partition(" and ")[0]


def one_case(parts: Parts) -> Parts:
    """Know maxresults in lower case alone."""
    return [part for part in parts if part.partition("=")[0] != "maxResults"]


def _is(part: str, name: str) -> bool:
    return unquote(part.partition("=")[0]).lower() == name


def _text(part: str) -> str:
    return unquote(part.partition("=")[2])
