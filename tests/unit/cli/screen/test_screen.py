"""The live view: how it takes the terminal, draws, and gives it back."""

from __future__ import annotations

import io
import logging
import os
import pty
import signal
import sys
import termios
import threading

import pytest

from support.clocks import FakeClock
from support.command_line import FakeTerminal
from support.observations import judged, seen
from taskcounts_cli.screen.screen import Screen


@pytest.mark.parametrize("tty", [True, False])
def test_a_whole_view(monkeypatch: pytest.MonkeyPatch, tty: bool) -> None:
    """The view enters, draws changes, and leaves; log and messages appear in it."""
    stream, errors = FakeTerminal(), FakeTerminal() if tty else io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    logger = logging.getLogger("taskcounts")
    handlers = [logging.StreamHandler(errors), logging.StreamHandler(io.StringIO()), logging.NullHandler()]
    monkeypatch.setattr(logger, "handlers", handlers)
    before = signal.getsignal(signal.SIGTSTP)
    clock = FakeClock()
    view = Screen(stream, "footer", clock=clock)
    view.begin(["j"])
    assert signal.getsignal(signal.SIGTSTP) != before
    view.observe(seen("j"))
    view.tick()
    size = len(stream.getvalue())
    view.tick()
    assert len(stream.getvalue()) == size
    print("said", file=sys.stderr)
    handlers[0].handle(logging.LogRecord("taskcounts", logging.INFO, "", 0, "logged", (), None))
    view.tick()
    assert (len(stream.getvalue()) > size) is tty
    assert errors.getvalue() == ("" if tty else "said\nlogged\n")
    view.observe(seen("new"))
    view.judge(judged("j"))
    view.end()
    assert sys.stderr is errors
    assert errors.getvalue() == "said\nlogged\n"
    assert handlers[0].stream is errors  # type: ignore[attr-defined]
    assert signal.getsignal(signal.SIGTSTP) == before
    text = stream.getvalue()
    assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "✓" in text[text.rindex("\x1b[?1049l") :]


def test_the_size_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS and LINES are ignored; a terminal that reports no size keeps its last one."""
    monkeypatch.setenv("COLUMNS", "33")
    ours, theirs = pty.openpty()
    try:
        with open(theirs, "w", encoding="utf-8") as stream:
            view = Screen(stream, still=True)
            for given, known in (((70, 20), (70, 20)), ((0, 0), (70, 20)), ((40, 0), (40, 20))):
                termios.tcsetwinsize(stream, given[::-1])
                view._measure()
                assert (view._size, tuple(view._console.size)) == (known, known)
    finally:
        os.close(ours)


def test_a_still_view() -> None:
    """A still view draws only the last state, however much time passes."""
    stream, clock = FakeTerminal(), FakeClock()
    view = Screen(stream, clock=clock, still=True)
    view.begin(["j"])
    view.observe(seen("j"))
    clock.pass_by(60)
    view.tick()
    assert stream.getvalue() == ""
    view.end()
    assert "\x1b[?1049h" not in stream.getvalue()
    assert "slots:" in stream.getvalue()


def test_an_end_without_a_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view whose beginning failed can be ended; so can one without a standard error."""
    stream = FakeTerminal()
    Screen(stream).end()
    assert stream.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", None)
    view = Screen(stream)
    view.begin(["j"])
    view.end()
    assert "\x1b[?1049l" in stream.getvalue()


def test_a_view_in_another_thread() -> None:
    """Outside the main thread no signal handler is set."""
    stream = FakeTerminal()
    before = signal.getsignal(signal.SIGTSTP)

    def show() -> None:
        view = Screen(stream)
        view.begin(["j"])
        assert signal.getsignal(signal.SIGTSTP) == before
        view.end()

    thread = threading.Thread(target=show)
    thread.start()
    thread.join()
    assert stream.getvalue().count("\x1b[?1049l") == 1


def test_signals_come_after_the_terminal_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the view ends takes effect after the terminal is restored."""
    stream = FakeTerminal()
    view = Screen(stream)
    view.begin(["j"])
    leave = Screen._leave

    def interrupted(self: Screen) -> None:
        signal.raise_signal(signal.SIGINT)
        leave(self)

    monkeypatch.setattr(Screen, "_leave", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            view.end()
    finally:
        signal.signal(signal.SIGINT, before)
    assert "\x1b[?1049l" in stream.getvalue()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_a_still_view_shows_the_end_alone() -> None:
    """A still view does not use the alternate screen, and draws nothing before its end."""
    stream = FakeTerminal()
    view = Screen(stream, still=True)
    view.begin(["j"])
    view.tick()
    assert stream.getvalue() == ""
    view.end()
    assert "j" in stream.getvalue()
    assert "\x1b[?1049h" not in stream.getvalue()


def test_ctrl_z_suspends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-Z exactly one tick suspends the process."""
    stopped: list[int] = []
    monkeypatch.setattr("taskcounts_cli.screen.screen.os.kill", lambda _, number: stopped.append(number))
    view = Screen(FakeTerminal())
    view.begin(["j"])
    view._suspend = True
    view.tick()
    view.tick()
    view.end()
    assert stopped == [signal.SIGTSTP]


def test_ctrl_z_is_answered_by_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-Z is noted; the next tick gives the terminal back, stops, and takes it again."""
    stream = FakeTerminal()
    stopped: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "taskcounts_cli.screen.screen.os.kill", lambda pid, number: stopped.append((pid, number))
    )
    view = Screen(stream)
    view.begin(["j"])
    signal.raise_signal(signal.SIGTSTP)
    assert stopped == []
    view.tick()
    assert [number for _, number in stopped] == [signal.SIGTSTP]
    assert stream.getvalue().count("\x1b[?1049h") == 2
    view.tick()
    view.end()
    assert len(stopped) == 1
