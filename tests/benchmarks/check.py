"""Compares the ratios of a run with those of an earlier one, and keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Formula, Samples, Spread, is_worse, noise, spread
from benchmarks.report import number

__all__ = ["REFERENCE", "culprits", "load", "ratios", "save", "suspects", "told"]

REFERENCE = Path(__file__).with_name("reference.json")


def ratios(formulas: Mapping[str, Formula], samples: Samples) -> dict[str, Spread]:
    """Return what the formulas give, those for which rows are missing left out."""
    return {name: spread(values) for name, formula in formulas.items() if (values := formula.values(samples))}


def culprits(
    now: Mapping[str, Spread], reference: Mapping[str, Spread], disturbance: float = 0.0
) -> list[str]:
    """Return the names of the ratios that got worse."""
    return [
        name
        for name, value in now.items()
        if name in reference and is_worse(value, reference[name], disturbance)
    ]


def told(name: str, now: Spread, reference: Spread, disturbance: float = 0.0) -> str:
    """Return what is wrong with a ratio, in one line."""
    allowed = reference.median + noise(now, reference, disturbance)
    was = number(reference.median)
    return f"{name}: {number(now.median)}, where {was} was, and chance allows {number(allowed)}"


def load(form: str, path: Path = REFERENCE) -> tuple[dict[str, Spread], float]:
    """Return the ratios of an earlier run of the same form, and what others took of the cores' time.

    Raises:
        FileNotFoundError: There is none; the message says how to make one.
    """
    parts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if form not in parts:
        raise FileNotFoundError(f"{path.name} has no {form} run; 'make bench-reference' makes one")
    ratios = {name: Spread(**values) for name, values in parts[form]["ratios"].items()}
    return ratios, parts[form]["made"]["disturbance"]


def save(form: str, now: Mapping[str, Spread], made: Mapping[str, Any], path: Path = REFERENCE) -> None:
    """Keep the ratios of a run, in the place of an earlier one of the same form."""
    parts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rounded = {
        name: {key: round(value, 4) for key, value in values._asdict().items()}
        for name, values in now.items()
    }
    parts[form] = {"made": dict(made), "ratios": rounded}
    path.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def suspects(names: Sequence[str], formulas: Mapping[str, Formula]) -> set[str]:
    """Return the rows that have to run again to judge some ratios anew."""
    return {row for name in names for row in formulas[name].rows}
