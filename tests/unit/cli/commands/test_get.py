"""`taskcounts get`: data on stdout, messages on stderr, an exit code for each outcome."""

from __future__ import annotations

import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from support.command_line import RunCommand
from taskcounts_cli.input import options
from taskcounts_emulator import Emulator


def test_table(emulator: Emulator, command: RunCommand) -> None:
    """By default each job has a line of tasks and one of slots, uncut where there is no terminal."""
    ended = command("get", "nightly-render", "empty")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0] == ["job", "active", "running", "completed", "succeeded", "failed", "total", "percent"]
    assert lines[1] == ["nightly-render", "tasks", "5", "7", "4", "2", "2", "16", "25.0", "%"]
    assert lines[2] == ["slots", "5", "14", "4", "2", "2", "23"]
    assert lines[3] == ["empty", "tasks", "0", "0", "0", "0", "0", "0", "-"]
    whole = """
job                    active  running  completed  succeeded  failed  total  percent
nightly-render  tasks       5        7          4          2       2     16   25.0 %
                slots       5       14          4          2       2     23
empty           tasks       0        0          0          0       0      0        -
                slots       0        0          0          0       0      0
"""
    assert ended.out == whole[1:]


def test_json_is_an_array_for_one_job_too(emulator: Emulator, command: RunCommand) -> None:
    """A program gets the same shape however many jobs it asks for, in the service's words."""
    ended = command("get", "nightly-render", "-o", "json")
    [record] = json.loads(ended.out)
    assert record["jobId"] == "nightly-render"
    assert record["taskCounts"] == {"active": 5, "running": 7, "completed": 4, "succeeded": 2, "failed": 2}
    assert record["taskSlotCounts"]["running"] == 14
    assert (record["total"], record["completed"], record["percent"], record["attempts"]) == (16, 4, 25.0, 1)
    assert record["inconsistencies"] == []


def test_ndjson_is_a_line_for_each_job(emulator: Emulator, command: RunCommand) -> None:
    """One JSON object a line; a job that can't be counted has an error and no counts."""
    ended = command("get", "empty", "no-such-job", "nightly-render", "-o", "ndjson", "--concurrency", "1")
    records = sorted((json.loads(line) for line in ended.out.splitlines()), key=lambda each: each["jobId"])
    assert [record["jobId"] for record in records] == ["empty", "nightly-render", "no-such-job"]
    records[1:] = reversed(records[1:])
    assert records[0]["percent"] is None
    assert "taskCounts" not in records[1]
    assert records[1]["error"]["status"] == 404
    assert records[1]["error"]["code"] == "JobNotFound"
    assert records[1]["error"]["attempts"] == 1
    assert records[1]["error"]["message"].startswith("The specified job does not exist.")
    assert ended.code == 3


def test_tsv_leaves_empty_what_is_not_known(emulator: Emulator, command: RunCommand) -> None:
    """A header and a line for each job; an unknown count is empty, never 0."""
    ended = command("get", "nightly-render", "no-such-job", "empty", "-o", "tsv")
    header, *lines = [line.split("\t") for line in ended.out.splitlines()]
    first, missing, empty = (dict(zip(header, line, strict=True)) for line in lines)
    assert (first["active"], first["slots.running"], first["total"], first["percent"]) == (
        "5",
        "14",
        "16",
        "25.0",
    )
    assert missing["active"] == missing["total"] == missing["percent"] == ""
    assert "JobNotFound" in missing["error"]
    assert (empty["active"], empty["percent"]) == ("0", "")


def test_one_bad_job_costs_the_others_nothing(emulator: Emulator, command: RunCommand) -> None:
    """The other counts are shown, the failure is reported, and the exit code is that of the first failure."""
    ended = command("get", "no-such-job", "nightly-render")
    assert ended.code == 3
    assert "nightly-render" in ended.out
    assert ended.err.startswith("error: job 'no-such-job': 404 JobNotFound: ")
    assert "hint: " in ended.err


def test_a_table_of_nothing_is_no_table(emulator: Emulator, command: RunCommand) -> None:
    """Without any counts, stdout stays empty."""
    assert command("get", "no-such-job").out == ""


@pytest.mark.parametrize(
    ("fault", "timeout", "code", "says"),
    [
        ({"kind": "busy", "retry_after": 0}, "2m", 5, "503 ServerBusy"),
        ({"kind": "wrong-shape", "variant": "negative"}, "120", 6, "can't be trusted"),
        ({"kind": "throttled", "retry_after": 3600}, "5s", 5, "the service asks to wait 3600 s"),
        ({"kind": "slow", "seconds": 30}, "0.2", 124, "the deadline of 0.2 s has passed"),
    ],
)
@pytest.mark.usefixtures("no_pauses")
def test_exit_codes_of_failures(
    emulator: Emulator,
    command: RunCommand,
    *,
    fault: dict[str, Any],
    timeout: str,
    code: int,
    says: str,
) -> None:
    """Each kind of failure has an exit code of its own and one line."""
    emulator.fault(**fault)
    ended = command("get", "nightly-render", "--timeout", timeout)
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert ended.code == code
    assert len(errors) == 1
    assert says in errors[0]
    assert ended.out == ""


def test_wrong_key(emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key is exit code 4, and isn't shown."""
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "c2VjcmV0LXNlY3JldA==")
    ended = command("get", "nightly-render")
    assert ended.code == 4
    assert "403 AuthenticationFailed" in ended.err
    assert "c2VjcmV0" not in ended.err


def test_unreachable(command: RunCommand) -> None:
    """A server that is down is exit code 5; each retry is logged as it happens."""
    ended = command("get", "x", "--endpoint", "http://127.0.0.1:9", "--account", "acct", "--key", "QUFB",
                    "--timeout", "0.7")  # fmt: skip
    assert ended.code in (5, 124)
    assert "next attempt in" in ended.err
    assert ended.err.count("error: ") == 1


def test_a_record_of_no_answer(emulator: Emulator, command: RunCommand) -> None:
    """Without an answer, a record has neither status nor code; --attempt-timeout limits one attempt."""
    emulator.fault("slow", seconds=30)
    [record] = json.loads(command("get", "empty", "-o", "json", "--timeout", "0.2").out)
    assert record["error"].keys() == {"type", "text", "attempts", "clientRequestId", "apiVersion"}
    assert record["error"]["type"] == "DeadlineExceeded"
    ended = command("get", "empty", "-o", "json", "--timeout", "1s", "--attempt-timeout", "0.2s")
    assert json.loads(ended.out)[0]["error"]["attempts"] > 1


def test_inconsistent_answers_are_warned_of(emulator: Emulator, command: RunCommand) -> None:
    """Inconsistent counts are shown with a warning, or refused with --strict."""
    emulator.fault("wrong-shape", variant="contradiction")
    ended = command("get", "nightly-render")
    assert ended.code == 0
    assert "warning: job 'nightly-render': taskCounts.completed is 5" in ended.err
    assert "tasks !" in ended.out
    assert "task-counts-completed" in command("get", "nightly-render", "-o", "tsv").out
    assert "task-counts-completed" in command("get", "nightly-render", "-o", "json").out
    strict = command("get", "nightly-render", "--strict")
    assert (strict.code, strict.out) == (6, "")


def test_service_timeout(emulator: Emulator, command: RunCommand) -> None:
    """A timeout outside the service's range is refused with that range."""
    assert command("get", "nightly-render", "--service-timeout", "20").code == 0
    ended = command("get", "nightly-render", "--service-timeout", "31")
    assert ended.code == 2
    assert "'--service-timeout': 31 is not in the range 1<=x<=30" in ended.err


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("AZURE_BATCH_ENDPOINT", "no endpoint is given"),
        ("AZURE_BATCH_ACCOUNT", "no account is given"),
        ("AZURE_BATCH_ACCESS_KEY", "no access key is given"),
    ],
)
def test_missing_settings(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch, missing: str, says: str
) -> None:
    """An error names the missing setting, with the variable and the option that set it."""
    monkeypatch.delenv(missing)
    ended = command("get", "nightly-render")
    assert ended.code == 2
    assert ended.err.splitlines()[0] == f"error: {says}"
    assert missing in ended.err.splitlines()[1]


def test_options_go_before_the_environment(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Endpoint, account and key can be options; the key can come from a file."""
    key_file = tmp_path / "key"
    key_file.write_text(emulator.key + "\n", encoding="utf-8")
    for name in ("ENDPOINT", "ACCOUNT", "ACCESS_KEY"):
        monkeypatch.setenv(f"AZURE_BATCH_{name}", "bm9uc2Vuc2U=")
    options = ("--endpoint", emulator.endpoint, "--account", emulator.account)
    assert command("get", "empty", *options, "--key", emulator.key).code == 0
    assert command("get", "empty", *options, "--key-file", str(key_file)).code == 0
    missing = command("get", "empty", *options, "--key-file", str(tmp_path / "none"))
    assert missing.code == 2
    assert "none" in missing.err


def test_verbose_logs_every_attempt(emulator: Emulator, command: RunCommand) -> None:
    """With -v each attempt has a line; without, only those after which there is another."""
    emulator.fault("busy", times=1, retry_after=0)
    assert "attempt 1: 503 ServerBusy; next attempt in" in command("get", "empty").err
    assert command("get", "empty", "-v").err == "job 'empty', attempt 1: 200\n"


def test_entra(emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """--auth entra uses azure-identity, over plain http only with --allow-token-over-http."""

    class DefaultAzureCredential:
        """A credential that azure-identity would find."""

        def get_token(self, *scopes: str) -> Any:
            """Return a token."""
            assert scopes == ("https://batch.core.windows.net//.default",)
            return types.SimpleNamespace(token="opaque-token")

    module = types.ModuleType("azure.identity")
    module.DefaultAzureCredential = DefaultAzureCredential  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "azure.identity", module)
    refused = command("get", "empty", "--auth", "entra")
    assert refused.code == 2
    assert "plain http" in refused.err
    assert "--allow-token-over-http" in refused.err
    assert command("get", "empty", "--auth", "entra", "--allow-token-over-http").code == 0


def test_credentials_that_find_nothing(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential that gives no token is exit code 4."""

    class Broken:
        """A credential that fails."""

        def get_token(self, *_: str) -> Any:
            """Fail."""
            raise ValueError("nobody is signed in")

    monkeypatch.setattr(options, "entra_credential", Broken)
    ended = command("get", "empty", "--auth", "entra", "--allow-token-over-http")
    assert ended.code == 4
    assert "the credential gave no token: ValueError: nobody is signed in" in ended.err


def test_a_key_from_standard_input(
    emulator: Emulator, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key can come through standard input; a missing standard input is reported."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(emulator.key + "\n"))
    assert command("get", "empty", "--key-file", "-").code == 0
    monkeypatch.setattr(sys, "stdin", None)
    ended = command("get", "empty", "--key-file", "-")
    assert (ended.code, ended.err) == (2, "error: there is no standard input to read the access key from\n")


def test_percentages_are_cut(emulator: Emulator, command: RunCommand) -> None:
    """A job is shown at 100.0 % only if every task of it is completed."""
    emulator.add_job("nearly", [{"count": 1}, {"count": 1999, "state": "completed", "result": "success"}])
    assert "99.9 %" in command("get", "nearly").out
