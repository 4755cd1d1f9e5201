"""The fragment is sound: valid OpenAPI, true to its examples, and what is generated is what it gives."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from ruamel.yaml import YAML

from taskcounts.protocol.answers import find_inconsistencies
from taskcounts.protocol.schema import compile_schema
from taskcounts_rest import contract

PROJECT = Path(__file__).parents[2]
FRAGMENT: dict[str, Any] = YAML(typ="safe").load(PROJECT / "spec" / "taskcounts.openapi.yaml")
FILE = "spec/taskcounts.openapi.yaml"
EXAMPLES = sorted((PROJECT / "spec" / "examples").glob("*.json"))


OPERATIONS: dict[str, Any] = {
    operation["operationId"]: operation
    for methods in FRAGMENT["paths"].values()
    for operation in methods.values()
}
COMMON = [
    ("timeout", "query", False),
    ("client-request-id", "header", False),
    ("return-client-request-id", "header", False),
    ("ocp-date", "header", False),
]
JOB, VERSION = ("jobId", "path", True), ("api-version", "query", True)
FILTER, SELECT, PAGE = (
    ("$filter", "query", False),
    ("$select", "query", False),
    ("maxresults", "query", False),
)


def resolve(node: Any) -> Any:
    """Return what a node of the fragment stands for."""
    if "$ref" not in node:
        return node
    found: Any = FRAGMENT
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def operation_of(url: str) -> str:
    """Return the name of the operation that a URL asks for."""
    path = urlsplit(url).path
    (name,) = (
        name
        for name, operation in contract.OPERATIONS.items()
        if re.fullmatch(re.sub(r"\\{.+?\\}", "[^/]+", re.escape(operation.path)), path)
    )
    return name


def test_it_is_valid_openapi() -> None:
    """A validator of OpenAPI 3.1 accepts the fragment, references to the examples included."""
    base = (PROJECT / "spec" / "taskcounts.openapi.yaml").as_uri()
    OpenAPIV31SpecValidator(FRAGMENT, base_uri=base).validate()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_conform(path: Path) -> None:
    """Each example exchange has its source, fits the schemas, and is used by the fragment."""
    exchange = json.loads(path.read_text(encoding="utf-8"))
    assert exchange["source"]
    response = exchange["response"]
    name = operation_of(exchange["request"]["url"]) if response["status"] == 200 else "Job_GetTaskCounts"
    schema = contract.OPERATIONS[name].result if response["status"] == 200 else contract.ERROR
    value = response["example"]["value"]
    jsonschema_rs.validate(schema, value, validate_formats=True)
    compile_schema(schema)(value)
    if schema is contract.OPERATIONS["Job_GetTaskCounts"].result:
        assert find_inconsistencies(contract.OPERATIONS["Job_GetTaskCounts"].invariants, value) == ()
    answer = resolve(OPERATIONS[name]["responses"]["200" if response["status"] == 200 else "default"])
    used = [example["$ref"] for media in answer["content"].values() for example in media["examples"].values()]
    assert f"examples/{path.name}#/response/example" in used


def test_examples_of_lists_hang_together() -> None:
    """The link of the first page leads to the last page; no task or job stands on both."""
    for kind in ("task", "job"):
        page, last = (
            json.loads((PROJECT / "spec" / "examples" / f"{kind}-list-{which}.json").read_text("utf-8"))
            for which in ("page", "last-page")
        )
        values = [each["response"]["example"]["value"] for each in (page, last)]
        assert values[0]["odata.nextLink"] == last["request"]["url"]
        assert "odata.nextLink" not in values[1]
        ids = [item["id"].lower() for value in values for item in value["value"]]
        assert len(set(ids)) == len(ids) > 3


@pytest.mark.parametrize(
    ("name", "method_and_path", "parameters", "result"),
    [
        (
            "Job_GetTaskCounts",
            ("GET", "/jobs/{jobId}/taskcounts"),
            [JOB, VERSION, *COMMON],
            "TaskCountsResult",
        ),
        (
            "Task_List",
            ("GET", "/jobs/{jobId}/tasks"),
            [JOB, VERSION, FILTER, SELECT, PAGE, *COMMON],
            "CloudTaskListResult",
        ),
        ("Job_Get", ("GET", "/jobs/{jobId}"), [JOB, VERSION, SELECT, *COMMON], "CloudJob"),
        ("Job_List", ("GET", "/jobs"), [VERSION, FILTER, SELECT, PAGE, *COMMON], "CloudJobListResult"),
    ],
)
def test_operations_are_as_published(
    name: str, method_and_path: tuple[str, str], parameters: list[tuple[str, str, bool]], result: str
) -> None:
    """Verb, path, parameters, headers and result are those of Microsoft's reference page."""
    described, derived = OPERATIONS[name], contract.OPERATIONS[name]
    assert (derived.method, derived.path) == method_and_path
    assert [
        (parameter["name"], parameter["in"], parameter["required"])
        for parameter in map(resolve, described["parameters"])
    ] == parameters
    assert list(derived.parameters) == [parameter[0] for parameter in parameters]
    assert set(described["responses"]) == {"200", "default"}
    answer = described["responses"]["200"]
    assert set(answer["headers"]) >= {"client-request-id", "request-id"}
    assert [media["schema"]["$ref"].rpartition("/")[2] for media in answer["content"].values()] == [result]
    assert described["tags"] == [name.partition("_")[0] + "s"]


def test_counters_are_as_published() -> None:
    """Both blocks have the five counters, all of them required."""
    counters = ["active", "running", "completed", "succeeded", "failed"]
    for block in ("TaskCounts", "TaskSlotCounts"):
        schema = FRAGMENT["components"]["schemas"][block]
        assert schema["required"] == list(schema["properties"]) == counters
        for counter in schema["properties"].values():
            assert (counter["type"], counter["format"], counter["minimum"]) == ("integer", "int32", 0)


def test_nothing_is_described_in_vain() -> None:
    """Every component is referred to, and the four operations are all there are."""
    text = json.dumps(FRAGMENT)
    for kind, components in FRAGMENT["components"].items():
        if kind != "securitySchemes":
            for name in components:
                assert f'"#/components/{kind}/{name}"' in text, name
    assert FRAGMENT["security"] == [{"azure_auth": ["user_impersonation"]}, {"api_key": []}]
    assert set(contract.OPERATIONS) == {"Job_GetTaskCounts", "Task_List", "Job_Get", "Job_List"}


def test_what_can_be_selected_is_described() -> None:
    """`$select` offers the members that the fragment describes, and no others."""
    for name, schema in (("taskSelect", "CloudTask"), ("jobSelect", "CloudJob")):
        pattern = contract.PARAMETERS[name]["pattern"]
        assert set(re.findall(r"[A-Za-z]+", pattern)) == set(
            FRAGMENT["components"]["schemas"][schema]["properties"]
        )


def test_what_can_be_filtered_is_known() -> None:
    """`$filter` takes the states and results that are known, and no others."""
    known = contract.KNOWN_VALUES
    for state in known["CloudTask.state"]:
        assert re.search(contract.PARAMETERS["taskFilter"]["pattern"], f"state eq '{state}'")
    for result in known["TaskExecutionInformation.result"]:
        assert re.search(
            contract.PARAMETERS["taskFilter"]["pattern"],
            f"state eq 'completed' and executionInfo/result eq '{result}'",
        )
    for state in known["CloudJob.state"]:
        assert re.search(contract.PARAMETERS["jobFilter"]["pattern"], f"state ne '{state}'")
    for name in ("taskFilter", "jobFilter"):
        assert not re.search(contract.PARAMETERS[name]["pattern"], "state eq 'sleeping'")


def test_examples_of_parameters_conform() -> None:
    """Each parameter's example is one that its schema allows."""
    for name, parameter in FRAGMENT["components"]["parameters"].items():
        if "example" in parameter:
            jsonschema_rs.validate(parameter["schema"], parameter["example"])
        else:
            assert name == "apiVersion"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what `make generate` reads and writes."""
    for folder in ("spec", "generated"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def generate(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the generator of a copy."""
    return subprocess.run(  # noqa: S603
        [sys.executable, str(project / "spec" / "generate.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(project: Path, *, generates: bool) -> str:
    """Run generate.py of a copy in this process, whose modules are loaded; return what it exits with.

    Only where ``generates`` is true may it start the generator, which takes seconds.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["generate.py"])
        if not generates:
            patch.delattr(subprocess, "run")
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(project / "spec" / "generate.py"), run_name="__main__")
    # A text is printed to stderr, and the exit code is 1.
    assert isinstance(ended.value.code, str)
    return ended.value.code


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, but for what Python caches."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_generated_code_is_what_the_fragment_gives(copy: Path) -> None:
    """A hand edit, a stale file and a missing one each fail the check, which says what to run."""
    assert generate(copy, "--check").returncode == 0
    package = copy / "generated" / "taskcounts_rest"
    (package / "types.py").write_text("# edited by hand\n", encoding="utf-8")
    (package / "stale.py").touch()
    (package / "errors.py").unlink()
    done = generate(copy, "--check")
    assert done.returncode == 1
    assert "run 'make generate'" in done.stderr
    assert "types.py: differs" in done.stderr
    assert "stale.py: stale" in done.stderr
    assert "errors.py: missing" in done.stderr
    assert generate(copy).returncode == 0
    # The same as what passed the check above.
    assert tree(copy / "generated") == tree(PROJECT / "generated")


def test_a_changed_fragment_changes_the_check(copy: Path) -> None:
    """The checks of answers follow the fragment, and a forgotten regeneration fails."""
    fragment = copy / "spec" / "taskcounts.openapi.yaml"
    text = fragment.read_text(encoding="utf-8")
    fragment.write_text(text.replace("minimum: 0", "minimum: 3"), encoding="utf-8")
    assert "contract.py: differs" in generate(copy, "--check").stderr
    assert generate(copy).returncode == 0
    derived = (copy / "generated" / "taskcounts_rest" / "contract.py").read_text(encoding="utf-8")
    assert derived.count('"minimum": 3') == text.count("minimum: 0") >= 10


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("spec/generator.yaml", "docstrings_on_attributes", "docstrings_on_atributes", "knows no"),
        (FILE, "minimum: 0", "multipleOf: 2", "multipleOf"),
        (
            "spec/taskcounts.openapi.yaml",
            "whole: taskCounts.completed",
            "whole: taskCounts.complete",
            "needn't",
        ),
        (FILE, "whole: taskCounts.completed", "whole: taskCounts", "no number"),
        (
            "spec/taskcounts.openapi.yaml",
            "format: int32\n          minimum",
            "format: int16\n          minimum",
            "int16",
        ),
        (FILE, "type: boolean\n        onAll", "type: 'null'\n        onAll", "null"),
        (FILE, "format: date-time\n", "format: date\n", "format date"),
        (FILE, "format: date-time-rfc1123", "format: date-time", "failed"),
        (
            FILE,
            '- $ref: "#/components/parameters/jobFilter"',
            "- { name: $filter, in: query, schema: { type: string } }",
            "among the components",
        ),
        (FILE, "/jobs:\n    get:", "/jobs:\n    delete:", "Job_List is no GET"),
        (
            FILE,
            'odata=minimalmetadata:\n              schema: { $ref: "#/components/schemas/CloudJob" }',
            'odata=none:\n              schema: { $ref: "#/components/schemas/CloudJob" }',
            "one media type",
        ),
        (FILE, "openapi: 3.1.0", "openapi: [3.1.0", "can't be read"),
        (FILE, "\npaths:\n", "\npath:\n", "can't be read"),
        ("pyproject.toml", "ruff==0.17.6", "ruff==0.1.0", "is wanted"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    copy: Path, file: str, old: str, new: str, complaint: str
) -> None:
    """A misspelt setting, a word that nothing enforces, a generator's warning, a wrong version: all fail."""
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    refused = refusal(copy, generates=complaint == "failed")
    assert complaint in refused
    assert "Traceback" not in refused
