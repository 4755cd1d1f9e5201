"""The demonstration ends by itself, and notices a wrong count."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from support.observations import judged
from support.terminal import Terminal
from taskcounts.waiting.values import Outcome
from taskcounts_cli.commands import demo
from taskcounts_cli.commands.demo import LATE_JOB, LATE_TASKS, FaultInjector, run_demo
from taskcounts_cli.session import run_session
from taskcounts_cli.viewer import SessionResult
from taskcounts_emulator import Emulator

pytestmark = pytest.mark.slow  # Its tests start processes.

# Faster than a person could follow.
PACE = 0.15


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """Leave the log as it was."""
    logger = logging.getLogger("taskcounts")
    before = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate, logger.level = before


def test_the_demonstration(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal it writes lines, also about the injected faults, and ends with right verdicts."""
    said: list[str] = []
    run_demo(said.append, pace=PACE)
    captured = capsys.readouterr()
    assert said[0].startswith("emulator: http://127.0.0.1:")
    assert said[1].startswith("3 jobs: ")
    assert said[2] == "Each verdict was checked against the emulator's own books: all are right."
    assert "job 'nightly-render', attempt 1: 429" in captured.err
    for job in demo.JOBS:
        assert f"job {job!r}: done, " in captured.out


def test_tasks_that_come_late() -> None:
    """Late tasks are added once, some time after the job's last task ended, and never after its verdict."""
    with Emulator(scripted=True) as emulator:
        emulator.add_job(LATE_JOB, [{"state": "completed", "result": "success"}])
        trouble = FaultInjector(emulator, 0)
        trouble.tick()
        trouble.tick()
        assert emulator.counts(LATE_JOB).tasks.active == LATE_TASKS
        judged_one = FaultInjector(emulator, 0)
        judged_one.judge(judged(LATE_JOB))
        emulator.step(LATE_JOB, start=LATE_TASKS)
        emulator.step(LATE_JOB, succeed=LATE_TASKS)
        judged_one.tick()
        assert emulator.counts(LATE_JOB).tasks.active == 0
        patient = FaultInjector(emulator, 1000)
        patient.tick()
        assert emulator.counts(LATE_JOB).tasks.active == 0


@pytest.mark.parametrize("wrong", ["outcome", "counts", "no counts"])
def test_a_wrong_verdict_is_an_error(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """A verdict or count that differs from the emulator's own raises an error."""

    def lie(*arguments: object) -> SessionResult:
        result = run_session(*arguments)  # type: ignore[arg-type]
        verdict = result.verdicts["reindex"]
        snapshot = verdict.snapshot
        assert snapshot is not None
        if wrong == "outcome":
            verdict = evolve(verdict, outcome=Outcome.STALLED)
        elif wrong == "counts":
            counts = evolve(snapshot.task_counts, active=1)
            verdict = evolve(verdict, snapshot=evolve(snapshot, task_counts=counts))
        else:
            verdict = evolve(verdict, snapshot=None)
        return evolve(result, verdicts={**result.verdicts, "reindex": verdict})

    monkeypatch.setattr("taskcounts_cli.commands.demo.run_session", lie)
    with pytest.raises(RuntimeError, match="wrong: job 'reindex'"):
        run_demo(print, pace=PACE)


def test_a_signal_interrupts_the_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal ends the session, and raises KeyboardInterrupt."""

    def interrupted(*given: Any) -> SessionResult:
        return evolve(run_session(*given), interrupted=int(signal.SIGINT))

    monkeypatch.setattr("taskcounts_cli.commands.demo.run_session", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_demo(print, pace=PACE)


def test_the_demonstration_on_a_terminal() -> None:
    """Ctrl-C ends it, and the terminal is restored."""
    with Terminal("demo", columns=100, lines=30) as terminal:
        terminal.until_shown("a demonstration; Ctrl-C ends it")
        terminal.until_shown("in all")
        terminal.press(b"\x03")
        assert terminal.ends() == 130
        assert not terminal.alternate
        assert not terminal.cursor_hidden
        assert "error: interrupted" in terminal.lines[-1]
