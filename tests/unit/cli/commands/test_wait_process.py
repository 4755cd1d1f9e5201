"""`taskcounts wait` as a process: signals and closed streams."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable

import pytest

from support.command_line import start, start_shell, wait_until
from taskcounts_emulator import Emulator

pytestmark = pytest.mark.slow  # Its tests start processes.

STANDING = [{"count": 3, "state": "completed", "result": "success"}, {"count": 2, "state": "running"}]


@pytest.fixture
def standing(emulator: Emulator) -> Emulator:
    """An emulator with two jobs whose counts stand still, and one that is done."""
    emulator.add_job("still", STANDING)
    emulator.add_job("quiet", STANDING)
    emulator.add_job("done", STANDING[:1])
    return emulator


def asked(emulator: Emulator, times: int) -> Callable[[], bool]:
    """Return a function that is true once the emulator has had a number of requests."""
    return lambda: len(emulator.journal.entries()) >= times


def interrupt(emulator: Emulator, process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    """Send a signal after the first counts; return stdout, and stderr from then on."""
    assert process.stderr is not None
    while "tasks completed" not in process.stderr.readline():
        pass
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    return out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_a_verdict(standing: Emulator, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end a wait with the last known counts in one line, and with 130."""
    process = start("wait", "still")
    out, err = interrupt(standing, process, number)
    assert process.returncode == 130
    assert out.startswith("job 'still': interrupted; 3 of 5 tasks completed, 2 running (counts of ")
    assert (len(out.splitlines()), err) == (1, "")


@pytest.mark.parametrize("output", ["text", "json", "ndjson"])
def test_an_interruption_loses_no_verdict(standing: Emulator, output: str) -> None:
    """Verdicts before the interruption are written, and the last state of the other jobs."""
    process = start("wait", "done", "still", "-o", output, "--interval", "0.1")
    assert process.stderr is not None
    told = ""
    while not ("'done': done" in told and "3 of 5 tasks" in told):
        told += process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=20)[0]
    assert process.returncode == 130
    if output == "text":
        assert out == "2 jobs: 1 done, 1 interrupted (still)\n"
        return
    records = json.loads(out) if output == "json" else [json.loads(line) for line in out.splitlines()]
    assert [(each["jobId"], each["outcome"]) for each in records] == [
        ("done", "met"),
        ("still", "interrupted"),
    ]
    assert records[1]["snapshot"]["taskCounts"]["completed"] == 3
    assert (records[1]["type"], records[1]["polls"] >= 1) == ("interruption", True)


def test_interrupted_before_anything_is_known(standing: Emulator) -> None:
    """An interruption during the first poll says that nothing is known."""
    standing.fault("slow", seconds=30)
    process = start("wait", "still", "quiet", "-o", "json")
    wait_until(asked(standing, 1))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    for record in json.loads(out):
        assert record["text"] == f"job {record['jobId']!r}: interrupted; nothing is known yet"
        assert (record["snapshot"], record["polls"]) == (None, 0)


def test_on_a_terminal(standing: Emulator) -> None:
    """The verdict has a line of its own below the terminal's ^C."""
    ours, theirs = pty.openpty()
    process = start("wait", "still", stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"tasks completed" not in shown:
        shown += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    while b"counts of" not in shown:
        shown += os.read(ours, 65536)
    process.communicate(timeout=20)
    os.close(ours)
    assert process.returncode == 130
    assert b"\r\n\r\njob 'still': interrupted" in shown


def test_in_the_background_of_a_script(standing: Emulator) -> None:
    """A background process of a script goes on after Ctrl-C."""
    process = start_shell("wait still --timeout 3s --interval 0.1", before="trap '' INT;")
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=20)[0]
    assert process.returncode == 124
    assert out.startswith("job 'still': timed out")


@pytest.mark.parametrize(("output", "code"), [("text", 141), ("ndjson", 141), ("json", 141)])
def test_a_closed_pipe_ends_the_wait_quietly(standing: Emulator, output: str, code: int) -> None:
    """A reader that has gone ends a wait as SIGPIPE would, without a traceback."""
    process = start("wait", "done", "-q", "-o", output, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == code


def test_no_stdout(standing: Emulator) -> None:
    """Without a stdout the command fails before it waits."""
    process = start_shell("wait still >&-")
    assert process.communicate(timeout=20)[1] == "error: there is no standard output to write to\n"
    assert process.returncode == 74


@pytest.mark.parametrize("where", ["/dev/full", "&-"])
def test_the_verdict_is_written_without_stderr(standing: Emulator, where: str) -> None:
    """The verdict is written even if the progress can't be."""
    process = start_shell(f"wait done 2>{where}")
    assert process.communicate(timeout=20)[0].startswith("job 'done': done, all")
    assert process.returncode == 0


def test_a_full_disk(standing: Emulator) -> None:
    """A verdict that can't be written is an error, not a success."""
    process = start_shell("wait done -q >/dev/full")
    assert process.communicate(timeout=20)[1] == "error: No space left on device\n"
    assert process.returncode == 74


def test_scripts_can_rely_on_it(standing: Emulator) -> None:
    """`wait … && …` goes on after success alone."""
    process = start_shell("wait done -q && echo published")
    assert process.communicate(timeout=20)[0].splitlines()[1:] == ["published"]
    process = start_shell("wait still --timeout 0.2 -q && echo published || echo rc=$?")
    assert process.communicate(timeout=20)[0].endswith("rc=124\n")
