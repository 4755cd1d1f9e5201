"""Links to next pages: where they may lead, and that following them ends."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.answers import GUID, REQUEST_ID, Script
from support.client import ENDPOINT
from support.clocks import FakeClock
from support.lists import Lister, page, task
from support.servers import Peer, Server, header
from taskcounts import ContractViolation
from taskcounts.protocol.lists import (
    MAX_LINK,
    LoopDetector,
    job_get_operation,
    job_list_operation,
    task_list_operation,
)
from taskcounts.protocol.messages import Call, CheckedAnswer
from taskcounts.protocol.requests import request_template
from taskcounts.protocol.schema import Violation
from taskcounts_rest import contract

HOST = ENDPOINT.removeprefix("https://")
PATH = "/jobs/job-1/tasks"
VERSION = "api-version=2024-07-01.20.0"
TOKEN = f"?$skiptoken=WATV2%3A1!96%21a%2Bb%3D%3D&{VERSION}"


@pytest.fixture(params=["sync", "async"])
def exact(request: pytest.FixtureRequest) -> Lister:
    return Lister(awaits=request.param == "async")


def call_about(job_id: str, version: str = contract.API_VERSION) -> Call:
    """Return a call about a job."""
    return Call(job_id, None, 10, 10, GUID, version)


def followed(
    link: str,
    endpoint: str = ENDPOINT,
    job_id: str = "job-1",
    version: str = contract.API_VERSION,
) -> str | None:
    """Return the link as it is followed; raise Violation if it isn't."""
    call = call_about(job_id, version)
    body = {"value": [], "odata.nextLink": link}
    headers = {"client-request-id": GUID, "request-id": REQUEST_ID}
    reply = CheckedAnswer(call, 1, body, headers, FakeClock().now(), strict=False)
    return task_list_operation(endpoint).build(reply).link


@given(st.integers(0, 60), st.integers(1, 60))
def test_a_loop_is_found(before: int, length: int) -> None:
    """However long it is and wherever it begins, soon; and none is seen where there is none."""
    loop_detector = LoopDetector()
    for number in range(before + length):
        loop_detector.follow(f"/page-{number}")
    most = 2 * max(before, length) + length + 1

    def go_on() -> None:
        for number in range(before + length, most):
            loop_detector.follow(f"/page-{before + (number - before) % length}")

    with pytest.raises(Violation, match="a page before"):
        go_on()


def test_no_loop() -> None:
    """A hundred thousand links that differ are followed."""
    loop_detector = LoopDetector()
    for number in range(100_000):
        loop_detector.follow(f"/page-{number}")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        (f"{ENDPOINT}{PATH}{TOKEN}", f"{PATH}{TOKEN}"),
        (f"HTTPS://{HOST.upper()}:443{PATH}{TOKEN}", f"{PATH}{TOKEN}"),
        (f"https://{HOST}:{PATH}{TOKEN}", f"{PATH}{TOKEN}"),
        (f"{ENDPOINT}/Jobs/JOB-1/Tasks{TOKEN}", f"/Jobs/JOB-1/Tasks{TOKEN}"),
        (f"{ENDPOINT}/jobs/%6Aob%2d1/tasks{TOKEN}", f"/jobs/%6Aob%2d1/tasks{TOKEN}"),
        (f"{ENDPOINT}{PATH}?{VERSION}&a='b'+c&d=[1,2]|e;f?j", f"{PATH}?{VERSION}&a='b'+c&d=[1,2]|e;f?j"),
        (f"{ENDPOINT}{PATH}?{VERSION}", f"{PATH}?{VERSION}"),
        (f"{ENDPOINT}{PATH}?API%2dVersion=2024%2D07-01.20.0", f"{PATH}?API%2dVersion=2024%2D07-01.20.0"),
    ],
)
def test_links_that_are_followed(link: str, target: str) -> None:
    """The origin and the path may be spelled otherwise; path and query are sent as they came."""
    assert followed(link) == target


@pytest.mark.parametrize(
    "link",
    [
        f"https://attacker.example{PATH}{TOKEN}",
        f"https://{HOST}.attacker.example{PATH}{TOKEN}",
        f"https://{HOST}.{PATH}{TOKEN}",
        f"https://user@{HOST}{PATH}{TOKEN}",
        f"https://@{HOST}{PATH}{TOKEN}",
        f"https://:password@{HOST}{PATH}{TOKEN}",
        f"https://{HOST}@attacker.example{PATH}{TOKEN}",
        f"https://{HOST}\\@attacker.example{PATH}{TOKEN}",
        f"https://attacker.example\\@{HOST}{PATH}{TOKEN}",
        f"https://attacker.example#@{HOST}{PATH}{TOKEN}",
        f"http://{HOST}{PATH}{TOKEN}",
        f"http://{HOST}:443{PATH}{TOKEN}",
        f"https://{HOST}:444{PATH}{TOKEN}",
        f"https://{HOST}:0{PATH}{TOKEN}",
        f"https://{HOST}:port{PATH}{TOKEN}",
        f"https://{HOST}:99999{PATH}{TOKEN}",
        f"https://[{HOST}{PATH}{TOKEN}",
        f"ftp://{HOST}{PATH}{TOKEN}",
        f"//{HOST}{PATH}{TOKEN}",
        f"{PATH}{TOKEN}",
        TOKEN,
        "",
        f"{ENDPOINT}{PATH}{TOKEN}#part",
        f"{ENDPOINT}{PATH}{TOKEN}#",
        f"{ENDPOINT}{PATH}?$skiptoken=a\\b",
        f" {ENDPOINT}{PATH}{TOKEN}",
        f"{ENDPOINT}{PATH}{TOKEN} ",
        f"{ENDPOINT}{PATH}?a b",
        f"{ENDPOINT}{PATH}?a\r\nHost:x",
        f"{ENDPOINT}/jo\tbs/job-1/tasks{TOKEN}",
        f"{ENDPOINT}{PATH}?a\x00b",
        f"{ENDPOINT}{PATH}?a\x7fb",
        f"{ENDPOINT}{PATH}?a=ü",
        f"{ENDPOINT}/jobs/job-1/ta\u017fks{TOKEN}",
        f"{ENDPOINT}{PATH}?a=\ud800",
    ],
)
def test_links_to_other_servers(link: str) -> None:
    """A link to another origin, or that some parsers read as one, or that is no whole URL isn't followed."""
    with pytest.raises(Violation, match="it is no URL of the same server") as caught:
        followed(link)
    assert caught.value.path == "odata.nextLink"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/jobs/job-2/tasks",
        "/jobs/job-1/taskcounts",
        "/jobs/job-1/tasks/",
        "/jobs/job-1//tasks",
        "//jobs/job-1/tasks",
        "/jobs/job-1/tasks/../tasks",
        "/jobs/job-2/../job-1/tasks",
        "/jobs/job-2/%2e%2e/job-1/tasks",
        "/jobs/./job-1/tasks",
        "/jobs%2Fjob-1/tasks",
        "/jobs/job-1%2ftasks",
        "/jobs/job-1/tasks;x",
        "/jobs/job%252D1/tasks",
        "/jobs/job-1/tas%E2%84%AAs",
        "/jobs",
    ],
)
def test_links_to_other_lists(path: str) -> None:
    """The tasks of another job would be counted as this one's."""
    with pytest.raises(Violation, match="another list"):
        followed(f"{ENDPOINT}{path}{TOKEN}")


@pytest.mark.parametrize("version", contract.VERSIONS)
@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?$skiptoken=a",
        "?api-version",
        "?api-version=",
        "?api-version=2019-08-01.10.0",
        "?API-Version=2019-08-01.10.0",
        "?%61pi%2Dversion=2019-08-01.10.0",
        "?api-version={version}&api-version={version}",
        "?api-version={version}&api-version=2019-08-01.10.0",
        "?api-version=2019-08-01.10.0&api-version={version}",
        "?api-version={version}&$skiptoken=a&aPI-vERSION",
        "?api-version={version}%20",
        "?api-version={version}+",
        "?api-version={version};a",
        "?a;api-version={version}",
        "?a=?api-version={version}",
        "?api%252Dversion={version}",
        "?version={version}",
    ],
)
def test_links_to_other_versions(query: str, version: str) -> None:
    """A link names the version of the call and no other: tasks of older versions would be counted wrong."""
    with pytest.raises(Violation, match=f"^it is not of api-version {version} alone$") as caught:
        followed(f"{ENDPOINT}{PATH}{query.format(version=version)}", version=version)
    assert caught.value.path == "odata.nextLink"
    other = next(each for each in contract.VERSIONS if each != version)
    query = f"?api-version={other}"
    assert followed(f"{ENDPOINT}{PATH}{query}", version=other) == f"{PATH}{query}"
    with pytest.raises(Violation, match="alone"):
        followed(f"{ENDPOINT}{PATH}{query}", version=version)


@pytest.mark.parametrize("written", ["nightly%3Ajob-1", "nightly%3ajob-1", "nightly:job-1", "Nightly:JOB-1"])
def test_links_of_jobs_of_schedules(written: str) -> None:
    """Their colon may be written in any way, and is sent as it came."""
    assert (
        followed(f"{ENDPOINT}/jobs/{written}/tasks{TOKEN}", job_id="nightly:job-1")
        == f"/jobs/{written}/tasks{TOKEN}"
    )


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://[::1]", "https://[::1]:443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_links_of_other_endpoints(endpoint: str, origin: str) -> None:
    """A port may be left out if it is the scheme's own; an address may be one of IPv6."""
    assert followed(f"{origin}{PATH}{TOKEN}", endpoint) == f"{PATH}{TOKEN}"


def test_links_have_a_length() -> None:
    """A link that is too long for the server isn't sent; one of the greatest length is."""
    start = f"{ENDPOINT}{PATH}?{VERSION}&"
    longest = start + "a" * (MAX_LINK - len(start))
    assert followed(longest) == longest.removeprefix(ENDPOINT)
    with pytest.raises(Violation, match="longer than 16,384 characters"):
        followed(longest + "a")


def test_a_link_of_the_longest_kind_is_sent(exact: Lister) -> None:
    """httpx accepts the links that are accepted here."""
    start = f"{ENDPOINT}{PATH}?{VERSION}&"
    longest = start + "a" * (MAX_LINK - len(start))
    script = Script(page(link=longest), page())
    exact(script)
    assert str(script.requests[1].url) == longest


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='\\#"<>'), min_size=1))
def test_a_query_is_sent_as_it_came(query: str) -> None:
    """Nothing on the way to the wire spells it otherwise, whatever it holds."""
    query = f"{VERSION}&{query}"
    link = followed(f"{ENDPOINT}{PATH}?{query}")
    assert httpx.Request("GET", f"{ENDPOINT}{link}").url.raw_path.decode() == f"{PATH}?{query}"


def test_a_link_is_followed_as_it_came(exact: Lister, serve: Callable[..., Server]) -> None:
    """The second request has the link's path and query and nothing of ours but the headers."""

    def behave(peer: Peer) -> None:
        first = b"skiptoken" not in peer.head
        link = f"{server.url}{following}" if first else None
        reply = page(task("a" if first else "b"), link=link, connection="keep-alive")
        mine = {"client-request-id": header(peer.head, "client-request-id") or ""}
        peer.send(replace(reply, headers={**reply.headers, **mine}).raw())

    following = f"/jobs/nightly%3ajob-1/tasks?$skiptoken=a!b%2B+c&x='y'&{VERSION}"
    server = serve(behave)
    assert exact(server.url, "nightly:job-1").total == 2
    lines = [head.split(b"\r\n")[0] for head in server.requests]
    assert lines[0].startswith(b"GET /jobs/nightly%3Ajob-1/tasks?api-version=2024-07-01.20.0&%24select=")
    assert lines[1].decode() == f"GET {following} HTTP/1.1"


@pytest.mark.parametrize("link", [f"https://attacker.example{PATH}{TOKEN}", f"http://{HOST}{PATH}{TOKEN}"])
def test_nothing_goes_elsewhere(exact: Lister, link: str) -> None:
    """A link to another origin ends the count: no second request is made, to whomever."""
    script = Script(page(task("a"), link=link), page(task("b")))
    with pytest.raises(
        ContractViolation, match=r"odata\.nextLink: it is no URL of the same server"
    ) as caught:
        exact(script)
    assert caught.value.path == "odata.nextLink"
    assert caught.value.request_id == REQUEST_ID
    assert len(script.requests) == 1


def test_jobs_have_pages_too() -> None:
    """The list of jobs follows its own links and no others, and finds loops."""
    call = call_about("")
    loop_detector = LoopDetector()

    def build(link: str, loop_detector: LoopDetector | None = loop_detector) -> str | None:
        headers = {"client-request-id": GUID, "request-id": REQUEST_ID}
        body = {"value": [], "odata.nextLink": link}
        reply = CheckedAnswer(call, 1, body, headers, FakeClock().now(), strict=False)
        return job_list_operation(ENDPOINT, loop_detector=loop_detector).build(reply).link

    assert build(f"{ENDPOINT}/jobs{TOKEN}") == f"/jobs{TOKEN}"
    assert build(f"{ENDPOINT}/jobs{TOKEN}", None) == f"/jobs{TOKEN}"
    with pytest.raises(Violation, match="a page before"):
        build(f"{ENDPOINT}/jobs{TOKEN}")
    with pytest.raises(Violation, match="another list"):
        build(f"{ENDPOINT}/jobs/job-1/tasks{TOKEN}")
    form = request_template(
        job_list_operation(ENDPOINT, link=f"/jobs{TOKEN}").parts, None, contract.API_VERSION
    )
    assert form.path("") + form.query == f"/jobs{TOKEN}"


def test_a_job_is_the_one_that_was_asked_for() -> None:
    """Its id may differ in case; that of another job is no answer."""
    call = call_about("Job-1")

    def build(job_id: str) -> dict[str, Any]:
        body = {"id": job_id, "state": "active"}
        return job_get_operation().build(CheckedAnswer(call, 1, body, {}, FakeClock().now(), strict=False))

    assert ("$select", "id,state") in job_get_operation().parts.options
    assert build("jOB-1")["state"] == "active"
    with pytest.raises(Violation, match="another job's"):
        build("job-2")


def test_a_doubtful_job_is_refused_where_that_is_wanted() -> None:
    """With ``strict`` a job's own state is neither from a cache nor an answer to somebody else."""
    call = call_about("job-1")
    ids = {"client-request-id": GUID, "request-id": REQUEST_ID}
    body = {"id": "job-1", "state": "active"}

    def build(headers: dict[str, str], *, strict: bool = True) -> dict[str, Any]:
        return job_get_operation().build(CheckedAnswer(call, 1, body, headers, FakeClock().now(), strict))

    assert build(ids) == body
    for headers in ({}, {**ids, "age": "3"}):
        assert build(headers, strict=False) == body
        with pytest.raises(Violation, match="the answer"):
            build(headers)
