"""The report's tables show each measurement, and none that is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import chart
from benchmarks.figures import Formula, Spread
from benchmarks.goals import Goal
from benchmarks.report import block_table, document, goals, markdown, number, ranged, table
from benchmarks.rows import BLOCKS, ROWS

BY_NAME = {block.name: block for block in BLOCKS}
CALLS = {"wall": 300.0, "memory": 32 << 20, "server": 20.0, "busy": 0.1, "connections": 0.0}
SAMPLES: dict[str, dict[int, dict[str, float]]] = {
    "sync/azure-batch-15.1": {n: CALLS | {"cpu": 1000.0 + n} for n in range(3)},
    "sync/ours": {n: CALLS | {"cpu": 250.0 + n} for n in range(3)},
    "sync/socket": {n: CALLS | {"cpu": 50.0, "busy": 0.9} for n in range(3)},
    "latency/ours-get_many-asyncio": {0: CALLS | {"cpu": 200.0, "wall": 703.125}},
    "size/azure-batch-15.1": {0: {"size": 5_000_000}},
    "size/ours": {0: {"size": 3_000_000}},
    "import/ours": {0: {"cpu": 90_000.0, "wall": 95_000.0}},
    "micro/ours-signature": {0: {"cpu": 2.5, "wall": 2.5}},
}
MADE = {
    "command": "make bench", "commit": "abc1234", "date": "2024-08-01", "rounds": 3, "cpu": "a processor",
    "system": "Linux 6", "python": "3.11.7", "versions": "httpx 0.28.1", "packages": {}, "disturbance": 0.02,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.00123, "0.001"),
        (0.1204, "0.120"),
        (0.2449, "0.245"),
        (9.994, "9.99"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12345.6, "12,346"),
        (-3.456, "-3.46"),
        (-0.001, "-0.001"),
    ],
)
def test_a_number_has_three_digits(value: float, shown: str) -> None:
    """More would pretend to be known, and fewer would make 0 of what isn't."""
    assert number(value) == shown


def test_a_range_stands_beside_its_middle() -> None:
    """Without a spread there is none to show."""
    assert ranged(Spread(2.0, 1.5, 2.5, 3), "ms") == "2.00 ms (1.50 to 2.50)"
    assert ranged(Spread(2.0, 2.0, 2.0, 1)) == "2.00"


def test_a_table_is_markdown() -> None:
    """All columns but the first are numbers."""
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


COST = Formula("cpu", "sync/ours", "sync/azure-batch-15.1")
SIGNATURE = Formula("cpu", "micro/ours-signature")


@pytest.mark.parametrize(
    ("goal", "line"),
    [
        (Goal("cost", COST, 0.28), "| cost | 0.251 (0.250 to 0.251), met | ≤ 0.28 |"),
        (Goal("cost", COST, 0.2), "| cost | **0.251 (0.250 to 0.251), not met** | ≤ 0.2 |"),
        (Goal("a part", SIGNATURE, 5, "µs"), "| a part | 2.50 µs, met | ≤ 5 µs |"),
        # The very figure that is allowed.
        (Goal("a part", SIGNATURE, 2.5, "µs"), "| a part | 2.50 µs, met | ≤ 2.5 µs |"),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal, line: str) -> None:
    """The verdict is that of the median."""
    assert goals(SAMPLES, [goal]).splitlines()[2:] == [line]


def test_goals_that_were_not_measured_are_left_out() -> None:
    """A goal without figures is no goal that was missed."""
    assert len(goals({}, [Goal("cost", COST, 0.28)]).splitlines()) == 2


def test_calls_are_told() -> None:
    """A row has its cost, its ratio, and a mark where the server was what was measured."""
    rows = [row for row in ROWS if row.key in SAMPLES and row.block == "sync"]
    head, _, *lines = block_table(BY_NAME["sync"], rows, SAMPLES).splitlines()
    assert "wall over the ideal" not in head
    assert [line.strip("| ").split(" | ") for line in lines] == [
        ["azure-batch 15.1", "1,001", "1", "300", "999", "32.0", "0", "20.0"],
        ["taskcounts", "251", "0.251 (0.250 to 0.251)", "300", "3,984", "32.0", "0", "20.0"],
        [
            "a raw socket",
            "50.0",
            "0.050 (0.050 to 0.050)",
            "300",
            "20,000",
            "32.0",
            "0",
            "20.0 (busy for 90%)",
        ],
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("latency", "| taskcounts, get_many, asyncio | 200 |  | 703 | 1.50 | 5,000 | 32.0 | 0 | 20.0 |"),
        ("import", "| taskcounts | 90.0 | 95.0 |"),
        ("size", "| taskcounts | 3.00 | 0.600 |"),
        ("micro", "| a signature | 2.50 |"),
    ],
)
def test_other_blocks_have_columns_of_their_own(name: str, line: str) -> None:
    """There is no ratio without a base, and no ideal without a latency."""
    rows = [row for row in ROWS if row.key in SAMPLES and row.block == name and row.ours]
    assert block_table(BY_NAME[name], rows, SAMPLES).splitlines()[-1] == line


def test_everything_is_in_the_documents() -> None:
    """Both say how the figures came about, and what is missing."""
    failures = {"sync/httpx": "exit code 1: no such thing"}
    text = markdown(ROWS, SAMPLES, MADE, failures)
    assert (
        "`make bench` on 2024-08-01 at abc1234: 3 rounds, a processor, Linux 6, Python 3.11.7; others took 2%"
        in text
    )
    assert "## One call after another\n\n| client" in text
    assert "64 in flight, asyncio\n" not in text
    assert "- sync/httpx: exit code 1: no such thing" in text
    told = json.loads(json.dumps(document(ROWS, SAMPLES, MADE, failures)))
    assert told["rows"]["sync/ours"]["cpu"] == {"median": 251, "low": 250.5, "high": 251.5, "rounds": 3}
    assert set(told["rows"]) == set(SAMPLES)
    assert told["failures"] == failures
    [cost] = [each for each in told["goals"] if each["goal"].startswith("one call after another")]
    assert (cost["met"], cost["most"]) == (False, 0.12)


def test_a_chart_is_drawn(tmp_path: Path) -> None:
    """Figures give a picture, and none give none."""
    assert chart.draw(tmp_path / "chart.svg", ROWS, SAMPLES)
    assert "<svg" in (tmp_path / "chart.svg").read_text(encoding="utf-8")
    assert not chart.draw(tmp_path / "none.svg", ROWS, {})
    assert not (tmp_path / "none.svg").exists()
