"""The package: its public names, and its errors if libraries are missing."""

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
    """Return the error of an import in a process without a module."""
    done = subprocess.run(  # noqa: S603 - Our own program, in the Python that runs the tests.
        [sys.executable, "-c", WITHOUT.format(name=name)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", ["uvicorn", "httptools"])
def test_a_library_that_is_missing_is_named_with_the_remedy(name: str) -> None:
    """One line names it and says how to install it."""
    said = run(name)
    assert said.startswith(f"ImportError the emulator needs {name}")
    assert said.endswith(": install taskcounts with its extra 'emulator'\n")
    assert said.count("\n") == 1


def test_a_module_of_our_own_that_is_missing_is_not_explained_away() -> None:
    """The error of a broken installation is not replaced."""
    assert run("taskcounts_emulator.admin").startswith("ModuleNotFoundError")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("uvicorn.config", "^the emulator needs uvicorn: install"),
        ("taskcounts_emulator.admin", "import of taskcounts_emulator.admin halted"),
    ],
)
def test_the_advice_is_for_libraries_alone(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    """The root package of a missing library is named; a missing module of ours keeps its error."""
    monkeypatch.setitem(sys.modules, name, None)
    for ours in ("taskcounts_emulator.app", "taskcounts_emulator.server"):
        monkeypatch.delitem(sys.modules, ours)
    with pytest.raises(ImportError, match=message):
        emulator.__getattr__("Emulator")


def test_public_names_are_documented() -> None:
    """Every public name exists and has a docstring."""
    for name in emulator.__all__:
        assert getattr(emulator, name).__doc__


def test_a_name_that_is_not_there() -> None:
    """An unknown name is an AttributeError, although names are loaded on first use."""
    with pytest.raises(AttributeError, match="module 'taskcounts_emulator' has no attribute 'Emulater'"):
        emulator.__getattr__("Emulater")
    assert set(emulator.__all__) <= set(dir(emulator))
