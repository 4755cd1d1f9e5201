"""The flow of a wait: makes the polls that `machine` decides on, and reports them to the observer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from taskcounts.arguments import new_guid
from taskcounts.clock import Clock
from taskcounts.errors import DeadlineExceeded, ServiceError, TaskCountsError
from taskcounts.exact import exact_counts
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Flow, Pause, Settings
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.lists import LoopDetector, Page, job_get_operation, task_list_operation
from taskcounts.protocol.messages import Call, CheckedAnswer, Operation
from taskcounts.retry import RETRYABLE_STATUSES
from taskcounts.text import one_line
from taskcounts.waiting.machine import begin, begin_tick, handle
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.queries import FILTERS, SELECT, Task, first_task
from taskcounts.waiting.report import verdict_text
from taskcounts.waiting.rules import outcome_of
from taskcounts.waiting.state import (
    AskCounts,
    AskExact,
    AskJob,
    AskTasks,
    Counted,
    End,
    Event,
    Failed,
    JobSeen,
    Listed,
    Move,
    Poll,
    Queried,
    Sleep,
    State,
)
from taskcounts.waiting.values import Kind, Observation, Observer, Verdict, WaitFailed

_KINDS = {
    Counted: Kind.COUNTS,
    Queried: Kind.TASKS,
    JobSeen: Kind.JOB,
    Listed: Kind.EXACT,
    Failed: Kind.FAILURE,
}


def wait(
    settings: Settings, call: Call, plan: WaitPlan, observer: Observer | None, *, check: bool
) -> Flow[Verdict]:
    """Poll until there is a verdict, and return it; with ``check``, raise WaitFailed unless the goal was met.

    Args:
        settings: The client's.
        call: The job, and the limits of each single poll.
        plan: The goal, and the limits of the wait.
        observer: Called after each poll. An error that it raises ends the wait.
        check: Whether to raise WaitFailed for a verdict other than met.

    Raises:
        WaitFailed: The wait ended with another outcome, and ``check`` is true.
    """
    clock = settings.clock
    began_at, asked = clock.now(), call
    move = begin(plan, clock.monotonic())
    while not isinstance(move.next, End):
        state, step = move.state, move.next
        if isinstance(step, Sleep):
            pause = step.until - clock.monotonic()
            if pause > 0:
                yield Pause(pause)
            move = begin_tick(state, clock.monotonic())
            continue
        left = max(0.0, state.ends - clock.monotonic())
        asked = _limited(call, step, left)
        event = yield from _ask(settings, asked, step, cut=asked.deadline >= left)
        move = handle(state, event, clock.monotonic())
        if observer is not None:
            observer(_observation(state, move, step, event, clock, job_id=asked.job_id))
    verdict = _verdict(asked.job_id, move.state, move.next, began_at, clock)
    if check and not verdict:
        raise _failure(verdict, asked) from verdict.error
    return verdict


def _limited(call: Call, step: Poll, left: float) -> Call:
    """Return a call with a client request id of its own that ends with the wait at the latest.

    A list of all tasks may take all of the time that is left: each of its pages has limits of its own.
    """
    deadline = left if isinstance(step, AskExact) else min(call.deadline, left)
    return call._replace(deadline=deadline, client_request_id=new_guid())


def _ask(settings: Settings, call: Call, step: Poll, *, cut: bool) -> Flow[Event]:
    """Make a poll, and return its outcome."""
    began = settings.clock.monotonic()
    try:
        if isinstance(step, AskCounts):
            return Counted((yield from exchange(settings, TASK_COUNTS_OPERATION, call)))
        # A proof: an answer that may be stale, or not the service's to this request, proves nothing.
        strict = settings._replace(strict=True)
        if isinstance(step, AskTasks):
            return Queried(step.query, (yield from _find_task(strict, call, step.query)))
        if isinstance(step, AskJob):
            return JobSeen((yield from exchange(strict, _JOB, call)))
        snapshot = yield from exact_counts(settings, call)
        return Listed(snapshot, settings.clock.monotonic() - began)
    except TaskCountsError as error:
        return Failed(error, cut_off=cut and _lacked_time(error, settings))


def _lacked_time(error: TaskCountsError, settings: Settings) -> bool:
    """Return whether more time could have brought an answer."""
    if isinstance(error, ServiceError):
        return error.status in RETRYABLE_STATUSES and error.attempts < settings.retry.max_attempts
    return isinstance(error, DeadlineExceeded)


def _find_task(settings: Settings, call: Call, query: str) -> Flow[Task | None]:
    """Return a task that a query finds, None if there is none.

    The service may answer with an empty page and a link: only the last page shows that there is no task.
    """
    ends = settings.clock.monotonic() + call.deadline
    loop_detector, link = LoopDetector(), None
    while True:
        operation = _task_page(settings.endpoint, query, loop_detector, link)
        found, link = yield from exchange(settings, operation, call)
        if found is not None or link is None:
            return found
        left = max(0.0, ends - settings.clock.monotonic())
        call = call._replace(deadline=left, client_request_id=new_guid())


def _task_page(
    endpoint: str, query: str, loop_detector: LoopDetector, link: str | None
) -> Operation[tuple[Task | None, str | None]]:
    """Return the operation that reads one page of a query: its first task, and the link to the next."""
    options: dict[str, Any] = {"select": SELECT, "maxresults": 1}
    if (filter_ := FILTERS[query]) is not None:
        options["filter_"] = filter_
    operation = task_list_operation(endpoint, link=link, loop_detector=loop_detector, **options)

    def build(answer: CheckedAnswer) -> tuple[Task | None, str | None]:
        page: Page = operation.build(answer)
        return first_task(page.items, query), page.link

    return Operation(operation.parts, operation.check, build, operation.limit)


def _job_state() -> Operation[str]:
    """Return the operation that reads a job's own state, in lower case."""
    operation = job_get_operation()

    def build(answer: CheckedAnswer) -> str:
        return str(operation.build(answer)["state"]).lower()

    return Operation(operation.parts, operation.check, build, operation.limit)


_JOB = _job_state()


def _observation(
    before: State, move: Move, step: Poll, event: Event, clock: Clock, *, job_id: str
) -> Observation:
    """Return the observation of a poll."""
    state, now = move.state, clock.monotonic()
    error = event.error if isinstance(event, Failed) else None
    old, new = before.snapshot, state.snapshot
    return Observation(
        job_id=job_id,
        number=state.polls,
        at=clock.now(),
        elapsed=now - state.began,
        kind=_KINDS[type(event)],
        snapshot=new,
        changed=new is not old and (old is None or new is None or old.task_counts != new.task_counts),
        looked_for=step.query if isinstance(step, AskTasks) else None,
        found=event.found.id if isinstance(event, Queried) and event.found else None,
        job_state=state.job_state,
        error=error,
        failures=state.failures,
        doubtful=state.doubtful,
        note=one_line("; ".join(move.notes), 1000) if move.notes else None,
        rate=state.rate.value if state.rate else None,
        left=state.left,
        pause=max(0.0, move.next.until - now) if isinstance(move.next, Sleep) else 0.0,
    )


def _verdict(job_id: str, state: State, end: End, began_at: datetime, clock: Clock) -> Verdict:
    now = clock.monotonic()
    return Verdict(
        job_id=job_id,
        goal=str(state.plan.goal),
        outcome=outcome_of(state.plan, end.reason),
        text=verdict_text(job_id, state, end, now),
        confirmed=end.confirmed,
        snapshot=state.snapshot,
        task_id=end.task_id,
        job_state=state.job_state,
        error=end.error,
        polls=state.polls,
        failed_polls=state.failed_polls,
        began_at=began_at,
        ended_at=clock.now(),
        elapsed=now - state.began,
    )


def _failure(verdict: Verdict, asked: Call) -> WaitFailed:
    return WaitFailed(
        verdict.text,
        job_id=verdict.job_id,
        attempts=verdict.polls,
        client_request_id=asked.client_request_id,
        api_version=asked.api_version,
        verdict=verdict,
    )
