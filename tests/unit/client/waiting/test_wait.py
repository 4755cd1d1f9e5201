"""wait_for_job as callers see it: requests, observations, verdicts and errors."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.answers import BUSY, Reply, answer, error
from support.client import ACCESS_KEY, KEY
from support.clocks import FakeClock
from support.waits import Job, Service
from taskcounts import (
    AsyncTaskCountsClient,
    AuthenticationFailed,
    CredentialFailed,
    JobNotFound,
    Kind,
    Observation,
    Outcome,
    RetryPolicy,
    Snapshot,
    TaskCountsClient,
    Verdict,
    WaitFailed,
)
from taskcounts.waiting import pace

ONCE = {"retry": RetryPolicy(max_attempts=1)}
DONE = Job([(0, "add", "a"), (0, "add", "b"), (1, "running", "a"), (5, "succeed", "a"), (6, "succeed", "b")])
FAILS = Job([(0, "add", "a"), (0, "add", "b"), (5, "fail", "b"), (6, "succeed", "a")])
RUNS = Job([(0, "add", "a"), (0, "running", "a")])

Waits = Callable[..., Verdict]


def service(job: Job, clock: FakeClock, **options: Any) -> tuple[Service, dict[str, Any]]:
    """Return a service, and a client's options to ask it."""
    return Service(job, clock, **options), {"clock": clock}


def during(kind: str, *replies: Reply | Exception | None) -> Callable[[str, int], Reply | Exception | None]:
    """Return what replaces the answers to one kind of question, the last one for ever."""
    asked = [0]

    def instead(asked_for: str, _: int) -> Reply | Exception | None:
        if asked_for != kind:
            return None
        asked[0] += 1
        return replies[min(asked[0], len(replies)) - 1]

    return instead


def test_done_is_confirmed_by_the_list(wait: Waits, clock: FakeClock) -> None:
    """Counts that say done are confirmed by queries: a task, none unfinished, and the task again."""
    handler, client = service(DONE, clock)
    told: list[Observation] = []
    verdict = wait(handler, client=client, interval=4, observer=told.append)
    assert verdict
    assert verdict.outcome is Outcome.MET
    assert verdict.confirmed
    assert str(verdict) == verdict.text == "job 'job-1': done, all tasks succeeded (2 by the counts)"
    assert handler.kinds == ["counts", "counts", "counts", "any", "unsuccessful", "any"]
    assert [each.number for each in told] == [1, 2, 3, 4, 5, 6]
    assert [each.pause for each in told] == [4, 4, 0, 0, 0, 0]
    assert [each.changed for each in told] == [True, True, True, False, False, False]
    assert [each.kind for each in told] == [Kind.COUNTS] * 3 + [Kind.TASKS] * 3
    assert [(each.looked_for, each.found) for each in told[3:]] == [
        ("any", "a"),
        ("unsuccessful", None),
        ("any", "a"),
    ]
    assert verdict.polls == 6
    assert verdict.failed_polls == 0
    assert verdict.elapsed == 8
    assert (verdict.ended_at - verdict.began_at).total_seconds() == 8
    assert verdict.goal == "done"
    assert verdict.task_id is None
    assert isinstance(verdict.snapshot, Snapshot)
    assert verdict.snapshot.total == 2


def test_every_question_has_an_id_of_its_own(wait: Waits, clock: FakeClock) -> None:
    """The service's logs tell the questions of a wait apart."""
    handler, client = service(DONE, clock)
    wait(handler, client=client)
    ids = [request.headers["client-request-id"] for request in handler.requests]
    assert len(set(ids)) == len(ids)


def test_a_look_asks_for_one_task(wait: Waits, clock: FakeClock) -> None:
    """A query is one small list query, whatever the size of the job."""
    handler, client = service(DONE, clock)
    wait(handler, client=client, service_timeout=7)
    queries = [request.url.params for request in handler.requests if "taskcounts" not in request.url.path]
    assert {query["maxresults"] for query in queries} == {"1"}
    assert {query["$select"] for query in queries} == {"id,state,creationTime,executionInfo"}
    assert {query["timeout"] for query in queries} == {"7"}
    assert queries[1]["$filter"] == (
        "state eq 'active' or state eq 'preparing' or state eq 'running' or executionInfo/result eq 'failure'"
    )


def test_failed_tasks_make_it_fail(wait: Waits, clock: FakeClock) -> None:
    """A job that is done with failed tasks raises, and the error has the verdict."""
    handler, client = service(FAILS, clock)
    with pytest.raises(WaitFailed) as raised:
        wait(handler, client=client, interval=10)
    verdict = raised.value.verdict
    assert verdict.outcome is Outcome.FAILED
    assert not verdict
    assert verdict.task_id == "b"
    assert str(raised.value) == verdict.text
    assert verdict.text == ("job 'job-1': done, tasks failed, such as 'b' (1 of 2 by the counts)")
    assert raised.value.job_id == "job-1"
    assert raised.value.attempts == verdict.polls == 6
    assert raised.value.client_request_id == handler.requests[-1].headers["client-request-id"]
    assert raised.value.__cause__ is None
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - our own.
    assert again.verdict == verdict


def test_a_verdict_is_returned_if_nobody_checks(wait: Waits, clock: FakeClock) -> None:
    """With check=False any verdict is returned."""
    handler, client = service(FAILS, clock)
    assert wait(handler, client=client, check=False).outcome is Outcome.FAILED


def test_a_claim_is_refuted(wait: Waits, clock: FakeClock) -> None:
    """Counts that say done too early are reported as doubtful, and the wait goes on."""
    over = answer(
        {
            name: {"active": 0, "running": 0, "completed": 2, "succeeded": 2, "failed": 0}
            for name in ("taskCounts", "taskSlotCounts")
        }
    )
    handler, client = service(DONE, clock, instead=during("counts", over))
    told: list[Observation] = []
    verdict = wait(handler, client=client, interval=2, observer=told.append)
    assert verdict.confirmed
    assert verdict.elapsed >= 6
    refuted = [each for each in told if each.note]
    assert refuted[0].note == "by the counts all tasks are completed, but 'a' is active"
    assert refuted[0].doubtful
    assert not told[0].doubtful


def test_an_exact_count_decides_at_the_end(wait: Waits, clock: FakeClock) -> None:
    """With exact_at_end the verdict's numbers come from a list of all tasks."""
    handler, client = service(FAILS, clock)
    verdict = wait(handler, client=client, exact_at_end=True, check=False)
    assert verdict.snapshot is not None
    assert verdict.snapshot.exact
    assert verdict.text == "job 'job-1': done, 1 of 2 tasks failed, such as 'b'"
    assert handler.kinds[-1] == "exact"


def test_no_such_job(wait: Waits, clock: FakeClock) -> None:
    """A job that isn't there ends the wait, with the service's error as the cause."""
    missing = error(404, "JobNotFound", "The specified job does not exist.")
    handler, client = service(DONE, clock, instead=lambda *_: missing)
    with pytest.raises(WaitFailed, match="there is no such job") as raised:
        wait(handler, client=client)
    assert raised.value.verdict.outcome is Outcome.GONE
    assert isinstance(raised.value.__cause__, JobNotFound)
    assert raised.value.verdict.error is raised.value.__cause__


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            error(404, "JobNotFound"),
            "gone, it was deleted meanwhile; 0 of 1 task completed (counts of 2 s ago)",
        ),
        (error(409, "JobBeingDeleted"), "it is being deleted; 0 of 1 task completed (counts of 2 s ago)"),
    ],
)
def test_a_job_is_deleted_meanwhile(wait: Waits, clock: FakeClock, reply: Reply, text: str) -> None:
    """A job that is deleted ends the wait."""
    handler, client = service(RUNS, clock, instead=during("counts", None, reply))
    verdict = wait(handler, client=client, check=False)
    assert verdict.outcome is Outcome.GONE
    assert verdict.text == f"job 'job-1': {text}"
    assert not verdict.confirmed


def test_a_failed_question_is_told_and_does_not_end_the_wait(wait: Waits, clock: FakeClock) -> None:
    """Unknown is not done: the wait goes on, and says so."""
    handler, client = service(DONE, clock, instead=during("counts", None, BUSY, None))
    told: list[Observation] = []
    verdict = wait(handler, client=client | ONCE, observer=told.append)
    assert verdict.outcome is Outcome.MET
    assert verdict.failed_polls == 1
    failure = told[1]
    assert failure.kind is Kind.FAILURE
    assert failure.failures == 1
    assert "503 ServerBusy" in str(failure.error)
    assert failure.snapshot == told[0].snapshot
    assert not failure.changed
    assert told[2].failures == 0


def test_too_many_failed_questions_lose_the_status(wait: Waits, clock: FakeClock) -> None:
    """After max_failures in a row nobody knows how the job stands."""
    handler, client = service(RUNS, clock, instead=during("counts", None, BUSY))
    with pytest.raises(WaitFailed) as raised:
        wait(handler, client=client | ONCE, max_failures=3, interval=5)
    verdict = raised.value.verdict
    assert verdict.outcome is Outcome.LOST
    assert verdict.failed_polls == 3
    assert raised.value.__cause__ is verdict.error
    assert verdict.text.startswith(
        "job 'job-1': status lost after 3 polls in a row without a trustworthy answer: 503 ServerBusy"
    )
    assert verdict.text.endswith("; 0 of 1 task completed (counts of 15 s ago)")


def test_the_list_is_asked_again_until_it_answers(wait: Waits, clock: FakeClock) -> None:
    """Counts that say done again don't hide that nothing can be confirmed."""
    handler, client = service(DONE, clock, instead=during("unsuccessful", BUSY))
    verdict = wait(handler, client=client | ONCE, max_failures=4, interval=9, check=False)
    assert verdict.outcome is Outcome.LOST
    assert verdict.failed_polls == 4
    assert handler.kinds == ["counts", "counts", "any", *["unsuccessful"] * 4]


@pytest.mark.parametrize("refusal", [error(403, "AuthenticationFailed"), error(401, "AuthenticationFailed")])
def test_whoever_is_refused_at_first_need_not_wait(wait: Waits, clock: FakeClock, refusal: Reply) -> None:
    """A wrong key is no better after ten questions."""
    handler, client = service(DONE, clock, instead=lambda *_: refusal)
    verdict = wait(handler, client=client, check=False)
    assert verdict.outcome is Outcome.LOST
    assert verdict.polls == 1
    assert isinstance(verdict.error, AuthenticationFailed)
    assert verdict.text.endswith("; there were no counts")


def test_a_refusal_later_is_a_failed_question(wait: Waits, clock: FakeClock) -> None:
    """A token may expire for a while."""
    handler, client = service(
        DONE, clock, instead=during("counts", None, error(401, "AuthenticationFailed"), None)
    )
    assert wait(handler, client=client).outcome is Outcome.MET


def test_a_credential_that_fails_ends_the_wait(clock: FakeClock) -> None:
    """Without a token nothing can be asked."""

    class Credential:
        def get_token(self, *scopes: str, **kwargs: Any) -> Any:  # noqa: ARG002 - as azure-identity has it.
            raise ValueError("no login")

    with TaskCountsClient(
        "https://myaccount.westeurope.batch.azure.com",
        Credential(),
        transport=httpx.MockTransport(Service(DONE, clock)),
    ) as client:
        verdict = client.wait_for_job("job-1", check=False)
    assert verdict.outcome is Outcome.LOST
    assert isinstance(verdict.error, CredentialFailed)


def test_nothing_is_asked_before_retry_after(wait: Waits, clock: FakeClock) -> None:
    """The service's wish counts for the wait as it does for each question."""
    throttled = error(429, "TooManyRequests", retry_after="45")
    handler, client = service(DONE, clock, instead=during("counts", throttled, None))
    told: list[Observation] = []
    wait(handler, client=client | ONCE, interval=1, observer=told.append)
    assert told[0].pause == 45
    assert clock.pauses[0] == 45


def test_the_deadline_ends_the_wait(wait: Waits, clock: FakeClock) -> None:
    """A wait ends in time, and says how old the counts are."""
    handler, client = service(RUNS, clock)
    verdict = wait(handler, client=client, interval=7, deadline=20, check=False)
    assert verdict.outcome is Outcome.TIMED_OUT
    assert verdict.elapsed == 20
    assert verdict.text == "job 'job-1': timed out after 20 s; 0 of 1 task completed (counts of 1 s ago)"


def test_a_question_that_the_deadline_cuts_off_is_no_failure(wait: Waits, clock: FakeClock) -> None:
    """A poll that the wait's own deadline cuts short doesn't lose the status."""
    handler, client = service(RUNS, clock, instead=during("counts", None, BUSY))
    client["retry"] = RetryPolicy(first_pause=16, jitter=0)
    told: list[Observation] = []
    verdict = wait(
        handler, client=client, interval=7, deadline=20, max_failures=1, observer=told.append, check=False
    )
    assert verdict.outcome is Outcome.TIMED_OUT
    assert verdict.elapsed == 20
    assert told[-1].kind is Kind.FAILURE
    assert verdict.text.startswith("job 'job-1': timed out after 20 s; 0 of 1 task completed")
    assert "; after 3 polls in a row without a trustworthy answer: 503 ServerBusy" in verdict.text


def test_a_read_that_the_deadline_cuts_off_is_no_failure(wait: Waits, clock: FakeClock) -> None:
    """A connection that doesn't answer in the time that is left times out, too."""

    def slow(request: httpx.Request) -> httpx.Response:
        clock.pass_by(30)
        raise httpx.ReadTimeout("")

    verdict = wait(slow, client={"clock": clock}, deadline=20, max_failures=1, check=False)
    assert verdict.outcome is Outcome.TIMED_OUT
    assert verdict.text.startswith("job 'job-1': timed out after 30 s; there were no counts; after a poll")


def test_the_adapted_interval_has_a_least(wait: Waits, clock: FakeClock) -> None:
    """min_interval takes the place of the least interval, and is checked."""
    handler, client = service(RUNS, clock)
    told: list[Observation] = []
    wait(handler, client=client, min_interval=7, deadline=100, check=False, observer=told.append)
    assert [each.pause for each in told[:3]] == [7.0, 10.5, 15.75]
    with pytest.raises(ValueError, match="min_interval is 0; give seconds above 0"):
        wait(handler, client=client, min_interval=0)
    for kind in (TaskCountsClient, AsyncTaskCountsClient):
        default = inspect.signature(kind.wait_for_job).parameters["min_interval"].default
        assert default == pace.MIN_INTERVAL


def test_what_an_observer_raises_ends_the_wait(wait: Waits, clock: FakeClock) -> None:
    """An observer can stop a wait; the client stays of use."""
    handler, client = service(RUNS, clock)

    def stop(observation: Observation) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait(handler, client=client, observer=stop)
    assert len(handler.requests) == 1


def test_an_observer_that_takes_its_time_delays_nothing_else(wait: Waits, clock: FakeClock) -> None:
    """Intervals count from start to start, and a deadline may pass while an observer works."""
    handler, client = service(RUNS, clock)
    wait(handler, client=client, interval=10, deadline=25, check=False, observer=lambda _: clock.pass_by(4))
    assert clock.pauses == [6, 6]
    verdict = wait(
        handler, client=client, interval=10, deadline=25, check=False, observer=lambda _: clock.pass_by(30)
    )
    assert verdict.outcome is Outcome.TIMED_OUT
    assert verdict.polls == 1


def test_no_secret_is_told(wait: Waits, clock: FakeClock) -> None:
    """Neither the key nor a signature stands in observations, verdicts and errors."""
    handler, client = service(RUNS, clock)
    told: list[Observation] = []

    def echo(request: httpx.Request) -> httpx.Response:
        if len(told) > 2:
            secret = request.headers["authorization"]
            return error(500, secret, secret).response()
        return handler(request)

    verdict = wait(echo, client=client | ONCE, max_failures=2, observer=told.append, check=False)
    assert verdict.outcome is Outcome.LOST
    shown = repr(told) + repr(verdict) + str(vars(verdict.error))
    assert "<hidden>" in shown
    assert ACCESS_KEY not in shown
    assert "SharedKey " + KEY.account + ":" + "<hidden>" in shown


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"until": "soon"}, ValueError),
        ({"until": 3}, TypeError),
        ({"until": "percent=0"}, ValueError),
        ({"until": "percent=101"}, ValueError),
        ({"until": "count>=0"}, ValueError),
        ({"until": "count>=5\n"}, None),
        ({"deadline": 0}, ValueError),
        ({"stall": float("nan")}, ValueError),
        ({"interval": "2"}, TypeError),
        ({"max_failures": 0}, ValueError),
        ({"max_failures": True}, TypeError),
        ({"job_id": "a/b"}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"service_timeout": 31}, ValueError),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    wait: Waits, clock: FakeClock, options: dict[str, Any], kind: type[Exception] | None
) -> None:
    """A wrong argument is a ValueError or TypeError; blanks around a goal are none."""
    handler, client = service(Job([(0, "add", str(n)) for n in range(5)]), clock)
    if kind is None:
        wait(handler, client=client, deadline=1, check=False, **options)
        return
    with pytest.raises(kind):
        wait(handler, client=client, **options)
    assert not handler.requests
