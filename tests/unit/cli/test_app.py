"""The command line as a whole: usage, version, completion, interruption, defects."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import pty
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from support.command_line import CommandResult, RunCommand, start, start_shell, wait_until
from taskcounts import TaskCountsError, __version__
from taskcounts_cli import __main__, app
from taskcounts_cli.exits import Exit
from taskcounts_cli.input.options import Account
from taskcounts_emulator import Emulator


@pytest.fixture(autouse=True)
def _garbage_is_collected() -> Iterator[None]:
    """Restore the garbage collection that the console script sets for its own process."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_version(command: RunCommand) -> None:
    """--version prints name and version."""
    ended = command("--version")
    assert (ended.code, ended.out) == (0, f"taskcounts {__version__}\n")


COMMANDS = ("get", "wait", "watch", "replay", "plot", "completion", "demo", "emulate")


@pytest.mark.parametrize("name", COMMANDS)
def test_help(command: RunCommand, name: str) -> None:
    """Every command and every option has a help text."""
    for option in ("-h", "--help"):
        ended = command(name, option)
        assert ended.code == 0
        assert f"Usage: taskcounts {name}" in ended.out
    found = app.cli.get_command(click.Context(app.cli), name)
    assert found is not None
    assert all(each.help for each in found.params if isinstance(each, click.Option))


def test_help_has_all_commands_and_exit_codes(command: RunCommand) -> None:
    """The main help has every command, the most useful first, and every exit code."""
    shown = command("-h").out
    names = re.findall(r"^  (\w+)", shown.partition("Commands:")[2], re.MULTILINE)
    assert tuple(names) == COMMANDS
    assert tuple(app.cli.to_info_dict(click.Context(app.cli))["commands"]) == COMMANDS
    told = shown.partition("Exit codes:")[2].partition("Options:")[0]
    codes = {int(code) for code in re.findall(r"\b\d+\b", told)}
    assert codes == {int(code) for code in Exit}


@pytest.mark.parametrize("name", ["get", "wait", "watch"])
def test_examples_in_help_are_right(command: RunCommand, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The examples in the help are valid."""
    # Not every machine has the commands that are notified.
    monkeypatch.setattr("shutil.which", lambda *_: "/bin/true")
    shown = command(name, "-h").out
    examples = re.findall(rf"^ +taskcounts {name} (.*)$", shown, re.MULTILINE)
    assert len(examples) >= 2
    found = app.cli.get_command(click.Context(app.cli), name)
    assert found is not None
    for example in examples:
        arguments = shlex.split(re.split(r" && | < | > | \| ", example)[0])
        assert found.make_context(name, arguments).params


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(command: RunCommand, shell: str) -> None:
    """Each shell's script completes the commands."""
    assert "_TASKCOUNTS_COMPLETE" in command("completion", shell).out


def test_completion_prints_no_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Completing a command line prints nothing."""
    app.cli.make_context("taskcounts", ["--version"], resilient_parsing=True)
    assert capsys.readouterr().out == ""


def test_names_are_completed_without_loading() -> None:
    """Completions are the commands and options with that prefix, with their help."""
    context = click.Context(app.cli)
    found = app.cli.shell_complete(context, "w")
    assert [(each.value, each.help) for each in found] == [
        ("wait", "Wait until jobs are done, and print how they ended."),
        ("watch", "Show the progress of jobs until each is done."),
    ]
    assert [each.value for each in app.cli.shell_complete(context, "--v")] == ["--version"]
    assert app.cli.shell_complete(context, "t") == []


def test_completion_completes() -> None:
    """bash gets the commands that begin with the typed letters."""
    environment = {
        **os.environ,
        "_TASKCOUNTS_COMPLETE": "bash_complete",
        "COMP_WORDS": "taskcounts g",
        "COMP_CWORD": "1",
    }
    process = start(env=environment)
    assert process.communicate(timeout=20)[0] == "plain,get\n"
    assert process.returncode == 0


def test_a_defect_is_reported_in_one_line(command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error is one line and exit code 70; its traceback is printed on request."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(Account, "client", broken)
    ended = command("get", "x")
    assert ended.code == 70
    assert ended.err.startswith("error: a defect of taskcounts: KeyError: 'surprise'\nhint: ")
    monkeypatch.setenv("TASKCOUNTS_TRACEBACK", "1")
    with pytest.raises(KeyError):
        app.run(["get", "x"])


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (OSError(28, "No space left on device"), 74, "No space left on device"),
        (OSError(13, "Permission denied", "/some/file"), 74, "/some/file: Permission denied"),
        (click.ClickException("no\nsuch thing"), 2, "no such thing"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_other_ends(
    command: RunCommand, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    """Any error of a command is reported in one line."""

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Account, "client", broken)
    ended = command("get", "x")
    assert (ended.code, ended.err.strip()) == (code, f"error: {says}")


def test_a_closed_pipe_has_its_exit_code(command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe ends a command with exit code 141 and no message."""

    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(Account, "client", broken)
    # Click wraps both when a pipe breaks.
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    assert command("get", "x") == CommandResult(141, "", "")


def test_unwritable_output_is_discarded() -> None:
    """Output that cannot be written is discarded, so that the flush at exit does not fail."""
    with Path("/dev/full").open("w") as full:
        full.write("never written")
        app.flush_or_discard(full)
        full.flush()
    app.flush_or_discard(full)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_disk(emulator: Emulator, unbuffered: str) -> None:
    """Output that can't be written is an error, not a success."""
    with Path("/dev/full").open("w") as full:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        process = start("get", "empty", "-o", "ndjson", stdout=full, env=environment)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 74
    assert err == "error: No space left on device\n"


@pytest.mark.parametrize(
    "arguments", ["get empty", "get empty -o json", "get empty -o tsv", "completion bash"]
)
def test_no_standard_output(emulator: Emulator, arguments: str) -> None:
    """Without a standard output, a command fails."""
    process = start_shell(f"{arguments} >&-")
    assert process.communicate(timeout=20)[1] == "error: there is no standard output to write to\n"
    assert process.returncode == 74


@pytest.mark.parametrize("where", ["/dev/full", "&-"])
def test_the_counts_are_written_without_stderr(emulator: Emulator, where: str) -> None:
    """If errors can't be written, the other counts still are, and the exit code is right."""
    process = start_shell(f"get no-such-job empty -o tsv 2>{where}")
    assert "\nempty\t0" in process.communicate(timeout=20)[0]
    assert process.returncode == 3


def test_interrupted_while_loading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while modules load is reported in one line."""

    class Impatient:
        """A module whose import is interrupted by Ctrl-C."""

        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "taskcounts_cli.app", Impatient())
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_no_standard_output_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standard output that is None is reported."""
    monkeypatch.setattr(sys, "stdout", None)
    assert app.run(["get", "x"]) == 74


def test_broken_pipe(emulator: Emulator) -> None:
    """A reader that closes the pipe ends the command with exit code 141 and no message."""
    process = start("get", *["empty"] * 50, "-o", "ndjson")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 141


def test_interrupted_while_waiting(emulator: Emulator) -> None:
    """Ctrl-C in the middle of a call is exit code 130 and one line, below the terminal's own ^C."""
    emulator.fault("slow", seconds=30, times=1)
    process = start("get", "empty", "-v")
    wait_until(lambda: not emulator.faults.as_json())
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == "\nerror: interrupted\n"
    assert process.returncode == 130


def test_terminal_table(emulator: Emulator) -> None:
    """On a terminal the heading is bold, and no id is cut, however narrow the window."""
    ours, theirs = pty.openpty()
    process = start(
        "get", "nightly-render", stdout=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "30"}
    )
    process.communicate(timeout=20)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "nightly-render" in shown
    assert "\x1b[1mjob" in shown


def test_without_its_packages(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without click the command says what to install."""
    monkeypatch.setitem(sys.modules, "click", None)
    monkeypatch.delitem(sys.modules, "taskcounts_cli.app")
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert "install taskcounts with its extra 'cli'" in capsys.readouterr().err


def test_a_missing_module_of_ours_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing module of our own is not reported as a missing extra."""
    monkeypatch.setitem(sys.modules, "taskcounts_cli.exits", None)
    monkeypatch.delitem(sys.modules, "taskcounts_cli.app")
    with pytest.raises(ModuleNotFoundError):
        __main__.main()


def test_main_exits_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console script exits with the command's code, without a last garbage collection."""
    monkeypatch.setattr(sys, "argv", ["taskcounts", "get"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert gc.get_threshold()[0] > 10_000
    assert gc.get_freeze_count() > 0


def test_demo_as_a_command(command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """`taskcounts demo` runs the demonstration; an error or Ctrl-C is reported in one line."""
    monkeypatch.setattr("taskcounts_cli.commands.demo.run_demo", lambda say: say("shown"))
    assert command("demo").out == "shown\n"
    for error, code in (
        (TaskCountsError("it\nbroke"), 5),
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), 70),
    ):

        def broken(say: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("taskcounts_cli.commands.demo.run_demo", broken)
        ended = command("demo")
        assert ended.code == code
        assert ended.err.strip().splitlines()[0].startswith("error: ")


def test_an_incomplete_installation_is_a_defect(command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing module of our own is reported as a defect, not as a missing extra."""
    monkeypatch.setitem(sys.modules, "taskcounts_emulator", None)
    assert command("demo").code == 70


def test_no_command_shows_the_help(command: RunCommand) -> None:
    """Without a command the help is shown."""
    assert command().out == command("--help").out


def test_importing_the_module_runs_nothing() -> None:
    """Tools that import every module of a package start no command."""
    importlib.import_module("taskcounts.__main__")
