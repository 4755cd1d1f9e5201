"""Text that is shown: one line for a terminal, and secrets that no repr shows."""

from __future__ import annotations

import re

# What colours a terminal, moves its cursor or names a link in it: CSI, OSC and the escapes of two characters.
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")


def one_line(text: str, limit: int = 300) -> str:
    """Return a text as one line for a terminal: without escapes and control characters, of bounded length."""
    text = _ESCAPES.sub("", text[: 4 * limit])
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class SecretText(str):
    """A text that isn't shown: an interruption may come anywhere, and reporters print local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"
