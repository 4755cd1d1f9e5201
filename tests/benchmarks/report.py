"""The report: the goals, and a table for each block, in Markdown; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.figures import Formula, Samples, Spread, spread
from benchmarks.goals import GOALS, Goal
from benchmarks.rows import BLOCKS, IDEAL, Block, Row

__all__ = ["document", "goals", "markdown", "number"]

# From here on the server may be what is measured.
BUSY = 0.8
MIB = 1 << 20

LEGEND = """A figure is the median over the rounds, in parentheses stand the quartiles.
CPU is the user and system time of the client's process.
A ratio is of two rows of the same round, in the tables of the row whose ratio is 1.
The server is a compiled process, on a core of its own where there are two.
It is no bottleneck: a row says so where it is busy for most of the time."""


def number(value: float) -> str:
    """Return a number with three digits that mean something."""
    if value == 0:
        return "0"
    digits = next((digits for digits, least in enumerate((100, 10, 1)) if abs(value) >= least), 3)
    text = f"{value:,.{digits}f}"
    return text if float(text.replace(",", "")) != 0 else f"{value:.1g}"


def ranged(values: Spread, unit: str = "") -> str:
    """Return the middle and the quartiles."""
    shown = f"{number(values.median)} {unit}".strip()
    if values.low == values.high:
        return shown
    return f"{shown} ({number(values.low)} to {number(values.high)})"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are numbers."""
    ruler = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ruler, *lines))


def measured(formula: Formula, samples: Samples) -> Spread | None:
    """Return a figure, None if its rows weren't run together."""
    values = formula.values(samples)
    return spread(values) if values else None


def goals(samples: Samples, which: Sequence[Goal] = GOALS) -> str:
    """Return what was reached of the goals; those of which nothing was measured are left out."""
    lines = []
    for goal in which:
        found = measured(goal.figure, samples)
        if found is not None:
            shown = ranged(found, goal.unit)
            verdict = f"{shown}, met" if found.median <= goal.most else f"**{shown}, not met**"
            lines.append([goal.what, verdict, f"≤ {goal.most:g} {goal.unit}".strip()])
    return table(["what", "taskcounts", "goal"], lines)


Values = Mapping[str, Spread]
RATIO, IDEALLY = "ratio", "wall over the ideal"


def _server(values: Values) -> str:
    busy = values["busy"].median
    return number(values["server"].median) + (f" (busy for {busy:.0%})" if busy > BUSY else "")


# By the kind of a block: what stands over a column, and what in it. The ratio needs more than the row.
COLUMNS: dict[str, dict[str, Callable[[Values], str]]] = {
    "calls": {
        "CPU per call, µs": lambda values: number(values["cpu"].median),
        RATIO: lambda _: "",
        "wall per call, µs": lambda values: number(values["wall"].median),
        IDEALLY: lambda values: number(values["wall"].median / IDEAL),
        "calls per second and core": lambda values: f"{1e6 / values['cpu'].median:,.0f}",
        "peak memory, MiB": lambda values: number(values["memory"].median / MIB),
        "connections opened": lambda values: f"{values['connections'].median:,.0f}",
        "server's CPU per call, µs": _server,
    },
    "process": {
        "CPU, ms": lambda values: number(values["cpu"].median / 1000),
        RATIO: lambda _: "",
        "wall, ms": lambda values: number(values["wall"].median / 1000),
    },
    "size": {"MB": lambda values: number(values["size"].median / 1e6), RATIO: lambda _: ""},
    "micro": {"CPU, µs": lambda values: ranged(values["cpu"])},
}


def block_table(block: Block, rows: Sequence[Row], samples: Samples) -> str:
    """Return the rows of a block."""
    shown = {RATIO: block.base is not None, IDEALLY: block.latency > 0}
    columns = {head: cell for head, cell in COLUMNS[block.kind].items() if shown.get(head, True)}
    lines = []
    for row in rows:
        values = _spreads(samples, row)
        cells = {head: cell(values) for head, cell in columns.items()}
        if block.base is not None:
            base = f"{block.name}/{block.base}"
            quantity = "size" if block.kind == "size" else "cpu"
            found = measured(Formula(quantity, row.key, base), samples)
            cells[RATIO] = "" if found is None else "1" if row.key == base else ranged(found)
        lines.append([row.label, *cells.values()])
    return table([_FIRST[block.kind], *columns], lines)


_FIRST = {"calls": "client", "process": "process", "size": "packages", "micro": "what"}


def _spreads(samples: Samples, row: Row) -> dict[str, Spread]:
    taken = list(samples[row.key].values())
    return {name: spread([each[name] for each in taken]) for name in taken[0]}


def markdown(
    rows: Sequence[Row], samples: Samples, made: Mapping[str, Any], failures: Mapping[str, str]
) -> str:
    """Return everything, for people."""
    origin = (
        f"Made by `{made['command']}` on {made['date']} at {made['commit']}: {made['rounds']} rounds, "
        f"{made['cpu']}, {made['system']}, Python {made['python']}; "
        f"others took {made['disturbance']:.0%} of the cores' time.\n{made['versions']}."
    )
    parts = ["# Task counts of Azure Batch: clients side by side", origin, LEGEND, "## Goals", goals(samples)]
    for block in BLOCKS:
        mine = [row for row in rows if row.block == block.name and samples.get(row.key)]
        if mine:
            parts += [f"## {block.title}", block_table(block, mine, samples)]
    if failures:
        parts += ["## Not measured", "\n".join(f"- {key}: {why}" for key, why in failures.items())]
    return "\n\n".join(part for part in parts if part) + "\n"


def document(
    rows: Sequence[Row], samples: Samples, made: Mapping[str, Any], failures: Mapping[str, str]
) -> dict[str, Any]:
    """Return everything, for programs."""
    told = []
    for goal in GOALS:
        found = measured(goal.figure, samples)
        if found is not None:
            told.append(
                {
                    "goal": goal.what,
                    "most": goal.most,
                    "unit": goal.unit,
                    "met": found.median <= goal.most,
                    **found._asdict(),
                }
            )
    return {
        "made": dict(made),
        "goals": told,
        "rows": {
            row.key: {
                "label": row.label,
                **{name: value._asdict() for name, value in _spreads(samples, row).items()},
            }
            for row in rows
            if samples.get(row.key)
        },
        "failures": dict(failures),
    }  # fmt: skip
