"""The api-version on the command line: its option and variable, its place in records, and its refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.answers import answer
from support.client import ACCESS_KEY
from support.command_line import RunCommand
from support.servers import Server, always
from taskcounts.base_client import API_VERSIONS, DEFAULT_API_VERSION
from taskcounts_emulator import Emulator

each_version = pytest.mark.parametrize("version", API_VERSIONS)
OTHER = next(version for version in API_VERSIONS if version != DEFAULT_API_VERSION)

# Each way to make a client: for one job, for a list of jobs, and for waits.
COMMANDS = [
    "get nightly-render",
    "get nightly-render --verify",
    "get --all",
    "wait nightly-render --for count>=1 -q",
    "watch --all --filter startswith(id,'n') --for count>=1",
]


def versions_seen(emulator: Emulator) -> set[str]:
    """Return the versions that the requests of a command named."""
    queries = [entry.query.split("&") for entry in emulator.journal.entries()]
    return {part.removeprefix("api-version=") for parts in queries for part in parts if "version" in part}


@each_version
@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_sends_it(emulator: Emulator, command: RunCommand, line: str, version: str) -> None:
    """Every request of a command names the chosen version."""
    assert command(*line.split(), "--api-version", version).code == 0
    assert versions_seen(emulator) == {version}


def test_the_variable(emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable chooses it, the option comes before it, and an empty variable counts as unset."""
    seen = []
    for variable, options in [(None, ()), ("", ()), (OTHER, ()), (OTHER, ("--api-version", API_VERSIONS[0]))]:
        if variable is not None:
            monkeypatch.setenv("AZURE_BATCH_API_VERSION", variable)
        [record] = json.loads(command("get", "empty", "-o", "json", *options).out)
        seen.append(record["apiVersion"])
    assert seen == [DEFAULT_API_VERSION, DEFAULT_API_VERSION, OTHER, API_VERSIONS[0]]


@pytest.mark.parametrize("version", [" ", f"{OTHER} ", "2023-11-01.18.0", "latest"])
def test_unknown_versions(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """The error names the option, the variable and the versions; nothing is sent."""
    monkeypatch.setenv("AZURE_BATCH_API_VERSION", version)
    ended = command("wait", "empty")
    assert (ended.code, ended.out) == (2, "")
    known = ", ".join(f"'{each}'" for each in API_VERSIONS)
    where = "'--api-version' (env var: 'AZURE_BATCH_API_VERSION')"
    assert (
        ended.err.splitlines()[0] == f"error: Invalid value for {where}: '{version}' is not one of {known}."
    )
    assert emulator.journal.entries() == []


@pytest.mark.parametrize("name", ["get", "wait", "watch"])
def test_completion(command: RunCommand, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A shell completes the versions."""
    monkeypatch.setenv("_TASKCOUNTS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"taskcounts {name} --api-version 20")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert command().out.splitlines() == [f"plain,{version}" for version in API_VERSIONS]


@each_version
def test_recordings_have_it(emulator: Emulator, command: RunCommand, tmp_path: Path, version: str) -> None:
    """Each event of a recording has it; an older recording, without it, is played all the same."""
    path = tmp_path / "recorded.ndjson"
    watch = ["watch", "nightly-render", "--for", "count>=1", "--record", str(path)]
    assert command(*watch, "--api-version", version).code == 0
    lines = path.read_text().splitlines()
    assert {json.loads(line)["snapshot"]["apiVersion"] for line in lines} == {version}
    played = command("replay", str(path), "--speed", "0")
    path.write_text("".join(line.replace(f', "apiVersion": "{version}"', "") + "\n" for line in lines))
    assert "apiVersion" not in path.read_text()
    assert command("replay", str(path), "--speed", "0") == played
    assert (played.code, played.err) == (0, "")


@pytest.fixture
def outdated(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    """A service that refuses the version of each request."""
    details = [{"key": "QueryParameterName", "value": "api-version"}]
    body = {"code": "InvalidQueryParameterValue", "message": {"value": "It is invalid."}, "values": details}
    server = serve(always(answer(body, 400)))
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", server.url)
    monkeypatch.setenv("AZURE_BATCH_ACCOUNT", "myaccount")
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", ACCESS_KEY)
    return server


ADVICE = (
    f"the service refuses api-version {DEFAULT_API_VERSION}; this client speaks {', '.join(API_VERSIONS)}: "
    "choose by api_version= or --api-version, or by AZURE_BATCH_API_VERSION, "
    "which from_environment() and the command line read"
)


@pytest.mark.parametrize("line", ["get x", "get x --exact", "get --all", "wait --all"])
def test_a_refused_version(outdated: Server, command: RunCommand, line: str) -> None:
    """One line says so, with no other hint; the request is sent once."""
    ended = command(*line.split())
    assert (ended.code, ended.out) == (5, "")
    assert len(ended.err.splitlines()) == len(outdated.requests) == 1
    assert f"400 InvalidQueryParameterValue: It is invalid; {ADVICE}" in ended.err


@pytest.mark.parametrize("name", ["wait", "watch"])
def test_a_wait_for_a_refused_version(outdated: Server, command: RunCommand, name: str) -> None:
    """The verdict is given after the first request, with exit code 5."""
    ended = command(name, "x", "-o", "ndjson")
    verdict = json.loads(ended.out.splitlines()[-1])
    assert (ended.code, verdict["outcome"], len(outdated.requests)) == (5, "lost", 1)
    assert ADVICE in verdict["text"]
    assert verdict["error"]["apiVersion"] == DEFAULT_API_VERSION
