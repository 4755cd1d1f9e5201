"""Pieces of text put into lines of a width: a piece is a number with its name, and is never cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import chop_cells
from rich.text import Text


def wrap(pieces: Iterable[Text], width: int, *, indent: int = 0, gap: int = 2) -> list[Text]:
    """Return lines of pieces, each line as long as it can be.

    A piece that is wider than a line is broken at its spaces, and a word that is wider still
    goes on in the next line: nothing is left out.

    Args:
        pieces: What to show, in order.
        width: The cells of a line.
        indent: How many of them stay free on the left.
        gap: How many are between two pieces.
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


def split_word(piece: Text, width: int) -> list[Text]:
    """Return a word in parts that fit, one below the other."""
    parts, start = [], 0
    for part in chop_cells(piece.plain, width):
        parts.append(piece[start : start + len(part)])
        start += len(part)
    return parts


def justify(left: Text, right: Text, width: int) -> Text | None:
    """Return one line with a text at each end, None if they don't fit."""
    free = width - left.cell_len - right.cell_len
    if free < 2:
        return None
    return left.copy().append(" " * free).append_text(right)


def join(pieces: Sequence[Text], gap: int = 2) -> Text:
    """Return pieces in one line."""
    return Text(" " * gap).join(pieces)
