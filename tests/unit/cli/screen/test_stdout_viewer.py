"""The choice between the live view and lines."""

from __future__ import annotations

import io

import pytest

from support.command_line import FakeTerminal
from taskcounts_cli.output.viewers import LineViewer
from taskcounts_cli.screen.screen import Screen
from taskcounts_cli.screen.stdout_viewer import can_animate, stdout_viewer


def test_no_stream_animates_nothing() -> None:
    """Without a stdout nothing is animated."""
    assert not can_animate(None)


@pytest.mark.parametrize(
    ("term", "draws"), [("xterm", True), ("DUMB", False), ("unknown", False), ("", False)]
)
def test_only_capable_terminals_are_drawn_on(monkeypatch: pytest.MonkeyPatch, term: str, draws: bool) -> None:
    """Only a terminal that can redraw its lines is drawn on."""
    monkeypatch.setenv("TERM", term)
    assert can_animate(FakeTerminal()) is draws
    assert not can_animate(io.StringIO())
    monkeypatch.delenv("TERM")
    assert not can_animate(FakeTerminal())


def test_a_terminal_gets_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the viewer is the live view, elsewhere it writes lines."""
    assert isinstance(stdout_viewer(""), LineViewer)
    monkeypatch.setattr("taskcounts_cli.screen.stdout_viewer.can_animate", lambda _: True)
    assert isinstance(stdout_viewer(""), Screen)
