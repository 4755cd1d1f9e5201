"""Compare our description of each api-version with a published one.

`make drift PUBLISHED=file-or-folder` runs `drift.py file-or-folder`. A published description is Swagger 2.0
or OpenAPI 3, in JSON or YAML. It and ours become facts: texts by path, such as
`GET /jobs > query $select > type`. Operations are matched by method and path, since their names and those
of models differ between versions. deviations.yaml lists the paths at which the two may differ.

Exit codes: 0, each difference is listed; 1, one isn't, or a listed one is gone; 2, nothing could be compared.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

SPEC = Path(__file__).resolve().parent
OURS = SPEC.parent / "generated" / "openapi"
DEVIATIONS = SPEC / "deviations.yaml"
# The published descriptions have less than 1 MB.
LARGEST = 32 * 1024 * 1024
DESCRIBED = "described"
# Keywords that restrict no value.
PROSE = {"deprecated", "description", "discriminator", "example", "examples", "externalDocs", "readOnly",
         "title", "writeOnly", "xml"}  # fmt: skip
# What Swagger 2.0 has beside the schema of a parameter.
PLACE = {"allowEmptyValue", "collectionFormat", "in", "name", "required"}
FLOWS = {"application": "clientCredentials", "accessCode": "authorizationCode"}


class Refusal(Exception):
    """The descriptions can't be compared; the text says why."""


class Deviation(NamedTuple):
    """A listed difference: the versions that have it, and the patterns of its paths, if no fact is one."""

    where: str
    versions: frozenset[str]
    at: tuple[str, ...]


def main() -> None:
    """Compare, print the findings, and exit with a code of the module's docstring."""
    try:
        if len(sys.argv) != 2 or not sys.argv[1]:
            raise Refusal("name a published description, or a folder: make drift PUBLISHED=file-or-folder")
        passed = compare_all(Path(sys.argv[1]))
    except (Refusal, OSError) as refusal:
        sys.stderr.write(f"drift: {printable(refusal)[:500]}\n")
        sys.exit(2)
    sys.exit(0 if passed else 1)


def compare_all(published: Path) -> bool:
    """Print how each published description of a version of ours differs; return whether all is listed."""
    ours = {each.version: each for each in map(Description, sorted(OURS.glob("*.json")))}
    listed = deviations(set(ours))
    passed, compared = True, set()
    for path in files(published):
        theirs = Description(path)
        if theirs.version in ours:
            passed &= compare(theirs, ours[theirs.version], listed)
            compared.add(theirs.version)
        else:
            say(f"{theirs.version}: not compared, since we don't describe this version ({printable(path)})")
    if not compared:
        raise Refusal(f"{published} has no description of a version that we describe: {', '.join(ours)}")
    for version in sorted(set(ours) - compared):
        say(f"{version}: not compared, since {printable(published)} has no description of it")
    return passed


def files(published: Path) -> Iterator[Path]:
    """Yield a file itself, or the descriptions of the service among the files of a folder, maybe 100,000."""
    if not published.is_dir():
        yield published
        return
    for root, folders, names in os.walk(published):
        # There is a preview of 2024-07-01.20.0 whose form is that of 2025-06-01.
        others = {"examples", "preview"}
        folders[:] = sorted(name for name in folders if name not in others and not name.startswith("."))
        for path in (Path(root, name) for name in sorted(names) if name.endswith((".json", ".yaml", ".yml"))):
            if path.is_file():
                with path.open("rb") as file:
                    text = file.read(LARGEST)
                if b"/taskcounts" in text and re.search(rb"\b(swagger|openapi)\b", text):
                    yield path


def load(path: Path) -> Any:
    """Return what a file of JSON or YAML says."""
    try:
        if not path.is_file():
            raise Refusal(f"{path} is neither a file nor a folder")
        if path.stat().st_size > LARGEST:
            raise Refusal(f"{path} has more than {LARGEST >> 20} MB, which no description of the service has")
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix == ".json" else YAML(typ="safe").load(text)
    except (OSError, ValueError, YAMLError, RecursionError) as error:
        raise Refusal(f"{path} can't be read: {error}") from None


def deviations(versions: set[str]) -> list[Deviation]:
    """Return the listed deviations; refuse a row that is misspelt."""
    found = []
    for row in load(DEVIATIONS):
        try:
            cells = {name: row[name] for name in ("where", "published", "here", "why")}
            of = frozenset(row.get("versions", versions))
            under, at = row.get("under", [""]), row.get("at", [])
            lists = isinstance(under, list) and isinstance(at, list)
            if set(row) - {*cells, "under", "at", "versions"} or not of <= versions or not lists:
                raise ValueError("a misspelt name, or a version that we don't describe")
            patterns = tuple(beginning + rest for beginning in under for rest in at)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Refusal(f"{DEVIATIONS.name} has a row that says nothing: {error!r} in {row!r}") from None
        found.append(Deviation(cells["where"], of, patterns))
    return found


class Description:
    """A description in Swagger 2.0 or OpenAPI 3, as facts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.document = load(path)
        try:
            self.swagger = word(self.document.get("swagger", "")) == "2.0"
            if not self.swagger and not word(self.document.get("openapi", "")).startswith("3."):
                raise Refusal(f"{path} is no description in Swagger 2.0 or OpenAPI 3")
            # YAML takes an unquoted 2025-06-01 for a date.
            self.version = printable(word(self.document["info"]["version"]))
            self.paths: dict[str, Any] = dict(self.document["paths"])
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Refusal(f"{path} is no description: it has no info.version, or no paths") from None
        # Schemas by the identity of their nodes, which are kept so that no other node gets it.
        self._merged: dict[int, tuple[Any, dict[str, Any]]] = {}

    def facts(self, operations: Collection[str], known: Collection[str] | None = None) -> dict[str, str]:
        """Return the facts about some operations.

        Args:
            operations: Method and path of each.
            known: Where given, a parameter, member or body whose path is not among these has one fact,
                that it is described; a parameter also whether it is required.
        """
        found = {}
        try:
            found["every operation > base URL"] = said(self._base_url())
            own = {shape(path): item for path, item in self.paths.items()}
            for operation in operations:
                method, path = operation.split(" ", 1)
                item = own.get(shape(path), {})
                if method.lower() in item:
                    for fact, value in self._operation(operation, item, method.lower(), known):
                        found[printable(fact)] = value if value is DESCRIBED else said(value)
        except RecursionError:
            raise Refusal(f"{self.path} has references that lead back to themselves") from None
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Refusal(f"{self.path} isn't formed as a description is: {error!r}") from None
        return found

    def operations(self) -> list[str]:
        """Return method and path of all operations."""
        return [f"{method.upper()} {path}" for path, item in self.paths.items() for method in item]

    def _base_url(self) -> str:
        """Return the beginning of all URLs, with the names of its variables."""
        if not self.swagger:
            return str(self.document.get("servers", [{"url": "/"}])[0]["url"])
        scheme = f"{self.document.get('schemes', ['https'])[0]}://"
        host = self.document.get("x-ms-parameterized-host", {})
        if not host.get("useSchemePrefix", True):
            scheme = ""
        name = host.get("hostTemplate", self.document.get("host", ""))
        return f"{scheme}{name}{self.document.get('basePath', '')}".rstrip("/")

    def _operation(
        self, name: str, item: dict[str, Any], method: str, known: Collection[str] | None
    ) -> Iterator[tuple[str, Any]]:
        """Yield the facts of an operation."""
        operation = item[method]
        yield name, DESCRIBED
        values = {}
        for parameter in map(self._resolved, (*item.get("parameters", ()), *operation.get("parameters", ()))):
            values[f"{word(parameter['in'])} {spelt(parameter['name'], parameter['in'])}"] = parameter
        if "requestBody" in operation:
            values["body body"] = self._resolved(operation["requestBody"])
        for status, node in operation["responses"].items():
            response = self._resolved(node)
            yield f"{name} > {status}", DESCRIBED
            for header, value in response.get("headers", {}).items():
                values[f"{status} > header {spelt(header, 'header')}"] = self._resolved(value)
            content = response.get("content", {})
            types = list(content)
            if self.swagger and "schema" in response:
                types = operation.get("produces", self.document.get("produces", []))
                content = {"": response}
            if content:
                yield f"{name} > {status} > media types", sorted(map(media_type, types))
                values[f"{status} > body"] = {"content": content}
        for place, value in values.items():
            yield from self._value(f"{name} > {place}", value, known)
        consumed = operation.get("consumes", self.document.get("consumes" if self.swagger else "x-consumes"))
        if consumed is not None:
            yield f"{name} > consumes", sorted(map(media_type, consumed))
        for alternative in operation.get("security", self.document.get("security", ())):
            yield from self._security(f"{name} > security", alternative)

    def _security(self, path: str, alternative: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield the facts of one way to authenticate; how the description calls its schemes is none."""
        where = self.document if self.swagger else self.document["components"]
        schemes = where["securityDefinitions" if self.swagger else "securitySchemes"]
        used = [self._resolved(schemes[name]) for name in alternative]
        path += f" > {' and '.join(sorted(map(kind, used))) or 'nothing'}"
        yield path, DESCRIBED
        for scheme, scopes in zip(used, alternative.values(), strict=True):
            if scheme["type"] == "oauth2":
                yield f"{path} > scopes", sorted(scopes)
                flow = scheme.get("flow", "")
                for name, urls in scheme.get("flows", {FLOWS.get(flow, flow): scheme}).items():
                    for url in ("authorizationUrl", "tokenUrl"):
                        if url in urls:
                            yield f"{path} > {name} {url}", urls[url]

    def _value(
        self, path: str, node: dict[str, Any], known: Collection[str] | None
    ) -> Iterator[tuple[str, Any]]:
        """Yield the facts of a parameter, header or body."""
        yield path, DESCRIBED
        if not path.endswith("> body"):
            yield f"{path} > required", node.get("required", False)
        if known is not None and path not in known:
            return
        holder = next(iter(node["content"].values())) if "content" in node else node
        schema = holder["schema"] if "schema" in holder else {k: v for k, v in node.items() if k not in PLACE}
        if self._whole(schema).get("type") == "array":
            style = {"spaceDelimited": "ssv", "pipeDelimited": "pipes"}.get(node.get("style", ""), "csv")
            if not self.swagger and node.get("explode", node.get("in") == "query"):
                style = "multi"
            yield f"{path} > list format", node.get("collectionFormat", style)
        yield from self._schema(path, schema, known)

    def _schema(self, path: str, node: Any, known: Collection[str] | None) -> Iterator[tuple[str, Any]]:
        """Yield the facts of a schema and of those within it."""
        schema = self._whole(node)
        for fact, value in restrictions(schema).items():
            yield f"{path} > {fact}", value
        required = schema.get("required", [])
        within: dict[str, Any] = {f"{path}.{name}": {} for name in required}
        within |= {f"{path}.{name}": member for name, member in schema.get("properties", {}).items()}
        if "items" in schema:
            within[f"{path}[]"] = schema["items"]
        for place, member in within.items():
            yield place, DESCRIBED
            if known is None or place in known:
                if place != f"{path}[]":
                    yield f"{place} > required", place.removeprefix(f"{path}.") in required
                yield from self._schema(place, member, known)

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """Return a node, or the target of its reference, with what stands beside the reference."""
        if "$ref" not in node:
            return node
        reference = node["$ref"]
        if not reference.startswith("#/"):
            raise Refusal(f"{self.path} refers to another file, {reference}: bundle them into one")
        target = self.document
        for part in reference[2:].replace("~1", "\0").split("/"):
            name = part.replace("\0", "/").replace("~0", "~")
            if not isinstance(target, dict) or name not in target:
                raise Refusal(f"{self.path} has a reference that leads nowhere: {reference}")
            target = target[name]
        beside = {name: value for name, value in node.items() if name != "$ref"}
        return {**self._resolved(target), **beside}

    def _whole(self, node: dict[str, Any]) -> dict[str, Any]:
        """Return a schema without references, merged from its parts."""
        if id(node) not in self._merged:
            schema = self._resolved(node)
            merged: dict[str, Any] = {}
            for part in (*map(self._whole, schema.get("allOf", ())), schema):
                properties = {**merged.get("properties", {}), **part.get("properties", {})}
                required = sorted({*merged.get("required", ()), *part.get("required", ())})
                merged |= {name: value for name, value in part.items() if name != "allOf"}
                merged |= {"properties": properties} if properties else {}
                merged |= {"required": required} if required else {}
            self._merged[id(node)] = node, merged
        return self._merged[id(node)][1]


def restrictions(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a schema says of the value itself, in the same words for all versions of OpenAPI."""
    facts = {
        keyword: value
        for keyword, value in schema.items()
        if keyword not in PROSE | {"enum", "items", "properties", "required"} and not keyword.startswith("x-")
    }
    types = facts.pop("type", "object" if "properties" in schema else "any")
    types = set(types) if isinstance(types, list) else {types}
    if facts.pop("nullable", False) or schema.get("x-nullable"):
        types.add("null")
    facts["type"] = " or ".join(sorted(types))
    if "format" in facts:
        # Two names of the same form of dates.
        facts["format"] = facts["format"].replace("rfc7231", "rfc1123")
    named = schema.get("x-known-values")
    values = named or schema.get("enum", [facts.pop("const")] if "const" in facts else None)
    if values:
        facts["values"] = sorted(values, key=said)
        more = named or schema.get("x-ms-enum", {}).get("modelAsString")
        facts["other values"] = "allowed" if more else "refused"
    for bound, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        # Swagger 2.0 and OpenAPI 3.0 have a flag beside the bound, OpenAPI 3.1 has a bound of its own.
        if isinstance(facts.get(flag), bool) and facts.pop(flag):
            facts[flag] = facts.pop(bound)
    if facts.get("additionalProperties") in (True, {}):
        del facts["additionalProperties"]
    return facts


def compare(theirs: Description, ours: Description, listed: list[Deviation]) -> bool:
    """Print how a published description differs from ours; return whether all differences are listed."""
    here = ours.facts(ours.operations())
    there = theirs.facts(ours.operations(), here)
    if not theirs.swagger:
        # OpenAPI can't say which media types a GET consumes.
        here = {path: value for path, value in here.items() if not path.endswith("> consumes")}
        there = {path: there[path] for path in there if not path.endswith("> consumes")}
    lines = differences(there, here)
    rows = [row for row in listed if theirs.version in row.versions]
    unlisted = [line for line in lines if not any(covers(each, line) for row in rows for each in row.at)]
    say(
        f"{theirs.version}: {len(lines)} of {len(there.keys() | here)} facts differ, "
        f"{len(lines) - len(unlisted)} of them as listed ({printable(theirs.path)})"
    )
    heading = ""
    for line in unlisted:
        operation, _, rest = line.partition(" > ")
        if rest and operation != heading:
            say(f"  {operation}")
            heading = operation
        say(f"    {rest}" if rest else f"  {line}")
    stale = [(row, each) for row in rows for each in row.at if not any(covers(each, line) for line in lines)]
    for row, each in stale:
        say(f"  {DEVIATIONS.name}, {row.where}: this differs no longer: {each}")
    return not unlisted and not stale


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Return a line for each fact that differs, but for those below something that one side lacks.

    That a parameter is required is told even if it isn't described here: requests without it are refused.
    """
    found = {
        path: (there.get(path, "none"), here.get(path, "none"))
        for path in sorted(there.keys() | here)
        if there.get(path) != here.get(path)
    }
    lacking = tuple(
        path + mark for path, values in found.items() if DESCRIBED in values for mark in (" > ", ".", "[")
    )
    words = {
        (DESCRIBED, "none"): "published, and not described here",
        ("none", DESCRIBED): "described here, and not published",
    }
    return [
        f"{path}: {words.get(values, f'published {values[0][:300]}, here {values[1][:300]}')}"
        for path, values in found.items()
        if not path.startswith(lacking) or (path.endswith(" > required") and values == ("true", "none"))
    ]


def covers(pattern: str, line: str) -> bool:
    """Return whether a pattern is that of a line, or of its path alone."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*") + "(: .*)?", line) is not None


def shape(path: str) -> str:
    """Return a path without the names of parameters, which are compared by themselves."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def spelt(name: str, place: str) -> str:
    """Return a name; those of headers have no case."""
    return word(name).lower() if place == "header" else word(name)


def kind(scheme: Mapping[str, str]) -> str:
    """Return how a security scheme authenticates, such as `apiKey header authorization`."""
    name = spelt(scheme.get("name", ""), scheme.get("in", ""))
    return " ".join(filter(None, (scheme["type"], scheme.get("scheme"), scheme.get("in"), name)))


def media_type(text: str) -> str:
    """Return a media type with one blank before its parameters."""
    return "; ".join(part.strip() for part in text.split(";"))


def said(value: Any) -> str:
    """Return a value as text that shows on any terminal."""
    chunks = list(islice(json.JSONEncoder(sort_keys=True).iterencode(value), 10_000))
    if len(chunks) == 10_000:
        raise ValueError("a value of thousands of parts")
    return "".join(chunks)


def word(value: object) -> str:
    """Return a scalar as text; aliases of YAML make lists whose text would fill the memory."""
    if isinstance(value, list | dict):
        raise TypeError("a list or mapping where a word belongs")
    return str(value)


def printable(text: object) -> str:
    """Return a text as one line, without characters that a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(str(text).split()))


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
