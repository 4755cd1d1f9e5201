"""Laws of the generated client over ours, searched for counterexamples."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import strategies
from support.answers import GUID, Script, answer, wire
from support.client import ENDPOINT, KEY
from support.clocks import FakeClock
from support.rest_calls import OF_A_JOB, OPERATIONS, RestCall, arguments, serve_operations
from support.servers import Server
from taskcounts import AsyncTaskCountsClient, ContractViolation, TaskCountsClient
from taskcounts.flow.drive import run, run_async
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Flow
from taskcounts.protocol.lists import job_get_operation, job_list_operation, task_list_operation
from taskcounts.protocol.messages import Operation, RequestParts
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts_rest import contract
from taskcounts_rest.models import CloudJob, CloudJobListResult, CloudTaskListResult, TaskCountsResult
from taskcounts_rest.types import UNSET

MODELS: dict[str, Any] = {
    "Job_GetTaskCounts": TaskCountsResult,
    "Task_List": CloudTaskListResult,
    "Job_Get": CloudJob,
    "Job_List": CloudJobListResult,
}
NAMES = {"filter_": "$filter", "select": "$select", "maxresults": "maxresults"}
CHECKS = {name: compile_schema(operation.result) for name, operation in contract.OPERATIONS.items()}

job_ids = st.from_regex(contract.PARAMETERS["jobId"]["pattern"], fullmatch=True)
texts = (st.text() | st.text("./%2FfEe\\:;?#&=+~'()*\0\r\n ab-_job1é", max_size=12)).filter(str.strip)
options = st.fixed_dictionaries(
    {}, optional={"filter_": texts, "select": texts, "maxresults": st.integers(1, 1000)}
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(serve_operations)
    yield server
    server.close()


@pytest.fixture(scope="module", params=["sync", "async"])
def rest(request: pytest.FixtureRequest) -> RestCall:
    return RestCall(awaits=request.param == "async")


def query_of(head: bytes) -> str:
    """Return the query of a request's first line."""
    return head.split(b" ")[1].partition(b"?")[2].decode()


def flow(client: Any, name: str, job_id: str, limits: dict[str, Any], known: dict[str, Any]) -> Flow[Any]:
    """Return the client's own exchange for a list, or for a job's state."""
    if name == "Job_Get":
        # The client itself always selects the same.
        options = tuple((NAMES[key], value) for key, value in known.items())
        ask: Operation[Any] = job_get_operation()._replace(parts=RequestParts(name, options))
    else:
        ask = (task_list_operation if name == "Task_List" else job_list_operation)(client.endpoint, **known)
    job = job_id if name in OF_A_JOB else ""
    call = client._call(job, limits["service_timeout"], None, None, limits["client_request_id"])
    return exchange(client._settings, ask, call)


def ask_both(  # noqa: PLR0917 - an operation's options are named.
    rest: RestCall, url: str, version: str, name: str, job_id: str, limits: dict[str, Any], **known: Any
) -> None:
    """Call an operation with the client's own method and with the generated function, one after the other."""
    client_options: Any = {"clock": FakeClock(), "api_version": version}
    function, job = OPERATIONS[name], arguments(name, job_id)
    marked = uuid.UUID(limits["client_request_id"])
    named = {**known, "client_request_id": marked, "timeout": limits["service_timeout"] or UNSET}
    if not rest.awaits:
        with TaskCountsClient(url, KEY, **client_options) as client:
            if name == "Job_GetTaskCounts":
                client.get_job_task_counts(job_id, **limits)
            else:
                run(flow(client, name, job_id, limits, known), client._engine, client._clock)
            function.sync_detailed(*job, client=client.rest, **named)
        return

    async def ask() -> None:
        async with AsyncTaskCountsClient(url, KEY, **client_options) as client:
            if name == "Job_GetTaskCounts":
                await client.get_job_task_counts(job_id, **limits)
            else:
                own = flow(client, name, job_id, limits, known)
                await run_async(own, client._engine, client._clock)
            await function.asyncio_detailed(*job, client=client.rest, **named)

    asyncio.run(ask())


@pytest.mark.parametrize("version", contract.VERSIONS)
@pytest.mark.parametrize("name", OPERATIONS)
@given(
    job_id=job_ids,
    service_timeout=st.none() | st.integers(1, 30),
    client_request_id=st.uuids().map(str),
    given_options=options,
)
@example(
    job_id="schedule:job-1",
    service_timeout=30,
    client_request_id=GUID,
    given_options={"maxresults": 5, "select": "id,state", "filter_": "state eq 'active' or a+b%20"},
)
def test_both_send_the_same(  # noqa: PLR0917 - Hypothesis gives them by name.
    rest: RestCall,
    server: Server,
    version: str,
    name: str,
    job_id: str,
    service_timeout: int | None,
    client_request_id: str,
    given_options: dict[str, Any],
) -> None:
    """Byte for byte, the generated function sends what the client's own method sends, signature included.

    Both name the client's api-version and parameters as it spells them, whatever the function's defaults.
    """
    described = contract.VERSIONS[version][name]
    known = {key: value for key, value in given_options.items() if NAMES[key] in described.parameters}
    limits = {"service_timeout": service_timeout, "client_request_id": client_request_id}
    server.requests.clear()
    ask_both(rest, server.url, version, name, job_id, limits, **known)
    fast, generated = server.requests
    assert generated == fast
    assert fast.startswith(f"GET {described.path.partition('{')[0]}".encode())
    names = {unquote(part.partition("=")[0]) for part in query_of(fast).split("&")}
    assert names <= described.parameters.keys()
    assert f"api-version={version}" in query_of(fast).split("&")


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
def test_answers_are_models_or_refused(rest: RestCall, name: str, data: st.DataObject) -> None:
    """An answer that keeps to the contract becomes exactly its model; every other one is refused."""
    right = data.draw(strategies.answers[name])
    if name == "Job_Get":
        right["id"] = "job-1"
    if "odata.nextLink" in right:
        path = "/jobs/job-1/tasks" if name in OF_A_JOB else "/jobs"
        right["odata.nextLink"] = f"{ENDPOINT}{path}?$skiptoken=x&api-version={contract.API_VERSION}"
    value = data.draw(st.just(right) | strategies.near_misses(st.just(right)))
    try:
        CHECKS[name](value)
        sound = value.get("odata.nextLink") == right.get("odata.nextLink") or "odata.nextLink" not in value
        sound = sound and (name != "Job_Get" or value["id"] == "job-1")
    except Violation:
        sound = False
    script = Script(answer(wire(value)))
    if sound:
        response = rest(name, script)
        assert json.loads(response.content) == value
        assert response.parsed == MODELS[name].from_dict(value)
    else:
        with pytest.raises(ContractViolation):
            rest(name, script)


def test_every_operation_is_compared() -> None:
    """The laws know each operation of the contract."""
    assert set(OPERATIONS) == set(contract.OPERATIONS) == set(MODELS)
