"""`taskcounts wait`: one verdict on stdout, messages on stderr, an exit code for each outcome."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.command_line import RunCommand
from taskcounts.waiting.values import Outcome
from taskcounts_emulator import Emulator

# The tests don't wait longer than they must.
FAST = ("--interval", "0.02")

DONE = [{"count": 3, "state": "completed", "result": "success"}]
FAILED = [*DONE, {"id": "bad-one", "state": "completed", "result": "failure"}]
RUNNING = [*DONE, {"count": 2, "state": "running"}, {"count": 4}]
MOVING = [{"count": 4, "seconds": 0.3}]


@pytest.fixture
def jobs(emulator: Emulator) -> Emulator:
    """An emulator with a job for each outcome of a wait."""
    emulator.load({"pools": [{"id": "pool", "slots": 2}]})
    for job, tasks in (("done", DONE), ("failed", FAILED), ("running", RUNNING)):
        emulator.add_job(job, tasks)
    emulator.add_job("moving", MOVING, pool="pool")
    return emulator


@pytest.mark.parametrize(
    ("arguments", "code", "verdict"),
    [
        ("done", 0, "job 'done': done, all"),
        ("moving", 0, "job 'moving': done, all"),
        ("failed", 1, "job 'failed': done, "),
        ("failed --for any-failed", 0, "job 'failed': "),
        ("done --for any-failed", 1, "job 'done': "),
        ("done --for percent=100", 0, "job 'done': "),
        ("running --for percent=30", 0, "job 'running': percent=30 is reached"),
        ("running --for count>=3", 0, "job 'running': completed>=3 is reached"),
        ("running --for no-active --timeout 0.5", 124, "job 'running': timed out after "),
        ("running --timeout 0.3s", 124, "job 'running': timed out after "),
        ("running --stall 0.3s", 125, "job 'running': stalled"),
        ("empty --timeout 0.3", 124, "job 'empty': timed out after "),
        ("empty --empty-is-done", 0, "job 'empty': done, "),
        ("done --exact-at-end", 0, "job 'done': done, all"),
        ("failed --for all-succeeded --fail-fast", 1, "job 'failed': "),
        ("no-such-job", 3, "job 'no-such-job': there is no such job"),
    ],
)
def test_a_verdict_for_each_end(
    jobs: Emulator, command: RunCommand, arguments: str, code: int, verdict: str
) -> None:
    """Stdout has one line, and each outcome its exit code."""
    ended = command("wait", *arguments.split(), *FAST)
    assert (ended.code, len(ended.out.splitlines())) == (code, 1)
    assert ended.out.startswith(verdict)


def test_progress_is_shown(jobs: Emulator, command: RunCommand) -> None:
    """Each change is a line on stderr with its time; with -q there is none."""
    ended = command("wait", "moving", *FAST)
    lines = ended.err.splitlines()
    assert len(lines) >= 2
    assert all(line[8:].startswith("Z job 'moving': ") for line in lines)
    assert lines[-1].endswith("4 of 4 tasks completed")
    assert command("wait", "moving", "-q", *FAST).err == ""


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ({"kind": "busy", "retry_after": 0}, 5, "503 ServerBusy"),
        ({"kind": "wrong-shape", "variant": "negative"}, 6, "can't be trusted"),
        ({"kind": "slow", "seconds": 30}, 5, "no answer"),
        ({"kind": "bad-gateway"}, 5, "502"),
    ],
)
@pytest.mark.usefixtures("no_pauses")
def test_a_lost_status(
    jobs: Emulator, command: RunCommand, fault: dict[str, Any], code: int, says: str
) -> None:
    """A lost status has the exit code of its last error, which only the verdict names."""
    jobs.fault(**fault)
    ended = command("wait", "done", "--max-failures", "1", "--attempt-timeout", "0.2", *FAST)
    assert ended.code == code
    assert ended.out.startswith("job 'done': status lost")
    assert says in ended.out
    assert ended.err == ""


def test_failed_polls_are_warned_of_and_end_nothing(jobs: Emulator, command: RunCommand) -> None:
    """A wait reports failed polls, and goes on."""
    jobs.fault("wrong-shape", variant="negative", times=2)
    ended = command("wait", "done", *FAST)
    assert ended.code == 0
    assert ended.err.startswith("warning: job 'done': the answer can't be trusted: ")
    assert "2 polls in a row" in ended.err


def test_a_wrong_key(jobs: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key is reported at once with a hint, and isn't shown."""
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "c2VjcmV0LXNlY3JldA==")
    ended = command("wait", "done", "failed", *FAST)
    assert ended.code == 4
    assert ended.out == "2 jobs: 0 done, 2 lost (done, failed)\n"
    assert ended.err.count("status lost") == 2
    assert ended.err.count("hint: account, key and endpoint must belong together") == 1
    assert "c2VjcmV0" not in ended.out + ended.err


def test_several_jobs(jobs: Emulator, command: RunCommand) -> None:
    """For several jobs stdout has a summary, stderr each verdict; the first unmet one decides the code."""
    ended = command("wait", "done", "running", "failed", "no-such-job", "--timeout", "0.5", *FAST)
    assert ended.out == "4 jobs: 1 done, 1 timed out (running), 1 failed (failed), 1 gone (no-such-job)\n"
    assert ended.code == 124
    verdicts = [line[10:] for line in ended.err.splitlines() if line[8:9] == "Z"]
    assert any(line.startswith("job 'done': done, all") for line in verdicts)
    assert "job 'no-such-job': there is no such job" in verdicts
    assert command("wait", "failed", "no-such-job", "done", *FAST).code == 1
    assert command("wait", "no-such-job", "failed", "done", *FAST).code == 3
    both = command("wait", "done", "moving", *FAST)
    assert (both.code, both.out) == (0, "2 jobs: 2 done\n")


def test_many_that_did_not_end_well(jobs: Emulator, command: RunCommand) -> None:
    """The summary names the first few jobs of each outcome."""
    ended = command("wait", *(f"none-{number}" for number in range(5)), "-q", *FAST)
    assert ended.out == "5 jobs: 0 done, 5 gone (none-0, none-1, none-2 and 2 more)\n"


def test_json(jobs: Emulator, command: RunCommand) -> None:
    """A JSON array has the verdicts in the order named, however many there are."""
    ended = command("wait", "moving", "failed", "-o", "json", *FAST)
    first, second = json.loads(ended.out)
    assert (first["jobId"], first["outcome"], first["confirmed"]) == ("moving", Outcome.MET, True)
    assert (second["jobId"], second["outcome"], second["taskId"]) == ("failed", "failed", "bad-one")
    assert second["snapshot"]["taskCounts"]["failed"] == 1
    assert ended.code == 1
    [record] = json.loads(command("wait", "done", "-o", "json", *FAST).out)
    assert record["text"].startswith("job 'done': done, all")


def test_ndjson(jobs: Emulator, command: RunCommand) -> None:
    """Each verdict is written at once as a line of JSON."""
    ended = command("wait", "moving", "done", "-o", "ndjson", "-q", *FAST)
    records = [json.loads(line) for line in ended.out.splitlines()]
    assert [(each["jobId"], each["outcome"]) for each in records] == [("done", "met"), ("moving", "met")]
    assert ended.err == ""


def test_jobs_from_elsewhere(jobs: Emulator, command: RunCommand) -> None:
    """Jobs can come from standard input or the account's list; a repeated one is reported."""
    ended = command("wait", "-", *FAST, "-o", "json", stdin="done\n\n# no\nDONE\nmoving\n")
    assert [each["jobId"] for each in json.loads(ended.out)] == ["done", "moving"]
    assert "warning: job 'DONE' is named more than once" in ended.err
    ended = command("wait", "--all", "--filter", "startswith(id,'mov')", *FAST)
    assert ended.code == 0
    assert ended.out.startswith("job 'moving': done, all")


def test_a_key_from_standard_input_is_read_once(jobs: Emulator, command: RunCommand) -> None:
    """A key from a pipe is used both for the list of jobs and for the polls."""
    options = ("--all", "--filter", "startswith(id,'don')", "--key-file", "-", *FAST)
    ended = command("wait", *options, stdin=jobs.key)
    assert (ended.code, ended.out[:17]) == (0, "job 'done': done,")


def test_no_job_is_no_success(emulator: Emulator, command: RunCommand) -> None:
    """Input without jobs, or a filter that matches none, is not a success."""
    for arguments, says in (
        (("-",), "standard input names no job"),
        (("--all", "--filter", "startswith(id,'none')"), "no job matches the filter"),
    ):
        ended = command("wait", *arguments, stdin="")
        assert (ended.code, ended.out, ended.err) == (3, "", f"error: {says}\n")


def test_a_line_that_is_no_job_id(emulator: Emulator, command: RunCommand) -> None:
    """One invalid line ends the command: a wait that skipped a job would look complete."""
    ended = command("wait", "-", stdin="nightly-render\na/b\n")
    assert (ended.code, ended.out) == (2, "")
    assert "'a/b' is not a job id" in ended.err
    assert not emulator.journal.entries()


def test_verdicts_are_passed_on(jobs: Emulator, command: RunCommand) -> None:
    """--notify passes each verdict to a command, whose failure is reported and changes no exit code."""
    ended = command("wait", "done", *FAST, "--notify", "cat", "--notify", "false", "-q")
    assert ended.code == 0
    assert ended.out.startswith("job 'done': done, all")
    assert '"outcome": "met"' in ended.err
    assert "warning: --notify: false ended with exit code 1" in ended.err


def test_attempts_are_logged_with_verbose(jobs: Emulator, command: RunCommand) -> None:
    """With -v each attempt has a line."""
    assert "job 'done', attempt 1: 200" in command("wait", "done", "-v", *FAST).err


def test_a_completed_job_takes_few_requests(jobs: Emulator, command: RunCommand) -> None:
    """A completed job takes a few requests, however many tasks it has."""
    before = len(jobs.journal.entries())
    command("wait", "done")
    assert len(jobs.journal.entries()) - before <= 4
