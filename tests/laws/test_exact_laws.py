"""Laws of exact counts: whatever a list is, it is counted rightly or not at all."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.answers import Script, answer
from support.lists import Lister, page, task
from support.strategies import answers, near_misses
from taskcounts import ContractViolation
from taskcounts.exact import MEMBERS

exact = Lister(awaits=False)


def recounted(items: list[dict[str, Any]], *, in_slots: bool) -> list[int]:
    """Return the counts of tasks, computed in another way than the client's."""
    kinds: Counter[str] = Counter()
    for item in items:
        state = item["state"].lower()
        kind = state if state != "completed" else item["executionInfo"]["result"].lower()
        kinds[kind] += item.get("requiredSlots", 1) if in_slots else 1
    ended = kinds["success"] + kinds["failure"]
    assert sum(kinds.values()) == kinds["active"] + kinds["preparing"] + kinds["running"] + ended
    return [
        kinds["active"],
        kinds["preparing"] + kinds["running"],
        ended,
        kinds["success"],
        kinds["failure"],
    ]


def tasks() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Tasks of all kinds, each with an id of its own."""
    kinds = st.sampled_from(["Active", "preparing", "RUNNING", "Success", "failure"])
    slots = st.none() | st.integers(1, 2**31 - 1)

    def build(drawn: list[tuple[str, int | None]]) -> list[dict[str, Any]]:
        return [
            task(
                f"t{number}",
                "Completed" if kind in ("Success", "failure") else kind,
                kind,
                **({} if slots is None else {"requiredSlots": slots}),
            )
            for number, (kind, slots) in enumerate(drawn)
        ]

    return st.lists(st.tuples(kinds, slots), max_size=30).map(build)


@given(tasks(), st.lists(st.integers(0, 7), max_size=9))
def test_a_list_is_counted_however_it_is_cut(items: list[dict[str, Any]], sizes: list[int]) -> None:
    """The numbers are those of the tasks, whatever the pages."""
    pages, rest = [], items
    for number, size in enumerate(sizes):
        cut, rest = rest[:size], rest[size:]
        pages.append(page(*cut, token=str(number)))
    snapshot = exact(Script(*pages, page(*rest)))
    for counts, in_slots in ((snapshot.task_counts, False), (snapshot.task_slot_counts, True)):
        assert [getattr(counts, member) for member in MEMBERS] == recounted(items, in_slots=in_slots)
    assert snapshot.inconsistencies == ()
    assert snapshot.attempts == len(pages) + 1


@given(tasks(), st.lists(st.integers(0, 29), max_size=6), st.data())
def test_what_is_listed_again_is_told(
    items: list[dict[str, Any]], again: list[int], data: st.DataObject
) -> None:
    """Exactly if an id comes twice, wherever that is, in whatever case."""
    repeats = [{**items[n], "id": items[n]["id"].upper()} for n in again if n < len(items)]
    listed = data.draw(st.permutations(items + repeats))
    where = data.draw(st.integers(0, len(listed)))
    snapshot = exact(Script(page(*listed[:where], token="1"), page(*listed[where:])))
    assert [each.invariant for each in snapshot.inconsistencies] == ["listed-twice"] * bool(repeats)
    assert snapshot.total == len(listed)


@given(near_misses(answers["Task_List"] | tasks().map(lambda items: {"value": items})))
def test_any_list_at_all(body: Any) -> None:
    """It is counted as another way of counting does, or refused as what breaks the contract."""
    try:
        snapshot = exact(Script(answer(body)))
    except ContractViolation:
        return
    assert "odata.nextLink" not in body
    for counts, in_slots in ((snapshot.task_counts, False), (snapshot.task_slot_counts, True)):
        assert [getattr(counts, member) for member in MEMBERS] == recounted(body["value"], in_slots=in_slots)
