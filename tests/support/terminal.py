"""A pseudo-terminal that runs a command, with the screen that it draws."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

# Generous: the machine may be busy.
PATIENCE = 30.0


class Terminal:
    """Runs the command line in a process on a pseudo-terminal. Use it in a ``with`` statement.

    Attributes:
        raw: All bytes that came.
        alternate: Whether the other screen is shown: pyte knows but one.
    """

    def __init__(
        self, *arguments: str, columns: int = 80, lines: int = 24, environ: Mapping[str, str] | None = None
    ) -> None:
        self.raw = b""
        self.alternate = False
        self._main: pyte.Screen = pyte.Screen(columns, lines)
        self._other: pyte.Screen = pyte.Screen(columns, lines)
        self._streams = {
            False: pyte.ByteStream(self._main),
            True: pyte.ByteStream(self._other),
        }
        self._master, slave = pty.openpty()
        self._size(columns, lines)
        inherited = {
            name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")
        }
        # A wrong size in the environment must not be believed.
        settings = {"TERM": "xterm-256color", "COLUMNS": "33", "LINES": "7", "LC_ALL": "C.UTF-8"}
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", _SHELL, *arguments],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                env=inherited | settings | dict(environ or {}),
            )
        finally:
            signal.signal(signal.SIGINT, before)
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def screen(self) -> pyte.Screen:
        """The screen that is shown."""
        return self._other if self.alternate else self._main

    @property
    def lines(self) -> list[str]:
        """The lines of the screen that is shown, without the blanks and the empty lines at the end."""
        shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def cursor_hidden(self) -> bool:
        """True if the cursor is hidden; a terminal has one cursor for both screens."""
        return self.raw.rfind(b"\x1b[?25l") > self.raw.rfind(b"\x1b[?25h")

    def until(self, condition: Callable[[], object]) -> None:
        """Read until something is so, or fail and show the screen."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "\n".join(["never came; the screen:", *self.lines])
            self._read(0.05)

    def until_shown(self, text: str) -> None:
        """Read until a text is somewhere on the screen, and the frame that it belongs to is whole."""
        self.until(lambda: any(text in line for line in self.lines))
        # A frame may come in pieces, and the next one comes a second later at the soonest.
        while self._read(0.2):
            pass

    def ends(self) -> int:
        """Read until the command has ended; return its exit code."""
        self.until(lambda: self.process.poll() is not None)
        while self._read(0):
            pass
        return self.process.returncode

    def resize(self, columns: int, lines: int) -> None:
        """Change the window's size, as a person does by its corner."""
        self._main.resize(lines, columns)
        self._other.resize(lines, columns)
        self._size(columns, lines)

    def send(self, number: int) -> None:
        """Send a signal to the command."""
        os.killpg(os.tcgetpgrp(self._master), number)

    @property
    def stopped(self) -> bool:
        """True if the command is stopped, as by Ctrl-Z."""
        stat = Path(f"/proc/{os.tcgetpgrp(self._master)}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def press(self, key: bytes) -> None:
        """Press a key: b"\\x03" is Ctrl-C, b"\\x1a" Ctrl-Z."""
        os.write(self._master, key)

    def _size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            # So a terminal ends whose last process is gone.
            return False
        self.raw += data
        self._feed(data)
        return bool(data)

    def _feed(self, data: bytes) -> None:
        for number, part in enumerate(data.replace(_LEAVE, _ENTER).split(_ENTER)):
            if number:
                # Ours always alternate: entering and leaving are one switch.
                self.alternate = not self.alternate
                if self.alternate:
                    self._other.reset()
            self._streams[self.alternate].feed(part)


_ENTER, _LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"

# Does what a shell does: it runs the command as a job of its own, in the foreground of the terminal. Only so
# do Ctrl-C and Ctrl-Z reach the command, and only so can it be stopped.
_SHELL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
command = os.fork()
if command:
    _, status = os.waitpid(command, 0)
    os._exit(os.waitstatus_to_exitcode(status))
os.setpgid(0, 0)
os.tcsetpgrp(0, os.getpid())
signal.signal(signal.SIGTTOU, signal.SIG_DFL)
from taskcounts_cli.__main__ import main
sys.argv[0] = "taskcounts"
main()
"""
