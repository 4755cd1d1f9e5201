"""The command `taskcounts replay`."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command_line import RunCommand
from support.observations import judged, seen
from taskcounts_cli.output.events import event_json
from taskcounts_emulator import Emulator


def test_a_broken_recording(emulator: Emulator, command: RunCommand, tmp_path: Path) -> None:
    """A recording with an invalid line is replayed and plotted without it, with exit code 74."""
    lines = [event_json(seen("j", number=1)), "broken", event_json(judged("j", at=1))]
    (tmp_path / "r").write_text("\n".join(lines) + "\n")
    ended = command("replay", str(tmp_path / "r"), "--speed", "0")
    assert ended.code == 74
    assert ended.out.endswith("job 'j': met\n")
    assert "line 2: it is not JSON; it is skipped" in ended.err
    assert command("plot", str(tmp_path / "r"), "-o", str(tmp_path / "x.svg")).code == 74
    assert (tmp_path / "x.svg").exists()


def test_a_replay_at_once_on_a_terminal(
    emulator: Emulator, command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --speed 0 a terminal shows only the last state, on its main screen, and the verdict once."""
    monkeypatch.setattr("taskcounts_cli.screen.stdout_viewer.can_animate", lambda _: True)
    events = (seen("j", (1, 1, 2, 0), number=1), seen("j", (0, 0, 4, 0), at=2), judged("j", at=3))
    (tmp_path / "r").write_text("".join(f"{event_json(event)}\n" for event in events))
    ended = command("replay", str(tmp_path / "r"), "--speed", "0")
    assert ended.code == 0
    assert "\x1b[?1049h" not in ended.out
    assert ended.out.count("slots:") == 1
    assert ended.out.count("job 'j': met") == 1
    assert "100.0 % completed" in ended.out
