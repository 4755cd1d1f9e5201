"""Text for a terminal, and text that no repr shows."""

from __future__ import annotations

import re

# Escape sequences, which colour a terminal, move its cursor or make links: CSI, OSC and two-character
# escapes.
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")


def one_line(text: str, limit: int = 300) -> str:
    """Return a text as one line, without escape sequences and control characters, cut to ``limit``."""
    text = _ESCAPES.sub("", text[: 4 * limit])
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class SecretText(str):
    """A secret text, which its repr hides: error reporters print the local variables of all frames."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"
