"""Messages are kept while the live view has the terminal."""

from __future__ import annotations

import pytest

from support.clocks import FakeClock
from support.command_line import FakeTerminal
from taskcounts_cli.screen.stderr_buffer import MAX_KEPT_LINES, VISIBLE_SECONDS, StderrBuffer


def test_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are kept in order, shown while they are new, and written at the end."""
    stream, clock = FakeTerminal(), FakeClock()
    kept = StderrBuffer(stream, clock)
    assert (kept.encoding, kept.isatty(), kept.writable()) == ("utf-8", True, True)
    assert kept.write("one\ntw") == 6
    clock.pass_by(VISIBLE_SECONDS)
    kept.write("o\nthree")
    assert kept.recent() == ["two"]
    assert stream.getvalue() == ""
    kept.flush_to_stream()
    assert stream.getvalue() == "one\ntwo\nthree\n"
    kept.flush_to_stream()
    assert stream.getvalue() == "one\ntwo\nthree\n"


def test_too_many_messages() -> None:
    """If there are too many messages, the oldest are dropped and counted."""
    stream = FakeTerminal()
    kept = StderrBuffer(stream, FakeClock())
    for n in range(MAX_KEPT_LINES + 5):
        kept.write(f"{n}\n")
    kept.flush_to_stream()
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["(5 earlier messages are left out)", "5"]
    assert len(lines) == MAX_KEPT_LINES + 1


def test_messages_that_cannot_be_written() -> None:
    """A closed stderr loses the messages, and has no other effect."""

    class Gone(FakeTerminal):
        def write(self, _: str, /) -> int:
            raise OSError

    kept = StderrBuffer(Gone(), FakeClock())
    kept.write("x\n")
    kept.flush_to_stream()
