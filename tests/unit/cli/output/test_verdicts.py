"""The outcome of a session: exit codes, the one line on stdout, and JSON."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
from attrs import evolve

from support.command_line import FakeTerminal
from support.observations import (
    FORGED,
    FORGED_LINE,
    NOON,
    bare_observation,
    bare_verdict,
    judged,
    seen,
    snapshot,
    unserializable,
)
from taskcounts import (
    AuthenticationFailed,
    ContractViolation,
    CredentialFailed,
    DeadlineExceeded,
    JobNotFound,
    ServiceBusy,
    ServiceError,
    ServiceUnreachable,
    TaskCountsError,
)
from taskcounts.waiting.values import Observation, Outcome, Verdict
from taskcounts_cli.exits import Exit
from taskcounts_cli.messages import print_error
from taskcounts_cli.output.formatting import last_known
from taskcounts_cli.output.verdicts import (
    outcome_record,
    outcome_text,
    print_hints,
    report,
    session_code,
    verdict_code,
    verdict_line,
)
from taskcounts_cli.output.viewers import LineViewer, NdjsonViewer
from taskcounts_cli.viewer import SessionResult

COUNTS = (4, 8, 38, 2)


def result(*verdicts: Verdict, missing: tuple[str, ...] = (), **last: Observation) -> SessionResult:
    """Return the result of a session; interrupted jobs have no verdict."""
    return SessionResult(
        jobs=(*(each.job_id for each in verdicts), *missing),
        verdicts={each.job_id: each for each in verdicts},
        last=last,
        interrupted=2 if missing else None,
        ended_at=NOON,
    )


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.MET, 0),
        (Outcome.FAILED, 1),
        (Outcome.UNMET, 1),
        (Outcome.GONE, 3),
        (Outcome.TIMED_OUT, 124),
        (Outcome.STALLED, 125),
    ],
)
def test_a_code_for_each_outcome(outcome: Outcome, code: int) -> None:
    """Each outcome has its exit code, whatever else the verdict holds."""
    assert verdict_code(bare_verdict("x", outcome, error=AuthenticationFailed("x"))) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthenticationFailed, 4),
        (CredentialFailed, 4),
        (ServiceBusy, 5),
        (ServiceError, 5),
        (ServiceUnreachable, 5),
        (DeadlineExceeded, 5),
        (JobNotFound, 5),
        (ContractViolation, 6),
        (None, 5),
    ],
)
def test_a_lost_status_has_its_errors_code(error: type[TaskCountsError] | None, code: int) -> None:
    """A lost status has the exit code of its error; a poll that timed out is not a wait that did."""
    assert verdict_code(bare_verdict("x", Outcome.LOST, error=error and error("x"))) == code


def test_every_outcome_has_a_code() -> None:
    """Every outcome has a code, and only a met goal is a success."""
    codes = {outcome: verdict_code(bare_verdict("x", outcome)) for outcome in Outcome}
    assert [outcome for outcome, code in codes.items() if code is Exit.OK] == [Outcome.MET]


def test_the_first_that_is_not_met_decides() -> None:
    """The first unmet verdict in the order named decides, and an interruption precedes all."""
    met, failed, gone = bare_verdict("a"), bare_verdict("b", Outcome.FAILED), bare_verdict("c", Outcome.GONE)
    assert session_code(result(met)) is Exit.OK
    assert session_code(result(met, failed, gone)) is Exit.UNMET
    assert session_code(result(met, gone, failed)) is Exit.NOT_FOUND
    assert session_code(result(gone, missing=("x",))) is Exit.INTERRUPTED


def test_one_line() -> None:
    """The line of one job is its verdict; that of several is a summary that names the unmet ones."""
    met, failed = bare_verdict("a"), bare_verdict("b", Outcome.FAILED)
    assert verdict_line(result(failed)) == "job 'b': failed"
    assert verdict_line(result(met, bare_verdict("c"))) == "2 jobs: 2 done"
    assert (
        verdict_line(result(met, failed, missing=("c",))) == "3 jobs: 1 done, 1 failed (b), 1 interrupted (c)"
    )
    assert verdict_line(result(missing=("c", "d"))) == "2 jobs: 0 met, 2 interrupted (c, d)"
    assert verdict_line(
        result(
            bare_verdict("a", goal="all-succeeded"), bare_verdict("b", Outcome.FAILED, goal="all-succeeded")
        )
    ) == ("2 jobs: 1 met all-succeeded, 1 failed (b)")
    many = [bare_verdict(f"job-{number}", Outcome.UNMET) for number in range(1203)]
    assert (
        verdict_line(result(*many))
        == "1,203 jobs: 0 done, 1,203 not met (job-0, job-1, job-2 and 1,200 more)"
    )


def test_an_interruption() -> None:
    """A job without a verdict is written with its last observation, as text and as JSON."""
    last = bare_observation("x", number=7, snapshot=snapshot("x", COUNTS), job_state="disabled", note="odd")
    interrupted = result(missing=("x", "y"), x=last)
    text = (
        "job 'x': interrupted; 40 of 52 tasks completed, 2 failed, 8 running, 4 active "
        "(counts of 0 s ago); the job is disabled"
    )
    assert outcome_text(interrupted, "x") == text
    assert outcome_text(interrupted, "y") == "job 'y': interrupted; nothing is known yet"
    record = outcome_record(interrupted, "x")
    assert record.pop("snapshot")["taskCounts"]["completed"] == 40
    assert record == {
        "type": "interruption",
        "jobId": "x",
        "outcome": "interrupted",
        "text": text,
        "jobState": "disabled",
        "polls": 7,
        "endedAt": NOON.isoformat(),
    }
    assert outcome_record(interrupted, "y")["snapshot"] is None


@pytest.mark.parametrize("output", ["text", "json", "ndjson"])
def test_the_outcome_in_each_format(capsys: pytest.CaptureFixture[str], output: str) -> None:
    """Text is one line, JSON has all jobs in their order, ndjson only the interrupted ones."""
    report(result(bare_verdict("a"), missing=("x",)), output)
    out = capsys.readouterr().out
    if output == "text":
        assert out == "2 jobs: 1 done, 1 interrupted (x)\n"
    elif output == "json":
        assert [each["outcome"] for each in json.loads(out)] == ["met", "interrupted"]
    else:
        assert [json.loads(line)["jobId"] for line in out.splitlines()] == ["x"]


def test_the_line_of_an_interruption_begins_below_the_terminals_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the line of an interruption begins below the ^C; elsewhere nothing is added."""
    for stream, shown in ((FakeTerminal(), "\n"), (io.StringIO(), "")):
        monkeypatch.setattr(sys, "stderr", stream)
        report(result(missing=("x",)), "text")
        assert stream.getvalue() == shown
    monkeypatch.setattr(sys, "stderr", None)
    report(result(missing=("x",)), "text")


def test_hints_are_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Each hint is printed once, and only where it helps."""

    def lost(job: str, error: TaskCountsError, **facts: Any) -> Verdict:
        return bare_verdict(job, Outcome.LOST, error=error, **facts)

    print_hints(
        result(
            bare_verdict("a"),
            lost("b", ServiceBusy("busy")),
            lost("c", AuthenticationFailed("no")),
            lost("d", AuthenticationFailed("no")),
            lost("e", CredentialFailed("no")),
            bare_verdict("f", Outcome.GONE, error=JobNotFound("no")),
        )
    )
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in told] == ["account,", "sign", "the"]
    print_hints(
        result(bare_verdict("f", Outcome.GONE, error=JobNotFound("no"), snapshot=snapshot("x", COUNTS)))
    )
    assert capsys.readouterr().err == ""


def ended(*verdicts: Verdict, interrupted: int | None = None) -> SessionResult:
    """Return the result of a session with these verdicts."""
    return SessionResult(
        jobs=tuple(each.job_id for each in verdicts),
        verdicts={each.job_id: each for each in verdicts},
        last={},
        interrupted=interrupted,
        ended_at=NOON,
    )


@pytest.mark.parametrize("output", ["json", "ndjson"])
def test_no_verdict_is_lost_with_its_counts(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A verdict whose counts JSON cannot hold is written without them; the others are complete."""
    verdicts = judged("one", snapshot=unserializable("one")), judged("two")
    if output == "json":
        report(ended(*verdicts), output)
        values = json.loads(capsys.readouterr().out)
    else:
        viewer = NdjsonViewer(observations=False)
        for verdict in verdicts:
            viewer.judge(verdict)
        values = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["jobId"], each["snapshot"] is None) for each in values] == [("one", True), ("two", False)]


def test_no_line_is_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """Texts from outside become one line each, without control characters."""
    print_error("no", FORGED)
    lines = LineViewer()
    lines.begin(["a", "b"])
    lines.judge(judged("a", text=FORGED))
    assert capsys.readouterr().err == f"error: no\nhint: {FORGED_LINE}\n12:00:00Z {FORGED_LINE}\n"
    assert outcome_text(ended(judged("a", text=FORGED)), "a") == FORGED_LINE
    assert verdict_line(ended(judged("a", text=FORGED))) == FORGED_LINE
    lost = SessionResult(jobs=(FORGED, "b"), verdicts={}, last={}, interrupted=2, ended_at=NOON)
    assert verdict_line(lost) == f"2 jobs: 0 met, 2 interrupted ({FORGED_LINE}, b)"
    assert last_known(seen("a", job_state=FORGED), NOON).endswith(f"the job is {FORGED_LINE}")


def test_a_session_without_standard_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An interrupted watch without a stderr still writes its line."""
    result = evolve(ended(judged("a")), verdicts={}, interrupted=2)
    monkeypatch.setattr("sys.stderr", None)
    assert report(result, "view") is Exit.INTERRUPTED
    assert capfd.readouterr().out == "job 'a': interrupted; nothing is known yet\n"
