"""Lays out pieces of text in lines of a width; a piece, such as a number with its name, is never cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import chop_cells
from rich.text import Text


def wrap(pieces: Iterable[Text], width: int, *, indent: int = 0, gap: int = 2) -> list[Text]:
    """Return lines that hold as many pieces as fit.

    A piece that is wider than a line is broken at its spaces, and a word that is wider still continues in the
    next line: nothing is left out.

    Args:
        pieces: The pieces, in order.
        width: The cells of a line.
        indent: The blank cells at the left.
        gap: The blank cells between two pieces.
    """
    room = max(1, width - indent)
    lines: list[Text] = []
    for piece in pieces:
        if lines and lines[-1].cell_len + gap + piece.cell_len <= room:
            lines[-1].append(" " * gap).append_text(piece)
        elif piece.cell_len <= room:
            lines.append(piece.copy())
        elif " " in piece.plain:
            lines += wrap(piece.split(" "), room, gap=1)
        else:
            lines += split_word(piece, room)
    for line in lines:
        line.pad_left(indent)
    return lines


def split_word(word: Text, width: int) -> list[Text]:
    """Return the parts of a word, each as wide as a line at most."""
    parts, start = [], 0
    for part in chop_cells(word.plain, width):
        parts.append(word[start : start + len(part)])
        start += len(part)
    return parts


def justify(left: Text, right: Text, width: int) -> Text | None:
    """Return one line with a text at each end, None if they don't fit."""
    free = width - left.cell_len - right.cell_len
    if free < 2:
        return None
    return left.copy().append(" " * free).append_text(right)


def join(pieces: Sequence[Text], gap: int = 2) -> Text:
    """Return pieces in one line, with blank cells between them."""
    return Text(" " * gap).join(pieces)
