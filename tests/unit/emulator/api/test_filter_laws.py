"""$filter as a whole: SQLite finds what a naive evaluation finds, and any text is a filter or an error."""

from __future__ import annotations

import contextlib
import operator
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from taskcounts_emulator.api.filters import FilterError, job_filter, task_filter
from taskcounts_emulator.model import SqlCondition
from taskcounts_emulator.state.schema import STATEMENTS

pytestmark = pytest.mark.slow  # Laws by Hypothesis, over a database.

Row = dict[str, Any]
Node = tuple[Any, ...]
Filter = Callable[[str], SqlCondition]

SIX = ("eq", "ne", "ge", "gt", "le", "lt")
EQUALITY = ("eq", "ne")
TIME_NAMES = ("stateTransitionTime", "creationTime", "executionInfo/startTime", "executionInfo/endTime")

# As the documentation has it, and kept apart from the filters' own tables on purpose.
DOCUMENTED: dict[Filter, dict[str, tuple[str, tuple[str, ...]]]] = {
    task_filter: {
        "id": ("id", ("startswith", *SIX)),
        "state": ("task state", EQUALITY),
        "lastModified": ("time", SIX),
        "lastModifiedTime": ("time", SIX),
        **dict.fromkeys(TIME_NAMES, ("time", SIX)),
        "executionInfo/exitCode": ("number", SIX),
        "executionInfo/result": ("result", EQUALITY),
    },
    job_filter: {
        "id": ("id", ("startswith", *SIX)),
        "state": ("job state", EQUALITY),
        "lastModified": ("time", SIX),
        **dict.fromkeys(TIME_NAMES, ("time", SIX)),
        "executionInfo/poolId": ("id", ("startswith", *SIX)),
    },
}
NAMES = {
    "task state": ("active", "preparing", "running", "completed"),
    "job state": ("active", "disabling", "disabled", "enabling", "terminating", "completed", "deleting"),
    "result": ("success", "failure"),
}
COMPARE = {name: getattr(operator, name) for name in SIX}

TASKS = """
    CREATE TABLE tasks (job INTEGER, id TEXT COLLATE NOCASE, state INTEGER, created INTEGER, modified INTEGER,
    changed INTEGER, started INTEGER, ended INTEGER, exit_code INTEGER, slots INTEGER)
"""
JOBS = """
    CREATE TABLE jobs (job INTEGER, id TEXT COLLATE NOCASE, state TEXT, created INTEGER, modified INTEGER,
    changed INTEGER, started INTEGER, ended INTEGER, pool TEXT COLLATE NOCASE)
"""
# Columns, and the names of their properties in filters.
PROPERTIES = {
    "id": "id",
    "created": "creationTime",
    "changed": "stateTransitionTime",
    "started": "executionInfo/startTime",
    "ended": "executionInfo/endTime",
    "exit_code": "executionInfo/exitCode",
    "pool": "executionInfo/poolId",
}

JULY = datetime(2024, 7, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Few of each, so that filters and rows meet.
IDS = st.sampled_from(
    ["a", "A", "ab", "Ab-1", "a_b", "b", "B1", "Z", "z-9", "0", "schedule:job-1", "100%", "_"]
)
SECONDS = st.sampled_from([-86_400, -1, 0, 1, 2]).map(lambda seconds: JULY + timedelta(seconds=seconds))
MOMENTS = SECONDS | SECONDS.map(lambda time: time + timedelta(microseconds=1))
CODES = st.sampled_from([-1, 0, 1, 2, 137, 2**31 - 1, -(2**31)])


def us(time: datetime | None) -> int | None:
    """Return a time as in a row."""
    return None if time is None else (time - EPOCH) // timedelta(microseconds=1)


def folded(text: str) -> str:
    """Return a text with its ASCII letters in lower case."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


@st.composite
def task_rows(draw: st.DrawFn) -> Row:
    """A row of the table of tasks."""
    optional = st.none() | MOMENTS
    return {
        "job": draw(st.sampled_from([1, 1, 1, 2])),
        "id": draw(IDS),
        "state": draw(st.integers(0, 4)),
        "created": us(draw(MOMENTS)),
        "modified": us(draw(MOMENTS)),
        "changed": us(draw(MOMENTS)),
        "started": us(draw(optional)),
        "ended": us(draw(optional)),
        "exit_code": draw(st.none() | CODES),
        "slots": draw(st.integers(1, 3)),
    }


@st.composite
def job_rows(draw: st.DrawFn) -> Row:
    """A row of the table of jobs, and a number that no filter can name."""
    row = draw(task_rows())
    del row["exit_code"], row["slots"]
    row["state"] = draw(st.sampled_from(NAMES["job state"]))
    row["pool"] = draw(st.none() | IDS)
    return row


def seen(row: Row) -> Row:
    """Return a row's properties as a filter sees them, without missing values."""
    values = {PROPERTIES.get(name, name): value for name, value in row.items()}
    values["lastModified"] = values["lastModifiedTime"] = row["modified"]
    if isinstance(row["state"], int):
        values["state"] = ("active", "preparing", "running", "completed", "completed")[row["state"]]
        values["executionInfo/result"] = (None, None, None, "success", "failure")[row["state"]]
    return values


def holds(node: Node, values: Row) -> bool:
    """Return the result of a naive evaluation."""
    if node[0] in ("and", "or"):
        return (all if node[0] == "and" else any)(holds(part, values) for part in node[1])
    name, comparison, wanted = node
    value = values[name]
    if value is None:
        return False
    if isinstance(value, str):
        value, wanted = folded(value), folded(wanted)
    if comparison == "startswith":
        return bool(value.startswith(wanted))
    return bool(COMPARE[comparison](value, us(wanted) if isinstance(wanted, datetime) else wanted))


@st.composite
def comparisons(draw: st.DrawFn, documented: dict[str, tuple[str, tuple[str, ...]]]) -> Node:
    """A documented comparison."""
    name = draw(st.sampled_from(sorted(documented)))
    kind, operators = documented[name]
    values: st.SearchStrategy[Any]
    if kind == "id":
        values = (
            IDS | st.sampled_from(["", "'", "a'b", "%", "ä", "\U0010fffe"]) | st.text("aAbZz_-'", max_size=3)
        )
    elif kind == "time":
        values = MOMENTS
    elif kind == "number":
        values = CODES
    else:
        values = st.sampled_from(NAMES[kind]).flatmap(spelled)
    return name, draw(st.sampled_from(operators)), draw(values)


def nodes(documented: dict[str, tuple[str, tuple[str, ...]]]) -> st.SearchStrategy[Node]:
    """Filters made of comparisons, ``and`` and ``or``."""
    return st.recursive(
        comparisons(documented),
        lambda inner: st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=4)),
        max_leaves=12,
    )


def spelled(word: str) -> st.SearchStrategy[str]:
    """A word in upper and lower case."""
    return st.sampled_from([word, word, word.upper(), word.capitalize(), word.swapcase()])


@st.composite
def written(draw: st.DrawFn, node: Node, inside: str = "") -> str:
    """A spelling of a filter."""
    blank = draw(st.sampled_from([" ", " ", "  ", "\t"]))
    if node[0] in ("and", "or"):
        parts = [draw(written(part, node[0])) for part in node[1]]
        joint = blank + draw(spelled(node[0])) + blank
        text = joint.join(parts)
        needed = inside == "and" and node[0] == "or"
    else:
        name, comparison, wanted = node
        word = draw(spelled(comparison))
        gap = draw(st.sampled_from(["", " "]))
        value = draw(values_written(wanted))
        if comparison == "startswith":
            text = f"{word}{gap}({gap}{name}{gap},{gap}{value}{gap})"
        else:
            text = f"{name}{blank}{word}{blank}{value}"
        needed = False
    if needed or draw(st.integers(0, 3)) == 0:
        text = f"({text})" if draw(st.booleans()) else f"( {text} )"
    return text


@st.composite
def values_written(draw: st.DrawFn, value: Any) -> str:
    """A spelling of a value."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    zulu: str = value.isoformat().replace("+00:00", "Z")
    forms = [zulu, value.isoformat(), timestamp_elsewhere(value)]
    if value.microsecond == 0:
        forms.append(format_datetime(value, usegmt=True))
    form = draw(st.sampled_from(forms))
    if form == zulu and draw(st.booleans()):
        return zulu
    return f"{draw(spelled('DateTime'))}'{form}'"


def timestamp_elsewhere(time: datetime) -> str:
    """Return a time in another zone, with another digit."""
    local = (time + timedelta(minutes=330)).replace(tzinfo=None)
    return f"{local.isoformat(timespec='microseconds')}0+05:30"


@contextlib.contextmanager
def database(*statements: str) -> Iterator[sqlite3.Connection]:
    """Provide an empty database in memory."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        for statement in statements:
            db.execute(statement)
        yield db


def select(db: sqlite3.Connection, table: str, condition: str, parameters: tuple[object, ...]) -> list[int]:
    """Return the numbers of the rows that match a condition."""
    query = f"SELECT rowid FROM {table} WHERE {condition} ORDER BY rowid"  # noqa: S608
    return [number for (number,) in db.execute(query, parameters)]


def check(compiled: Filter, table: str, node: Node, text: str, rows: list[Row]) -> None:
    """Compare the results for each row, in a query for one job, on either side of the condition."""
    assume(len(text) <= 2000)
    condition, parameters = compiled(text)
    with database(TASKS, JOBS) as db:
        for number, row in enumerate(rows):
            names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
            db.execute(f"INSERT INTO {table} (rowid, {names}) VALUES ({number}, {values})", row)  # noqa: S608
        found = select(db, table, f"job = 1 AND {condition} AND job = 1", parameters)
    expected = [n for n, row in enumerate(rows) if row["job"] == 1 and holds(node, seen(row))]
    assert found == expected


@given(st.data(), nodes(DOCUMENTED[task_filter]), st.lists(task_rows(), min_size=1, max_size=8))
def test_sqlite_finds_the_tasks_that_a_naive_reading_finds(
    data: st.DataObject, node: Node, rows: list[Row]
) -> None:
    """A filter has the same meaning in any spelling and beside any other conditions."""
    check(task_filter, "tasks", node, data.draw(written(node)), rows)


@given(st.data(), nodes(DOCUMENTED[job_filter]), st.lists(job_rows(), min_size=1, max_size=8))
def test_sqlite_finds_the_jobs_that_a_naive_reading_finds(
    data: st.DataObject, node: Node, rows: list[Row]
) -> None:
    """The same is true of lists of jobs."""
    check(job_filter, "jobs", node, data.draw(written(node)), rows)


@pytest.mark.parametrize(("compiled", "table"), [(task_filter, "tasks"), (job_filter, "jobs")])
def test_every_property_has_its_column_in_the_store(compiled: Filter, table: str) -> None:
    """Each documented property takes its documented operators and no other, and its column exists."""
    samples = {"id": "'a'", "time": "DateTime'2024-07-01'", "number": "0"}
    with database(*STATEMENTS) as db:
        for name, (kind, operators) in DOCUMENTED[compiled].items():
            value = samples.get(kind) or f"'{NAMES[kind][0]}'"
            for word in ("startswith", *SIX):
                text = f"startswith({name}, {value})" if word == "startswith" else f"{name} {word} {value}"
                if word in operators:
                    condition, parameters = compiled(text)
                    assert select(db, table, condition, parameters) == []
                else:
                    with pytest.raises(FilterError, match=f"{name} cannot be asked '{word}', only eq, ne"):
                        compiled(text)


FRAGMENTS = st.sampled_from(
    [
        *(
            "id",
            "state",
            "creationTime",
            "executionInfo/exitCode",
            "executionInfo/result",
            "executionInfo/poolId",
        ),
        *(
            "eq",
            "ne",
            "gt",
            "and",
            "or",
            "AND",
            "not",
            "startswith",
            "startswith(id, 'a')",
            "(",
            ")",
            ",",
            "'",
            "''",
        ),
        *(
            "'a'",
            "'active'",
            "'success'",
            "5",
            "-1",
            "DateTime'2024-07-01'",
            "2024-07-01T00:00:00Z",
            "datetime'",
            "\0",
        ),
        *(
            "id eq 'a'",
            "state ne 'completed'",
            "executionInfo/exitCode ge 1",
            "(id eq 'b')",
            "\n",
            "é",
            "\ud800",
            "?",
        ),
    ]
)


@given(
    st.text() | st.lists(FRAGMENTS, max_size=12).map(" ".join) | st.lists(FRAGMENTS, max_size=8).map("".join)
)
@example("'" * 1999)
@example("id eq '" + "''" * 900)
def test_any_text_is_a_filter_that_runs_or_an_error(text: str) -> None:
    """There is no other exception, and no SQL that SQLite refuses."""
    for compiled, table in ((task_filter, "tasks"), (job_filter, "jobs")):
        try:
            condition, parameters = compiled(text)
        except FilterError as error:
            reason = str(error)
        else:
            reason = ""
            with database(TASKS, JOBS) as db:
                assert select(db, table, condition, parameters) == []
        assert len(reason.splitlines()) <= 1
