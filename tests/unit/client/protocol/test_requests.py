"""Requests that are prepared once: the same, byte for byte, as those that the generated client makes."""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.answers import GUID
from support.client import ENDPOINT, KEY
from support.clocks import FakeClock
from taskcounts import RetryPolicy
from taskcounts.arguments import new_guid
from taskcounts.flow.exchange import USER_AGENT, exchange
from taskcounts.flow.steps import Send, Settings
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.lists import job_get_operation, job_list_operation, task_list_operation
from taskcounts.protocol.messages import Call, Operation, Request, RequestParts
from taskcounts.protocol.requests import format_http_date, request_template
from taskcounts_rest import Client, contract
from taskcounts_rest.api.jobs import job_get, job_get_task_counts, job_list
from taskcounts_rest.api.tasks import task_list
from taskcounts_rest.types import UNSET

# How each operation is asked for, by us and by the generated client.
OPERATIONS: dict[str, tuple[Callable[..., Operation[Any]], ModuleType]] = {
    "Job_GetTaskCounts": (lambda **_: TASK_COUNTS_OPERATION, job_get_task_counts),
    "Task_List": (lambda **options: task_list_operation(ENDPOINT, **options), task_list),
    "Job_Get": (lambda **_: job_get_operation(), job_get),
    "Job_List": (lambda **options: job_list_operation(ENDPOINT, **options), job_list),
}
NAMES = {"filter_": "$filter", "select": "$select", "maxresults": "maxresults"}
LINK = "/jobs/a%2Fb/tasks?$skiptoken=WATV2%3A1!96%21a+b%3D%3D&&x&api-version=2024-07-01.20.0"

texts = st.text() | st.text("./%2FfEe\\:;?#&=+~'()*\0\r\n ab-_job1é", max_size=12)
job_ids = texts | st.from_regex(contract.PARAMETERS["jobId"]["pattern"])
sound_ids = st.from_regex(contract.PARAMETERS["jobId"]["pattern"], fullmatch=True)
options = st.fixed_dictionaries(
    {}, optional={"filter_": texts, "select": texts, "maxresults": st.integers(1, 1000)}
)
service_timeouts = st.none() | st.integers(1, 30)


def sent(
    ask: Operation[Any],
    job_id: str = "job-1",
    service_timeout: int | None = None,
    version: str = contract.API_VERSION,
) -> Request:
    """Return the first request of an exchange."""
    settings = Settings(ENDPOINT, KEY, "scope", RetryPolicy(), False, FakeClock())
    flow = exchange(settings, ask, Call(job_id, service_timeout, 10, 10, GUID, version))
    step = next(flow)
    flow.close()
    assert isinstance(step, Send)
    return step.request


def asked(
    name: str, given_options: dict[str, Any], job_id: str
) -> tuple[Operation[Any], list[str], dict[str, Any]]:
    """Return our question, and the arguments of the generated function for the same."""
    described = contract.OPERATIONS[name]
    known = {key: value for key, value in given_options.items() if NAMES[key] in described.parameters}
    if name == "Job_Get":
        known = {"select": "id,state"}
    return OPERATIONS[name][0](**known), ["jobId"] if "jobId" in described.parameters else [], known


def respelled(query: str, name: str, version: str) -> str:
    """Return a query with the names of parameters as a version spells them.

    The generated functions have the spelling of the default version.
    """
    for each in map(quote, contract.VERSIONS[version][name].parameters):
        query = re.sub(f"(^|[?&]){re.escape(each)}=", rf"\g<1>{each}=", query, flags=re.IGNORECASE)
    return query


def common(service_timeout: int | None) -> dict[str, Any]:
    """Return the arguments of the generated functions that belong to every request."""
    return {
        "timeout": UNSET if service_timeout is None else service_timeout,
        "client_request_id": uuid.UUID(GUID),
        "return_client_request_id": True,
        "ocp_date": format_datetime(FakeClock().now(), usegmt=True),
    }


@pytest.mark.parametrize("version", contract.VERSIONS)
@pytest.mark.parametrize("name", OPERATIONS)
@given(job_id=job_ids, given_options=options, service_timeout=service_timeouts)
@example(job_id="..", given_options={}, service_timeout=None)
@example(job_id="", given_options={"filter_": "", "select": ""}, service_timeout=1)
@example(job_id="schedule:job-1", given_options={"filter_": "state eq 'active'"}, service_timeout=30)
@example(job_id="\ud800", given_options={}, service_timeout=None)
def test_what_is_sent(
    version: str, name: str, job_id: str, given_options: dict[str, Any], service_timeout: int | None
) -> None:
    """URL, headers and method are those of the generated functions, for any job id, option and version."""
    ask, named, known = asked(name, given_options, job_id)
    arguments = [job_id] if named else []
    try:
        parts = OPERATIONS[name][1]._get_kwargs(
            *arguments, api_version=version, **known, **common(service_timeout)
        )
        query = urlencode(parts["params"], quote_via=quote)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            sent(ask, job_id, service_timeout, version)
        return
    request = sent(ask, job_id, service_timeout, version)
    assert request.url == f"{ENDPOINT}{parts['url']}?" + respelled(query, name, version)
    assert request.method == parts["method"].upper()
    signature = request.headers.pop("authorization")
    assert request.headers == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": USER_AGENT,
        **parts["headers"],
    }
    target = request.url.removeprefix(ENDPOINT)
    assert signature == KEY.authorization(request.method, target, request.headers)


@pytest.mark.parametrize("version", contract.VERSIONS)
@pytest.mark.parametrize("name", OPERATIONS)
@given(job_id=sound_ids, given_options=options, service_timeout=service_timeouts)
def test_what_the_generated_client_sends(
    version: str, name: str, job_id: str, given_options: dict[str, Any], service_timeout: int | None
) -> None:
    """It is also what the generated client sends, but that httpx writes blanks as plus signs."""
    seen: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    ask, named, known = asked(name, given_options, job_id)
    client = Client(base_url=ENDPOINT, httpx_args={"transport": httpx.MockTransport(keep)})
    arguments = [job_id] if named else []
    with pytest.raises(KeyError):
        # The answer says nothing.
        OPERATIONS[name][1].sync(
            *arguments, client=client, api_version=version, **known, **common(service_timeout)
        )
    ours, [theirs] = sent(ask, job_id, service_timeout, version), seen
    assert ours.url == respelled(str(theirs.url).replace("+", "%20"), name, version)
    assert ours.method == theirs.method
    for header in ("client-request-id", "return-client-request-id", "ocp-date"):
        assert ours.headers[header] == theirs.headers[header]


@pytest.mark.parametrize("ask", [task_list_operation, job_list_operation])
def test_links_are_sent_as_they_came(ask: Callable[..., Operation[Any]]) -> None:
    """A link to a next page is sent and signed word for word, without further parameters."""
    request = sent(ask(ENDPOINT, link=LINK, select="id,state"), "other", 20)
    assert request.url == ENDPOINT + LINK
    signature = request.headers.pop("authorization")
    assert signature == KEY.authorization("GET", LINK, request.headers)
    assert sent(ask(ENDPOINT, link="/jobs"), "other", 20).url == f"{ENDPOINT}/jobs"


@pytest.mark.parametrize("name", ["$expand", "api-version", "jobId", "ocp-date", "timeOut"])
def test_options_that_are_none(name: str) -> None:
    """An option that the operation doesn't have, or that is constant, is refused and not left out."""
    with pytest.raises(TypeError, match=re.escape(f"Task_List has no parameter {name}")):
        request_template(RequestParts("Task_List", ((name, "x"),)), 20, contract.API_VERSION)


def test_prepared_once() -> None:
    """A template is made for the first request alone, and again for another timeout or version."""
    parts, version = TASK_COUNTS_OPERATION.parts, contract.API_VERSION
    first = request_template(parts, None, version)
    assert request_template(parts, None, version) is first
    assert request_template(parts, 20, version).query == f"{first.query}&timeout=20"
    other = request_template(parts, 20, "2025-06-01")
    assert other.query == "?api-version=2025-06-01&timeOut=20"
    assert other.tail == "\napi-version:2025-06-01\ntimeout:20"


def test_a_version_is_never_left_out() -> None:
    """Whoever forgets the version gets an error, and no request at the default one."""
    with pytest.raises(TypeError, match="api_version"):
        Call("job-1", None, 10, 10, GUID)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="api_version"):
        request_template(TASK_COUNTS_OPERATION.parts, None)  # type: ignore[call-arg]


@given(st.datetimes(), st.integers(-1439, 1439))
@example(datetime(1, 1, 1, 0, 0, 0, 999999), 0)
@example(datetime.max, 0)
@example(datetime(1969, 12, 31, 23, 59, 59, 999999), 0)
@example(datetime(2024, 12, 31, 23, 59, 59, 999999), 60)
def test_dates(moment: datetime, minutes: int) -> None:
    """HTTP dates are formatted as by the standard library, in any time zone."""
    moment = moment.replace(tzinfo=UTC)
    assert format_http_date(moment) == format_datetime(moment, usegmt=True)
    if 1 < moment.year < 9999:
        elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
        assert format_http_date(elsewhere) == format_http_date(moment)


def test_ids_are_random_guids() -> None:
    """Each is a GUID of version 4 as the standard library writes it, and no two are the same."""
    guids = {new_guid() for _ in range(1000)}
    assert len(guids) == 1000
    for guid in guids:
        parsed = uuid.UUID(guid)
        assert (str(parsed), parsed.version, parsed.variant) == (guid, 4, uuid.RFC_4122)
    # Every digit that may be of chance is.
    assert {guid[19] for guid in guids} == set("89ab")
    assert all(len({guid[place] for guid in guids}) == 16 for place in (0, 9, 15, 20, 35))
    assert not [guid for guid in guids if guid[:8] in guid[8:]]


@pytest.mark.parametrize(("timeout", "deadline", "until"), [(5, 10, 1005), (10, 5, 1005)])
def test_how_long_an_attempt_may_take(timeout: float, deadline: float, until: float) -> None:
    """An attempt is over when its timeout is, or the deadline, whichever comes first."""
    settings = Settings(ENDPOINT, KEY, "scope", RetryPolicy(), False, FakeClock())
    call = Call("job-1", None, timeout, deadline, GUID, contract.API_VERSION)
    step = next(exchange(settings, TASK_COUNTS_OPERATION, call))
    assert isinstance(step, Send)
    assert step.until == until
