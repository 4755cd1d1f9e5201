"""A contract run: everything over one target, step by step, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from contract import generated, keywords
from contract.checks import EVERY_ANSWER
from contract.probes import PROBES
from contract.probing import expect
from contract.recorder import Recorder, Sent
from contract.reference import AGREEMENTS, weaknesses
from contract.report import EXAMPLES, Finding, Report
from contract.target import Answered, Reference, Target, Unreachable

# What all other steps rest on: a replay has them, too.
FIRST = ("right-request", "reference")

Judgements = Iterator[tuple[str, Answered, str | None]]
"""A check by its name, the answer that it judged, and what is wrong with that, or None."""


@dataclass(frozen=True)
class Step:
    """A part of a run that can be made again by itself: a probe, or one request that was made up.

    Attributes:
        name: The name of the probe, or the maker of the request and its number.
        ask: Asks a target, and judges the answers.
        unfit: Why the target can't be asked, None if it can.
        target: The path and query of a request that was made up.
    """

    name: str
    ask: Callable[[Target], Judgements]
    unfit: str | None = None
    target: str | None = None


def run(target: Target, examples: int = EXAMPLES, seed: int = 0) -> Report:
    """Ask a target everything, and return what came of it.

    Args:
        target: Who is asked.
        examples: How many random requests to each operation schemathesis makes.
        seed: What they are drawn by.
    """
    report = Report(target.endpoint, target.api_version, seed, examples, target.job)
    for finding in findings(target, report):
        report.findings.append(finding)
    if report.passed and target.known:
        if report.keywords.missing():
            report.findings.append(Finding("keywords", report.keywords.requests_text()))
        if report.keywords.missing_answers():
            report.findings.append(Finding("keywords", report.keywords.answers_text()))
    return report


def findings(
    target: Target, report: Report, script: Mapping[str, Sequence[Sent]] | None = None
) -> Iterator[Finding]:
    """Yield what is wrong with a target as it is found; what was seen is noted in the report.

    Args:
        target: Who is asked.
        report: The report of the run.
        script: The requests of an earlier run by their steps; no other steps are made. None makes all.
    """
    target.reference = Reference()  # Each run takes its own.
    recorder = Recorder.over(target)
    for step in steps(target, report.seed, report.examples):
        if script is not None and step.name not in (*FIRST, *script):
            continue
        if step.unfit is not None:
            report.skipped[step.name] = step.unfit
            continue
        recorder.begin((script or {}).get(step.name, ()))
        for finding in _judged(step, recorder, report):
            report.requests[step.name] = recorder.sent
            yield finding
            if finding.check == "reachable":
                return
        report.steps.add(step.name)
        if not report.statuses[200]:
            # Right answers can't be had: whatever else was checked, it wouldn't be counts.
            text = f"no counts came; are credential, endpoint and the job {target.job!r} right?"
            yield _found("saw-counts", text, step, recorder, 0)
            return
    report.notes += weaknesses(recorder)


def steps(target: Target, seed: int, examples: int) -> Iterator[Step]:
    """Yield the steps of a run."""
    for name, probe in PROBES.items():
        yield Step(name, partial(_probe, name), probe.unfit(target))
    requests = keywords.requests(target.api_version, target.job)
    for number, request in enumerate(requests):
        yield Step(f"keywords {number}", partial(_keyword, request), target=request.target)
    for number, made in enumerate(generated.generate(target.api_version, target.job, seed, examples)):
        if made.method == "GET" or not target.gets_only:
            yield Step(f"schemathesis {number}", partial(_generated, made), target=made.target)


def _judged(step: Step, recorder: Recorder, report: Report) -> Iterator[Finding]:
    """Make a step, and yield what is wrong with the answers."""
    try:
        for check, answered, wrong in step.ask(recorder):
            report.judged[check] += 1
            if wrong is not None:
                yield _found(check, wrong, step, recorder, recorder.number(answered))
            yield from _every_answer(step, recorder, report)
    except Unreachable as error:
        yield from _every_answer(step, recorder, report)
        yield _found("reachable", str(error), step, recorder, len(recorder.sent) - 1)


def _every_answer(step: Step, recorder: Recorder, report: Report) -> Iterator[Finding]:
    """Judge the answers that weren't judged yet, also those that the step itself says nothing of."""
    for number, answered in recorder.unjudged():
        report.statuses[answered.status] += 1
        report.keywords.see(answered)
        agreements = {name: partial(agrees, recorder) for name, agrees in AGREEMENTS.items()}
        for name, check in (EVERY_ANSWER | agreements).items():
            report.judged[name] += 1
            for wrong in check(answered):
                yield _found(name, wrong, step, recorder, number)


def _found(check: str, text: str, step: Step, recorder: Recorder, number: int) -> Finding:
    return Finding(check, text, step.name, number, recorder.sent[number])


def _probe(name: str, target: Target) -> Judgements:
    for answered, wrong in PROBES[name].ask(target):
        yield name, answered, wrong


def _keyword(request: keywords.Request, target: Target) -> Judgements:
    answered = target.ask(request.target, request.headers)
    wrong = expect(answered, 200)[1]
    if request.breaks is not None:
        refused = 400 <= answered.status < 500
        wrong = None if refused else f"{request.breaks} is broken, and it is answered by {answered.status}"
    yield "keywords", answered, wrong


def _generated(request: generated.Generated, target: Target) -> Judgements:
    answered = target.ask(request.target, generated.sendable_headers(request), method=request.method)
    for name, wrong in generated.judge(request, answered):
        yield name, answered, wrong
