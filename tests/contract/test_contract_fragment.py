"""The fragment is sound: valid OpenAPI, true to its examples, and what is generated is what it gives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from ruamel.yaml import YAML

from taskcounts._answers import find_inconsistencies
from taskcounts_rest import contract

PROJECT = Path(__file__).parents[2]
FRAGMENT: dict[str, Any] = YAML(typ="safe").load(PROJECT / "spec" / "taskcounts.openapi.yaml")
FILE = "spec/taskcounts.openapi.yaml"
EXAMPLES = sorted((PROJECT / "spec" / "examples").glob("*.json"))


def operation() -> Any:
    """Return the one operation."""
    return FRAGMENT["paths"]["/jobs/{jobId}/taskcounts"]["get"]


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
    schema = contract.RESULT if response["status"] == 200 else contract.ERROR
    jsonschema_rs.validate(schema, response["example"]["value"])
    if response["status"] == 200:
        assert find_inconsistencies(response["example"]["value"]) == ()
    responses = operation()["responses"]["200" if response["status"] == 200 else "default"]
    used = [
        example["$ref"] for media in responses["content"].values() for example in media["examples"].values()
    ]
    assert f"examples/{path.name}#/response/example" in used


def test_it_has_what_the_reference_page_names() -> None:
    """Parameters, headers, definitions and security schemes are those of Microsoft's reference page."""
    assert [
        (parameter["name"], parameter["in"], parameter["required"])
        for parameter in FRAGMENT["components"]["parameters"].values()
    ] == [
        ("jobId", "path", True),
        ("api-version", "query", True),
        ("timeout", "query", False),
        ("client-request-id", "header", False),
        ("return-client-request-id", "header", False),
        ("ocp-date", "header", False),
    ]
    assert set(FRAGMENT["components"]["schemas"]) == {
        "BatchError",
        "BatchErrorDetail",
        "ErrorMessage",
        "TaskCounts",
        "TaskCountsResult",
        "TaskSlotCounts",
    }
    assert set(operation()["responses"]) == {"200", "default"}
    assert set(operation()["responses"]["200"]["headers"]) == {"client-request-id", "request-id"}
    assert FRAGMENT["security"] == [{"azure_auth": ["user_impersonation"]}, {"api_key": []}]
    counters = ["active", "running", "completed", "succeeded", "failed"]
    for block in ("TaskCounts", "TaskSlotCounts"):
        schema = FRAGMENT["components"]["schemas"][block]
        assert schema["required"] == list(schema["properties"]) == counters
        for counter in schema["properties"].values():
            assert (counter["type"], counter["format"], counter["minimum"]) == ("integer", "int32", 0)


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
    assert generate(copy, "--check").returncode == 0


def test_a_changed_fragment_changes_the_check(copy: Path) -> None:
    """What answers are checked against follows the fragment, and a forgotten regeneration fails."""
    fragment = copy / "spec" / "taskcounts.openapi.yaml"
    fragment.write_text(
        fragment.read_text(encoding="utf-8").replace("minimum: 0", "minimum: 3"), encoding="utf-8"
    )
    assert "contract.py: differs" in generate(copy, "--check").stderr
    assert generate(copy).returncode == 0
    derived = (copy / "generated" / "taskcounts_rest" / "contract.py").read_text(encoding="utf-8")
    assert derived.count('"minimum": 3') == 10


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
        (FILE, "format: date-time-rfc1123", "format: date-time", "failed"),
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
    done = generate(copy)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
