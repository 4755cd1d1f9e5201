"""Charts: their series, and the files."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from support.observations import NOON, Numbers, failed, judged, seen, snapshot
from taskcounts.snapshot import Inconsistency
from taskcounts.waiting.values import Kind, Observation, Outcome, Verdict
from taskcounts_cli.recording.chart import Series, draw, series

pytestmark = pytest.mark.slow  # matplotlib takes seconds to load and to draw.


def one(*told: Observation | Verdict) -> Series:
    """Return the series of a single job."""
    (found,) = series(told)
    return found


def points(drawn: Series) -> list[tuple[float, Numbers | None]]:
    """Return the points, as seconds after noon, and active, running, succeeded, failed; None in a gap."""
    return [
        (
            (moment - NOON).total_seconds(),
            None
            if math.isnan(values[0])
            else (int(values[3]), int(values[2]), int(values[0]), int(values[1])),
        )
        for moment, values in zip(drawn.times, drawn.counts, strict=True)
    ]


def spans(found: Any) -> list[tuple[float, float]]:
    """Return spans as seconds after noon."""
    return [((start - NOON).total_seconds(), (end - NOON).total_seconds()) for start, end in found]


A, B, C = (5, 0, 0, 0), (0, 5, 0, 0), (0, 0, 4, 1)


def test_counts_over_time() -> None:
    """Counts last until the next ones or the verdict, whose own counts are drawn too."""
    drawn = one(
        seen("j", A, number=1),
        seen("j", A, at=2),
        seen("j", A, at=3, kind=Kind.TASKS),
        seen("j", B, at=4),
        judged("j", numbers=C, at=9),
    )
    assert points(drawn) == [(0, A), (4, B), (9, C)]
    assert spans(drawn.unknown) == []
    assert [verdict.job_id for verdict in drawn.verdicts] == ["j"]


def test_a_gap_where_nothing_was_known() -> None:
    """From a failed poll to the next answer there is a gap, not a line."""
    drawn = one(
        seen("j", A), failed("j", A, at=2), failed("j", A, at=4), seen("j", B, at=6), seen("j", B, at=8)
    )
    assert points(drawn) == [(0, A), (2, A), (2, None), (6, B), (8, B)]
    assert spans(drawn.unknown) == [(2, 6)]


def test_an_end_in_a_gap() -> None:
    """A watch that ends without known counts, or never had any, ends in a gap."""
    drawn = one(seen("j", A), failed("j", A, at=2), judged("j", Outcome.LOST, A, at=5))
    assert points(drawn) == [(0, A), (2, A), (2, None)]
    assert spans(drawn.unknown) == [(2, 5)]
    never = one(failed("j", None), failed("j", None, at=3))
    assert points(never) == []
    assert spans(never.unknown) == [(0, 3)]


def test_doubtful_counts() -> None:
    """A span is marked from the first doubtful answer to the next one without doubts."""
    broken = snapshot("j", A, inconsistencies=(Inconsistency("i", "p", "t"),))
    drawn = one(
        seen("j", A),
        seen("j", A, at=1, doubtful=True),
        seen("j", A, at=2, snapshot=broken),
        seen("j", B, at=3),
        seen("j", B, at=4, doubtful=True),
        judged("j", numbers=None, at=6),
    )
    assert spans(drawn.doubtful) == [(1, 3), (4, 6)]


def test_two_watches_in_one_file() -> None:
    """The time between two watches is a gap."""
    drawn = one(seen("j", A), seen("j", A, at=2), seen("j", B, number=1, at=50), seen("j", B, at=52))
    assert points(drawn) == [(0, A), (2, A), (2, None), (50, B), (52, B)]
    assert spans(drawn.unknown) == [(2, 50)]


def test_a_clock_that_was_set_back() -> None:
    """Points never go back in time."""
    drawn = one(seen("j", A, at=5), seen("j", B, at=3), seen("j", C, at=6))
    assert drawn.times == sorted(drawn.times)


def test_one_job_of_many() -> None:
    """All jobs are drawn in the order of the recording, or only the one that is chosen."""
    told: list[Observation | Verdict] = [seen("b", A), seen("a", A), judged("b")]
    assert [each.job_id for each in series(told)] == ["b", "a"]
    assert [each.job_id for each in series(told, "a")] == ["a"]


def sample() -> list[Series]:
    """Return a job with every kind of event, and some with few."""
    return series([
        seen("$x_1$", A, number=1),
        failed("$x_1$", A, at=20),
        seen("$x_1$", B, at=40, doubtful=True),
        seen("$x_1$", C, at=60),
        judged("$x_1$", Outcome.FAILED, C, at=61, text="job '$x_1$': done, 1 of 5 tasks failed 東"),
        failed("unknown", None),
        seen("once", A),
        seen("empty", (0, 0, 0, 0)),
        judged("gone", Outcome.GONE, None),
        seen("looked", None, kind=Kind.TASKS),
    ])  # fmt: skip


def test_an_svg_file() -> None:
    """The SVG holds names, verdicts and legend as text, and is the same each time."""
    drawing = draw(sample(), "svg")
    text = drawing.decode()
    assert text.rstrip().endswith("</svg>")
    for word in (
        "$x_1$",
        "job '$x_1$': done, 1 of 5 tasks failed",
        "succeeded",
        "failed",
        "running",
        "active",
    ):
        assert word in text
    assert ">$x_1$<" in text
    assert ">unknown<" in text
    assert ">doubtful<" in text
    assert drawing == draw(sample(), "svg")


def test_a_legend_of_what_is_there() -> None:
    """The legend names only marks that the chart has."""
    text = draw(series([seen("j", A), judged("j", at=5)]), "svg").decode()
    assert ">unknown<" not in text
    assert ">doubtful<" not in text


def test_a_png_file() -> None:
    """The PNG gets higher with each job."""
    small, large = draw(sample()[:1], "png"), draw(sample(), "png")
    for drawing in (small, large):
        assert drawing.startswith(b"\x89PNG\r\n\x1a\n")
    height = [int.from_bytes(drawing[20:24], "big") for drawing in (small, large)]
    assert height[1] > 3 * height[0]


@pytest.mark.parametrize("hours", [0.001, 1, 24 * 400])
def test_any_span_of_time(hours: float) -> None:
    """A watch of seconds and one of a year can be drawn."""
    end = timedelta(hours=hours).total_seconds()
    assert draw([one(seen("j", A), seen("j", C, at=end))], "svg")
