"""The usual answer is read in a quick way, and every other one thoroughly; both ways say the same."""

import logging
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given

from support import strategies
from support.answers import COUNTS, GUID, REQUEST_ID, Reply, Script, answer, wire
from support.client import ACCESS_KEY, KEY, Call
from support.clocks import FakeClock
from taskcounts import ContractViolation, SharedKey
from taskcounts.protocol import messages
from taskcounts.protocol.answers import USUAL_TYPES, check_type, find_inconsistencies, read_json
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts_rest import contract
from taskcounts_rest.models import TaskCountsResult

CHECK = compile_schema(contract.OPERATIONS["Job_GetTaskCounts"].result)
BLANKS = ["", " ", "\n", " \t\r\n "]


@pytest.mark.parametrize("before", [*BLANKS, "\ufeff", "\ufeff\n"])
@pytest.mark.parametrize("after", BLANKS)
def test_white_space(before: str, after: str) -> None:
    """White space around JSON, and a byte order mark in front of it, change nothing."""
    assert read_json({}, before.encode() + wire(COUNTS) + after.encode()) == COUNTS


@pytest.mark.parametrize("after", ["x", "{}", "\0", " }", "\ufeff"])
def test_what_follows_json(call: Call, after: str) -> None:
    """A body with more than one JSON value is refused, whatever the rest is."""
    with pytest.raises(ContractViolation, match="it is not JSON") as caught:
        call(Script(answer(wire(COUNTS) + after.encode())))
    assert caught.value.path == "$"


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '{"b": {"a": 1, "x": 2, "a": 3}}', '[{"a": 1, "a": {}}]']
)
def test_members_that_are_there_twice(text: str) -> None:
    """A member that comes twice is refused and named, at any depth."""
    with pytest.raises(Violation, match="there twice") as caught:
        read_json({}, text.encode())
    assert caught.value.path == "a"


def test_threads_read_at_once() -> None:
    """Threads share the decoder and the key; none gets another's answer or signature."""

    def read(number: int) -> bool:
        body = {f"a{number}": [{"b": number}, {f"c{number}": {"d": [number]}}]}
        date = {"ocp-date": str(number)}
        signed = SharedKey("myaccount", ACCESS_KEY).authorization("GET", "/jobs", date)
        return all(
            read_json({}, wire(body)) == body and KEY.authorization("GET", "/jobs", date) == signed
            for _ in range(200)
        )

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(16)))
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("content_type", sorted(USUAL_TYPES))
def test_usual_content_types(call: Call, content_type: str) -> None:
    """The fast check accepts nothing that the thorough one refuses."""
    check_type(content_type)
    headers = {"content-type": content_type, "request-id": REQUEST_ID}
    assert call(Script(Reply(200, headers, wire(COUNTS)))).total == 12


@given(strategies.near_misses(strategies.results))
def test_numbers_at_a_glance(body: Any) -> None:
    """An object of numbers is refused exactly if one of them is, and with the same words."""
    counters = body.get("taskCounts") if isinstance(body, dict) else None
    schema = contract.OPERATIONS["Job_GetTaskCounts"].result["properties"]["taskCounts"]
    # A member more that isn't a number, and the check looks at each by itself.
    thorough = compile_schema(
        schema | {"properties": schema["properties"] | {"a name that nobody draws": {"type": "string"}}}
    )
    found: list[tuple[str, str] | None] = []
    for check in (compile_schema(schema), thorough):
        try:
            check(counters)
            found.append(None)
        except Violation as violation:
            found.append((violation.path, violation.reason))
    assert found[0] == found[1]


def test_where_a_value_stands() -> None:
    """A violation has the whole path of the value at fault, also through lists of lists."""
    schema = {
        "type": "array",
        "items": {"type": "object", "properties": {"n": {"type": "array", "items": {}}}},
    }
    schema["items"]["properties"]["n"]["items"] = {"type": "boolean"}  # type: ignore[index]
    check = compile_schema({"type": "array", "items": schema})
    check([[], [{}, {"n": [True]}]])
    with pytest.raises(Violation) as caught:
        check([[], [{}, {"n": [True, 5]}]])
    assert caught.value.path == "$[1][1].n[1]"
    with pytest.raises(Violation) as caught:
        check({})
    assert caught.value.path == "$"


def test_invariants_at_any_depth() -> None:
    """The sums of a fragment may be of members anywhere in an answer."""
    invariants: list[dict[str, Any]] = [
        {"name": "flat", "whole": ("a",), "parts": (("b", "c", "d"), ("b", "e"))},
        {"name": "deep", "whole": ("b", "c", "d"), "parts": (("b", "e"),)},
    ]
    assert find_inconsistencies(invariants, {"a": 4, "b": {"c": {"d": 2}, "e": 2}}) == ()
    [flat, deep] = find_inconsistencies(invariants, {"a": 4, "b": {"c": {"d": 2}, "e": 3}})
    assert (flat.invariant, flat.path, flat.text) == ("flat", "a", "a is 4, but d + e is 2 + 3 = 5")
    assert (deep.invariant, deep.path, deep.text) == ("deep", "b.c.d", "b.c.d is 2, but e is 3 = 3")


@given(strategies.results)
def test_what_the_models_read(call: Call, body: dict[str, Any]) -> None:
    """A snapshot has the members of the generated model of the answer."""
    snapshot, read = call(Script(answer(body))), TaskCountsResult.from_dict(body)
    assert snapshot.task_counts.to_dict() == read.task_counts.to_dict()
    assert snapshot.task_slot_counts.to_dict() == read.task_slot_counts.to_dict()
    assert snapshot.additional_properties.to_dict() == read.additional_properties


@pytest.mark.parametrize("where", [None, "taskCounts", "taskSlotCounts"])
@pytest.mark.parametrize("object_", [False, True])
@pytest.mark.parametrize(
    ("around", "innermost", "sound"), [(97, [], True), (97, [0], False), (98, [], False)]
)
def test_nested_as_deep_as_may_be(  # noqa: PLR0917 - pytest gives them by name.
    call: Call, around: int, innermost: list[int], sound: bool, object_: bool, where: str | None
) -> None:
    """Members may be nested to one depth exactly, whether there is something in the innermost or not."""
    deep: Any = innermost
    for _ in range(around):
        deep = {"b": deep} if object_ else [deep]
    more = {"deep": {"a": deep}}
    script = Script(answer(COUNTS | (more if where is None else {where: COUNTS[where] | more})))
    if sound:
        snapshot = call(script)
        holder = {"taskCounts": snapshot.task_counts, "taskSlotCounts": snapshot.task_slot_counts}.get(
            where or "", snapshot
        )
        assert holder.additional_properties.to_dict() == more
        assert pickle.loads(pickle.dumps(snapshot)) == snapshot  # noqa: S301
    else:
        with pytest.raises(ContractViolation, match="nested too deeply"):
            call(script)


def test_a_checked_answer_is_left_as_it_is(clock: FakeClock) -> None:
    """Building a snapshot doesn't change the answer that it is built from."""
    headers = {"client-request-id": GUID, "request-id": REQUEST_ID}
    about = messages.Call("job-1", None, 10, 10, GUID, contract.API_VERSION)
    checked = messages.CheckedAnswer(about, 1, {**COUNTS, "x": 1}, headers, clock.now(), strict=True)
    assert TASK_COUNTS_OPERATION.build(checked) == TASK_COUNTS_OPERATION.build(checked)
    assert checked.body == {**COUNTS, "x": 1}


def test_nobody_listens(
    call: Call, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are made for whoever wants them: not below the level, nor where no logging was loaded."""
    caplog.set_level(logging.INFO, "taskcounts")
    call(Script(answer()))
    caplog.set_level(logging.DEBUG, "taskcounts")
    monkeypatch.delitem(sys.modules, "logging")
    call(Script(answer()))
    monkeypatch.undo()
    assert [record for record in caplog.records if record.name == "taskcounts"] == []
