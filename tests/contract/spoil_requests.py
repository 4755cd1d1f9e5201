"""Ways to spoil a request, for the mutants: the server takes what it should refuse, or the reverse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote

from contract.spoil import Scope, headers_of
from taskcounts.retry import parse_http_date


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
        date = parse_http_date(headers.get("ocp-date", ""))
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
