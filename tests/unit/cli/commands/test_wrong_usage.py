"""Wrong usage of every command: exit code 2 and one line, before anything is sent."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

from support.command_line import RunCommand
from support.tables import table
from taskcounts_emulator import Emulator


@pytest.mark.parametrize(("line", "says"), table("cli/wrong_usage", "wrong usage"))
def test_wrong_usage_is_refused(emulator: Emulator, command: RunCommand, line: str, says: str) -> None:
    """Stderr has the reason in its first line, and at most a hint below; nothing was sent."""
    ended = command(*shlex.split(line))
    assert (ended.code, ended.out) == (2, "")
    error, *hints = ended.err.splitlines()
    assert says in error
    assert [hint.partition(" ")[0] for hint in hints] in ([], ["hint:"])
    assert not emulator.journal.entries()


@pytest.mark.parametrize(
    ("line", "package", "extra"),
    [
        ("get x --auth entra --endpoint http://127.0.0.1:9", "azure", "entra"),
        ("plot /dev/null -o x.svg", "matplotlib", "plot"),
        ("demo", "uvicorn", "emulator"),
        ("emulate", "uvicorn", "emulator"),
        ("emulate --tls", "trustme", "tls"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    command: RunCommand, monkeypatch: pytest.MonkeyPatch, line: str, package: str, extra: str
) -> None:
    """The error names the package, and the extra of taskcounts that installs it."""
    ours = ("taskcounts_emulator", "taskcounts_cli.recording.chart")
    for name in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)
    for name in (package, "uvicorn.config", "azure.identity"):
        if name.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, name, None)
    ended = command(*line.split())
    assert (ended.code, ended.out) == (2, "")
    named = {"azure": "azure-identity"}.get(package, package)
    assert re.match(rf"error: .* needs {named}[:\n]", ended.err)
    assert f"install taskcounts with its extra '{extra}'" in ended.err


def test_a_broken_library_is_no_missing_one(command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package whose files can't be loaded is a defect: no extra would mend it."""

    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == "matplotlib":
                raise ImportError("libpng.so: cannot open shared object file")

    loaded = ("matplotlib", "taskcounts_cli.recording.chart")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    ended = command("plot", "/dev/null", "-o", "x.svg")
    assert (ended.code, ended.out) == (70, "")
    assert "libpng.so: cannot open shared object file" in ended.err
