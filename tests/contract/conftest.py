"""Shows at the end of a test run which check caught which mutant."""

from __future__ import annotations

import os
from collections import Counter, defaultdict

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how the mutants were caught: each family in a line, or each mutant for `make mutants`."""
    rows = sorted(
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "mutant"
    )
    if not rows:
        return
    caught: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for family, name, mode, _, by in rows:
        caught[family, name][mode].append(by)
    modes = sorted({mode for by_mode in caught.values() for mode in by_mode})
    terminalreporter.section(f"{len(caught)} mutants, and the checks that caught them")
    if "ALL_MUTANTS" in os.environ:
        for (family, name), by_mode in caught.items():
            terminalreporter.line(f"{family} | {name}")
            for mode in modes:
                terminalreporter.line(f"    {mode}: {', '.join(dict.fromkeys(by_mode[mode]))}")
    for family in dict.fromkeys(family for family, _ in caught):
        for mode in modes:
            counter = Counter(
                by for (other, _), by_mode in caught.items() if other == family for by in by_mode[mode]
            )
            checks = ", ".join(f"{count} × {by}" for by, count in counter.most_common())
            terminalreporter.line(f"{family:32} {mode:15}{checks}")
