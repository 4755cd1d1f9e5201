"""The arithmetic of the benchmark: ratios of the same round, their spread, what is worse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Formula, Spread, error, is_worse, noise, spread

VALUES = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], Spread(3.0, 3.0, 3.0, 1)),
        ([1.0, 3.0], Spread(2.0, 1.5, 2.5, 2)),
        ([5.0, 1.0, 2.0, 4.0, 3.0], Spread(3.0, 2.0, 4.0, 5)),
    ],
)
def test_a_spread_is_the_median_and_the_quartiles(values: list[float], expected: Spread) -> None:
    """The order of the rounds doesn't matter."""
    assert spread(values) == expected


def test_nothing_has_no_spread() -> None:
    """No figure is made up where nothing was measured."""
    with pytest.raises(ValueError, match="no values"):
        spread([])


@given(VALUES)
def test_a_spread_lies_within_its_values(values: list[float]) -> None:
    """Low, median and high come in that order, between the least and the greatest."""
    found = spread(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)


SAMPLES = {
    "a": {0: {"cpu": 30.0}, 1: {"cpu": 50.0}, 2: {"cpu": 70.0}},
    "b": {0: {"cpu": 10.0}, 2: {"cpu": 14.0}, 3: {"cpu": 1.0}},
    "idle": {0: {"cpu": 5.0}, 1: {"cpu": 5.0}, 2: {"cpu": 7.0}},
}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (Formula("cpu", "a"), [30.0, 50.0, 70.0]),
        (Formula("cpu", "a", divisor=10), [3.0, 5.0, 7.0]),
        # Only rounds that have both, and each with its own.
        (Formula("cpu", "a", "b"), [3.0, 5.0]),
        (Formula("cpu", "a", "b", minus="idle"), [5.0, 9.0]),
        (Formula("cpu", "a", minus="idle"), [25.0, 45.0, 63.0]),
        (Formula("cpu", "a", less="b", minus="idle"), [20.0, 56.0]),
        (Formula("cpu", "a", "missing"), []),
        (Formula("cpu", "missing"), []),
    ],
)
def test_a_formula_pairs_what_ran_in_one_round(formula: Formula, expected: list[float]) -> None:
    """A machine's pace changes between rounds: what belongs to one is never compared with another."""
    assert formula.values(SAMPLES) == expected


def test_a_formula_names_its_rows() -> None:
    """A formula names the rows that it needs."""
    assert Formula("cpu", "a", "b", "c", "d").rows == ["a", "b", "c", "d"]
    assert Formula("cpu", "a").rows == ["a"]


@pytest.mark.parametrize("pace", [0.5, 1.0, 2.0])
def test_a_machine_that_changes_its_pace_changes_no_ratio(pace: float) -> None:
    """Both rows of a round are quicker or slower, and their ratio is what it was."""
    slower = {
        row: {number: {"cpu": each["cpu"] * pace} for number, each in rounds.items()}
        for row, rounds in SAMPLES.items()
    }
    assert Formula("cpu", "a", "b").values(slower) == Formula("cpu", "a", "b").values(SAMPLES)


def test_noise_is_made_of_both_spreads() -> None:
    """Either run may have been the restless one."""
    calm, restless = Spread(1.0, 1.0, 1.0, 7), Spread(1.0, 0.9, 1.1, 7)
    assert 0 < noise(calm, calm) < noise(calm, restless) == noise(restless, calm) < noise(restless, restless)


def test_noise_falls_with_the_rounds() -> None:
    """The more rounds there are, the better the median is known."""
    few, many = Spread(1.0, 0.9, 1.1, 4), Spread(1.0, 0.9, 1.1, 16)
    assert error(few) == pytest.approx(0.093)
    assert error(many) == pytest.approx(error(few) / 2)


def test_noise_grows_with_what_others_take() -> None:
    """A busy machine hides what a quiet one shows."""
    now, reference = Spread(0.6, 0.6, 0.6, 7), Spread(0.5, 0.5, 0.5, 7)
    assert is_worse(now, reference)
    assert not is_worse(now, reference, 0.5)


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        (Spread(0.50, 0.49, 0.51, 7), False),
        (Spread(0.20, 0.19, 0.21, 7), False),
        (Spread(0.54, 0.53, 0.55, 7), False),
        (Spread(0.70, 0.69, 0.71, 7), True),
        # As much larger, but nobody can tell.
        (Spread(0.70, 0.50, 0.90, 7), False),
    ],
)
def test_worse_is_what_chance_does_not_explain(now: Spread, worse: bool) -> None:
    """A ratio is compared with the earlier one and with the spread of both."""
    assert is_worse(now, Spread(0.50, 0.49, 0.51, 7)) is worse


@given(VALUES)
def test_a_run_is_not_worse_than_itself(values: list[float]) -> None:
    """The same figures never fail."""
    assert not is_worse(spread(values), spread(values))


@given(VALUES, st.floats(1.07, 10))
def test_a_steady_figure_may_grow_by_hardly_anything(values: list[float], factor: float) -> None:
    """A figure without spread is worse as soon as it is some percent larger."""
    reference = spread(values[:1])
    assert is_worse(spread([values[0] * factor]), reference)
