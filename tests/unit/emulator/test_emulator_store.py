"""The store: counts are counted, changes are whole or not at all, and a file keeps them."""

from __future__ import annotations

import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskcounts.emulator.errors import EmulatorError, NoSuchJob
from taskcounts.emulator.model import Counts, JobCounts, NewJob, NewTasks
from taskcounts.emulator.store import Store

JOB = NewJob(
    "Nightly",
    (
        NewTasks(3),
        NewTasks(1, state="preparing", required_slots=4),
        NewTasks(2, state="running"),
        NewTasks(1, "t1", "completed", "success", 2),
        NewTasks(1, "t2", "completed", "failure", 3),
    ),
)


def filled() -> Store:
    """Return a store with one job."""
    store = Store()
    store.add([JOB])
    return store


def test_counts_are_those_of_the_tasks() -> None:
    """Preparing counts as running, completed is split by result, slots are summed."""
    assert filled().counts("Nightly") == JobCounts(Counts(3, 3, 1, 1), Counts(3, 6, 2, 3))
    assert Counts(3, 3, 1, 1).completed == 2


@pytest.mark.parametrize("job_id", ["nightly", "NIGHTLY", "Nightly"])
def test_a_job_id_is_one_in_any_case_and_keeps_its_spelling(job_id: str) -> None:
    """Ids that differ in case are the same id; it stays as it was first written."""
    store = filled()
    assert store.counts(job_id).tasks.active == 3
    with pytest.raises(EmulatorError, match=f"^there is a job '{job_id}' already$"):
        store.add([NewJob(job_id)])
    assert list(store.all_counts()) == ["Nightly"]


@pytest.mark.parametrize("job_id", ["other", "", "nightly ", "\0", "\ud800", "nıghtly"])
def test_a_job_that_is_not_there_is_told(job_id: str) -> None:
    """Counting or stepping an unknown job, whatever its id, is NoSuchJob."""
    store = filled()
    with pytest.raises(NoSuchJob):
        store.counts(job_id)
    with pytest.raises(NoSuchJob):
        store.step(job_id, start=1)


def test_jobs_are_added_all_or_none() -> None:
    """A job that exists keeps those before it out as well."""
    store = filled()
    with pytest.raises(EmulatorError):
        store.add([NewJob("new", (NewTasks(5),)), NewJob("nightly")])
    assert store.all_counts() == {"Nightly": JobCounts(Counts(3, 3, 1, 1), Counts(3, 6, 2, 3))}


def test_jobs_are_listed_in_the_order_in_which_they_were_added() -> None:
    """A job without tasks is listed too, with zeros."""
    store = filled()
    store.add([NewJob("b"), NewJob("a", (NewTasks(1),))])
    assert list(store.all_counts()) == ["Nightly", "b", "a"]
    assert store.counts("b") == store.all_counts()["b"] == JobCounts()


def test_steps_move_the_oldest_tasks() -> None:
    """Tasks start in their order; what runs completes before what still prepares."""
    store = filled()
    store.step("nightly", start=2, succeed=1, fail=1)
    assert store.counts("nightly") == JobCounts(Counts(1, 3, 2, 2), Counts(1, 6, 3, 4))
    store.step("nightly", start=1, succeed=4)
    assert store.counts("nightly") == JobCounts(Counts(0, 0, 6, 2), Counts(0, 0, 10, 4))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"start": 4}, "job 'nightly': 4 tasks are to start, and 3 are active"),
        ({"start": 1, "succeed": 5}, "job 'nightly': 5 tasks are to succeed, and 4 are running"),
        ({"succeed": 2, "fail": 2}, "job 'nightly': 2 tasks are to fail, and 1 are running"),
    ],
)
def test_a_step_too_far_changes_nothing(step: dict[str, int], message: str) -> None:
    """A step is made whole or not at all."""
    store = filled()
    before = store.all_counts()
    with pytest.raises(EmulatorError) as caught:
        store.step("nightly", **step)
    assert str(caught.value) == message
    assert store.all_counts() == before


def test_clearing_leaves_nothing() -> None:
    """After clear there is no job, and ids are free again."""
    store = filled()
    store.clear()
    assert store.all_counts() == {}
    store.add([JOB])


def test_threads_lose_no_change() -> None:
    """Steps from many threads add up, and every count in between is that of some moment."""
    store = Store()
    store.add([NewJob("j", (NewTasks(200),))])

    def work(_: int) -> int:
        store.step("j", start=1, succeed=1)
        tasks = store.counts("j").tasks
        return tasks.active + tasks.running + tasks.completed

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(work, range(200))) == {200}
    finally:
        sys.setswitchinterval(interval)
    assert store.counts("j").tasks == Counts(succeeded=200)


def test_a_file_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """Opened again, even without having been closed, a store has all that was done."""
    path = tmp_path / "jobs.db"
    first = Store(path)
    first.add([JOB])
    first.step("nightly", start=1)
    second = Store(path)
    assert second.counts("nightly").tasks == Counts(2, 4, 1, 1)
    first.close()
    second.close()
    assert repr(second) == f"Store({str(path)!r})"


def test_a_closed_store_says_so() -> None:
    """Using a store after close is an EmulatorError of one line."""
    store = filled()
    store.close()
    with pytest.raises(EmulatorError, match=r"^:memory:: cannot be used as a store: .*closed"):
        store.counts("nightly")
    with pytest.raises(EmulatorError, match="closed"):
        store.clear()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Some other file is not written to."""
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    with pytest.raises(EmulatorError, match=r"^[^\n]*notes\.txt: cannot be used as a store[^\n]*$"):
        Store(path)
    assert path.read_text() == "dear diary, " * 100


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    """A database without our mark is not taken over."""
    path = tmp_path / "theirs.db"
    theirs = sqlite3.connect(path)
    theirs.execute("CREATE TABLE t (x)")
    theirs.close()
    with pytest.raises(EmulatorError, match="not a store of the emulator"):
        Store(path)


def test_a_store_of_another_layout_is_refused(tmp_path: Path) -> None:
    """What a later version wrote is not guessed at."""
    path = tmp_path / "jobs.db"
    Store(path).close()
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 2")
    later.close()
    with pytest.raises(EmulatorError, match="a store of layout 2, and this version knows 1"):
        Store(path)


@pytest.mark.parametrize("name", [".", "missing/jobs.db", "a\0b"])
def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    """A folder, or a file in a folder that is not there, is an error of one line."""
    with pytest.raises(EmulatorError) as caught:
        Store(f"{tmp_path}/{name}")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a store is read-only is found when it is opened, not at the first change."""
    path = tmp_path / "jobs.db"
    Store(path).close()
    connect = sqlite3.connect
    # Permissions do not keep root out, so the connection itself is made read-only.
    monkeypatch.setattr(
        sqlite3, "connect", lambda name, **rest: connect(f"file:{name}?mode=ro", uri=True, **rest)
    )
    with pytest.raises(EmulatorError, match="readonly"):
        Store(path)


def test_a_change_that_sqlite_undoes_itself_is_an_error_of_one_line() -> None:
    """An error that ends the transaction on its own leaves a store that can go on."""
    store = filled()
    with pytest.raises(EmulatorError, match="cannot be used as a store"), store._change() as db:
        db.execute("ROLLBACK")
    with store._change() as db:
        db.execute("SELECT 1")
    assert store.counts("nightly").tasks.active == 3


def test_a_large_job_is_added_and_counted() -> None:
    """Tens of thousands of tasks are no trouble."""
    store = Store()
    store.add([NewJob("big", (NewTasks(40_000, required_slots=256),))])
    assert store.counts("big").slots.active == 40_000 * 256
