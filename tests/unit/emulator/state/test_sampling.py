"""Sampling: reproducible draws, distributions of durations, and outcomes of runs."""

from __future__ import annotations

import math
from statistics import fmean, median
from typing import Any

import pytest

from support.tables import table
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.state.pool import Pool, Run, parse_pool, stored_pool
from taskcounts_emulator.state.sampling import MAX_SECONDS, Distribution, draw, parse_distribution

CONSTANT, UNIFORM = Distribution("constant", (3.0,)), Distribution("uniform", (2.0, 8.0))
EXPONENTIAL, LOGNORMAL = Distribution("exponential", (5.0,)), Distribution("lognormal", (4.0, 0.5))
# Every place of a distribution that is worth looking at, the ends with it.
PLACES = [0.0, 2**-53, 1e-9, 0.25, 0.5, 0.75, 1 - 1e-9, 1 - 2**-53]


def test_draws_are_the_same_every_time() -> None:
    """The expected values are fixed here, since tests of users rely on them."""
    assert draw(0) == 0.7440479600378171
    assert draw(7, "duration", "job", "task", 1) == 0.5631342278932852
    assert draw(-1, "miss", 1, None) == 0.07495827761460805


def test_draws_depend_on_seed_and_purpose_alone() -> None:
    """Each differs from the others, and "1", "23" is not "12", "3"."""
    purposes: list[tuple[Any, ...]] = [
        (1, "a"),
        (1, "b"),
        (2, "a"),
        (1, "a", 0),
        (1, "a", 1),
        (1, "1", "23"),
        (1, "12", "3"),
        (1,),
    ]
    assert len({draw(*purpose) for purpose in purposes}) == len(purposes)


def test_draws_look_random() -> None:
    """Many draws are evenly spread over [0, 1)."""
    many = [draw(3, number) for number in range(4000)]
    assert 0 <= min(many) < 0.01
    assert 0.99 < max(many) < 1
    tenths = [sum(int(one * 10) == tenth for one in many) for tenth in range(10)]
    assert all(330 < each < 470 for each in tenths)


@pytest.mark.parametrize(
    ("distribution", "chance", "seconds"),
    [
        (CONSTANT, 0.0, 3),
        (CONSTANT, 0.9, 3),
        (UNIFORM, 0.0, 2),
        (UNIFORM, 0.5, 5),
        (EXPONENTIAL, 0.0, 0),
        (EXPONENTIAL, 1 - math.exp(-1), 5),
        (LOGNORMAL, 0.5, 4),
        (LOGNORMAL, 0.8413447460685429, 4 * math.exp(0.5)),
        (Distribution("lognormal", (4.0, 0.0)), 0.9, 4),
        (Distribution("lognormal", (0.0, 20.0)), 0.9, 0),
        (Distribution("lognormal", (1.0, 20.0)), 1 - 2**-53, MAX_SECONDS),
        (Distribution("exponential", (MAX_SECONDS,)), 1 - 2**-53, MAX_SECONDS),
    ],
)
def test_distributions_have_the_seconds_that_they_promise(
    distribution: Distribution, chance: float, seconds: float
) -> None:
    """At known points each has the defined value, and none exceeds the limit."""
    assert distribution.quantile(chance) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "distribution",
    [
        CONSTANT,
        UNIFORM,
        EXPONENTIAL,
        LOGNORMAL,
        Distribution("lognormal", (MAX_SECONDS, 20.0)),
        Distribution("exponential", (0.0,)),
    ],
)
def test_distributions_grow_and_are_written_and_read(distribution: Distribution) -> None:
    """They are monotonic, finite and within limits, and JSON gives back the same one."""
    seconds = [distribution.quantile(place) for place in PLACES]
    assert seconds == sorted(seconds)
    assert all(0 <= each <= MAX_SECONDS for each in seconds)
    assert parse_distribution(distribution.as_json(), "x") == distribution


def test_many_draws_have_the_right_middle() -> None:
    """The mean of an exponential and the median of a lognormal are the given ones."""
    chances = [draw(1, number) for number in range(3000)]
    assert fmean(EXPONENTIAL.quantile(chance) for chance in chances) == pytest.approx(5, rel=0.1)
    assert median(LOGNORMAL.quantile(chance) for chance in chances) == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(
    ("value", "distribution"),
    [
        (3, CONSTANT),
        ({"uniform": [2, 8]}, UNIFORM),
        ({"uniform": (2.0, 8)}, UNIFORM),
        ({"exponential": 5}, EXPONENTIAL),
        ({"exponential": [5]}, EXPONENTIAL),
        ({"lognormal": [4, 0.5]}, LOGNORMAL),
    ],
)
def test_distributions_are_read_from_json(value: object, distribution: Distribution) -> None:
    """A number is constant; one member names the kind."""
    assert parse_distribution(value, "x") == distribution


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *table("emulator/pools", "wrong distributions"),
        (float("nan"), "d: must be from 0 to"),
        (10**400, "d: must be from 0 to 3.1536e+08, not a number of more than 30 digits"),
    ],
)
def test_an_invalid_distribution_is_refused(value: object, message: str) -> None:
    """The error begins with the path."""
    with pytest.raises(EmulatorError) as caught:
        parse_distribution(value, "d")
    assert str(caught.value).startswith(message)


def test_a_run_is_the_same_whenever_it_is_asked_for() -> None:
    """Ids ignore case; another seed, job, task or run has another outcome."""
    pool = Pool("p", 1, EXPONENTIAL, UNIFORM, 0.5, 0.5)
    first = pool.run(1, "Job", "Task", 1)
    assert first == pool.run(1, "job", "TASK", 1)
    others = [
        pool.run(*each)
        for each in ((2, "job", "task", 1), (1, "j", "task", 1), (1, "job", "t", 1), (1, "job", "task", 2))
    ]
    assert len({(run.preparing, run.seconds) for run in (first, *others)}) == 5


def test_a_pool_has_defaults() -> None:
    """By default a run is not prepared, takes two to ten seconds and succeeds."""
    runs = [Pool("p", 1).run(1, "j", str(number), 1) for number in range(200)]
    assert {(run.preparing, run.exit_code, run.requeued) for run in runs} == {(0.0, 0, False)}
    assert all(2 <= run.seconds < 10 for run in runs)
    assert max(run.seconds for run in runs) - min(run.seconds for run in runs) > 6


def test_rates_are_met() -> None:
    """About the expected numbers of runs fail, or lose their node before their end."""
    pool = Pool("p", 1, duration=CONSTANT, failure_rate=0.3, requeue_rate=0.2)
    runs = [pool.run(1, "j", str(number), 1) for number in range(2000)]
    lost = [run for run in runs if run.requeued]
    kept = [run for run in runs if not run.requeued]
    assert len(lost) == pytest.approx(400, rel=0.15)
    assert sum(run.exit_code == 1 for run in kept) == pytest.approx(0.3 * len(kept), rel=0.15)
    assert {run.exit_code for run in lost} == {None}
    assert all(run.seconds < 3 for run in lost)
    assert {run.seconds for run in kept} == {3.0}


def test_fixed_durations_and_exit_codes_are_not_drawn() -> None:
    """A task's own duration and exit codes precede the pool's; the last code repeats."""
    pool = Pool("p", 1, duration=UNIFORM, failure_rate=1.0)
    assert pool.run(1, "j", "t", 1, seconds=0.5, exit_codes=(0,)) == Run(0.0, 0.5, 0, False)
    codes = [
        pool.run(1, "j", "t", number, exit_codes=(7, 0), ended=number).exit_code for number in (1, 2, 3, 50)
    ]
    assert codes == [7, 0, 0, 0]
    assert pool.run(1, "j", "t", 1).exit_code == 1


def test_a_run_is_stopped_at_its_limit() -> None:
    """A run that reaches the limit is stopped; a shorter one is not affected."""
    pool = Pool("p", 1, duration=CONSTANT, requeue_rate=1.0)
    assert pool.run(1, "j", "t", 1, max_seconds=0.0) == Run(0.0, 0.0, None, False)
    steady = Pool("p", 1, duration=CONSTANT)
    assert steady.run(1, "j", "t", 1, max_seconds=2.9) == Run(0.0, 2.9, None, False)
    assert steady.run(1, "j", "t", 1, max_seconds=3.0) == Run(0.0, 3.0, 0, False)


@pytest.mark.parametrize(
    "pool",
    [
        Pool("*", 0),
        Pool("Render-1", 2_560_000, EXPONENTIAL, LOGNORMAL, 0.125, 1.0),
        Pool("p", 3, CONSTANT, UNIFORM, 1.0, 0.5),
    ],
)
def test_a_pool_is_written_and_read(pool: Pool) -> None:
    """A stored pool is read back unchanged."""
    assert stored_pool(pool.as_text()) == pool


@pytest.mark.parametrize(
    ("document", "message"),
    table("emulator/pools", "wrong pools"),
)
def test_an_invalid_pool_is_refused(document: object, message: str) -> None:
    """The error begins with the path."""
    with pytest.raises(EmulatorError) as caught:
        parse_pool(document, "pools[0]")
    assert str(caught.value).startswith(message)
