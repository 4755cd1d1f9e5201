"""Rows, goals, and the choice among them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import environments
from benchmarks.goals import GOALS, Goal, checked, chosen
from benchmarks.rows import BLOCKS, ROWS, Row

HERE = Path(__file__).parent
MAKEFILE = (HERE.parents[1] / "Makefile").read_text(encoding="utf-8")


def keys(rows: list[Row]) -> set[str]:
    return {row.key for row in rows}


def test_no_two_rows_have_one_name() -> None:
    """The samples of two rows never get mixed."""
    assert len({row.key for row in ROWS}) == len(ROWS)
    assert {row.block for row in ROWS} == {block.name for block in BLOCKS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_row_can_run(row: Row) -> None:
    """Its program is there, and `make` sets up its environment."""
    kind = {block.name: block.kind for block in BLOCKS}[row.block]
    if kind in ("calls", "micro"):
        assert (HERE / "clients" / f"{row.program}.py").exists()
    elif row.words and row.words[0].endswith(".py"):
        assert (HERE / row.words[0]).exists()
    folder, _, name = row.environment.partition("/")
    requirements = HERE.parent / "requirements" / folder / f"{name}.txt"
    assert requirements.exists()
    assert re.search(rf"\b{name}\b", MAKEFILE)


def test_every_ratio_has_a_base() -> None:
    """A block's base is one of its rows, and runs in both forms."""
    for block in BLOCKS:
        if block.base is not None:
            [base] = [row for row in ROWS if row.key == f"{block.name}/{block.base}"]
            assert base.quick or not any(row.quick for row in ROWS if row.block == block.name)


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.what)
def test_a_goal_is_measured_in_full(goal: Goal) -> None:
    """All rows that it needs run in the full form."""
    assert {row.key for row in ROWS}.issuperset(goal.figure.rows)


def test_the_quick_form_measures_nearly_all_goals() -> None:
    """The goals that it leaves out take minutes: az, 100,000 jobs, and get_many as a goal of its own."""
    quick = keys(chosen((), quick=True))
    left_out = {row for goal in GOALS for row in goal.figure.rows} - quick
    assert {row.partition("/")[0] for row in left_out} <= {"jobs", "start", "asyncio", "threads"}
    assert "start/az" in left_out
    assert "sync/ours" in quick


def test_all_rows_are_chosen_without_patterns() -> None:
    """The full form has every row, and the quick one as many calls as it says."""
    assert chosen((), quick=False) == list(ROWS)
    assert all(0 < row.calls == row.quick for row in chosen((), quick=True))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("micro", {"micro/ours-answer", "micro/ours-signature", "micro/json", "micro/hmac"}),
        ("sync/ours", {"sync/ours", "sync/azure-batch-15.1"}),
        ("sync/urllib3", {"sync/urllib3", "sync/azure-batch-15.1"}),
        ("start/ours", {"start/ours", "start/azure-batch-15.1", "start/az"}),
        ("import/ours", {"import/ours", "import/theirs", "import/nothing"}),
        ("in-flight/ours-asyncio-256", {"in-flight/ours-asyncio-256", "in-flight/ours-asyncio-16"}),
    ],
)
def test_a_pattern_brings_what_is_compared(pattern: str, expected: set[str]) -> None:
    """A row that is asked for can be told as a ratio."""
    assert keys(chosen((pattern,), quick=False)) == expected


def test_patterns_add_up() -> None:
    """Rows stand in the order of all, each once."""
    found = [row.key for row in chosen(("micro/j*", "sync/socket", "sync/s*"), quick=False)]
    assert found == ["sync/azure-batch-15.1", "sync/socket", "micro/json"]


@pytest.mark.parametrize(("pattern", "quick"), [("nothing", False), ("start/az", True), ("", False)])
def test_a_pattern_without_rows_is_refused(pattern: str, quick: bool) -> None:
    """A typo doesn't pass for a run in which all is well."""
    with pytest.raises(ValueError, match="the blocks are sync, sync-tls"):
        chosen((pattern,), quick=quick)


def test_ratios_alone_are_checked() -> None:
    """A figure that depends on the machine's speed is compared by its ratio to Python's library."""
    formulas = checked(ROWS)
    assert "sync/ours: cpu of sync/azure-batch-15.1" in formulas
    assert "latency/ours-get_many-asyncio: wall of latency/azure-batch-15.1-aio" in formulas
    assert "micro/ours-answer: cpu of micro/json" in formulas
    for name, formula in formulas.items():
        assert name == f"{formula.row}: {formula.quantity} of {formula.over}"
    # Each once.
    assert len(set(formulas.values())) == len(formulas)


def test_only_what_runs_is_checked() -> None:
    """A choice of rows is judged by what they alone give."""
    rows = chosen(("sync",), quick=True)
    assert set(checked(rows)) == {
        "sync/ours: cpu of sync/azure-batch-15.1",
        "sync/ours: memory of sync/azure-batch-15.1",
    }
    assert checked([]) == {}


def test_a_size_leaves_out_what_python_compiles(tmp_path: Path) -> None:
    """Compiled files of an earlier import don't count."""
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    (tmp_path / "a" / "one.py").write_bytes(b"12345")
    (tmp_path / "a" / "__pycache__" / "one.pyc").write_bytes(b"123")
    (tmp_path / "two.so").write_bytes(b"1" * 100)
    (tmp_path / "link").symlink_to(tmp_path / "two.so")
    assert environments.size(tmp_path) == 105


def test_packages_are_those_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are told as package indexes write them."""
    monkeypatch.setattr(environments, "HOME", tmp_path)
    with pytest.raises(FileNotFoundError, match="'make bench' sets it up"):
        environments.packages("one")
    (tmp_path / "one" / "bin").mkdir(parents=True)
    (tmp_path / "one" / "bin" / "python").touch()
    for name in ("azure_batch-15.1.0", "Some.Thing-2"):
        (environments.installed("one") / f"{name}.dist-info").mkdir(parents=True)
    assert environments.packages("one") == {"azure-batch": "15.1.0", "some-thing": "2"}
