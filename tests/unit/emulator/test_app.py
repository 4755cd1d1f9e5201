"""Parts of a response: its date, its delivery, its journal entry, and the ASGI scopes that have none."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.client import TOKEN
from taskcounts_emulator import EmulatedAccount, create_app, responses
from taskcounts_emulator.faults.connection import Connection, InProcessConnection
from taskcounts_emulator.faults.delivery import deliver
from taskcounts_emulator.journal import Journal
from taskcounts_emulator.model import Counts, JobCounts

NOW = datetime(2024, 8, 1, 12, 34, 56, 654321, tzinfo=UTC)
DATE = "Thu, 01 Aug 2024 12:34:56 GMT"
ID = "730e1b9c-034b-4162-aa94-9e4f2ce0cebd"

NUMBERS = st.builds(Counts, *[st.integers(0, 2**31 - 1)] * 4)


@given(counts=st.builds(JobCounts, NUMBERS, NUMBERS), host=st.text(st.characters(max_codepoint=255)))
@example(counts=JobCounts(), host='%s"\\:0')
def test_counts_are_json_under_any_host(counts: JobCounts, host: str) -> None:
    """A host may contain quotes and percent signs."""
    context = responses.RequestContext(f"http://{host}", ID, NOW)
    whole = {"odata.metadata": f"http://{host}/$metadata#taskcountsresult/@Element", **counts.as_json()}
    assert json.loads(responses.counts_response(context, "taskcountsresult", counts.as_json()).body) == whole


def test_the_date_is_that_of_the_answer() -> None:
    """The second is that of the response."""
    for second in (1, 2, 1):
        context = responses.RequestContext("http://x", ID, NOW.replace(second=second))
        headers = dict(responses.counts_response(context, "taskcountsresult", {}).headers)
        assert headers["date"] == f"Thu, 01 Aug 2024 12:34:0{second} GMT"


PIECES = st.sampled_from(
    [
        "", "a", "/jobs/nightly", "%41", "Bearer ", "SharedKey ", "myaccount:", "QUJDREVGRw==", "abc+def/",
        "12345678", TOKEN, "eyJ", "&", "=", "?", " ", "x" * 30, "sig", "$filter=", "api-version=",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=4).map("".join)
NAMES = st.sampled_from(["authorization", "host", "user-agent", "client-request-id", "date"])


@given(TEXTS, TEXTS, TEXTS, st.dictionaries(NAMES, TEXTS))
@example("GET", "/jobs/12345678", "", {"authorization": "SharedKey myaccount:12345678"})
@example("GET", "/jobs/x", "", {"authorization": "Bearer %31%32345678", "host": "12345678"})
@example("GET", "/jobs/x", "api-version=1", {"authorization": "Bearer abc", "host": "x" * 17_000})
def test_a_call_is_shown_alike_in_short(method: str, path: str, query: str, headers: dict[str, str]) -> None:
    """The fast path and the full redaction give the same entry, except for long requests."""

    def shown(further: dict[str, str]) -> Any:
        journal = Journal()
        journal.record(
            time=NOW, operation=None, method=method, path=path, query=query, headers={**headers, **further},
            status=200, code=None, fault=None, request_id=ID, seconds=0,
        )  # fmt: skip
        (entry,) = journal.entries()
        told = {name: value for name, value in entry.headers.items() if name not in further}
        return entry.method, entry.path, entry.query, told

    unknown = {"x-more": "x"}
    # What is too long is told with its length.
    if sum(map(len, (method, path, query, *headers, *headers.values()))) < 16_000:
        assert shown({}) == shown(unknown)
    else:
        assert shown({})[:3] == ("<hidden>",) * 3


class _Transport(asyncio.Transport):
    """A transport that records its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.done.append(bytes(data))

    def close(self) -> None:
        self.done.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.done


def test_held_bytes_are_sent_in_one_piece() -> None:
    """Other bytes are sent at once; closing sends the held ones."""
    transport = _Transport()
    connection = Connection(transport)
    connection.write(b"a")
    connection.hold()
    connection.write(b"b")
    connection.write(b"c")
    assert transport.done == [b"a"]
    connection.release()
    connection.write(b"d")
    connection.release()
    connection.hold()
    connection.write(b"e")
    assert not connection.is_closing()
    connection.close()
    assert connection.is_closing()
    assert transport.done == [b"a", b"bc", b"d", b"e", "closed"]


def test_an_answer_that_cannot_be_sent_holds_nothing_back() -> None:
    """Later bytes on the connection are not held back."""

    async def send(_: object) -> None:
        connection.write(b"half")
        raise OSError("gone")

    transport = _Transport()
    connection = Connection(transport)
    answer = responses.counts_response(responses.RequestContext("http://x", ID, NOW), "taskcountsresult", {})
    with pytest.raises(OSError, match="gone"):
        asyncio.run(deliver(answer, None, connection, send))
    connection.write(b"more")
    assert transport.done == [b"half", b"more"]


def ask(scope: dict[str, Any], *messages: dict[str, Any]) -> list[Any]:
    """Return the messages that an application sends for these ones, in a scope."""
    sent: list[Any] = []
    left = list(messages)

    async def receive() -> Any:
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(create_app(EmulatedAccount())(scope, receive, send))
    return sent


def test_another_server_may_tell_that_it_begins_and_ends() -> None:
    """Both events are acknowledged, without any effect."""
    sent = ask({"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


@pytest.mark.parametrize(
    ("path", "root", "found"),
    [
        ("/_emulator/health", "", True),
        ("/_emulator/health", "/x", True),
        ("/x/_emulator/health", "/x", True),
        ("/x/_emulator/health", "", False),
        ("/xx/_emulator/health", "/x", False),
        ("/x/x/_emulator/health", "/x", False),
        ("/_emulator", "", False),
        ("/x", "/x", False),
        ("/_emulatorhealth", "", False),
    ],
)
def test_the_administration_is_found_where_it_is_mounted(path: str, root: str, found: bool) -> None:
    """The admin API has its path below the mount point, and nowhere else."""
    start, _ = ask(
        {
            "type": "http", "method": "GET", "path": path, "root_path": root, "query_string": b"",
            "scheme": "http", "headers": [(b"Host", b"localhost")],
        },
        {"type": "http.request"},
    )  # fmt: skip
    assert (start["status"] == 200) == found


def test_in_process_there_is_nothing_to_hold() -> None:
    """Another server sends the response itself."""
    connection = InProcessConnection()
    connection.hold()
    connection.release()
