"""The comparison with an earlier run: what fails, what is measured again, what is kept."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import check
from benchmarks.figures import Spread
from benchmarks.goals import checked, chosen
from benchmarks.rows import ROWS, Row
from benchmarks.run import Runner, Taken

NAME = "sync/ours: cpu of sync/azure-batch-15.1"
CALM = Spread(0.25, 0.24, 0.26, 7)


def taken(*ratios: float) -> Taken:
    """Return samples of rounds in which one call of ours cost so much of one of theirs."""
    return Taken(
        {
            "sync/ours": {n: {"cpu": ratio * 1000, "memory": 30.0} for n, ratio in enumerate(ratios)},
            "sync/azure-batch-15.1": {n: {"cpu": 1000.0, "memory": 40.0} for n in range(len(ratios))},
        },
    )


class Again(Runner):
    """A runner whose second measurement is known."""

    def __init__(self, found: Taken) -> None:
        self.found = found
        self.asked: list[tuple[list[str], int]] = []

    def rounds(self, rows: Sequence[Row], count: int, tell: Callable[[str], object]) -> Taken:
        """Return what is known."""
        tell("nothing is run")
        self.asked.append(([row.key for row in rows], count))
        return self.found


@pytest.fixture
def _reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "reference.json"
    check.save("full", {NAME: CALM}, {"disturbance": 0.0}, path)
    monkeypatch.setattr(check, "load", lambda form: load(form, path))


load = check.load


def judged(first: Taken, second: Taken) -> tuple[list[str], list[tuple[list[str], int]]]:
    """Return what is wrong with a run, and what was measured again."""
    runner = Again(second)
    return program.judge(runner, list(ROWS), first, "full", 7), runner.asked


@pytest.mark.usefixtures("_reference")
def test_what_is_as_good_passes() -> None:
    """Nothing is measured again that looks well, or better."""
    assert judged(taken(0.25, 0.26), taken()) == ([], [])
    assert judged(taken(0.1, 0.1), taken()) == ([], [])


@pytest.mark.usefixtures("_reference")
def test_what_is_worse_twice_fails() -> None:
    """The line says which ratio, what it is, what it was and what it may be."""
    lines, asked = judged(taken(0.5, 0.5, 0.5), taken(0.4, 0.4, 0.4))
    assert lines == [f"worse: {NAME}: 0.400, where 0.250 was, and chance allows 0.286"]
    assert asked == [(["sync/azure-batch-15.1", "sync/ours"], 14)]


@pytest.mark.usefixtures("_reference")
def test_what_is_worse_once_passes() -> None:
    """Somebody else may have taken the machine for a while."""
    lines, asked = judged(taken(0.5, 0.5, 0.5), taken(0.25, 0.25, 0.26))
    assert lines == []
    assert len(asked) == 1


@pytest.mark.usefixtures("_reference")
def test_what_fails_the_second_time_is_not_taken_for_well() -> None:
    """Without a second figure, the first one counts."""
    lines, _ = judged(taken(0.5, 0.5, 0.5), taken())
    assert lines == [f"worse: {NAME}: 0.500, where 0.250 was, and chance allows 0.286"]


@pytest.mark.usefixtures("_reference")
def test_a_form_without_a_reference_is_an_error() -> None:
    """There is nothing to compare with, and that must not pass."""
    with pytest.raises(FileNotFoundError, match="has no quick run; 'make bench-reference' makes one"):
        check.load("quick")


def test_a_reference_is_kept_beside_the_other(tmp_path: Path) -> None:
    """Each form has its own, with what it was made of, and a new one takes the place of the old."""
    path = tmp_path / "reference.json"
    check.save("full", {"a": Spread(0.123456, 0.1, 0.2, 7)}, {"cpu": "ä", "disturbance": 0.1}, path)
    check.save("quick", {"b": CALM}, {"disturbance": 0.2}, path)
    check.save("quick", {"c": CALM}, {"disturbance": 0.3}, path)
    assert load("full", path) == ({"a": Spread(0.1235, 0.1, 0.2, 7)}, 0.1)
    assert load("quick", path) == ({"c": CALM}, 0.3)
    assert '"cpu": "ä"' in path.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")
def test_a_new_reference_leaves_the_commit_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new reference leaves the name of the commit clean; any other change makes it dirty."""
    monkeypatch.setattr(program, "PROJECT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert program.commit() == "an unknown commit"
    names = ("reference.json", "other.py")
    for name in names:
        (tmp_path / name).write_text("1", encoding="utf-8")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", *names), (*who, "commit", "-qm", "One")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)  # noqa: S603, S607
    clean = program.commit()
    for name, expected in zip(names, (clean, f"{clean}-dirty"), strict=True):
        (tmp_path / name).write_text("2", encoding="utf-8")
        assert program.commit() == expected


def test_the_committed_reference_is_of_these_rows() -> None:
    """Every ratio that the quick form measures has its reference, and none is left of what there was."""
    assert set(load("quick")[0]) == set(checked(chosen((), quick=True)))
