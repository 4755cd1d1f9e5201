"""`make matrix`: the unit tests on every supported Python, and with the oldest packages that are allowed.

Each row gets a new environment in .venv/matrix/, and a log beside it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
MATRIX = ROOT / ".venv" / "matrix"
REQUIREMENTS = ROOT / "tests" / "requirements"
UV = Path(sys.executable).with_name("uv")
TESTS = [f"tests/unit/{part}" for part in ("client", "cli", "emulator", "test_public_api.py")]
VERSION = "import sys; print(sys.implementation.name, '.'.join(map(str, sys.version_info[:3])))"


class Row(NamedTuple):
    """One run of the tests: its name, its Python, the file that pins its packages, and options of pytest."""

    name: str
    minor: str
    packages: str
    options: tuple[str, ...] = ()


class Result(NamedTuple):
    """The end of a row."""

    row: Row
    python: str
    outcome: str
    detail: str


ROWS = [Row(minor, minor, "all.txt") for minor in ("3.11", "3.12", "3.13", "3.14")]
# Old packages use what newer ones among their own dependencies deprecate.
ROWS.append(Row("lowest", "3.11", "lowest.txt", ("-W", "ignore::DeprecationWarning")))


def main() -> int:
    """Run the rows that are named, or all; return 1 if one failed or none could be run, else 0."""
    parser = argparse.ArgumentParser(prog="make matrix")
    parser.add_argument("names", nargs="*", metavar="row", help=" ".join(row.name for row in ROWS))
    names = parser.parse_args().names
    if unknown := set(names) - {row.name for row in ROWS}:
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    results = [run(row) for row in ROWS if row.name in names or not names]
    print(f"\n{'row':8}{'python':10}{'packages':12}{'outcome':11}detail")
    for row, python, outcome, detail in results:
        print(f"{row.name:8}{python:10}{row.packages:12}{outcome:11}{detail}")
    outcomes = {result.outcome for result in results}
    return int("failed" in outcomes or "passed" not in outcomes)


def run(row: Row) -> Result:
    """Run the tests of one row in a new environment."""
    found = find_python(row.minor)
    if found is None:
        return Result(row, "-", "not found", f"no python{row.minor} on PATH or in pyenv")
    python, version = found
    print(f"{row.name}: running ...", flush=True)
    environment, log = MATRIX / row.name, MATRIX / f"{row.name}.txt"
    MATRIX.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        for command in commands(row, environment, python):
            done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False)  # noqa: S603
            if done.returncode:
                return Result(row, version, "failed", str(log.relative_to(ROOT)))
    return Result(row, version, "passed", log.read_text(encoding="utf-8").splitlines()[-1].strip("= "))


def commands(row: Row, environment: Path, python: Path) -> Iterator[list[str]]:
    """Yield the commands that make an environment and run the tests in it."""
    own = str(environment / "bin" / "python")
    uv = [str(UV), "--quiet", "--no-python-downloads"]
    pip = [*uv, "pip"]
    packages = str(REQUIREMENTS / row.packages)
    yield [*uv, "venv", "--clear", "--no-project", "--python", str(python), str(environment)]
    yield [*pip, "sync", "--require-hashes", "--python", own, packages]
    yield [*pip, "install", "--no-deps", "--no-build-isolation", "--python", own, "--editable", "."]
    workers = ["--numprocesses", "logical", "--maxprocesses", "4", "--dist", "worksteal"]
    yield [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, *row.options, *TESTS]


def find_python(minor: str) -> tuple[Path, str] | None:
    """Return the newest CPython of a minor version with its full version, None if there is none."""
    found = []
    for path in candidates(minor):
        # A shim of pyenv stands on PATH also for a version that isn't enabled, and fails.
        done = subprocess.run([path, "-c", VERSION], capture_output=True, text=True, check=False)  # noqa: S603
        kind, _, version = done.stdout.strip().partition(" ")
        if done.returncode == 0 and kind == "cpython" and version.rpartition(".")[0] == minor:
            found.append((int(version.rpartition(".")[2]), path, version))
    if not found:
        return None
    _, path, version = max(found)
    return path, version


def candidates(minor: str) -> Iterator[Path]:
    """Yield the files that may be a Python of a minor version."""
    for folder in os.get_exec_path():
        if found := shutil.which(f"python{minor}", path=folder):
            yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from pyenv.glob(f"versions/{minor}.*/bin/python{minor}")


if __name__ == "__main__":
    sys.exit(main())
