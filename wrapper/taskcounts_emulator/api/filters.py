"""The ``$filter`` of list queries: a parser, and a compiler to SQL conditions.

The properties and operators are those of the sections "List tasks" and "List jobs" of
https://learn.microsoft.com/rest/api/batchservice/odata-filters-in-batch. That page calls a task's
``lastModified`` ``lastModifiedTime``, which no task has, so both names are accepted. The form of times, and
that names are case-sensitive and values are not, are from
https://learn.microsoft.com/azure/batch/batch-efficient-list-queries. It has ``DateTime'…'`` with a timestamp
or an RFC 1123 date; a bare timestamp, as in newer OData, is accepted, too.

A missing value matches no comparison, not even ``ne``: ``executionInfo/result ne 'success'`` finds failed
tasks but no running ones, ``executionInfo/exitCode ne 0`` no task without an exit code. In OData ``ne`` would
match them. The service's behaviour is not documented; but a filter that names no state looks for failures,
and scripts reactivate or delete what it finds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from taskcounts_emulator.api.auth import parse_date
from taskcounts_emulator.api.timestamps import parse_timestamp
from taskcounts_emulator.json_reader import show
from taskcounts_emulator.model import STATES, SqlCondition, TaskState

__all__ = ["FilterError", "job_filter", "task_filter"]

# URLs are not much longer. This and the nesting limit keep the SQL within the stack of SQLite's parser.
MAX_LENGTH = 2000
MAX_DEPTH = 50

_INT32 = range(-(2**31), 2**31)


class FilterError(ValueError):
    """The filter is invalid. ``str(error)`` is one line that begins with the position."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(f"character {at + 1}: {reason}")


class Kind(Enum):
    """The type of a property."""

    TEXT = auto()
    NUMBER = auto()
    TIME = auto()
    TASK_STATE = auto()
    TASK_RESULT = auto()
    JOB_STATE = auto()


@dataclass(frozen=True, slots=True)
class Property:
    """A property that can be filtered by: its column, type and operators."""

    column: str
    kind: Kind
    operators: tuple[str, ...]


_EQUALITY = ("eq", "ne")
_ORDER = ("eq", "ne", "ge", "gt", "le", "lt")
_SQL = {"eq": "=", "ne": "<>", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}

_IDS = {"id": Property("id", Kind.TEXT, ("startswith", *_ORDER))}
_TIMES = {
    "stateTransitionTime": Property("changed", Kind.TIME, _ORDER),
    "creationTime": Property("created", Kind.TIME, _ORDER),
    "lastModified": Property("modified", Kind.TIME, _ORDER),
    "executionInfo/startTime": Property("started", Kind.TIME, _ORDER),
    "executionInfo/endTime": Property("ended", Kind.TIME, _ORDER),
}
_TASK_PROPERTIES = {
    **_IDS,
    "state": Property("state", Kind.TASK_STATE, _EQUALITY),
    **_TIMES,
    "lastModifiedTime": Property("modified", Kind.TIME, _ORDER),
    "executionInfo/exitCode": Property("exit_code", Kind.NUMBER, _ORDER),
    "executionInfo/result": Property("state", Kind.TASK_RESULT, _EQUALITY),
}
_JOB_PROPERTIES = {
    **_IDS,
    "state": Property("state", Kind.JOB_STATE, _EQUALITY),
    **_TIMES,
    "executionInfo/poolId": Property("pool", Kind.TEXT, ("startswith", *_ORDER)),
}

_ALL_STATES = frozenset(TaskState)
_UNFINISHED = frozenset((TaskState.ACTIVE, TaskState.PREPARING, TaskState.RUNNING))
_BY_STATE = {name: frozenset(state for state in TaskState if state.spelled == name) for name in STATES}
_BY_RESULT = {
    "success": frozenset((TaskState.SUCCEEDED,)),
    "failure": frozenset((TaskState.FAILED,)),
}
_JOB_STATES = ("active", "disabling", "disabled", "enabling", "terminating", "completed", "deleting")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of a column with a value."""

    column: str
    operator: str
    value: str | int


@dataclass(frozen=True, slots=True)
class States:
    """A test that a task is in one of some states."""

    states: frozenset[TaskState]


@dataclass(frozen=True, slots=True)
class And:
    """A conjunction."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """A disjunction."""

    parts: tuple[Node, ...]


Node = Comparison | States | And | Or


def task_filter(text: str) -> SqlCondition:
    """Return the condition for a list of tasks.

    The condition needs no parentheses beside other conditions. If only unfinished tasks can match, it begins
    with ``state < 3``, for which there is an index; if no task can match, it is ``0``.

    Raises:
        FilterError: The filter is invalid.
    """
    node = _Parser(text, _TASK_PROPERTIES, "task").parse()
    states = _possible_states(node)
    if not states:
        return "0", ()
    condition, parameters = _condition(node)
    return (f"state < 3 AND {condition}" if states <= _UNFINISHED else condition), parameters


def job_filter(text: str) -> SqlCondition:
    """Return the condition for a list of jobs; it needs no parentheses beside other conditions.

    Raises:
        FilterError: The filter is invalid.
    """
    return _condition(_Parser(text, _JOB_PROPERTIES, "job").parse())


class _Token(NamedTuple):
    kind: str  # A group of _TOKEN, or "end".
    text: str
    at: int


_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<mark>[(),])
    | (?P<time>(?i:datetime)'(?:[^']|'')*+')
    | (?P<text>'(?:[^']|'')*+')
    | (?P<stamp>[0-9]{4}-[0-9]{2}-[0-9]{2}[0-9T:.Z+-]*)
    | (?P<number>-?[0-9]+)
    | (?P<word>[A-Za-z][A-Za-z0-9_./]*)
    """,
    re.VERBOSE,
)
_FORBIDDEN = re.compile("[\0\ud800-\udfff]")


def _tokens(text: str) -> list[_Token]:
    """Return the tokens of a filter, and an end token."""
    if len(text) > MAX_LENGTH:
        raise FilterError(MAX_LENGTH, f"a filter has at most {MAX_LENGTH} characters")
    if unfit := _FORBIDDEN.search(text):
        raise FilterError(unfit.start(), f"{show(unfit[0])} cannot be in a filter")
    tokens = []
    at = 0
    apart = True
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            open_end = text[at] == "'"
            raise FilterError(at, "a string without its end" if open_end else f"unexpected {show(text[at])}")
        kind = match.lastgroup or ""
        separates = kind in ("space", "mark")
        if not (apart or separates):
            raise FilterError(at, f"a space is missing before {show(match[0])}")
        if kind != "space":
            tokens.append(_Token(kind, match[0], at))
        at, apart = match.end(), separates
    tokens.append(_Token("end", "", at))
    return tokens


class _Parser:
    """A recursive-descent parser of filters."""

    def __init__(self, text: str, properties: Mapping[str, Property], noun: str) -> None:
        self._tokens = iter(_tokens(text))
        self._token = next(self._tokens)
        self._properties = properties
        self._noun = noun
        self._depth = 0

    def parse(self) -> Node:
        node = self._or()
        if self._token.kind != "end":
            raise self._unexpected("'and', 'or' or the end")
        return node

    def _or(self) -> Node:
        parts = [self._and()]
        while self._accept("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self) -> Node:
        parts = [self._term()]
        while self._accept("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _term(self) -> Node:
        start = self._token
        if self._accept("("):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise FilterError(start.at, f"parentheses are nested more than {MAX_DEPTH} deep")
            node = self._or()
            self._expect(")")
            self._depth -= 1
            return node
        word = self._next("word", "a property")
        if self._accept("("):
            return self._function(word)
        prop = self._property(word)
        operator = self._next("word", "an operator")
        name = operator.text.lower()
        if name not in prop.operators or name not in _SQL:
            raise _no_operator(operator, word, prop)
        return self._comparison(prop, name)

    def _function(self, word: _Token) -> Node:
        if word.text.lower() != "startswith":
            raise FilterError(word.at, f"there is no function {show(word.text)}; there is startswith")
        named = self._next("word", "a property")
        prop = self._property(named)
        if "startswith" not in prop.operators:
            raise _no_operator(word, named, prop)
        self._expect(",")
        node = self._comparison(prop, "startswith")
        self._expect(")")
        return node

    def _property(self, word: _Token) -> Property:
        if word.text in self._properties:
            return self._properties[word.text]
        if self._noun == "task" and word.text.startswith("nodeInfo/"):
            raise FilterError(word.at, f"no filter by {show(word.text)}: the emulator has no nodes")
        known = ", ".join(self._properties)
        raise FilterError(word.at, f"no filter of {self._noun}s by {show(word.text)}, only by {known}")

    def _comparison(self, prop: Property, operator: str) -> Node:
        """Parse the value of a comparison, and return the comparison."""
        if prop.kind is Kind.TASK_STATE:
            states = _BY_STATE[self._name("state", _BY_STATE)]
            return States(states if operator == "eq" else _ALL_STATES - states)
        if prop.kind is Kind.TASK_RESULT:
            states = _BY_RESULT[self._name("result", _BY_RESULT)]
            # A task without a result matches no comparison.
            return States(states if operator == "eq" else _ALL_STATES - _UNFINISHED - states)
        value: str | int
        if prop.kind is Kind.JOB_STATE:
            value = self._name("state", _JOB_STATES)
        elif prop.kind is Kind.TIME:
            value = self._time()
        elif prop.kind is Kind.NUMBER:
            value = self._number()
        else:
            value = _unquoted(self._next("text", "a string in single quotation marks"))
        return Comparison(prop.column, operator, value)

    def _name(self, noun: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
        token = self._next("text", f"a {noun} in single quotation marks")
        given = _unquoted(token)
        if given.lower() not in known:
            raise FilterError(
                token.at, f"a {self._noun} has no {noun} {show(given)}, only {', '.join(known)}"
            )
        return given.lower()

    def _number(self) -> int:
        token = self._next("number", "a whole number")
        value = int(token.text)
        if value not in _INT32:
            raise FilterError(token.at, "the number has more than 32 bits")
        return value

    def _time(self) -> int:
        token = self._token
        if token.kind == "stamp":
            value = parse_timestamp(self._next("stamp", "").text)
        else:
            literal = self._next("time", "a time like DateTime'2024-07-01T12:00:00Z'")
            value = _quoted_time(_unquoted(literal))
        if value is None:
            raise FilterError(token.at, f"{show(token.text)} is no time like DateTime'2024-07-01T12:00:00Z'")
        return value

    def _next(self, kind: str, noun: str) -> _Token:
        """Consume the token if it is of a kind, and return it."""
        token = self._token
        if token.kind != kind:
            raise self._unexpected(noun)
        self._token = next(self._tokens)
        return token

    def _accept(self, text: str) -> bool:
        """Consume the token if it is this word or mark, and return whether it is."""
        # A string token never equals a word, since it includes its quotation marks.
        if self._token.text.lower() != text:
            return False
        self._token = next(self._tokens)
        return True

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            raise self._unexpected(f"'{mark}'")

    def _unexpected(self, noun: str) -> FilterError:
        found = show(self._token.text) if self._token.kind != "end" else "the end"
        return FilterError(self._token.at, f"expected {noun}, found {found}")


def _unquoted(token: _Token) -> str:
    return token.text[token.text.index("'") + 1 : -1].replace("''", "'")


def _quoted_time(text: str) -> int | None:
    us = parse_timestamp(text)
    if us is None and (date := parse_date(text)) is not None:
        us = int(date.timestamp()) * 1_000_000
    return us


def _no_operator(operator: _Token, named: _Token, prop: Property) -> FilterError:
    known = (f"startswith({named.text}, '…')" if name == "startswith" else name for name in prop.operators)
    return FilterError(
        operator.at, f"{named.text} cannot be asked {show(operator.text)}, only {', '.join(known)}"
    )


def _possible_states(node: Node) -> frozenset[TaskState]:
    """Return the states of tasks that can match; all if the filter does not restrict them."""
    if isinstance(node, States):
        return node.states
    if isinstance(node, And):
        return _ALL_STATES.intersection(*map(_possible_states, node.parts))
    if isinstance(node, Or):
        return frozenset().union(*map(_possible_states, node.parts))
    return _ALL_STATES


class _Sql(NamedTuple):
    text: str
    parameters: tuple[object, ...]
    stack_depth: int  # The places in the stack of SQLite's parser.


def _condition(node: Node) -> SqlCondition:
    sql = _to_sql(node)
    if isinstance(node, Or):
        sql = _parenthesized(sql)
    return sql.text, sql.parameters


def _to_sql(node: Node) -> _Sql:
    if isinstance(node, States):
        # Literals instead of parameters, so that SQLite's planner sees them.
        numbers = ", ".join(str(int(state)) for state in sorted(node.states))
        return _Sql(f"state IN ({numbers})" if len(node.states) > 1 else f"state = {numbers}", (), 0)
    if isinstance(node, Comparison):
        if node.operator != "startswith":
            return _Sql(f"{node.column} {_SQL[node.operator]} ?", (node.value,), 0)
        # A range uses the column's collation and its index; no id contains the last of all characters.
        return _Sql(f"{node.column} >= ? AND {node.column} < ?", (node.value, f"{node.value}\U0010ffff"), 0)
    parts = [_to_sql(part) for part in node.parts]
    if isinstance(node, And):
        parts = [
            _parenthesized(part) if isinstance(child, Or) else part
            for part, child in zip(parts, node.parts, strict=True)
        ]
    # Before SQLite 3.46 its parser had a stack of 100 places, and an operand on the left of a deep one takes
    # two of them while that is parsed. So the deepest operand comes first.
    parts.sort(key=lambda part: part.stack_depth, reverse=True)
    return _Sql(
        (" AND " if isinstance(node, And) else " OR ").join(part.text for part in parts),
        tuple(parameter for part in parts for parameter in part.parameters),
        max(parts[0].stack_depth, parts[1].stack_depth + 2),
    )


def _parenthesized(part: _Sql) -> _Sql:
    return _Sql(f"({part.text})", part.parameters, part.stack_depth + 1)
