"""Strategies of Hypothesis: bodies that keep to the fragment or break it, built from the fragment itself."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from taskcounts_rest import contract

INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}


def with_ranges(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of the fragment with the range of int32 spelled out, as validators don't know it."""
    changed = dict(schema)
    if schema.get("format") == "int32":
        changed |= INT32 | {key: schema[key] for key in ("minimum", "maximum") if key in schema}
    if "properties" in schema:
        changed["properties"] = {name: with_ranges(each) for name, each in schema["properties"].items()}
    if "items" in schema:
        changed["items"] = with_ranges(schema["items"])
    return changed


RESULTS = {name: with_ranges(operation.result) for name, operation in contract.OPERATIONS.items()}
RESULT = RESULTS["Job_GetTaskCounts"]
ERROR = with_ranges(contract.ERROR)


def _generated(schema: dict[str, Any], mode: GenerationMode) -> st.SearchStrategy[Any]:
    """Return bodies as schemathesis makes them up, for a throwaway operation that takes the schema."""
    content = {"application/json": {"schema": schema}}
    operation = {
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "Taken."}},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Throwaway", "version": "1"},
        "paths": {"/bodies": {"post": operation}},
    }
    cases = schemathesis.openapi.from_dict(document)["/bodies"]["POST"].as_strategy(generation_mode=mode)
    return cases.map(lambda case: case.body)


def _whole(value: Any) -> Any:
    """Write 5.0 as 5: the same number to a schema, not to the contract."""
    if isinstance(value, dict):
        return {name: _whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 2)
    | st.sampled_from([2**31 - 1, 2**31, -(2**31), 2**63, 10**40])
    # 5.0 is an integer to JSON Schema and none to the contract; it has tests of its own.
    | st.integers(-(2**20), 2**20).map(lambda n: n + 0.5)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip

counters = st.integers(0, 2**31 - 1)


@st.composite
def counts(draw: st.DrawFn) -> dict[str, Any]:
    """Five counters and perhaps members that nobody knows."""
    more = draw(st.dictionaries(st.text(min_size=1), json_values, max_size=2))
    return more | {name: draw(counters) for name in ("active", "running", "completed", "succeeded", "failed")}


results = st.builds(
    lambda more, tasks, slots: more | {"taskCounts": tasks, "taskSlotCounts": slots},
    st.dictionaries(st.text(min_size=1), json_values, max_size=2),
    counts(),
    counts(),
)
"""Conforming bodies of a 200, spread over the whole range of the counters."""

conforming = _generated(RESULT, GenerationMode.POSITIVE).map(_whole) | results
violating = _generated(RESULT, GenerationMode.NEGATIVE)
answers = {name: _generated(schema, GenerationMode.POSITIVE).map(_whole) for name, schema in RESULTS.items()}
"""Conforming bodies of a 200, for each operation."""


@st.composite
def near_misses(draw: st.DrawFn, bodies: st.SearchStrategy[Any]) -> Any:
    """A body with one place of it, wherever that is, exchanged for any JSON value or removed."""
    body = json.loads(json.dumps(draw(bodies)))
    places: list[tuple[Any, Any]] = []

    def collect(value: Any) -> None:
        keys = (
            list(value)
            if isinstance(value, dict)
            else list(range(len(value)))
            if isinstance(value, list)
            else []
        )
        for key in keys:
            places.append((value, key))
            collect(value[key])

    collect(body)
    if not places:
        return draw(json_values)
    place, key = draw(st.sampled_from(places))
    if draw(st.booleans()):
        del place[key]
    else:
        place[key] = draw(json_values)
    return body


errors = st.fixed_dictionaries(
    {},
    optional={
        "code": st.text(),
        "message": st.fixed_dictionaries({}, optional={"lang": st.text(), "value": st.text()}),
        "values": st.lists(
            st.fixed_dictionaries({}, optional={"key": st.text(), "value": st.text()}), max_size=3
        ),
        "odata.metadata": st.text(),
    },
)
"""Conforming bodies of an error."""

header_texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30
)
"""Any value of a header, as httpx decodes it."""

HEADERS = [
    "content-type",
    "content-encoding",
    "client-request-id",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "date",
    "location",
]
retry_afters = st.one_of(
    st.integers(0, 10**6).map(str),
    st.floats(0, 1e6).map(lambda x: f"{x:.3f}"),
    st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    st.from_regex(
        r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d\d?:\d\d:\d\d [+-]\d{1,6}", fullmatch=True
    ),
    st.text(max_size=30),
    header_texts,
)
headers = st.dictionaries(
    st.sampled_from(HEADERS),
    st.sampled_from(["application/json", "gzip", "identity", "https://[", "//", "https://a.example/x"])
    | header_texts
    | retry_afters.filter(str.isascii).filter(str.isprintable),
)
