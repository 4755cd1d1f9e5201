"""The descriptions are valid OpenAPI and true to their examples, and what is generated is what they give."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

import httpx
import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from ruamel.yaml import YAML

from taskcounts.protocol.answers import find_inconsistencies
from taskcounts.protocol.schema import compile_schema
from taskcounts_rest import contract
from taskcounts_rest.api.jobs import job_get, job_get_task_counts, job_list
from taskcounts_rest.api.tasks import task_list
from taskcounts_rest.client import Client
from taskcounts_rest.models import BatchError
from taskcounts_rest.types import Response

PROJECT = Path(__file__).parents[2]
FRAGMENT: dict[str, Any] = YAML(typ="safe").load(PROJECT / "spec" / "taskcounts.openapi.yaml")
# The whole description of each version, as `make generate` derives it.
DESCRIBED: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((PROJECT / "generated" / "openapi").glob("*.json"))
}
DEFAULT, NEWER = "2024-07-01.20.0", "2025-06-01"
FILE, PATCH = "spec/taskcounts.openapi.yaml", f"spec/versions/{NEWER}.yaml"
EXAMPLES = sorted((PROJECT / "spec" / "examples").glob("*.json"))


def operations(description: dict[str, Any]) -> dict[str, Any]:
    """Return the operations of a description by their names."""
    return {
        operation["operationId"]: operation
        for methods in description["paths"].values()
        for operation in methods.values()
    }


def resolve(node: Any, description: dict[str, Any] = FRAGMENT) -> Any:
    """Return what a node of a description stands for."""
    if "$ref" not in node:
        return node
    found: Any = description
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


@pytest.mark.parametrize("version", DESCRIBED)
def test_each_version_is_valid_openapi(version: str) -> None:
    """The description of a version is one document, which refers to no other."""
    description = DESCRIBED[version]
    OpenAPIV31SpecValidator(description).validate()
    references = re.findall(r'"\$ref": "(.*?)"', json.dumps(description))
    assert len(references) > 40
    assert all(reference.startswith("#/") for reference in references)
    assert description["info"]["version"] == version
    assert description["components"]["schemas"] == DESCRIBED[DEFAULT]["components"]["schemas"]


def test_the_versions_are_those_of_the_contract() -> None:
    """The fragment is the default; each file in spec/versions is one more."""
    files = {path.stem for path in (PROJECT / "spec" / "versions").iterdir()}
    assert set(DESCRIBED) == set(contract.VERSIONS) == {DEFAULT, *files}
    assert contract.API_VERSION == FRAGMENT["info"]["version"] == DEFAULT
    assert contract.VERSIONS[DEFAULT] is contract.OPERATIONS


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
    answer = resolve(
        operations(FRAGMENT)[name]["responses"]["200" if response["status"] == 200 else "default"]
    )
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


JOB, VERSION = ("jobId", "path", True), ("api-version", "query", True)
FILTER, SELECT, PAGE = (
    ("$filter", "query", False),
    ("$select", "query", False),
    ("maxresults", "query", False),
)
COMMON = [
    ("client-request-id", "header", False),
    ("return-client-request-id", "header", False),
    ("ocp-date", "header", False),
]
ENTRA = "https://login.microsoftonline.com/common/oauth2"
# What the versions call the server timeout, the headers of a 200 beside the request ids, the format of ids
# of callers, and how Microsoft Entra is asked for a token.
TRAITS: dict[str, dict[str, Any]] = {
    DEFAULT: {
        "timeout": "timeout",
        "etag": {"Job_Get"},
        "format": "uuid",
        "consumes": ["application/json; odata=minimalmetadata"],
        "entra": ("user_impersonation", f"{ENTRA}/authorize"),
    },
    NEWER: {
        "timeout": "timeOut",
        "etag": {"Job_GetTaskCounts", "Task_List", "Job_Get", "Job_List"},
        "format": None,
        "consumes": ["application/json"],
        "entra": ("https://batch.core.windows.net//.default", f"{ENTRA}/v2.0/authorize"),
    },
}


@pytest.mark.parametrize("version", TRAITS)
@pytest.mark.parametrize(
    ("name", "method_and_path", "parameters", "result"),
    [
        ("Job_GetTaskCounts", ("GET", "/jobs/{jobId}/taskcounts"), [JOB, VERSION], "TaskCountsResult"),
        (
            "Task_List",
            ("GET", "/jobs/{jobId}/tasks"),
            [JOB, VERSION, FILTER, SELECT, PAGE],
            "CloudTaskListResult",
        ),
        ("Job_Get", ("GET", "/jobs/{jobId}"), [JOB, VERSION, SELECT], "CloudJob"),
        ("Job_List", ("GET", "/jobs"), [VERSION, FILTER, SELECT, PAGE], "CloudJobListResult"),
    ],
)
def test_operations_are_as_published(
    version: str,
    name: str,
    method_and_path: tuple[str, str],
    parameters: list[tuple[str, str, bool]],
    result: str,
) -> None:
    """Verb, path, parameters, headers and result are those of Microsoft's description of the version."""
    description, traits = DESCRIBED[version], TRAITS[version]
    described, derived = operations(description)[name], contract.VERSIONS[version][name]
    assert (derived.method, derived.path) == method_and_path
    assert method_and_path[1] in description["paths"]
    wanted = [*parameters, (traits["timeout"], "query", False), *COMMON]
    found = [resolve(each, description) for each in described["parameters"]]
    assert [(each["name"], each["in"], each["required"]) for each in found] == wanted
    assert {each["name"]: {"in": each["in"], **each["schema"]} for each in found} == derived.parameters
    assert derived.parameters["api-version"]["const"] == version
    assert derived.parameters["client-request-id"].get("format") == traits["format"]
    assert set(described["responses"]) == {"200", "default"}
    answer = described["responses"]["200"]
    of_resource = {"ETag", "Last-Modified"} if name in traits["etag"] else set()
    assert set(answer["headers"]) == set(derived.headers) == {"client-request-id", "request-id"} | of_resource
    assert derived.headers["client-request-id"].get("format") == traits["format"]
    assert derived.headers["request-id"]["required"] is True
    assert [media["schema"]["$ref"].rpartition("/")[2] for media in answer["content"].values()] == [result]
    assert described["tags"] == [name.partition("_")[0] + "s"]


@pytest.mark.parametrize("version", TRAITS)
def test_security_is_as_published(version: str) -> None:
    """Either a token of Microsoft Entra suffices or a shared key."""
    description = DESCRIBED[version]
    scope, authorize = TRAITS[version]["entra"]
    assert description["security"] == [{"azure_auth": [scope]}, {"api_key": []}]
    schemes = description["components"]["securitySchemes"]
    assert schemes["azure_auth"]["flows"]["implicit"]["authorizationUrl"] == authorize
    assert list(schemes["azure_auth"]["flows"]["implicit"]["scopes"]) == [scope]
    assert (schemes["api_key"]["in"], schemes["api_key"]["name"]) == ("header", "Authorization")
    assert description["x-consumes"] == TRAITS[version]["consumes"]


@pytest.mark.parametrize("version", contract.VERSIONS)
def test_versions_share_results_and_codes(version: str) -> None:
    """The body of an answer, its invariants and the codes of errors are the same at each version."""
    for name, operation in contract.VERSIONS[version].items():
        first = contract.OPERATIONS[name]
        assert (operation.result, operation.invariants) == (first.result, first.invariants)
        assert operation.error_codes == first.error_codes


@pytest.mark.parametrize("version", contract.VERSIONS)
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (job_get_task_counts.sync_detailed, ["nightly"]),
        (task_list.sync_detailed, ["nightly"]),
        (job_get.sync_detailed, ["nightly"]),
        (job_list.sync_detailed, []),
    ],
    ids=["counts", "tasks", "job", "jobs"],
)
def test_the_generated_client_takes_every_version(
    function: Callable[..., Response[Any]], arguments: list[str], version: Any
) -> None:
    """One client speaks them all, and the default if it is not told."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404, json={"code": "JobNotFound"})

    client = Client(base_url="https://account", httpx_args={"transport": httpx.MockTransport(answer)})
    assert isinstance(function(*arguments, client=client, api_version=version).parsed, BatchError)
    assert isinstance(function(*arguments, client=client).parsed, BatchError)
    assert [request.url.params["api-version"] for request in asked] == [version, DEFAULT]
    allowed = get_type_hints(function)["api_version"]
    assert {each for literal in get_args(allowed) for each in get_args(literal)} == set(contract.VERSIONS)


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
    for description in (FRAGMENT, *DESCRIBED.values()):
        text = json.dumps(description)
        for kind, components in description["components"].items():
            if kind != "securitySchemes":
                for name in components:
                    assert f'"#/components/{kind}/{name}"' in text, name
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
    """Each parameter's example is one that its schema allows, at each version."""
    for description in DESCRIBED.values():
        for name, parameter in description["components"]["parameters"].items():
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
    deviations, readme = copy / "spec" / "deviations.yaml", copy / "spec" / "README.md"
    deviations.write_text(
        deviations.read_text(encoding="utf-8").replace("why: smaller values don't occur", "why: a | b"),
        encoding="utf-8",
    )
    done = generate(copy, "--check")
    assert done.returncode == 1
    assert "the table of spec/README.md is not deviations.yaml: run 'make generate'" in done.stderr
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
    was = (PROJECT / "spec" / "README.md").read_text(encoding="utf-8")
    assert readme.read_text(encoding="utf-8") == was.replace("smaller values don't occur", r"a \| b")


def test_a_changed_fragment_changes_the_check(copy: Path) -> None:
    """The checks of answers follow the fragment, and a forgotten regeneration fails."""
    fragment = copy / "spec" / "taskcounts.openapi.yaml"
    text = fragment.read_text(encoding="utf-8")
    fragment.write_text(text.replace("minimum: 0", "minimum: 3"), encoding="utf-8")
    assert "contract.py: differs" in generate(copy, "--check").stderr
    assert generate(copy).returncode == 0
    derived = (copy / "generated" / "taskcounts_rest" / "contract.py").read_text(encoding="utf-8")
    assert derived.count('"minimum": 3') == text.count("minimum: 0") >= 10


def test_a_file_is_all_that_a_new_version_takes(copy: Path) -> None:
    """The contract and the client know a version that has a file in spec/versions, and the others stay."""
    version = "2026-10-01"
    constant = {"const": version, "default": version}
    patch = {
        "info": {"version": version},
        "components": {"parameters": {"apiVersion": {"schema": constant}, "timeout": {"name": "wait"}}},
    }
    (copy / "spec" / "versions" / f"{version}.yaml").write_text(json.dumps(patch), encoding="utf-8")
    done = generate(copy)
    assert (done.returncode, done.stderr) == (0, "")
    package = copy / "generated" / "taskcounts_rest"
    derived = runpy.run_path(str(package / "contract.py"))
    assert list(derived["VERSIONS"]) == [*contract.VERSIONS, version]
    assert derived["OPERATIONS"] == contract.OPERATIONS
    for name, operation in derived["VERSIONS"][version].items():
        first = contract.OPERATIONS[name]
        renamed = {"wait" if each == "timeout" else each: first.parameters[each] for each in first.parameters}
        assert operation == (
            *first[:2],
            renamed | {"api-version": {"in": "query", "type": "string", **constant}},
            *first[3:],
        )
    assert f'Literal["{version}"]' in (package / "api" / "jobs" / "job_get.py").read_text(encoding="utf-8")
    fresh, old = tree(copy / "generated" / "openapi"), tree(PROJECT / "generated" / "openapi")
    OpenAPIV31SpecValidator(json.loads(fresh.pop(f"{version}.json"))).validate()
    assert fresh == old


def test_a_version_that_its_file_is_not_called_after_is_refused(copy: Path) -> None:
    """Whoever looks for a version finds it by the name of its file."""
    (copy / PATCH).rename(copy / "spec" / "versions" / "2025-06-02.yaml")
    assert "2025-06-02.yaml has to set its version" in refusal(copy, generates=False)


def test_the_version_of_the_fragment_has_no_file(copy: Path) -> None:
    """A second description of it would replace the first."""
    text = (copy / PATCH).read_text(encoding="utf-8").replace(NEWER, DEFAULT)
    (copy / "spec" / "versions" / f"{DEFAULT}.yaml").write_text(text, encoding="utf-8")
    assert f"{DEFAULT}.yaml describes the version of taskcounts" in refusal(copy, generates=False)


@pytest.mark.parametrize("name", ["2026-10-01.yml", "2026-10-01.YAML", "notes.md"])
def test_another_file_among_the_versions_is_refused(copy: Path, name: str) -> None:
    """A version whose file is called otherwise would be left out."""
    shutil.copy(copy / PATCH, copy / "spec" / "versions" / name)
    assert refusal(copy, generates=False).endswith(f"<version>.yaml alone, not {name}")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\xff"], ids=["folder", "empty", "binary"])
def test_a_version_that_is_no_description_is_refused_in_a_line(copy: Path, content: bytes | None) -> None:
    """A folder, an empty file and bytes that are no text give no traceback."""
    path = copy / "spec" / "versions" / "2026-10-01.yaml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert re.fullmatch("generate: .*versions/ .*", refusal(copy, generates=False))


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        (PATCH, 'info:\n  version: "2025-06-01"', 'info:\n  version: "2025-06-02"', "has to set its version"),
        (PATCH, 'const: "2025-06-01"', 'const: "2025-06-02"', "has to set its version"),
        (
            PATCH,
            'schema: { const: "2025-06-01", default: "2025-06-01" }',
            "example: a",
            "has to set its version",
        ),
        (PATCH, 'info:\n  version: "2025-06-01"', "info:\n  version: 2025-06-01", "has to set its version"),
        (PATCH, ', default: "2025-06-01" }', " }", "const and default of apiVersion"),
        (PATCH, 'default: "2025-06-01"', "default: null", "const and default of apiVersion"),
        (PATCH, "  /jobs:\n    get:\n", "  /jobs: null\n  /more:\n    get:\n", "may not change operationIds"),
        (
            PATCH,
            "  /jobs:\n    get:\n",
            "  /jobs:\n    get:\n      operationId: List\n",
            "may not change operationIds",
        ),
        (
            PATCH,
            "  /jobs:\n",
            "  /jobs/more: { get: { operationId: Job_More } }\n  /jobs:\n",
            "may not change operationIds",
        ),
        (
            PATCH,
            "\n  /jobs:\n    get:\n",
            "\n  /jobs:\n    get: null\n    head:\n",
            "may not change operationIds",
        ),
        (
            PATCH,
            "components:\n",
            "components:\n  schemas: { TaskCounts: { required: [] } }\n",
            "may not change schemas",
        ),
        (
            PATCH,
            "components:\n",
            "components:\n  schemas: { More: { type: string } }\n",
            "may not change schemas",
        ),
        (PATCH, "x-consumes: [application/json]", "x-consumed: null", "can't be read"),
        (PATCH, "x-consumes: [", "x-consumes: [[", "can't be read"),
        ("spec/deviations.yaml", "- where: counters", "- were: counters", "deviations.yaml can't be read"),
        ("spec/deviations.yaml", "- where: counters", "- where: [counters", "deviations.yaml can't be read"),
        ("spec/README.md", "<!-- end -->", "", "lacks"),
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
