"""The pytest plugin: its fixtures and markers, and that it costs nothing if it is unused."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import httpcore
import pytest
import trustme

import taskcounts_emulator as emulator

pytestmark = pytest.mark.slow  # Its tests run pytest in processes of their own.

# Every run in this process forgets what it imported, and these can't be there twice.
IMPORTED = (emulator, httpcore, trustme)

pytest_plugins = ["pytester"]

HEAD = """
import os
import pytest
from datetime import timedelta
from taskcounts import ServiceBusy, RetryPolicy, SharedKey, TaskCountsClient

def counts(emulator, job_id):
    key = SharedKey(emulator.account, emulator.key)
    once = RetryPolicy(max_attempts=1)
    with TaskCountsClient(emulator.endpoint, key, verify=emulator.ca_path, retry=once) as client:
        return client.get_job_task_counts(job_id).task_counts
"""


def run(pytester: pytest.Pytester, code: str, *options: str) -> pytest.RunResult:
    """Run tests that use the plugin."""
    pytester.makepyfile(HEAD + code)
    return pytester.runpytest_inprocess("-W", "error", "--strict-markers", *options)


def test_a_test_gets_an_emulator(pytester: pytest.Pytester) -> None:
    """It has the added jobs, advances on request, injects faults, and has a journal."""
    run(
        pytester,
        """
def test_it(batch_emulator):
    job_id = batch_emulator.add_job(tasks=5)
    assert counts(batch_emulator, job_id).active == 5
    batch_emulator.step(job_id, start=2)
    assert counts(batch_emulator, job_id).running == 2
    batch_emulator.fail_next(retry_after=1)
    with pytest.raises(ServiceBusy):
        counts(batch_emulator, job_id)
    assert counts(batch_emulator, job_id).running == 2
    assert batch_emulator.journal.operations() == {"Job_GetTaskCounts": 4}

def test_time(batch_emulator):
    job_id = batch_emulator.add_job(tasks=[{"count": 20, "seconds": 60}], pool="any")
    assert counts(batch_emulator, job_id).running == 16
    before = batch_emulator.advance(0)
    assert batch_emulator.advance(60) - before == timedelta(seconds=60)
    found = counts(batch_emulator, job_id)
    assert (found.running, found.succeeded) == (4, 16)
    batch_emulator.snapshot()
    batch_emulator.advance(60)
    assert counts(batch_emulator, job_id).succeeded == 20
    batch_emulator.restore()
    assert counts(batch_emulator, job_id).succeeded == 16
""",
    ).assert_outcomes(passed=2)


def test_ids_are_made_where_none_is_given(pytester: pytest.Pytester) -> None:
    """Generated ids are short and new; a given id is kept, and a repeated one is an error."""
    run(
        pytester,
        """
def test_it(batch_emulator):
    assert batch_emulator.add_job() == "job-1"
    assert batch_emulator.add_job("JOB-2", 0) == "JOB-2"
    assert [batch_emulator.add_job(tasks=1) for _ in range(2)] == ["job-3", "job-4"]
    assert batch_emulator.counts("job-1").tasks.active == batch_emulator.counts("JOB-2").tasks.active == 0
    from taskcounts_emulator import EmulatorError
    for wrong in (("job-1",), (None, -1), (None, True, 3), (None, [{"state": "x"}])):
        with pytest.raises((EmulatorError, TypeError)):
            batch_emulator.add_job(*wrong)
""",
    ).assert_outcomes(passed=1)


def test_failures_are_for_calls_of_ones_choice(pytester: pytest.Pytester) -> None:
    """For an operation, a job, a number of requests, with the options of each kind."""
    run(
        pytester,
        """
def test_it(batch_emulator):
    for _ in range(2):
        batch_emulator.add_job(tasks=1)
    batch_emulator.fail_next("throttled", job="job-2", times=2, retry_after=7)
    batch_emulator.fail_next("busy", operation="Job_List")
    assert counts(batch_emulator, "job-1").active == 1
    for _ in range(2):
        with pytest.raises(ServiceBusy) as caught:
            counts(batch_emulator, "job-2")
        assert caught.value.retry_after == 7
    assert counts(batch_emulator, "job-2").active == 1
    assert batch_emulator.clear_faults() == 1
""",
    ).assert_outcomes(passed=1)


def test_every_test_has_its_own(pytester: pytest.Pytester) -> None:
    """Tests share no state, and no server is left after a test."""
    run(
        pytester,
        """
import httpx
seen = []

@pytest.mark.parametrize("time", [1, 2])
def test_it(batch_emulator, time):
    assert batch_emulator.add_job() == "job-1"
    seen.append(batch_emulator.endpoint)

def test_after():
    for endpoint in seen:
        with pytest.raises(httpx.ConnectError):
            httpx.get(endpoint, trust_env=False)
""",
    ).assert_outcomes(passed=3)


def test_a_marker_gives_the_settings(pytester: pytest.Pytester) -> None:
    """They are arguments of the emulator; the nearest marker has precedence, and others add to it."""
    run(
        pytester,
        """
pytestmark = pytest.mark.batch_emulator(account="outer", slots=3)

def test_outer(batch_emulator):
    assert batch_emulator.account == "outer"
    job_id = batch_emulator.add_job(tasks=5, pool="any")
    assert counts(batch_emulator, job_id).running == 3

@pytest.mark.batch_emulator(account="inner", tls=True, seed=3)
def test_inner(batch_emulator):
    assert batch_emulator.account == "inner"
    assert batch_emulator.endpoint.startswith("https://")
    job_id = batch_emulator.add_job(tasks=5, pool="any")
    assert counts(batch_emulator, job_id).running == 3

@pytest.mark.batch_emulator(scenario={"jobs": [{"id": "a", "tasks": [{"count": 4}]}]})
def test_scenario(batch_emulator):
    assert counts(batch_emulator, "a").active == 4

@pytest.mark.batch_emulator(scripted=False)
def test_the_clock_of_the_machine(batch_emulator):
    from taskcounts_emulator import EmulatorError
    with pytest.raises(EmulatorError):
        batch_emulator.advance(1)
""",
    ).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("batch_emulator(1)", "the marker batch_emulator takes named arguments alone"),
        ("batch_emulator(tsl=True)", "batch_emulator: *unexpected keyword argument 'tsl'"),
        ("batch_emulator(account='x')", "batch_emulator: account 'x' is not the name of a Batch account*"),
        ("batch_emulator(scenario={'job': []})", "batch_emulator: scenario: unknown member 'job'*"),
        ("batch_emulator(host='a..b')", "batch_emulator: port 0 on a..b: cannot listen*"),
    ],
)
def test_a_wrong_marker_is_an_error(pytester: pytest.Pytester, marker: str, said: str) -> None:
    """The error is one line without a traceback of the plugin."""
    result = run(
        pytester,
        f"""
@pytest.mark.{marker}
def test_it(batch_emulator):
    pass
""",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{said}"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_the_environment_names_the_emulator(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that reads the environment finds the emulator, past any proxy; afterwards it is restored."""
    monkeypatch.setenv("AZURE_BATCH_ACCOUNT", "before")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for name in ("AZURE_BATCH_ENDPOINT", "no_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    run(
        pytester,
        """
@pytest.mark.parametrize("time", [1, 2])
def test_plain(batch_environment, time):
    batch_environment.add_job("a", 3)
    with TaskCountsClient.from_environment() as client:
        assert client.get_job_task_counts("a").task_counts.active == 3
    assert os.environ["NO_PROXY"] == "example.com,127.0.0.1,localhost"
    assert os.environ["no_proxy"] == "127.0.0.1,localhost"
    assert "SSL_CERT_FILE" not in os.environ

@pytest.mark.batch_emulator(tls=True)
def test_tls(batch_environment, batch_emulator):
    assert batch_environment is batch_emulator
    batch_emulator.add_job("a", 3)
    with TaskCountsClient.from_environment() as client:
        assert client.get_job_task_counts("a").task_counts.active == 3
    assert os.environ["REQUESTS_CA_BUNDLE"] == os.environ["SSL_CERT_FILE"] == str(batch_emulator.ca_path)

def test_after():
    assert os.environ["AZURE_BATCH_ACCOUNT"] == "before"
    assert not {"AZURE_BATCH_ENDPOINT", "no_proxy", "SSL_CERT_FILE"} & set(os.environ)
""",
    ).assert_outcomes(passed=4)


def test_marker_and_fixtures_are_listed(pytester: pytest.Pytester) -> None:
    """pytest lists them."""
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.batch_emulator(scenario=None, [*][*]settings): the initial scenario of the fixture*"]
    )
    fixtures = pytester.runpytest_inprocess("--fixtures")
    fixtures.stdout.fnmatch_lines(["batch_emulator*"])
    fixtures.stdout.fnmatch_lines(["batch_environment*"])


@pytest.mark.parametrize(("missing", "extra"), [("httptools", "emulator"), ("trustme", "tls")])
def test_without_the_extra_other_tests_run(pytester: pytest.Pytester, missing: str, extra: str) -> None:
    """Only a test with the fixture fails, with one line on what to install."""
    pytester.makeconftest(f"import sys\nsys.modules[{missing!r}] = None\n")
    pytester.makepyfile(
        """
import pytest

def test_other():
    pass

@pytest.mark.batch_emulator(tls=True)
def test_it(batch_emulator):
    pass
"""
    )
    # The names that a library is imported by are a process's own.
    result = pytester.runpytest_subprocess("-W", "error", "--strict-markers")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"* needs {missing}: install taskcounts with its extra '{extra}'"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_missing_package_is_reported(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any ImportError becomes one line of the fixture."""
    pytester.makepyfile("def test_it(batch_emulator):\n    pass\n")
    monkeypatch.setitem(sys.modules, "taskcounts_emulator.server", None)
    monkeypatch.delattr(emulator, "Emulator", raising=False)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["import of taskcounts_emulator.server halted; None in sys.modules"])


def test_loading_it_loads_nothing_else() -> None:
    """pytest loads the plugin in every run, so it must not import anything else."""
    code = """
import sys, importlib, typing, pytest
old = set(sys.modules)
import taskcounts_emulator.pytest_plugin
print(*sorted(set(sys.modules) - old))
"""
    done = subprocess.run(  # noqa: S603 - Our own program, in the Python that runs the tests.
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["taskcounts_emulator", "taskcounts_emulator.pytest_plugin"]


def test_pytest_loads_this_module() -> None:
    """The entry point names the module that the previous test checks."""
    (found,) = entry_points(group="pytest11", name="taskcounts")
    assert found.value == "taskcounts_emulator.pytest_plugin"
