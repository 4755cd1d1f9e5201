"""$filter by example: SQL conditions, the index of unfinished tasks, limits, errors with their position."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from support.tables import table
from taskcounts_emulator.api.filters import FilterError, job_filter, task_filter
from taskcounts_emulator.model import SqlCondition
from taskcounts_emulator.state.schema import STATEMENTS


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("id eq 'x'", ("id = ?", ("x",))),
        ("id ne 'it''s'", ("id <> ?", ("it's",))),
        ("startswith(id, 'render')", ("id >= ? AND id < ?", ("render", "render\U0010ffff"))),
        ("state eq 'Completed'", ("state IN (3, 4)", ())),
        ("executionInfo/result eq 'failure'", ("state = 4", ())),
        ("executionInfo/result ne 'success'", ("state = 4", ())),
        ("executionInfo/result ne 'failure'", ("state = 3", ())),
        (
            "state eq 'completed' and executionInfo/exitCode ne -5",
            ("state IN (3, 4) AND exit_code <> ?", (-5,)),
        ),
        ("executionInfo/exitCode ge -2147483648", ("exit_code >= ?", (-(2**31),))),
        ("executionInfo/exitCode le 2147483647", ("exit_code <= ?", (2**31 - 1,))),
        ("executionInfo/endTime lt DateTime'1970-01-01T00:00:01Z'", ("ended < ?", (1_000_000,))),
        ("lastModifiedTime ge 1970-01-01", ("modified >= ?", (0,))),
        (
            "creationTime gt DateTime'Sun, 08 May 2011 08:49:37 GMT'",
            ("created > ?", (1_304_844_577_000_000,)),
        ),
        ("id eq 'a' or id eq 'b' and id ne 'c'", ("(id = ? AND id <> ? OR id = ?)", ("b", "c", "a"))),
        ("(id eq 'a' or id eq 'b') and id ne 'c'", ("(id = ? OR id = ?) AND id <> ?", ("a", "b", "c"))),
        ("id eq 'or'", ("id = ?", ("or",))),
    ],
)
def test_tasks_are_found_by_a_condition_of_sql(text: str, where: SqlCondition) -> None:
    """Values are parameters, states numbers, ``or`` has parentheses, the deepest operand is first."""
    assert task_filter(text) == where


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("state eq 'ACTIVE'", ("state = ?", ("active",))),
        ("state ne 'completed'", ("state <> ?", ("completed",))),
        (
            "state eq 'active' and executionInfo/poolId eq 'p'",
            ("state = ? AND pool = ?", ("active", "p")),
        ),
        ("startswith(executionInfo/poolId,'p')", ("pool >= ? AND pool < ?", ("p", "p\U0010ffff"))),
        ("id eq 'a' or id eq 'b'", ("(id = ? OR id = ?)", ("a", "b"))),
    ],
)
def test_jobs_are_found_by_a_condition_of_sql(text: str, where: SqlCondition) -> None:
    """Jobs have their states as words in lower case."""
    assert job_filter(text) == where


def page(condition: str) -> str:
    """Return the query for a page of a list."""
    return f"SELECT * FROM tasks WHERE job = ? AND id > ? AND {condition} ORDER BY id LIMIT ?"  # noqa: S608


@pytest.mark.parametrize(
    "text",
    [
        "state eq 'active'",
        "state eq 'active' or state eq 'running' or state eq 'preparing'",
        "state ne 'completed'",
        "(state eq 'active' and id eq 'a') or (startswith(id, 'b') and state eq 'running')",
        "state eq 'active' and (id eq 'a' or state eq 'completed')",
        "(state eq 'active' or executionInfo/result eq 'failure') and state ne 'completed'",
        "state eq 'running' or executionInfo/result eq 'failure' and state eq 'active'",
    ],
)
def test_a_list_of_unfinished_tasks_has_its_index(text: str) -> None:
    """If only unfinished tasks can match, the condition uses the index of unfinished tasks."""
    condition, parameters = task_filter(text)
    assert condition.startswith("state < 3 AND ")
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        for statement in STATEMENTS:
            db.execute(statement)
        plan = db.execute(f"EXPLAIN QUERY PLAN {page(condition)}", (1, "", *parameters, 5)).fetchall()
    assert len(plan) == 1
    assert "USING INDEX tasks_unfinished (job=? AND id>?)" in plan[0][3]


@pytest.mark.parametrize(
    "text",
    [
        "state eq 'completed'",
        "id eq 'a'",
        "state eq 'active' or id eq 'a'",
        "state eq 'active' or executionInfo/result eq 'success'",
        "executionInfo/exitCode eq 0",
        "state ne 'active'",
    ],
)
def test_a_list_with_finished_tasks_is_not_narrowed(text: str) -> None:
    """If a finished task can match, the condition adds no restriction of states."""
    assert "state < 3" not in task_filter(text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "state eq 'active' and state eq 'running'",
        "state eq 'active' and executionInfo/result eq 'success'",
        "executionInfo/result ne 'failure' and executionInfo/result ne 'success'",
        "id eq 'a' and state ne 'active' and (state eq 'active' and id eq 'b')",
        "(state eq 'active' and state eq 'running') or (state ne 'completed' and state eq 'completed')",
    ],
)
def test_a_filter_that_contradicts_itself_finds_nothing(text: str) -> None:
    """A contradictory filter reads no task."""
    assert task_filter(text) == ("0", ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *table("emulator/filters", "wrong filters of tasks"),
        ("executionInfo/exitCode eq " + "9" * 1900, "character 27: the number has more than 32 bits"),
    ],
)
def test_a_wrong_filter_is_refused_with_the_position(text: str, reason: str) -> None:
    """The reason is one short line that begins with the position, counted from 1."""
    with pytest.raises(FilterError) as caught:
        task_filter(text)
    assert str(caught.value).startswith(reason)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("text", "reason"),
    table("emulator/filters", "wrong filters of jobs"),
)
def test_properties_of_tasks_are_refused_in_filters_of_jobs(text: str, reason: str) -> None:
    """Jobs have states and properties of their own."""
    with pytest.raises(FilterError) as caught:
        job_filter(text)
    assert str(caught.value).startswith(reason)


def test_a_filter_is_bounded() -> None:
    """2000 characters and 50 parentheses are accepted; one more is refused with its position."""
    longest = f"id eq '{'x' * 1992}'"
    assert task_filter(longest) == ("id = ?", ("x" * 1992,))
    with pytest.raises(FilterError, match=r"^character 2001: a filter has at most 2000 characters$"):
        task_filter(longest + " ")
    assert task_filter("(" * 50 + "id eq 'x'" + ")" * 50) == ("id = ?", ("x",))
    with pytest.raises(FilterError, match=r"^character 51: parentheses are nested more than 50 deep$"):
        task_filter("(" * 51 + "id eq 'x'" + ")" * 51)
    with pytest.raises(FilterError, match=r"^character 66: parentheses are nested"):
        task_filter("(id eq 'x') or " + "(" * 51 + "id eq 'x'" + ")" * 51)
    side_by_side = " or ".join(["(id eq 'x')"] * 60)
    assert task_filter(side_by_side)[1] == ("x",) * 60


def nested(depth: int, *, deep_first: bool, leaf: str = "id eq ''") -> str:
    """Return alternating ``and`` and ``or``, with the nested operand on either side."""
    text = leaf
    for level in range(depth):
        word = "and" if level % 2 else "or"
        text = f"({text}) {word} {leaf}" if deep_first else f"{leaf} {word} ({text})"
    return text


@pytest.mark.parametrize(
    "text",
    [
        nested(50, deep_first=True),
        nested(50, deep_first=False),
        nested(50, deep_first=False, leaf="state eq 'active'"),
        f"({nested(40, deep_first=False)}) and ({nested(40, deep_first=False)})",
        f"({nested(24, deep_first=True)}) and ({nested(48, deep_first=False)})",
        " or ".join(["id eq ''"] * 150),
    ],
)
def test_the_deepest_filter_is_not_too_deep_for_sqlite(text: str) -> None:
    """Every filter within the limits fits the stack of SQLite's parser."""
    condition, parameters = task_filter(text)
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE tasks (job INTEGER, id TEXT, state INTEGER)")
        assert db.execute(page(condition), (1, "", *parameters, 5)).fetchall() == []
