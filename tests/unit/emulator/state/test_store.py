"""The store: acknowledged changes are in the file, and foreign files are left alone."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.worlds import a_job, counts, named, new_world, scan, states, table
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import NewTask, TaskState
from taskcounts_emulator.state.schema import TABLES
from taskcounts_emulator.state.store import Store

# Adds collections of 25 tasks to the job "j" of the store that is named, and says so after each.
ADDING = """
import resource, sys
from taskcounts_emulator.errors import EmulatorError
from taskcounts_emulator.model import NewJob, NewTask, utc_now
from taskcounts_emulator.state.store import Store
from taskcounts_emulator.state.world import World

if len(sys.argv) > 2:
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
world = World(Store(sys.argv[1]), utc_now, scripted=True)
world.add_job(NewJob("j"))
for number in range(100_000):
    try:
        world.add_tasks("j", [NewTask(f"{number}-{each}", kept="x" * 200) for each in range(25)])
    except EmulatorError as error:
        print(error, flush=True)
        break
    print(number, flush=True)
"""


def adding(path: Path, *limit: str) -> subprocess.Popen[str]:
    """Start a process that adds tasks to a store."""
    return subprocess.Popen(  # noqa: S603 - a script of our own.
        [sys.executable, "-c", ADDING, str(path), *limit], stdout=subprocess.PIPE, text=True
    )


def put(store: Store, name: str, value: object) -> None:
    """Store a setting in its own transaction."""
    with store.change():
        store.put(name, value)


def one_line(error: BaseException) -> str:
    """Return the message of an error, which is one line."""
    assert "\n" not in str(error)
    return str(error)


def test_a_change_is_whole_or_not_at_all() -> None:
    """An error rolls back the transaction, and the store stays usable."""
    store = Store()
    put(store, "kept", 1)

    def changing() -> None:
        with store.change():
            store.put("kept", 2)
            store.put("lost", object())

    with pytest.raises(TypeError, match="JSON"):
        changing()
    assert store.get("kept") == 1
    put(store, "kept", 3)
    assert store.get("kept") == 3


def test_a_change_that_sqlite_undoes_itself_leaves_a_store_that_goes_on() -> None:
    """An error that ends the transaction itself is an error of one line."""
    store = Store()
    with pytest.raises(EmulatorError, match="cannot be used as a store"), store.change() as db:
        db.execute("ROLLBACK")
    put(store, "a", "b")
    assert store.get("a") == "b"


@pytest.mark.parametrize("value", [None, 0, 2**63, 0.25, "text", [1], {"a": [True]}])
def test_settings_come_back_as_they_were(value: object) -> None:
    """A setting is any JSON value, with a default if it is absent."""
    store = Store()
    assert store.get("name", "default") == "default"
    put(store, "name", value)
    assert store.get("name", "default") == value


def test_a_file_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """A reopened store has all changes, and its repr shows the path."""
    path = tmp_path / "jobs.db"
    first = new_world(a_job("a", "b", pool=None), store=path)
    first.step("j", start=1)
    first._store.close()
    second = new_world(store=path)
    assert states(second) == {"a": "running", "b": "active"}
    assert repr(second._store) == f"Store({str(path)!r})"


def test_emptying_leaves_nothing() -> None:
    """All tables are empty, and numbers start again."""
    world = new_world(a_job("a", "b", pool=None), settle=5, seed=3)
    with world._store.change() as db:
        world._store.empty(db)
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert {name for (name,) in tables} == set(TABLES)
    assert [table(world, name) for name in TABLES] == [[]] * len(TABLES)


def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """After kill -9 while adding, whole collections are there, with all acknowledged ones."""
    path = tmp_path / "jobs.db"
    with adding(path) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(40)]
        # While it lives, it has the file for itself.
        with pytest.raises(EmulatorError, match="in use by another process; stop it, or choose another file"):
            Store(path)
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout]
    assert process.returncode == -signal.SIGKILL
    world = new_world(store=path)
    found = states(world)
    collections = {int(name.partition("-")[0]) for name in found}
    assert set(told) <= collections
    assert len(found) == 25 * len(collections)
    # At most one was done, and its message lost.
    assert len(collections) - len(told) in (0, 1)
    scan(world)
    world.add_tasks("j", [NewTask("more")])
    assert counts(world).active == len(found) + 1


def test_a_disk_that_fails_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """A full disk is an error of one line, and the store opens again."""
    path = tmp_path / "jobs.db"
    with adding(path, "1000000") as process:
        assert process.stdout is not None
        *told, error = process.stdout.read().splitlines()
    assert process.returncode == 0
    assert error.startswith(f"{path}: cannot be used as a store: ")
    assert len(told) > 10
    world = new_world(store=path)
    assert counts(world).active == 25 * len(told)
    scan(world)


def test_a_full_disk_undoes_the_change_and_no_more() -> None:
    """A write that does not fit changes nothing; once there is room, the same call succeeds."""
    world = new_world(a_job("a", pool=None))
    with world._store.connection() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages + 3}")
    more = [NewTask(name, kept="x" * 100) for name in named(1000)]
    with pytest.raises(EmulatorError, match=r"cannot be used as a store: .* full") as caught:
        world.add_tasks("j", more)
    one_line(caught.value)
    assert states(world) == {"a": "active"}
    scan(world)
    with world._store.connection() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    world.add_tasks("j", more)
    assert counts(world).active == 1001


def test_a_file_belongs_to_one_store(tmp_path: Path) -> None:
    """A second store on the file is refused, also in the same process, until the first is closed."""
    path = tmp_path / "jobs.db"
    first = Store(path)
    with pytest.raises(EmulatorError, match="in use") as caught:
        Store(path)
    one_line(caught.value)
    put(first, "a", 1)
    first.close()
    second = Store(path)
    assert second.get("a") == 1
    second.close()


def test_a_closed_store_raises_an_error() -> None:
    """Every use of a closed store is an error of one line."""
    store = Store()
    store.close()
    uses: list[Callable[[], object]] = [
        lambda: store.get("a"),
        lambda: put(store, "a", 1),
        lambda: store.snapshot("s"),
    ]
    for use in uses:
        with pytest.raises(EmulatorError, match=r"^:memory:: cannot be used as a store: .*closed") as caught:
            use()
        one_line(caught.value)
    with pytest.raises(EmulatorError, match="no snapshot"):
        store.restore("s")
    store.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A file of another kind is not changed."""
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    with pytest.raises(EmulatorError, match=r"notes\.txt: cannot be used as a store") as caught:
        Store(path)
    one_line(caught.value)
    assert path.read_text() == "dear diary, " * 100


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A database without our mark is not changed, byte for byte."""
    path = tmp_path / "theirs.db"
    theirs = sqlite3.connect(path)
    theirs.execute("CREATE TABLE t (x)")
    theirs.close()
    before = path.read_bytes()
    with pytest.raises(EmulatorError, match="a database of something else, not a store of the emulator"):
        Store(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["theirs.db"]


@pytest.mark.parametrize("layout", [1, 3])
def test_a_store_of_another_layout_is_refused(tmp_path: Path, layout: int) -> None:
    """A store of another layout is refused."""
    path = tmp_path / "jobs.db"
    Store(path).close()
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version = {layout}")
    other.close()
    message = f"a store of layout {layout}, and this version knows 2; start with a new file"
    with pytest.raises(EmulatorError, match=message):
        Store(path)


def test_a_damaged_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    """A store with overwritten tables opens or not, but returns no invented data."""
    path = tmp_path / "jobs.db"
    world = new_world(a_job(*named(2000), pool=None), store=path)
    world._store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xa5" * (size // 2))
    with pytest.raises(EmulatorError, match=r"jobs\.db: cannot be used as a store: .*malformed") as caught:
        states(new_world(store=path))
    one_line(caught.value)


@pytest.mark.parametrize("name", [".", "missing/jobs.db", "a\0b"])
def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    """A directory, or a file in a missing directory, is an error of one line."""
    with pytest.raises(EmulatorError) as caught:
        Store(f"{tmp_path}/{name}")
    one_line(caught.value)


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only store is detected when it is opened, not at the first change."""
    path = tmp_path / "jobs.db"
    Store(path).close()
    connect = sqlite3.connect
    # Permissions do not keep root out, so the connection itself is made read-only.
    monkeypatch.setattr(
        sqlite3, "connect", lambda name, **rest: connect(f"file:{name}?mode=ro", uri=True, **rest)
    )
    with pytest.raises(EmulatorError, match="readonly"):
        Store(path)


@pytest.mark.parametrize("file", [False, True])
def test_a_snapshot_brings_everything_back(tmp_path: Path, file: bool) -> None:
    """Restoring undoes later changes, any number of times, and in the file, too."""
    path = tmp_path / "jobs.db" if file else ":memory:"
    world = new_world(a_job("a", "b", pool=None), store=path)
    world.step("j", start=1)
    store = world._store
    store.snapshot("s")
    for _ in range(2):
        world.step("j", succeed=1)
        world.add_tasks("j", [NewTask("c", state=TaskState.RUNNING)])
        store.restore("s")
        assert states(world) == {"a": "running", "b": "active"}
        scan(world)
    world.step("j", start=1)
    if file:
        store.close()
        assert states(new_world(store=path)) == {"a": "running", "b": "running"}


def test_snapshots_have_names() -> None:
    """A name can be reused; names are listed, the oldest first, and deleted together."""
    store = Store()
    for name in ("one", "two", "one"):
        put(store, "now", name)
        store.snapshot(name)
    assert store.snapshots() == ["two", "one"]
    put(store, "now", "three")
    store.restore("two")
    assert store.get("now") == "two"
    with pytest.raises(EmulatorError, match=r"^there is no snapshot 'three'; there are: two, one$"):
        store.restore("three")
    assert store.drop_snapshots() == 2
    with pytest.raises(EmulatorError, match=r"there are: none$"):
        store.restore("one")


def test_snapshots_are_bounded() -> None:
    """Each is a copy in memory, so there can be sixteen; one of those can still be replaced."""
    store = Store()
    for number in range(16):
        store.snapshot(str(number))
    with pytest.raises(EmulatorError, match=r"^there are 16 snapshots already; drop some first$"):
        store.snapshot("16")
    store.snapshot("0")
    assert len(store.snapshots()) == 16
