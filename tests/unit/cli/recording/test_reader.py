"""Recordings are read, and invalid lines reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.recordings import FIRST, LAST, SECOND, record
from taskcounts_cli.exits import CommandError
from taskcounts_cli.output.events import event_json
from taskcounts_cli.recording import reader
from taskcounts_cli.recording.reader import BadLine, read_events, read_lines, summarize


def test_a_truncated_recording_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording that was cut off by a crash is read up to that point, with a warning."""
    whole = (event_json(FIRST) + "\n" + event_json(SECOND) + "\n").encode()
    first = len(event_json(FIRST)) + 1
    for end in (first + 1, first + 100, len(whole) - 2):
        (tmp_path / "r").write_bytes(whole[:end])
        found = summarize(tmp_path / "r")
        assert (found.jobs, found.events, found.bad_lines) == (("j",), 1, 0)
        assert "the last line is cut off, and is skipped" in capsys.readouterr().err
    (tmp_path / "r").write_bytes(whole[:-1])
    assert summarize(tmp_path / "r").events == 2
    assert capsys.readouterr().err == ""


def test_a_broken_line_is_reported_with_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid line in the middle is reported and skipped; blank lines and interruptions are ignored."""
    lines = [
        event_json(FIRST),
        "",
        '{"type": "observation"}',
        '{"type": "interruption"}',
        "[",
        event_json(LAST),
    ]
    (tmp_path / "r").write_text("\n".join(lines) + "\n")
    found = summarize(tmp_path / "r")
    assert (found.events, found.bad_lines) == (2, 2)
    assert [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        f"{tmp_path / 'r'}: line 3: its member jobId is missing; it is skipped",
        f"{tmp_path / 'r'}: line 5: it is not JSON; it is skipped",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no observations"),
        (b"\n\n", "holds no observations"),
        (b'{"type": "interruption"}\n', "holds no observations"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not a recording: line 1: it is not JSON"),
        (b'{"jobId": "j"}\n', "is not a recording: line 1: its member type is missing"),
        (b'{"type": "observ', "holds no observations"),
    ],
)
def test_foreign_files(tmp_path: Path, content: bytes, says: str) -> None:
    """A file that is not a recording is refused in one line."""
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(CommandError, match=says):
        summarize(tmp_path / "r")


def test_a_line_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than any record is skipped without being kept in memory."""
    monkeypatch.setattr(reader, "MAX_LINE", 2000)
    long = b"x" * 7000
    (tmp_path / "r").write_bytes(long + b"\n" + event_json(FIRST).encode() + b"\n" + long)
    assert list(read_lines(tmp_path / "r")) == [
        BadLine("line 1 is longer than any record", truncated=False),
        FIRST,
        BadLine("line 3 is longer than any record", truncated=False),
    ]


def test_events_added_while_reading_are_ignored(tmp_path: Path) -> None:
    """Events that are added while a recording is read are not read."""
    record(tmp_path / "r", FIRST, SECOND, LAST)
    assert list(read_events(tmp_path / "r", 2)) == [FIRST, SECOND]
