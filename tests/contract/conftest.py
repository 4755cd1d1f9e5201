"""Shows which check caught which mutant at the end of a test run."""

from __future__ import annotations

import pytest

MUTANT_TABLE = pytest.StashKey[list[tuple[str, str, str]]]()


@pytest.fixture
def mutant_table(request: pytest.FixtureRequest) -> list[tuple[str, str, str]]:
    """Rows of mutant, check and what the check said."""
    return request.config.stash.setdefault(MUTANT_TABLE, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    rows = config.stash.get(MUTANT_TABLE, [])
    if not rows:
        return
    terminalreporter.section(f"{len(rows)} mutants: what is wrong, the check that caught it, what it said")
    wide, middle = (max(len(row[column]) for row in rows) for column in (0, 1))
    for mutant, check, said in rows:
        terminalreporter.line(f"{mutant:{wide}}  {check:{middle}}  {' '.join(said.split())[:90]}")
