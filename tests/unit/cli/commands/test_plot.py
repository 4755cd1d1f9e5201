"""The command `taskcounts plot`."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.command_line import RunCommand
from support.observations import FORGED, FORGED_LINE, judged, seen
from taskcounts_cli.commands import plot
from taskcounts_cli.output.events import event_json, event_record
from taskcounts_cli.output.records import dumps
from taskcounts_cli.recording.reader import BadLine, read_lines
from taskcounts_emulator import Emulator


def test_hints_are_not_forged(tmp_path: Path, command: RunCommand) -> None:
    """Job ids from a recording cannot add lines to a hint."""
    (tmp_path / "r").write_text(event_json(seen(FORGED, number=1)) + "\n")
    told = command("plot", str(tmp_path / "r"), "-o", str(tmp_path / "r.svg"), "--job", "x")
    assert told.err.splitlines()[1:] == [f"hint: it has {FORGED_LINE}"]


def test_the_longest_times_are_drawn(tmp_path: Path, command: RunCommand) -> None:
    """Values at the ends of their range are drawn and played; others are skipped."""
    first, last = datetime(1000, 1, 1, tzinfo=UTC), datetime(8999, 12, 31, tzinfo=UTC)
    values = [event_record(seen("j", number=1)), event_record(seen("j")), event_record(judged("j"))]
    values[0]["at"], values[1]["at"] = first.isoformat(), (last + timedelta(days=1)).isoformat()
    values[2]["endedAt"] = last.isoformat()
    recording = tmp_path / "r"
    recording.write_text("".join(f"{dumps(value)}\n" for value in values))
    assert isinstance(list(read_lines(recording))[1], BadLine)
    told = command("plot", str(recording), "-o", str(tmp_path / "r.svg"))
    assert (told.code, (tmp_path / "r.svg").stat().st_size > 0) == (74, True)
    assert command("replay", "--speed", "0", str(recording)).code == 74


def full(*_: Any) -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_drawing_is_not_lost_to_a_full_disk(
    tmp_path: Path, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the old chart stays, no temporary file is left, and the error names the file."""
    drawing, recording = tmp_path / "r.svg", tmp_path / "r"
    recording.write_text(event_json(seen("j", number=1)) + "\n")
    drawing.write_text("old")
    drawing.chmod(0o640)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        told = command("plot", str(recording), "-o", str(drawing))
    assert (told.code, told.err) == (74, f"error: {drawing}: No space left on device\n")
    assert drawing.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [recording, drawing]
    link = tmp_path / "link.svg"
    link.symlink_to(drawing)
    assert command("plot", str(recording), "-o", str(link)).code == 0
    assert "<svg" in drawing.read_text()
    assert (link.is_symlink(), drawing.stat().st_mode & 0o777) == (True, 0o640)


def test_a_device_is_not_replaced() -> None:
    """A device is written to, not replaced."""
    plot._replace(Path("/dev/null"), b"drawing")
    assert not Path("/dev/null").is_file()


def test_a_drawing_of_a_job_that_is_not_there(
    emulator: Emulator, command: RunCommand, tmp_path: Path
) -> None:
    """The error names jobs that the recording has."""
    told = [event_json(seen(f"job-{n}")) for n in range(14)]
    (tmp_path / "r").write_text("\n".join(told) + "\n")
    out = str(tmp_path / "x.svg")
    ended = command("plot", str(tmp_path / "r"), "-o", out, "--job", "nobody")
    assert ended.code == 2
    assert ended.err.splitlines()[1] == "hint: it has job-0, job-1, job-2, job-3, job-4 and 9 more"
    ended = command("plot", str(tmp_path / "r"), "-o", out)
    assert ended.code == 2
    assert "has 14 jobs, and a chart shows at most 12" in ended.err
    (tmp_path / "r").write_text(told[0] + "\n")
    ended = command("plot", str(tmp_path / "r"), "-o", out, "--job", "nobody")
    assert ended.err.splitlines()[1] == "hint: it has job-0"
    assert not Path(out).exists()
