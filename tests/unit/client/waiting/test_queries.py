"""Small list queries: their answers, and which of them are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.answers import Reply, answer, error
from support.client import ENDPOINT
from support.clocks import FakeClock
from support.lists import link_to
from support.waits import Job, Service
from taskcounts import ContractViolation, JobNotFound, Kind, Observation, Outcome, RetryPolicy, Verdict
from taskcounts.protocol.schema import Violation
from taskcounts.waiting.queries import Task, first_task

DONE = Job([(0, "add", "a"), (0, "succeed", "a")])
ONCE = {"retry": RetryPolicy(max_attempts=1)}
Waits = Callable[..., Verdict]


def listed(state: str = "completed", result: str | None = "success", id: str = "a") -> dict[str, Any]:  # noqa: A002
    """Return a task as a service may list it."""
    info = {"retryCount": 0, "requeueCount": 0} | ({} if result is None else {"result": result})
    return {"id": id, "state": state, "executionInfo": info}


def once(kind: str, reply: Reply) -> Callable[[str, int], Reply | None]:
    """Return what replaces the first answer to one kind of question."""
    left = [reply]
    return lambda asked_for, _: left.pop() if asked_for == kind and left else None


def told(
    wait: Waits, clock: FakeClock, kind: str, reply: Reply, **client: Any
) -> tuple[Verdict, list[Observation]]:
    """Wait for a job that is done, where one answer is replaced; return the verdict and what was told."""
    observations: list[Observation] = []
    handler = Service(DONE, clock, instead=once(kind, reply))
    verdict = wait(handler, client={"clock": clock, **client}, observer=observations.append, check=False)
    return verdict, observations


@pytest.mark.parametrize(
    ("kind", "body", "path"),
    [
        ("any", [listed("Novel")], "value[0].state"),
        ("any", [listed(result=None)], "value[0].executionInfo.result"),
        ("any", [{"id": "a", "state": "completed"}], "value[0].executionInfo.result"),
        ("any", [listed(result="Odd")], "value[0].executionInfo.result"),
        ("any", [listed(id="")], "value[0].id"),
        ("unsuccessful", [listed()], "value[0].state"),
        ("unsuccessful", [listed("active"), listed()], "value[1].state"),
        ("any", [{"id": "a"}], "value[0].state"),
        ("any", [7], "value[0]"),
    ],
)
def test_what_was_not_looked_for_is_not_believed(
    wait: Waits, clock: FakeClock, kind: str, body: list[Any], path: str
) -> None:
    """A task that doesn't match its filter, or whose state nobody knows, breaks the contract."""
    verdict, observations = told(wait, clock, kind, answer({"value": body}))
    assert verdict.outcome is Outcome.MET
    failure = next(each for each in observations if each.kind is Kind.FAILURE)
    assert isinstance(failure.error, ContractViolation)
    assert failure.error.path == path
    assert failure.error.job_id == "job-1"
    assert failure.looked_for == kind
    assert failure.found is None


@pytest.mark.parametrize(
    ("query", "task"),
    [
        ("unfinished", listed("Running")),
        ("unfinished", listed("preparing")),
        ("failed", listed("Completed", "Failure")),
        ("unsuccessful", listed("active", "failure")),
        ("unsuccessful", listed("completed", "failure")),
        ("active", listed("ACTIVE")),
        ("any", listed()),
    ],
)
def test_what_was_looked_for_is_found_in_any_case(query: str, task: dict[str, Any]) -> None:
    """States and results are compared without regard to case."""
    found = first_task([task, task], query)
    assert found is not None
    assert found.state == task["state"].lower()


@pytest.mark.parametrize(
    ("query", "task"),
    [
        ("unfinished", listed()),
        ("unfinished", listed("completed", "failure")),
        ("failed", listed()),
        ("failed", listed("active", "failure")),
        ("active", listed("running")),
        ("active", listed()),
    ],
)
def test_what_does_not_match_is_refused(query: str, task: dict[str, Any]) -> None:
    """A filter that was ignored on the way is noticed."""
    with pytest.raises(Violation, match="isn't what was looked for"):
        first_task([task], query)


def test_an_empty_page_is_none() -> None:
    """No task on the last page: there is none."""
    assert first_task([], "any") is None
    assert Task("a", "completed", failed=True).completed


@pytest.mark.parametrize("doubt", [{"age": "7"}, {"request_id": ""}, {"client_request_id": ""}])
@pytest.mark.parametrize("kind", ["any", "unsuccessful"])
def test_an_answer_that_may_not_be_of_now_confirms_nothing(
    wait: Waits, clock: FakeClock, kind: str, doubt: dict[str, str]
) -> None:
    """An answer that may be stale, or another request's, is a poll without an answer."""
    reply = answer({"value": [listed()] if kind == "any" else []}, 200, **doubt)
    headers = {name: value for name, value in reply.headers.items() if value}

    def handler(request: Any) -> Any:
        response = Service.__call__(service, request)
        if not doubt.get("client_request_id", "x") and service.kinds[-1] == kind and len(service.kinds) < 5:
            del response.headers["client-request-id"]
        return response

    cached = Reply(200, headers, reply.body)
    service = Service(DONE, clock, instead=once(kind, cached))
    observations: list[Observation] = []
    verdict = wait(handler, client={"clock": clock}, observer=observations.append)
    assert verdict.failed_polls >= 1
    failure = next(each for each in observations if each.kind is Kind.FAILURE)
    assert isinstance(failure.error, ContractViolation)
    assert failure.looked_for == kind


def test_a_state_of_the_job_from_a_cache_is_not_believed(wait: Waits, clock: FakeClock) -> None:
    """A job may have been deleted and made anew since."""
    stale = answer({"id": "job-1", "state": "deleting"}, age="100")
    job = Job([(0, "add", "a"), (100, "succeed", "a")])
    handler = Service(job, clock, instead=once("job", stale))
    verdict = wait(handler, client={"clock": clock})
    assert verdict.outcome is Outcome.MET
    assert verdict.failed_polls == 1


def test_the_state_of_the_job_is_told(wait: Waits, clock: FakeClock) -> None:
    """A job that is disabled is waited for, and the verdict names it."""
    handler = Service(Job([(0, "add", "a"), (5, "job", "Disabled")]), clock)
    observations: list[Observation] = []
    verdict = wait(
        handler, client={"clock": clock}, stall=60, interval=5, check=False, observer=observations.append
    )
    assert verdict.outcome is Outcome.STALLED
    assert verdict.job_state == "disabled"
    assert verdict.text.endswith("; the job is disabled")
    assert [each.note for each in observations if each.note] == [
        "the job is disabled: no task of it starts until it is enabled"
    ]
    assert next(each.job_state for each in observations if each.kind is Kind.JOB) == "disabled"


def test_an_empty_page_with_a_link_is_followed(wait: Waits, clock: FakeClock) -> None:
    """Only the last page of a query shows that there is no task."""
    link = link_to("1")
    job = Job([(0, "add", "a"), (0, "succeed", "a"), (0, "add", "b")])
    counts = {"active": 0, "running": 0, "completed": 2, "succeeded": 2, "failed": 0}
    over = answer({"taskCounts": counts, "taskSlotCounts": counts})
    asked: list[str] = []
    sound = Service(job, clock, instead=lambda kind, _: over if kind == "counts" else None)

    def handler(request: Any) -> Any:
        asked.append(request.url.query.decode())
        if "skiptoken" in asked[-1]:
            reply = answer({"value": [listed("active", None, "b")]})
        elif "failure" in request.url.params.get("$filter", ""):
            reply = answer({"value": [], "odata.nextLink": link})
        else:
            return sound(request)
        response = reply.response()
        response.headers["client-request-id"] = request.headers["client-request-id"]
        return response

    observations: list[Observation] = []
    verdict = wait(
        handler, client={"clock": clock}, deadline=20, interval=15, check=False, observer=observations.append
    )
    assert verdict.outcome is Outcome.TIMED_OUT
    assert observations[2].looked_for == "unsuccessful"
    assert observations[2].found == "b"
    assert asked[3] == link.partition("?")[2]


@pytest.mark.parametrize(
    "link",
    [
        link_to("1"),
        link_to("1").replace(ENDPOINT, "https://elsewhere.example"),
        link_to("1", "job-2"),
        link_to("1").replace("2024-07-01.20.0", "2019-08-01.10.0"),
    ],
)
def test_a_link_that_leads_astray_or_round_confirms_nothing(wait: Waits, clock: FakeClock, link: str) -> None:
    """A query whose links lead elsewhere, or have no end, is a poll without an answer."""
    astray = answer({"value": [], "odata.nextLink": link})
    handler = Service(DONE, clock)

    def turning(request: Any) -> Any:
        if request.url.path == "/jobs/job-1/taskcounts":
            return handler(request)
        response = astray.response()
        response.headers["client-request-id"] = request.headers["client-request-id"]
        return response

    verdict = wait(turning, client={"clock": clock}, max_failures=2, check=False)
    assert verdict.outcome is Outcome.LOST
    assert isinstance(verdict.error, ContractViolation)
    assert verdict.error.path == "odata.nextLink"


def test_the_pages_of_a_look_share_its_deadline(wait: Waits, clock: FakeClock) -> None:
    """A list that goes on and on ends with the deadline of the question."""
    pages = [0]
    handler = Service(DONE, clock)

    def endless(request: Any) -> Any:
        if request.url.path == "/jobs/job-1/taskcounts":
            return handler(request)
        pages[0] += 1
        clock.pass_by(10)
        link = link_to(str(pages[0]))
        response = answer({"value": [], "odata.nextLink": link}).response()
        response.headers["client-request-id"] = request.headers["client-request-id"]
        return response

    verdict = wait(endless, client={"clock": clock, "deadline": 55}, max_failures=1, check=False)
    assert verdict.outcome is Outcome.LOST
    assert pages[0] == 6
    assert verdict.elapsed == 60


def test_a_job_that_vanishes_between_counts_and_list_is_gone(wait: Waits, clock: FakeClock) -> None:
    """A list query of a job that isn't there any more ends the wait."""
    verdict, _ = told(wait, clock, "any", error(404, "JobNotFound"))
    assert verdict.outcome is Outcome.GONE
    assert isinstance(verdict.error, JobNotFound)
    assert (
        verdict.text
        == "job 'job-1': gone, it was deleted meanwhile; 1 of 1 task completed (counts of 0 s ago)"
    )
