"""The outcome of a session: its exit code, and its verdicts for people and for programs."""

from __future__ import annotations

import sys
from typing import Any

import click

from taskcounts.errors import AuthenticationFailed, CredentialFailed, JobNotFound
from taskcounts.text import one_line
from taskcounts.waiting.values import Outcome, Verdict
from taskcounts_cli.exits import Exit, code_and_hint
from taskcounts_cli.messages import print_hint, print_stderr
from taskcounts_cli.output.events import event_line, event_record, serializable
from taskcounts_cli.output.formatting import first_few, last_known, outcome_name
from taskcounts_cli.output.records import dumps
from taskcounts_cli.viewer import SessionResult

_CODES = {
    Outcome.MET: Exit.OK,
    Outcome.FAILED: Exit.UNMET,
    Outcome.UNMET: Exit.UNMET,
    Outcome.GONE: Exit.NOT_FOUND,
    Outcome.TIMED_OUT: Exit.TIMED_OUT,
    Outcome.STALLED: Exit.STALLED,
}


def report(result: SessionResult, output: str) -> Exit:
    """Write the outcome of a session to stdout and hints to stderr, and return the exit code.

    Args:
        result: The outcome.
        output: ``json`` for an array of all jobs; ``ndjson`` for a line for each job that was interrupted,
            since a viewer has written the verdicts; anything else for one line of text.
    """
    if result.interrupted and sys.stderr is not None and sys.stderr.isatty():
        # The terminal has written ^C without a newline.
        print_stderr("")
    if output == "json":
        click.echo(dumps([serializable(outcome_record(result, job)) for job in result.jobs], indent=2))
    elif output == "ndjson":
        for job in result.jobs:
            if job not in result.verdicts:
                click.echo(event_line(outcome_record(result, job)))
    else:
        click.echo(verdict_line(result))
    print_hints(result)
    return session_code(result)


def verdict_code(verdict: Verdict) -> Exit:
    """Return the exit code of a verdict."""
    if verdict.outcome is not Outcome.LOST:
        return _CODES[verdict.outcome]
    code = Exit.SERVICE if verdict.error is None else code_and_hint(verdict.error)[0]
    # Not TIMED_OUT: that a poll took too long doesn't mean that the wait did.
    return code if code in (Exit.AUTHENTICATION, Exit.CONTRACT) else Exit.SERVICE


def session_code(result: SessionResult) -> Exit:
    """Return the exit code of a session: INTERRUPTED, or that of the first verdict that isn't met."""
    if result.interrupted is not None:
        return Exit.INTERRUPTED
    codes = (verdict_code(result.verdicts[job]) for job in result.jobs)
    return next((code for code in codes if code is not Exit.OK), Exit.OK)


def verdict_line(result: SessionResult) -> str:
    """Return the outcome of a session in one line: the verdict on its only job, or a summary."""
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
            others.setdefault("interrupted" if verdict is None else outcome_name(verdict), []).append(job)
    parts = [f"{met:,} {goal if goal == 'done' else f'met {goal}'.rstrip()}"]
    parts += [f"{len(jobs):,} {name} ({first_few(jobs, 3)})" for name, jobs in others.items()]
    return one_line(f"{len(result.jobs):,} jobs: {', '.join(parts)}", 2000)


def outcome_text(result: SessionResult, job: str) -> str:
    """Return the verdict on a job in one line, or after an interruption what was known of it."""
    verdict = result.verdicts.get(job)
    if verdict is not None:
        return one_line(verdict.text, 2000)
    return one_line(f"job {job!r}: interrupted; {last_known(result.last.get(job), result.ended_at)}", 2000)


def outcome_record(result: SessionResult, job: str) -> dict[str, Any]:
    """Return the JSON object of the verdict on a job, or after an interruption of what was known of it."""
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
    """Print each hint on the errors of a session once."""
    # Hints on other errors name options that waits don't have. A job that has counts exists in this account.
    hints = (
        code_and_hint(verdict.error)[1]
        for verdict in result.verdicts.values()
        if verdict.snapshot is None
        and isinstance(verdict.error, AuthenticationFailed | CredentialFailed | JobNotFound)
    )
    for hint in dict.fromkeys(filter(None, hints)):
        print_hint(hint)
