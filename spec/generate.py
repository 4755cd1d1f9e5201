"""Write generated/ from spec/, or check that it is what spec/ gives.

`make generate` runs `generate.py`, `make check-generated` runs `generate.py --check`.
The output is the same byte for byte on any machine and needs no network:

- openapi-python-client writes the models and the httpx client, under the
  configuration and templates beside this file; a warning of its fails the run;
- `contract.py` is derived here: the schemas of answers, the invariants, and what
  else the wrapper and the contract checks have to know of the fragment;
- RECORD.json tells which inputs, generator and formatter made the tree.
"""

from __future__ import annotations

import argparse
import filecmp
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from openapi_python_client.config import ConfigFile
from ruamel.yaml import YAML

SPEC = Path(__file__).resolve().parent
PROJECT = SPEC.parent
GENERATED = PROJECT / "generated"
FRAGMENT = SPEC / "taskcounts.openapi.yaml"
CONFIG = SPEC / "generator.yaml"
TEMPLATES = SPEC / "templates"
PACKAGE = "taskcounts_rest"
OPERATION = ("/jobs/{jobId}/taskcounts", "get")
# What the derived schemas may say; `taskcounts` checks answers against no more and no less.
SCHEMA_WORDS = {"type", "format", "minimum", "required", "properties", "items"}
PROSE = {"description", "example", "x-invariants"}
TYPES = {"object", "array", "string", "integer"}
INTEGER_FORMATS = {"int32", "int64"}

HEADER = '''"""What the fragment says of the operation, as data; derived from spec/ by `make generate`."""

from __future__ import annotations

from typing import Any, Final

'''


class GenerationError(Exception):
    """The tree can't be generated, or isn't what it should be; the text says what to do."""


def main() -> None:
    """Generate or check; a failure is told on stderr, with exit code 1."""
    parser = argparse.ArgumentParser(description="Write generated/ from spec/.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if generated/ differs")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            fresh = Path(scratch) / "generated"
            build(fresh)
            if arguments.check:
                compare(fresh, GENERATED)
            else:
                replace(fresh, GENERATED)
                sys.stdout.write(f"wrote {GENERATED.name}/\n")
    except GenerationError as refusal:
        sys.exit(f"generate: {refusal}")


def build(target: Path) -> None:
    """Write the whole tree to a folder that doesn't exist yet."""
    pins = pinned_versions()
    check_config()
    target.mkdir()
    run(
        "openapi-python-client", "generate", "--path", FRAGMENT, "--config", CONFIG,
        "--custom-template-path", TEMPLATES, "--meta", "none", "--fail-on-warning",
        "--output-path", target / PACKAGE,
    )  # fmt: skip
    package = target / PACKAGE
    # `--meta none` leaves it out, and without it no type checker looks at the package.
    (package / "py.typed").touch()
    contract = package / "contract.py"
    contract.write_text(contract_module(YAML(typ="safe").load(FRAGMENT)), encoding="utf-8")
    run("ruff", "format", "--isolated", "--no-cache", "--quiet", "--target-version", "py311",
        "--line-length", "110", contract)  # fmt: skip
    record = {
        "made by": "make generate; never edit anything beside this file by hand",
        "generator": pins["openapi-python-client"],
        "formatter": pins["ruff"],
        "inputs": {path.relative_to(PROJECT).as_posix(): digest(path) for path in inputs()},
    }
    (target / "RECORD.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def pinned_versions() -> dict[str, str]:
    """Return the exact versions that pyproject.toml wants of what decides the output; refuse any other."""
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = dict(line.split("==") for line in pyproject["dependency-groups"]["dev"] if isinstance(line, str))
    pins = {name: wanted[name] for name in ("openapi-python-client", "ruff")}
    for name, version in pins.items():
        installed = importlib.metadata.version(name)
        if installed != version:
            raise GenerationError(
                f"{name} {installed} is installed, {version} is wanted: run 'make clean generate'"
            )
    return pins


def check_config() -> None:
    """Refuse a name in the configuration that the generator doesn't know: it would pass over it."""
    unknown = set(YAML(typ="safe").load(CONFIG)) - set(ConfigFile.model_fields)
    if unknown:
        raise GenerationError(f"{CONFIG.name}: the generator knows no {', '.join(sorted(unknown))}")


def contract_module(fragment: dict[str, Any]) -> str:
    """Return the source of contract.py."""
    path, method = OPERATION
    operation = fragment["paths"][path][method]
    parameters = {}
    for reference in operation["parameters"]:
        parameter = resolve(fragment, reference)
        parameters[parameter["name"]] = {"in": parameter["in"], **parameter["schema"]}
    schemas = fragment["components"]["schemas"]
    result = plain_schema(fragment, schemas["TaskCountsResult"])
    values: list[tuple[str, str, Any]] = [
        ("API_VERSION", "str", parameters["api-version"]["const"]),
        ("METHOD", "str", method.upper()),
        ("PATH", "str", path),
        ("MEDIA_TYPE", "str", next(iter(operation["responses"]["200"]["content"]))),
        ("PARAMETERS", "dict[str, dict[str, Any]]", parameters),
        ("RESULT", "dict[str, Any]", result),
        ("ERROR", "dict[str, Any]", plain_schema(fragment, schemas["BatchError"])),
        ("INVARIANTS", "tuple[dict[str, Any], ...]", invariants(schemas["TaskCountsResult"], result)),
        (
            "ERROR_CODES",
            "dict[int, tuple[str, ...]]",
            {int(status): tuple(codes) for status, codes in operation["x-error-codes"].items()},
        ),
    ]
    return HEADER + "".join(f"{name}: Final[{kind}] = {value!r}\n" for name, kind, value in values)


def resolve(fragment: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return what a node stands for, following a local reference."""
    if "$ref" not in node:
        return node
    found: Any = fragment
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def plain_schema(fragment: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without references and prose; refuse a word that no check would enforce."""
    schema = {word: value for word, value in resolve(fragment, schema).items() if word not in PROSE}
    unknown = set(schema) - SCHEMA_WORDS
    if unknown:
        raise GenerationError(
            f"{FRAGMENT.name}: answers aren't checked for {', '.join(sorted(unknown))}, "
            f"only for {', '.join(sorted(SCHEMA_WORDS))}"
        )
    kind, form = schema.get("type"), schema.get("format")
    if kind not in TYPES or (form in INTEGER_FORMATS) != (kind == "integer"):
        raise GenerationError(f"{FRAGMENT.name}: answers aren't checked for the type {kind}, format {form}")
    if "properties" in schema:
        schema["properties"] = {
            name: plain_schema(fragment, member) for name, member in schema["properties"].items()
        }
    if "items" in schema:
        schema["items"] = plain_schema(fragment, schema["items"])
    return schema


def invariants(schema: dict[str, Any], result: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the invariants of a schema, each `whole` and `parts` as paths of member names."""
    return tuple(
        {
            "name": rule["name"],
            "description": rule["description"],
            "whole": counter_path(rule["whole"], result),
            "parts": tuple(counter_path(part, result) for part in rule["parts"]),
        }
        for rule in schema["x-invariants"]
    )


def counter_path(text: str, result: dict[str, Any]) -> tuple[str, ...]:
    """Return the names on the way to a number that every answer has; refuse any other path."""
    path = tuple(str(text).split("."))
    schema = result
    for name in path:
        if name not in schema.get("required", ()) or name not in schema.get("properties", {}):
            raise GenerationError(f"{FRAGMENT.name}: the invariants name {text!r}; answers needn't have it")
        schema = schema["properties"][name]
    if schema["type"] != "integer":
        raise GenerationError(f"{FRAGMENT.name}: the invariants name {text!r}, which is no number")
    return path


def inputs() -> list[Path]:
    """Return the files that decide the output, in a fixed order."""
    return [FRAGMENT, CONFIG, Path(__file__), *sorted(TEMPLATES.rglob("*.jinja"))]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*command: str | Path) -> None:
    """Run a tool of this environment; show what it says only if it fails."""
    here = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": here + os.pathsep + os.environ.get("PATH", "")}
    program, *arguments = map(str, command)
    done = subprocess.run(  # noqa: S603
        [str(Path(here) / program), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GenerationError(f"{program} failed:\n{done.stdout}{done.stderr}")


def replace(fresh: Path, target: Path) -> None:
    """Put the fresh tree in the place of the old one, leaving nothing of that."""
    beside = target.with_name(target.name + ".fresh")
    shutil.rmtree(beside, ignore_errors=True)
    # The old one goes only when the new one is there, whole.
    shutil.copytree(fresh, beside)
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)


def compare(fresh: Path, target: Path) -> None:
    """Refuse any difference between the two trees, stale and missing files among them."""
    wanted, found = tree(fresh), tree(target)
    differences = [f"{name}: missing" for name in sorted(wanted - found)]
    differences += [f"{name}: stale, spec/ no longer gives it" for name in sorted(found - wanted)]
    differences += [
        f"{name}: differs from what spec/ gives"
        for name in sorted(wanted & found)
        if not filecmp.cmp(fresh / name, target / name, shallow=False)
    ]
    if differences:
        listing = "".join(f"\n  {target.name}/{difference}" for difference in differences)
        raise GenerationError(
            f"{target.name}/ isn't what spec/ gives; change spec/, never {target.name}/, "
            f"then run 'make generate' and commit:{listing}"
        )


def tree(root: Path) -> set[str]:
    """Return the files below a folder, but for what Python caches."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


if __name__ == "__main__":
    main()
