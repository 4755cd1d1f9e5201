"""A contract run: everything over one target, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from contract import generated
from contract.checks import EVERY_ANSWER
from contract.probes import PROBES
from contract.reference import AGREEMENTS
from contract.target import Answered, Target, Unreachable

# How many requests schemathesis makes by chance, beside its examples and its coverage of the boundaries.
EXAMPLES = 30


@dataclass(frozen=True)
class Finding:
    """Something wrong with an answer: which check says so, what, and what had been asked."""

    check: str
    text: str
    asked: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.text}" + (f"\n    asked: {self.asked}" if self.asked else "")


@dataclass
class Report:
    """The observations and findings of a run."""

    endpoint: str
    judged: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True if the run found no breach of the contract."""
        return not self.findings

    def text(self) -> str:
        """Return the report for people; its last line is the verdict."""
        by_check: dict[str, list[Finding]] = {}
        for finding in self.findings:
            by_check.setdefault(finding.check, []).append(finding)
        width = max(map(len, [*self.judged, *by_check, *self.skipped]), default=0)
        lines = [f"{'check':{width}}  judged  wrong"]
        lines += [
            f"{check:{width}}  {self.judged[check]:6}  {len(by_check.get(check, ())) or '-':>5}"
            for check in dict.fromkeys([*self.judged, *by_check])
        ]
        lines += [f"{check:{width}}  skipped: {reason}" for check, reason in self.skipped.items()]
        for findings in by_check.values():
            lines += ["", *(str(finding) for finding in findings[:3])]
            if len(findings) > 3:
                lines.append(f"    and {len(findings) - 3} more of {findings[0].check}")
        seen = ", ".join(f"{count} × {status}" for status, count in sorted(self.statuses.items()))
        verdict = "keeps the contract"
        if not self.statuses[200]:
            verdict = "WAS NOT CHECKED"
        elif not self.passed:
            verdict = f"BREAKS THE CONTRACT ({len(self.findings)} findings)"
        lines += ["", f"{self.endpoint} {verdict}; {self.statuses.total()} answers: {seen or 'none'}"]
        return "\n".join(lines)

    def write_junit(self, path: Path) -> None:
        """Write the report as JUnit XML, a test case for each check."""
        wrong = Counter(finding.check for finding in self.findings)
        checks = dict.fromkeys([*self.judged, *wrong, *self.skipped])
        suite = ET.Element(
            "testsuite",
            name="contract",
            tests=str(len(checks)),
            failures=str(len(wrong)),
            skipped=str(len(self.skipped)),
        )
        for check in checks:
            case = ET.SubElement(suite, "testcase", classname="contract", name=check)
            if check in self.skipped:
                ET.SubElement(case, "skipped", message=self.skipped[check])
            for finding in self.findings:
                if finding.check == check:
                    ET.SubElement(case, "failure", message=_xml(finding.text)).text = _xml(finding.asked)
        path.parent.mkdir(parents=True, exist_ok=True)
        ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def run(target: Target, examples: int = EXAMPLES) -> Report:
    """Ask a target everything, and return what came of it."""
    report = Report(target.endpoint)
    for finding in findings(target, report, examples):
        report.findings.append(finding)
    return report


def findings(target: Target, report: Report, examples: int = EXAMPLES) -> Iterator[Finding]:
    """Yield what is wrong with a target as it is found; what was seen is noted in the report."""
    try:
        yield from _probe(target, report, "right-request")
        if not report.statuses[200]:
            # Right answers can't be had: whatever else was checked, it wouldn't be counts.
            yield Finding(
                "saw-counts",
                f"no counts came; are credential, endpoint and the job {target.job!r} right?",
            )
            return
        for name in PROBES:
            if name != "right-request":
                yield from _probe(target, report, name)
        yield from _generate(target, report, examples)
    except Unreachable as error:
        yield Finding("reachable", str(error))


def _probe(target: Target, report: Report, name: str) -> Iterator[Finding]:
    reason = PROBES[name].unfit(target)
    if reason is not None:
        report.skipped[name] = reason
        return
    for answered, wrong in PROBES[name].ask(target):
        report.judged[name] += 1
        if wrong is not None:
            yield Finding(name, wrong, str(answered.asked))
        yield from _every_answer(target, answered, report)


def _generate(target: Target, report: Report, examples: int) -> Iterator[Finding]:
    for request in generated.generate(target.job, examples):
        if target.gets_only and request.method != "GET":
            continue
        answered = target.ask(request.target, generated.sendable_headers(request), method=request.method)
        for name, wrong in generated.judge(request, answered):
            report.judged[name] += 1
            if wrong is not None:
                yield Finding(name, wrong, str(answered.asked))
        yield from _every_answer(target, answered, report)


def _every_answer(target: Target, answered: Answered, report: Report) -> Iterator[Finding]:
    report.statuses[answered.status] += 1
    for name, check in EVERY_ANSWER.items():
        report.judged[name] += 1
        for wrong in check(answered):
            yield Finding(name, wrong, str(answered.asked))
    for name, agreement in AGREEMENTS.items():
        report.judged[name] += 1
        for wrong in agreement(target, answered):
            yield Finding(name, wrong, str(answered.asked))


def _xml(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
