"""Hostile surroundings: what comes from outside neither forges a line nor costs a verdict."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from attrs import evolve

from support.command_line import RunCommand
from support.observations import NOON, judged, seen, snapshot
from taskcounts import TaskCountsClient
from taskcounts.many.values import ListedJob
from taskcounts.snapshot import Inconsistency
from taskcounts.waiting.values import Verdict
from taskcounts_cli.exits import Exit
from taskcounts_cli.input.jobs import JobSource, read_ids
from taskcounts_cli.input.options import log_attempts
from taskcounts_cli.messages import print_error
from taskcounts_cli.notify import (
    INTERRUPTED_TIMEOUT,
    SECRET_VARIABLES,
    Notifier,
    environment,
    parse_target,
)
from taskcounts_cli.output.events import event_line, event_record, serializable
from taskcounts_cli.output.formatting import last_known
from taskcounts_cli.output.records import dumps
from taskcounts_cli.output.verdicts import outcome_text, report, verdict_line
from taskcounts_cli.output.viewers import LineViewer, NdjsonViewer
from taskcounts_cli.session import _StopSignal
from taskcounts_cli.viewer import SessionResult
from taskcounts_emulator import Emulator

FORGED = "done\x1b[2J\nerror: all is lost"
LINE = "done error: all is lost"


def unwritable(job: str = "j") -> Verdict:
    """Return a verdict that JSON can't hold."""
    return judged(job, snapshot=snapshot(job, additional_properties={"more": 10**5000}))


def ended(*verdicts: Verdict, interrupted: int | None = None) -> SessionResult:
    """Return a session that came to these verdicts."""
    return SessionResult(
        jobs=tuple(each.job_id for each in verdicts),
        verdicts={each.job_id: each for each in verdicts},
        last={},
        interrupted=interrupted,
        ended_at=NOON,
    )


def test_numbers_that_json_does_not_know() -> None:
    """What isn't finite is null at any depth, and the rest as it was."""
    value = {"a": [math.inf, 1.5, "x"], "b": {"c": math.nan}, "d": (1, -math.inf)}
    assert json.loads(dumps(value)) == {"a": [None, 1.5, "x"], "b": {"c": None}, "d": [1, None]}


def test_an_event_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Of an event that JSON can't hold the rest is written, and one line says what is missing."""
    event = unwritable()
    assert json.loads(event_line(event_record(event))) == event_record(event) | {"snapshot": None}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: what the service added to the counts of job 'j' can't be written")
    fine = event_record(judged("j"))
    assert serializable(fine) is fine


@pytest.mark.parametrize("output", ["json", "ndjson"])
def test_no_verdict_is_lost_with_its_counts(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A verdict whose counts JSON can't hold comes all the same, and so do the others."""
    verdicts = unwritable("one"), judged("two")
    if output == "json":
        report(ended(*verdicts), output)
        values = json.loads(capsys.readouterr().out)
    else:
        viewer = NdjsonViewer(observations=False)
        for verdict in verdicts:
            viewer.judge(verdict)
        values = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["jobId"], each["snapshot"] is None) for each in values] == [("one", True), ("two", False)]


def test_no_line_is_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """Texts from outside are one line each, without control characters."""
    print_error("no", FORGED)
    lines = LineViewer()
    lines.begin(["a", "b"])
    lines.judge(judged("a", text=FORGED))
    assert capsys.readouterr().err == f"error: no\nhint: {LINE}\n12:00:00Z {LINE}\n"
    assert outcome_text(ended(judged("a", text=FORGED)), "a") == LINE
    assert verdict_line(ended(judged("a", text=FORGED))) == LINE
    lost = SessionResult(jobs=(FORGED, "b"), verdicts={}, last={}, interrupted=2, ended_at=NOON)
    assert verdict_line(lost) == f"2 jobs: 0 met, 2 interrupted ({LINE}, b)"
    assert last_known(seen("a", job_state=FORGED), NOON).endswith(f"the job is {LINE}")


def test_a_signal_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes once the loop is closed, or nobody waits for it any more, raises nothing."""

    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    signals = _StopSignal()
    signals._wake = closed
    signals._handle(signal.SIGINT, None)
    assert signals.received == signal.SIGINT

    async def stop() -> None:
        task = asyncio.create_task(signals.wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    signals.received = None
    asyncio.run(stop())
    assert signals._wake is None
    signals._handle(signal.SIGTERM, None)
    assert signals.received == signal.SIGTERM


class Hanging:
    """A target that answers when it is stopped."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def send(self, verdict: Verdict) -> str | None:  # noqa: ARG002 - a target's.
        """Wait."""
        self.go.wait(60)
        return None

    def stop(self) -> None:
        """Go on."""
        self.go.set()


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Let each wait for threads be interrupted; yields the limits that it had."""
    limits: list[float] = []
    notifiers: list[Notifier] = []

    def join(notifier: Notifier, limit: float) -> None:
        limits.append(limit)
        notifiers.append(notifier)
        raise KeyboardInterrupt

    monkeypatch.setattr(Notifier, "_join", join)
    yield limits
    # Nothing is told when the test is over, and its stderr closed.
    assert all(ended.wait(20) for notifier in notifiers for ended in notifier._ended)


def test_ctrl_c_ends_only_the_finish(interrupted: list[float]) -> None:
    """Ctrl-C while somebody is being told ends that, and not what came of the session."""
    with Notifier([Hanging()]) as notifier:
        pass
    with Notifier([]) as notifier:
        notifier.interrupted = True
    with pytest.raises(KeyboardInterrupt), Notifier([]):
        raise KeyboardInterrupt
    assert interrupted[1:] == [1, INTERRUPTED_TIMEOUT, 1, INTERRUPTED_TIMEOUT, 1]


@pytest.mark.parametrize("name", ["wait", "watch"])
def test_the_verdict_comes_before_the_finish(
    emulator: Emulator, command: RunCommand, interrupted: list[float], name: str
) -> None:
    """Ctrl-C while a notification hangs costs neither the verdict nor its exit code."""
    emulator.add_job("done", [{"state": "completed", "result": "success"}])
    told = command(name, "done", "--notify", "true", "--interval", "0.05")
    assert told.code == 0
    assert told.out.splitlines()[-1].startswith("job 'done': done, all")
    assert len(interrupted) == 2


def test_all_have_one_time_limit() -> None:
    """However many are under way, the limit is that of all of them together."""
    target = Hanging()
    notifier = Notifier([target])
    for number in range(20):
        notifier.judge(judged(f"j{number}"))
    before = time.monotonic()
    notifier.finish(timeout=0.3)
    assert time.monotonic() - before < 3


def test_a_verdict_that_cannot_be_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A verdict that JSON can't hold is told, and the thread ends in order."""
    notifier = Notifier([parse_target("true")])
    notifier.judge(unwritable())
    notifier.finish()
    text = "what the service added to the counts can't be written as JSON"
    assert capsys.readouterr().err == f"warning: --notify: {text} (job 'j')\n"


def test_commands_get_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that identities are proved with reaches a command."""
    names = ["BATCH_ACCESS_KEY", "BATCH_TOKEN", "CLIENT_SECRET", "CLIENT_CERTIFICATE_PASSWORD", "PASSWORD"]
    for name in names:
        monkeypatch.setenv(f"AZURE_{name}", "SECRET")
    assert {f"AZURE_{name}" for name in names} == set(SECRET_VARIABLES)
    assert "SECRET" not in environment(judged("j")).values()


@pytest.mark.parametrize("text", ["https:/x/SECRET", "https:SECRET", "//x/SECRET now"])
def test_a_misspelt_url_is_not_shown(command: RunCommand, text: str) -> None:
    """What may be a URL with a secret isn't repeated when there is no such command."""
    told = command("wait", "j", "--notify", text)
    assert told.code == Exit.USAGE
    assert "the command can't be found" in told.err
    assert "SECRET" not in told.err


def test_doubts_about_the_list_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What speaks against the list of all jobs is told once, however many jobs have it."""
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


def test_warnings_are_shown(command: RunCommand, capfd: pytest.CaptureFixture[str]) -> None:
    """A warning of the client is shown also to those who don't want to see each attempt."""
    assert command("completion", "zsh").code == 0
    log_attempts(verbose=False)
    logger = logging.getLogger("taskcounts")
    logger.warning("look here")
    logger.info("an attempt")
    assert capfd.readouterr().err == "look here\n"


@pytest.mark.parametrize(
    "line", [b"x" * 5000, b"x" * 200_000, b"x" + b" " * 150_000, b"x" + b" " * 4999, b" " * 4096 + b"yyy"]
)
def test_a_line_that_is_too_long_is_one_error(line: bytes) -> None:
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
    """Input that others made non-blocking is waited for."""
    source, sink = os.pipe()
    os.set_blocking(source, False)
    with os.fdopen(source) as stream:
        ids = read_ids(stream)
        assert [next(ids), next(ids)] == [None, None]
        os.write(sink, b"one\n")
        os.close(sink)
        assert [job for job in ids if job is not None] == ["one"]


@pytest.mark.parametrize("text", ["", "  ", "state eq '\udcff'"])
def test_filters_that_are_none(command: RunCommand, text: str) -> None:
    """An empty filter, which would take all jobs, and one that is no text are wrong usage."""
    told = command("get", "--all", "--filter", text)
    assert told.code == Exit.USAGE
    assert "error: Invalid value for '--filter': the filter is " in told.err


def test_a_standard_error_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Talk that comes when stderr is closed is lost without costing anything else."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    print_error("too late", "hint")
    notifier = Notifier([parse_target("false")])
    notifier.judge(judged("j"))
    notifier.finish()


def test_a_session_without_standard_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A watch that is interrupted where there is no stderr ends with its line all the same."""
    result = evolve(ended(judged("a")), verdicts={}, interrupted=2)
    monkeypatch.setattr("sys.stderr", None)
    assert report(result, "view") is Exit.INTERRUPTED
    assert capfd.readouterr().out == "job 'a': interrupted; nothing is known yet\n"
