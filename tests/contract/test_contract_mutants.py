"""Every wrong server is caught, by the check that names what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.emulated import make_emulator, make_target
from contract.mutant import Mutant
from contract.mutants import MUTANTS
from contract.run import Finding, Report, findings
from taskcounts import SharedKey
from taskcounts_emulator import Emulator


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """The emulator that all mutants are made of; a run over one of them moves its tasks."""
    emulator = make_emulator()
    emulator.snapshot("fresh")
    yield emulator
    emulator.close()


def run_over(mutant: Mutant, emulator: Emulator) -> list[Finding]:
    """Return what a contract run finds wrong with a mutant, up to what it has to find."""
    emulator.restore("fresh")
    target = make_target(emulator, mutant.around(emulator.app, SharedKey(emulator.account, emulator.key)))
    seen = []
    for finding in findings(target, Report(target.endpoint)):
        seen.append(finding)
        if finding.check == mutant.caught_by:
            break
    target.engine.close()
    return seen


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(
    mutant: Mutant, emulator: Emulator, mutant_table: list[tuple[str, str, str]]
) -> None:
    """A contract run over a wrong server finds it out, by the right check."""
    seen = run_over(mutant, emulator)
    caught = [finding for finding in seen if finding.check == mutant.caught_by]
    mutant_table.append((mutant.name, mutant.caught_by, caught[0].text if caught else "NOT CAUGHT"))
    assert caught, [str(finding) for finding in seen[:5]]


def test_nothing_is_found_where_nothing_is_wrong(emulator: Emulator) -> None:
    """The proxy between the emulator and the run causes no findings by itself."""
    assert run_over(Mutant("nothing", ""), emulator) == []


def test_mutants_are_many_and_distinct() -> None:
    """There are at least 150 mutants, and no two have the same name."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 150
