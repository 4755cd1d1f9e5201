"""Options that several commands share: durations, accounts, and how they reach a command."""

from __future__ import annotations

import math
import shlex
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from taskcounts.cli.jobs import JobSource, job_options
from taskcounts.cli.options import Account, Duration, account_options
from taskcounts.cli.wait_options import WaitOptions, wait_options

EACH = """
a b --filter x --own 4 --for percent=50 --timeout 1h --stall 5m --interval 7 --max-failures 2
--fail-fast --exact-at-end --empty-is-done --service-timeout 3 --attempt-timeout 9s
--endpoint e --account a --key QUFB --auth entra --allow-token-over-http
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
def test_what_is_no_duration(text: str) -> None:
    """Anything else is refused, with what would be right."""
    with pytest.raises(click.BadParameter, match="is no duration above 0; give seconds, or 90s"):
        Duration().convert(text, None, None)


def test_words_among_durations() -> None:
    """A word stands for no duration, where it may."""
    assert Duration("auto").convert("Auto", None, None) is None
    assert Duration("auto").convert("5", None, None) == 5
    assert Duration().convert(35.0, None, None) == 35.0


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    """Law: what is written with units is the sum of its parts."""
    whole = hours * 3600 + minutes * 60 + seconds
    if whole:
        assert Duration().convert(f"{hours}h{minutes}m{seconds}s", None, None) == whole


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    """Law: whatever is typed gives a finite time above 0 or a refusal."""
    try:
        seconds = Duration().convert(text, None, None)
    except click.BadParameter:
        return
    assert seconds is not None
    assert 0 < seconds < math.inf


def values(*arguments: str) -> dict[str, Any]:
    """Return what a command with all shared options gets."""
    got: dict[str, Any] = {}

    @click.command()
    @job_options
    @wait_options
    @click.option("--own", default=3)
    @account_options
    def command(**given: Any) -> None:
        got.update(given)

    names = ("ENDPOINT", "ACCOUNT", "ACCESS_KEY")
    done = CliRunner(env={f"AZURE_BATCH_{name}": None for name in names}).invoke(
        command, arguments, standalone_mode=False
    )
    if done.exception is not None:
        raise done.exception
    return got


def test_a_command_gets_values() -> None:
    """Each decorator hands over one value, whatever other options a command has."""
    assert values() == {
        "own": 3,
        "source": JobSource(named=(), everything=False, filter=None),
        "wait": WaitOptions(
            until="done",
            timeout=math.inf,
            stall=math.inf,
            interval=None,
            max_failures=10,
            fail_fast=False,
            exact_at_end=False,
            empty_is_done=False,
            service_timeout=None,
            attempt_timeout=35.0,
        ),
        "account": Account(
            endpoint=None,
            account=None,
            key=None,
            key_file=None,
            auth="shared-key",
            allow_token_over_http=False,
        ),
    }


def test_each_option_is_handed_over() -> None:
    """What is given is what the values hold."""
    given = values(*shlex.split(EACH))
    assert given["source"] == JobSource(named=("a", "b"), everything=False, filter="x")
    assert given["wait"] == WaitOptions(
        until="percent=50",
        timeout=3600,
        stall=300,
        interval=7,
        max_failures=2,
        fail_fast=True,
        exact_at_end=True,
        empty_is_done=True,
        service_timeout=3,
        attempt_timeout=9,
    )
    account = given["account"]
    assert (account.endpoint, account.account, account.key) == ("e", "a", "QUFB")
    assert (account.auth, account.allow_token_over_http) == ("entra", True)
    assert "QUFB" not in repr(account)
