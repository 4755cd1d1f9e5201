"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from taskcounts import __version__, errors
from taskcounts_cli.exits import Exit
from taskcounts_emulator import Emulator, admin
from taskcounts_emulator.faults.plan import KINDS
from taskcounts_emulator.faults.shapes import VARIANTS
from taskcounts_emulator.state.lag import IN_JSON, LagModel

pytestmark = pytest.mark.slow  # It runs all that the README shows.

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
PAGE = (PROJECT / "wrapper" / "taskcounts_emulator" / "README.md").read_text(encoding="utf-8")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def blocks(language: str, text: str = README) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def is_test(code: str) -> bool:
    """Return whether a block is a test for pytest to run."""
    return "def test_" in code


def scenario(text: str) -> str:
    """Return the scenario that is shown."""
    [found] = [block for block in blocks("json", text) if "tasks" in block]
    return found


def commands() -> list[tuple[str, str]]:
    """Return the calls of `taskcounts get` and `wait` with the output that the README shows."""
    shown = []
    for block in blocks("console"):
        for call in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = call.partition("\n")
            if line.startswith(("taskcounts get ", "taskcounts wait ")) and output:
                shown.append((line, output))
    return shown


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """The environment of somebody whose account has the README's jobs."""
    with Emulator() as emulator:
        emulator.load(scenario(README))
        yield {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AZURE_BATCH_ENDPOINT": emulator.endpoint,
            "AZURE_BATCH_ACCOUNT": emulator.account,
            "AZURE_BATCH_ACCESS_KEY": emulator.key,
        }


@pytest.mark.parametrize("code", [code for code in blocks("python") if not is_test(code)])
def test_python_blocks_run(code: str, environment: dict[str, str]) -> None:
    """Each block of Python runs by itself and prints something."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("code", [code for code in blocks("python") if is_test(code)])
def test_tests_pass(code: str, tmp_path: Path) -> None:
    """Each test that is shown passes, in a project that knows nothing of this one."""
    (tmp_path / "test_shown.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert " 1 passed" in f" {done.stdout.splitlines()[-1]}"


@pytest.mark.parametrize(("line", "output"), commands())
def test_commands_print_what_is_shown(line: str, output: str, environment: dict[str, str]) -> None:
    """Each call of the command line prints, to the letter, what stands below it, but for ids."""
    done = subprocess.run(  # noqa: S603
        line.split(),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    shown, printed = (
        [GUID.sub("…", line.rstrip()) for line in text.splitlines()] for text in (output, done.stdout)
    )
    assert printed == shown


def test_it_shows_commands() -> None:
    """There are examples of success and of failure."""
    assert len(commands()) >= 5
    assert len(blocks("python")) >= 3


@pytest.mark.parametrize(
    ("text", "ends"), [(README, {"reindex": 60}), (PAGE, {"nightly-render": 61})], ids=["README", "page"]
)
def test_scenarios_are_right(text: str, ends: dict[str, int]) -> None:
    """The examples of scenarios are taken, and jobs with a pool run to their ends."""
    with Emulator(scripted=True) as emulator:
        emulator.load(scenario(text))
        emulator.advance(600)
        for job_id, tasks in ends.items():
            assert emulator.counts(job_id).tasks.completed == tasks


def test_microsofts_client_does_what_is_shown(environment: dict[str, str]) -> None:
    """The example with azure-batch runs, unmodified, in the environment of that client."""
    [code] = blocks("python", PAGE)
    python = Path(sys.prefix) / "interop" / "azure-batch-15" / "bin" / "python"
    done = subprocess.run(  # noqa: S603
        [python, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "'active': 300" in done.stdout


def test_the_page_tells_all() -> None:
    """Every address of the admin API, every fault and every switch of the lag model is on the page."""
    addresses = re.findall(r"^(GET|POST|DELETE) +(/_emulator/\w+)", admin.__doc__ or "", re.MULTILINE)
    assert len(addresses) > 15
    for verb, address in addresses:
        assert re.search(rf"^\| .*`{verb}\b.*{address}`", PAGE, re.MULTILINE), (verb, address)
    for name in [*KINDS, *VARIANTS, *(IN_JSON.get(field.name, field.name) for field in fields(LagModel))]:
        assert f"`{name}`" in PAGE, name


def test_exit_codes_are_all_told() -> None:
    """The table of exit codes has each of them."""
    told = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE) for code in row.split(",")
    }
    assert told == {int(code) for code in Exit}


def test_errors_are_all_told() -> None:
    """The hierarchy of errors has each of them."""
    for name in errors.__all__:
        assert re.search(rf"^[│├└─ ]*{name} ", README, re.MULTILINE), name


def test_versions_agree() -> None:
    """The newest section of the changelog is of this version."""
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == __version__
