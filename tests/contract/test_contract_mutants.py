"""Every wrong server is found out, by a check that names what is wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.checks import EVERY_ANSWER
from contract.generated import CHECKS
from contract.mutants import MUTANTS, answers
from contract.mutants.judging import MODES, NAMED, look_for, target_of
from contract.mutants.server import Mutant
from contract.probes import PROBES
from contract.reference import AGREEMENTS
from contract.run import run
from taskcounts_rest import contract

VERSIONS = tuple(contract.VERSIONS)
# What `make mutants` asks for.
ALL = "ALL_MUTANTS" in os.environ

RIGHT = Mutant("nothing", "nothing is wrong", frozenset(), lambda server, request: server.ask(request))


def _cases() -> Iterator[tuple[Mutant, str, str]]:
    """Yield every mutant in both modes: at every version for `make mutants`, at one of them otherwise."""
    for number, mutant in enumerate(MUTANTS):
        for other, mode in enumerate(MODES):
            one = mutant.versions[(number + other) % len(mutant.versions)]
            for version in mutant.versions if ALL else [one]:
                yield mutant, mode, version


@pytest.mark.parametrize(
    ("mutant", "mode", "version"),
    list(_cases()),
    ids=lambda value: f"{value.family}, {value.name}" if isinstance(value, Mutant) else value,
)
def test_mutant_is_caught(
    mutant: Mutant, mode: str, version: str, record_property: Callable[[str, Any], None]
) -> None:
    """A run finds out what is wrong, unless there is a reason that a named endpoint doesn't show it."""
    finding, others = look_for(mutant, mode, version, whole=ALL)
    unseen = mutant.unseen if mode == NAMED else ""
    caught = f"unseen: {unseen}" if unseen else finding.check if finding else "NOT CAUGHT"
    record_property("mutant", (mutant.family, mutant.name, mode, version, caught))
    if unseen:
        assert not [*([finding] if finding else []), *others], "it is seen, so that the reason is none"
    else:
        assert finding, [str(other) for other in others[:5]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_found_where_nothing_is_wrong(mode: str, version: str) -> None:
    """What stands between the emulator and the run causes no findings, ten times for `make mutants`."""
    for _ in range(10 if ALL else 1):
        report = run(target_of(RIGHT, mode, version))
        assert report.passed, report.text()


def test_mutants_are_distinct_and_caught_by_checks_that_there_are() -> None:
    """No two mutants have the same name, and the checks that have to catch them are those of a run."""
    assert len({(mutant.family, mutant.name) for mutant in MUTANTS}) == len(MUTANTS) >= 350
    checks = {*EVERY_ANSWER, *AGREEMENTS, *PROBES, *CHECKS, "keywords"}
    assert {name for mutant in MUTANTS for name in mutant.caught_by} <= checks


def test_the_readme_counts_the_mutants() -> None:
    """The page says how many there are, and how many a named endpoint doesn't show."""
    text = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    unseen = sum(bool(mutant.unseen) for mutant in MUTANTS)
    assert f"proven on {len(MUTANTS):,} mutants" in text
    assert f"all but {unseen} are, which say why not" in text
    assert sum(int(number) for number in re.findall(r"\| (\d+) \|$", text, re.MULTILINE)) == unseen


def keywords(schema: Mapping[str, Any], pointer: str = "$") -> Iterator[tuple[str, str]]:
    """Yield each keyword of a schema with the member that it stands at; `required`, for each name."""
    for keyword, value in schema.items():
        if keyword == "properties":
            for name, member in value.items():
                yield from keywords(member, f"{pointer}.{name}")
        elif keyword == "items":
            yield from keywords(value, f"{pointer}[]")
        elif keyword == "required":
            yield from ((pointer, f"required {name}") for name in value)
        else:
            yield pointer, keyword


@pytest.mark.parametrize(
    "schema",
    [*(operation.result for operation in contract.OPERATIONS.values()), contract.ERROR],
    ids=[*contract.OPERATIONS, "error"],
)
def test_every_keyword_has_a_mutant(schema: Mapping[str, Any]) -> None:
    """Each keyword of each answer's schema is broken by a mutant, which breaks nothing else."""
    broken = {(violation.pointer, violation.keyword) for violation in answers.violations(schema)}
    assert broken == set(keywords(schema))
