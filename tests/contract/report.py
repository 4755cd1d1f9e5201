"""The report of a contract run: what it found, for people, for CI, and to be sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from contract.keywords import Coverage
from contract.recorder import Sent
from taskcounts_rest import contract

# How many random requests to each operation schemathesis makes, beside its examples and boundaries.
EXAMPLES = 30
# The highest seed that they are drawn by.
MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Finding:
    """Something wrong with an answer.

    Attributes:
        check: The check that says so.
        text: What is wrong.
        step: The step of the run in which the answer came; empty if it is about the whole run.
        number: Which request of the step it was, counted from 0.
        sent: The request.
    """

    check: str
    text: str
    step: str = ""
    number: int = 0
    sent: Sent | None = None

    def __str__(self) -> str:
        return f"{self.check}: {self.text}" + (f"\n    asked: {self.sent}" if self.sent else "")


@dataclass
class Report:
    """The observations and findings of a run.

    Attributes:
        endpoint: Who was asked.
        api_version: The version of the contract.
        seed: What the random requests were drawn by.
        examples: How many of them there were at most for each operation.
        job: The job that stands still.
        judged: How many answers each check judged.
        statuses: How many answers had each status.
        findings: What is wrong.
        skipped: The probes that the target can't be asked, each with the reason.
        notes: What the run couldn't see, since the job or the account doesn't have it.
        steps: The steps that were made to their end.
        requests: The requests of each step that has findings.
    """

    endpoint: str
    api_version: str = contract.API_VERSION
    seed: int = 0
    examples: int = EXAMPLES
    job: str = ""
    judged: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    steps: set[str] = field(default_factory=set)
    requests: dict[str, list[Sent]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keywords = Coverage(self.api_version)

    @property
    def passed(self) -> bool:
        """True if the run found no breach of the contract."""
        return not self.findings

    @property
    def by_check(self) -> dict[str, list[Finding]]:
        """The findings of each check that was made, in the order of the checks."""
        checks = dict.fromkeys([*self.judged, *(finding.check for finding in self.findings)])
        return {check: [found for found in self.findings if found.check == check] for check in checks}

    def text(self) -> str:
        """Return the report for people; its last line is the verdict."""
        width = max(map(len, [*self.by_check, *self.skipped]), default=0)
        lines = [f"api-version {self.api_version}, seed {self.seed}", "", f"{'check':{width}}  judged  wrong"]
        lines += [
            f"{check:{width}}  {self.judged[check]:6}  {len(findings) or '-':>5}"
            for check, findings in self.by_check.items()
        ]
        lines += [f"{check:{width}}  skipped: {reason}" for check, reason in self.skipped.items()]
        lines += ["", self.keywords.requests_text(), self.keywords.answers_text()]
        lines += [f"note: {note}" for note in self.notes]
        for findings in filter(None, self.by_check.values()):
            lines.append("")
            for finding in findings[:3]:
                lines += str(finding).splitlines()
                lines += [f"    {finding.sent.curl(self.endpoint)}"] if finding.sent else []
            if len(findings) > 3:
                lines.append(f"    and {len(findings) - 3} more of {findings[0].check}")
        seen = ", ".join(f"{count} × {status}" for status, count in sorted(self.statuses.items()))
        verdict = f"keeps the contract of {self.api_version}"
        if not self.statuses[200]:
            verdict = "WAS NOT CHECKED"
        elif not self.passed:
            verdict = f"BREAKS THE CONTRACT of {self.api_version} ({len(self.findings)} findings)"
        lines += ["", f"{self.endpoint} {verdict}; {self.statuses.total()} answers: {seen or 'none'}"]
        return "\n".join(map(printable, lines))

    def suite(self) -> ET.Element:
        """Return the report as a test suite of JUnit, with a test case for each check."""
        failures = sum(map(bool, self.by_check.values()))
        suite = ET.Element(
            "testsuite",
            name=f"contract {self.api_version}",
            tests=str(len(self.by_check) + len(self.skipped)),
            failures=str(failures),
            skipped=str(len(self.skipped)),
        )
        properties = ET.SubElement(suite, "properties")
        ET.SubElement(properties, "property", name="seed", value=str(self.seed))
        for check, findings in self.by_check.items():
            case = ET.SubElement(suite, "testcase", classname=f"contract.{self.api_version}", name=check)
            for finding in findings:
                failure = ET.SubElement(case, "failure", message=printable(finding.text))
                failure.text = printable(finding.sent.curl(self.endpoint) if finding.sent else "")
        for check, reason in self.skipped.items():
            case = ET.SubElement(suite, "testcase", classname=f"contract.{self.api_version}", name=check)
            ET.SubElement(case, "skipped", message=reason)
        return suite


def write_junit(reports: Sequence[Report], path: Path) -> None:
    """Write reports as JUnit XML, a test suite for each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = ET.Element("testsuites")
    root.extend(report.suite() for report in reports)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def printable(text: str) -> str:
    """Return a text that a terminal and XML can hold."""
    return "".join(character if character.isprintable() else "?" for character in text)
