"""The pages are true: their code runs, their output is real, and their links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest

from taskcounts import Outcome, TaskCountsClient, __version__, errors
from taskcounts.waiting.goals import COUNTERS, NAMES
from taskcounts_cli.app import cli
from taskcounts_cli.exits import Exit
from taskcounts_emulator import Emulator, admin
from taskcounts_emulator.faults.malformed import VARIANTS
from taskcounts_emulator.faults.plan import KINDS
from taskcounts_emulator.state.lag import IN_JSON, LagModel

pytestmark = pytest.mark.slow  # It runs all that the README shows.

PROJECT = Path(__file__).parents[2]
README = "README.md"
CLIENT = "wrapper/taskcounts/README.md"
COMMANDS = "wrapper/taskcounts_cli/README.md"
EMULATOR = "wrapper/taskcounts_emulator/README.md"
SPEED = "tests/benchmarks/README.md"

# The pages whose examples are run.
PAGES = (README, CLIENT, COMMANDS, EMULATOR)

# The jobs that all their examples use.
EXAMPLE = PROJECT / "wrapper" / "taskcounts_emulator" / "example.json"

AZURE_BATCH = Path(sys.prefix) / "interop" / "azure-batch-15"

# Ids and times differ from run to run.
VARYING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
OUTSIDE = re.compile(r"[a-z]+:")


def text_of(page: str) -> str:
    """Return the text of a page."""
    return (PROJECT / page).read_text(encoding="utf-8")


def blocks(language: str, page: str) -> list[str]:
    """Return the code blocks of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def python_blocks(*, tests: bool) -> list[Any]:
    """Return the Python of all pages: tests for pytest, or programs."""
    return [
        pytest.param(code, id=f"{page}-{number}")
        for page in PAGES
        for number, code in enumerate(blocks("python", page), 1)
        if ("def test_" in code) is tests
    ]


def commands() -> list[tuple[str, str]]:
    """Return the calls of `taskcounts get` and `wait` with the output that the pages show."""
    shown = []
    for page in PAGES:
        for block in blocks("console", page):
            for call in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                line, _, output = call.partition("\n")
                if (
                    line.startswith(("taskcounts get ", "taskcounts wait "))
                    and output
                    and "\n$" not in output
                ):
                    shown.append((line, output))
    return list(dict.fromkeys(shown))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def all_pages() -> list[str]:
    """Return every page of the project."""
    found = (path.relative_to(PROJECT) for path in PROJECT.rglob("*.md"))
    return sorted(str(path) for path in found if path.parts[0] not in (".venv", "build", "dist", "reports"))


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """The environment of somebody whose account has the jobs of the examples."""
    with Emulator() as emulator:
        emulator.load(EXAMPLE.read_bytes())
        yield {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AZURE_BATCH_ENDPOINT": emulator.endpoint,
            "AZURE_BATCH_ACCOUNT": emulator.account,
            "AZURE_BATCH_ACCESS_KEY": emulator.key,
        }


@pytest.mark.parametrize("code", python_blocks(tests=False))
def test_python_blocks_run(code: str, environment: dict[str, str]) -> None:
    """Each program runs by itself and prints something; Microsoft's client does so in its own environment."""
    python = AZURE_BATCH / "bin" / "python" if "azure.batch" in code else Path(sys.executable)
    done = subprocess.run(  # noqa: S603
        [python, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if "range(300)" in code:
        assert "'active': 300" in done.stdout


@pytest.mark.parametrize("code", python_blocks(tests=True))
def test_tests_pass(code: str, tmp_path: Path) -> None:
    """Each test that is shown passes, in a project that knows nothing of this one."""
    (tmp_path / "test_shown.py").write_text(code, encoding="utf-8")
    paths = [str(path) for path in (AZURE_BATCH / "lib").glob("python*/site-packages")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."],
        env=os.environ | ({"PYTHONPATH": os.pathsep.join(paths)} if "azure.batch" in code else {}),
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
    """Each call of the command line prints, to the letter, what stands below it, except ids and times."""
    done = subprocess.run(  # noqa: S603
        shlex.split(line),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    shown, printed = (
        [VARYING.sub("…", line.rstrip()) for line in text.splitlines()] for text in (output, done.stdout)
    )
    assert printed == shown


def test_examples_are_found() -> None:
    """The pages have programs, tests, and commands that succeed and that fail."""
    assert len(python_blocks(tests=False)) >= 7
    assert len(python_blocks(tests=True)) >= 2
    assert len(commands()) >= 6


@pytest.mark.parametrize(
    ("scenario", "ends"),
    [
        (EXAMPLE.read_text(encoding="utf-8"), {"reindex": 60}),
        (next(block for block in blocks("json", EMULATOR) if "tasks" in block), {"nightly-render": 61}),
    ],
    ids=["example.json", "page"],
)
def test_scenarios_are_right(scenario: str, ends: dict[str, int]) -> None:
    """The scenarios are accepted, and jobs with a pool run to their ends."""
    with Emulator(scripted=True) as emulator:
        emulator.load(scenario)
        emulator.advance(600)
        for job_id, tasks in ends.items():
            assert emulator.counts(job_id).tasks.completed == tasks


def test_examples_use_the_jobs_that_exist() -> None:
    """Commands that start an emulator name the scenario by its path in a checkout."""
    named = [path for page in PAGES for path in re.findall(r"--scenario (\S+\.json)", text_of(page))]
    assert len(named) >= 3
    assert {PROJECT / path for path in named} == {EXAMPLE}
    assert len(json.loads(EXAMPLE.read_bytes())["jobs"]) == 3


@pytest.mark.parametrize("page", all_pages())
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link and picture exists, down to its heading."""
    for link in LINK.findall(text_of(page)):
        if OUTSIDE.match(link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (PROJECT / page).parent / path if path else PROJECT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_readme_is_short() -> None:
    """The README is read in one sitting: details stand on the pages that it links to."""
    assert len(text_of(README).splitlines()) <= 250


def test_the_client_page_tells_all() -> None:
    """Every method of a client, every goal, every outcome and every error is on the client's page."""
    page = text_of(CLIENT)
    for name in (name for name in vars(TaskCountsClient) if not name.startswith("_") and name != "close"):
        assert f"`{name}" in page, name
    for goal in NAMES:
        assert f"| `{goal}` |" in page, goal
    for counter in set(COUNTERS) - {"completed"}:
        assert f"`{counter}>=N`" in page, counter
    for outcome in Outcome:
        assert f"| `{outcome}` |" in page, outcome
    for error in errors.__all__:
        assert re.search(rf"^[│├└─ ]*{error} ", page, re.MULTILINE), error


def test_the_page_of_commands_tells_all() -> None:
    """Every command and every exit code is on the page of the command line."""
    page = text_of(COMMANDS)
    for command in cli.list_commands(click.Context(cli)):
        assert re.search(rf"(^## .*\b{command}\b|`taskcounts {command} )", page, re.MULTILINE), command
        assert re.search(rf"`(taskcounts )?{command}`", text_of(README)), command
    told = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for code in row.split(",")
    }
    assert told == {int(code) for code in Exit}


def test_the_page_of_commands_names_what_programs_read(environment: dict[str, str]) -> None:
    """Every column of TSV, and every member of a verdict and of an observation, is on the page."""
    page = text_of(COMMANDS)

    def printed(*command: str) -> list[str]:
        done = subprocess.run(  # noqa: S603
            ["taskcounts", *command],  # noqa: S607
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    header = printed("get", "weekly-report:job-7", "-o", "tsv")[0].split("\t")
    assert f"| {', '.join(f'`{column}`' for column in header)} |" in page
    for line in printed("watch", "weekly-report:job-7", "-o", "ndjson"):
        kind = json.loads(line)["type"]
        [row] = re.findall(rf"^\|.*\| `type` \(`{kind}`\), (.*) \|$", page, re.MULTILINE)
        assert {"type", *re.findall(r"`(\w+)`", row)} == set(json.loads(line))


def test_the_emulators_page_tells_all() -> None:
    """Every address of the admin API, every fault and every switch of the lag model is on the page."""
    page = text_of(EMULATOR)
    addresses = re.findall(r"^(GET|POST|DELETE) +(/_emulator/\w+)", admin.__doc__ or "", re.MULTILINE)
    assert len(addresses) > 15
    for verb, address in addresses:
        assert re.search(rf"^\| .*`{verb}\b.*{address}`", page, re.MULTILINE), (verb, address)
    for name in [*KINDS, *VARIANTS, *(IN_JSON.get(field.name, field.name) for field in fields(LagModel))]:
        assert f"`{name}`" in page, name


def test_speed_is_what_was_measured() -> None:
    """The README's figures are those of the page with all figures, rounded."""
    figures = re.findall(r"^\| .+ \| (0\.\d\d) of ", text_of(README), re.MULTILINE)
    measured = re.findall(r"^\| .+ \| \**(\d\.\d+) \(.+met\** \|", text_of(SPEED), re.MULTILINE)
    assert len(figures) == 5
    assert set(figures) <= {f"{float(figure) + 1e-9:.2f}" for figure in measured}


def test_versions_agree() -> None:
    """The newest section of the changelog is of this version."""
    assert re.findall(r"^## (\d\S+)", text_of("CHANGELOG.md"), re.MULTILINE)[0] == __version__


def test_the_helpers_of_the_tests_are_listed() -> None:
    """The page of the tests names every module of tests/support, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| ", text_of("tests/README.md"), flags=re.MULTILINE)
    modules = {path.stem for path in (PROJECT / "tests" / "support").glob("*.py")} - {"__init__"}
    assert sorted(rows) == sorted(modules)
