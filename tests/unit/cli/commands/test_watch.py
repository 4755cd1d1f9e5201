"""The commands watch, replay and plot without a terminal."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from support.command_line import RunCommand
from support.observations import NOON, judged, seen
from taskcounts.waiting.values import Observation, Outcome, Verdict
from taskcounts_cli.recording.parser import parse_line
from taskcounts_cli.viewer import SessionResult
from taskcounts_emulator import Emulator

DONE = [{"count": 3, "state": "completed", "result": "success"}]
QUICK = ("--interval", "0.05", "--timeout", "60")


@pytest.fixture
def jobs(emulator: Emulator) -> Emulator:
    """An emulator with a job that is done, one with a failed task, and one whose tasks stand still."""
    emulator.reset()
    emulator.add_job("done", DONE)
    emulator.add_job("bad", [*DONE, {"state": "completed", "result": "failure"}])
    emulator.add_job("still", [{"count": 2}, {"state": "running"}])
    return emulator


def test_lines_for_one_job(jobs: Emulator, command: RunCommand) -> None:
    """Off a terminal there is a line at each change, and the verdict is the last."""
    ended = command("watch", "done", *QUICK)
    assert ended.code == 0
    first, last = ended.out.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\dZ job 'done': 3 of 3 tasks completed", first)
    assert last.startswith("job 'done': done, all ")
    assert ended.err == ""


def test_lines_for_several_jobs(jobs: Emulator, command: RunCommand) -> None:
    """Of several jobs each verdict comes as a line, and one line sums them up; the first failure decides."""
    ended = command("watch", "done", "bad", *QUICK)
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert any(re.fullmatch(r"\d\d:\d\d:\d\dZ job 'bad': done, .*failed.*", line) for line in lines)
    assert lines[-1] == "2 jobs: 1 done, 1 failed (bad)"


def test_force_color_does_not_animate(
    jobs: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FORCE_COLOR makes no terminal of a file."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[?1049h" not in command("watch", "done", *QUICK).out


def test_objects(jobs: Emulator, command: RunCommand) -> None:
    """With -o ndjson each observation and verdict is a JSON object, and stdout has nothing else."""
    ended = command("watch", "done", "bad", "-o", "ndjson", *QUICK)
    events = [parse_line(line) for line in ended.out.splitlines()]
    assert {event.job_id: event.outcome for event in events if isinstance(event, Verdict)} == {
        "done": Outcome.MET,
        "bad": Outcome.FAILED,
    }
    assert sum(isinstance(event, Observation) for event in events) >= 4
    assert ended.code == 1


def test_an_account_without_jobs(emulator: Emulator, command: RunCommand) -> None:
    """An account without jobs is reported, and is not a success."""
    emulator.reset()
    ended = command("watch", "--all")
    assert (ended.code, ended.out, ended.err) == (3, "", "error: the account has no jobs\n")


def test_record_replay_plot(jobs: Emulator, command: RunCommand, tmp_path: Path) -> None:
    """A recording is replayed as the watch was shown, and can be plotted."""
    file = tmp_path / "today.ndjson"
    live = command("watch", "done", "bad", "--record", str(file), *QUICK)
    assert live.code == 1
    played = command("replay", str(file), "--speed", "0")
    assert played.code == 0
    assert sorted(played.out.splitlines()) == sorted(live.out.splitlines())
    assert played.out.splitlines()[-1] == live.out.splitlines()[-1]
    assert command("replay", str(file), "--speed", "1000").out == played.out
    assert command("plot", str(file), "-o", str(tmp_path / "chart.svg")).code == 0
    text = (tmp_path / "chart.svg").read_text()
    assert ">done<" in text
    assert ">bad<" in text
    assert command("plot", str(file), "-o", str(tmp_path / "one.PNG"), "--job", "bad").code == 0
    assert (tmp_path / "one.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_recording_is_not_overwritten(jobs: Emulator, command: RunCommand, tmp_path: Path) -> None:
    """A second watch needs another file, or --append."""
    file = tmp_path / "r"
    assert command("watch", "done", "--record", str(file), *QUICK).code == 0
    before = file.read_bytes()
    ended = command("watch", "done", "--record", str(file), *QUICK)
    assert ended.code == 2
    assert "--append" in ended.err
    assert file.read_bytes() == before
    assert command("watch", "done", "--record", str(file), "--append", *QUICK).code == 0
    assert file.read_bytes().startswith(before)
    assert file.stat().st_size > len(before)
    ended = command("watch", "done", "--record", str(tmp_path / "no" / "such" / "folder"))
    assert ended.code == 74


def test_objects_are_a_recording(jobs: Emulator, command: RunCommand, tmp_path: Path) -> None:
    """The output of -o ndjson can be replayed."""
    (tmp_path / "r").write_text(command("watch", "done", "-o", "ndjson", *QUICK).out)
    played = command("replay", str(tmp_path / "r"), "--speed", "0").out
    assert played.splitlines()[-1].startswith("job 'done': done, all ")


def test_notifications(jobs: Emulator, command: RunCommand, tmp_path: Path) -> None:
    """Each verdict is sent; a failure is reported, and changes no exit code."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import os, pathlib\n(pathlib.Path({str(tmp_path)!r}) / os.environ['TASKCOUNTS_JOB']).touch()\n"
    )
    notify = ("--notify", f"{sys.executable} {script}", "--notify", "false")
    ended = command("watch", "done", "bad", *notify, *QUICK)
    assert ended.code == 1
    assert (tmp_path / "done").exists()
    assert (tmp_path / "bad").exists()
    assert ended.err.count("warning: --notify: false ended with exit code 1") == 2


def test_the_attempts_can_be_seen(jobs: Emulator, command: RunCommand) -> None:
    """With -v every attempt is logged on stderr."""
    ended = command("watch", "done", "-v", *QUICK)
    assert "attempt 1" in ended.err


@pytest.mark.parametrize("output", ["view", "ndjson"])
@pytest.mark.parametrize("terminal", [False, True])
def test_an_interruption(
    jobs: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch, output: str, terminal: bool
) -> None:
    """After an interruption, the last state of each job without a verdict is shown."""
    verdict, last = judged("done"), seen("still")
    result = SessionResult(
        jobs=("done", "still"),
        verdicts={"done": verdict},
        last={"still": last},
        interrupted=signal.SIGINT,
        ended_at=NOON,
    )
    monkeypatch.setattr("taskcounts_cli.commands.common.run_session", lambda *_: result)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    ended = command("watch", "done", "still", "-o", output)
    assert ended.code == 130
    if output == "ndjson":
        (line,) = ended.out.splitlines()
        assert json.loads(line)["jobId"] == "still"
        assert json.loads(line)["type"] == "interruption"
    else:
        assert ended.out == "2 jobs: 1 done, 1 interrupted (still)\n"
    # The terminal's own ^C stands in a line of its own.
    assert ended.err == ("\n" if terminal else "")
