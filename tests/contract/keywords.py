"""The keywords of the fragment's schemas: which of them a run has tested, and requests that test each.

A keyword of a parameter is tested both ways by a request that keeps to all of the fragment and has the
parameter, and by another one that breaks this keyword and nothing else.
A keyword of an answer is tested by an answer that has what it is about. That a breach of it would be found is
what the mutants prove.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from contract.target import Answered, Asked
from taskcounts.protocol.answers import read_json
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts_rest import contract

OPENAPI = Path(__file__).parents[2] / "generated" / "openapi"

# What can't be broken by any request, and why.
UNBREAKABLE = {
    ("type", "string"): "a request carries nothing but text",
    ("minLength", "path"): "the path would be another one",
    ("required", "path"): "the path would be another one",
}
# What can't be broken alone: a longer id isn't of the pattern, and no other number is above the maximum.
TOGETHER = {("jobId", "maxLength"): {"pattern"}, ("maxresults", "format"): {"maximum"}}

# The parts of answers that the emulator never sends: each of its jobs can be started, and it is never busy
# unless a fault says so. The mutants send them.
NEVER_COMES = ("schedulingError", "retry-after")

_FORMATS = {
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "date-time-rfc1123": r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
}
_TYPES = {"integer": "-?[0-9]{1,99}", "boolean": "true|false", "string": "(?s:.*)"}


class Keyword(NamedTuple):
    """A keyword of a parameter of an operation."""

    operation: str
    parameter: str
    name: str

    def __str__(self) -> str:
        return f"{self.operation} {self.parameter} {self.name}"


class Request(NamedTuple):
    """A request: which keyword it breaks, None for none, its path and query, and its headers."""

    breaks: Keyword | None
    target: str
    headers: dict[str, str]


@cache
def fragment(api_version: str) -> Any:
    """Return the OpenAPI description of a version."""
    return json.loads((OPENAPI / f"{api_version}.json").read_bytes())


@cache
def parameters(api_version: str, operation: str) -> dict[str, Any]:
    """Return the parameters of an operation by name, each as the description has it."""
    described = fragment(api_version)
    path = contract.VERSIONS[api_version][operation].path
    names = [entry["$ref"].rpartition("/")[2] for entry in described["paths"][path]["get"]["parameters"]]
    found = [described["components"]["parameters"][name] for name in names]
    return {parameter["name"]: parameter for parameter in found}


def keywords_of(parameter: dict[str, Any]) -> dict[str, str | None]:
    """Return the keywords of a parameter, each with the reason why no request can break it, or None."""
    names = [name for name in parameter["schema"] if name != "default"]
    names += ["required"] if parameter["required"] else []
    return {
        name: UNBREAKABLE.get((name, parameter["in"]))
        or UNBREAKABLE.get((name, parameter["schema"].get(name)))
        for name in names
    }


def broken(parameter: dict[str, Any], text: str | None) -> set[str]:
    """Return the keywords of a parameter that a value breaks; None is that of a parameter that isn't sent."""
    schema = parameter["schema"]
    if text is None:
        return {"required"} if parameter["required"] else set()
    if not re.fullmatch(_TYPES[schema["type"]], text):
        return {"type"}
    number = int(text) if schema["type"] == "integer" else 0
    kept: dict[str, Callable[[Any], object]] = {
        "format": lambda format_: (
            -(2**31) <= number < 2**31 if format_ == "int32" else re.fullmatch(_FORMATS[format_], text)
        ),
        "minimum": lambda least: number >= least,
        "maximum": lambda most: number <= most,
        "minLength": lambda least: len(text) >= least,
        "maxLength": lambda most: len(text) <= most,
        "pattern": lambda pattern: re.fullmatch(pattern, text),
        "const": lambda only: text == only,
    }
    return {name for name, holds in kept.items() if name in schema and not holds(schema[name])}


def right_value(parameter: dict[str, Any], job: str) -> str:
    """Return a value of a parameter that breaks nothing: a job that exists, the time, or the example."""
    if parameter["name"] in ("jobId", "ocp-date"):
        return job if parameter["name"] == "jobId" else format_datetime(datetime.now(UTC), usegmt=True)
    value = parameter.get("example", parameter["schema"].get("const"))
    return str(value).lower() if isinstance(value, bool) else str(value)


def wrong_value(parameter: dict[str, Any], keyword: str) -> str | None:
    """Return a value that breaks one keyword of a parameter; None stands for leaving it out.

    Raises:
        LookupError: None of the values here does; a new keyword wants a new one.
    """
    schema = parameter["schema"]
    example, length = str(parameter.get("example", "")), schema.get("maxLength", 128) + 1
    bounds = (schema.get("minimum", 0) - 1, schema.get("maximum", 0) + 1, 2**31)
    candidates: list[str | None] = [
        None,
        *map(str, bounds),
        "no.such",
        f"{{{example}}}",
        example[:1] * length,
    ]
    wanted = {keyword} | TOGETHER.get((parameter["name"], keyword), set())
    return [value for value in candidates if broken(parameter, value) == wanted][0]  # noqa: RUF015 - its error.


def requests(api_version: str, job: str) -> Iterator[Request]:
    """Yield, for each operation, a request with every parameter, and one that breaks each keyword."""
    for operation in contract.VERSIONS[api_version]:
        known = parameters(api_version, operation)
        right = {name: right_value(parameter, job) for name, parameter in known.items()}
        yield _request(api_version, None, operation, right)
        needed = {name: value for name, value in right.items() if known[name]["required"]}
        for name, parameter in known.items():
            for keyword, reason in keywords_of(parameter).items():
                if reason is None:
                    values = needed | {name: wrong_value(parameter, keyword)}
                    yield _request(api_version, Keyword(operation, name, keyword), operation, values)


def _request(
    api_version: str, breaks: Keyword | None, operation: str, values: Mapping[str, str | None]
) -> Request:
    path, query, headers = contract.VERSIONS[api_version][operation].path, [], {}
    for name, parameter in parameters(api_version, operation).items():
        value = values.get(name)
        if value is None:
            continue
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        elif parameter["in"] == "query":
            query.append(f"{name}={quote(value, safe='')}")
        else:
            headers[name] = value
    return Request(breaks, f"{path}?{'&'.join(query)}", headers)


@dataclass
class Coverage:
    """The keywords that a run has tested, as it goes.

    Attributes:
        api_version: The version of the fragment.
        kept: The keywords of parameters that a request kept to, while it broke none.
        broke: Those that a request broke, each alone.
        seen: The keywords of answers that an answer has what they are about.
    """

    api_version: str
    kept: set[Keyword] = field(default_factory=set)
    broke: set[Keyword] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def see(self, answered: Answered) -> None:
        """Note what an exchange tests."""
        operation = answered.asked.operation
        if operation is None or answered.asked.method != "GET":
            return
        known = parameters(self.api_version, operation)
        values = {name: _sent(answered.asked, operation, parameter) for name, parameter in known.items()}
        wrong = {name: broken(known[name], value) for name, value in values.items()}
        if not any(wrong.values()):
            self.kept |= {
                Keyword(operation, name, keyword)
                for name, value in values.items()
                if value is not None
                for keyword in keywords_of(known[name])
            }
        for name, names in wrong.items():
            if sum(map(len, wrong.values())) == len(names):
                self.broke |= {
                    Keyword(operation, name, keyword)
                    for keyword in names
                    if names == {keyword} | TOGETHER.get((name, keyword), set())
                }
        kind = "200" if answered.status == 200 else "error"
        with suppress(Violation):
            body = answered.conforming(operation) if kind == "200" else _error(answered)
            shown = {"headers": answered.headers} | ({"body": body} if body is not None else {})
            schema = _answer_schema(answered.asked.operations[operation], kind)
            self.seen.update(_walk(schema, f"{operation} {kind}", shown))

    def requests_text(self) -> str:
        """Return how many keywords of requests were tested both ways, and which were not."""
        reasons, missing = self._reasons(), self.missing()
        both = {keyword for keyword, reason in reasons.items() if reason is None}
        text = f"keywords: {len(both - missing)} of {len(both)} tested both ways"
        for reason, count in Counter(filter(None, reasons.values())).items():
            text += f"; {count} can't be broken, since {reason}"
        return text + (f"; not tested: {', '.join(map(str, sorted(missing)))}" if missing else "")

    def answers_text(self) -> str:
        """Return how many keywords of answers were checked, and the parts that came in no answer."""
        every = self._of_answers()
        never = {place for place in every - self.seen if any(part in place for part in NEVER_COMES)}
        missing = sorted({place.rpartition(" ")[0].partition(".")[2] for place in self.missing_answers()})
        text = f"answers: {len(every & self.seen)} of {len(every - never)} keywords checked"
        if never:
            parts = [part for part in NEVER_COMES if any(part in place for place in never)]
            text += f"; {len(never)} of {' and '.join(parts)} didn't come, and are left to the mutants"
        return text + (f"; nothing came of {', '.join(missing)}" if missing else "")

    def missing_answers(self) -> set[str]:
        """Return the keywords of answers that no answer had, but for those that never come."""
        every = self._of_answers()
        return {place for place in every - self.seen if not any(part in place for part in NEVER_COMES)}

    def _of_answers(self) -> set[str]:
        return {
            keyword
            for name, operation in contract.VERSIONS[self.api_version].items()
            for kind in ("200", "error")
            for keyword in _walk(_answer_schema(operation, kind), f"{name} {kind}")
        }

    def missing(self) -> set[Keyword]:
        """Return the keywords of requests that were not tested both ways, or in the one way that there is."""
        return {
            keyword
            for keyword, reason in self._reasons().items()
            if keyword not in self.kept or (reason is None and keyword not in self.broke)
        }

    def _reasons(self) -> dict[Keyword, str | None]:
        """Return all keywords of requests, each with the reason why no request can break it, or None."""
        return {
            Keyword(operation, name, keyword): reason
            for operation in contract.VERSIONS[self.api_version]
            for name, parameter in parameters(self.api_version, operation).items()
            for keyword, reason in keywords_of(parameter).items()
        }


def _sent(asked: Asked, operation: str, parameter: dict[str, Any]) -> str | None:
    """Return the value of a parameter in a request, None if it isn't there."""
    name = parameter["name"]
    if parameter["in"] == "query":
        return asked.query.get(name.lower())
    if parameter["in"] == "header":
        return asked.headers.get(name)
    path = asked.operations[operation].path.replace(f"{{{name}}}", "([^/]+)")
    found = re.fullmatch(path, asked.target.partition("?")[0])
    return unquote(found[1]) if found else None


_check_error = compile_schema(contract.ERROR)


def _error(answered: Answered) -> Any:
    error = read_json(answered.headers, answered.body)
    _check_error(error)
    return error


def _answer_schema(operation: contract.Operation, kind: str) -> dict[str, Any]:
    """Return the schema of a whole answer: its headers, with names in lower case, and its body."""
    headers = operation.headers if kind == "200" else operation.error_headers
    body = operation.result if kind == "200" else contract.ERROR
    by_name = {name.lower(): schema for name, schema in headers.items()}
    return {"properties": {"headers": {"properties": by_name}, "body": body}}


_ANY: Any = object()


def _walk(schema: dict[str, Any], place: str, value: Any = _ANY) -> Iterator[str]:
    """Yield the keywords of a schema, each with its place; with a value, those that it has a part for."""
    yield from (
        f"{place} {name}"
        for name, setting in schema.items()
        if name not in ("properties", "items") and setting is not False
    )
    for name, inner in schema.get("properties", {}).items():
        if value is _ANY or name in value:
            yield from _walk(inner, f"{place}.{name}", value if value is _ANY else value[name])
    if "items" in schema:
        for item in [_ANY] if value is _ANY else value:
            yield from _walk(schema["items"], f"{place}[]", item)
