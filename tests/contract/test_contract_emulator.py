"""The emulator keeps the contract, in process and over a socket; and the run itself can't pass on nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from contract.__main__ import main
from contract.checks import EVERY_ANSWER
from contract.emulated import make_emulator, make_target, socket_engine
from contract.generated import CHECKS, generate
from contract.probes import OTHER_VERBS, PROBES
from contract.run import Report, run
from contract.target import Answered, Target
from taskcounts import BearerToken, SharedKey
from taskcounts_emulator import Emulator
from taskcounts_rest import contract

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("over", ["process", "socket"])
def test_the_emulator_keeps_the_contract(over: str) -> None:
    """Right and wrong requests by the hundred get what the fragment says, and every check judged some."""
    with make_emulator() as emulator:
        target = make_target(emulator, emulator.app if over == "process" else None)
        report = run(target, examples=100)
        target.engine.close()
    assert report.passed, report.text()
    assert not report.skipped
    assert set(report.judged) == {*EVERY_ANSWER, *PROBES, *CHECKS}
    assert report.statuses[200] > 150
    assert report.statuses[400] > 300


def test_generated_requests_are_right_and_wrong() -> None:
    """schemathesis makes requests of both kinds for every operation, and of its boundary coverage too."""
    made = generate("nightly-render", 30)
    for name in contract.OPERATIONS:
        for_it = [request for request in made if request.operation == name]
        assert sum(request.positive for request in for_it) > 20
        assert sum(not request.positive for request in for_it) > 20
        assert {request.case.meta.phase.name.value for request in for_it if request.case.meta} == {
            "examples",
            "coverage",
            "fuzzing",
        }


def test_generated_requests_change_nothing() -> None:
    """No verb is sent with which the service does something that the fragment leaves out."""
    made = generate("nightly-render", 30)
    assert {request.method for request in made} >= {"GET", "POST", "DELETE"}
    assert not any(request.method in OTHER_VERBS.get(request.operation, ()) for request in made)


def test_a_run_that_saw_no_counts_fails() -> None:
    """With a job that isn't there, or a wrong key, nothing was checked: the run doesn't pass."""
    with make_emulator() as emulator:
        for job, key in (("no-such-job", emulator.key), ("nightly-render", "QUFB")):
            target = Target(
                emulator.endpoint,
                job,
                SharedKey(emulator.account, key),
                socket_engine(emulator.endpoint),
                pause=0,
            )
            report = run(target, examples=1)
            target.engine.close()
            assert not report.passed
            assert "saw-counts" in {finding.check for finding in report.findings}


def test_a_run_over_nothing_fails() -> None:
    """An endpoint that doesn't answer is reported as such."""
    target = Target(
        "http://127.0.0.1:9", "job", SharedKey("nobody", "QUFB"), socket_engine("http://127.0.0.1:9")
    )
    report = run(target, examples=1)
    assert {finding.check for finding in report.findings} == {"reachable"}
    assert not report.passed
    assert report.text().splitlines()[-1].startswith("http://127.0.0.1:9 WAS NOT CHECKED")


def test_a_named_endpoint_gets_gets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Towards an endpoint of somebody's, a run sends GETs alone and a handful of wrong credentials."""
    sent: list[tuple[str, bool]] = []
    ask = Target.ask

    def spy(self: Target, *args: object, **options: object) -> Answered:
        answered = ask(self, *args, **options)  # type: ignore[arg-type]
        # A date that schemathesis made up is refused too, and no guess at a credential.
        refused = answered.status in (401, 403) and "ocp-date" not in answered.asked.headers
        sent.append((answered.asked.method, refused))
        return answered

    monkeypatch.setattr(Target, "ask", spy)
    with make_emulator() as emulator:
        target = make_target(emulator)
        target.gets_only, target.known, target.moves = True, {}, ()
        report = run(target)
        target.engine.close()
    assert report.passed, report.text()
    assert {method for method, _ in sent} == {"GET"}
    assert sum(refused for _, refused in sent) <= 12
    assert set(report.skipped) == {
        "true-counts",
        "movement",
        "malformed-credential",
        "other-account",
        "early-date",
        "repeated-query",
        "signed-query",
        "signed-path",
        "other-verbs",
        "jobs",
        "listed-counts",
        "forged-links",
    }


def test_a_token_serves_as_well() -> None:
    """With a bearer token, the probes of shared keys are skipped and said to be."""
    with make_emulator() as emulator:
        target = make_target(emulator)
        target.credential = BearerToken("opaque-token")
        report = run(target)
        target.engine.close()
    assert report.passed, report.text()
    assert report.skipped["wrong-signature"] == "needs a shared key"


def test_throttling_is_waited_out() -> None:
    """A 429 isn't held against an endpoint before it has come again after the pauses that it asked for."""
    slept: list[float] = []
    with make_emulator() as emulator:
        emulator.fault("throttled", times=2, retry_after=7)
        target = make_target(emulator)
        target.sleep = slept.append
        report = run(target)
        target.engine.close()
    assert report.passed, report.text()
    assert slept == [7.0, 7.0]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "throttled", "retry_after": 100000}, "to be asked again after 100000 s"),
        ({"kind": "throttled", "retry_after": "9" * 90}, "to be asked again"),
        ({"kind": "reset"}, "reset"),
        ({"kind": "truncate"}, "without"),
        ({"kind": "drip", "interval": 1}, "timed out after"),
    ],
)
def test_what_keeps_a_run_from_going_on_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], says: str
) -> None:
    """A run neither hangs nor crashes: what stops it is reported."""
    monkeypatch.setattr("contract.target.TIMEOUT", 0.3)
    with make_emulator() as emulator:
        emulator.fault(**fault)
        target = make_target(emulator)
        report = run(target, examples=1)
        target.engine.close()
    [reachable] = [finding for finding in report.findings if finding.check == "reachable"]
    assert says in reachable.text


def asked(emulator: Emulator, junit: Path) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment that check an emulator's socket, as anybody's endpoint."""
    arguments = ["--endpoint", emulator.endpoint, "--job", "nightly-render"]
    environment = {"AZURE_BATCH_ACCOUNT": emulator.account, "AZURE_BATCH_ACCESS_KEY": emulator.key}
    return [*arguments, "--rate", "1000", "--junit", str(junit)], environment


def command(arguments: Iterable[str], environment: dict[str, str]) -> Result:
    """Run the command in this process, with what other runs have generated."""
    names = (name for name in os.environ if name.startswith("AZURE_BATCH"))
    return CliRunner(env={**dict.fromkeys(names), **environment}).invoke(main, list(arguments))


def test_the_command_checks_an_endpoint(tmp_path: Path) -> None:
    """Run as `make contract` does, it takes a job and credentials, prints a verdict, and writes JUnit."""
    junit = tmp_path / "deep" / "contract.xml"
    with make_emulator() as emulator:
        endpoint = emulator.endpoint
        arguments, environment = asked(emulator, junit)
        cleared = {name: text for name, text in os.environ.items() if not name.startswith("AZURE_BATCH")}
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "contract", *arguments],
            env={**cleared, "PYTHONPATH": str(TESTS), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{endpoint} keeps the contract" in done.stdout.splitlines()[-1]
    assert emulator.key not in done.stdout + done.stderr
    suite = ET.parse(junit).getroot()  # noqa: S314 - our own file.
    assert suite.get("failures") == "0"
    assert int(suite.get("tests", "0")) == len(suite.findall("testcase")) > 30


def test_the_command_reports_a_broken_contract(tmp_path: Path) -> None:
    """Findings make it exit with 1, and stand in the report with what had been asked."""
    junit = tmp_path / "contract.xml"
    with make_emulator() as emulator:
        emulator.fault("wrong-shape", variant="negative")
        done = command(*asked(emulator, junit))
    assert done.exit_code == 1, done.output
    assert "result-body" in done.stdout
    assert "BREAKS THE CONTRACT" in done.stdout.splitlines()[-1]
    assert ET.parse(junit).getroot().findall(".//failure")  # noqa: S314 - our own file.


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--endpoint", "https://account.example"), "JOB="),
        (("--endpoint", "https://account.example", "--job", "../x"), "not a job id"),
        (("--endpoint", "ftp://account.example", "--job", "x"), "not the URL"),
        (("--endpoint", "https://account.example", "--job", "x"), "AZURE_BATCH_ACCESS_KEY"),
    ],
)
def test_the_command_says_what_is_missing(arguments: tuple[str, ...], complaint: str) -> None:
    """Wrong usage is an exit code of 2 and a sentence, and nothing is sent."""
    environment = (
        {} if "AZURE" in complaint else {"AZURE_BATCH_ACCOUNT": "acct", "AZURE_BATCH_ACCESS_KEY": "QUFB"}
    )
    done = command(arguments, environment)
    assert done.exit_code == 2
    assert complaint in done.stderr
    # Nothing else than its own end, which would be a traceback.
    assert isinstance(done.exception, SystemExit)


def test_a_report_counts_what_it_cuts() -> None:
    """A report shows three findings of a check and counts the rest."""
    with make_emulator() as emulator:
        emulator.fault("wrong-shape", variant="null")
        target = make_target(emulator)
        report: Report = run(target)
        target.engine.close()
    assert "more of result-body" in report.text()
