"""watch on a pseudo-terminal, whose screen is read as a person would."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.observations import judged, seen
from support.terminal import Terminal
from taskcounts_cli.output.events import event_json
from taskcounts_emulator import Emulator

pytestmark = pytest.mark.slow  # Its tests start processes on pseudo-terminals.

OFTEN = ("--interval", "0.1")


@pytest.fixture
def job(emulator: Emulator) -> Emulator:
    """An emulator with one job of twelve tasks that move when the test moves them."""
    emulator.reset()
    emulator.add_job("render", 12)
    return emulator


def watching(
    *arguments: str, columns: int = 80, lines: int = 24, environ: Mapping[str, str] | None = None
) -> Terminal:
    """Start a watch of the job."""
    return Terminal(
        "watch", *(arguments or ("render",)), *OFTEN, columns=columns, lines=lines, environ=environ
    )


def left_whole(terminal: Terminal) -> bool:
    """Return whether the terminal is restored: its main screen, a cursor, no bold text."""
    return not terminal.alternate and not terminal.cursor_hidden and not terminal.screen.cursor.attrs.bold


def test_a_job_from_its_beginning_to_its_end(job: Emulator) -> None:
    """The view follows the tasks; at the end the last state stays, with the verdict below it."""
    with watching() as terminal:
        terminal.until_shown("12 active")
        assert terminal.alternate
        assert terminal.cursor_hidden
        assert re.fullmatch(
            r"  render +0.0 % completed  (0.0/h  )?time left unknown  \d s ago", terminal.lines[0]
        )
        assert terminal.lines[1:4] == [
            "  " + "·" * 78,
            "  █ 0 succeeded  x 0 failed  > 0 running  · 12 active  12 in all",
            "  slots:  0 succeeded  0 failed  0 running  12 active",
        ]
        assert terminal.lines[4:] == [*[""] * 19, "  until done; Ctrl-C ends the watch, not the jobs"]
        job.step("render", start=6)
        terminal.until_shown("6 running")
        assert terminal.lines[1] == "  " + ">" * 39 + "·" * 39
        job.step("render", succeed=4, fail=1)
        terminal.until_shown("1 failed")
        assert terminal.lines[1] == "  " + "█" * 26 + "x" * 7 + ">" * 6 + "·" * 39
        assert terminal.lines[0].startswith("  render ")
        assert "41.6 % completed" in terminal.lines[0]
        job.step("render", start=6)
        job.step("render", succeed=7)
        assert terminal.ends() == 1
        assert left_whole(terminal)
        assert terminal.lines[0].startswith("✗ render ")
        assert terminal.lines[1] == "  " + "█" * 72 + "x" * 6
        assert terminal.lines[2].startswith(
            "  █ 11 succeeded  x 1 failed  > 0 running  · 0 active  12 in all"
        )
        assert terminal.lines[-1].startswith("job 'render': done, ")
        assert len(terminal.lines) == 5


def test_a_window_of_another_size(job: Emulator) -> None:
    """After each resize the view is complete, and nothing of the old one remains."""
    with watching(columns=100) as terminal:
        job.step("render", start=5)
        terminal.until_shown("5 running")
        for columns, lines in ((40, 12), (31, 14), (120, 30), (20, 5), (80, 24)):
            terminal.resize(columns, lines)
            if columns < 30:
                terminal.until(lambda: terminal.lines == ["window too narrow"])
                continue
            terminal.until_shown("  " + ">" * round((min(100, columns - 2)) * 5 / 12) + "·")
            text = "\n".join(terminal.lines)
            assert text.count("> 5 running") == 1
            assert text.count("· 7 active") == 1
            assert text.count("12 in all") == 1
            assert text.count("render") == 1
            assert max(len(line) for line in terminal.lines) <= columns
        terminal.press(b"\x03")
        assert terminal.ends() == 130
        assert left_whole(terminal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption(job: Emulator, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM restore the terminal, and leave the last state and the outcome."""
    with watching() as terminal:
        job.step("render", start=5)
        terminal.until_shown("5 running")
        if number is signal.SIGINT:
            terminal.press(b"\x03")
        else:
            terminal.send(number)
        assert terminal.ends() == 130
        assert left_whole(terminal)
        shown = [line for line in terminal.lines if line.strip(" ^C")]
        assert shown[0].startswith("  render ")
        assert shown[2] == "  █ 0 succeeded  x 0 failed  > 5 running  · 7 active  12 in all"
        known = "job 'render': interrupted; 0 of 12 tasks completed, 5 running, 7 active"
        assert known in "".join(terminal.lines)
        assert "Traceback" not in "\n".join(shown)


def test_ctrl_z(job: Emulator) -> None:
    """Ctrl-Z gives the terminal to the shell, and the view comes back with the command."""
    with watching() as terminal:
        terminal.until_shown("12 active")
        terminal.press(b"\x1a")
        terminal.until(lambda: terminal.stopped)
        terminal.until(lambda: not terminal.alternate)
        assert not terminal.cursor_hidden
        terminal.send(signal.SIGCONT)
        job.step("render", start=3)
        terminal.until_shown("3 running")
        assert terminal.alternate
        assert terminal.cursor_hidden
        terminal.press(b"\x03")
        assert terminal.ends() == 130
        assert left_whole(terminal)


def test_many_jobs_in_a_low_window(emulator: Emulator) -> None:
    """With more jobs than lines, jobs in trouble come first, the others are counted, and no number is cut."""
    emulator.reset()
    for n in range(30):
        emulator.add_job(f"job-{n:02}", n + 1)
    emulator.fault("wrong-shape", job="job-29", operation="Job_GetTaskCounts")
    with Terminal("watch", "--all", "--interval", "0.5", columns=80, lines=10) as terminal:
        terminal.until(lambda: any(line.startswith("? job-29") for line in terminal.lines))
        terminal.until_shown("… and ")
        assert len(terminal.lines) == 10
        assert terminal.lines[0].split()[0] in ("job", "█")
        assert terminal.lines[1].startswith("? job-29 ")
        terminal.press(b"\x03")
        assert terminal.ends() == 130
        assert left_whole(terminal)


def test_messages_during_the_view_are_not_lost(job: Emulator) -> None:
    """Messages are seen in the view, and stay when it is gone."""
    with watching("render", "--notify", "sh -c 'echo hello; exit 3'", "-v", lines=60) as terminal:
        terminal.until_shown("attempt 1")
        assert terminal.alternate
        assert terminal.lines[0].startswith("  render")
        job.step("render", start=12)
        job.step("render", succeed=12)
        assert terminal.ends() == 0
        assert left_whole(terminal)
        text = "\n".join(terminal.lines)
        assert "warning: --notify: sh ended with exit code 3 (job 'render')" in text
        assert "hello" in terminal.lines
        assert "attempt 1" in text
        # Nobody waits for it until all have been told.
        assert any(line.startswith("job 'render': done, all ") for line in terminal.lines)


def test_colours(job: Emulator) -> None:
    """A terminal has colours, unless NO_COLOR is set; the view reads the same."""
    seen_by: dict[str, list[str]] = {}
    for name, environ in (("colours", dict[str, str]()), ("none", {"NO_COLOR": "1"})):
        with watching(environ=environ) as terminal:
            terminal.until_shown("slots:")
            terminal.until_shown("Ctrl-C")
            seen_by[name] = terminal.lines[1:4]
            coloured = any(
                cell.fg != "default" for line in terminal.screen.buffer.values() for cell in line.values()
            )
            assert coloured is (name == "colours")
    assert seen_by["colours"] == seen_by["none"]


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_can_do_nothing(job: Emulator, environ: Mapping[str, str]) -> None:
    """A dumb terminal gets lines, and no escape sequences."""
    with watching(environ=environ) as terminal:
        terminal.until_shown("0 of 12 tasks completed, 12 active")
        job.step("render", start=12)
        job.step("render", succeed=12)
        assert terminal.ends() == 0
        assert b"\x1b" not in terminal.raw
        assert terminal.lines[-1].startswith("job 'render': done, all ")


def test_a_terminal_without_unicode(job: Emulator) -> None:
    """A terminal of another encoding has a view in ASCII."""
    with watching(environ={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}) as terminal:
        terminal.until_shown("slots:")
        terminal.until_shown("Ctrl-C")
        assert terminal.lines[1] == "  " + "." * 78
        terminal.press(b"\x03")
        terminal.ends()
        assert left_whole(terminal)


def recorded(tmp_path: Path) -> str:
    """Return a recording of some seconds."""
    events = [
        seen("j", (12, 0, 0, 0), number=1),
        seen("j", (6, 6, 0, 0), at=2),
        seen("j", (0, 9, 3, 0), at=600),
    ]
    lines = [*map(event_json, events), event_json(judged("j", at=601))]
    (tmp_path / "r").write_text("\n".join(lines) + "\n")
    return str(tmp_path / "r")


def test_a_replay(tmp_path: Path) -> None:
    """A recording is shown at its pace as the watch was, and leaves the last state and the verdict."""
    with Terminal("replay", recorded(tmp_path)) as terminal:
        terminal.until_shown("6 running")
        assert terminal.alternate
        assert terminal.lines[-1] == "  recorded, at 1 times its speed; Ctrl-C ends it"
        terminal.send(signal.SIGTERM)
        assert terminal.ends() == 130
        assert left_whole(terminal)
        assert terminal.lines[-1] == "error: interrupted"
    with Terminal("replay", recorded(tmp_path), "--speed", "600") as terminal:
        assert terminal.ends() == 0
        assert left_whole(terminal)
        assert terminal.lines[0].startswith("✓ j ")
        assert terminal.lines[-1] == "job 'j': met"


def test_a_replay_at_once(tmp_path: Path) -> None:
    """With --speed 0 only the last state is shown."""
    with Terminal("replay", recorded(tmp_path), "--speed", "0") as terminal:
        assert terminal.ends() == 0
        assert b"\x1b[?1049h" not in terminal.raw
        assert terminal.lines[0].startswith("✓ j ")
        assert terminal.lines[-1] == "job 'j': met"
