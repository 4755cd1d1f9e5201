"""Recordings are written so that nothing is lost or overwritten."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from support.command_line import RunCommand
from support.observations import judged, seen, unserializable
from support.recordings import FIRST, LAST, SECOND, record
from taskcounts_cli.exits import CommandError
from taskcounts_cli.output.events import event_json
from taskcounts_cli.recording.reader import BadLine, read_lines
from taskcounts_cli.recording.recorder import Recorder
from taskcounts_emulator import Emulator


def test_an_observation_that_cannot_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An observation that JSON cannot hold is reported once, and all other lines are written."""
    recorder = Recorder(tmp_path / "r")
    for event in (
        seen("j", number=1),
        seen("j", snapshot=unserializable()),
        seen("j", snapshot=unserializable()),
    ):
        recorder.observe(event)
    recorder.judge(judged("j"))
    recorder.end()
    assert list(read_lines(tmp_path / "r")) == [seen("j", number=1), judged("j")]
    why = "what the service added to the counts of job 'j' can't be written; the watch goes on"
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {tmp_path}/r: {why}",
        f"warning: {tmp_path}/r lacks 2 lines that couldn't be written",
    ]


def test_no_empty_recording_is_left(
    emulator: Emulator, command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that does not begin leaves no new file, and an existing one unchanged."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "")
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    assert command("watch", "j", "--record", str(new)).code == 2
    assert command("watch", "j", "--record", str(old), "--append").code == 2
    assert (new.exists(), old.exists()) == (False, True)
    with pytest.raises(CommandError):
        Recorder(old)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_removed(tmp_path: Path) -> None:
    """Only a new regular file is removed, and only if the watch does not begin."""
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


def test_every_event_is_written_at_once(tmp_path: Path) -> None:
    """Each event is in the file as soon as it is known."""
    recorder = Recorder(tmp_path / "r")
    recorder.observe(FIRST)
    assert list(read_lines(tmp_path / "r")) == [FIRST]
    recorder.judge(LAST)
    assert list(read_lines(tmp_path / "r")) == [FIRST, LAST]
    recorder.end()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """An existing file is refused, or continued with --append."""
    record(tmp_path / "r", FIRST)
    with pytest.raises(CommandError, match="exists already") as caught:
        Recorder(tmp_path / "r")
    assert "--append" in str(caught.value.hint)
    record(tmp_path / "r", SECOND, append=True)
    assert list(read_lines(tmp_path / "r")) == [FIRST, SECOND]
    record(tmp_path / "new", FIRST, append=True)
    assert list(read_lines(tmp_path / "new")) == [FIRST]


def test_only_recordings_are_continued(tmp_path: Path) -> None:
    """A file that is not a recording is not written to."""
    (tmp_path / "notes").write_text("buy milk\n")
    (tmp_path / "blank").write_text("\n")
    record(tmp_path / "blank", FIRST, append=True)
    assert list(read_lines(tmp_path / "blank")) == [FIRST]
    with pytest.raises(CommandError, match="notes is not a recording: line 1: it is not JSON"):
        Recorder(tmp_path / "notes", append=True)
    assert (tmp_path / "notes").read_text() == "buy milk\n"


def test_a_truncated_line_is_ended_before_the_next(tmp_path: Path) -> None:
    """After a crash only the line that was cut off is lost."""
    (tmp_path / "r").write_text(event_json(FIRST) + "\n" + event_json(SECOND)[:50])
    record(tmp_path / "r", LAST, append=True)
    first, torn, last = read_lines(tmp_path / "r")
    assert (first, last) == (FIRST, LAST)
    assert torn == BadLine("line 2: it is not JSON", truncated=False)


def test_a_device_is_written_to(tmp_path: Path) -> None:
    """Lines are written to a pipe at once."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    recorder = Recorder(Path(f"/dev/fd/{(writer := os.open(fifo, os.O_WRONLY))}"), append=True)
    recorder.observe(FIRST)
    recorder.end()
    os.close(writer)
    assert os.read(reader, 65536).decode() == event_json(FIRST) + "\n"
    os.close(reader)


class Full(io.FileIO):
    """A file on a disk with room for a number of bytes."""

    room = 0

    def write(self, data: Any) -> int:
        part = bytes(data)[: self.room]
        if not part:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(part)
        return super().write(part)


def test_a_full_disk_is_reported_and_survived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that doesn't fit on the disk is removed and reported; later lines are recorded again."""
    recorder = Recorder(tmp_path / "r")
    recorder._file.close()
    recorder._file = file = Full(tmp_path / "r", "a+b")
    file.room = len(event_json(FIRST)) + 1 + 100
    for event in (FIRST, SECOND, SECOND):
        recorder.observe(event)
    file.room = 10_000
    recorder.judge(LAST)
    recorder.end()
    assert list(read_lines(tmp_path / "r")) == [FIRST, LAST]
    path = tmp_path / "r"
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {path}: No space left on device; the watch goes on",
        f"warning: {path} lacks 2 lines that couldn't be written",
    ]


def test_a_full_device_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """A full device is reported."""
    recorder = Recorder(Path("/dev/full"), append=True)
    recorder.observe(FIRST)
    recorder.end()
    assert "No space left on device" in capsys.readouterr().err
