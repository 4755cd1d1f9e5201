"""Notifications to commands and URLs, and their failures."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from attrs import frozen

from support.command_line import RunCommand
from support.observations import judged, seen, unserializable
from taskcounts.waiting.values import Outcome, Verdict
from taskcounts_cli import notify
from taskcounts_cli.exits import Exit
from taskcounts_cli.messages import print_error
from taskcounts_cli.notify import (
    INTERRUPTED_TIMEOUT,
    SECRET_VARIABLES,
    CommandTarget,
    Notifier,
    Target,
    UrlTarget,
    environment,
    parse_target,
)
from taskcounts_cli.output.events import event_record
from taskcounts_emulator import Emulator

VERDICT = judged("job-1", Outcome.FAILED, text="job 'job-1': $(reboot); `x` \x1b[2J'\"")


def python(code: str) -> str:
    """Return a command that runs Python."""
    return f"{sys.executable} -c '{code}'"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the command is empty"),
        ("  ", "the command is empty"),
        ("'unclosed", "the command can't be split into words: no closing quotation"),
        ("no-such-command-anywhere --now", "there is no command 'no-such-command-anywhere'"),
        ("ftp://example.com/x", "a URL must begin with http:// or https://"),
        ("https://", "the URL is invalid or names no host"),
        ("https://example.com:secret/", "the URL is invalid or names no host"),
    ],
)
def test_invalid_recipients_are_refused(text: str, says: str) -> None:
    """A text that is neither an existing command nor a URL is refused before anything is sent."""
    with pytest.raises(ValueError, match=says) as caught:
        parse_target(text)
    assert "secret" not in str(caught.value)


def test_a_command_gets_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command has the verdict as JSON and in its environment, no key, and writes to our stderr."""
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "c2VjcmV0")
    monkeypatch.setenv("AZURE_BATCH_ACCOUNT", "acct")
    code = (
        "import json, os, sys; v = json.load(sys.stdin); json.dump([v, dict(os.environ)], open(sys.argv[1], "
        '"w")); print("told\\x1b[2J", v["outcome"])'
    )
    target = parse_target(f"{python(code)} {tmp_path / 'told'}")
    assert target.send(VERDICT) is None
    value, environ = json.loads((tmp_path / "told").read_text())
    assert value == event_record(VERDICT)
    assert environ["TASKCOUNTS_JOB"] == "job-1"
    assert environ["TASKCOUNTS_OUTCOME"] == "failed"
    assert environ["TASKCOUNTS_TEXT"] == "job 'job-1': $(reboot); `x` '\""
    assert environ["AZURE_BATCH_ACCOUNT"] == "acct"
    assert "c2VjcmV0" not in str(environ)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "told failed\n")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by signal 9"),
    ],
)
def test_a_command_that_fails(code: str, says: str) -> None:
    """The failure of a command is reported in one line."""
    problem = parse_target(python(code)).send(VERDICT)
    assert problem == f"{os.path.basename(sys.executable)} {says}"


def test_a_command_that_cannot_be_run(tmp_path: Path) -> None:
    """A command that no longer exists at the time of the verdict is reported."""
    script = tmp_path / "script"
    script.write_text("no program")
    script.chmod(0o755)
    target = parse_target(str(script))
    assert str(target.send(VERDICT)).startswith("script can't be run: ")


def test_a_command_that_takes_too_long() -> None:
    """A command is ended at its timeout, with the processes it started."""
    code = 'import subprocess, sys; subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])'
    command = CommandTarget((sys.executable, "-c", code), timeout=0.5)
    began = time.monotonic()
    assert str(command.send(VERDICT)).endswith("took longer than 0.5 s and was ended")
    assert time.monotonic() - began < 60


def test_background_processes_of_a_command_are_not_waited_for() -> None:
    """A process that a command leaves behind, with its output open, delays nothing."""
    code = (
        'import subprocess, sys; subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"], '
        "start_new_session=True)"
    )
    began = time.monotonic()
    assert parse_target(python(code)).send(VERDICT) is None
    assert time.monotonic() - began < 15


def test_a_talkative_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the beginning of a long output is shown, with a note that there was more."""
    monkeypatch.setattr(notify, "MAX_OUTPUT_BYTES", 10)
    assert parse_target(python('print("0123456789" * 9)')).send(VERDICT) is None
    assert capsys.readouterr().err.startswith("0123456789\n(the rest of the output of python")


@frozen
class Hook:
    """A server that records POST requests."""

    url: str
    posts: list[tuple[str, dict[str, str], bytes]]


Answer = Callable[[BaseHTTPRequestHandler], object]


@pytest.fixture
def hook() -> Iterator[Callable[[Answer], Hook]]:
    """Start servers on loopback that answer by a function."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> Hook:
        posts: list[tuple[str, dict[str, str], bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                posts.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there.
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Closing it waits for what is being answered.
        server.daemon_threads = False
        # Who asked may have gone.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return Hook(f"http://127.0.0.1:{server.server_port}", posts)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answering(status: int, **headers: str) -> Answer:
    """Return a handler that answers with a status."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", "0")
        handler.end_headers()

    return answer


def test_a_url_gets_the_verdict(hook: Callable[[Answer], Hook]) -> None:
    """A URL gets a POST of the verdict, without anything that authenticates."""
    server = hook(answering(204))
    assert parse_target(f" {server.url}/hook?token=s3cret ").send(VERDICT) is None
    [(path, headers, body)] = server.posts
    assert path == "/hook?token=s3cret"
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers
    assert json.loads(body) == event_record(VERDICT)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_url_that_refuses(hook: Callable[[Answer], Hook], status: int) -> None:
    """A status other than success is reported; a redirect isn't followed."""
    elsewhere = hook(answering(200))
    server = hook(answering(status, location=elsewhere.url))
    problem = parse_target(f"{server.url}/s3cret").send(VERDICT)
    assert problem == f"http://127.0.0.1 answered {status}"
    assert elsewhere.posts == []


def test_an_unreachable_url_is_reported_without_secrets() -> None:
    """The error about a URL shows only its host, since the rest may be a secret."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    problem = parse_target(f"http://user:pass@127.0.0.1:{port}/s3cret").send(VERDICT)
    assert problem == "http://127.0.0.1 could not be reached: ConnectError"


def test_a_url_that_never_answers(hook: Callable[[Answer], Hook]) -> None:
    """A request has a timeout."""
    go = threading.Event()
    server = hook(lambda _: go.wait(30))
    told = UrlTarget(httpx.URL(server.url), timeout=0.3).send(VERDICT)
    go.set()
    assert told == "http://127.0.0.1 could not be reached: ReadTimeout"


def test_a_body_without_an_end(hook: Callable[[Answer], Hook]) -> None:
    """Only the status of an answer is read."""
    go = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"hello")
        go.wait(30)

    server = hook(answer)
    told = parse_target(server.url).send(VERDICT)
    go.set()
    assert told is None


class Slow:
    """A target that blocks until the test lets it go on."""

    def __init__(self, problem: str | None = None, error: OSError | None = None) -> None:
        self.problem, self.error = problem, error
        self.told: list[str] = []
        self.most = self.now = 0
        self.go = threading.Event()
        self.stopped = False
        self.lock = threading.Lock()

    def send(self, verdict: object) -> str | None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.go.wait(30)
        with self.lock:
            self.now -= 1
        self.told.append(getattr(verdict, "job_id", ""))
        if self.error is not None:
            raise self.error
        return self.problem

    def stop(self) -> None:
        self.stopped = True
        self.go.set()


def test_verdicts_are_passed_on_beside_the_watch(capsys: pytest.CaptureFixture[str]) -> None:
    """Sending does not delay the watch, and only a few verdicts are sent at the same time."""
    fine, wrong, full = Slow(), Slow("it answered 404"), Slow(error=OSError(28, "No space left on device"))
    targets: list[Target] = [fine, wrong, full]
    notifier = Notifier(targets)
    notifier.begin(["j"])
    notifier.observe(seen("j"))
    for n in range(20):
        notifier.judge(judged(f"j{n}"))
    notifier.tick()
    notifier.end()
    assert fine.told == []
    for each in (fine, wrong, full):
        each.go.set()
    notifier.finish()
    assert sorted(fine.told) == sorted(f"j{n}" for n in range(20))
    assert fine.most <= notify.MAX_CONCURRENT
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 40
    assert "warning: --notify: it answered 404 (job 'j3')" in lines
    assert (
        "warning: --notify: the verdict can't be stored for the command: No space left on device (job 'j3')"
        in lines
    )


def test_slow_recipients_are_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    """At the end, targets that are still sending are stopped, and those that can't be are reported."""
    slow = Slow()
    stubborn = Slow()
    stubborn.stop = lambda: None  # type: ignore[method-assign]
    notifier = Notifier([slow, stubborn])
    notifier.judge(VERDICT)
    notifier.finish(timeout=0.05)
    assert slow.stopped
    assert capsys.readouterr().err == "warning: some notifications did not end in time\n"
    stubborn.go.set()
    notifier.finish()
    assert stubborn.told == ["job-1"]


def test_a_command_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    """A running command is ended at the end, and none is started afterwards."""
    command = CommandTarget((sys.executable, "-c", "import time; time.sleep(600)"))
    notifier = Notifier([command])
    notifier.judge(VERDICT)
    while not command._running:
        time.sleep(0.01)
    notifier.finish(timeout=0.05)
    notifier.finish()
    assert str(command.send(VERDICT)).endswith("was not run")
    assert "was ended (job 'job-1')" in capsys.readouterr().err


def test_without_groups_the_process_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without process groups, the process itself is ended."""
    monkeypatch.delattr(os, "killpg")
    command = CommandTarget((sys.executable, "-c", "import time; time.sleep(600)"), timeout=0.2)
    assert str(command.send(VERDICT)).endswith("was ended")


def test_nothing_to_stop_for_a_url() -> None:
    """A request ends by itself."""
    parse_target("http://127.0.0.1:9/").stop()


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
    """Interrupt each wait for notifications; the value is the list of their timeouts."""
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
    """Ctrl-C at the end ends only the wait for notifications."""
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
    """All notifications share one timeout."""
    target = Hanging()
    notifier = Notifier([target])
    for number in range(20):
        notifier.judge(judged(f"j{number}"))
    before = time.monotonic()
    notifier.finish(timeout=0.3)
    assert time.monotonic() - before < 3


def test_a_verdict_that_cannot_be_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A verdict that JSON can't hold is reported, and the thread ends."""
    notifier = Notifier([parse_target("true")])
    notifier.judge(judged("j", snapshot=unserializable()))
    notifier.finish()
    text = "what the service added to the counts can't be written as JSON"
    assert capsys.readouterr().err == f"warning: --notify: {text} (job 'j')\n"


def test_commands_get_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command gets no variable that holds a credential."""
    names = ["BATCH_ACCESS_KEY", "BATCH_TOKEN", "CLIENT_SECRET", "CLIENT_CERTIFICATE_PASSWORD", "PASSWORD"]
    for name in names:
        monkeypatch.setenv(f"AZURE_{name}", "SECRET")
    assert {f"AZURE_{name}" for name in names} == set(SECRET_VARIABLES)
    assert "SECRET" not in environment(judged("j")).values()


@pytest.mark.parametrize("text", ["https:/x/SECRET", "https:SECRET", "//x/SECRET now"])
def test_a_misspelt_url_is_not_shown(command: RunCommand, text: str) -> None:
    """A text that may be a URL with a secret isn't repeated in the error."""
    told = command("wait", "j", "--notify", text)
    assert told.code == Exit.USAGE
    assert "the command can't be found" in told.err
    assert "SECRET" not in told.err


def test_a_standard_error_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages to a closed stderr are lost, with no other effect."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    print_error("too late", "hint")
    notifier = Notifier([parse_target("false")])
    notifier.judge(judged("j"))
    notifier.finish()
