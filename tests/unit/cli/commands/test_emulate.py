"""`taskcounts emulate`: the emulator's start, service and end."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command_line import RunCommand
from taskcounts import SharedKey, TaskCountsClient
from taskcounts_emulator import EmulatedAccount
from taskcounts_emulator.tls import Authority

pytestmark = pytest.mark.slow  # Its tests start processes.

SCENARIO = {"jobs": [{"id": "nightly", "tasks": [{"count": 3}, {"state": "running", "requiredSlots": 2}]}]}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_printed_settings_reach_the_emulator(tmp_path: Path, end: signal.Signals) -> None:
    """The printed endpoint answers for the scenario's jobs; a signal stops it without a traceback."""
    scenario = tmp_path / "scenario.json"
    scenario.write_text(json.dumps(SCENARIO), encoding="utf-8")
    process = subprocess.Popen(  # noqa: S603
        [
            sys.executable,
            "-m",
            "taskcounts",
            "emulate",
            "--scenario",
            str(scenario),
            "--data",
            str(tmp_path / "db"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    exports = dict(re.findall(r"export (\w+)=(\S+)", "".join(process.stdout.readline() for _ in range(3))))
    credential = SharedKey(exports["AZURE_BATCH_ACCOUNT"], exports["AZURE_BATCH_ACCESS_KEY"])
    with TaskCountsClient(exports["AZURE_BATCH_ENDPOINT"], credential) as client:
        snapshot = client.get_job_task_counts("nightly")
    assert (snapshot.task_counts.active, snapshot.task_slot_counts.running) == (3, 2)
    process.send_signal(end)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == ""
    assert err.splitlines() == [f"emulating at {exports['AZURE_BATCH_ENDPOINT']}; Ctrl-C stops it", "stopped"]


def test_a_busy_port(command: RunCommand) -> None:
    """A port in use is reported in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = command("emulate", "--port", str(taken.getsockname()[1]))
    assert ended.code == 2
    assert "in use" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "scenario.json: "),
        (json.dumps({"jobs": [{"id": "a b"}]}), "jobs[0].id"),
        (json.dumps({"jobs": [{"id": "x", "tasks": [{"state": "asleep"}]}]}), "jobs[0].tasks[0].state"),
    ],
)
def test_a_bad_scenario(command: RunCommand, tmp_path: Path, text: str, says: str) -> None:
    """An error in a scenario names the file and the place."""
    scenario = tmp_path / "scenario.json"
    scenario.write_text(text, encoding="utf-8")
    ended = command("emulate", "--scenario", str(scenario))
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_missing_scenario(command: RunCommand, tmp_path: Path) -> None:
    """The error names the missing file."""
    ended = command("emulate", "--scenario", str(tmp_path / "none.json"))
    assert ended.code == 74
    assert "none.json: No such file or directory" in ended.err


def test_an_invalid_data_file_is_refused(command: RunCommand, tmp_path: Path) -> None:
    """A file that holds something else is refused and not changed."""
    data = tmp_path / "data"
    data.write_text("something else entirely" * 100, encoding="utf-8")
    ended = command("emulate", "--data", str(data))
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert data.read_text(encoding="utf-8") == "something else entirely" * 100


def test_an_invalid_key_is_not_shown(command: RunCommand) -> None:
    """A key that isn't Base64 is refused without being shown."""
    ended = command("emulate", "--key", "hunter2!")
    assert ended.code == 2
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    ("host", "warned"),
    [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)],  # noqa: S104
)
def test_other_hosts_are_warned_of(
    command: RunCommand, monkeypatch: pytest.MonkeyPatch, host: str, warned: bool
) -> None:
    """A host that other machines can reach gets a warning."""

    def serve(service: object, *, host: str, port: int, tls: None, ready: Callable[[str], None]) -> None:
        ready(f"http://{host}:1")

    monkeypatch.setattr("taskcounts_emulator.serve", serve)
    ended = command("emulate", "--host", host)
    assert ended.code == 0
    assert (f"warning: anybody who reaches http://{host}:1" in ended.err) is warned


def test_each_option_reaches_the_emulator(command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clock, seed and slots are those of the options."""
    told: list[object] = []

    def serve(service: EmulatedAccount, **_: object) -> None:
        ((pool, _used),) = service.world.pools()
        told.extend([service.clock()["kind"], service.world.seed, pool.id, pool.slots])

    monkeypatch.setattr("taskcounts_emulator.serve", serve)
    assert command("emulate").code == 0
    assert command("emulate", "--clock", "scripted", "--seed", "-3", "--slots", "2").code == 0
    assert told == ["machine", 0, "*", 16, "scripted", -3, "*", 2]


def test_a_file_goes_on_from_where_it_was(
    command: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A second start keeps slots and jobs, ignores the scenario with a warning, and refuses another clock."""
    told: list[object] = []

    def serve(service: EmulatedAccount, **_: object) -> None:
        told.append(([pool.slots for pool, _used in service.world.pools()], list(service.all_counts())))

    monkeypatch.setattr("taskcounts_emulator.serve", serve)
    scenario, data = tmp_path / "scenario.json", tmp_path / "data"
    scenario.write_text(json.dumps(SCENARIO), encoding="utf-8")
    options = ("emulate", "--data", str(data), "--clock", "scripted", "--scenario", str(scenario))
    assert command(*options, "--slots", "3").code == 0
    again = command(*options)
    assert (again.code, told) == (0, [([3], ["nightly"])] * 2)
    assert again.err.splitlines() == [
        f"warning: {data} already holds jobs, so {scenario} is ignored",
        "stopped",
    ]
    other = command("emulate", "--data", str(data))
    assert (other.code, other.err) == (
        2,
        f"error: {data}: its tasks live by a scripted clock; start it with that one\n",
    )


def test_tls_is_served(command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --tls it prints the path of the authority's certificate, which is deleted at the end."""
    seen: list[bytes] = []

    def serve(service: object, *, tls: Authority, ready: Callable[[str], None], **_: object) -> None:
        ready("https://127.0.0.1:1")
        seen.append(tls.ca_path.read_bytes())

    monkeypatch.setattr("taskcounts_emulator.serve", serve)
    ended = command("emulate", "--tls")
    assert ended.code == 0
    assert seen[0].startswith(b"-----BEGIN CERTIFICATE-----")
    told = dict(re.findall(r"export (REQUESTS_CA_BUNDLE|SSL_CERT_FILE)=(\S+)", ended.out))
    assert told["REQUESTS_CA_BUNDLE"] == told["SSL_CERT_FILE"]
    assert not Path(told["SSL_CERT_FILE"]).exists()
