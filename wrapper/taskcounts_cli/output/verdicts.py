"""What came of a session: its exit code, and verdicts as people and programs read them."""

from __future__ import annotations

from typing import Any

from taskcounts.errors import AuthenticationFailed, CredentialFailed, JobNotFound
from taskcounts.text import one_line
from taskcounts.waiting.values import Outcome, Verdict
from taskcounts_cli.exits import Exit, code_and_hint
from taskcounts_cli.messages import print_hint
from taskcounts_cli.output.events import event_record
from taskcounts_cli.output.formatting import last_known, outcome, some
from taskcounts_cli.viewer import SessionResult

_CODES = {
    Outcome.MET: Exit.OK,
    Outcome.FAILED: Exit.UNMET,
    Outcome.UNMET: Exit.UNMET,
    Outcome.GONE: Exit.NOT_FOUND,
    Outcome.TIMED_OUT: Exit.TIMED_OUT,
    Outcome.STALLED: Exit.STALLED,
}


def verdict_code(verdict: Verdict) -> Exit:
    """Return the exit code of a verdict."""
    if verdict.outcome is not Outcome.LOST:
        return _CODES[verdict.outcome]
    # A poll that took too long is no wait that took too long.
    code = Exit.SERVICE if verdict.error is None else code_and_hint(verdict.error)[0]
    return code if code in (Exit.AUTHENTICATION, Exit.CONTRACT) else Exit.SERVICE


def session_code(result: SessionResult) -> Exit:
    """Return the exit code of a session: of an interruption, or of the first verdict that isn't met."""
    if result.interrupted is not None:
        return Exit.INTERRUPTED
    codes = (verdict_code(result.verdicts[job]) for job in result.jobs)
    return next((code for code in codes if code is not Exit.OK), Exit.OK)


def verdict_line(result: SessionResult) -> str:
    """Return what came of a session in one line: the verdict on its one job, or a sum of all."""
    if len(result.jobs) == 1:
        return outcome_text(result, result.jobs[0])
    met, goal = 0, ""
    others: dict[str, list[str]] = {}
    for job in result.jobs:
        verdict = result.verdicts.get(job)
        if verdict is not None:
            goal = verdict.goal
        if verdict:
            met += 1
        else:
            others.setdefault("interrupted" if verdict is None else outcome(verdict), []).append(job)
    parts = [f"{met:,} {goal if goal == 'done' else f'met {goal}'.rstrip()}"]
    parts += [f"{len(jobs):,} {name} ({some(jobs, 3)})" for name, jobs in others.items()]
    return one_line(f"{len(result.jobs):,} jobs: {', '.join(parts)}", 2000)


def outcome_text(result: SessionResult, job: str) -> str:
    """Return the verdict on a job in one line, or what was last known of it before an interruption."""
    verdict = result.verdicts.get(job)
    if verdict is not None:
        return one_line(verdict.text, 2000)
    return one_line(f"job {job!r}: interrupted; {last_known(result.last.get(job), result.ended_at)}", 2000)


def outcome_record(result: SessionResult, job: str) -> dict[str, Any]:
    """Return the JSON object of the verdict on a job, or of what was last known before an interruption."""
    verdict = result.verdicts.get(job)
    if verdict is not None:
        return event_record(verdict)
    last = result.last.get(job)
    known: dict[str, Any] = {} if last is None else event_record(last)
    return {
        "type": "interruption",
        "jobId": job,
        "outcome": "interrupted",
        "text": outcome_text(result, job),
        "snapshot": known.get("snapshot"),
        "jobState": known.get("jobState"),
        "polls": known.get("number", 0),
        "endedAt": result.ended_at.isoformat(),
    }


def print_hints(result: SessionResult) -> None:
    """Tell what a person might do about what went wrong, each advice once."""
    # The other hints are of options that waits don't have; and a job that was seen was the right one.
    errors = (verdict.error for verdict in result.verdicts.values() if verdict.snapshot is None)
    hints = (
        code_and_hint(error)[1]
        for error in errors
        if isinstance(error, AuthenticationFailed | CredentialFailed | JobNotFound)
    )
    for hint in dict.fromkeys(filter(None, hints)):
        print_hint(hint)
