"""The proof can fail: waits that are wrong on purpose are found out, each by what it does wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from histories.mutants import MUTANTS, find_out
from histories.run import Report, helpers

# Among so many histories there is one that betrays each.
HISTORIES = 1000


@pytest.fixture(scope="module")
def reports() -> Iterator[list[Future[Report]]]:
    """All of them at once, as far as there are processors."""
    with helpers() as pool:
        yield [pool.submit(find_out, number, HISTORIES) for number in range(len(MUTANTS))]


@pytest.mark.parametrize("number", range(len(MUTANTS)), ids=[mutant.name for mutant in MUTANTS])
def test_a_wrong_wait_is_found_out(number: int, reports: list[Future[Report]]) -> None:
    """Some history has a wrong verdict, for the reason that makes the wait wrong."""
    report = reports[number].result()
    assert MUTANTS[number].is_betrayed(report), f"{report.histories} histories, {report.wrong}"
