"""The wheel and the source distribution: what they hold, and that the wheel works by itself."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ["generated/taskcounts_rest", *(f"wrapper/taskcounts{end}" for end in ("", "_cli", "_emulator"))]
UV = Path(sys.executable).with_name("uv")

# Runs in the environment of the wheel, with an emulator from there.
ASK = """
import subprocess, sys
from taskcounts_emulator import Emulator

with Emulator(scripted=True) as emulator:
    emulator.add_job("nightly", tasks=3)
    reach = ["--endpoint", emulator.endpoint, "--account", emulator.account, "--key", emulator.key]
    command = [sys.executable, "-m", "taskcounts", "get", "nightly", "-o", "tsv", *reach]
    sys.exit(subprocess.run(command).returncode)
"""
PLUGIN = """
from pathlib import Path
import taskcounts, taskcounts_cli, taskcounts_emulator, taskcounts_rest

def test_fixture(batch_emulator):
    assert batch_emulator.counts(batch_emulator.add_job(tasks=2)).tasks.active == 2
    for module in (taskcounts, taskcounts_cli, taskcounts_emulator, taskcounts_rest):
        assert Path(module.__file__).is_relative_to(Path(__file__).parent), module
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without variables that lead to the checkout, and return its output."""
    done = subprocess.run(  # noqa: S603
        list(map(str, command)), cwd=cwd, env={"HOME": str(cwd)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, target: str, folder: Path) -> Path:
    """Build a wheel or an sdist with the pinned hatchling, which needs no network; return its path."""
    run(sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder, cwd=source)
    (built,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(ROOT, "sdist", folder)) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """An environment with the wheel, pytest, and no more than what the wheel's extras ask for."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (installed,) = distributions(path=[str(packages)])
    requirements = [Requirement("pytest")]
    requirements += applicable(installed.requires or [], {"cli", "emulator", ""})
    for name in closure(requirements):
        for top in {file.parts[0] for file in distribution(name).files or ()} - {"..", "__pycache__"}:
            (packages / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


def applicable(requirements: list[str], extras: set[str]) -> list[Requirement]:
    """Return the requirements that hold here, with these extras."""
    parsed = map(Requirement, requirements)
    return [
        each for each in parsed if not each.marker or any(each.marker.evaluate({"extra": e}) for e in extras)
    ]


def closure(requirements: list[Requirement]) -> set[str]:
    """Return the names of the distributions that requirements need, directly or not."""
    names: set[str] = set()
    asked: set[tuple[str, frozenset[str]]] = set()
    while requirements:
        requirement = requirements.pop()
        name, extras = canonicalize_name(requirement.name), requirement.extras | {""}
        if (name, frozenset(extras)) not in asked:
            asked.add((name, frozenset(extras)))
            names.add(name)
            requirements += applicable(distribution(name).requires or [], extras)
    return names


def files(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel by their names."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_wheel_holds_the_packages_alone(wheel: Path) -> None:
    """All files of the packages are in the wheel, py.typed among them, and beside them metadata alone."""
    expected = {
        path.relative_to((ROOT / package).parent).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = files(wheel)
    assert {name for name in found if ".dist-info/" not in name} == expected
    assert {f"{Path(package).name}/py.typed" for package in PACKAGES} <= set(found)


def test_metadata(wheel: Path) -> None:
    """The metadata is that of pyproject.toml, with the README as its description."""
    contents = files(wheel)
    folder = f"taskcounts-{wheel.name.split('-')[1]}.dist-info"
    metadata: Message = Parser().parsestr(contents[f"{folder}/METADATA"].decode())
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["License-Expression"] == PROJECT["license"]
    assert contents[f"{folder}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata.get_all("Classifier") == PROJECT["classifiers"]
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    """The wheel of the source distribution is that of the checkout."""
    assert files(build(sdist, "wheel", tmp_path)) == files(wheel)


def test_sdist_generates_the_client(sdist: Path) -> None:
    """The source distribution holds all that `make generate` needs."""
    assert (sdist / "Makefile").is_file()
    assert (sdist / "tests" / "requirements" / "all.txt").is_file()
    run(sys.executable, "spec/generate.py", "--check", cwd=sdist)


def test_commands(environment: Path, tmp_path: Path) -> None:
    """The installed command tells its version, and `python -m taskcounts` asks an installed emulator."""
    version = run(environment / "bin" / "taskcounts", "--version", cwd=tmp_path)
    assert version == f"taskcounts {distribution('taskcounts').version}\n"
    header, row = run(environment / "bin" / "python", "-c", ASK, cwd=tmp_path).splitlines()
    assert header.split("\t")[:2] == ["jobId", "active"]
    assert row.split("\t")[:2] == ["nightly", "3"]


def test_pytest_plugin(environment: Path) -> None:
    """pytest finds the plugin by its entry point, and all packages come from the environment."""
    (environment / "test_plugin.py").write_text(PLUGIN, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-W", "error"]
    run(environment / "bin" / "python", "-m", "pytest", *options, "test_plugin.py", cwd=environment)
