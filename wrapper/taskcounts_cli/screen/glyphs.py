"""The characters of bars and marks: distinct without colour, and in ASCII for terminals without Unicode."""

from __future__ import annotations

from attrs import frozen

# The counters that a bar shows, from left to right.
SEGMENTS = ("succeeded", "failed", "running", "active")
STYLES = {"succeeded": "green", "failed": "bold red", "running": "cyan", "active": "dim"}


@frozen(kw_only=True)
class Glyphs:
    """A set of characters, each one cell wide."""

    segments: dict[str, str]
    met: str
    not_met: str
    unknown: str = "?"
    doubtful: str = "!"
    more: str


UNICODE = Glyphs(
    segments={"succeeded": "█", "failed": "x", "running": ">", "active": "·"}, met="✓", not_met="✗", more="…"
)
ASCII = Glyphs(
    segments={"succeeded": "#", "failed": "x", "running": ">", "active": "."},
    met="+",
    not_met="x",
    more="...",
)


def glyphs_for(encoding: str | None) -> Glyphs:
    """Return the characters that an encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "").startswith("utf") else ASCII


def segment_widths(numbers: list[int], width: int) -> list[int]:
    """Return the number of cells of a bar for each number: at least one for a number above 0.

    So a bar looks done only if the job is: a single task that is running or failed shows among a million. The
    cells that rounding leaves go to the largest remainders.

    Args:
        numbers: The numbers.
        width: The cells of the bar, at least one for each number.
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
