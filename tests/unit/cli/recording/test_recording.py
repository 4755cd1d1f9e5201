"""Recordings: what is kept of a watch, however it ends, and how it is played again."""

from __future__ import annotations

import errno
import io
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.observations import NOON, judged, seen
from taskcounts.waiting.values import Observation, Outcome, Verdict
from taskcounts_cli.exits import CommandError
from taskcounts_cli.output.events import event_json
from taskcounts_cli.recording import reader
from taskcounts_cli.recording.player import PlaybackClock, play, sigterm_as_interrupt
from taskcounts_cli.recording.reader import BadLine, read_events, read_lines, summarize
from taskcounts_cli.recording.recorder import Recorder
from taskcounts_cli.viewer import Viewer

FIRST, SECOND, LAST = seen("j", number=1), seen("j", at=5), judged("j", at=6)


def keep(path: Path, *told: Observation | Verdict, append: bool = False) -> None:
    """Record some events."""
    recorder = Recorder(path, append=append)
    recorder.begin(["j"])
    for event in told:
        if isinstance(event, Verdict):
            recorder.judge(event)
        else:
            recorder.observe(event)
        recorder.tick()
    recorder.end()


def test_everything_is_kept_at_once(tmp_path: Path) -> None:
    """Each event is in the file as soon as it is known."""
    recorder = Recorder(tmp_path / "r")
    recorder.observe(FIRST)
    assert list(read_lines(tmp_path / "r")) == [FIRST]
    recorder.judge(LAST)
    assert list(read_lines(tmp_path / "r")) == [FIRST, LAST]
    recorder.end()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that is there is refused, or gone on with where that is asked for."""
    keep(tmp_path / "r", FIRST)
    with pytest.raises(CommandError, match="exists already") as caught:
        Recorder(tmp_path / "r")
    assert "--append" in str(caught.value.hint)
    keep(tmp_path / "r", SECOND, append=True)
    assert list(read_lines(tmp_path / "r")) == [FIRST, SECOND]
    keep(tmp_path / "new", FIRST, append=True)
    assert list(read_lines(tmp_path / "new")) == [FIRST]


def test_only_recordings_are_gone_on_with(tmp_path: Path) -> None:
    """A foreign file isn't written to."""
    (tmp_path / "notes").write_text("buy milk\n")
    (tmp_path / "blank").write_text("\n")
    keep(tmp_path / "blank", FIRST, append=True)
    assert list(read_lines(tmp_path / "blank")) == [FIRST]
    with pytest.raises(CommandError, match="notes is not a recording: line 1: it is not JSON"):
        Recorder(tmp_path / "notes", append=True)
    assert (tmp_path / "notes").read_text() == "buy milk\n"


def test_a_torn_line_is_ended_before_the_next(tmp_path: Path) -> None:
    """Going on after a crash costs the torn line alone."""
    (tmp_path / "r").write_text(event_json(FIRST) + "\n" + event_json(SECOND)[:50])
    keep(tmp_path / "r", LAST, append=True)
    first, torn, last = read_lines(tmp_path / "r")
    assert (first, last) == (FIRST, LAST)
    assert torn == BadLine("line 2: it is not JSON", truncated=False)


def test_a_device_is_written_to(tmp_path: Path) -> None:
    """What is no regular file gets the lines as they come."""
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
    """A file on a disk that has room for so many bytes."""

    room = 0

    def write(self, data: Any) -> int:
        part = bytes(data)[: self.room]
        if not part:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(part)
        return super().write(part)


def test_a_full_disk_is_told_and_survived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line without room is taken back and told; the file stays whole, and goes on when there is room."""
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


def test_a_full_device_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A device that takes nothing is told of, too."""
    recorder = Recorder(Path("/dev/full"), append=True)
    recorder.observe(FIRST)
    recorder.end()
    assert "No space left on device" in capsys.readouterr().err


def test_a_torn_end_is_survived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever a crash tears a recording off, all lines before are read, and the loss is told."""
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


def test_a_broken_line_is_told_by_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is broken in the middle is told and left out; blank lines and interruptions are nothing."""
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
    """What is not a recording is refused in one line."""
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(CommandError, match=says):
        summarize(tmp_path / "r")


def test_a_line_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than any record isn't kept in memory."""
    monkeypatch.setattr(reader, "MAX_LINE", 2000)
    long = b"x" * 7000
    (tmp_path / "r").write_bytes(long + b"\n" + event_json(FIRST).encode() + b"\n" + long)
    assert list(read_lines(tmp_path / "r")) == [
        BadLine("line 1 is longer than any record", truncated=False),
        FIRST,
        BadLine("line 3 is longer than any record", truncated=False),
    ]


def test_events_that_come_later_are_left(tmp_path: Path) -> None:
    """Of a recording that still grows only what was there is read."""
    keep(tmp_path / "r", FIRST, SECOND, LAST)
    assert list(read_events(tmp_path / "r", 2)) == [FIRST, SECOND]


class Audience(Viewer):
    """A viewer that notes what it is told, and when."""

    def __init__(self, clock: PlaybackClock) -> None:
        self.clock = clock
        self.told: list[tuple[str, object]] = []
        self.times: list[datetime] = []

    def begin(self, jobs: Any) -> None:
        self.told.append(("begin", tuple(jobs)))

    def observe(self, observation: Observation) -> None:
        self.told.append(("observe", observation))
        self.times.append(self.clock.now())

    def judge(self, verdict: Verdict) -> None:
        self.told.append(("judge", verdict))
        self.times.append(self.clock.now())

    def tick(self) -> None:
        self.told.append(("tick", self.clock.now()))

    def end(self) -> None:
        self.told.append(("end", None))


def played(path: Path, speed: float) -> tuple[Audience, list[float], Any]:
    """Play a recording for an audience; return it, the seconds slept, and the result."""
    clock, slept = PlaybackClock(), list[float]()
    audience = Audience(clock)
    result = play(path, summarize(path), audience, clock, speed=speed, sleep=slept.append)
    assert audience.told[0] == ("begin", ("j",))
    assert audience.told[-1] == ("end", None)
    assert clock.draw() == 0
    return audience, slept, result


@pytest.mark.parametrize("speed", [1.0, 4.0, 0.5])
def test_a_recording_is_played_at_a_pace(tmp_path: Path, speed: float) -> None:
    """Everything comes in its order at its time, with ticks in between."""
    keep(tmp_path / "r", FIRST, SECOND, LAST)
    audience, slept, result = played(tmp_path / "r", speed)
    assert audience.times == [NOON, NOON + timedelta(seconds=5), NOON + timedelta(seconds=6)]
    assert sum(slept) == pytest.approx(6 / speed)
    assert max(slept) <= 0.25
    assert sum(kind == "tick" for kind, _ in audience.told) == len(slept)
    assert result.verdicts == {"j": LAST}
    assert result.last == {"j": SECOND}
    assert result.ended_at == NOON + timedelta(seconds=6)


def test_a_recording_is_played_at_once(tmp_path: Path) -> None:
    """Speed 0 waits for nothing; ages are still told against the last event."""
    keep(tmp_path / "r", FIRST, SECOND, LAST)
    audience, slept, result = played(tmp_path / "r", 0)
    assert slept == []
    assert audience.times[-1] == result.ended_at == NOON + timedelta(seconds=6)


def test_between_two_watches_nothing_is_played(tmp_path: Path) -> None:
    """A second watch in the same file begins at once, and an old verdict isn't its own; no time goes back."""
    later = 86_400.0
    again = [seen("j", number=1, at=later), seen("j", at=later - 5), seen("j", at=later + 1)]
    keep(tmp_path / "r", FIRST, judged("j", Outcome.TIMED_OUT, at=1), *again)
    audience, slept, result = played(tmp_path / "r", 1)
    assert sum(slept) == pytest.approx(2)
    assert result.verdicts == {}
    assert audience.times == sorted(audience.times)
    assert audience.clock.monotonic() == pytest.approx(2)


def test_what_is_played_can_be_ended() -> None:
    """SIGTERM ends it as Ctrl-C does, and afterwards it does what it did before."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
