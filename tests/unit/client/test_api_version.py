"""The api-version of a client: the choice, what is sent in each, where it is shown, and its refusal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import taskcounts
from support.answers import BUSY, Handler, Reply, Script, answer, error
from support.client import ACCESS_KEY, ENDPOINT, KEY, Call
from support.clocks import FakeClock
from support.lists import Lister, page, task
from support.many import Many
from support.rest_calls import BODIES, OPERATIONS, RestCall
from support.waits import STUCK, Job, Service
from taskcounts import (
    AsyncTaskCountsClient,
    BearerToken,
    ContractViolation,
    Outcome,
    ServiceError,
    SharedKey,
    TaskCountsClient,
    TaskCountsError,
    Verdict,
    WaitFailed,
)
from taskcounts_emulator import Emulator
from taskcounts_rest import contract

OTHER = next(version for version in contract.VERSIONS if version != contract.API_VERSION)
SPOKEN = ", ".join(contract.VERSIONS)

each_version = pytest.mark.parametrize("version", contract.VERSIONS)
each_operation = pytest.mark.parametrize("name", OPERATIONS)


@pytest.fixture
def rest(call: Call) -> RestCall:
    return RestCall(awaits=call.awaits)


def wait(call: Call, to: Handler, **options: Any) -> Verdict:
    """Return the verdict of a wait for a job, with either client."""
    client: dict[str, Any] = {"clock": FakeClock(), "transport": httpx.MockTransport(to)}
    client |= options.pop("client", {})
    if not call.awaits:
        with TaskCountsClient(ENDPOINT, KEY, **client) as sync:
            return sync.wait_for_job("job-1", deadline=600, **options)

    async def ask() -> Verdict:
        async with AsyncTaskCountsClient(ENDPOINT, KEY, **client) as asynchronous:
            return await asynchronous.wait_for_job("job-1", deadline=600, **options)

    return asyncio.run(ask())


def refusal(code: str = "UnsupportedRequestVersion", **details: str) -> Reply:
    """Return an error of the service with details."""
    values = [{"key": key, "value": value} for key, value in details.items()]
    text = "The request is refused.\nRequestId:1\nTime:2"
    return answer({"code": code, "message": {"lang": "en-US", "value": text}, "values": values}, 400)


REFUSALS = [
    refusal(),
    refusal(QueryParameterName="api-version", QueryParameterValue="x", Reason="It is not supported"),
    refusal("InvalidQueryParameterValue", QueryParameterName="api-version"),
    refusal("InvalidQueryParameterValue", Reason="unknown", QueryParameterName="API-Version"),
]


def test_the_default(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless an argument chooses another one, it is that of the contract, whatever the environment says."""
    monkeypatch.setenv("AZURE_BATCH_API_VERSION", OTHER)
    assert call.client_type(ENDPOINT, KEY).api_version == contract.API_VERSION


@each_version
def test_a_chosen_version(call: Call, version: str) -> None:
    """A client has the version that it is given, shows it, and can't change it."""
    client = call.client_type(ENDPOINT, KEY, api_version=version)
    assert client.api_version == version
    assert repr(client).endswith(f", api_version='{version}')")
    with pytest.raises(AttributeError):
        client.api_version = OTHER


@pytest.mark.parametrize(
    "version",
    ["", " ", f"{OTHER} ", f"{OTHER}\n", "2023-05-01.17.0", "latest", "\ud800", "x" * 10_000],
    ids=lambda version: ascii(version)[:20],
)
def test_versions_that_are_unknown(call: Call, version: str) -> None:
    """An unknown version is refused with those that the client speaks, in one line."""
    with pytest.raises(
        ValueError, match=f"^api_version .* is not known; this client speaks {SPOKEN}$"
    ) as caught:
        call.client_type(ENDPOINT, KEY, api_version=version)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("version", [None, 2025, b"2025-06-01", [OTHER]], ids=repr)
def test_versions_of_a_wrong_type(call: Call, version: Any) -> None:
    """A version is a string."""
    with pytest.raises(TypeError, match="api_version must be a str, not "):
        call.client_type(ENDPOINT, KEY, api_version=version)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names an account, and no version."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", ENDPOINT)
    monkeypatch.setenv("AZURE_BATCH_ACCOUNT", "myaccount")
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", ACCESS_KEY)
    return monkeypatch


@pytest.mark.parametrize("options", [{}, {"credential": BearerToken("token")}], ids=["key", "token"])
def test_the_version_of_an_environment(
    call: Call, environment: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """The variable chooses the version, an argument comes before it, and an empty one counts as unset."""
    make = call.client_type.from_environment
    assert make(**options).api_version == contract.API_VERSION
    environment.setenv("AZURE_BATCH_API_VERSION", OTHER)
    assert make(**options).api_version == OTHER
    assert make(api_version=contract.API_VERSION, **options).api_version == contract.API_VERSION
    environment.setenv("AZURE_BATCH_API_VERSION", "")
    assert make(**options).api_version == contract.API_VERSION


@pytest.mark.parametrize("version", [" ", "2023-05-01.17.0"])
def test_an_environment_with_an_unknown_version(
    call: Call, environment: pytest.MonkeyPatch, version: str
) -> None:
    """The error names the variable; an argument spares it."""
    environment.setenv("AZURE_BATCH_API_VERSION", version)
    with pytest.raises(ValueError, match=f"^AZURE_BATCH_API_VERSION: api_version '.*speaks {SPOKEN}$"):
        call.client_type.from_environment()
    assert call.client_type.from_environment(api_version=OTHER).api_version == OTHER


@each_version
def test_every_request_names_it(call: Call, version: str, no_pauses: None) -> None:
    """Whatever a client asks, a service that checks signatures accepts it, and sees the version each time."""
    client = {"api_version": version}
    with Emulator(scripted=True, slots=2) as emulator:
        emulator.add_job("job-1", [{"count": 3, "seconds": 1}], pool="render")
        emulator.fault("busy", times=1, retry_after=0)
        to, key = emulator.endpoint, SharedKey(emulator.account, emulator.key)
        limits: dict[str, Any] = {"service_timeout": 20}
        assert call(to, credential=key, client=client, **limits).total == 3
        lister = Lister(awaits=call.awaits)
        assert lister(to, credential=key, client=client, **limits).exact
        many = Many(awaits=call.awaits)
        options = client | {"credential": key}
        assert [job.job_id for job in many.jobs(to, client=options, **limits)] == ["job-1"]
        assert [result.error for result in many(to, ["job-1"] * 3, client=options, **limits)] == [None] * 3
        rest = RestCall(awaits=call.awaits)
        for name in OPERATIONS:
            assert rest(name, to, client=options, timeout=20).status_code == 200
        entries = emulator.journal.entries()
    assert {entry.operation for entry in entries} == set(OPERATIONS)
    assert {entry.status for entry in entries} == {200, 503}
    [spelling] = [
        name for name in contract.VERSIONS[version]["Job_Get"].parameters if name.lower() == "timeout"
    ]
    for entry in entries:
        assert f"api-version={version}" in entry.query.split("&")
        assert f"{spelling}=20" in entry.query.split("&")


@each_version
def test_every_request_of_a_wait_names_it(call: Call, version: str) -> None:
    """So do the counts, the queries and the job's state of a wait, and its list of all tasks."""
    service = Service(Job([(0, "add", "a"), (0, "running", "a"), (200, "succeed", "a")]), FakeClock())
    client = {"clock": service.clock, "api_version": version}
    assert wait(call, service, exact_at_end=True, client=client)
    assert set(service.kinds) >= {"counts", "unfinished", "job", "exact"}
    assert {request.url.params["api-version"] for request in service.requests} == {version}


@each_version
def test_links_at_another_version(call: Call, version: str) -> None:
    """A page at another version isn't asked for: older ones lack the slots, which would count as one each."""
    others = [None, "2019-08-01.10.0", *(set(contract.VERSIONS) - {version})]
    client = {"api_version": version, "clock": FakeClock()}
    lister, many = Lister(awaits=call.awaits), Many(awaits=call.awaits)
    for query in ["$skiptoken=x" + (f"&api-version={other}" if other else "") for other in others]:
        jobs = {"value": [{"id": "a", "state": "active"}], "odata.nextLink": f"{ENDPOINT}/jobs?{query}"}
        tasks = page(task("a", requiredSlots=4), link=f"{ENDPOINT}/jobs/job-1/tasks?{query}")
        asks: list[tuple[Script, Callable[[Script], object]]] = [
            (Script(tasks), lambda to: lister(to, client=client)),
            (Script(answer(), tasks), lambda to: call(to, client=client, verify=True)),
            (Script(answer(jobs)), lambda to: many.jobs(to, client=client)),
        ]
        for script, ask in asks:
            with pytest.raises(
                ContractViolation, match=rf"odata\.nextLink: it is not of api-version {version} alone"
            ) as caught:
                ask(script)
            assert (caught.value.path, caught.value.api_version) == ("odata.nextLink", version)
            assert {request.url.params["api-version"] for request in script.requests} == {version}
            assert len(script.requests) == len(script.replies)


@each_version
@each_operation
def test_generated_functions_send_the_clients(rest: RestCall, name: str, version: str) -> None:
    """Neither a function's default nor its spelling stands against the client's."""
    script = Script(answer(BODIES[name]))
    client = {"api_version": version}
    rest(name, script, client=client)
    rest(name, script, client=client, api_version=version, timeout=7)
    for request in script.requests:
        assert request.url.params["api-version"] == version
    names = contract.VERSIONS[version][name].parameters
    assert script.requests[1].url.params.keys() <= names.keys()
    assert script.requests[1].url.query.lower().endswith(b"timeout=7")


@each_operation
@pytest.mark.parametrize(
    ("version", "named"), [(contract.API_VERSION, OTHER), (OTHER, "2023-05-01.17.0"), (OTHER, "")]
)
def test_generated_functions_can_not_contradict_it(
    rest: RestCall, name: str, version: str, named: str
) -> None:
    """A version that is neither the client's nor the default is refused, and nothing is sent."""
    script = Script(answer(BODIES[name]))
    with pytest.raises(ValueError, match=r"^api-version is ") as caught:
        rest(name, script, client={"api_version": version}, api_version=named)
    assert script.requests == []
    if named:
        assert str(caught.value).endswith(f"this client speaks {version}: give api_version= to the client")


@each_version
@pytest.mark.parametrize("spelling", ["timeout", "timeOut", "TIMEOUT"])
def test_requests_by_hand_in_any_spelling(version: str, spelling: str) -> None:
    """The case of a parameter's name is the version's, however the caller writes it; it is given once."""
    script = Script(answer(BODIES["Job_List"]))
    transport = httpx.MockTransport(script)
    with TaskCountsClient(ENDPOINT, KEY, transport=transport, api_version=version) as client:
        http = client.rest.get_httpx_client()
        http.get("/jobs", params={spelling: 5})
        with pytest.raises(ValueError, match="timeout is given twice"):
            http.get("/jobs", params={spelling: 5, "timeouT": 5})
    [request] = script.requests
    assert request.url.params.keys() <= contract.VERSIONS[version]["Job_List"].parameters.keys()


@each_version
def test_where_it_is_shown(call: Call, version: str, caplog: pytest.LogCaptureFixture) -> None:
    """Snapshots have it, of counts and of lists, and so has each log record of an attempt."""
    caplog.set_level(logging.DEBUG, "taskcounts")
    script = Script(BUSY, answer(), page(task("a")))
    client = {"clock": FakeClock(), "api_version": version}
    snapshot = call(script, client=client, verify=True)
    assert snapshot.listed is not None
    assert snapshot.api_version == snapshot.listed.api_version == version
    assert [vars(record)["api_version"] for record in caplog.records] == [version] * 3


@each_version
def test_errors_have_it(call: Call, version: str) -> None:
    """Every error of a call knows the version of its requests."""
    client: dict[str, Any] = {"clock": FakeClock(), "api_version": version}
    for reply in (BUSY, answer({}), httpx.ConnectError("refused")):
        with pytest.raises(TaskCountsError) as caught:
            call(Script(reply), client=client)
        assert caught.value.api_version == version
    with pytest.raises(ContractViolation) as differs:
        call(Script(answer(), page(task("a"))), client=client | {"strict": True}, verify=True)
    assert differs.value.api_version == version
    with pytest.raises(WaitFailed) as failed:
        wait(call, Script(error(404, "JobNotFound")), client={"api_version": version})
    assert failed.value.api_version == version
    throttled = Script(error(503, "ServerBusy", retry_after="60"))
    results = Many(awaits=call.awaits)(throttled, ["a", "b"], client=client, concurrency=1, deadline=10)
    errors = [result.error for result in results]
    assert "not asked for" in str(errors[1])
    assert [vars(each)["api_version"] for each in errors] == [version, version]


@each_version
@pytest.mark.parametrize("reply", REFUSALS, ids=["code", "details", "parameter", "case"])
def test_a_refused_version(call: Call, version: str, reply: Reply) -> None:
    """One line says what the service refuses and how to choose another version; nothing is retried."""
    script = Script(reply)
    with pytest.raises(ServiceError) as caught:
        call(script, client={"api_version": version, "clock": FakeClock()})
    text = str(caught.value)
    assert (
        f": The request is refused; the service refuses api-version {version}; this client speaks {SPOKEN}: "
        "choose by api_version= or --api-version, or by AZURE_BATCH_API_VERSION, "
        "which from_environment() and the command line read (1 attempt, request id "
    ) in text
    assert text.isprintable()
    assert (len(script.requests), caught.value.status, caught.value.message) == (
        1,
        400,
        "The request is refused.\nRequestId:1\nTime:2",
    )


@pytest.mark.parametrize(
    "reply",
    [
        refusal("InvalidQueryParameterValue"),
        refusal("InvalidQueryParameterValue", QueryParameterName="maxresults"),
        refusal("InvalidQueryParameterValue", QueryParameterValue="api-version"),
        refusal("MissingRequiredQueryParameter", QueryParameterName="api-version"),
        error(400, "InvalidHeaderValue"),
    ],
    ids=["bare", "other", "value", "missing", "header"],
)
def test_other_refusals(call: Call, reply: Reply) -> None:
    """What refuses something else says nothing of versions, and a wait goes on after it."""
    with pytest.raises(ServiceError) as caught:
        call(Script(reply))
    assert "this client speaks" not in str(caught.value)
    service = Service(
        Job([(0, "add", "a"), (0, "succeed", "a")]), FakeClock(), lambda _, n: reply if n < 2 else None
    )
    assert wait(call, service, client={"clock": service.clock})


@pytest.mark.parametrize("reply", REFUSALS, ids=["code", "details", "parameter", "case"])
@pytest.mark.parametrize("answered", [0, 1, 5])
def test_a_wait_ends_at_a_refused_version(call: Call, reply: Reply, answered: int) -> None:
    """No later poll can succeed, so the first refusal ends the wait, whatever was answered before."""
    service = Service(Job(STUCK), FakeClock(), lambda _, n: reply if n >= answered else None)
    verdict = wait(call, service, check=False, client={"clock": service.clock})
    assert (verdict.outcome, verdict.failed_polls) == (Outcome.LOST, 1)
    assert len(service.requests) == answered + 1
    assert isinstance(verdict.error, ServiceError)
    assert f"this client speaks {SPOKEN}: choose by" in verdict.text


def test_many_jobs_at_a_refused_version(call: Call) -> None:
    """Each job has the error as its result, after a single request."""
    script = Script(REFUSALS[0])
    results = Many(awaits=call.awaits)(script, ["a", "b", "c"])
    assert len(script.requests) == len(results) == 3
    assert all(f"this client speaks {SPOKEN}: choose by" in str(result.error) for result in results)


def test_a_version_more_needs_no_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is only in the contract is spoken, with its spelling."""
    new = {
        name: operation._replace(
            parameters={
                {"timeout": "TimeOut", "maxresults": "maxResults"}.get(each, each): (
                    schema | {"const": "2099-01-01", "default": "2099-01-01"}
                    if each == "api-version"
                    else schema
                )
                for each, schema in operation.parameters.items()
            }
        )
        for name, operation in contract.OPERATIONS.items()
    }
    monkeypatch.setitem(contract.VERSIONS, "2099-01-01", new)
    script = Script(answer(BODIES["Task_List"]))
    rest = RestCall(awaits=call.awaits)
    rest("Task_List", script, client={"api_version": "2099-01-01"}, maxresults=3, timeout=7)
    assert script.requests[0].url.query == b"api-version=2099-01-01&maxResults=3&TimeOut=7"
    call(script := Script(answer()), client={"api_version": "2099-01-01"}, service_timeout=7)
    assert script.requests[0].url.query == b"api-version=2099-01-01&TimeOut=7"
    with pytest.raises(ValueError, match=f"speaks {SPOKEN}, 2099-01-01$"):
        call.client_type(ENDPOINT, KEY, api_version="x")


def test_the_wrapper_spells_no_version() -> None:
    """Versions stand in the contract alone."""
    client = Path(taskcounts.__file__).parent
    modules = [*client.rglob("*.py"), *(client.parent / "taskcounts_cli").rglob("*.py")]
    assert len(modules) > 80
    assert [str(path) for path in modules for each in contract.VERSIONS if each in path.read_text()] == []
