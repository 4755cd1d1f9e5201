"""Hostile recordings and files: the watch goes on, and nothing that is there is lost."""

from __future__ import annotations

import errno
import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.command_line import RunCommand
from support.observations import judged, seen, snapshot
from taskcounts.waiting.values import Observation
from taskcounts_cli.commands import plot
from taskcounts_cli.exits import CommandError
from taskcounts_cli.output.events import event_json, event_record
from taskcounts_cli.output.records import dumps
from taskcounts_cli.output.viewers import LineViewer, NdjsonViewer
from taskcounts_cli.recording.parser import InvalidRecord, parse_event, parse_line
from taskcounts_cli.recording.reader import BadLine, read_lines
from taskcounts_cli.recording.recorder import Recorder
from taskcounts_emulator import Emulator

FORGED = "done\x1b[2J\nerror: all is lost"
LINE = "done error: all is lost"


def unwritable() -> Observation:
    """Return an observation that JSON can't hold."""
    return seen("j", snapshot=snapshot("j", additional_properties={"more": 10**5000}))


def test_an_observation_that_cannot_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An observation that JSON can't hold is told once, and costs no other line."""
    recorder = Recorder(tmp_path / "r")
    for event in (seen("j", number=1), unwritable(), unwritable()):
        recorder.observe(event)
    recorder.judge(judged("j"))
    recorder.end()
    assert list(read_lines(tmp_path / "r")) == [seen("j", number=1), judged("j")]
    why = "what the service added to the counts of job 'j' can't be written; the watch goes on"
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {tmp_path}/r: {why}",
        f"warning: {tmp_path}/r lacks 2 lines that couldn't be written",
    ]


def test_numbers_that_are_not_finite_are_null() -> None:
    """A number of the service that JSON doesn't know costs no observation."""
    event = seen("j", snapshot=snapshot("j", additional_properties={"more": [math.inf]}))
    again = parse_line(event_json(event))
    assert again.snapshot is not None
    assert again.snapshot.additional_properties == {"more": (None,)}


def test_objects_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """For machines an observation that JSON can't hold comes without its counts."""
    objects = NdjsonViewer()
    objects.observe(unwritable())
    objects.judge(judged("j"))
    first, last = map(parse_line, capsys.readouterr().out.splitlines())
    assert (first.snapshot, last) == (None, judged("j"))


def test_plain_lines_are_not_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of a recording is one line on stdout."""
    lines = LineViewer(to_stdout=True)
    lines.begin(["a", "b"])
    lines.judge(judged("a", text=FORGED))
    assert capsys.readouterr().out == f"12:00:00Z {LINE}\n"


def test_hints_are_not_forged(tmp_path: Path, command: RunCommand) -> None:
    """The jobs of a recording that a hint names stay in its line."""
    (tmp_path / "r").write_text(event_json(seen(FORGED, number=1)) + "\n")
    told = command("plot", str(tmp_path / "r"), "-o", str(tmp_path / "r.svg"), "--job", "x")
    assert told.err.splitlines()[1:] == [f"hint: it has {LINE}"]


@pytest.mark.parametrize("year", [1, 2, 999, 9000, 9998, 9999])
def test_times_at_the_ends_of_the_calendar(year: int) -> None:
    """A time with which nothing can be reckoned makes a line no record."""
    value = event_record(seen("j")) | {"at": datetime(year, 6, 1, tzinfo=UTC).isoformat()}
    with pytest.raises(InvalidRecord, match="its member at is out of range"):
        parse_event(value)


def test_the_longest_times_are_drawn(tmp_path: Path, command: RunCommand) -> None:
    """What is just within the range is drawn and played, and what is not is left out."""
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
    """Stand for a disk without room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_drawing_is_not_lost_to_a_full_disk(
    tmp_path: Path, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room the old drawing stays, nothing is left beside it, and the error names the file."""
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
    """What is no file is written to as it is."""
    plot._replace(Path("/dev/null"), b"drawing")
    assert not Path("/dev/null").is_file()


def test_no_empty_recording_is_left(
    emulator: Emulator, command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that doesn't begin leaves no new file, and an old one as it was."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "")
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    assert command("watch", "j", "--record", str(new)).code == 2
    assert command("watch", "j", "--record", str(old), "--append").code == 2
    assert (new.exists(), old.exists()) == (False, True)
    with pytest.raises(CommandError):
        Recorder(old)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_taken_away(tmp_path: Path) -> None:
    """Only a new file is taken away again, and only where the watch doesn't begin."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with (tmp_path / "pipe").open("wb", buffering=0):
        recorder = Recorder(tmp_path / "pipe", append=True)
        recorder.discard_unused()
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    recorder = Recorder(tmp_path / "new")
    recorder.begin(["j"])
    recorder.discard_unused()
    recorder.end()
    assert (tmp_path / "new").exists()
