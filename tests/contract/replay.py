"""Sending the requests of findings again: the file that a run writes of them, and what becomes of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema_rs

from contract.recorder import Sent
from contract.report import MOST_SEED, Finding, Report, printable
from contract.run import findings, steps
from contract.target import Target
from taskcounts.text import one_line
from taskcounts_rest import contract


def _record(**members: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(members),
        "properties": members,
        "additionalProperties": False,
    }


_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_SENT = _record(method=_TEXT, target=_TEXT, headers=_TEXTS, how=_TEXTS)
_RUN = _record(
    endpoint={"type": ["string", "null"]},
    api_version={"enum": list(contract.VERSIONS)},
    seed=_COUNT | {"maximum": MOST_SEED},
    examples={"type": "integer", "minimum": 1, "maximum": 10000},
    job={"type": "string", "pattern": contract.PARAMETERS["jobId"]["pattern"]},
    findings={"type": "array", "items": _record(check=_TEXT, text=_TEXT, step=_TEXT, number=_COUNT)},
    requests={"type": "object", "additionalProperties": {"type": "array", "items": _SENT, "minItems": 1}},
)
_check = jsonschema_rs.Draft202012Validator({"type": "array", "items": _RUN})


def write_replay(reports: Sequence[Report], path: Path, *, named: bool) -> None:
    """Write the requests of all findings, and those that led to them.

    Args:
        reports: The reports of the runs.
        path: The file.
        named: Whether the endpoint was named; the emulator is another one each time.
    """
    runs = [
        {
            "endpoint": report.endpoint if named else None,
            "api_version": report.api_version,
            "seed": report.seed,
            "examples": report.examples,
            "job": report.job,
            "findings": [
                {"check": finding.check, "text": finding.text, "step": finding.step, "number": finding.number}
                for finding in report.findings
                if finding.step
            ],
            "requests": {
                step: [asdict(sent) for sent in requests] for step, requests in report.requests.items()
            },
        }
        for report in reports
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(runs, indent=1) + "\n", encoding="ascii")


def read_replay(path: Path) -> list[Report]:
    """Return the runs of a file, with their findings and requests.

    Raises:
        ValueError: The file isn't one that a run has written.
    """
    try:
        runs = json.loads(path.read_bytes())
        _check.validate(runs)
    except (OSError, ValueError, RecursionError) as error:
        reason = one_line(getattr(error, "message", "") or str(error), 200)
        raise ValueError(f"{path} isn't a file of requests to send again: {reason}") from None
    return [_report(run) for run in runs]


def _report(run: dict[str, Any]) -> Report:
    requests = {step: [Sent(**sent) for sent in sents] for step, sents in run["requests"].items()}
    asked = {(step, number): sent for step, sents in requests.items() for number, sent in enumerate(sents)}
    found = [
        Finding(**finding, sent=asked.get((finding["step"], finding["number"])))
        for finding in run["findings"]
    ]
    settings = run | {"endpoint": run["endpoint"] or "", "findings": found, "requests": requests}
    return Report(**settings)


def check_steps(target: Target, noted: Report) -> None:
    """Check that a run over the target, with the same job and version, makes the requests that were noted.

    Raises:
        ValueError: It makes other ones.
    """
    possible = steps(target, noted.seed, noted.examples)
    made = {step.name: step.target for step in possible if step.unfit is None}
    for step, requests in noted.requests.items():
        if step not in made or made[step] not in (None, requests[0].target):
            raise ValueError(f"no run over {target.endpoint} makes the requests of {one_line(step)!r}")


def replay(target: Target, noted: Report) -> tuple[Report, list[str]]:
    """Send the requests of a run's findings again.

    Returns:
        The report of this time, and a line for each finding: whether it holds, is gone, or is new, or
        whether it wasn't asked for since the target gives no answers, or no right ones.
    """
    report = Report(target.endpoint, target.api_version, noted.seed, noted.examples, target.job)
    report.findings += findings(target, report, noted.requests)
    now, before = (
        {(finding.check, finding.step, finding.number): finding for finding in found.findings}
        for found in (report, noted)
    )
    lines = [
        f"{'holds' if key in now else 'gone' if finding.step in report.steps else 'not asked'}: {finding}"
        for key, finding in before.items()
    ]
    lines += [f"new: {finding}" for key, finding in now.items() if key not in before]
    return report, [printable(" ".join(line.split())) for line in lines]
