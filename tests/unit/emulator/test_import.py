"""The package: its public names, and what it says where its libraries are not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import taskcounts_emulator as emulator

pytestmark = pytest.mark.slow  # Its tests start interpreters.

WITHOUT = """
import sys
sys.modules[{name!r}] = None
try:
    from taskcounts_emulator import Emulator
except ImportError as error:
    print(type(error).__name__, error)
"""


def run(name: str) -> str:
    """Return what an import says in a process where a module is missing."""
    done = subprocess.run(  # noqa: S603 - Our own program, in the Python that runs the tests.
        [sys.executable, "-c", WITHOUT.format(name=name)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", ["uvicorn", "httptools"])
def test_a_library_that_is_missing_is_named_with_the_remedy(name: str) -> None:
    """One line says what is missing and how to install it."""
    said = run(name)
    assert said.startswith(f"ImportError the emulator needs {name}")
    assert said.endswith(": install taskcounts with its extra 'emulator'\n")
    assert said.count("\n") == 1


def test_a_module_of_our_own_that_is_missing_is_not_explained_away() -> None:
    """A broken installation stays what it is."""
    assert run("taskcounts_emulator.admin").startswith("ModuleNotFoundError")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("uvicorn.config", "^the emulator needs uvicorn: install"),
        ("taskcounts_emulator.admin", "import of taskcounts_emulator.admin halted"),
    ],
)
def test_the_advice_is_for_libraries_alone(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    """The root of what is missing is named; a module of ours that is missing stays the error that it is."""
    monkeypatch.setitem(sys.modules, name, None)
    for ours in ("taskcounts_emulator.app", "taskcounts_emulator.server"):
        monkeypatch.delitem(sys.modules, ours)
    with pytest.raises(ImportError, match=message):
        emulator.__getattr__("Emulator")


def test_public_names_are_documented() -> None:
    """Every public name exists and says what it is."""
    for name in emulator.__all__:
        assert getattr(emulator, name).__doc__


def test_a_name_that_is_not_there() -> None:
    """The names are loaded late, and what is none of them is an AttributeError all the same."""
    with pytest.raises(AttributeError, match="module 'taskcounts_emulator' has no attribute 'Emulater'"):
        emulator.__getattr__("Emulater")
    assert set(emulator.__all__) <= set(dir(emulator))
