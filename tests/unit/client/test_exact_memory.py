"""The ids that an exact count remembers, and the little memory that they take."""

import tracemalloc

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.answers import Handler
from support.lists import Lister, link_to, page, task
from taskcounts import exact
from taskcounts.exact import Seen

pytestmark = pytest.mark.slow  # It measures memory.


@given(st.lists(st.text(max_size=3), max_size=200))
def test_what_was_seen_is_known(ids: list[str]) -> None:
    """Nothing is forgotten that is within the limit, and nothing else is known."""
    seen, truth = Seen(size=256, limit=200), set()
    for each in ids:
        assert seen.add(each) == (each in truth)
        truth.add(each)


@given(st.lists(st.integers(0, 60), max_size=300))
def test_what_was_seen_long_ago(numbers: list[int]) -> None:
    """At least as many ids as the limit are remembered, at most twice as many."""
    seen = Seen(size=32, limit=20)
    order: list[int] = []
    for number in numbers:
        known = seen.add(f"task-{number}")
        recent = order[::-1]
        if known:
            assert number in order
        elif number in order:
            # It was forgotten: since it came last, more than the limit of others have come.
            assert len(set(recent[: recent.index(number)])) >= 20
        order.append(number)


def test_tables_that_are_full() -> None:
    """A search ends in a table that is filled to its limit, also at its end."""
    seen = Seen(size=8, limit=7)
    assert [seen.add(str(n)) for n in range(100)] == [False] * 100
    assert [seen.add(str(n)) for n in range(93, 100)] == [True] * 7


def test_the_tables_of_a_real_list() -> None:
    """Nothing of 100,000 ids like those that people have is known before it is seen, and all of it then."""
    seen = Seen()
    assert not any(seen.add(f"task-{n}") for n in range(100_000))
    assert all(seen.add(f"task-{n}") for n in range(100_000))


@pytest.mark.parametrize("character", ["a", "é", "\ud800", "\U0001f600", "\x00", ""])
def test_any_id(character: str) -> None:
    """Whatever JSON can hold is remembered."""
    seen = Seen()
    assert not seen.add(character)
    assert seen.add(character)


def test_a_hash_that_looks_like_an_empty_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id whose hash is 0 is remembered like any other."""

    class Zero:
        def digest(self) -> bytes:
            return bytes(8)

    monkeypatch.setattr(exact, "blake2b", lambda *_, **__: Zero())
    seen = Seen(size=8, limit=6)
    assert [seen.add("a"), seen.add("a")] == [False, True]


def listing(tasks: int) -> Handler:
    """Return a server whose job has so many tasks."""

    def handler(request: httpx.Request) -> httpx.Response:
        begin = int(request.url.params.get("$skiptoken", "0"))
        end = min(begin + 1000, tasks)
        link = link_to(str(end)) if end < tasks else None
        reply = page(*(task(f"task-{n}", "completed") for n in range(begin, end)), link=link).response()
        reply.headers["client-request-id"] = request.headers["client-request-id"]
        return reply

    return handler


def peak(tasks: int) -> int:
    """Return the bytes that counting so many tasks takes at most."""
    tracemalloc.start()
    try:
        snapshot = Lister(awaits=False)(listing(tasks), deadline=3600)
        assert (snapshot.total, snapshot.inconsistencies) == (tasks, ())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow() -> None:
    """Fifteen pages take the memory of three: a page, and the tables of ids that a single page lacks."""
    peak(1000)  # What is loaded once.
    table = 8 << 20
    assert peak(1000) < 4 << 20
    few, many = peak(3000), peak(15_000)
    assert many < few + (1 << 20)
    assert many < table + (4 << 20)
