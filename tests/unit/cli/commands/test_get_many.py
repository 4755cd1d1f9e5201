"""`taskcounts get` for many jobs: from arguments, standard input or the account's list, exact or verified."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command_line import FakeTerminal, RunCommand, start
from taskcounts import TaskCountsClient
from taskcounts.many.values import JobResult
from taskcounts_cli.commands import get
from taskcounts_cli.commands.get import JobSequence, ProgressLine
from taskcounts_cli.exits import Exit
from taskcounts_cli.output.records import Result
from taskcounts_cli.output.writers import NdjsonWriter
from taskcounts_emulator import Emulator

JOBS = [f"job-{number:02}" for number in range(40)]


@pytest.fixture
def many(emulator: Emulator) -> Emulator:
    """An emulator whose jobs have as many tasks as their numbers say."""
    for number, job in enumerate(JOBS):
        emulator.add_job(job, number)
    return emulator


def rows(tsv: str) -> list[dict[str, str]]:
    """Return the lines of a TSV output by the names of its columns."""
    header, *lines = [line.split("\t") for line in tsv.splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


@pytest.mark.parametrize("output", ["json", "tsv", "table"])
def test_arguments_come_in_their_order(many: Emulator, command: RunCommand, output: str) -> None:
    """A table, an array and TSV lines are in the order of the arguments, whichever answer came first."""
    many.fault("slow", seconds=0.5, job=JOBS[7], times=1)
    ended = command("get", *reversed(JOBS), "-o", output)
    assert (ended.code, ended.err) == (0, "")
    if output == "json":
        found = [(each["jobId"], each["total"]) for each in json.loads(ended.out)]
    elif output == "tsv":
        found = [(row["jobId"], int(row["total"])) for row in rows(ended.out)]
    else:
        lines = [line.split() for line in ended.out.splitlines()]
        found = [(line[0], int(line[7])) for line in lines if line[1] == "tasks"]
    assert found == [(job, int(job[-2:])) for job in reversed(JOBS)]


def test_ndjson_comes_as_the_answers_do(many: Emulator, command: RunCommand) -> None:
    """A slow job delays no other line, and no line is missing."""
    many.fault("slow", seconds=1, job=JOBS[0], times=1)
    ended = command("get", *JOBS, "-o", "ndjson")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert sorted((each["jobId"], each["total"]) for each in found) == [(job, int(job[-2:])) for job in JOBS]
    assert found[-1]["jobId"] == JOBS[0]


def test_jobs_from_standard_input(many: Emulator, command: RunCommand) -> None:
    """Each line is an id, with any line ending; blank lines, comments and a byte order mark are ignored."""
    text = f"\ufeff{JOBS[1]}\r\n\r\n# a comment\n  {JOBS[2]}  \n\t\n{JOBS[3]}"
    ended = command("get", "empty", "-", JOBS[4], "-o", "json", stdin=text)
    assert ended.code == 0
    assert [(each["jobId"], each["total"]) for each in json.loads(ended.out)] == [
        ("empty", 0), (JOBS[1], 1), (JOBS[2], 2), (JOBS[3], 3), (JOBS[4], 4),
    ]  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--exact",)])
def test_a_line_that_is_no_job_id(many: Emulator, command: RunCommand, options: tuple[str, ...]) -> None:
    """An invalid id is reported, has an error in the output, and costs the others nothing."""
    text = f"../jobs\n{JOBS[1]}\nno-such-job\n{'x' * 9000}\n"
    ended = command("get", "-", "-o", "tsv", *options, stdin=text)
    assert ended.code == 2
    found = {row["jobId"]: row for row in rows(ended.out)}
    assert found[JOBS[1]]["total"] == "1"
    assert "is not a job id" in found["../jobs"]["error"]
    assert found["../jobs"]["active"] == ""
    assert "JobNotFound" in found["no-such-job"]["error"]
    assert len(rows(ended.out)) == 4
    assert "error: '../jobs' is not a job id" in ended.err
    [record] = json.loads(command("get", "-", "-o", "json", stdin="a\tb").out)
    assert record == {"jobId": "a\tb", "error": {"type": "ValueError", "text": record["error"]["text"]}}


def test_standard_input_that_is_no_text(many: Emulator, command: RunCommand, tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused as job ids, and other lines are still counted."""
    (tmp_path / "jobs").write_bytes(b"\xff\xfe\0\n" + JOBS[1].encode() + b"\n\x1b[2J\n")
    with (tmp_path / "jobs").open(encoding="utf-8") as stdin, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        ended = command("get", "-", "-o", "tsv")
    assert ended.code == 2
    assert sorted(row["total"] for row in rows(ended.out)) == ["", "", "1"]
    assert "\0" not in ended.out
    assert "\x1b" not in ended.out + ended.err


def test_a_closed_standard_input(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing standard input is reported."""
    monkeypatch.setattr(sys, "stdin", None)
    ended = command("get", "-")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: there is no standard input to read jobs from\n"


@pytest.mark.parametrize("options", [(), ("--exact",)])
def test_jobs_that_are_typed_slowly_are_answered_one_by_one(many: Emulator, options: tuple[str, ...]) -> None:
    """A job from a pipe is answered before the next one arrives, and none is lost."""
    process = start("get", "-", "-o", "ndjson", *options, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    for text, job in (
        (f"{JOBS[3]}\n{JOBS[4]}", JOBS[3]),
        ("\n# what else?\n", JOBS[4]),
        ("empty\n", "empty"),
    ):
        process.stdin.write(text)
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["jobId"] == job
    process.stdin.write(JOBS[5])
    out, err = process.communicate(timeout=20)
    assert json.loads(out)["jobId"] == JOBS[5]
    assert (process.returncode, err) == (0, "")


def test_no_jobs_at_all(command: RunCommand) -> None:
    """Input or an account without jobs is reported, and is not a success."""
    with Emulator() as emulator:
        options = ("--endpoint", emulator.endpoint, "--account", emulator.account, "--key", emulator.key)
        for arguments, says in (
            (("-",), "error: standard input names no job\n"),
            (("--all",), "error: the account has no jobs\n"),
            (("--all", "--filter", "id eq 'x'"), "error: no job matches the filter\n"),
        ):
            ended = command("get", *arguments, "-o", "json", *options, stdin="# nothing\n")
            assert (ended.code, ended.out, ended.err) == (3, "[]\n", says)


def test_a_terminal_shows_that_input_is_expected(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, a message says that input is expected."""

    class Terminal(io.StringIO):
        """A terminal's standard input."""

        def isatty(self) -> bool:
            """Return True."""
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("empty\n"))
    ended = command("get", "-", "-o", "tsv")
    assert (ended.code, ended.err) == (0, "reading: one job id a line; Ctrl-D ends them\n")


def test_all_jobs_of_the_account(many: Emulator, command: RunCommand) -> None:
    """--all counts every job of the account, --filter those that match the service's filter."""
    every = rows(command("get", "--all", "-o", "tsv").out)
    assert sorted(row["jobId"] for row in every) == sorted([*JOBS, "empty", "nightly-render"])
    some = command("get", "--all", "--filter", "startswith(id,'job-1')", "-o", "json")
    assert [each["jobId"] for each in json.loads(some.out)] == [job for job in JOBS if job[4] == "1"]


def test_a_filter_that_the_service_refuses(many: Emulator, command: RunCommand) -> None:
    """Without a list of jobs there is an error, not an empty success."""
    ended = command("get", "--all", "--filter", "colour eq 'red'", "-o", "json")
    assert (ended.code, ended.out) == (5, "[]\n")
    assert ended.err.startswith("error: the list of jobs: 400 ")


@pytest.mark.parametrize("output", ["ndjson", "tsv", "table"])
def test_the_first_failure_in_the_order_asked_for(
    many: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    """The exit code is that of the first job that failed, however late its answer came."""
    get_many = TaskCountsClient.get_many

    def backwards(client: TaskCountsClient, jobs: Iterator[str], **options: Any) -> Iterator[JobResult]:
        results = {result.job_id: result for result in get_many(client, list(jobs), **options)}
        yield from (results[job] for job in sorted(results, reverse=True))

    monkeypatch.setattr(TaskCountsClient, "get_many", backwards)
    many.fault("wrong-shape", variant="negative", job=JOBS[3])
    assert command("get", JOBS[1], JOBS[3], "no-such-job", "-o", output).code == 6
    assert command("get", JOBS[1], "no-such-job", JOBS[3], "-o", output).code == 3
    text = f"{JOBS[1]}\n{JOBS[3]}\nno-such-job"
    assert command("get", "-", "-o", output, stdin=text).code == 6


def test_the_same_job_twice(many: Emulator, command: RunCommand) -> None:
    """A job that is named twice is counted twice."""
    found = json.loads(command("get", JOBS[2], JOBS[1], JOBS[2], "-o", "json").out)
    assert [each["jobId"] for each in found] == [JOBS[2], JOBS[1], JOBS[2]]


def test_exact_counts(many: Emulator, command: RunCommand) -> None:
    """--exact lists the tasks, so that the numbers are right although the service's counts lag."""
    many.set_lag({"swapActiveRunning": True})
    [reported] = json.loads(command("get", JOBS[9], "-o", "json").out)
    [exact] = json.loads(command("get", JOBS[9], "-o", "json", "--exact").out)
    assert (reported["taskCounts"]["running"], reported["exact"], reported["beganAt"]) == (9, False, None)
    assert (exact["taskCounts"]["active"], exact["exact"]) == (9, True)
    assert exact["beganAt"] <= exact["observedAt"]
    table = command("get", JOBS[9], "no-such-job", JOBS[2], "--exact")
    assert table.code == 3
    assert [line.split()[:4] for line in table.out.splitlines()[1:]] == [
        [JOBS[9], "tasks,", "listed", "9"],
        ["slots,", "listed", "9", "0"],
        [JOBS[2], "tasks,", "listed", "2"],
        ["slots,", "listed", "2", "0"],
    ]


def test_verified_counts(many: Emulator, command: RunCommand) -> None:
    """--verify shows both counts, and warns where they differ."""
    agreed = command("get", JOBS[9], "--verify")
    assert (agreed.code, agreed.err) == (0, "")
    many.set_lag({"swapActiveRunning": True})
    ended = command("get", JOBS[9], "--verify")
    assert ended.code == 0
    assert "warning: job 'job-09': taskCounts.active is 0, but 9 tasks" in ended.err
    lines = [line.split() for line in ended.out.splitlines()[1:]]
    assert lines[0][:5] == [JOBS[9], "tasks", "!", "0", "9"]
    assert lines[2][:4] == ["tasks,", "listed", "9", "0"]
    [record] = json.loads(command("get", JOBS[9], "--verify", "-o", "json").out)
    assert record["listed"]["taskCounts"]["active"] == 9
    assert {each["invariant"] for each in record["inconsistencies"]} == {"verified"}
    strict = command("get", JOBS[9], JOBS[0], "--verify", "--strict", "-o", "json")
    assert strict.code == 6
    broken, right = json.loads(strict.out)
    assert (broken["error"]["type"], broken["error"]["path"]) == ("ContractViolation", "taskCounts.active")
    assert right["taskCounts"] == right["listed"]["taskCounts"]
    assert "error: job 'job-09': the counts can't be trusted, a list of all tasks contradicts" in strict.err


def test_doubts_about_the_verifying_list_are_warned_of(many: Emulator, command: RunCommand) -> None:
    """A list that names a task twice does not contradict the counts, but has a warning."""
    many.fault("wrong-shape", variant="repeated-item")
    ended = command("get", JOBS[9], "--verify")
    assert ended.code == 0
    assert "warning: job 'job-09': the list names a task again that it had named before" in ended.err
    assert command("get", JOBS[9], "--verify", "--strict").code == 6


@pytest.mark.parametrize("output", ["table", "json", "ndjson", "tsv"])
@pytest.mark.parametrize("options", [(), ("--exact",)])
def test_an_interruption_keeps_what_was_counted(
    emulator: Emulator,
    command: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    options: tuple[str, ...],
) -> None:
    """The counts before Ctrl-C are still written."""
    report = get.report
    answers = 0

    def interrupted(job: str, result: Result) -> Exit:
        nonlocal answers
        answers += 1
        if answers == 2:
            raise KeyboardInterrupt
        return report(job, result)

    monkeypatch.setattr(get, "report", interrupted)
    ended = command("get", "empty", "empty", "empty", "-o", output, *options)
    assert ended.code == 130
    assert ended.out.count("empty") == 2


def test_many_jobs_from_a_pipe_are_not_kept(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The memory for ndjson doesn't grow with the number of jobs."""

    def get_many(_: TaskCountsClient, jobs: Iterator[str], **__: Any) -> Iterator[JobResult]:
        for job in jobs:
            yield JobResult(job_id=job, error=ValueError("x"))

    monkeypatch.setattr(TaskCountsClient, "get_many", get_many)
    monkeypatch.setattr(get, "print_error", lambda *_: None)
    monkeypatch.setattr(NdjsonWriter, "add", lambda *_: None)
    (tmp_path / "jobs").write_text("\n".join(f"job-{number}" for number in range(20_000)), encoding="utf-8")
    with (tmp_path / "jobs").open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        tracemalloc.start()
        try:
            assert command("get", "-", "-o", "ndjson").code == 2
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 1_000_000


def test_positions_are_returned_once() -> None:
    """Each result gets its number once, and the number is then forgotten."""
    numbered = JobSequence([None, "a", "b", None, None, "a", None])
    assert list(numbered.next_batch()) == ["a", "b"]
    assert list(numbered.next_batch()) == ["a"]
    assert not numbered.ended
    assert list(numbered) == []
    assert [numbered.take_number(job) for job in ("b", "a", "a")] == [1, 0, 2]
    assert (numbered.count, numbered.ended, numbered._pending) == (3, True, {})


def test_progress_vanishes(many: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a long operation shows its progress in a line that is erased in the end."""
    terminal = FakeTerminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    ticker = ProgressLine(shown=True)
    ticker.show("{:,} seen", 12345)
    ticker.show("{:,} seen", 12346)
    ticker.clear()
    ticker.clear()
    assert terminal.getvalue() == "\r12,345 seen\r           \r"
    for stream, shown in ((FakeTerminal(), False), (io.StringIO(), True), (None, True)):
        monkeypatch.setattr(sys, "stderr", stream)
        silent = ProgressLine(shown=shown)
        silent.show("{}", 1)
        silent.clear()
        assert stream is None or stream.getvalue() == ""
    # A terminal that goes away costs no counts.
    monkeypatch.setattr(sys, "stderr", FakeTerminal())
    ticker = ProgressLine(shown=True)
    sys.stderr.close()
    ticker.show("{}", 1)
    ticker.clear()
