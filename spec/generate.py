"""Write generated/ from spec/, or check that it is up to date.

`make generate` runs `generate.py`, `make check-generated` runs `generate.py --check`.
The output is the same byte for byte on any machine and needs no network:

- `openapi/` has the whole description of each version: the fragment with the patch of that version;
- openapi-python-client writes the models and the httpx client, with the configuration
  and templates beside this file; any warning fails the run;
- `contract.py` is derived here: for each version and operation the schema of its answers, their
  invariants, and other facts for the wrapper and the contract checks;
- RECORD.json names the inputs, the generator and the formatter that made the tree.

The table of deviations in README.md beside this file is written from deviations.yaml by the same commands.
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
from ruamel.yaml.error import YAMLError

SPEC = Path(__file__).resolve().parent
PROJECT = SPEC.parent
GENERATED = PROJECT / "generated"
FRAGMENT = SPEC / "taskcounts.openapi.yaml"
VERSIONS = SPEC / "versions"
DEVIATIONS = SPEC / "deviations.yaml"
README = SPEC / "README.md"
CONFIG = SPEC / "generator.yaml"
TEMPLATES = SPEC / "templates"
PACKAGE = "taskcounts_rest"
# The keywords that derived schemas may have: exactly those that `taskcounts` checks answers for.
SCHEMA_WORDS = {"type", "format", "minimum", "required", "properties", "items"}
PROSE = {"description", "example", "x-invariants", "x-known-values"}
FORMATS: dict[str, set[str | None]] = {
    "object": {None},
    "array": {None},
    "boolean": {None},
    "integer": {"int32", "int64"},
    "string": {None, "date-time"},
}

HEADER = '''"""The operations of the fragment, as data; derived from spec/ by `make generate`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Operation(NamedTuple):
    """An operation at one api-version: its request, and its answers.

    Attributes:
        method: The verb.
        path: The path, with the names of parameters in braces.
        parameters: The schema of each parameter by its name, with its location (`in`).
        headers: The schema of each header of a 200 by its name, and whether it is required.
        result: The schema of the body of a 200.
        invariants: The sums that the numbers of such a body should satisfy: `whole` is that of `parts`.
        error_headers: The schema of each header of an error by its name, and whether it is required.
        error_codes: The known error codes, by status.
    """

    method: str
    path: str
    parameters: dict[str, dict[str, Any]]
    headers: dict[str, dict[str, Any]]
    result: dict[str, Any]
    invariants: tuple[dict[str, Any], ...]
    error_headers: dict[str, dict[str, Any]]
    error_codes: dict[int, tuple[str, ...]]


'''


class GenerationError(Exception):
    """The tree can't be generated, or is out of date; the text says what to do."""


def main() -> None:
    """Generate or check; a failure is written to stderr, with exit code 1."""
    parser = argparse.ArgumentParser(description="Write generated/ from spec/.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if generated/ differs")
    arguments = parser.parse_args()
    try:
        readme = with_deviations(README.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as scratch:
            fresh = Path(scratch) / "generated"
            build(fresh)
            if arguments.check:
                compare(fresh, GENERATED)
                if readme != README.read_text(encoding="utf-8"):
                    raise GenerationError(
                        f"the table of spec/{README.name} is not {DEVIATIONS.name}: run 'make generate'"
                    )
            else:
                replace(fresh, GENERATED)
                README.write_text(readme, encoding="utf-8")
                sys.stdout.write(f"wrote {GENERATED.name}/ and the deviations in spec/{README.name}\n")
    except GenerationError as refusal:
        sys.exit(f"generate: {refusal}")


def build(target: Path) -> None:
    """Write the whole tree to a folder that doesn't exist yet."""
    pins = pinned_versions()
    check_config()
    # First, since the generator takes seconds, and ignores much that is refused here.
    try:
        described = descriptions()
        derived = contract_module(described)
    except (YAMLError, LookupError, TypeError, ValueError, AttributeError, OSError) as error:
        raise GenerationError(f"{FRAGMENT.name} or {VERSIONS.name}/ can't be read: {error!r}") from None
    (target / "openapi").mkdir(parents=True)
    for version, description in described.items():
        write_json(target / "openapi" / f"{version}.json", description)
    with tempfile.TemporaryDirectory() as scratch:
        merged = Path(scratch) / "openapi.json"
        write_json(merged, for_generator(described))
        run(
            "openapi-python-client", "generate", "--path", merged, "--config", CONFIG,
            "--custom-template-path", TEMPLATES, "--meta", "none", "--fail-on-warning",
            "--output-path", target / PACKAGE,
        )  # fmt: skip
    package = target / PACKAGE
    # `--meta none` leaves it out, and type checkers ignore a package without it.
    (package / "py.typed").touch()
    contract = package / "contract.py"
    contract.write_text(derived, encoding="utf-8")
    run("ruff", "format", "--isolated", "--no-cache", "--quiet", "--target-version", "py311",
        "--line-length", "110", contract)  # fmt: skip
    record = {
        "made by": "make generate; never edit anything beside this file by hand",
        "generator": pins["openapi-python-client"],
        "formatter": pins["ruff"],
        "inputs": {path.relative_to(PROJECT).as_posix(): digest(path) for path in inputs()},
    }
    write_json(target / "RECORD.json", record)


def with_deviations(readme: str) -> str:
    """Return the text of README.md with its table of deviations as deviations.yaml has them."""
    begin, end = "<!-- `make generate` writes this table from deviations.yaml. -->\n\n", "\n<!-- end -->"
    before, begun, rest = readme.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise GenerationError(f"spec/{README.name} lacks {begin.strip()} or {end.strip()}")
    table = "| where | published | here | why |\n| --- | --- | --- | --- |\n"
    try:
        for row in YAML(typ="safe").load(DEVIATIONS):
            only = f" ({', '.join(row['versions'])})" if "versions" in row else ""
            cells = row["where"] + only, row["published"], row["here"], row["why"]
            table += "".join("| " + cell.replace("|", "\\|") + " " for cell in cells) + "|\n"
    except (YAMLError, LookupError, TypeError, AttributeError) as error:
        raise GenerationError(f"{DEVIATIONS.name} can't be read: {error!r}") from None
    return before + begin + table + end + after


def pinned_versions() -> dict[str, str]:
    """Return the versions of generator and formatter that pyproject.toml pins; refuse any other version."""
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
    """Refuse a name in the configuration that the generator doesn't know: it would ignore it."""
    unknown = set(YAML(typ="safe").load(CONFIG)) - set(ConfigFile.model_fields)
    if unknown:
        raise GenerationError(f"{CONFIG.name}: the generator knows no {', '.join(sorted(unknown))}")


def descriptions() -> dict[str, dict[str, Any]]:
    """Return the whole description of each version, the default first; examples stand in their places."""
    fragment = with_examples(YAML(typ="safe").load(FRAGMENT))
    default = fragment["info"]["version"]
    found = {default: fragment}
    for path in sorted(path for path in VERSIONS.iterdir() if not path.name.startswith(".")):
        if path.suffix != ".yaml" or not path.is_file():
            raise GenerationError(
                f"{VERSIONS.name}/ may have files called <version>.yaml alone, not {path.name}"
            )
        if path.stem in found:
            raise GenerationError(f"{path.name} describes the version of {FRAGMENT.name}: change that file")
        patched = merge_patch(fragment, YAML(typ="safe").load(path))
        schema = patched["components"]["parameters"]["apiVersion"]["schema"]
        if not path.stem == patched["info"]["version"] == schema.get("const") == schema.get("default"):
            raise GenerationError(
                f"{path.name} has to set its version in info, and as const and default of apiVersion"
            )
        if patched["components"]["schemas"] != fragment["components"]["schemas"]:
            # The models, and the checks of answers, are the same for all versions.
            raise GenerationError(f"{path.name} may not change schemas: the versions share their models")
        # A link is of the version of its list, in examples too.
        linked = f"api-version={default}", f"api-version={path.stem}"
        found[path.stem] = json.loads(json.dumps(patched).replace(*linked))
    return found


def with_examples(node: Any) -> Any:
    """Return a node with the examples of other files in place of the references to them."""
    if isinstance(node, list):
        return [with_examples(each) for each in node]
    if not isinstance(node, dict):
        return node
    file, hash_mark, pointer = str(node.get("$ref", "")).partition("#/")
    if not file or not hash_mark:
        return {name: with_examples(each) for name, each in node.items()}
    found = json.loads((SPEC / file).read_text(encoding="utf-8"))
    for part in pointer.split("/"):
        found = found[part]
    return found


def merge_patch(target: Any, patch: Any) -> Any:
    """Return a value with a JSON Merge Patch applied (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            del merged[name]
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def for_generator(described: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the default version's description, with each version allowed: one client speaks them all."""
    default, *_ = described
    # An enumeration would give a module for each operation, and a class whose members are called VALUE_0.
    schema = {"const": None, "oneOf": [{"type": "string", "const": version} for version in described]}
    return dict(
        merge_patch(described[default], {"components": {"parameters": {"apiVersion": {"schema": schema}}}})
    )


def contract_module(described: dict[str, dict[str, Any]]) -> str:
    """Return the source of contract.py."""
    default, *others = described
    fragment = described[default]
    schemas = fragment["components"]["schemas"]
    first = operation_sources(fragment, fragment)
    written = {name: f"Operation({_arguments(fields)})" for name, fields in first.items()}
    versions = {default: "OPERATIONS"}
    for version in others:
        if operation_keys(described[version]) != operation_keys(fragment):
            # One client speaks all versions; it takes methods and paths from the fragment.
            raise GenerationError(f"{version}.yaml may not change operationIds, methods or paths")
        changed = {
            name: {field: source for field, source in fields.items() if source != first[name][field]}
            for name, fields in operation_sources(described[version], fragment).items()
        }
        versions[version] = written_dict(
            {name: f"OPERATIONS[{name!r}]._replace({_arguments(fields)})" for name, fields in changed.items()}
        )
    error = plain_schema(fragment, schemas["BatchError"])
    shared = parameter_schemas(fragment)
    changed_parameters = {
        version: {
            key: schema
            for key, schema in parameter_schemas(described[version]).items()
            if schema != shared.get(key)
        }
        for version in others
    }
    values: list[tuple[str, str, str]] = [
        ("API_VERSION", "str", repr(default)),
        ("MEDIA_TYPE", "str", repr(media_type(fragment))),
        ("PARAMETERS", "dict[str, dict[str, Any]]", repr(shared)),
        ("CHANGED_PARAMETERS", "dict[str, dict[str, dict[str, Any]]]", repr(changed_parameters)),
        ("ERROR", "dict[str, Any]", repr(error)),
        ("KNOWN_VALUES", "dict[str, tuple[str, ...]]", repr(known_values(schemas))),
        ("OPERATIONS", "dict[str, Operation]", written_dict(written)),
        ("VERSIONS", "dict[str, dict[str, Operation]]", written_dict(versions)),
    ]
    return HEADER + "".join(f"{name}: Final[{kind}] = {source}\n" for name, kind, source in values)


def _arguments(fields: dict[str, str]) -> str:
    """Return the source of named arguments, given the sources of their values."""
    return ", ".join(f"{name}={source}" for name, source in fields.items())


def operation_keys(description: dict[str, Any]) -> set[tuple[str, str, str | None]]:
    """Return path, method and operationId of each operation."""
    return {
        (path, method, operation.get("operationId"))
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }


def operation_sources(fragment: dict[str, Any], default: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the sources of the fields of each operation; parameters of the default version by reference."""
    return {
        operation["operationId"]: operation_source(
            fragment, path, method, operation, parameter_schemas(default)
        )
        for path, methods in fragment["paths"].items()
        for method, operation in methods.items()
    }


def parameter_schemas(fragment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the schemas of all parameters, each with its location, by their names among the components."""
    return {
        key: {"in": parameter["in"], **parameter["schema"]}
        for key, parameter in fragment["components"]["parameters"].items()
    }


def media_type(fragment: dict[str, Any]) -> str:
    """Return the one media type of all answers; refuse a second one."""
    operations = [operation for methods in fragment["paths"].values() for operation in methods.values()]
    found = {
        media
        for operation in operations
        for response in operation["responses"].values()
        for media in resolve(fragment, response)["content"]
    }
    if len(found) != 1:
        raise GenerationError(f"{FRAGMENT.name}: answers have to have one media type, not {sorted(found)}")
    return str(found.pop())


def operation_source(
    fragment: dict[str, Any],
    path: str,
    method: str,
    operation: dict[str, Any],
    shared: dict[str, dict[str, Any]],
) -> dict[str, str]:
    """Return the sources of the fields of an operation's value in contract.py."""
    if method != "get":
        raise GenerationError(
            f"{FRAGMENT.name}: {operation['operationId']} is no GET; nothing here may write"
        )
    schemas = parameter_schemas(fragment)
    parameters = {}
    for reference in operation["parameters"]:
        if "$ref" not in reference:
            raise GenerationError(f"{FRAGMENT.name}: parameters have to stand among the components")
        # PARAMETERS has the default version's, by their names there.
        key, version = reference["$ref"].rpartition("/")[2], fragment["info"]["version"]
        changed = schemas[key] != shared.get(key)
        source = f"CHANGED_PARAMETERS[{version!r}][{key!r}]" if changed else f"PARAMETERS[{key!r}]"
        parameters[resolve(fragment, reference)["name"]] = source
    success = operation["responses"]["200"]
    (content,) = success["content"].values()
    schema = resolve(fragment, content["schema"])
    result = plain_schema(fragment, schema)
    codes: dict[int, tuple[str, ...]] = {}
    for known in (fragment["x-error-codes"], operation.get("x-error-codes", {})):
        for status, more in known.items():
            codes[int(status)] = codes.get(int(status), ()) + tuple(more)
    return {
        "method": repr(method.upper()),
        "path": repr(path),
        "parameters": written_dict(parameters),
        "headers": repr(header_schemas(fragment, success)),
        "result": repr(result),
        "invariants": repr(invariants(schema, result)),
        "error_headers": repr(header_schemas(fragment, operation["responses"]["default"])),
        "error_codes": repr(dict(sorted(codes.items()))),
    }


def header_schemas(fragment: dict[str, Any], response: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the schemas of a response's headers, each with whether it is required."""
    described = {
        name: resolve(fragment, header) for name, header in resolve(fragment, response)["headers"].items()
    }
    return {
        name: {"required": header.get("required", False), **header["schema"]}
        for name, header in described.items()
    }


def written_dict(members: dict[str, str]) -> str:
    """Return the source of a dictionary, given the sources of its values."""
    return "{" + ", ".join(f"{name!r}: {source}" for name, source in members.items()) + "}"


def known_values(schemas: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the known values of members, by schema and member, such as `CloudTask.state`."""
    return {
        f"{name}.{member}": tuple(described["x-known-values"])
        for name, schema in schemas.items()
        for member, described in schema.get("properties", {}).items()
        if "x-known-values" in described
    }


def resolve(fragment: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return a node, or the target of its local reference."""
    if "$ref" not in node:
        return node
    found: Any = fragment
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def plain_schema(fragment: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without references and prose; refuse a keyword that no check would enforce."""
    schema = {word: value for word, value in resolve(fragment, schema).items() if word not in PROSE}
    unknown = set(schema) - SCHEMA_WORDS
    if unknown:
        raise GenerationError(
            f"{FRAGMENT.name}: answers aren't checked for {', '.join(sorted(unknown))}, "
            f"only for {', '.join(sorted(SCHEMA_WORDS))}"
        )
    kind, form = str(schema.get("type")), schema.get("format")
    if form not in FORMATS.get(kind, ()):
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
        for rule in schema.get("x-invariants", ())
    )


def counter_path(text: str, result: dict[str, Any]) -> tuple[str, ...]:
    """Return the member names of a path to a number that every answer has; refuse any other path."""
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
    """Return the files that determine the output, in a fixed order."""
    return [
        FRAGMENT,
        *sorted(VERSIONS.glob("*.yaml")),
        *sorted((SPEC / "examples").glob("*.json")),
        CONFIG,
        Path(__file__),
        *sorted(TEMPLATES.rglob("*.jinja")),
    ]


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*command: str | Path) -> None:
    """Run a tool of this environment; show its output only if it fails."""
    here = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": here + os.pathsep + os.environ.get("PATH", "")}
    program, *arguments = map(str, command)
    done = subprocess.run(  # noqa: S603
        [str(Path(here) / program), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GenerationError(f"{program} failed:\n{done.stdout}{done.stderr}")


def replace(fresh: Path, target: Path) -> None:
    """Replace the old tree by the fresh one, leaving no old file."""
    beside = target.with_name(target.name + ".fresh")
    shutil.rmtree(beside, ignore_errors=True)
    # The old tree is removed only once the new one is complete.
    shutil.copytree(fresh, beside)
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)


def compare(fresh: Path, target: Path) -> None:
    """Refuse any difference between the two trees, including stale and missing files."""
    wanted, found = tree(fresh), tree(target)
    differences = [f"{name}: missing" for name in sorted(wanted - found)]
    differences += [f"{name}: stale, no longer derived from spec/" for name in sorted(found - wanted)]
    differences += [
        f"{name}: differs, out of date or edited by hand"
        for name in sorted(wanted & found)
        if not filecmp.cmp(fresh / name, target / name, shallow=False)
    ]
    if differences:
        listing = "".join(f"\n  {target.name}/{difference}" for difference in differences)
        raise GenerationError(
            f"{target.name}/ is not up to date with spec/; change spec/, never {target.name}/, "
            f"then run 'make generate' and commit:{listing}"
        )


def tree(root: Path) -> set[str]:
    """Return the files below a folder, except Python's caches."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


if __name__ == "__main__":
    main()
