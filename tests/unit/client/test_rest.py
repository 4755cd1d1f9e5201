"""The generated client over ours: its requests are signed, retried, limited in time and checked."""

import asyncio
import copy
import json
import pickle
import subprocess
import sys
import threading
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import taskcounts
from support.answers import BUSY, COUNTS, GUID, Reply, Script, answer, error
from support.client import ACCESS_KEY, ENDPOINT, KEY, TOKEN
from support.clocks import FakeClock
from support.rest_calls import BODIES, OF_A_JOB, OPERATIONS, RestCall, serve_operations
from support.servers import Server, header
from taskcounts import (
    AsyncTaskCountsClient,
    AuthenticationFailed,
    BearerToken,
    ContractViolation,
    DeadlineExceeded,
    JobNotFound,
    RetryPolicy,
    ServiceBusy,
    ServiceError,
    ServiceUnreachable,
    SharedKey,
    TaskCountsClient,
    TaskCountsError,
)
from taskcounts.protocol.messages import MAX_BODY
from taskcounts.snapshot import MAX_DEPTH
from taskcounts_emulator import Emulator
from taskcounts_rest import Client
from taskcounts_rest.api.jobs import job_get, job_get_task_counts, job_list
from taskcounts_rest.contract import API_VERSION

each_operation = pytest.mark.parametrize("name", OPERATIONS)
WRAPPER = str(Path(taskcounts.__file__).parent)


@pytest.fixture(params=["sync", "async"])
def rest(request: pytest.FixtureRequest) -> RestCall:
    return RestCall(awaits=request.param == "async")


def get(rest: RestCall, to: Any, url: str, method: str = "GET", **options: Any) -> httpx.Response:
    """Return the answer to a request that the httpx client underneath is given by hand."""

    def sync(client: Client) -> httpx.Response:
        return client.get_httpx_client().request(method, url, **options)

    async def awaited(client: Client) -> httpx.Response:
        return await client.get_async_httpx_client().request(method, url, **options)

    response: httpx.Response = rest.using(to, sync, awaited)
    return response


@each_operation
def test_each_operation(rest: RestCall, name: str) -> None:
    """Its function returns the model of a checked answer, and the answer with it."""
    body = json.dumps(BODIES[name], indent=8).encode()
    headers: Any = {
        **answer().headers,
        "content-length": str(len(body)),
        "transfer-encoding": "chunked",
        "x-other": "\u20ac".encode(),
    }
    script = Script(Reply(200, headers, body))
    response = rest(name, script)
    assert response.status_code == 200
    assert response.parsed.to_dict() == json.loads(response.content) == BODIES[name]
    assert response.headers["content-length"] == str(len(response.content))
    assert "transfer-encoding" not in response.headers
    assert response.headers["x-other"] == "\u20ac"
    [request] = script.requests
    assert request.headers["authorization"].startswith("SharedKey myaccount:")


def test_against_an_emulator(rest: RestCall, no_pauses: None) -> None:
    """Over a socket, to a service that checks each signature, and is busy and broken in between."""
    with Emulator(slots=4, scripted=True) as emulator:
        emulator.add_job("nightly", [{"count": 6, "seconds": 30}], pool="render")
        options = {"credential": SharedKey(emulator.account, emulator.key)}
        emulator.fault("busy", times=1, retry_after=0)
        emulator.fault("reset", times=1)
        counts = rest("Job_GetTaskCounts", emulator.endpoint, "nightly", client=options).parsed
        assert (counts.task_counts.active, counts.task_counts.running) == (2, 4)
        tasks = rest(
            "Task_List",
            emulator.endpoint,
            "nightly",
            client=options,
            filter_="state eq 'running'",
            select="id,state",
            maxresults=3,
        ).parsed
        assert [task.id for task in tasks.value] == ["task-1", "task-2", "task-3"]
        assert tasks.odata_next_link.startswith(f"{emulator.endpoint}/jobs/nightly/tasks?")
        assert rest("Job_Get", emulator.endpoint, "nightly", client=options).parsed.state == "active"
        assert rest("Job_List", emulator.endpoint, client=options).parsed.value[0].id == "nightly"
        with pytest.raises(JobNotFound):
            rest("Job_Get", emulator.endpoint, "other", client=options)
        wrong = {"credential": SharedKey(emulator.account, ACCESS_KEY)}
        with pytest.raises(AuthenticationFailed):
            rest("Job_List", emulator.endpoint, client=wrong)


@each_operation
def test_every_attempt_is_signed_afresh(rest: RestCall, name: str, clock: FakeClock) -> None:
    """Each has its own date and signature, and the client request id of the call."""
    script = Script(BUSY, error(500, "InternalError"), answer(BODIES[name]))
    retry = RetryPolicy(first_pause=2, jitter=0)
    rest(name, script, client={"clock": clock, "retry": retry}, client_request_id=uuid.UUID(GUID))
    dates = {request.headers["ocp-date"] for request in script.requests}
    assert len(clock.pauses) == 2
    assert len(dates) == len({request.headers["authorization"] for request in script.requests}) == 3
    for request in script.requests:
        target = request.url.raw_path.decode()
        signed = KEY.authorization("GET", target, {"ocp-date": request.headers["ocp-date"]})
        assert request.headers["authorization"] == signed
        assert request.headers["client-request-id"] == GUID


def test_every_attempt_has_a_token_of_its_own(rest: RestCall, clock: FakeClock) -> None:
    """Each attempt fetches its token from the credential."""
    tokens = iter(["first-token", "second-token"])

    class Credential:
        def get_token(self, *_: str, **__: Any) -> Any:
            return type("AccessToken", (), {"token": next(tokens)})

    script = Script(BUSY, answer())
    rest("Job_GetTaskCounts", script, client={"credential": Credential(), "clock": clock})
    sent = [request.headers["authorization"] for request in script.requests]
    assert sent == ["Bearer first-token", "Bearer second-token"]


HTML = Reply(502, {"content-type": "text/html"}, b"<html>Bad Gateway</html>")


@each_operation
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(401, "AuthenticationFailed"), AuthenticationFailed),
        (error(403, "AuthenticationFailed"), AuthenticationFailed),
        (error(404, "JobNotFound"), JobNotFound),
        (BUSY, ServiceBusy),
        (HTML, ServiceError),
        (Reply(302, {"location": "https://elsewhere.example/jobs"}), ServiceError),
        (answer(status=201), ServiceError),
        (Reply(520), ServiceError),
        (answer(b"{"), ContractViolation),
        (answer({}), ContractViolation),
        (answer([]), ContractViolation),
        (Reply(200, {"content-type": "text/html"}, b"{}"), ContractViolation),
        (answer(client_request_id=GUID), ContractViolation),
        (httpx.ConnectError("refused"), ServiceUnreachable),
    ],
    ids=str,
)
def test_what_is_no_answer(
    rest: RestCall, name: str, reply: Reply | Exception, kind: type[TaskCountsError], clock: FakeClock
) -> None:
    """Any answer but a 200 that keeps to the contract is one of our errors, in one line."""
    script = Script(reply)
    with pytest.raises(kind) as caught:
        rest(name, script, client={"clock": clock})
    assert type(caught.value) is kind
    assert caught.value.attempts == len(script.requests)
    assert str(caught.value).isprintable()


def test_the_deadline(rest: RestCall, clock: FakeClock) -> None:
    """The deadline of the client ends the attempts; a pause that doesn't fit isn't begun."""

    def slow(request: httpx.Request) -> Any:
        clock.pass_by(70)
        raise httpx.ReadTimeout("")

    with pytest.raises(DeadlineExceeded) as caught:
        rest("Job_Get", slow, client={"clock": clock, "deadline": 100})
    assert caught.value.attempts == 2
    with pytest.raises(ServiceBusy, match="asks to wait 200 s, the deadline leaves 100 s"):
        rest(
            "Job_Get",
            Script(error(503, "ServerBusy", retry_after="200")),
            client={"clock": clock, "deadline": 100},
        )


def test_the_deadline_of_a_server_that_is_silent(rest: RestCall, serve: Callable[..., Server]) -> None:
    """It holds over a socket too."""
    server = serve(lambda peer: peer.wait())
    with pytest.raises(DeadlineExceeded):
        rest("Job_List", server.url, client={"deadline": 0.2})


def test_concurrency() -> None:
    """No more calls are under way than the client allows, over the generated client and others together."""
    under_way, most = 0, 0
    lock = threading.Lock()
    busy = threading.Event()

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        busy.wait(0.01)
        with lock:
            under_way -= 1
        return Script(answer())(request)

    transport = httpx.MockTransport(handle)
    with TaskCountsClient(ENDPOINT, KEY, transport=transport, concurrency=2) as client:

        def ask(number: int) -> object:
            if number % 2:
                return client.get_job_task_counts("job-1")
            return job_get_task_counts.sync("job-1", client=client.rest)

        with ThreadPoolExecutor(8) as pool:
            assert len(list(pool.map(ask, range(16)))) == 16
    assert most == 2


CONTRADICTORY = {**COUNTS, "taskCounts": {**COUNTS["taskCounts"], "completed": 5}}


def test_counts_that_contradict_each_other(rest: RestCall) -> None:
    """They are returned as they are, or refused by a strict client."""
    reply = answer(CONTRADICTORY)
    assert rest("Job_GetTaskCounts", Script(reply)).parsed.to_dict() == CONTRADICTORY
    with pytest.raises(ContractViolation, match="but succeeded \\+ failed is 3 \\+ 1 = 4"):
        rest("Job_GetTaskCounts", Script(reply), client={"strict": True})


@each_operation
def test_answers_that_are_doubtful(rest: RestCall, name: str) -> None:
    """So are answers from a cache."""
    reply = answer(BODIES[name], age="7")
    assert rest(name, Script(reply)).parsed.to_dict() == BODIES[name]
    with pytest.raises(ContractViolation, match="comes from a cache"):
        rest(name, Script(reply), client={"strict": True})


def test_another_jobs_answer(rest: RestCall) -> None:
    """The answer to Job - Get is about the job of the request."""
    with pytest.raises(ContractViolation, match="another job's"):
        rest("Job_Get", Script(answer(BODIES["Job_Get"])), "job-2")


@pytest.mark.parametrize(("name", "path"), [("Task_List", "/jobs/job-1/tasks"), ("Job_List", "/jobs")])
def test_links_to_next_pages(rest: RestCall, name: str, path: str) -> None:
    """A link stays as it came; one that leads elsewhere is refused."""
    link = f"{ENDPOINT}{path}?$skiptoken=a%2fB!c&api-version={API_VERSION}"
    body = {**BODIES[name], "odata.nextLink": link}
    assert rest(name, Script(answer(body))).parsed.odata_next_link == link
    outdated = link.replace(API_VERSION, "2019-08-01.10.0")
    for other in (f"https://elsewhere.example{path}", f"{ENDPOINT}/jobs/job-2/tasks", "x", outdated):
        with pytest.raises(ContractViolation, match=r"server|another list|alone"):
            rest(name, Script(answer({**body, "odata.nextLink": other})))


@each_operation
def test_how_much_is_read(rest: RestCall, name: str) -> None:
    """Lists may be as large as pages are, other answers as ever."""
    reply = answer({**BODIES[name], "other": "x" * MAX_BODY})
    if name.endswith("List"):
        assert rest(name, Script(reply)).status_code == 200
    else:
        with pytest.raises(ContractViolation, match="larger than"):
            rest(name, Script(reply))


@each_operation
def test_answers_that_are_nested_deep(rest: RestCall, name: str) -> None:
    """Deeply nested members are refused before they are serialised or compared."""
    nested: Any = []
    for _ in range(MAX_DEPTH):
        nested = [nested]
    with pytest.raises(ContractViolation, match="nested too deeply"):
        rest(name, Script(answer({**BODIES[name], "other": nested})))


def test_numbers_and_texts_are_not_changed(rest: RestCall) -> None:
    """Members that the description doesn't name are kept as they were sent."""
    raw = b'"a": [1.10, 1e-7, -0.0, 123456789012345678901234567890], "b": "\\ud83d\\ude00\\ud800 \xc3\xbc"'
    body = json.dumps(COUNTS).encode()[:-1] + b", " + raw + b"}"
    parsed = rest("Job_GetTaskCounts", Script(answer(body))).parsed
    assert repr(parsed.additional_properties["a"]) == "[1.1, 1e-07, -0.0, 123456789012345678901234567890]"
    assert parsed.additional_properties["b"] == "\U0001f600\ud800 \xfc"


HOSTILE = [
    "", ".", "..", "a/b", "../x", "./x", "a%2Fb", "%2e", "%2e%2e", "a\n", "a b", "a\0", "a.b", "a?b", "a#b",
    "ünï", "\ud800", "x" * 65, "x:job-", "x:y", "x" * 100_000, "https://elsewhere.example", "//elsewhere",
]  # fmt: skip


@pytest.mark.parametrize("job_id", HOSTILE, ids=lambda job_id: ascii(job_id)[:30])
@pytest.mark.parametrize("name", OF_A_JOB)
def test_job_ids_that_are_none(rest: RestCall, name: str, job_id: str) -> None:
    """They are refused as those of the client's own methods, whatever httpx would make of the path."""
    script = Script(answer(BODIES[name]))
    kind = UnicodeEncodeError if job_id == "\ud800" else ValueError
    with pytest.raises(kind, match=r"surrogates|is not a job id: 1 to 64 letters") as caught:
        rest(name, script, job_id)
    assert script.requests == []
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"timeout": 0}, ValueError, "service_timeout is 0; the service would refuse it: give 1 to 30"),
        ({"timeout": -1}, ValueError, "service_timeout is -1; the service would refuse it: give 1 to 30"),
        ({"timeout": 31}, ValueError, "service_timeout is 31; the service would use 30"),
        ({"timeout": 5.0}, TypeError, "timeout must be an int, not '5.0'"),
        ({"timeout": True}, TypeError, "timeout must be an int, not 'true'"),
        ({"timeout": "٣"}, TypeError, "timeout must be an int, not '\\\\u0663'"),
        ({"timeout": "9" * 5000}, TypeError, "timeout must be an int, not '99"),
        ({"maxresults": 0}, ValueError, "maxresults is 0; give 1 to 1000"),
        ({"maxresults": 1001}, ValueError, "maxresults is 1001; give 1 to 1000"),
        ({"maxresults": "x\ny"}, TypeError, "maxresults must be an int, not"),
        ({"filter_": " "}, ValueError, "\\$filter is empty; leave it out"),
        ({"filter_": "x\ud800"}, ValueError, "surrogates"),
        ({"filter_": "x" * 100_000}, ValueError, "the URL is not valid: URL component .query. too long"),
        ({"select": ""}, ValueError, "\\$select is empty; leave it out"),
        ({"filter_": ["a", "b"]}, ValueError, "\\$filter is given twice"),
        ({"api_version": "2023-05-01.17.0"}, ValueError, f"this client speaks {API_VERSION}"),
        ({"client_request_id": "x"}, ValueError, "client_request_id 'x' is not a plain GUID"),
        ({"client_request_id": "\xfc"}, ValueError, "ascii"),
    ],
)
def test_arguments_that_are_wrong(
    rest: RestCall, options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    """An argument out of its range or of a wrong type is refused in a line, and nothing is sent."""
    script = Script(answer(BODIES["Task_List"]))
    with pytest.raises(kind, match=text) as caught:
        rest("Task_List", script, **options)
    assert script.requests == []
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_arguments_that_are_none(rest: RestCall) -> None:
    """An argument of None is left out of the request, as in the generated functions."""
    script = Script(answer(BODIES["Task_List"]))
    rest("Task_List", script, filter_=None, select=None, maxresults=None, timeout=None)
    assert str(script.requests[0].url) == f"{ENDPOINT}/jobs/job-1/tasks?api-version={API_VERSION}"


def test_what_belongs_to_an_attempt(rest: RestCall, clock: FakeClock) -> None:
    """A client request id is used in lower case; date and return of the id are the flow's."""
    script = Script(answer())
    rest(
        "Job_GetTaskCounts",
        script,
        client={"clock": clock},
        client_request_id=GUID.upper(),
        return_client_request_id=False,
        ocp_date="Mon, 01 Jan 2001 00:00:00 GMT",
    )
    [request] = script.requests
    assert request.headers["client-request-id"] == GUID
    assert request.headers["return-client-request-id"] == "true"
    assert request.headers["ocp-date"] == "Thu, 01 Aug 2024 12:34:56 GMT"


@pytest.mark.parametrize(
    ("url", "options", "kind", "text"),
    [
        ("/", {}, ValueError, "no such operation; it sends GET to /jobs/{jobId}/taskcounts"),
        ("/pools", {}, ValueError, "no such operation"),
        ("/jobs/", {}, ValueError, "'' is not a job id"),
        ("/jobs/%2e%2e", {}, ValueError, "'..' is not a job id"),
        ("/jobs/a/../b/tasks", {}, ValueError, "no such operation"),
        ("/jobs", {"method": "DELETE"}, ValueError, "no such operation"),
        ("https://user:secret@elsewhere.example/jobs", {}, ValueError, "no such operation"),
        ("/jobs", {"params": {"$expand": "stats"}}, TypeError, "Job_List has no parameter \\$expand"),
        ("/jobs/a", {"params": {"jobId": "b"}}, TypeError, "Job_Get has no parameter jobId"),
        ("/jobs", {"params": {"x\ny": "1"}}, TypeError, "Job_List has no parameter x y"),
        ("/jobs", {"headers": {"x-more": "1"}}, ValueError, "sends no header x-more"),
        ("/jobs", {"auth": ("user", "secret")}, ValueError, "sends no header authorization"),
        ("/jobs", {"content": b"x"}, ValueError, "sends no header content-length"),
    ],
)
def test_requests_by_hand(
    rest: RestCall, url: str, options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    """The httpx client underneath sends the operations and refuses everything else."""
    script = Script(answer(BODIES["Job_List"]))
    with pytest.raises(kind, match=text) as caught:
        get(rest, script, url, **options)
    assert script.requests == []
    assert "secret" not in str(caught.value)


def test_requests_to_other_servers() -> None:
    """Not even a request that was made without it goes anywhere else, or to the account unseen."""
    script = Script(answer(BODIES["Job_List"]))
    with TaskCountsClient(ENDPOINT, KEY, transport=httpx.MockTransport(script)) as client:
        http = client.rest.get_httpx_client()
        for url in ("https://elsewhere.example/jobs", f"{ENDPOINT}:444/jobs"):
            with pytest.raises(ValueError, match="and nowhere else"):
                http.send(httpx.Request("GET", url))
        assert script.requests == []
        assert http.send(httpx.Request("GET", f"{ENDPOINT}:443/jobs")).status_code == 200


def test_cookies_play_no_part(rest: RestCall) -> None:
    """A cookie that some proxy sets isn't sent back."""
    script = Script(answer(BODIES["Job_List"], set_cookie="a=b; Path=/"))

    def sync(client: Client) -> Any:
        return [job_list.sync_detailed(client=client) for _ in range(2)]

    async def awaited(client: Client) -> Any:
        return [await job_list.asyncio_detailed(client=client) for _ in range(2)]

    responses = rest.using(script, sync, awaited)
    assert len(script.requests) == 2
    assert not any("cookie" in request.headers for request in script.requests)
    assert not any("set-cookie" in response.headers for response in responses)


def test_the_environment_plays_no_part(
    rest: RestCall, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies and passwords that httpx finds there aren't used; those of the client's own are."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server = serve(serve_operations)
    rest("Job_List", server.url, client={"trust_env": False})
    assert (header(server.requests[0], "authorization") or "").startswith("SharedKey myaccount:")


# What a server that repeats its request, in JSON's own spelling, says.
def _echo(request: httpx.Request) -> Reply:
    text = request.headers["authorization"].rpartition(":")[2]
    spelled = "".join(f"\\u{ord(letter):04x}" for letter in text).encode()
    return answer(json.dumps(COUNTS).encode()[:-1] + b', "echo": "' + spelled + b'"}', x_echo=text)


def test_a_signature_that_an_answer_repeats(rest: RestCall) -> None:
    """It is hidden from the generated parser too, however it is written."""
    script = Script(_echo)
    response = rest("Job_GetTaskCounts", script)
    secret = script.requests[0].headers["authorization"].rpartition(":")[2]
    assert response.parsed.additional_properties["echo"] == response.headers["x-echo"] == "<hidden>"
    assert secret not in repr(response) + response.content.decode()


@pytest.mark.parametrize("credential", [KEY, BearerToken(TOKEN)], ids=["key", "token"])
@pytest.mark.parametrize(
    "reply",
    [error(403, "AuthenticationFailed"), answer(b"{"), httpx.ReadError("cut")],
    ids=["403", "bad", "cut"],
)
def test_errors_show_no_secret(rest: RestCall, credential: Any, reply: Any, clock: FakeClock) -> None:
    """Neither texts nor the local variables of frames, httpx's and the generated functions' included."""
    script = Script(reply)
    with pytest.raises(TaskCountsError) as caught:
        rest("Job_GetTaskCounts", script, client={"credential": credential, "clock": clock})
    told = "".join(
        f"{name}={value}\n"
        for frame in traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
        if not frame.filename.startswith(str(Path(__file__).parents[2]))
        for name, value in (frame.locals or {}).items()
    ) + repr(caught.value.__cause__)
    assert "request=" in told
    sent = [request.headers["authorization"].split(" ")[1].rpartition(":")[2] for request in script.requests]
    for secret in (ACCESS_KEY, TOKEN, *sent):
        assert secret[:16] not in told


@pytest.mark.parametrize("kind", [TaskCountsClient, AsyncTaskCountsClient])
def test_what_it_shows(kind: Any) -> None:
    """No repr of its parts shows a secret; it can't be pickled or copied."""
    rest = kind(ENDPOINT, BearerToken(TOKEN)).rest
    assert repr(rest) == f"RestClient('{ENDPOINT}', api_version='{API_VERSION}')"
    http = rest._client or rest._async_client
    assert TOKEN not in repr(vars(http)) + repr(vars(http._transport))
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="can't be pickled"):
            take(rest)


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("with_headers", {"authorization": TOKEN}),
        ("with_cookies", {"session": TOKEN}),
        ("with_timeout", httpx.Timeout(5)),
        ("set_httpx_client", None),
        ("set_async_httpx_client", None),
    ],
)
def test_what_can_not_be_changed(method: str, argument: Any) -> None:
    """Changes that the generated class allows would be ignored here: they are refused, and not shown."""
    with TaskCountsClient(ENDPOINT, KEY) as client:
        with pytest.raises(TypeError, match=r"client\.rest can't be changed") as caught:
            getattr(client.rest, method)(argument)
        [*_, frame] = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
        assert frame.filename.startswith(WRAPPER)
        assert set(frame.locals or {}) == {"self"}


def test_the_wrong_kind_of_functions() -> None:
    """Each client says which functions are its own, with ``with`` too."""

    async def ask_wrongly(rest: Client) -> None:
        with pytest.raises(TypeError, match=r"asyncio_detailed take an AsyncTaskCountsClient\.rest"):
            await job_get.asyncio("job-1", client=rest)
        with pytest.raises(TypeError, match=r"asyncio_detailed take an AsyncTaskCountsClient\.rest"):
            async with rest:
                pass

    async def ask() -> None:
        async with AsyncTaskCountsClient(ENDPOINT, KEY) as client:
            with pytest.raises(TypeError, match=r"sync_detailed take a TaskCountsClient\.rest"):
                job_get.sync("job-1", client=client.rest)
            with pytest.raises(TypeError, match=r"sync_detailed take a TaskCountsClient\.rest"), client.rest:
                pass

    with TaskCountsClient(ENDPOINT, KEY) as client:
        asyncio.run(ask_wrongly(client.rest))
    asyncio.run(ask())


def test_leaving_it_closes_nothing(rest: RestCall) -> None:
    """It may be entered any number of times, and leaving it closes nothing."""
    script = Script(answer(BODIES["Job_Get"]))

    def sync(client: Client) -> None:
        for _ in range(2):
            with client as entered:
                assert entered is client
                job_get.sync("job-1", client=entered)
        job_get.sync("job-1", client=client)

    async def awaited(client: Client) -> None:
        for _ in range(2):
            async with client as entered:
                assert entered is client
                await job_get.asyncio("job-1", client=entered)
        await job_get.asyncio("job-1", client=client)

    rest.using(script, sync, awaited)
    assert len(script.requests) == 3


def test_it_is_closed_with_the_client() -> None:
    """Its error is that of the client's own methods, whether it was used before or not."""
    script = Script(answer(BODIES["Job_Get"]))
    for used in (True, False):
        client = TaskCountsClient(ENDPOINT, KEY, transport=httpx.MockTransport(script))
        if used:
            job_get.sync("job-1", client=client.rest)
        client.close()
        with pytest.raises(RuntimeError, match="the client is closed; make a new one"):
            job_get.sync("job-1", client=client.rest)

    async def ask() -> None:
        client = AsyncTaskCountsClient(ENDPOINT, KEY, transport=httpx.MockTransport(script))
        await client.close()
        with pytest.raises(RuntimeError, match="the client is closed; make a new one"):
            await job_get.asyncio("job-1", client=client.rest)

    asyncio.run(ask())
    assert len(script.requests) == 1


def test_threads_make_one() -> None:
    """64 threads that get it at once get the same one."""
    begin = threading.Barrier(64)

    def take(_: int) -> object:
        begin.wait()
        return client.rest

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with TaskCountsClient(ENDPOINT, KEY) as client, ThreadPoolExecutor(64) as pool:
            made = list(pool.map(take, range(64)))
            assert all(each is client.rest for each in made)
            assert client.rest.get_httpx_client() is client.rest.get_httpx_client()
    finally:
        sys.setswitchinterval(interval)


def test_it_is_loaded_when_it_is_asked_for() -> None:
    """A client whose ``rest`` isn't used loads neither it nor the generated client."""
    program = f"""
import sys
from taskcounts import SharedKey, TaskCountsClient
client = TaskCountsClient("{ENDPOINT}", SharedKey("myaccount", "{ACCESS_KEY}"))
slow = {{"httpx", "taskcounts.rest", "taskcounts_rest.client"}}
print(slow & set(sys.modules), client.rest, sorted(slow & set(sys.modules)) == sorted(slow))
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603
    assert run.stdout == f"set() RestClient('{ENDPOINT}', api_version='{API_VERSION}') True\n"
