"""The list of the account's jobs."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from support.answers import BUSY, Script, answer, error
from support.client import ENDPOINT, KEY
from support.clocks import FakeClock
from support.many import Many
from taskcounts import ContractViolation, ListedJob, ServiceError, TaskCountsClient
from taskcounts.credentials import SharedKey
from taskcounts.many import job_list
from taskcounts_emulator import Emulator


def page(*jobs: tuple[str, str], link: str | None = None, **headers: Any) -> Any:
    """Return an answer with some jobs."""
    body: dict[str, Any] = {"value": [{"id": job_id, "state": state} for job_id, state in jobs]}
    if link is not None:
        body["odata.nextLink"] = f"{ENDPOINT}/jobs?{link}&api-version=2024-07-01.20.0"
    return answer(body, **headers)


def test_pages(many: Many) -> None:
    """The jobs of all pages come in the list's order, states in lower case; an empty page isn't the end."""
    script = Script(
        page(("a", "Active"), ("s:job-1", "COMPLETED"), link="$skiptoken=1"),
        page(link="x=2"),
        page(("b", "new")),
    )
    assert many.jobs(script) == [
        ListedJob(job_id="a", state="active"),
        ListedJob(job_id="s:job-1", state="completed"),
        ListedJob(job_id="b", state="new"),
    ]
    queries = [parse_qs(request.url.query.decode()) for request in script.requests]
    assert [query.pop("api-version") for query in queries] == [["2024-07-01.20.0"]] * 3
    assert queries == [{"$select": ["id,state"]}, {"$skiptoken": ["1"]}, {"x": ["2"]}]
    ids = {request.headers["client-request-id"] for request in script.requests}
    assert len(ids) == 3


def test_options(many: Many) -> None:
    """The filter goes out as it is; the service's timeout with it."""
    script = Script(page())
    assert many.jobs(script, filter="state eq 'active' and id ne 'ä+b'", service_timeout=7) == []
    query = parse_qs(script.requests[0].url.query.decode())
    assert query["$filter"] == ["state eq 'active' and id ne 'ä+b'"]
    assert query["timeout"] == ["7"]


def test_lazy(many: Many) -> None:
    """No page is asked for before its first job is wanted."""
    script = Script(page(("a", "active"), ("b", "active"), link="x=1"), page(("c", "active")))
    assert many.jobs(script, take=0) == []
    assert script.requests == []
    assert len(many.jobs(script, take=2)) == 2
    assert len(script.requests) == 1


def test_each_page_is_asked_for_again(many: Many, clock: FakeClock) -> None:
    """A page that fails is asked for again by the policy, on a deadline of its own."""
    script = Script(BUSY, page(("a", "active"), link="x=1"), BUSY, BUSY, page(("b", "active")))
    jobs = many.jobs(script, client={"clock": clock}, deadline=1.8)
    assert [job.job_id for job in jobs] == ["a", "b"]
    assert clock.pauses == [0.5, 0.5, 1.0]


def test_failure_ends_the_list(many: Many, clock: FakeClock) -> None:
    """The jobs of earlier pages are yielded before the error."""
    script = Script(page(("a", "active"), link="x=1"), error(400, "InvalidQueryParameterValue"))
    seen = many.jobs(script, client={"clock": clock}, take=1)
    assert [job.job_id for job in seen] == ["a"]
    with pytest.raises(ServiceError, match="the list of jobs: 400 InvalidQueryParameterValue") as caught:
        many.jobs(Script(*script.replies), client={"clock": clock})
    assert caught.value.job_id == ""


@pytest.mark.parametrize(
    ("reply", "path"),
    [
        (page(("a/b", "active")), "value[0].id"),
        (page(("a", "active"), ("", "active")), "value[1].id"),
        (page(("..", "active")), "value[0].id"),
        (answer({"value": [{"id": "a"}]}), "value[0].state"),
        (answer({"value": [{"state": "active"}]}), "value[0].id"),
        (answer({}), "value"),
        (answer({"value": [], "odata.nextLink": "https://elsewhere.example/jobs?x=1"}), "odata.nextLink"),
    ],
)
def test_no_list(many: Many, reply: Any, path: str) -> None:
    """An answer that can't be trusted gives no jobs, and the error says what is wrong with it."""
    with pytest.raises(ContractViolation) as caught:
        many.jobs(Script(reply))
    assert caught.value.path == path
    assert caught.value.attempts == 1


def test_loop(many: Many) -> None:
    """A list whose links run in a circle ends with an error."""
    with pytest.raises(ContractViolation, match="the list has no end"):
        many.jobs(
            Script(
                page(("a", "active"), link="x=1"),
                page(link="x=2"),
                page(link="x=1"),
                page(link="x=2"),
                page(link="x=1"),
                page(link="x=2"),
            )
        )


def test_empty_pages_without_end(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that goes on and on with ever new pages, none of which holds a job, ends with an error."""
    monkeypatch.setattr(job_list, "MAX_EMPTY", 3)
    empty = [page(link=f"x={n}") for n in range(20)]
    # A page with jobs starts the count anew, and the last page may be empty as well.
    assert len(many.jobs(Script(*empty[:2], page(("a", "active"), link="y"), *empty[5:7], page()))) == 1
    script = Script(empty[0], page(("a", "active"), link="y"), *empty[5:])
    with pytest.raises(ContractViolation, match="3 pages in a row hold no job") as caught:
        many.jobs(script)
    assert caught.value.path == "odata.nextLink"
    assert len(script.requests) == 5


def test_many_empty_pages(many: Many) -> None:
    """A thousand empty pages in a row are too many; fewer are what a filter makes."""
    script = Script(*(page(link=f"x={n}") for n in range(999)), page(("a", "active")))
    assert len(many.jobs(script)) == 1
    script = Script(*(page(link=f"x={n}") for n in range(1000)), page(("a", "active")))
    with pytest.raises(ContractViolation, match="1,000 pages in a row hold no job, and there are more"):
        many.jobs(script)


def test_doubts(many: Many, caplog: pytest.LogCaptureFixture) -> None:
    """A page that may be stale, or another request's, is reported with each of its jobs and in the log."""
    script = Script(page(("a", "active"), link="x=1", age="7"), page(("b", "active")))
    with caplog.at_level(logging.WARNING, "taskcounts"):
        first, second = many.jobs(script)
    assert [doubt.invariant for doubt in first.inconsistencies] == ["age"]
    assert second.inconsistencies == ()
    assert caplog.messages == ["the list of jobs: the answer comes from a cache, where it is 7 seconds old"]
    with pytest.raises(ContractViolation, match="comes from a cache"):
        many.jobs(Script(page(age="7")), client={"strict": True})


@pytest.mark.parametrize(
    ("wrong", "kind"), [(5, TypeError), ("", ValueError), (" ", ValueError), ("\udcff", ValueError)]
)
def test_wrong_filters(many: Many, wrong: Any, kind: type[Exception]) -> None:
    """An unfit filter is refused before anything is sent."""
    script = Script(page())
    with pytest.raises(kind, match="filter"):
        many.jobs(script, filter=wrong, take=0)
    assert script.requests == []


def test_wrong_limits(many: Many) -> None:
    """Wrong limits are refused at once as well, and a closed client."""
    with pytest.raises(ValueError, match="service_timeout is 31"):
        many.jobs(Script(page()), service_timeout=31, take=0)
    client = TaskCountsClient(ENDPOINT, KEY, transport=httpx.MockTransport(Script(page())))
    client.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.list_jobs()


def test_against_the_emulator(many: Many) -> None:
    """The emulator's jobs come with their states, over several pages, filtered as asked."""
    with Emulator(scripted=True) as emulator:
        for n in range(1203):
            emulator.add_job(f"job-{n:04}", 0)
        credential = {"credential": SharedKey(emulator.account, emulator.key)}
        jobs = many.jobs(emulator.endpoint, client=credential)
        assert [job.job_id for job in jobs] == [f"job-{n:04}" for n in range(1203)]
        assert {job.state for job in jobs} == {"active"}
        some = many.jobs(emulator.endpoint, client=credential, filter="startswith(id,'job-00')")
        assert len(some) == 100
        assert many.jobs(emulator.endpoint, client=credential, filter="state eq 'completed'") == []
        emulator.fail_next("wrong-shape", variant="looping-link", operation="Job_List", times=9)
        with pytest.raises(ContractViolation):
            many.jobs(emulator.endpoint, client=credential)
