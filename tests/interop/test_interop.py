"""Microsoft's clients for Python, new and old, over real sockets; az takes longer: `make interop`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from interop.clients.checks import CHECKS
from interop.run import CLIENTS, QUICK, Client, Outcome, judged, run, table

Runs = dict[str, Future[Outcome]]

AZ = CLIENTS[-1]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """All of them at once: each has an emulator of its own."""
    with ThreadPoolExecutor() as pool:
        yield {client.name: pool.submit(run, client) for client in QUICK}


@pytest.mark.parametrize("operation", CHECKS)
@pytest.mark.parametrize("client", QUICK, ids=lambda client: client.name)
def test_the_client_can_do_it(client: Client, operation: str, runs: Runs) -> None:
    """Each client can do each operation."""
    outcome = runs[client.name].result()
    result = outcome.results[operation]
    assert result.error is None, f"{result.error}; before that it saw: {result.saw}\n{outcome.log}"


def test_a_client_that_does_nothing_fails() -> None:
    """An empty report is no success: each operation is missing from it."""
    outcome = judged(AZ, "", 0)
    assert list(outcome.failures) == AZ.operations
    assert "a token over TLS" not in outcome.failures


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"ok": True, "saw": "id job-1", "error": None}, None),
        ({"ok": False, "saw": "id job-1", "error": "AssertionError: state"}, "AssertionError: state"),
        ({"ok": False, "saw": "id job-1", "error": None}, "the program gave no reason"),
        ({"ok": True, "saw": "", "error": None}, "the program saw nothing"),
    ],
)
def test_a_report_is_judged(told: dict[str, object], error: str | None) -> None:
    """An operation succeeded if its program says so and shows what it saw."""
    outcome = judged(AZ, json.dumps({"operation": "Job_Get", **told}), 0)
    assert outcome.results["Job_Get"].error == error


def test_a_client_that_breaks_off_fails() -> None:
    """Operations after a crash are missing, and the last line of the log says why."""
    report = json.dumps({"operation": "Job_Add", "ok": True, "saw": "answer None", "error": None})
    outcome = judged(AZ, report, 1, "Traceback …\nImportError: no azure\n")
    assert "Job_Add" not in outcome.failures
    assert outcome.failures["Job_Get"] == "not reported; exit code 1: ImportError: no azure"


def test_a_client_that_breaks_at_its_end_fails() -> None:
    """A failure outside the operations shows in the exit code."""
    lines = [
        json.dumps({"operation": name, "ok": True, "saw": "much", "error": None}) for name in AZ.operations
    ]
    assert judged(AZ, "\n".join(lines), 0).failures == {}
    assert judged(AZ, "\n".join(lines), 1, "log").failures == {"the end of the program": "exit code 1: log"}


def test_a_missing_environment_is_an_error() -> None:
    """A missing client must not pass."""
    with pytest.raises(FileNotFoundError, match="'make interop' sets it up"):
        run(Client("none", "no-such-environment", "interop.clients.az"))


def test_the_table_tells_what_failed() -> None:
    """The table has a row for each operation, and names what went wrong below."""
    report = json.dumps({"operation": "Job_Add", "ok": True, "saw": "answer None", "error": None})
    shown = table([judged(AZ, report, 0, seconds=2.5)])
    rows = {line[:50].strip(): line[50:].strip() for line in shown.splitlines()}
    assert (rows["Job_Add"], rows["Job_Get"], rows["a token over TLS"]) == ("ok", "FAIL", "-")
    assert "az: Job_Get: not reported; exit code 0: " in shown
    assert shown.endswith(f"1 passed, {len(AZ.operations) - 1} failed")
