"""What is public, and who may import whom."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import taskcounts
import taskcounts_rest

WRAPPER = Path(taskcounts.__file__).parent
GENERATED = Path(taskcounts_rest.__file__).parent
# What only the command line, the emulator or tests may need.
EXTRAS = {"click", "rich", "starlette", "uvicorn", "azure", "sqlite3"}
# The parts of the wrapper, from the bottom to the top: each may import what stands before it.
LAYERS = [
    "_version errors snapshot retry _clock credentials _connection",
    "_answers _steps _tokens _arguments _hiding _prepared",
    "_exchange _running _counts _lists",
    "_listing rest",
    "_client",
    "client",
    "__init__",
]
PLACES = {name: place for place, names in enumerate(LAYERS) for name in names.split()}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", taskcounts.__all__)
def test_public_names(name: str) -> None:
    """Every public name exists and, but for the version, is documented where it is defined."""
    value = getattr(taskcounts, name)
    assert name == "__version__" or inspect.getdoc(value) or name in ("Credential", "Observer")


def test_public_names_are_sorted_and_whole() -> None:
    """All that the package's own modules export can be had from the package."""
    assert taskcounts.__all__ == sorted(taskcounts.__all__)
    from taskcounts import client, credentials, errors, many, retry, snapshot, waiting

    own = (client, credentials, errors, retry, snapshot, many.values, waiting.values)
    exported = {name for module in own for name in module.__all__}
    assert exported - {"scope_for"} <= set(taskcounts.__all__)


def test_public_methods_are_documented() -> None:
    """Every public method and property of a public class has a docstring."""
    bare = [
        f"{name}.{member}"
        for name in taskcounts.__all__
        if inspect.isclass(kind := getattr(taskcounts, name)) and kind.__module__.startswith("taskcounts.")
        for member, value in inspect.getmembers(kind)
        if not member.startswith("_") and (callable(value) or isinstance(value, property))
        if member not in ("add_note", "with_traceback") and not inspect.getdoc(value)
    ]
    assert bare == []


def test_generated_code_knows_nothing_of_us() -> None:
    """Imports run one way: nothing in generated/ imports the wrapper."""
    for path in GENERATED.rglob("*.py"):
        assert not any(name.partition(".")[0] == "taskcounts" for name in imports(path)), path


def test_wrapper_needs_no_extras() -> None:
    """No module of the client imports what only the command line or the emulator need."""
    for path in (*WRAPPER.glob("_*.py"), *WRAPPER.glob("many/*.py"), *WRAPPER.glob("waiting/*.py")):
        assert not {name.partition(".")[0] for name in imports(path)} & EXTRAS, path
    for name in ("client", "credentials", "errors", "retry", "snapshot"):
        assert not {each.partition(".")[0] for each in imports(WRAPPER / f"{name}.py")} & EXTRAS, name


def test_imports_run_downwards() -> None:
    """Within the client, too, imports run one way: from the clients through the flow to the values."""
    for name, place in PLACES.items():
        path = WRAPPER / f"{name}.py"
        for imported in imports(path):
            parts = imported.split(".")
            if parts[0] == "taskcounts" and len(parts) > 1 and parts[1] in PLACES:
                assert PLACES[parts[1]] <= place, f"{name} imports {parts[1]}"


def test_the_network_side_knows_nothing_of_what_is_asked() -> None:
    """It builds on plain values, whatever is sent, and loads a library for its transports alone."""
    below = {"_forks", "_steps", "_connection", "errors", "net", "retry"}
    for path in (WRAPPER / "net").glob("*.py"):
        for imported in imports(path):
            parts = imported.split(".")
            assert parts[0] != "taskcounts" or parts[1:2] == [] or parts[1] in below, (path, imported)
        assert path.name == "transport_engine.py" or not {"httpx", "httpx2"} & imports(path)


@pytest.mark.parametrize("room", ["many", "waiting"])
def test_rooms_know_nothing_of_those_above(room: str) -> None:
    """Waiting and asking for many jobs build on the flow: neither on the clients nor on the command line."""
    for path in (WRAPPER / room).glob("*.py"):
        for imported in imports(path):
            parts = imported.split(".")
            above = {"client", "_client", *({"many", "waiting"} - {room})}
            assert parts[0] not in {"taskcounts_cli", "taskcounts_emulator"}, (path, imported)
            assert parts[0] != "taskcounts" or parts[1:2] == [] or parts[1] not in above, (path, imported)


def test_import_alone_loads_no_extras() -> None:
    """`import taskcounts` works where none of the extras is installed, and loads none."""
    # httpx itself loads click and rich, if it finds them.
    program = f"import sys; sys.modules |= dict.fromkeys({sorted(EXTRAS)}); import taskcounts"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)  # noqa: S603
