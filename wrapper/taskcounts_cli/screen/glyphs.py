"""The characters of bars and marks: told apart without colour, and in ASCII where a terminal has no more."""

from __future__ import annotations

from attrs import frozen

# In the order of a bar, from what is over to what is to come.
SEGMENTS = ("succeeded", "failed", "running", "active")
STYLES = {"succeeded": "green", "failed": "bold red", "running": "cyan", "active": "dim"}


@frozen(kw_only=True)
class Glyphs:
    """One set of characters, each one cell wide."""

    parts: dict[str, str]
    met: str
    not_met: str
    unknown: str = "?"
    doubtful: str = "!"
    more: str

    @property
    def plain(self) -> bool:
        """Whether all of it is ASCII."""
        return self.met.isascii()


UNICODE = Glyphs(
    parts={"succeeded": "█", "failed": "x", "running": ">", "active": "·"}, met="✓", not_met="✗", more="…"
)
ASCII = Glyphs(
    parts={"succeeded": "#", "failed": "x", "running": ">", "active": "."}, met="+", not_met="x", more="..."
)


def glyphs_for(encoding: str | None) -> Glyphs:
    """Return the characters that an encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "").startswith("utf") else ASCII


def segment_widths(numbers: list[int], width: int) -> list[int]:
    """Return how many cells of a bar belong to each number: at least one for whatever isn't zero.

    What remains goes by the largest remainder. A bar looks done only if it is: a single task that is
    still running, or that failed, is seen among a million. The width must be enough for that.
    """
    total = sum(numbers)
    if not total:
        return [0] * len(numbers)
    cells = [max(1, number * width // total) if number else 0 for number in numbers]
    order = sorted(range(len(numbers)), key=lambda n: (numbers[n] * width % total, numbers[n]), reverse=True)
    for n in order:
        if sum(cells) < width and numbers[n]:
            cells[n] += 1
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    return cells
