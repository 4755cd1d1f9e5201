"""The journal: requests are recorded, limited and counted, without secrets."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.client import ACCESS_KEY, KEY, TOKEN
from taskcounts_emulator.journal import REDACTED, Journal

NOW = datetime(2024, 8, 1, 12, 34, 56, 654321, tzinfo=UTC)
REQUEST_ID = "730e1b9c-034b-4162-aa94-9e4f2ce0cebd"
GUID = "9c4d50ee-2d56-4cd3-8152-34347dc9f2b0"


def record(journal: Journal, **changed: Any) -> None:
    """Record a valid request, except for what a test changes."""
    call: dict[str, Any] = {
        "time": NOW,
        "operation": "Job_GetTaskCounts",
        "method": "GET",
        "path": "/jobs/nightly/taskcounts",
        "query": "api-version=2024-07-01.20.0",
        "headers": {},
        "status": 200,
        "code": None,
        "fault": None,
        "request_id": REQUEST_ID,
        "seconds": 0.0123456,
    }
    journal.record(**{**call, **changed})


def recorded(**changed: Any) -> dict[str, Any]:
    """Return the entry of a request as JSON."""
    journal = Journal()
    record(journal, **changed)
    told: Any = journal.as_json()
    (entry,) = told["entries"]
    return dict(entry)


def test_an_entry_has_the_request_and_its_outcome() -> None:
    """An entry has the request, its time, its outcome and its duration, but no body."""
    assert recorded(
        headers={
            "authorization": KEY.authorization("GET", "/x", {}),
            "client-request-id": GUID,
            "host": "x:80",
        },
        status=503,
        code="ServerBusy",
        fault="busy",
    ) == {
        "number": 1,
        "time": "2024-08-01T12:34:56.654321+00:00",
        "operation": "Job_GetTaskCounts",
        "method": "GET",
        "path": "/jobs/nightly/taskcounts",
        "query": "api-version=2024-07-01.20.0",
        "headers": {
            "authorization": "SharedKey myaccount:<hidden>",
            "client-request-id": GUID,
            "host": "x:80",
        },
        "status": 503,
        "code": "ServerBusy",
        "fault": "busy",
        "requestId": REQUEST_ID,
        "clientRequestId": GUID,
        "milliseconds": 12.346,
    }


def test_absent_values_are_left_out() -> None:
    """An entry without operation or response has no such members."""
    entry = recorded(operation=None, status=None)
    assert not {"operation", "status", "code", "fault", "clientRequestId"} & set(entry)


def test_the_journal_is_bounded_and_counts_dropped_entries() -> None:
    """The oldest entries are dropped and counted; the numbers continue."""
    journal = Journal(3)
    for operation in ("Job_Get", "Job_Get", "Job_List", None, "Task_List"):
        record(journal, operation=operation)
    assert [entry.number for entry in journal.entries()] == [3, 4, 5]
    assert (len(journal), journal.dropped) == (3, 2)
    assert journal.operations() == {"Job_Get": 2, "Job_List": 1, "Task_List": 1, "none": 1}
    assert journal.clear() == 3
    assert (len(journal), journal.dropped, journal.operations()) == (0, 0, {})
    assert journal.entries() == []
    record(journal)
    assert [entry.number for entry in journal.entries()] == [6]


def test_by_default_it_keeps_ten_thousand() -> None:
    """This is enough for a test, with limited memory."""
    journal = Journal()
    for _ in range(10_001):
        record(journal)
    assert (len(journal), journal.dropped) == (10_000, 1)


@pytest.mark.parametrize(
    ("after", "limit", "numbers", "left"),
    [
        (0, 1000, [3, 4, 5, 6], 0),
        (0, 3, [3, 4, 5], 1),
        (0, 0, [], 4),
        (1, 1000, [3, 4, 5, 6], 0),
        (2, 2, [3, 4], 2),
        (4, 1000, [5, 6], 0),
        (5, 1, [6], 0),
        (6, 1000, [], 0),
        (60, 1000, [], 0),
    ],
)
def test_the_journal_is_read_in_parts(after: int, limit: int, numbers: list[int], left: int) -> None:
    """A reader continues after the last number, and gets the number of entries that are left."""
    journal = Journal(4)
    for _ in range(6):
        record(journal)
    told: Any = journal.as_json(after, limit)
    assert [entry["number"] for entry in told["entries"]] == numbers
    assert (told["left"], told["dropped"], told["operations"]) == (left, 2, {"Job_GetTaskCounts": 6})


def test_many_threads_may_record_and_read() -> None:
    """Numbers have no gaps or repetitions, and dropped entries are counted."""
    journal = Journal(200)

    def both(_: int) -> Any:
        record(journal)
        return journal.as_json()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            for told in pool.map(both, range(500)):
                numbers = [entry["number"] for entry in told["entries"]]
                assert numbers == list(range(told["dropped"] + 1, told["dropped"] + 1 + len(numbers)))
    finally:
        sys.setswitchinterval(interval)
    assert (len(journal), journal.dropped) == (200, 300)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"Bearer {TOKEN}", "Bearer <hidden>"),
        (f"bearer {TOKEN}", "bearer <hidden>"),
        ("SharedKey myaccount:c2lnbmF0dXJl", "SharedKey myaccount:<hidden>"),
        ("SharedKey c2lnbmF0dXJl", "SharedKey <hidden>"),
        ("SharedKey " + "a" * 25 + ":c2ln", "SharedKey <hidden>"),
        ("SharedKey myaccount:c2ln, Bearer abc", "SharedKey myaccount:<hidden>"),
        ("Basic dXNlcjpwYXNz", "Basic <hidden>"),
        (TOKEN, "<hidden>"),
        (f"{TOKEN} x", "<hidden>"),
        ("", "<hidden>"),
    ],
)
def test_an_authorization_shows_only_scheme_and_account(given: str, shown: str) -> None:
    """They help to find a wrong account; the secret part is redacted."""
    assert recorded(headers={"authorization": given})["headers"] == {"authorization": shown}


@pytest.mark.parametrize(
    "name",
    [
        "cookie",
        "proxy-authorization",
        "x-api-key",
        "X-Auth-Token",
        "x-functions-key",
        "password",
        "x-csrf-token",
        "x-session",
    ],
)
def test_headers_that_are_called_secret_are_hidden(name: str) -> None:
    """The name stays, so that a reader sees that the header was sent."""
    assert recorded(headers={name: "abc"})["headers"] == {name: REDACTED}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ""),
        ("api-version=1&sig=abc&timeout=3", "api-version=1&sig=<hidden>&timeout=3"),
        ("SIG=abc&Token=abc", "SIG=<hidden>&Token=<hidden>"),
        ("%73ig=abc&access_token=abc&x-ms-key=a", "%73ig=<hidden>&access_token=<hidden>&x-ms-key=<hidden>"),
        ("sig&token", "sig&token"),
        ("$skiptoken=abcdefghijklmnopqrstuvwxyz0123&%24skiptoken=a",) * 2,
        ("$filter=startswith(id,'abcdefghijklmnopqrstuvwxyz0123')&timeOut=30",) * 2,
        ("design=abcdefghijklmnopqrstuvwxyz0123", "design=<hidden>"),
        ("design=abc&signature=abc", "design=abc&signature=<hidden>"),
        (f"x={GUID}&y=abc", f"x={GUID}&y=abc"),
    ],
)
def test_secrets_in_a_query_are_redacted(query: str, shown: str) -> None:
    """Known headers are shown as they came; secret names, and values that may be tokens, are redacted."""
    assert recorded(query=query)["query"] == shown


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (
            (
                "user-agent",
                "azsdk-python-azure-batch/14.2.0 Python/3.11.7 (Linux-6.1.0-x86_64-with-glibc2.36)",
            ),
            None,
        ),
        (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), None),
        (("x-ms-client-request-id", GUID), None),
        (("x-correlation-id", GUID), None),
        (("x-team", "render farm"), None),
        (("x-other", "a" * 24), REDACTED),
        (("x-other", "a" * 23), None),
        (("referer", f"http://x/?a={TOKEN}"), f"http://x/?a={REDACTED}"),
        (("user-agent", f"me {TOKEN}"), f"me {REDACTED}"),
        (("user-agent", "Bearer abc"), f"Bearer {REDACTED}"),
        (("user-agent", "x sharedkey abc"), f"x sharedkey {REDACTED}"),
        (("user-agent", "Bearer abc; SharedKey a:b x"), f"Bearer {REDACTED} SharedKey {REDACTED} x"),
    ],
)
def test_tokens_in_other_headers_are_hidden(header: tuple[str, str], shown: str | None) -> None:
    """Known headers are shown; in others, text as long and dense as a token is redacted."""
    assert recorded(headers=dict([header]))["headers"] == {header[0]: shown or header[1]}


@pytest.mark.parametrize(
    "path", ["/jobs/monkeyJob-1/tasks", "/jobs/basic:job-1", "/jobs/bearer/tasks/" + "a" * 64]
)
def test_ids_are_not_taken_for_tokens(path: str) -> None:
    """A path is shown as it was sent, however long its ids are."""
    assert recorded(path=path)["path"] == path


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/jobs/{TOKEN}", "/jobs/<hidden>"),
        (f"/jobs/a%20{TOKEN}", "/jobs/a%20<hidden>"),
        ("/jobs/Bearer%20abc", "/jobs/Bearer%20<hidden>"),
        ("/jobs/bearer+abc", "/jobs/bearer+<hidden>"),
        ("/jobs/abc%2Bdef/ghi", "/jobs/<hidden>"),
    ],
)
def test_tokens_in_a_path_are_redacted(path: str, shown: str) -> None:
    """A secret in the path is redacted as elsewhere, percent-encoded or not."""
    assert recorded(path=path, headers={"authorization": "Basic abc+def/ghi"})["path"] == shown


def test_a_secret_is_hidden_wherever_it_stands() -> None:
    """The credentials are redacted wherever they occur a second time: in the path, or in any header."""
    entry = recorded(
        path="/jobs/0123456789abcdef",
        headers={
            "authorization": "Bearer 0123456789abcdef",
            "user-agent": "me/0123456789abcdef",
            "0123456789abcdef": "x",
            "cookie": "a=abcdefgh/+; b=c",
            "client-request-id": "abcdefgh/+",
            "host": "abcdefgh%2F%2B",
        },
    )
    assert entry["path"] == "/jobs/<hidden>"
    assert entry["headers"] == {
        "authorization": "Bearer <hidden>",
        "user-agent": "me/<hidden>",
        "<hidden>": "x",
        "cookie": "<hidden>",
        "client-request-id": "<hidden>",
        "host": "<hidden>",
    }
    assert entry["clientRequestId"] == "<hidden>"


def test_nothing_of_an_overlong_head_is_kept() -> None:
    """A long head costs neither time nor memory, and the entry has its length."""
    begun = time.monotonic()
    entry = recorded(
        method="G" * 1000, query="x=" + "eyJa" * 300_000, headers={"cookie": "a=b; " * 200_000, "host": "x"}
    )
    assert time.monotonic() - begun < 0.5
    assert (entry["method"], entry["path"], entry["query"]) == (REDACTED,) * 3
    assert entry["headers"] == {"…": "2201037 characters of method, path, query and headers"}
    assert recorded(query="x" * 16_000)["query"] == REDACTED
    assert recorded(path="/" + "x" * 16_000)["path"] == "/" + "x" * 16_000


@pytest.mark.parametrize("text", ["eyJa" * 4000, "bearer " * 2300, "a," * 8000, "%20eyJ" * 2600])
def test_no_text_takes_long(text: str) -> None:
    """Any head of the maximum length is redacted quickly."""
    begun = time.monotonic()
    recorded(headers={"cookie": text})
    recorded(headers={"user-agent": text})
    recorded(query=text)
    assert time.monotonic() - begun < 0.5


# As they are made: Base64 of 32 bytes, and JSON Web Tokens.
SIGNATURES = st.binary(min_size=32, max_size=32).map(
    lambda made: KEY.authorization("GET", made.hex(), {})[-44:]
)
TOKENS = st.lists(st.from_regex(r"[A-Za-z0-9_-]{8,40}", fullmatch=True), min_size=3, max_size=3).map(
    lambda parts: "eyJ" + ".".join(parts)
)
NAMES = st.sampled_from(["cookie", "x-token", "x-api-key", "authorization", "proxy-authorization"])
PLACES = st.sampled_from(
    ["method", "path", "query", "value", "name", "user-agent", "client-request-id", "x-more"]
)
FORMS = st.sampled_from(
    ["{}", "x {} y", "a={}", "a='{}'; b=c", "Bearer {}", "SharedKey myaccount:{}", "({})"]
)


@given(
    secret=SIGNATURES | TOKENS,
    carrier=NAMES | st.sampled_from(["?sig", "?token", "?%74oken"]),
    form=FORMS,
    places=st.lists(st.tuples(PLACES, FORMS, st.booleans()), max_size=6),
)
def test_no_signature_and_no_token_appears(
    secret: str, carrier: str, form: str, places: list[tuple[str, str, bool]]
) -> None:
    """No entry contains the credentials of a request, wherever else they occur in it."""
    call: dict[str, Any] = {"headers": {}, "query": "api-version=1", "path": "/jobs/nightly", "method": "GET"}
    for place, around, encoded in places:
        text = around.format(quote(secret, safe="") if encoded else secret)
        if place in call:
            call[place] += f"&x={text}" if place == "query" else text
        elif place == "name":
            call["headers"][text] = "x"
        else:
            call["headers"][place] = text
    if carrier.startswith("?"):
        call["query"] += f"&{carrier[1:]}={quote(form.format(secret), safe='')}"
    else:
        call["headers"][carrier] = form.format(secret)
    journal = Journal()
    record(journal, **call)
    shown = json.dumps(journal.as_json(), ensure_ascii=False) + repr(journal.entries()) + repr(journal)
    for spelling in (secret, quote(secret), quote(secret, safe="")):
        assert spelling not in shown
        # Nor half of it.
        assert spelling[len(spelling) // 2 :] not in shown
        assert spelling[: len(spelling) // 2] not in shown


@given(secret=TOKENS, places=st.lists(st.tuples(PLACES, FORMS), min_size=1, max_size=6))
def test_no_web_token_appears_that_nothing_gives_away(secret: str, places: list[tuple[str, str]]) -> None:
    """A JSON Web Token in an unexpected place is recognized by its form."""
    call: dict[str, Any] = {"headers": {}, "query": "", "path": "/jobs/", "method": "GET "}
    for place, around in places:
        if place in call:
            call[place] += f"&x={around.format(secret)}" if place == "query" else f"/{around.format(secret)}"
        else:
            call["headers"][f"{around.format(secret)}" if place == "name" else place] = around.format(secret)
    journal = Journal()
    record(journal, **call)
    assert secret not in json.dumps(journal.as_json(), ensure_ascii=False)


def test_the_journal_never_gets_the_key() -> None:
    """The journal only gets requests, and never the account's key."""
    assert ACCESS_KEY not in repr(vars(Journal()))


@pytest.mark.parametrize(
    "spell",
    [
        lambda secret: quote(secret, safe="").lower(),
        lambda secret: "".join(f"%{ord(each):02x}" for each in secret),
    ],
)
def test_a_secret_is_hidden_however_its_escapes_are_spelled(spell: Callable[[str], str]) -> None:
    """Escapes in lower case, and unnecessary ones, are decoded."""
    secret = "p+q/rs+t/uvw/xyz"
    escaped = spell(secret)
    entry = recorded(headers={"authorization": f"Bearer {secret}"}, path=f"/jobs/{escaped}/taskcounts")
    assert escaped not in json.dumps(entry)
    assert entry["path"] == REDACTED
