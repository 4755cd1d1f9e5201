"""`make drift` finds every kind of difference between our description and a published one."""

from __future__ import annotations

import copy
import datetime
import json
import runpy
import shutil
import sys
from collections.abc import Callable
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from taskcounts_rest import contract

PROJECT = Path(__file__).parents[2]
COUNTS = "GET /jobs/{jobId}/taskcounts"
HEADINGS = (COUNTS, "every operation")
# An operation in either form of description; what they say is the same.
SWAGGER: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Published", "version": "2024-01-01"},
    "schemes": ["https"],
    "x-ms-parameterized-host": {"hostTemplate": "{batchUrl}", "useSchemePrefix": False},
    "consumes": ["application/json"],
    "produces": ["application/json"],
    "security": [{"entra": ["default"]}, {"key": []}],
    "securityDefinitions": {
        "entra": {
            "type": "oauth2",
            "flow": "accessCode",
            "authorizationUrl": "a",
            "tokenUrl": "t",
            "scopes": {},
        },
        "key": {"type": "apiKey", "in": "header", "name": "Authorization"},
    },
    "paths": {
        "/jobs/{jobId}/taskcounts": {
            "parameters": [{"$ref": "#/parameters/jobId"}],
            "get": {
                "operationId": "Jobs_Count",
                "parameters": [
                    {"$ref": "#/parameters/size"},
                    {"$ref": "#/parameters/select"},
                    {"$ref": "#/parameters/date"},
                ],
                "responses": {
                    "200": {
                        "headers": {"ETag": {"type": "string", "format": "date-time-rfc7231"}},
                        "schema": {"$ref": "#/definitions/Counts"},
                    },
                    "default": {"schema": {"$ref": "#/definitions/Error"}},
                },
            },
        }
    },
    "parameters": {
        "jobId": {"name": "jobId", "in": "path", "required": True, "type": "string", "pattern": "^a$"},
        "size": {
            "name": "maxresults",
            "in": "query",
            "type": "integer",
            "format": "int32",
            "default": 1000,
            "minimum": 0,
            "exclusiveMinimum": True,
            "maximum": 1000,
        },
        "select": {"name": "$select", "in": "query", "type": "array", "items": {"type": "string"}},
        "date": {"name": "ocp-date", "in": "header", "type": "string", "format": "date-time-rfc1123"},
    },
    "definitions": {
        "Base": {"required": ["active"], "properties": {"active": {"type": "integer", "format": "int32"}}},
        "Counts": {
            "allOf": [{"$ref": "#/definitions/Base"}],
            "type": "object",
            "required": ["state"],
            "properties": {
                "state": {"$ref": "#/definitions/State"},
                "tasks": {"type": "array", "items": {"$ref": "#/definitions/Task"}},
            },
        },
        "State": {"type": "string", "enum": ["on", "off"], "x-ms-enum": {"modelAsString": True}},
        "Task": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        "Error": {"type": "object", "properties": {"code": {"type": "string", "x-nullable": True}}},
    },
}
OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Published", "version": "2024-01-01"},
    "servers": [{"url": "{batchUrl}", "variables": {"batchUrl": {"default": "https://account"}}}],
    "x-consumes": ["application/json"],
    "security": [{"oauth": ["default"]}, {"signature": []}],
    "paths": {
        "/jobs/{jobId}/taskcounts": {
            "get": {
                "operationId": "Job_GetTaskCounts",
                "parameters": [
                    {"$ref": "#/components/parameters/jobId"},
                    {"$ref": "#/components/parameters/size"},
                    {"$ref": "#/components/parameters/select"},
                    {"$ref": "#/components/parameters/date"},
                ],
                "responses": {
                    "200": {
                        "headers": {"ETag": {"schema": {"type": "string", "format": "date-time-rfc1123"}}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Counts"}}},
                    },
                    "default": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
                    },
                },
            },
        }
    },
    "components": {
        "securitySchemes": {
            "oauth": {
                "type": "oauth2",
                "flows": {"authorizationCode": {"authorizationUrl": "a", "tokenUrl": "t", "scopes": {}}},
            },
            "signature": {"type": "apiKey", "in": "header", "name": "authorization"},
        },
        "parameters": {
            "jobId": {
                "name": "jobId",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^a$"},
            },
            "size": {
                "name": "maxresults",
                "in": "query",
                "schema": {
                    "type": "integer",
                    "format": "int32",
                    "default": 1000,
                    "exclusiveMinimum": 0,
                    "maximum": 1000,
                },
            },
            "select": {
                "name": "$select",
                "in": "query",
                "explode": False,
                "schema": {"type": "array", "items": {"type": "string"}},
            },
            "date": {
                "name": "ocp-date",
                "in": "header",
                "schema": {"type": "string", "format": "date-time-rfc1123"},
            },
        },
        "schemas": {
            "Counts": {
                "type": "object",
                "required": ["active", "state"],
                "properties": {
                    "active": {"type": "integer", "format": "int32"},
                    "state": {"type": "string", "x-known-values": ["off", "on"]},
                    "tasks": {"type": "array", "items": {"$ref": "#/components/schemas/Task"}},
                },
            },
            "Task": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
            "Error": {"type": "object", "properties": {"code": {"type": ["string", "null"]}}},
        },
    },
}
# Where the two forms keep what an edit changes.
ROOTS = {
    "parameter": ("parameters {}", "components parameters {} schema"),
    "place": ("parameters {}", "components parameters {}"),
    "schema": ("definitions {}", "components schemas {}"),
    "operation": ("paths /jobs/{{jobId}}/taskcounts {}", "paths /jobs/{{jobId}}/taskcounts {}"),
    "swagger": ("{}", ""),
    "openapi": ("", "{}"),
}
GONE = object()
ABSENT, EXTRA = "published, and not described here", "described here, and not published"
# The root and place of an edit of the published description, the new value, and the line that tells of it.
DIFFERENCES: list[tuple[str, str, object, str]] = [
    ("operation", "get", GONE, f"{COUNTS}: {EXTRA}"),
    # Parameters.
    ("place", "size name", "maxResults", f"{COUNTS} > query maxResults: {ABSENT}"),
    ("place", "size name", "maxResults", f"{COUNTS} > query maxresults: {EXTRA}"),
    ("place", "size in", "header", f"{COUNTS} > header maxresults: {ABSENT}"),
    ("place", "size required", True, f"{COUNTS} > query maxresults > required: published true, here false"),
    ("parameter", "size type", "number",
     f'{COUNTS} > query maxresults > type: published "number", here "integer"'),
    ("parameter", "size format", "int64",
     f'{COUNTS} > query maxresults > format: published "int64", here "int32"'),
    ("parameter", "size default", 100, f"{COUNTS} > query maxresults > default: published 100, here 1000"),
    ("parameter", "size default", GONE, f"{COUNTS} > query maxresults > default: published none, here 1000"),
    ("parameter", "size maximum", 999, f"{COUNTS} > query maxresults > maximum: published 999, here 1000"),
    ("parameter", "size multipleOf", 10,
     f"{COUNTS} > query maxresults > multipleOf: published 10, here none"),
    ("swagger", "parameters size minimum", 1,
     f"{COUNTS} > query maxresults > exclusiveMinimum: published 1, here 0"),
    ("swagger", "parameters size exclusiveMinimum", False,
     f"{COUNTS} > query maxresults > minimum: published 0, here none"),
    ("parameter", "jobId pattern", "^b$", f'{COUNTS} > path jobId > pattern: published "^b$", here "^a$"'),
    ("parameter", "jobId maxLength", 64, f"{COUNTS} > path jobId > maxLength: published 64, here none"),
    ("parameter", "jobId enum", ["b", "a"],
     f'{COUNTS} > path jobId > values: published ["a", "b"], here none'),
    ("parameter", "jobId enum", ["b", "a"],
     f'{COUNTS} > path jobId > other values: published "refused", here none'),
    ("parameter", "select type", "string",
     f'{COUNTS} > query $select > type: published "string", here "array"'),
    ("parameter", "select items type", "integer",
     f'{COUNTS} > query $select[] > type: published "integer", here "string"'),
    ("swagger", "parameters select collectionFormat", "multi",
     f'{COUNTS} > query $select > list format: published "multi", here "csv"'),
    ("openapi", "components parameters select explode", True,
     f'{COUNTS} > query $select > list format: published "multi", here "csv"'),
    ("openapi", "components parameters select style", "pipeDelimited",
     f'{COUNTS} > query $select > list format: published "pipes", here "csv"'),
    ("operation", "get parameters 0", {"name": "top", "in": "query", "type": "string"},
     f"{COUNTS} > query top: {ABSENT}"),
    ("operation", "get parameters 0", {"name": "top", "in": "query", "required": True, "type": "string"},
     f"{COUNTS} > query top > required: published true, here none"),
    ("swagger", "paths /jobs/{jobId}/taskcounts get parameters 0",
     {"name": "task", "in": "body", "schema": {"type": "object"}}, f"{COUNTS} > body task: {ABSENT}"),
    ("openapi", "paths /jobs/{jobId}/taskcounts get requestBody",
     {"content": {"application/json": {"schema": {}}}}, f"{COUNTS} > body body: {ABSENT}"),
    # Responses.
    ("operation", "get responses 202", {"description": ""}, f"{COUNTS} > 202: {ABSENT}"),
    ("operation", "get responses default", GONE, f"{COUNTS} > default: {EXTRA}"),
    ("operation", "get responses 200 headers ETag", GONE, f"{COUNTS} > 200 > header etag: {EXTRA}"),
    ("operation", "get responses 200 headers Age", {"type": "string"},
     f"{COUNTS} > 200 > header age: {ABSENT}"),
    ("swagger", "paths /jobs/{jobId}/taskcounts get responses 200 headers ETag format", "uuid",
     f'{COUNTS} > 200 > header etag > format: published "uuid", here "date-time-rfc1123"'),
    ("openapi", "paths /jobs/{jobId}/taskcounts get responses 200 headers ETag required", True,
     f"{COUNTS} > 200 > header etag > required: published true, here false"),
    ("swagger", "paths /jobs/{jobId}/taskcounts get responses 200 schema", GONE,
     f"{COUNTS} > 200 > body: {EXTRA}"),
    ("openapi", "paths /jobs/{jobId}/taskcounts get responses 200 content", GONE,
     f"{COUNTS} > 200 > body: {EXTRA}"),
    # Bodies.
    ("swagger", "definitions Base required", GONE,
     f"{COUNTS} > 200 > body.active > required: published false, here true"),
    ("openapi", "components schemas Counts required", ["active", "state", "tasks"],
     f"{COUNTS} > 200 > body.tasks > required: published true, here false"),
    ("schema", "Counts required", ["more"], f"{COUNTS} > 200 > body.more: {ABSENT}"),
    ("schema", "Counts properties tasks", GONE, f"{COUNTS} > 200 > body.tasks: {EXTRA}"),
    ("schema", "Counts properties more", {"$ref": "#/nowhere"}, f"{COUNTS} > 200 > body.more: {ABSENT}"),
    ("schema", "Counts properties tasks items", {"type": "string"},
     f'{COUNTS} > 200 > body.tasks[] > type: published "string", here "object"'),
    ("schema", "Counts properties active", {"type": "string"},
     f'{COUNTS} > 200 > body.active > type: published "string", here "integer"'),
    ("schema", "Task properties id format", "uuid",
     f'{COUNTS} > 200 > body.tasks[].id > format: published "uuid", here none'),
    ("schema", "Task additionalProperties", False,
     f"{COUNTS} > 200 > body.tasks[] > additionalProperties: published false, here none"),
    ("swagger", "definitions State enum", ["on", "off", "new"],
     f'{COUNTS} > 200 > body.state > values: published ["new", "off", "on"], here ["off", "on"]'),
    ("swagger", "definitions State x-ms-enum", GONE,
     f'{COUNTS} > 200 > body.state > other values: published "refused", here "allowed"'),
    ("schema", "Error properties code", {"type": "string"},
     f'{COUNTS} > default > body.code > type: published "string", here "null or string"'),
    ("openapi", "components schemas Error properties code", {"anyOf": [{"type": "string"}]},
     f'{COUNTS} > default > body.code > anyOf: published [{{"type": "string"}}], here none'),
    # Media types, security, base URL.
    ("swagger", "produces", ["text/json"],
     f'{COUNTS} > 200 > media types: published ["text/json"], here ["application/json"]'),
    ("openapi", "paths /jobs/{jobId}/taskcounts get responses 200 content a/b", {"schema": {}},
     f'{COUNTS} > 200 > media types: published ["a/b", "application/json"], here ["application/json"]'),
    ("swagger", "consumes", ["text/json"],
     f'{COUNTS} > consumes: published ["text/json"], here ["application/json"]'),
    ("swagger", "security", [{"entra": ["default"]}],
     f"{COUNTS} > security > apiKey header authorization: {EXTRA}"),
    ("openapi", "security", [{"oauth": ["default"]}],
     f"{COUNTS} > security > apiKey header authorization: {EXTRA}"),
    ("operation", "get security", [{}], f"{COUNTS} > security > nothing: {ABSENT}"),
    ("swagger", "security", [{"entra": [], "key": []}],
     f"{COUNTS} > security > apiKey header authorization and oauth2: {ABSENT}"),
    ("swagger", "security 0 entra", ["a"],
     f'{COUNTS} > security > oauth2 > scopes: published ["a"], here ["default"]'),
    ("swagger", "securityDefinitions entra tokenUrl", "u",
     f'{COUNTS} > security > oauth2 > authorizationCode tokenUrl: published "u", here "t"'),
    ("swagger", "securityDefinitions entra flow", "application",
     f'{COUNTS} > security > oauth2 > clientCredentials tokenUrl: published "t", here none'),
    ("swagger", "x-ms-parameterized-host hostTemplate", "{endpoint}",
     'every operation > base URL: published "{endpoint}", here "{batchUrl}"'),
    ("swagger", "x-ms-parameterized-host", GONE,
     'every operation > base URL: published "https:", here "{batchUrl}"'),
    ("openapi", "servers", [{"url": "https://host/v1/"}],
     'every operation > base URL: published "https://host/v1/", here "{batchUrl}"'),
]  # fmt: skip


# Each edit in the forms that it is for, one of which is written as JSON and the other as YAML.
CASES = [
    pytest.param((form, root, place, value, line), id=f"{form}: {line}")
    for root, place, value, line in DIFFERENCES
    for form in ("swagger", "openapi")
    if ROOTS[root][form == "openapi"]
]


class Drift(NamedTuple):
    """What `make drift` printed, with the operation before each finding, and its exit code."""

    code: int
    lines: list[str]
    error: str


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that describes one operation at two versions and lists no deviation."""
    (tmp_path / "spec").mkdir()
    (tmp_path / "generated" / "openapi").mkdir(parents=True)
    shutil.copy(PROJECT / "spec" / "drift.py", tmp_path / "spec")
    for version in ("2024-01-01", "2025-02-02"):
        described = {**OPENAPI, "info": {"version": version}}
        write(tmp_path / "generated" / "openapi" / f"{version}.json", described)
    write(tmp_path / "spec" / "deviations.yaml", [])
    return tmp_path


@pytest.fixture
def drift(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Drift]:
    """Runs drift.py of the project, in this process."""

    def run(*arguments: object) -> Drift:
        monkeypatch.setattr(sys, "argv", ["drift.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(project / "spec" / "drift.py"), run_name="__main__")
        printed, error = capsys.readouterr()
        lines: list[str] = []
        heading = ""
        for line in printed.splitlines():
            lines.append(f"{heading} > {line.strip()}" if line.startswith("    ") else line.strip())
            heading = heading if line.startswith("    ") else line.strip()
        assert isinstance(ended.value.code, int)
        return Drift(ended.value.code, [line for line in lines if line not in HEADINGS], error)

    return run


def write(path: Path, value: object) -> Path:
    """Write a value as JSON or YAML, whichever the file's name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        if path.suffix == ".json":
            json.dump(value, file)
        else:
            YAML(typ="safe").dump(value, file)
    return path


def edited(form: str, root: str, place: str, value: object) -> dict[str, Any]:
    """Return a description with one edit."""
    document = copy.deepcopy(SWAGGER if form == "swagger" else OPENAPI)
    head, _, tail = place.partition(" ")
    *path, last = f"{ROOTS[root][form == 'openapi'].format(head)} {tail}".split()
    node: Any = document
    for step in path:
        node = node[int(step) if isinstance(node, list) else step]
    place_of_value = int(last) if isinstance(node, list) else last
    if value is GONE:
        del node[place_of_value]
    else:
        node[place_of_value] = value
    return document


def deviation(**members: object) -> dict[str, object]:
    """Return a row of deviations.yaml."""
    return {"where": "here", "published": "this", "here": "that", "why": "so", **members}


@pytest.mark.parametrize("suffix", ["json", "yaml"])
@pytest.mark.parametrize("document", [SWAGGER, OPENAPI], ids=["swagger", "openapi"])
def test_descriptions_that_agree_pass(
    drift: Callable[..., Drift], tmp_path: Path, document: dict[str, Any], suffix: str
) -> None:
    """Names of models and schemes, dates by either name, and how a form says things are no differences."""
    published = write(tmp_path / f"published.{suffix}", document)
    code, lines, error = drift(published)
    assert (code, error) == (0, "")
    assert lines[0].startswith("2024-01-01: 0 of ")
    assert lines[1:] == [f"2025-02-02: not compared, since {published} has no description of it"]


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_difference_is_found(
    drift: Callable[..., Drift], project: Path, case: tuple[str, str, str, object, str]
) -> None:
    """A difference is a line under its operation, and passes once it is listed."""
    form, root, place, value, line = case
    suffix = "json" if form == "swagger" else "yaml"
    published = write(project / f"published.{suffix}", edited(form, root, place, value))
    code, (_, *lines, _), error = drift(published)
    assert (code, error) == (1, "")
    assert line in lines
    write(project / "spec" / "deviations.yaml", [deviation(at=lines, versions=["2024-01-01"])])
    assert drift(published).code == 0


def test_only_what_lies_at_a_difference_is_told(drift: Callable[..., Drift], project: Path) -> None:
    """What is missing is one line, however much is below it."""
    published = write(
        project / "published.json", edited("swagger", "schema", "Counts properties tasks", GONE)
    )
    assert drift(published).lines[1:-1] == [f"{COUNTS} > 200 > body.tasks: {EXTRA}"]


@pytest.mark.parametrize(
    "patterns",
    [
        [f"{COUNTS} > query maxresults > maximum: published 999, here 1000"],
        ["* > query maxresults > maximum: published 999, *"],
        ["* > query maxresults > maximum"],
        ["GET *"],
    ],
)
def test_a_listed_deviation_covers_its_lines(
    drift: Callable[..., Drift], project: Path, patterns: list[str]
) -> None:
    """A pattern is a path or a line, and `*` in it is any text."""
    published = write(project / "published.json", edited("swagger", "parameter", "size maximum", 999))
    write(project / "spec" / "deviations.yaml", [deviation(at=patterns)])
    assert drift(published).code == 0


@pytest.mark.parametrize(
    "row",
    [
        deviation(at=["* > query maxresults > maximum: published 998, *"]),
        deviation(at=["* > query maxresults"]),
        deviation(at=["query maxresults > maximum"]),
        deviation(at=["* > query maxresults > maximum"], versions=["2025-02-02"]),
        deviation(),
    ],
)
def test_another_deviation_covers_nothing(drift: Callable[..., Drift], project: Path, row: object) -> None:
    """Another value, another place and another version don't let a difference pass."""
    published = write(project / "published.json", edited("swagger", "parameter", "size maximum", 999))
    write(project / "spec" / "deviations.yaml", [row])
    code, lines, _ = drift(published)
    assert code == 1
    assert f"{COUNTS} > query maxresults > maximum: published 999, here 1000" in lines


def test_patterns_may_share_their_beginnings(drift: Callable[..., Drift], project: Path) -> None:
    """Each beginning is read with each pattern, and each such pattern has to cover a difference."""
    published = write(project / "published.json", edited("swagger", "parameter", "size maximum", 999))
    under = ["* > query maxresults", "* > query more"]
    write(project / "spec" / "deviations.yaml", [deviation(under=under, at=[" > maximum"])])
    code, lines, _ = drift(published)
    assert code == 1
    assert lines[1:-1] == ["deviations.yaml, here: this differs no longer: * > query more > maximum"]
    write(project / "spec" / "deviations.yaml", [deviation(under=under[:1], at=[" > maximum"])])
    assert drift(published).code == 0


def test_a_listed_parameter_may_not_become_required(drift: Callable[..., Drift], project: Path) -> None:
    """A parameter that we leave out of requests has to be optional."""
    write(project / "spec" / "deviations.yaml", [deviation(at=["* > query top"])])
    for required, lines in (
        (False, []),
        (True, [f"{COUNTS} > query top > required: published true, here none"]),
    ):
        parameters = [{"name": "top", "in": "query", "type": "string", "required": required}]
        parameters += SWAGGER["paths"]["/jobs/{jobId}/taskcounts"]["get"]["parameters"]
        published = write(
            project / "published.json", edited("swagger", "operation", "get parameters", parameters)
        )
        assert drift(published).lines[1:-1] == lines


def test_a_deviation_that_covers_nothing_is_found(drift: Callable[..., Drift], project: Path) -> None:
    """Each pattern has to cover a difference at each version of its row; a row without patterns needn't."""
    published = write(project / "published.json", edited("swagger", "parameter", "size maximum", 999))
    rows = [
        deviation(at=["* > query maxresults > maximum", "* > query gone"]),
        deviation(where="there", at=["* > query other"], versions=["2025-02-02"]),
        deviation(where="nowhere"),
    ]
    write(project / "spec" / "deviations.yaml", rows)
    code, lines, _ = drift(published)
    assert code == 1
    assert lines[1:-1] == ["deviations.yaml, here: this differs no longer: * > query gone"]


def test_a_folder_is_searched(drift: Callable[..., Drift], project: Path) -> None:
    """Each description of our versions is compared; previews, examples and other files are passed over."""
    folder = project / "published"
    newer = {**SWAGGER, "info": {"description": "long " * 10_000, "version": "2025-02-02"}}
    write(folder / "stable" / "2024-01-01" / "Batch.json", SWAGGER)
    write(folder / "stable" / "2025-02-02" / "Batch.yaml", newer)
    write(folder / "stable" / "2026-03-03" / "Batch.json", {**SWAGGER, "info": {"version": "2026-03-03"}})
    wrong = edited("swagger", "parameter", "size maximum", 999)
    for passed_over in ("preview/Batch.json", "examples/Batch.json", ".git/Batch.json", "Batch.txt.yaml.bak"):
        write(folder / passed_over, wrong)
    write(folder / "other.json", {"swagger": "2.0", "paths": {"/pools": {}}})
    (folder / "broken.json").write_text("{", encoding="utf-8")
    (folder / "dangling.json").symlink_to(folder / "nothing")
    code, lines, error = drift(folder)
    assert (code, error) == (0, "")
    assert [line.partition(":")[0] for line in lines] == ["2024-01-01", "2025-02-02", "2026-03-03"]
    assert "since we don't describe this version" in lines[2]
    write(folder / "again.json", wrong)
    assert drift(folder).code == 1


def test_yaml_may_leave_a_version_unquoted(drift: Callable[..., Drift], project: Path) -> None:
    """YAML takes it for a date."""
    text = json.dumps(SWAGGER).replace('"2024-01-01"', "2024-01-01")
    (project / "published.yaml").write_text(text, encoding="utf-8")
    assert drift(project / "published.yaml").code == 0


def test_parameters_of_a_path_may_have_other_names(drift: Callable[..., Drift], project: Path) -> None:
    """The operation is found, and the name is what differs."""
    text = json.dumps(SWAGGER).replace("{jobId}", "{id}").replace('"name": "jobId"', '"name": "id"')
    (project / "published.json").write_text(text, encoding="utf-8")
    assert drift(project / "published.json").lines[1:-1] == [
        f"{COUNTS} > path id: {ABSENT}",
        f"{COUNTS} > path id > required: published true, here none",
        f"{COUNTS} > path jobId: {EXTRA}",
    ]


def looped(form: str, place: str, *names: str) -> str:
    """Return a description in which schemas stand for each other."""
    document = copy.deepcopy(SWAGGER)
    for name, other in zip(names, (*names[1:], names[0]), strict=True):
        reference = {"$ref": f"#/definitions/{other}"}
        document["definitions"][name] = {"allOf": [reference]} if form == "allOf" else reference
    document["definitions"][place] = {"$ref": f"#/definitions/{names[0]}"}
    return json.dumps(document)


def in_yaml(document: dict[str, Any]) -> str:
    """Return a description in YAML."""
    stream = StringIO()
    YAML(typ="safe").dump(document, stream)
    return stream.getvalue()


# Lists whose text would fill the memory.
BOMB = "x: &a [1, 2]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnop")
)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.json", "", "can't be read"),
        ("a.json", "{", "can't be read"),
        ("a.json", "[" * 100_000, "can't be read"),
        ("a.json", b"\xff\xfe{", "can't be read"),
        ("a.yaml", "a: [", "can't be read"),
        ("a.yaml", "a: 1\na: 2\n", "can't be read"),
        ("a.yaml", "", "is no description"),
        ("a.json", "[]", "is no description"),
        ("a.json", '"swagger"', "is no description"),
        ("a.json", "{}", "is no description in Swagger 2.0 or OpenAPI 3"),
        ("a.json", '{"swagger": "1.2"}', "is no description in Swagger 2.0 or OpenAPI 3"),
        ("a.json", '{"swagger": "2.0", "info": [], "paths": {}}', "no info.version"),
        ("a.json", '{"swagger": "2.0", "info": {"version": "2024-01-01"}}', "no paths"),
        ("a.yaml", f"{BOMB}swagger: *p\n", "is no description"),
        ("a.yaml", f"{BOMB}swagger: '2.0'\npaths: {{}}\ninfo: {{version: *p}}\n", "is no description"),
        ("a.json", json.dumps({**SWAGGER, "info": {"version": "2023-01-01"}}), "has no description"),
        ("a.json", looped("$ref", "State", "Loop"), "lead back to themselves"),
        ("a.json", looped("$ref", "State", "One", "Two"), "lead back to themselves"),
        ("a.json", looped("allOf", "Counts", "One", "Two", "Three"), "lead back to themselves"),
        ("a.json", json.dumps(edited("swagger", "schema", "Counts", {"$ref": "#/definitions/None"})),
         "leads nowhere: #/definitions/None"),
        ("a.json", json.dumps(edited("swagger", "schema", "Counts", {"$ref": "common.json#/Counts"})),
         "refers to another file, common.json#/Counts"),
        ("a.json", json.dumps(edited("swagger", "schema", "Counts", [])), "isn't formed as a description"),
        ("a.json", json.dumps(edited("swagger", "operation", "get", "text")), "isn't formed"),
        ("a.json", json.dumps(edited("swagger", "operation", "get parameters", {"a": 1})), "isn't formed"),
        ("a.json", json.dumps(edited("swagger", "operation", "get responses", None)), "isn't formed"),
        ("a.json", json.dumps(edited("swagger", "parameter", "size name", ["a"])), "isn't formed"),
        ("a.json", json.dumps(edited("swagger", "swagger", "security", [{"gone": []}])), "isn't formed"),
        ("a.yaml", BOMB + in_yaml(SWAGGER).replace("default: 1000", "default: *p"), "isn't formed"),
    ],
)  # fmt: skip
def test_hostile_input_is_refused_in_a_line(
    drift: Callable[..., Drift], project: Path, name: str, text: str | bytes, complaint: str
) -> None:
    """What can't be compared is one line on stderr that names the file, and exit code 2."""
    path = project / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, _, error = drift(path)
    assert code == 2
    assert complaint in error
    assert error.startswith("drift: ")
    assert error.count("\n") == 1
    assert str(path) in error


def test_what_parts_repeat_is_merged_once(drift: Callable[..., Drift], project: Path) -> None:
    """Sixty schemas, each twice in the next one, take no longer than sixty."""
    document = edited("swagger", "schema", "Base", {"allOf": [{"$ref": "#/definitions/B1"}] * 2})
    for number in range(1, 60):
        document["definitions"][f"B{number}"] = {"allOf": [{"$ref": f"#/definitions/B{number + 1}"}] * 2}
    document["definitions"]["B60"] = SWAGGER["definitions"]["Base"]
    assert drift(write(project / "published.json", document)).code == 0


@pytest.mark.parametrize("arguments", [(), ("",), ("a", "b"), ("/nowhere/at/all.json",), ("/dev/null",)])
def test_wrong_usage_is_a_line(drift: Callable[..., Drift], arguments: tuple[str, ...]) -> None:
    """Without one file or folder there is nothing to compare."""
    code, lines, error = drift(*arguments)
    assert (code, lines) == (2, [])
    assert error.startswith("drift: ")
    assert error.count("\n") == 1


def test_too_large_a_file_is_refused_unread(drift: Callable[..., Drift], project: Path) -> None:
    """The published descriptions have less than a megabyte."""
    with (project / "a.json").open("wb") as file:
        file.truncate(33 << 20)
    assert "has more than 32 MB" in drift(project / "a.json").error


def test_an_empty_folder_is_refused(drift: Callable[..., Drift], project: Path) -> None:
    """Nothing compared is no success."""
    (project / "empty").mkdir()
    code, _, error = drift(project / "empty")
    assert code == 2
    assert "has no description of a version that we describe: 2024-01-01, 2025-02-02" in error


def test_what_is_printed_cannot_move_a_cursor(drift: Callable[..., Drift], project: Path) -> None:
    """Names and values of a published description are shown as they are, but for control characters."""
    hostile = {"name": "a\x1b[2J\nb", "in": "query", "type": "string"}
    code, lines, _ = drift(
        write(project / "published.json", edited("swagger", "operation", "get parameters 0", hostile))
    )
    assert code == 1
    assert f"{COUNTS} > query a?[2J b: {ABSENT}" in lines


@pytest.mark.parametrize(
    "row",
    [
        {"where": "here", "published": "this", "here": "that"},
        deviation(att=["* > query a"]),
        deviation(at="* > query a"),
        deviation(at=[1]),
        deviation(at=[" > a"], under="* > query b"),
        deviation(versions=["2023-01-01"]),
        deviation(versions=[datetime.date(2024, 1, 1)]),
        "text",
    ],
)
def test_a_misspelt_deviation_is_refused(drift: Callable[..., Drift], project: Path, row: object) -> None:
    """A row that would silently cover nothing is no row."""
    write(project / "spec" / "deviations.yaml", [row])
    code, _, error = drift(write(project / "published.json", SWAGGER))
    assert code == 2
    assert "deviations.yaml" in error
    assert error.count("\n") == 1


@pytest.fixture
def our_drift(drift: Callable[..., Drift], project: Path) -> Callable[..., Drift]:
    """Runs drift.py with our descriptions and deviations."""
    shutil.copy(PROJECT / "spec" / "deviations.yaml", project / "spec")
    shutil.rmtree(project / "generated" / "openapi")
    shutil.copytree(PROJECT / "generated" / "openapi", project / "generated" / "openapi")
    return drift


@pytest.mark.parametrize("version", contract.VERSIONS)
@pytest.mark.parametrize("schema", ["TaskCountsResult", "TaskCounts", "BatchError"])
def test_what_is_listed_of_jobs_and_tasks_is_not_of_others(
    our_drift: Callable[..., Drift], tmp_path: Path, version: str, schema: str
) -> None:
    """A member of the counts or of errors is a difference, whatever members of jobs and tasks are called."""
    path = PROJECT / "generated" / "openapi" / f"{version}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    added = ["metadata", "priority", "stats", "url", "constraints", "commandLine"]
    changed = document["components"]["schemas"][schema]
    changed["properties"] |= {name: {"type": "string"} for name in added[1:]}
    changed["required"] = [*changed.get("required", ()), *added[:2]]
    lines = our_drift(write(tmp_path / "published.json", document)).lines
    place = {
        "TaskCountsResult": "200 > body",
        "TaskCounts": "200 > body.taskCounts",
        "BatchError": "default > body",
    }
    assert {f"{COUNTS} > {place[schema]}.{name}: {ABSENT}" for name in added} <= set(lines)


@pytest.mark.parametrize("version", contract.VERSIONS)
def test_expand_is_listed_only_where_it_is_optional(
    our_drift: Callable[..., Drift], tmp_path: Path, version: str
) -> None:
    """Of the counts `$expand` is a difference at all, of the other operations if it is required."""
    path = PROJECT / "generated" / "openapi" / f"{version}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    operations = {f"GET {path}": methods["get"] for path, methods in document["paths"].items()}
    expand: dict[str, Any] = {"name": "$expand", "in": "query", "schema": {"type": "string"}}
    for operation in operations.values():
        operation["parameters"].append(expand)
    for required, names in ((False, []), (True, operations)):
        expand["required"] = required
        lines = our_drift(write(tmp_path / "published.json", document)).lines
        found = {line for line in lines if " > query $expand" in line}
        wanted = {f"{name} > query $expand > required: published true, here none" for name in names}
        assert found == wanted | {f"{COUNTS} > query $expand: {ABSENT}"}


def test_our_own_descriptions_differ_nowhere(our_drift: Callable[..., Drift]) -> None:
    """Held against themselves, they have no difference, and each listed deviation is found to be none."""
    code, printed, _ = our_drift(PROJECT / "generated" / "openapi")
    assert code == 1
    summaries = [line for line in printed if " facts differ" in line]
    assert len(summaries) == len(contract.VERSIONS)
    assert all(": 0 of " in line for line in summaries)
    rows = YAML(typ="safe").load(PROJECT / "spec" / "deviations.yaml")
    listed = sum(
        len(row.get("under", [""])) * len(row.get("at", ())) * len(row.get("versions", contract.VERSIONS))
        for row in rows
    )
    assert len([line for line in printed if "this differs no longer" in line]) == listed > 100
