"""The emulator keeps the contract, in process and over a socket; and the run itself can't pass on nothing."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import schemathesis
from click.testing import CliRunner, Result

from contract import keywords
from contract.__main__ import main
from contract.checks import EVERY_ANSWER
from contract.emulated import make_emulator, make_target, socket_engine
from contract.generated import CHECKS, generate
from contract.keywords import Coverage, Keyword
from contract.probes import OTHER_VERBS, PROBES
from contract.recorder import Recorder, Sent
from contract.reference import AGREEMENTS
from contract.replay import check_steps, read_replay, replay, write_replay
from contract.report import Finding, Report, write_junit
from contract.run import run
from contract.target import Answered, Target
from taskcounts import BearerToken, SharedKey
from taskcounts.net.base import Engine
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts_emulator import Emulator
from taskcounts_rest import contract

TESTS = Path(__file__).parents[1]
VERSIONS = tuple(contract.VERSIONS)


class Spy:
    """An engine that notes the requests that go over another one."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.close = engine.name, engine.close
        self.engine = engine
        self.sent: list[Request] = []

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        """Send a request, and note it."""
        self.sent.append(request)
        return self.engine.send(request, seconds, limit)

    @property
    def secrets(self) -> set[str]:
        """The signatures and tokens that were sent."""
        credentials = {request.headers.get("authorization", "") for request in self.sent}
        return {secret for text in credentials for secret in re.split("[ :]", text) if len(secret) > 20}


@contextmanager
def emulated(
    api_version: str = contract.API_VERSION, over: str = "process", *, named: bool = False
) -> Iterator[tuple[Emulator, Target]]:
    """Yield an emulator, and what asks it: as the run does by itself, or as if somebody had named it."""
    with make_emulator() as emulator:
        target = make_target(emulator, emulator.app if over == "process" else None, api_version)
        if named:
            target.gets_only, target.known, target.moves = True, {}, ()
        with closing(target.engine):
            yield emulator, target


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let schemathesis make only a few requests, where a test is about something else."""
    monkeypatch.setattr(
        "contract.generated.generate", lambda version, job, *_: generate(version, job, 0, 5)[:9]
    )


@pytest.mark.parametrize("api_version", VERSIONS)
def test_the_emulator_keeps_the_contract(api_version: str) -> None:
    """Right and wrong requests by the hundred get what the fragment says, and every check judged some."""
    with emulated(api_version) as (_, target):
        report = run(target)
    assert report.passed, report.text()
    assert not report.skipped
    assert set(report.judged) == {*EVERY_ANSWER, *AGREEMENTS, *PROBES, "keywords", *CHECKS}
    assert report.statuses[200] > 150
    assert report.statuses[400] > 300
    assert re.search(
        r"^keywords: ([0-9]+) of \1 tested both ways; [0-9]+ can't be broken, since",
        report.text(),
        re.MULTILINE,
    )


@pytest.mark.parametrize("api_version", VERSIONS)
def test_generated_requests_are_right_and_wrong(api_version: str) -> None:
    """schemathesis makes requests of both kinds for every operation, and of its boundary coverage too."""
    made = generate(api_version, "nightly-render", 0, 30)
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
    made = generate(contract.API_VERSION, "nightly-render", 0, 30)
    assert {request.method for request in made} >= {"GET", "POST", "DELETE"}
    assert not any(request.method in OTHER_VERBS.get(request.operation, ()) for request in made)


def test_a_seed_gives_the_same_requests_in_any_process() -> None:
    """The requests of a seed are the same in another process, and those of another seed are others."""
    code = (
        "from contract.generated import generate\n"
        f"for made in generate({contract.API_VERSION!r}, 'nightly-render', 7, 5):\n"
        "    print(made.method, made.target, made.headers)"
    )
    outputs = [
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(TESTS), "CI": in_ci},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for in_ci in ("", "1")
    ]
    assert outputs[0] == outputs[1] != ""
    first, second = (generate(contract.API_VERSION, "nightly-render", seed, 5) for seed in (7, 8))
    assert [made.target for made in first] != [made.target for made in second]


def test_schemathesis_is_used_by_its_public_names() -> None:
    """One module alone imports names of schemathesis that aren't public, and it has a reason for them."""
    public = {"schemathesis", *(f"schemathesis.{name}" for name in ("errors", "openapi", "pytest"))}
    internal: dict[str, set[str]] = {}
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names} - public
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                known = getattr(sys.modules.get(node.module), "__all__", ()) if node.module in public else ()
                names = {f"{node.module}.{alias.name}" for alias in node.names if alias.name not in known}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names = {f"{node.value.id}.{node.attr}"} - {
                    f"schemathesis.{name}" for name in (*schemathesis.__all__, "__all__")
                }
            found = {name for name in names if name.partition(".")[0] == "schemathesis"}
            if found:
                internal.setdefault(path.name, set()).update(found)
    assert list(internal) == ["schemathesis_internals.py"], internal


# Keywords


@pytest.mark.parametrize("api_version", VERSIONS)
def test_each_keyword_has_a_request_that_breaks_it_alone(api_version: str) -> None:
    """The keywords' own requests test each of them both ways, whatever else a run sends."""
    coverage = Coverage(api_version)
    with emulated(api_version) as (_, target):
        for request in keywords.requests(api_version, target.job):
            answered = target.ask(request.target, request.headers)
            before = set(coverage.broke)
            coverage.see(answered)
            assert coverage.broke - before == ({request.breaks} if request.breaks else set())
    assert not coverage.missing()
    assert len(coverage.broke) > 40


def test_a_request_that_breaks_two_keywords_tests_neither() -> None:
    """What is refused for one reason says nothing of the other."""
    coverage = Coverage(contract.API_VERSION)
    with emulated() as (_, target):
        answered = target.ask(target.locate(query="timeout=0"), {"return-client-request-id": "perhaps"})
        coverage.see(answered)
        assert not coverage.kept | coverage.broke
        coverage.see(target.ask(target.locate(query="timeout=0")))
    assert coverage.broke == {Keyword("Job_GetTaskCounts", "timeout", "minimum")}


def test_a_keyword_that_is_not_tested_is_reported(monkeypatch: pytest.MonkeyPatch, few: None) -> None:
    """A run over the emulator fails if a keyword wasn't tested, and names it; over an endpoint it says so."""
    left_out = Keyword("Task_List", "maxresults", "maximum")
    see = Coverage.see

    def forgetful(self: Coverage, answered: Answered) -> None:
        see(self, answered)
        self.broke.discard(left_out)

    monkeypatch.setattr(Coverage, "see", forgetful)
    for named in (False, True):
        with emulated(named=named) as (_, target):
            report = run(target)
        assert "not tested: Task_List maxresults maximum" in report.text()
        assert [finding.check for finding in report.findings] == ([] if named else ["keywords"])


def test_an_accepted_breach_of_a_keyword_is_a_finding(monkeypatch: pytest.MonkeyPatch, few: None) -> None:
    """A request that breaks a keyword has to be refused."""
    right = next(keywords.requests(contract.API_VERSION, "nightly-render"))
    wrong = right._replace(breaks=Keyword("Job_GetTaskCounts", "timeout", "minimum"))
    monkeypatch.setattr("contract.keywords.requests", lambda *_: iter([wrong]))
    with emulated() as (_, target):
        report = run(target)
    assert "Job_GetTaskCounts timeout minimum is broken, and it is answered by 200" in report.text()


# What a run doesn't do


def test_a_run_that_saw_no_counts_fails(few: None) -> None:
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
            report = run(target)
            target.engine.close()
            assert not report.passed
            assert "saw-counts" in {finding.check for finding in report.findings}


def test_a_run_over_nothing_fails() -> None:
    """An endpoint that doesn't answer is reported as such."""
    target = Target(
        "http://127.0.0.1:9", "job", SharedKey("nobody", "QUFB"), socket_engine("http://127.0.0.1:9")
    )
    report = run(target)
    assert {finding.check for finding in report.findings} == {"reachable"}
    assert not report.passed
    assert report.text().splitlines()[-1].startswith("http://127.0.0.1:9 WAS NOT CHECKED")


@pytest.mark.parametrize("api_version", VERSIONS)
def test_a_named_endpoint_gets_gets_only(api_version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Towards an endpoint of somebody's, a run sends GETs alone, and slowly."""
    slept: list[float] = []
    asked: list[Answered] = []
    ask = Target.ask

    def noting(self: Target, *arguments: Any, **options: Any) -> Answered:
        asked.append(ask(self, *arguments, **options))
        return asked[-1]

    monkeypatch.setattr(Target, "ask", noting)
    with emulated(api_version, named=True) as (_, target):
        target.pause, target.sleep = 0.2, slept.append
        report = run(target)
    assert report.passed, report.text()
    assert {answered.asked.method for answered in asked} == {"GET"}
    assert slept == [0.2] * len(asked)
    assert set(report.skipped) == {
        "true-counts",
        "movement",
        "repeated-query",
        "other-verbs",
        "jobs",
        "forged-links",
    }
    for name, reason in report.skipped.items():
        assert re.search(rf"^{name} +skipped: {reason}$", report.text(), re.MULTILINE)


def test_weaknesses_of_a_job_are_told(few: None) -> None:
    """A job in which some errors can't be seen is said to be one; the run passes all the same."""
    with emulated(named=True) as (_, target):
        target.job = "empty"
        report = run(target)
    assert report.passed, report.text()
    assert "note: the job has no tasks: every count is 0, and no filter finds any" in report.text()


def test_a_token_serves_as_well(few: None) -> None:
    """With a bearer token, the probes of shared keys are skipped and said to be."""
    with emulated() as (_, target):
        target.credential = BearerToken("opaque-token")
        report = run(target)
    assert report.passed, report.text()
    assert report.skipped["wrong-signature"] == "needs a shared key"


def test_throttling_is_waited_out(few: None) -> None:
    """A 429 isn't held against an endpoint before it has come again after the pauses that it asked for."""
    slept: list[float] = []
    with emulated() as (emulator, target):
        emulator.fault("throttled", times=2, retry_after=7)
        target.sleep = slept.append
        report = run(target)
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
    """A run neither hangs nor crashes: what stops it is reported, with the request."""
    monkeypatch.setattr("contract.target.TIMEOUT", 0.3)
    with emulated(over="socket") as (emulator, target):
        emulator.fault(**fault)
        report = run(target)
    [reachable] = [finding for finding in report.findings if finding.check == "reachable"]
    assert says in reachable.text
    assert reachable.sent is not None
    assert reachable.sent.target.startswith("/jobs/nightly-render/taskcounts")


# Replay


class Deaf:
    """A server that never sends the caller's id back."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [header for header in message["headers"] if header[0] != b"client-request-id"]
                message = message | {"headers": kept}
            await send(message)

        await self.app(scope, receive, sent)


def wire(requests: Iterable[Request]) -> set[tuple[str, str, str | None]]:
    """Return requests by what is the same when they are sent again."""
    return {
        (made.method, made.url.removeprefix("http://emulator.test"), made.headers.get("client-request-id"))
        for made in requests
    }


@pytest.mark.parametrize("api_version", VERSIONS)
def test_a_replay_sends_the_same_requests_and_judges_them(api_version: str, tmp_path: Path) -> None:
    """Findings hold as long as the server is wrong; each request is the one that it was, ids included."""
    path = tmp_path / "contract-replay.json"
    with make_emulator() as emulator:
        emulator.snapshot("fresh")
        wrong = make_target(emulator, Deaf(emulator.app), api_version)
        spy = wrong.engine = Spy(wrong.engine)
        report = run(wrong, examples=5, seed=3)
        assert {finding.check for finding in report.findings} == {"echo"}
        write_replay([report], path, named=False)
        [noted] = read_replay(path)
        before, spy.sent = spy.sent, []
        emulator.restore("fresh")
        check_steps(wrong, noted)
        again, lines = replay(wrong, noted)
        assert len(lines) == len(report.findings) > 10
        assert all(line.startswith("holds: echo: the client-request-id was asked for") for line in lines)
        assert again.findings == report.findings
        # What all else rests on is asked again, too.
        assert set(noted.requests) < {finding.step for finding in report.findings} | {"right-request"}
        noted_requests = {
            (sent.method, sent.target, sent.headers.get("client-request-id"))
            for requests in noted.requests.values()
            for sent in requests
        }
        assert len({guid for _, _, guid in noted_requests}) > 10
        assert noted_requests <= wire(before)
        assert noted_requests <= wire(spy.sent)
        right = make_target(emulator, emulator.app, api_version)
        again, lines = replay(right, noted)
        assert again.passed
        assert {line.partition(":")[0] for line in lines} == {"gone"}
        right.engine.close()
        wrong.engine.close()


def run_bash(line: str, **environment: str) -> str:
    """Return what a command line prints in bash."""
    return subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", line],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        encoding="latin-1",
        check=True,
        timeout=30,
    ).stdout


def test_a_curl_line_sends_the_request(few: None) -> None:
    """The line of a finding, pasted to a shell with a fresh signature, gets what the run got."""
    with emulated(over="socket") as (emulator, target):
        emulator.fault("wrong-shape", variant="negative", operation="Job_GetTaskCounts")
        report = run(target)
        found = next(found for found in report.findings if found.check == "result-body")
        assert found.sent is not None
        line = found.sent.curl(report.endpoint)
        assert line in report.text()
        date = format_datetime(datetime.now(UTC), usegmt=True)
        headers = {**found.sent.headers, "ocp-date": date}
        signed = SharedKey(emulator.account, emulator.key).authorization("GET", found.sent.target, headers)
        if not shutil.which("curl"):
            pytest.skip("there is no curl here")
        answer = run_bash(line, AUTHORIZATION=signed, OCP_DATE=date)
    assert answer.startswith("HTTP/1.1 200")
    assert re.search(r'"[a-z]+": ?-', answer)


@pytest.mark.parametrize(
    "hostile", ["it's $(id) `id` \\ \"", "\x1b[31m\x00".rstrip("\x00") + "\xe9\xff", "", "-o/tmp/x", "@file"]
)
def test_a_curl_line_quotes_anything(hostile: str) -> None:
    """A shell gives curl the very bytes of a request, and the line shows no control characters."""
    line = Sent("GET", f"/jobs/x?q={hostile}", {"client-request-id": hostile}).curl("https://a.example")
    assert line.isascii()
    assert line.isprintable()
    said = run_bash(f"curl() {{ printf '%s\\0' \"$@\"; }}; {line}").split("\0")
    assert (f"client-request-id: {hostile}" if hostile else "client-request-id;") in said
    assert said[-2] == f"https://a.example/jobs/x?q={hostile}"


def test_a_request_says_how_it_was_signed() -> None:
    """Wrong credentials, dates and signatures are described by their kind, and never shown."""
    with emulated() as (emulator, target):
        recorder = Recorder.over(target)
        right = SharedKey(emulator.account, emulator.key).authorization("GET", "/", {"ocp-date": ""})
        recorder.ask(authorization="")
        recorder.ask(authorization="nonsense")
        recorder.ask(authorization=right.replace("emulated", "another"))
        recorder.ask(credential=SharedKey("emulated", "QUFB"))
        recorder.ask(credential=BearerToken("a-made-up-token-of-some-length"))
        recorder.ask(date=datetime.now(UTC) - timedelta(minutes=16), sign_as="/jobs/other")
        recorder.ask(dated=False)
        recorder.ask(headers={"ocp-date": format_datetime(datetime.now(UTC), usegmt=True)})
        recorder.ask(headers={"ocp-date": "yesterday"})
    assert [dict(sent.how) for sent in recorder.sent] == [
        {"credential": "none"},
        {"credential": "nonsense"},
        {"credential": "SharedKey another:…"},
        {"credential": "another key"},
        {"credential": "a made-up token"},
        {"date": "-960 s", "signed": "/jobs/other"},
        {"date": "none"},
        {},
        {},
    ]
    lines = [sent.curl("https://a.example") for sent in recorder.sent]
    assert ["Authorization" in line for line in lines] == [False, *[True] * 8]
    assert ["$OCP_DATE" in line for line in lines] == [*[True] * 6, False, True, False]
    assert "-H 'ocp-date: yesterday'" in lines[-1]


# The command


def asked(emulator: Emulator, junit: Path) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment that check an emulator's socket, as anybody's endpoint."""
    arguments = ["--endpoint", emulator.endpoint, "--job", "nightly-render"]
    environment = {"AZURE_BATCH_ACCOUNT": emulator.account, "AZURE_BATCH_ACCESS_KEY": emulator.key, "CI": "1"}
    return [*arguments, "--rate", "1000", "--junit", str(junit)], environment


def command(arguments: Iterable[str], environment: dict[str, str]) -> Result:
    """Run the command in this process, with what other runs have generated."""
    names = (name for name in os.environ if name.startswith("AZURE_BATCH"))
    return CliRunner(env={**dict.fromkeys(names), **environment}).invoke(main, list(arguments))


def test_the_command_checks_every_version(tmp_path: Path) -> None:
    """Run as `make contract` does, it checks the emulator at each version, and JUnit has a suite for each."""
    junit = tmp_path / "deep" / "contract.xml"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "contract", "--junit", str(junit), "--seed", "11"],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for version in VERSIONS:
        assert f"api-version {version}, seed 11\n" in done.stdout
        assert re.search(
            rf"^http://127\.0\.0\.1:\d+ keeps the contract of {version}; ", done.stdout, re.MULTILINE
        )
    assert done.stdout.splitlines()[-1] == "2 of 2 versions keep the contract"
    suites = ET.parse(junit).getroot().findall("testsuite")  # noqa: S314 - our own file.
    assert [suite.get("name") for suite in suites] == [f"contract {version}" for version in VERSIONS]
    for suite in suites:
        assert suite.get("failures") == "0"
        assert int(suite.get("tests", "0")) == len(suite.findall("testcase")) > 30
    noted = json.loads((junit.parent / "contract-replay.json").read_text())
    assert [(run["api_version"], run["seed"], run["requests"]) for run in noted] == [
        (version, 11, {}) for version in VERSIONS
    ]


def test_the_command_checks_an_endpoint(tmp_path: Path, few: None) -> None:
    """At an endpoint it takes a job and credentials, and checks the version that is named, or the default."""
    with make_emulator() as emulator:
        endpoint, key = emulator.endpoint, emulator.key
        arguments, environment = asked(emulator, tmp_path / "contract.xml")
        default = command(arguments, environment)
        named = command([*arguments, "--api-version", "2025-06-01"], environment)
    for done, version in ((default, contract.API_VERSION), (named, "2025-06-01")):
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[-1].startswith(f"{endpoint} keeps the contract of {version}; ")
        assert key not in done.output


def test_a_broken_contract_can_be_replayed(tmp_path: Path, few: None) -> None:
    """Findings make the command exit with 1; replayed, it says which of them hold, until none does."""
    junit, noted = tmp_path / "contract.xml", tmp_path / "contract-replay.json"
    with make_emulator() as emulator:
        emulator.fault("wrong-shape", variant="negative", operation="Job_GetTaskCounts")
        arguments, environment = asked(emulator, junit)
        done = command(arguments, environment)
        assert done.exit_code == 1, done.output
        assert "result-body" in done.stdout
        assert "BREAKS THE CONTRACT" in done.stdout.splitlines()[-1]
        failures = ET.parse(junit).getroot().findall(".//failure")  # noqa: S314 - our own file.
        assert failures
        assert all((failure.text or "").startswith("curl ") for failure in failures)
        again = command([*arguments, "--replay", str(noted)], environment)
        assert again.exit_code == 1, again.output
        assert again.stdout.count("\nholds: ") == len(failures)
        assert again.stdout.splitlines()[-1] == f"the findings of {noted} HOLD"
        emulator.fault("reset")
        unasked = command([*arguments, "--replay", str(noted)], environment)
        assert unasked.exit_code == 1
        assert "\nnew: reachable: " in unasked.stdout
        assert unasked.stdout.count("\nnot asked: ") == len(failures) - 1
        emulator.clear_faults()
        gone = command([*arguments, "--replay", str(noted)], environment)
        assert gone.exit_code == 0, gone.output
        assert gone.stdout.count("\ngone: ") == len(failures)
        assert gone.stdout.splitlines()[-1] == f"the findings of {noted} are gone"
        # Credentials go nowhere but where the caller says.
        elsewhere = tmp_path / "elsewhere.json"
        elsewhere.write_text(json.dumps([GOOD | {"requests": {"other-verbs": [SENT]}}]), encoding="utf-8")
        for wrong, complaint in (
            (["--replay", str(noted)], "name it with ENDPOINT="),
            ([*arguments, "--replay", str(elsewhere)], "makes the requests of 'other-verbs'"),
            (["--replay", str(noted), *arguments[:2], "--job", "other"], "the job nightly-render, not other"),
        ):
            refused = command(wrong, environment)
            assert refused.exit_code == 2
            assert complaint in refused.stderr


@pytest.mark.parametrize("credential", ["key", "token"])
def test_no_secret_is_written(credential: str, tmp_path: Path, few: None) -> None:
    """Neither the report nor JUnit nor the replay file has a key, a token or a signature."""
    with emulated() as (emulator, target):
        token = "a-token-that-nobody-may-see-0123456789"
        if credential == "token":
            target.credential = BearerToken(token)
        emulator.fault("wrong-shape", variant="negative", operation="Job_GetTaskCounts")
        spy = target.engine = Spy(target.engine)
        report = run(target)
    # Every request is one of a finding's.
    report.findings.append(Finding("any", "any", "right-request", 0, report.requests["right-request"][0]))
    write_junit([report], tmp_path / "contract.xml")
    write_replay([report], tmp_path / "contract-replay.json", named=True)
    written = report.text() + "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    assert len(report.findings) > 10
    assert len(spy.secrets) > 1 if credential == "key" else token in spy.secrets
    assert not [secret for secret in {emulator.key, token, *spy.secrets} if secret in written]


GOOD: dict[str, Any] = {
    "endpoint": None,
    "api_version": contract.API_VERSION,
    "seed": 0,
    "examples": 1,
    "job": "nightly-render",
    "findings": [],
    "requests": {},
}
SENT = {"method": "GET", "target": "/jobs", "headers": {}, "how": {}}


GARBLED: tuple[dict[str, Any], ...] = (
    {"api_version": "1999-01-01.1.0"},
    {"seed": -1},
    {"seed": 10**400},
    {"examples": 10**9},
    {"job": "../x"},
    {"job": "x\n"},
    {"requests": {"right-request": []}},
    {"requests": {"no-such-step\x1b[31m": [SENT]}},
    {"requests": {"schemathesis 99999": [SENT]}},
    {"requests": {"keywords 0": [SENT | {"target": "/jobs/x?api-version=1"}]}},
    {"requests": {"keywords 0": [SENT | {"headers": {"authorization": 1}}]}},
    {"findings": [{"check": "echo"}]},
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b"[null]",
        b'[{"endpoint": NaN}]',
        *(json.dumps([GOOD | wrong]).encode() for wrong in GARBLED),
    ],
)
def test_a_garbled_replay_file_is_wrong_usage(content: bytes, tmp_path: Path) -> None:
    """A file that no run has written is refused with one line, and nothing is sent."""
    path = tmp_path / "replay.json"
    path.write_bytes(content)
    done = command(["--replay", str(path)], {})
    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    [*_, line] = done.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    assert len(line) < 600
    assert line.isprintable()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--endpoint", "https://account.example"), "JOB="),
        (("--endpoint", "https://account.example", "--job", "../x"), "not a job id"),
        (("--endpoint", "ftp://account.example", "--job", "x"), "not the URL"),
        (("--endpoint", "https://account.example", "--job", "x"), "AZURE_BATCH_ACCESS_KEY"),
        (("--api-version", "2024-07-01"), "2025-06-01"),
        (("--replay", "no-such-file"), "does not exist"),
        (("--replay", "."), "is a directory"),
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


def test_a_report_counts_what_it_cuts(few: None) -> None:
    """A report shows three findings of a check and counts the rest."""
    with emulated() as (emulator, target):
        emulator.fault("wrong-shape", variant="null")
        report: Report = run(target)
    assert "more of result-body" in report.text()
