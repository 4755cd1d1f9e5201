"""A thousand histories: no verdict is wrong, each seed gives one history, and the drawing is rich."""

from __future__ import annotations

import logging

import pytest
from click.testing import CliRunner

from histories.__main__ import main
from histories.drawing import draw_history
from histories.oracle import judge
from histories.run import Report, play, play_all, told
from histories.stage import Played, Stage
from taskcounts.waiting.values import Outcome
from taskcounts_emulator.state.lag import IN_JSON, LagModel
from taskcounts_rest.contract import VERSIONS

HISTORIES = 1000


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of requests go wrong on purpose."""
    caplog.set_level(logging.CRITICAL, "taskcounts")


@pytest.fixture(scope="module")
def report() -> Report:
    return play_all(range(1, HISTORIES + 1))


def test_every_verdict_holds(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    """None is wrong by what truly happened; the table is printed."""
    with capsys.disabled():
        print(f"\n{report.table()}")
    assert report.histories == HISTORIES
    assert report.wrong == {}


def test_histories_are_rich(report: Report) -> None:
    """Every way to end a wait is there, every kind of lag and fault, every version, and counts that lie."""
    ends = {outcome for _, outcome in report.rows}
    assert ends == {outcome.value for outcome in Outcome}
    switches = {IN_JSON.get(name, name) for name in LagModel.__slots__} - {"validation"}
    assert report.lags.keys() == switches | {"none"}
    assert report.faults.keys() >= {
        "throttled", "busy", "internal-error", "bad-gateway", "unknown-status", "reset", "drip", "truncate",
        "lag", "slow", "wrong-shape",
    }  # fmt: skip
    assert report.versions.keys() == VERSIONS.keys()
    assert min(report.versions.values()) > HISTORIES / len(VERSIONS) / 2
    assert report.requests.keys() == {"counts", "query", "job", "exact"}
    assert report.refuted > 20
    assert report.failures > 500


def test_few_verdicts_are_misled_by_counts(report: Report) -> None:
    """Only where counts alone may decide, and they lie."""
    assert len(report.apart) < HISTORIES / 20
    assert all(draw_history(seed).lies for seed in report.apart)


def test_a_seed_gives_one_history() -> None:
    """Played again, alone or after others, all is the same to the microsecond."""
    seeds = [*range(1, 9), 3]
    with Stage() as stage:
        first = [told(played, judge(played)) for played in map(stage.play, map(draw_history, seeds))]
    with Stage() as stage:
        again = stage.play(draw_history(3))
    assert first[2] == first[-1] == told(again, judge(again))
    assert {draw_history(seed).awaits for seed in seeds} == {True, False}


@pytest.mark.parametrize("seed", range(40, 60))
def test_both_clients_wait_alike(seed: int) -> None:
    """Synchronous and asynchronous, the questions, what is told and the outcome are the same."""

    def seen(played: Played) -> list[object]:
        told = [(each.kind, each.looked_for, each.found, each.pause) for each in played.observations]
        assert played.verdict is not None
        return [told, played.asked, played.verdict.outcome, played.ended]

    history = draw_history(seed)
    with Stage() as stage:
        one, other = (seen(stage.play(history._replace(awaits=awaits))) for awaits in (False, True))
    assert one == other


def test_the_witness_knows_the_truth() -> None:
    """The recorded truth is that of the emulator, at the end of each history."""
    with Stage() as stage:
        for seed in range(1, 31):
            played = stage.play(draw_history(seed))
            state = played.truth.at(played.ended)
            if state.job == "gone":
                assert stage.emulator.all_counts() == {}
                continue
            true = stage.emulator.counts(played.history.job_id).tasks
            assert (state.active, state.preparing + state.running) == (true.active, true.running)
            assert (state.succeeded, state.failed) == (true.succeeded, true.failed)
            assert stage.emulator.world.job(played.history.job_id).state == state.job


def test_a_single_history_is_told_whole() -> None:
    """Its plan, what was so, what was asked and told, and the verdict."""
    result = CliRunner().invoke(main, ["--only", "3"])
    assert result.exit_code == 0, result.output
    for part in ("history 3: ", "0.000 active", "asked counts from ", "tells 1 ", "verdict after "):
        assert part in result.output
    assert "1 histories" in result.output


def test_wrong_verdicts_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a line that says how to see it again, and the exit code tells of them."""
    monkeypatch.setattr("taskcounts.waiting.state.State.check_is_due", False)
    monkeypatch.setattr("histories.__main__.play_all", play)
    result = CliRunner().invoke(main, ["--histories", "2", "--seed", "1"])
    assert result.exit_code == 1
    assert "WRONG: 1: timed out, and missed the end" in result.output
    assert "again: make histories ARGS='--only 1'" in result.output


def test_reports_are_merged() -> None:
    """Played in parts, histories come to the same as played in one."""
    whole, parts = play(range(1, 13)), Report()
    for first in (7, 1, 4, 10):
        parts.merge(play(range(first, first + 3)))
    assert parts.seconds > 0
    whole.seconds = parts.seconds = 1.0
    assert parts.table() == whole.table()
