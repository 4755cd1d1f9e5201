"""Runs over mutants: whether a run finds out what is wrong, against known jobs and as at a named endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from contract.emulated import JOBS, KNOWN, OPTIONS, make_emulator, make_target
from contract.mutants.server import Mutant, WrongServer
from contract.probes import PROBES
from contract.report import Finding, Report
from contract.run import findings
from contract.target import Target
from taskcounts_emulator import Emulator

MODES = ("known jobs", "named endpoint")
KNOWN_JOBS, NAMED = MODES


@cache
def _emulator(*, large: bool) -> Emulator:
    """Return an emulator, in this process once: with all jobs, or without the one that takes long to list."""
    if large:
        emulator = make_emulator()
    else:
        emulator = Emulator()
        emulator.load({"settle": 0})
        for job in JOBS.keys() - {"large"}:
            emulator.add_job(job, JOBS[job], **OPTIONS.get(job, {}))
    emulator.snapshot("fresh")
    return emulator


def target_of(mutant: Mutant, mode: str, version: str, *, large: bool = True) -> Target:
    """Return a mutant as the target of a run."""
    emulator = _emulator(large=large)
    emulator.restore("fresh")
    target = make_target(emulator, emulator.app, version)
    target.engine.close()
    target.engine = WrongServer(mutant, emulator)
    target.known = {job: counts for job, counts in KNOWN.items() if large or job != "large"}
    if mode == NAMED:
        target.gets_only, target.known, target.moves = True, {}, ()
    return target


def look_for(mutant: Mutant, mode: str, version: str, *, whole: bool) -> tuple[Finding | None, list[Finding]]:
    """Return the finding that says what is wrong with a mutant, if there is one, and what else was found.

    Args:
        mutant: The mutant.
        mode: What the run knows of it.
        version: The api-version of the run.
        whole: Make whole runs over what can't be seen, too, and not the probes alone.
    """
    probes: Mapping[str, Any] = dict.fromkeys(PROBES, ())
    named = {name: probes[name] for name in probes if name in mutant.caught_by} or probes
    # The probes that are named after it find most of them, among few tasks, in a tenth of the time of a run.
    runs = [(named, False), (named, True), (None, True)]
    if mode == NAMED and mutant.unseen:
        runs = [(None, True)] if whole else [(probes, False)]
    others: list[Finding] = []
    for script, large in runs:
        others.clear()
        for finding in _findings(target_of(mutant, mode, version, large=large), script):
            if finding.check in mutant.caught_by:
                return finding, others
            others.append(finding)
    return None, others


def _findings(target: Target, script: Mapping[str, Any] | None) -> Iterator[Finding]:
    report = Report(target.endpoint, target.api_version, job=target.job)
    yield from findings(target, report, script)
