"""Viewers that write lines: what they write, and when."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from support.clocks import FakeClock
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
from taskcounts import ServiceUnreachable, TaskCounts
from taskcounts.waiting.values import Kind, Observation, Outcome
from taskcounts_cli.output.formatting import counts, last_known
from taskcounts_cli.output.viewers import HEARTBEAT, LineViewer, NdjsonViewer
from taskcounts_cli.recording.parser import parse_line

COUNTS = (4, 8, 38, 2)


def failure(job: str = "x", failures: int = 1, **facts: Any) -> Observation:
    """Return an observation of a poll without an answer."""
    error = ServiceUnreachable(f"job {job!r}: nobody answers", job_id=job)
    return bare_observation(job, Kind.FAILURE, error=error, failures=failures, **facts)


class Told:
    """Returns the lines that were written since the last call."""

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
    """The lines on stderr."""
    return Told(capsys, clock)


def lines(told: Told, *jobs: str, quiet: bool = False) -> LineViewer:
    """Return a line viewer that has begun."""
    viewer = LineViewer(quiet=quiet, clock=told.clock)
    viewer.begin(jobs or ("x",))
    return viewer


def test_a_line_at_each_change(told: Told) -> None:
    """The first counts are written, then changes, and nothing in between."""
    viewer = lines(told)
    viewer.observe(bare_observation())
    assert told() == []
    viewer.observe(bare_observation(snapshot=snapshot("x", COUNTS)))
    assert told() == ["12:00:00Z job 'x': 40 of 52 tasks completed, 2 failed, 8 running, 4 active"]
    viewer.observe(bare_observation(snapshot=snapshot("x", COUNTS)))
    viewer.observe(bare_observation(kind=Kind.TASKS, snapshot=snapshot("x", COUNTS), looked_for="failed"))
    assert told() == []
    viewer.observe(bare_observation(snapshot=snapshot("x", (4, 0, 48, 0)), changed=True, left=200.0))
    assert told() == ["12:00:00Z job 'x': 48 of 52 tasks completed, 4 active, about 3 min left"]


def test_lines_are_written_at_changes(told: Told) -> None:
    """Notes are written, with the counts if they are new; doubtful counts are marked."""
    viewer = lines(told)
    viewer.observe(bare_observation(note="the job is disabled"))
    viewer.observe(
        bare_observation(snapshot=snapshot("x", (0, 0, 1, 0)), doubtful=True, note="'a' is running")
    )
    assert told() == [
        "12:00:00Z job 'x': the job is disabled",
        "12:00:00Z job 'x': 1 of 1 task completed (doubtful); 'a' is running",
    ]


def test_failed_polls_are_warned_of(told: Told) -> None:
    """Each poll without a trustworthy answer has a warning, at the next tick or the end at the latest."""
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


def test_the_failure_that_ends_a_wait_is_shown_once(told: Told) -> None:
    """The error that the verdict names isn't reported before it; other failures are."""
    viewer = lines(told)
    last = failure()
    viewer.observe(last)
    viewer.judge(bare_verdict("x", Outcome.LOST, error=last.error))
    viewer.tick()
    viewer.end()
    assert told() == []
    viewer = lines(told)
    viewer.observe(failure())
    viewer.judge(bare_verdict("x", Outcome.TIMED_OUT))
    assert told() == ["warning: job 'x': nobody answers"]


def test_verdicts_of_several(told: Told) -> None:
    """Verdicts are written for several jobs; for a single one the command writes it."""
    viewer = lines(told)
    viewer.judge(bare_verdict("x"))
    assert told() == []
    viewer = lines(told, "a", "b")
    viewer.judge(bare_verdict("a"))
    viewer.judge(bare_verdict("b", Outcome.FAILED))
    assert told() == ["12:00:00Z job 'a': met", "12:00:00Z job 'b': failed"]


def test_quiet(told: Told) -> None:
    """With quiet, only verdicts that aren't met are written, and only among several jobs."""
    viewer = lines(told, "a", "b", quiet=True)
    viewer.observe(bare_observation("a", snapshot=snapshot("x", COUNTS), note="something"))
    viewer.observe(failure("a"))
    viewer.judge(bare_verdict("a"))
    told.clock.pass_by(2 * HEARTBEAT)
    viewer.tick()
    assert told() == []
    viewer.judge(bare_verdict("b", Outcome.FAILED))
    assert told() == ["12:00:00Z job 'b': failed"]


def test_a_heartbeat(told: Told) -> None:
    """After a minute without a line there is a heartbeat, and then one each minute."""
    viewer = lines(told)
    told.clock.pass_by(HEARTBEAT - 1)
    viewer.tick()
    assert told() == []
    told.clock.pass_by(1)
    viewer.tick()
    viewer.tick()
    assert told() == ["12:35:56Z job 'x': nothing is known yet"]
    viewer.observe(bare_observation(snapshot=snapshot("x", COUNTS)))
    told()
    told.clock.pass_by(HEARTBEAT - 1)
    viewer.tick()
    assert told() == []
    told.clock.pass_by(1)
    viewer.tick()
    assert len(told()) == 1


def test_a_heartbeat_of_several(told: Told) -> None:
    """The heartbeat of several jobs has their sums, and the number of jobs without counts."""
    viewer = lines(told, "a", "b", "c")
    told.clock.pass_by(HEARTBEAT)
    viewer.tick()
    assert told() == ["12:35:56Z 0 of 3 jobs have ended; 3 without counts yet"]
    viewer.observe(bare_observation("a", snapshot=snapshot("x", COUNTS)))
    viewer.observe(bare_observation("b", snapshot=snapshot("x", (1000, 0, 0, 0))))
    viewer.judge(bare_verdict("c"))
    told()
    told.clock.pass_by(HEARTBEAT)
    viewer.tick()
    assert told() == ["12:36:56Z 1 of 3 jobs have ended; 40 of 1,052 tasks completed; 1 without counts yet"]
    viewer.observe(bare_observation("c", snapshot=snapshot("x", (0, 0, 8, 0))))
    told()
    told.clock.pass_by(HEARTBEAT)
    viewer.tick()
    assert told() == ["12:37:56Z 1 of 3 jobs have ended; 48 of 1,060 tasks completed"]


def test_counts_in_words() -> None:
    """Counters of 0 are left out, and a job without tasks has a text of its own."""
    assert counts(snapshot("x", (0, 0, 5, 0))) == "5 of 5 tasks completed"
    assert counts(snapshot("x", (0, 0, 1234, 1))) == "1,235 of 1,235 tasks completed, 1 failed"
    assert counts(snapshot("x", (0, 0, 0, 0))) == "no tasks"
    contradiction = TaskCounts(active=0, running=0, completed=0, succeeded=0, failed=3)
    assert counts(evolve(snapshot("x", COUNTS), task_counts=contradiction)) == "no tasks, 3 failed"


def test_last_known_counts() -> None:
    """The last known counts are shown with their age and any doubts about them."""
    now = NOON + timedelta(seconds=30)
    assert last_known(None, now) == "nothing is known yet"
    assert last_known(bare_observation(), now) == "nothing is known yet"
    assert last_known(failure(failures=1), now) == "without a trustworthy answer"
    assert last_known(failure(failures=3, snapshot=snapshot("x", COUNTS), job_state="disabled"), now) == (
        "without a trustworthy answer, 3 polls in a row; "
        "40 of 52 tasks completed, 2 failed, 8 running, 4 active (counts of 30 s ago); the job is disabled"
    )
    # A clock that was set back.
    early = last_known(
        bare_observation(snapshot=snapshot("x", (0, 0, 2, 0)), job_state="active"),
        NOON - timedelta(seconds=9),
    )
    assert early == "2 of 2 tasks completed (counts of 0 s ago)"


def test_unserializable_observations_are_written_without_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """An observation whose counts JSON cannot hold is written without them."""
    objects = NdjsonViewer()
    objects.observe(seen("j", snapshot=unserializable()))
    objects.judge(judged("j"))
    first, last = map(parse_line, capsys.readouterr().out.splitlines())
    assert (first.snapshot, last) == (None, judged("j"))


def test_plain_lines_are_not_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """Text from a recording cannot add lines to stdout."""
    lines = LineViewer(to_stdout=True)
    lines.begin(["a", "b"])
    lines.judge(judged("a", text=FORGED))
    assert capsys.readouterr().out == f"12:00:00Z {FORGED_LINE}\n"


def test_ticks_and_the_end_write_no_objects(capsys: pytest.CaptureFixture[str]) -> None:
    """Ticks and the end write no objects."""
    objects = NdjsonViewer()
    objects.begin(["j"])
    objects.tick()
    objects.observe(seen("j"))
    objects.judge(judged("j"))
    objects.end()
    assert [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()] == [
        "observation",
        "verdict",
    ]
