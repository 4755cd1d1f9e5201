"""A picture of what a call costs: bars on a logarithmic scale, ours in a colour of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Samples, spread
from benchmarks.report import number
from benchmarks.rows import BLOCKS, Row

__all__ = ["PANELS", "draw"]

PANELS = ("sync", "asyncio", "threads")
OURS, THEIRS, TEXT = "#1f6fb2", "#b8bec6", "#24292f"


def _fits(row: Row) -> bool:
    """Return whether it is what the title of its panel says: some rows are there for a comparison alone."""
    return row.block == "sync" or row.in_flight > 1


def draw(path: Path, rows: Sequence[Row], samples: Samples) -> bool:
    """Write a chart in the format that the path's ending names; return False if there is nothing to show."""
    import matplotlib as mpl

    mpl.use("Agg")
    # The same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "taskcounts"
    from matplotlib import pyplot

    panels = [
        (block, found)
        for block in BLOCKS
        if block.name in PANELS
        and (
            found := [row for row in rows if row.block == block.name and samples.get(row.key) and _fits(row)]
        )
    ]
    if not panels:
        return False
    sizes = [len(found) for _, found in panels]
    figure, axes = pyplot.subplots(
        len(panels), 1, sharex=True, squeeze=False, figsize=(9, 1.2 + 0.3 * sum(sizes) + 0.5 * len(sizes)),
        height_ratios=sizes, layout="constrained",
    )  # fmt: skip
    for (block, found), axis in zip(panels, axes[:, 0], strict=True):
        costs = {row.key: spread([each["cpu"] for each in samples[row.key].values()]) for row in found}
        ordered = sorted(found, key=lambda row: costs[row.key].median, reverse=True)
        for place, row in enumerate(ordered):
            cost = costs[row.key]
            axis.barh(place, cost.median, color=OURS if row.ours else THEIRS, height=0.72)
            axis.plot([cost.low, cost.high], [place, place], color=TEXT, linewidth=1)
            axis.annotate(
                number(cost.median), (max(cost.high, cost.median), place), xytext=(4, 0),
                textcoords="offset points", va="center", fontsize=9, color=TEXT,
            )  # fmt: skip
        axis.set_yticks(range(len(ordered)), [row.label for row in ordered], fontsize=9)
        for tick, row in zip(axis.get_yticklabels(), ordered, strict=True):
            tick.set_fontweight("bold" if row.ours else "normal")
        axis.set_title(block.title, loc="left", fontsize=11, fontweight="bold", color=TEXT)
        axis.set_xscale("log")
        axis.set_xlim(left=20)
        axis.grid(axis="x", color="#e4e7eb", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.margins(x=0.1, y=0.02)
    last = axes[-1, 0]
    last.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    last.set_xlabel("CPU per call, µs (logarithmic); the line reaches from quartile to quartile", fontsize=9)
    figure.suptitle("Task counts of Azure Batch: what a call costs the caller\n", fontsize=12, color=TEXT)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=100)
    pyplot.close(figure)
    return True
