"""Options that several commands share: durations, accounts, and how they reach a command."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from support.command_line import RunCommand
from taskcounts.base_client import DEFAULT_API_VERSION
from taskcounts_cli.app import COMMANDS, cli
from taskcounts_cli.input.jobs import JobSource, job_options
from taskcounts_cli.input.options import Account, Duration, account_options, log_attempts
from taskcounts_cli.input.wait_options import WaitOptions, wait_options
from taskcounts_emulator import Emulator
from taskcounts_emulator.state.pool import MAX_POOL_SLOTS

EACH = """
a b --filter x --own 4 --for percent=50 --timeout 1h --stall 5m --interval 7 --max-failures 2
--fail-fast --exact-at-end --empty-is-done --service-timeout 3 --attempt-timeout 9s
--endpoint e --account a --key QUFB --auth entra --allow-token-over-http --api-version 2025-06-01
"""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("0.5", 0.5),
        ("10m", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h30", 3630),
        ("1d", 86400),
        ("1d2h3m4.5s", 93784.5),
        ("1.5h", 5400),
        (" 2H ", 7200),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is a number of seconds, or numbers with units from the largest to the smallest."""
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-5",
        "0",
        "0s",
        "0h0m",
        "5x",
        "500ms",
        "1m1h",
        "1 h",
        "inf",
        "nan",
        "1e3",
        "٣",
        "1.",
        "auto",
        "1" * 400,
    ],
)
def test_invalid_durations_are_refused(text: str) -> None:
    """Any other text is refused with examples of durations."""
    with pytest.raises(click.BadParameter, match="is not a duration above 0; give seconds, or 90s"):
        Duration().convert(text, None, None)


def test_words_for_no_duration() -> None:
    """A word such as auto stands for None where it is allowed."""
    assert Duration("auto").convert("Auto", None, None) is None
    assert Duration("auto").convert("5", None, None) == 5
    assert Duration().convert(35.0, None, None) == 35.0


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    """Law: a duration with units is the sum of its parts."""
    whole = hours * 3600 + minutes * 60 + seconds
    if whole:
        assert Duration().convert(f"{hours}h{minutes}m{seconds}s", None, None) == whole


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    """Law: any text gives a finite time above 0 or a refusal."""
    try:
        seconds = Duration().convert(text, None, None)
    except click.BadParameter:
        return
    assert seconds is not None
    assert 0 < seconds < math.inf


def values(*arguments: str) -> dict[str, Any]:
    """Return the arguments that a command with all shared options gets."""
    got: dict[str, Any] = {}

    @click.command()
    @job_options
    @wait_options
    @click.option("--own", default=3)
    @account_options
    def command(**given: Any) -> None:
        got.update(given)

    names = ("ENDPOINT", "ACCOUNT", "ACCESS_KEY", "API_VERSION")
    done = CliRunner(env={f"AZURE_BATCH_{name}": None for name in names}).invoke(
        command, arguments, standalone_mode=False
    )
    if done.exception is not None:
        raise done.exception
    return got


def test_a_command_gets_values() -> None:
    """Each decorator passes one value, whatever other options a command has."""
    assert values() == {
        "own": 3,
        "source": JobSource(named=(), everything=False, filter=None),
        "wait": WaitOptions(
            until="done",
            deadline=math.inf,
            attempt_timeout=35.0,
            others={
                "stall": math.inf,
                "interval": None,
                "max_failures": 10,
                "fail_fast": False,
                "exact_at_end": False,
                "empty_is_done": False,
                "service_timeout": None,
            },
        ),
        "account": Account(
            endpoint=None,
            account=None,
            key=None,
            key_file=None,
            auth="shared-key",
            allow_token_over_http=False,
            api_version=DEFAULT_API_VERSION,
        ),
    }


def test_each_option_is_handed_over() -> None:
    """Each given option is in the values."""
    given = values(*shlex.split(EACH))
    assert given["source"] == JobSource(named=("a", "b"), everything=False, filter="x")
    assert given["wait"] == WaitOptions(
        until="percent=50",
        deadline=3600,
        attempt_timeout=9,
        others={
            "stall": 300,
            "interval": 7,
            "max_failures": 2,
            "fail_fast": True,
            "exact_at_end": True,
            "empty_is_done": True,
            "service_timeout": 3,
        },
    )
    account = given["account"]
    assert (account.endpoint, account.account, account.key) == ("e", "a", "QUFB")
    assert (account.auth, account.allow_token_over_http) == ("entra", True)
    assert account.api_version == "2025-06-01"
    assert "QUFB" not in repr(account)


# Invalid values of each option that takes one.
NUMBERS = ("", "x", "-1", "99999999999999999999")
DURATIONS = ("", "x", "0", "-1", "nan", "inf")
REFUSED: dict[str, tuple[str, ...]] = {
    "--account": ("a b", "https://a"),
    "--api-version": ("", " ", "2023-05-01.17.0", "2025-06-01 "),
    "--attempt-timeout": DURATIONS,
    "--auth": ("", "x"),
    "--clock": ("", "x"),
    "--concurrency": (*NUMBERS, "0", "257"),
    "--data": ("", "/"),
    "--endpoint": (" ", "ftp://h", "http://h/x", "http://u:p@h", "http://h:99999"),
    "--filter": ("", " "),
    "--for": ("", "x", "count>=0"),
    "--interval": DURATIONS,
    "--key": ("x", "\xfc"),
    "--key-file": ("", "/", "/no/such/file"),
    "--max-failures": ("", "x", "0", "-1"),
    "--notify": ("", "ftp://h", "http://"),
    "--output": ("", "x"),
    "--port": (*NUMBERS, "65536"),
    "--record": ("", "/"),
    "--scenario": ("", "/"),
    "--seed": ("", "x", str(2**63)),
    "--service-timeout": (*NUMBERS, "0", "31"),
    "--slots": (*NUMBERS, str(MAX_POOL_SLOTS + 1)),
    "--speed": ("", "x", "-1", "nan", "inf"),
    "--stall": DURATIONS,
    "--timeout": DURATIONS,
}
# Anything may be a host to listen on, or a job in a recording: only trying tells.
TRIED = {"--host", "--job"}


def _with_values() -> Iterator[tuple[str, str]]:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                yield name, parameter.opts[-1]


@pytest.mark.parametrize(("name", "option"), list(_with_values()))
def test_an_error_names_the_option(
    emulator: Emulator, command: RunCommand, name: str, option: str, tmp_path: Path
) -> None:
    """An error names the option as the user writes it, and by no other name."""
    if option in TRIED:
        return
    needed = {
        "get": ["--all"] if option == "--filter" else ["x"],
        "wait": ["--all"] if option == "--filter" else ["x"],
        "watch": ["--all"] if option == "--filter" else ["x"],
        "replay": [__file__],
        "plot": [__file__, "-o", str(tmp_path / "x.svg")],
    }
    for value in REFUSED[option]:
        ended = command(name, *needed.get(name, []), f"{option}={value}")
        assert ended.code == 2, ended
        first = ended.err.splitlines()[0]
        assert first.startswith("error: Invalid value for ")
        assert f"'{option}'" in first.partition(": ")[2].partition(": ")[0]
        assert option[2:].replace("-", "_") not in first.replace(option, "") or "-" not in option[2:]


def test_an_error_names_the_variable_too(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in a variable's value names the variable."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "ftp://h")
    assert "'--endpoint' (env var: 'AZURE_BATCH_ENDPOINT'): the endpoint is not" in command("get", "x").err


def test_a_key_file_is_named(emulator: Emulator, command: RunCommand, tmp_path: Path) -> None:
    """The error about an invalid key in a file names --key-file."""
    (tmp_path / "key").write_text("no key!")
    ended = command("get", "x", "--key-file", str(tmp_path / "key"))
    assert ended.code == 2
    assert ended.err.startswith("error: Invalid value for '--key-file': the access key is not Base64")
    assert "no key!" not in ended.err


def test_warnings_are_shown(command: RunCommand, capfd: pytest.CaptureFixture[str]) -> None:
    """A warning of the client is shown without --verbose too."""
    assert command("completion", "zsh").code == 0
    log_attempts(verbose=False)
    logger = logging.getLogger("taskcounts")
    logger.warning("look here")
    logger.info("an attempt")
    assert capfd.readouterr().err == "look here\n"
