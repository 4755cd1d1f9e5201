"""The lines that tell of waits: what is told, what isn't, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from support.clocks import FakeClock
from taskcounts import ServiceUnreachable, Snapshot, TaskCounts, TaskSlotCounts
from taskcounts.waiting.values import Kind, Observation, Outcome
from taskcounts_cli.output.progress import HEARTBEAT, Lines, counted, standing

from ..test_session import NOW, verdict

SLOTS = TaskSlotCounts(active=0, running=0, completed=0, succeeded=0, failed=0)


def snapshot(active: int = 4, running: int = 8, succeeded: int = 38, failed: int = 2) -> Snapshot:
    """Return the counts of a job."""
    return Snapshot(
        job_id="x",
        task_counts=TaskCounts(
            active=active,
            running=running,
            completed=succeeded + failed,
            succeeded=succeeded,
            failed=failed,
        ),
        task_slot_counts=SLOTS,
        observed_at=NOW,
        request_id=None,
        client_request_id="1",
        attempts=1,
    )


def seen(job: str = "x", kind: Kind = Kind.COUNTS, **facts: Any) -> Observation:
    """Return an observation."""
    return Observation(**{"job_id": job, "number": 1, "at": NOW, "elapsed": 1.0, "kind": kind, **facts})


def failure(job: str = "x", failures: int = 1, **facts: Any) -> Observation:
    """Return an observation of a poll without an answer."""
    error = ServiceUnreachable(f"job {job!r}: nobody answers", job_id=job)
    return seen(job, Kind.FAILURE, error=error, failures=failures, **facts)


class Told:
    """Lines, and what they wrote since somebody last looked."""

    def __init__(self, capsys: pytest.CaptureFixture[str], clock: FakeClock) -> None:
        self.clock = clock
        self._capsys = capsys

    def __call__(self) -> list[str]:
        """Return the lines that are new."""
        captured = self._capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], clock: FakeClock) -> Told:
    """What is told on stderr."""
    return Told(capsys, clock)


def lines(told: Told, *jobs: str, quiet: bool = False) -> Lines:
    """Return lines that have begun."""
    viewer = Lines(quiet=quiet, clock=told.clock)
    viewer.begin(jobs or ("x",))
    return viewer


def test_a_line_at_each_change(told: Told) -> None:
    """The first counts are told, then changes, and nothing in between."""
    viewer = lines(told)
    viewer.observe(seen())
    assert told() == []
    viewer.observe(seen(snapshot=snapshot()))
    assert told() == ["12:00:00Z job 'x': 40 of 52 tasks completed, 2 failed, 8 running, 4 active"]
    viewer.observe(seen(snapshot=snapshot()))
    viewer.observe(seen(kind=Kind.TASKS, snapshot=snapshot(), looked_for="failed"))
    assert told() == []
    viewer.observe(seen(snapshot=snapshot(4, 0, 48, 0), changed=True, left=200.0))
    assert told() == ["12:00:00Z job 'x': 48 of 52 tasks completed, 4 active, about 3 min left"]


def test_what_is_worth_telling(told: Told) -> None:
    """Notes are told, with the counts if they are new; doubtful numbers are said to be so."""
    viewer = lines(told)
    viewer.observe(seen(note="the job is disabled"))
    viewer.observe(seen(snapshot=snapshot(0, 0, 1, 0), doubtful=True, note="'a' is running"))
    assert told() == [
        "12:00:00Z job 'x': the job is disabled",
        "12:00:00Z job 'x': 1 of 1 task completed (doubtful); 'a' is running",
    ]


def test_failed_polls_are_told(told: Told) -> None:
    """each poll without a trustworthy answer is told, at the latest at the next tick or at the end."""
    viewer = lines(told)
    viewer.observe(failure())
    viewer.tick()
    assert told() == ["warning: job 'x': nobody answers"]
    viewer.observe(failure(failures=2))
    viewer.observe(failure(failures=3))
    assert told() == ["warning: job 'x': nobody answers; 2 polls in a row"]
    viewer.end()
    assert told() == ["warning: job 'x': nobody answers; 3 polls in a row"]
    viewer.end()
    assert told() == []


def test_the_failure_that_ends_a_wait_is_told_once(told: Told) -> None:
    """What the verdict tells isn't told before it; other failures are."""
    viewer = lines(told)
    last = failure()
    viewer.observe(last)
    viewer.judge(verdict("x", Outcome.LOST, error=last.error))
    viewer.tick()
    viewer.end()
    assert told() == []
    viewer = lines(told)
    viewer.observe(failure())
    viewer.judge(verdict("x", Outcome.TIMED_OUT))
    assert told() == ["warning: job 'x': nobody answers"]


def test_verdicts_of_several(told: Told) -> None:
    """Several jobs have each their verdict told; a single one's is the command's to tell."""
    viewer = lines(told)
    viewer.judge(verdict("x"))
    assert told() == []
    viewer = lines(told, "a", "b")
    viewer.judge(verdict("a"))
    viewer.judge(verdict("b", Outcome.FAILED))
    assert told() == ["12:00:00Z job 'a': met", "12:00:00Z job 'b': failed"]


def test_quiet(told: Told) -> None:
    """Who wants quiet is told only of verdicts that aren't met, among several."""
    viewer = lines(told, "a", "b", quiet=True)
    viewer.observe(seen("a", snapshot=snapshot(), note="something"))
    viewer.observe(failure("a"))
    viewer.judge(verdict("a"))
    told.clock.pass_by(2 * HEARTBEAT)
    viewer.tick()
    assert told() == []
    viewer.judge(verdict("b", Outcome.FAILED))
    assert told() == ["12:00:00Z job 'b': failed"]


def test_a_heartbeat(told: Told) -> None:
    """After a minute without a line one says that the wait goes on, and then one each minute."""
    viewer = lines(told)
    told.clock.pass_by(HEARTBEAT - 1)
    viewer.tick()
    assert told() == []
    told.clock.pass_by(1)
    viewer.tick()
    viewer.tick()
    assert told() == ["12:35:56Z job 'x': nothing is known yet"]
    viewer.observe(seen(snapshot=snapshot()))
    told()
    told.clock.pass_by(HEARTBEAT - 1)
    viewer.tick()
    assert told() == []
    told.clock.pass_by(1)
    viewer.tick()
    assert len(told()) == 1


def test_a_heartbeat_of_several(told: Told) -> None:
    """Of several jobs the heartbeat gives the sum, and says of how many nothing is known."""
    viewer = lines(told, "a", "b", "c")
    told.clock.pass_by(HEARTBEAT)
    viewer.tick()
    assert told() == ["12:35:56Z 0 of 3 jobs have ended; 3 without counts yet"]
    viewer.observe(seen("a", snapshot=snapshot()))
    viewer.observe(seen("b", snapshot=snapshot(1000, 0, 0, 0)))
    viewer.judge(verdict("c"))
    told()
    told.clock.pass_by(HEARTBEAT)
    viewer.tick()
    assert told() == ["12:36:56Z 1 of 3 jobs have ended; 40 of 1,052 tasks completed; 1 without counts yet"]
    viewer.observe(seen("c", snapshot=snapshot(0, 0, 8, 0)))
    told()
    told.clock.pass_by(HEARTBEAT)
    viewer.tick()
    assert told() == ["12:37:56Z 1 of 3 jobs have ended; 48 of 1,060 tasks completed"]


def test_counts_in_words() -> None:
    """What is none isn't told; no tasks are said to be none."""
    assert counted(snapshot(0, 0, 5, 0)) == "5 of 5 tasks completed"
    assert counted(snapshot(0, 0, 1234, 1)) == "1,235 of 1,235 tasks completed, 1 failed"
    assert counted(snapshot(0, 0, 0, 0)) == "no tasks"
    contradiction = TaskCounts(active=0, running=0, completed=0, succeeded=0, failed=3)
    assert counted(evolve(snapshot(), task_counts=contradiction)) == "no tasks, 3 failed"


def test_how_a_job_stood() -> None:
    """What was last known is told with its age, and with what makes it doubtful."""
    now = NOW + timedelta(seconds=30)
    assert standing(None, now) == "nothing is known yet"
    assert standing(seen(), now) == "nothing is known yet"
    assert standing(failure(failures=1), now) == "without a trustworthy answer"
    assert standing(failure(failures=3, snapshot=snapshot(), job_state="disabled"), now) == (
        "without a trustworthy answer, 3 polls in a row; "
        "40 of 52 tasks completed, 2 failed, 8 running, 4 active (counts of 30 s ago); the job is disabled"
    )
    # A clock that was set back.
    early = standing(seen(snapshot=snapshot(0, 0, 2, 0), job_state="active"), NOW - timedelta(seconds=9))
    assert early == "2 of 2 tasks completed (counts of 0 s ago)"
