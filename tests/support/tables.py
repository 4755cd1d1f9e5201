"""Tables of cases in JSON files of tests/data, each table under its name, with one case to a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"


def table(file: str, name: str) -> list[Any]:
    """Return the cases of a table.

    Args:
        file: The path of the file below tests/data, without its suffix.
        name: The name of the table in this file.
    """
    cases: list[Any] = json.loads((DATA / f"{file}.json").read_text(encoding="utf-8"))[name]
    return cases
