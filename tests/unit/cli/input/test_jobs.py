"""Job ids from standard input and from the account's list."""

from __future__ import annotations

import io
import itertools
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcounts import TaskCountsClient
from taskcounts.many.values import ListedJob
from taskcounts.snapshot import Inconsistency
from taskcounts_cli.input import jobs
from taskcounts_cli.input.jobs import JobSource, read_ids


def test_doubts_about_the_list_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An inconsistency of the list of jobs is reported once, however many jobs have it."""
    doubt = Inconsistency("request-id", "headers", "it answers another request")

    def list_jobs(_: TaskCountsClient, filter: str | None) -> Iterator[ListedJob]:  # noqa: A002 - its name.
        yield ListedJob(job_id="a", state="active")
        yield ListedJob(job_id="b", state="active", inconsistencies=(doubt,))
        yield ListedJob(job_id="c", state="active", inconsistencies=(doubt,))

    monkeypatch.setattr(TaskCountsClient, "list_jobs", list_jobs)
    source = JobSource(named=(), everything=True, filter=None)
    assert list(source.ids(TaskCountsClient.__new__(TaskCountsClient))) == ["a", "b", "c"]
    expected = "warning: the list of jobs: it answers another request; it may be incomplete\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    "line", [b"x" * 5000, b"x" * 200_000, b"x" + b" " * 150_000, b"x" + b" " * 4999, b" " * 4096 + b"yyy"]
)
def test_a_long_line_is_one_error(line: bytes) -> None:
    """Neither the beginning nor the rest of a line that is cut is taken for a job."""
    source, sink = os.pipe()
    with os.fdopen(source) as stream:

        def write() -> None:
            with os.fdopen(sink, "wb") as file:
                file.write(b"one\n" + line + b"job-2\ntwo\n" + b"#" * 9000 + b"\nthree")

        writer = threading.Thread(target=write)
        writer.start()
        ids = [job for job in read_ids(stream) if job is not None]
        writer.join()
    assert (ids[0], len(ids[1]), ids[2:]) == ("one", 4096, ["two", "three"])


def test_standard_input_that_does_not_wait() -> None:
    """Input that another process made non-blocking is still read to its end."""
    source, sink = os.pipe()
    os.set_blocking(source, False)
    with os.fdopen(source) as stream:
        ids = read_ids(stream)
        assert [next(ids), next(ids)] == [None, None]
        os.write(sink, b"one\n")
        os.close(sink)
        assert [job for job in ids if job is not None] == ["one"]


def test_a_standard_input_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the system can't tell whether input is ready, the input is read."""

    def unable(*_: object) -> None:
        raise OSError("not a socket")

    (tmp_path / "jobs").write_text("a\nb", encoding="utf-8")
    monkeypatch.setattr("select.select", unable)
    with (tmp_path / "jobs").open(encoding="utf-8") as stdin:
        assert list(read_ids(stdin)) == ["a", "b"]


def test_a_lull_is_yielded_as_none() -> None:
    """A lull in the input is reported as None; later input is read as usual."""
    ours, theirs = os.pipe()
    with open(ours, encoding="utf-8") as stdin, open(theirs, "wb", buffering=0) as typed:
        read = read_ids(stdin)
        assert next(read) is None
        typed.write(b"a\nb")
        assert next(read) == "a"
        assert next(read) is None
        typed.close()
        assert list(read) == ["b"]


def test_a_line_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end fills neither the memory nor the error about it."""
    monkeypatch.setattr(jobs, "_read_chunks", lambda _: iter([b"x" * 65_536] * 100))
    tracemalloc.start()
    try:
        assert max(len(text or "") for text in read_ids(io.StringIO())) == 4096
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@given(
    st.lists(st.text("ab-#: \t\r", max_size=6), max_size=12),
    st.lists(st.integers(0, 30), max_size=8),
    st.booleans(),
)
def test_lines_are_lines_however_they_come(lines: list[str], cuts: list[int], closed: bool) -> None:
    """Law: the ids do not depend on the pieces in which the bytes arrive."""
    data = "\n".join(lines).encode() + (b"\n" if closed else b"")
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces: list[bytes | None] = [data[start:end] for start, end in itertools.pairwise(places)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "_read_chunks", lambda _: iter([*pieces, None]))
        found = [text for text in read_ids(io.StringIO()) if text is not None]
    assert found == [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
