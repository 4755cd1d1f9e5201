"""The houses of `wrapper/` and their rooms: one table of who may import whom, held against the code."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import taskcounts
import taskcounts_rest

WRAPPER = Path(taskcounts.__file__).parent.parent
GENERATED = Path(taskcounts_rest.__file__).parent

# Each house with its rooms (modules and folders), and what a room takes from others of its house. An arrow
# that is not here is a change of the architecture; one that is here and not in the code is to be taken out.
ROOMS = {
    "taskcounts": {
        "_version": "",
        "text": "",
        "urls": "",
        "clock": "",
        "forks": "",
        "retry": "",
        "semaphore": "",
        "snapshot": "",
        "errors": "text",
        "credentials": "urls",
        "protocol": "credentials errors snapshot text urls",
        "net": "errors forks protocol retry semaphore urls",
        "tokens": "clock credentials errors forks net protocol text",
        "flow": "_version clock credentials errors net protocol retry semaphore text tokens",
        "arguments": "credentials net text urls",
        "exact": "arguments errors flow protocol snapshot text",
        "rest": "arguments flow protocol snapshot text",
        "many": "arguments clock errors flow forks net protocol semaphore snapshot",
        "waiting": "arguments clock errors exact flow protocol retry snapshot text",
        "base_client": "arguments clock credentials exact flow many net protocol rest retry snapshot tokens "
        "waiting",
        "client": "base_client flow many net snapshot waiting",
        "__init__": "_version client credentials errors many retry snapshot waiting",
        "__main__": "",
    },
    "taskcounts_emulator": {
        "errors": "",
        "model": "",
        "journal": "",
        "refusals": "",
        "json_reader": "errors",
        "sockets": "errors",
        "tls": "errors",
        "versions": "",
        "responses": "refusals versions",
        "state": "errors json_reader model refusals",
        "faults": "errors json_reader model responses versions",
        "account": "errors faults journal json_reader model state",
        "api": "account errors json_reader model refusals responses state versions",
        "admin": "account api errors faults json_reader versions",
        "app": "account admin api errors faults model refusals responses versions",
        "http_protocol": "account app faults refusals responses",
        "server": "account api app errors http_protocol sockets tls",
        "__init__": "account app errors faults model server",
        "pytest_plugin": "__init__",
    },
    "taskcounts_cli": {
        "__init__": "",
        "exits": "",
        "app": "exits messages",
        "__main__": "app",
        "messages": "",
        "viewer": "",
        "output": "exits messages viewer",
        "input": "exits messages",
        "notify": "messages output viewer",
        "screen": "output viewer",
        "session": "input viewer",
        "recording": "exits messages output screen viewer",
        "commands": "exits input messages notify output recording screen session viewer",
    },
}

# What a house takes from another one.
ARROWS = {
    ("taskcounts_emulator", "taskcounts"): "__init__ credentials",
    ("taskcounts_cli", "taskcounts_emulator"): "__init__ model tls",
    (
        "taskcounts_cli",
        "taskcounts",
    ): "__init__ arguments base_client client clock credentials errors net snapshot text urls waiting",
}

# The packages of others that a house may import; what an extra brings is imported only where it is used.
LIBRARIES = {
    "taskcounts": "attrs certifi httptools httpx httpx2 idna taskcounts_rest",
    "taskcounts_emulator": "attrs httptools pytest starlette taskcounts_rest trustme uvicorn",
    "taskcounts_cli": "attrs azure click httpx matplotlib rich",
}


class Module(NamedTuple):
    """A module of the wrapper by its name, whose first two parts are its house and its room."""

    name: str
    path: Path

    @property
    def house(self) -> str:
        return self.name.partition(".")[0]

    @property
    def room(self) -> str:
        return self.name.split(".")[1] if "." in self.name else "__init__"


def modules() -> dict[str, Module]:
    """Return the modules of all houses by their names."""
    found = {}
    for path in sorted(WRAPPER.rglob("*.py")):
        name = ".".join(path.relative_to(WRAPPER).with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(name, path)
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """Yield what a file imports anywhere in it, as ``package.module.name``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names)


def module_of(imported: str) -> Module | None:
    """Return the module of ours that an import names, None if it is none of ours."""
    return MODULES.get(imported) or MODULES.get(imported.rpartition(".")[0])


ARROWS_FOUND = [
    (module, imported, target)
    for module in MODULES.values()
    for imported in imports(module.path)
    if (target := module_of(imported)) is not None and target != module
]


@pytest.mark.parametrize("house", ROOMS)
def test_rooms_take_what_the_table_says(house: str) -> None:
    """Within a house, the arrows between rooms are those of the table, no more and no fewer."""
    found: dict[str, set[str]] = {module.room: set() for module in MODULES.values() if module.house == house}
    for module, _, target in ARROWS_FOUND:
        if module.house == target.house == house and module.room != target.room:
            found[module.room].add(target.room)
    assert found == {room: set(takes.split()) for room, takes in ROOMS[house].items()}


def test_houses_take_what_the_table_says() -> None:
    """There are three arrows between the houses, and none runs up."""
    found: dict[tuple[str, str], set[str]] = {}
    for module, _, target in ARROWS_FOUND:
        if module.house != target.house:
            found.setdefault((module.house, target.house), set()).add(target.room)
    assert found == {arrow: set(rooms.split()) for arrow, rooms in ARROWS.items()}


def test_no_import_runs_in_a_circle() -> None:
    """Neither modules nor rooms import each other in a circle, also where only types are checked."""
    for part in ("name", "room"):
        graph: dict[str, set[str]] = {}
        for module, _, target in ARROWS_FOUND:
            ends = [f"{each.house}.{getattr(each, part)}" for each in (module, target)]
            if ends[0] != ends[1]:
                graph.setdefault(ends[0], set()).add(ends[1])
        TopologicalSorter(graph).prepare()


def test_no_private_name_crosses_a_wall() -> None:
    """What begins with an underscore is used in its own house alone."""
    for module, imported, target in ARROWS_FOUND:
        if module.house != target.house:
            private = [name for name in imported.split(".") if name.startswith("_") and name != "__version__"]
            assert not private, (module.name, imported)


@pytest.mark.parametrize("house", ROOMS)
def test_libraries_are_those_of_the_house(house: str) -> None:
    """The client imports nothing that only the command line or the emulator need."""
    allowed = {*ROOMS, *LIBRARIES[house].split(), *sys.stdlib_module_names}
    for module in MODULES.values():
        if module.house == house:
            assert {imported.partition(".")[0] for imported in imports(module.path)} <= allowed, module.name


def test_transports_alone_load_a_library_of_requests() -> None:
    """The network side loads httpx or httpx2 for a transport alone."""
    for module in MODULES.values():
        if module.name.startswith("taskcounts.net.") and module.name != "taskcounts.net.transport_engine":
            assert not {"httpx", "httpx2"} & {name.partition(".")[0] for name in imports(module.path)}


def test_generated_code_knows_nothing_of_us() -> None:
    """Nothing in generated/ imports the wrapper."""
    for path in GENERATED.rglob("*.py"):
        assert not {name.partition(".")[0] for name in imports(path)} & set(ROOMS), path
