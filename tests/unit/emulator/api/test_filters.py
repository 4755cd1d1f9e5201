"""$filter by example: SQL conditions, the index of unfinished tasks, limits, errors with their position."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

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
        ("", "character 1: expected a property, found the end"),
        ("  ", "character 3: expected a property, found the end"),
        ("id", "character 3: expected an operator, found the end"),
        ("id eq", "character 6: expected a string in single quotation marks, found the end"),
        ("id eq 'a' and", "character 14: expected a property, found the end"),
        ("id eq 'a' or or id eq 'b'", "character 14: no filter of tasks by 'or', only by id, state, "),
        ("id eq 'a' id eq 'b'", "character 11: expected 'and', 'or' or the end, found 'id'"),
        ("id eq 'a' 'b'", """character 11: expected 'and', 'or' or the end, found "'b'\""""),
        ("id eq 'a' , id eq 'b'", "character 11: expected 'and', 'or' or the end, found ','"),
        ("'a' eq id", """character 1: expected a property, found "'a'\""""),
        ("id 'a' eq", """character 4: expected an operator, found "'a'\""""),
        ("(id eq 'a'", "character 11: expected ')', found the end"),
        ("id eq 'a')", "character 10: expected 'and', 'or' or the end, found ')'"),
        ("()", "character 2: expected a property, found ')'"),
        ("not id eq 'a'", "character 1: no filter of tasks by 'not', only by id, state, "),
        ("not (id eq 'a')", "character 1: there is no function 'not'; there is startswith"),
        ("id eq 'a'and id eq 'b'", "character 10: a space is missing before 'and'"),
        ("id eq'a'", """character 6: a space is missing before "'a'\""""),
        ("executionInfo/exitCode eq 5and id eq 'a'", "character 28: a space is missing before 'and'"),
        ("executionInfo/exitCode eq 5-3", "character 28: a space is missing before '-3'"),
        ("id eq 'a", "character 7: a string without its end"),
        ("id eq 'a''", "character 7: a string without its end"),
        ("creationTime gt DateTime'2024", "character 25: a string without its end"),
        ('id eq "a"', """character 7: unexpected '"'"""),
        ("id = 'a'", "character 4: unexpected '='"),
        ("id eq 'a' && id eq 'b'", "character 11: unexpected '&'"),
        ("id eq 'a'; DROP TABLE tasks", "character 10: unexpected ';'"),
        ("$filter", "character 1: unexpected '$'"),
        ("é eq 'a'", "character 1: unexpected 'é'"),
        ("id\u00a0eq 'a'", r"character 3: unexpected '\xa0'"),
        ("id eq 'a\0'", r"character 9: '\x00' cannot be in a filter"),
        ("id eq '\ud800'", r"character 8: '\ud800' cannot be in a filter"),
        ("id eq '\udfff'", r"character 8: '\udfff' cannot be in a filter"),
        ("id eq 5", "character 7: expected a string in single quotation marks, found '5'"),
        ("id eq null", "character 7: expected a string in single quotation marks, found 'null'"),
        ("id eq DateTime'2024-07-01'", "character 7: expected a string in single quotation marks, found"),
        ("ID eq 'a'", "character 1: no filter of tasks by 'ID', only by id, state, "),
        ("requiredSlots eq 1", "character 1: no filter of tasks by 'requiredSlots', only by id, state, "),
        ("executionInfo eq 1", "character 1: no filter of tasks by 'executionInfo', only by"),
        ("poolInfo/poolId eq 'p'", "character 1: no filter of tasks by 'poolInfo/poolId', only by"),
        ("nodeInfo/nodeId eq 'n'", "character 1: no filter by 'nodeInfo/nodeId': the emulator has no nodes"),
        (
            "startswith(nodeInfo/poolId, 'n')",
            "character 12: no filter by 'nodeInfo/poolId': the emulator has",
        ),
        (
            "id has 'a'",
            "character 4: id cannot be asked 'has', only startswith(id, '…'), eq, ne, ge, gt, le, lt",
        ),
        ("id startswith 'a'", "character 4: id cannot be asked 'startswith', only startswith(id, '…'), eq,"),
        ("state gt 'active'", "character 7: state cannot be asked 'gt', only eq, ne"),
        ("startswith(state, 'a')", "character 1: state cannot be asked 'startswith', only eq, ne"),
        ("endswith(id, 'a')", "character 1: there is no function 'endswith'; there is startswith"),
        ("startswith('a', id)", """character 12: expected a property, found "'a'\""""),
        ("startswith(id 'a')", """character 15: expected ',', found "'a'\""""),
        ("startswith(id, 5)", "character 16: expected a string in single quotation marks, found '5'"),
        ("startswith(id, 'a'", "character 19: expected ')', found the end"),
        ("startswith(id, 'a') eq true", "character 21: expected 'and', 'or' or the end, found 'eq'"),
        (
            "state eq 'Done'",
            "character 10: a task has no state 'Done', only active, preparing, running, completed",
        ),
        ("state eq active", "character 10: expected a state in single quotation marks, found 'active'"),
        ("state eq 3", "character 10: expected a state in single quotation marks, found '3'"),
        ("state ne 'deleting'", "character 10: a task has no state 'deleting', only"),
        (
            "executionInfo/result eq 'failed'",
            "character 25: a task has no result 'failed', only success, failure",
        ),
        ("executionInfo/exitCode eq '0'", """character 27: expected a whole number, found "'0'\""""),
        ("executionInfo/exitCode eq +1", "character 27: unexpected '+'"),
        ("executionInfo/exitCode eq 1.5", "character 28: unexpected '.'"),
        ("executionInfo/exitCode eq 0x1", "character 28: a space is missing before 'x1'"),
        ("executionInfo/exitCode eq 2147483648", "character 27: the number has more than 32 bits"),
        ("executionInfo/exitCode eq -2147483649", "character 27: the number has more than 32 bits"),
        ("executionInfo/exitCode eq " + "9" * 1900, "character 27: the number has more than 32 bits"),
        ("executionInfo/exitCode eq ٣", "character 27: unexpected '٣'"),
        (
            "creationTime gt '2024-07-01'",
            "character 17: expected a time like DateTime'2024-07-01T12:00:00Z', ",
        ),
        ("creationTime gt 5", "character 17: expected a time like DateTime'2024-07-01T12:00:00Z', found '5'"),
        ("creationTime gt datetime'soon'", """character 17: "datetime'soon'" is no time like DateTime'"""),
        ("creationTime gt DateTime ''", "character 17: expected a time like DateTime'"),
        ("creationTime gt DateTime'2024-02-30'", """character 17: "DateTime'2024-02-30'" is no time like"""),
        ("creationTime gt DateTime'2024-07-01T00:00:00'", "character 17: "),
        ("creationTime gt DateTime'99999-07-01T00:00:00Z'", "character 17: "),
        ("creationTime gt DateTime'9999-12-31T23:59:59-01:00'", "character 17: "),
        ("creationTime gt DateTime'Mon, 08 May 2011 08:49:37 GMT'", "character 17: "),
        (
            "creationTime gt 2024-13-01T00:00:00Z",
            "character 17: '2024-13-01T00:00:00Z' is no time like DateTime'",
        ),
        ("creationTime gt guid'2024'", "character 21: a space is missing before"),
        ("id eq 'a' AND\nstate eq '\n'", r"character 24: a task has no state '\n', only"),
    ],
)
def test_a_wrong_filter_is_told_with_its_place(text: str, reason: str) -> None:
    """The reason is one short line that begins with the position, counted from 1."""
    with pytest.raises(FilterError) as caught:
        task_filter(text)
    assert str(caught.value).startswith(reason)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "poolInfo/poolId eq 'p'",
            "character 1: no filter of jobs by 'poolInfo/poolId', only by id, state, ",
        ),
        (
            "nodeInfo/nodeId eq 'n'",
            "character 1: no filter of jobs by 'nodeInfo/nodeId', only by id, state, ",
        ),
        ("lastModifiedTime eq 2024-07-01", "character 1: no filter of jobs by 'lastModifiedTime', only by"),
        (
            "executionInfo/exitCode eq 0",
            "character 1: no filter of jobs by 'executionInfo/exitCode', only by",
        ),
        (
            "state eq 'preparing'",
            "character 10: a job has no state 'preparing', only active, disabling, disabled, enabling, ",
        ),
    ],
)
def test_what_only_tasks_have_is_no_filter_of_jobs(text: str, reason: str) -> None:
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
