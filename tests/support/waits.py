"""Waits without a server: a job with a scripted history, and reported counts that may differ from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx

from support.answers import Reply, answer
from support.clocks import FakeClock
from taskcounts.errors import ServiceBusy, ServiceUnreachable, TaskCountsError
from taskcounts.snapshot import Inconsistency, Snapshot, TaskCounts, TaskSlotCounts
from taskcounts.waiting.goals import parse_goal
from taskcounts.waiting.machine import begin, begin_tick, handle
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.queries import FILTERS, Task
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

START = datetime(2024, 8, 1, tzinfo=UTC)
ODD = Inconsistency(invariant="task-counts-completed", path="taskCounts.completed", text="they don't add up")


class Numbers(NamedTuple):
    """Counts in a short form."""

    active: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def unfinished(self) -> int:
        return self.active + self.running

    @property
    def total(self) -> int:
        return sum(self)

    @property
    def completed(self) -> int:
        return self.succeeded + self.failed


def snapshot(
    numbers: Numbers, at: float = 0.0, *, exact: bool = False, odd: tuple[Inconsistency, ...] = ()
) -> Snapshot:
    """Return a snapshot of counts."""
    members = {**numbers._asdict(), "completed": numbers.completed}
    return Snapshot(
        job_id="job-1",
        task_counts=TaskCounts(**members),
        task_slot_counts=TaskSlotCounts(**members),
        observed_at=START + timedelta(seconds=at),
        request_id=None,
        client_request_id="",
        attempts=1,
        inconsistencies=odd,
        exact=exact,
    )


def unreachable() -> ServiceUnreachable:
    """Return the error of a request without an answer."""
    return ServiceUnreachable("job 'job-1': no answer", job_id="job-1", attempts=4, client_request_id="")


def busy(retry_after: float | None = None) -> ServiceBusy:
    """Return the error of a throttled request."""
    return ServiceBusy(
        "job 'job-1': 429 TooManyRequests (4 attempts)",
        job_id="job-1",
        attempts=4,
        client_request_id="",
        status=429,
        code="TooManyRequests",
        message=None,
        details=(),
        request_id=None,
        retry_after=retry_after,
    )


# At which second, what happens, to which task; or to the job, by the name of its new state.
Happening = tuple[float, str, str]


@dataclass
class Job:
    """The true history of a job: a list of events with their seconds.

    ``past`` has the counts from each moment on, and the job's own state.
    """

    script: Iterable[Happening]
    past: list[tuple[float, Numbers, str]] = field(default_factory=list)
    tasks: list[tuple[float, tuple[Task, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        tasks: dict[str, Task] = {}
        state = "active"
        self._keep(-1.0, tasks, state)
        for second, what, whom in sorted(self.script, key=lambda happening: happening[0]):
            state = _happen(tasks, what, whom, state, second)
            self._keep(second, tasks, state)

    def _keep(self, second: float, tasks: dict[str, Task], state: str) -> None:
        states = [task.state for task in tasks.values()]
        failed = sum(task.failed for task in tasks.values())
        completed = states.count("completed")
        running = states.count("running") + states.count("preparing")
        numbers = Numbers(states.count("active"), running, completed - failed, failed)
        self.past.append((second, numbers, state))
        self.tasks.append((second, tuple(tasks.values())))

    @property
    def last(self) -> float:
        """The time of the last event, in seconds."""
        return self.past[-1][0]

    def counts(self, second: float) -> Numbers:
        return next(counts for since, counts, _ in reversed(self.past) if since <= max(second, 0.0))

    def state(self, second: float) -> str:
        return next(state for since, _, state in reversed(self.past) if since <= second)

    def tasks_at(self, second: float) -> tuple[Task, ...]:
        """Return all tasks that a list has at some moment."""
        return next(tasks for since, tasks in reversed(self.tasks) if since <= second)

    def find(self, query: str, second: float) -> Task | None:
        """Return the first task of a kind."""
        return next((task for task in self.tasks_at(second) if _fits(task, query)), None)

    def was_so(self, true: Callable[[Numbers], bool], since: float, until: float) -> bool:
        """Return whether a test holds for the counts at any moment of a span."""
        moments = [since, *(second for second, _, _ in self.past if since <= second <= until)]
        return any(true(self.counts(moment)) for moment in moments)


def _happen(tasks: dict[str, Task], what: str, whom: str, state: str, second: float) -> str:
    """Apply an event if it is possible, and return the job's own state."""
    known = tasks.get(whom)
    if what == "job":
        return whom
    if what == "add" and known is None:
        created = f"{START + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%fZ}"
        tasks[whom] = Task(whom, "active", failed=False, created=created)
    elif what == "delete":
        tasks.pop(whom, None)
    elif known is not None and what in ("active", "preparing", "running"):
        tasks[whom] = known._replace(state=what, failed=False)
    elif known is not None and what in ("succeed", "fail"):
        tasks[whom] = known._replace(state="completed", failed=what == "fail")
    return state


def _fits(task: Task, query: str) -> bool:
    unfinished = task.state != "completed"
    return {
        "any": True,
        "active": task.state == "active",
        "failed": task.failed,
        "unfinished": unfinished,
        "unsuccessful": unfinished or task.failed,
    }[query]


class Asked(NamedTuple):
    """A request of a wait: its time, the start of its tick, the step, its event, and the next move."""

    at: float
    tick: float
    step: Poll
    event: Event
    move: Move


@dataclass
class Course:
    """The course of a wait."""

    job: Job
    asked: list[Asked]
    state: State
    end: End
    ended: float

    @property
    def ticks(self) -> list[float]:
        return sorted({asked.tick for asked in self.asked})


def go(
    plan: WaitPlan,
    job: Job,
    *,
    report: Callable[[Job, float, int], Snapshot] | None = None,
    fails: Callable[[int, float, Poll], TaskCountsError | None] = lambda *_: None,
    takes: Callable[[int], float] = lambda _: 0.0,
    most: int = 3000,
) -> Course:
    """Run a wait for a job, and return its course.

    Args:
        plan: The plan of the wait.
        job: The truth.
        report: Returns the reported counts at a second, given how many questions there were; true by default.
        fails: Returns the error of a question that gets no answer.
        takes: Returns the seconds that a question takes; what it is told is of the middle.
        most: After so many questions the wait is taken for endless.
    """
    now, asked = 0.0, list[Asked]()
    move = begin(plan, now)
    while not isinstance(move.next, End):
        if isinstance(move.next, Sleep):
            assert move.next.until >= now
            now = move.next.until
            move = begin_tick(move.state, now)
            continue
        number, at = len(asked), now
        assert number < most, "it doesn't end"
        state, step = move.state, move.next
        moment, now = at + takes(number) / 2, at + takes(number)
        error = fails(number, at, step)
        event = Failed(error) if error else _answer(job, step, moment, number, report, takes(number))
        move = handle(state, event, now)
        asked.append(Asked(at, state.tick, step, event, move))
    return Course(job, asked, move.state, move.next, now)


def _answer(  # noqa: PLR0917 - what the loop knows.
    job: Job,
    step: Poll,
    moment: float,
    number: int,
    report: Callable[[Job, float, int], Snapshot] | None,
    seconds: float,
) -> Event:
    match step:
        case AskCounts():
            told = report(job, moment, number) if report else snapshot(job.counts(moment), moment)
            return Counted(told)
        case AskTasks():
            return Queried(step.query, job.find(step.query, moment))
        case AskJob():
            return JobSeen(job.state(moment))
        case AskExact():
            return Listed(snapshot(job.counts(moment), moment, exact=True), seconds)


QUERIES = {filter_: query for query, filter_ in FILTERS.items()}


class Service:
    """A handler that answers for a job as the service does, at the time of a clock that the client sleeps on.

    Args:
        job: The truth.
        clock: The time.
        instead: Returns another answer to a question, given its kind and how many came before; or None.
    """

    def __init__(
        self,
        job: Job,
        clock: FakeClock,
        instead: Callable[[str, int], Reply | Exception | None] = lambda *_: None,
    ) -> None:
        self.job, self.clock, self.instead = job, clock, instead
        self.requests: list[httpx.Request] = []
        self.kinds: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        filter_ = request.url.params.get("$filter")
        path = request.url.path.removeprefix("/jobs/job-1")
        kind = {"/taskcounts": "counts", "": "job"}.get(path) or QUERIES[filter_]
        if path == "/tasks" and "requiredSlots" in request.url.params["$select"]:
            kind = "exact"
        reply = self.instead(kind, len(self.requests))
        self.requests.append(request)
        self.kinds.append(kind)
        if isinstance(reply, Exception):
            raise reply
        response = (reply or answer(self._body(kind))).response()
        response.headers.setdefault("client-request-id", request.headers["client-request-id"])
        return response

    def _body(self, kind: str) -> dict[str, Any]:
        second = self.clock.seconds - 1000
        if kind == "job":
            return {"id": "job-1", "state": self.job.state(second)}
        if kind == "exact":
            return {"value": [item(task) | {"requiredSlots": 1} for task in self.job.tasks_at(second)]}
        if kind != "counts":
            found = self.job.find(kind, second)
            return {"value": [item(found)] if found else []}
        numbers = self.job.counts(second)
        members = {**numbers._asdict(), "completed": numbers.completed}
        return {"taskCounts": members, "taskSlotCounts": members}


def item(task: Task) -> dict[str, Any]:
    """Return a task as the service lists it."""
    listed: dict[str, Any] = {"id": task.id, "state": task.state, "creationTime": task.created}
    if task.completed:
        result = "failure" if task.failed else "success"
        listed["executionInfo"] = {"retryCount": 0, "requeueCount": 0, "result": result}
    return listed


# Histories that many tests use.
EMPTY: list[Happening] = []
STUCK: list[Happening] = [(0, "add", "a"), (0, "add", "b")]
RUNS: list[Happening] = [*STUCK, (0, "running", "a"), (0, "preparing", "b")]
DONE: list[Happening] = [*RUNS, (50, "succeed", "a"), (60, "succeed", "b")]
FAILS: list[Happening] = [*RUNS, (50, "fail", "b"), (60, "succeed", "a")]
LEFT: list[Happening] = [*STUCK, (5, "running", "a"), (10, "succeed", "a"), (20, "job", "completed")]


def waited(
    script: list[Happening], until: str = "done", *, how: dict[str, Any] | None = None, **plan: Any
) -> Course:
    """Return the course of a wait; ``how`` has the options of `go`."""
    plan.setdefault("deadline", 600)
    return go(WaitPlan(goal=parse_goal(until), **plan), Job(script), **(how or {}))


def told(*numbers: Numbers) -> Callable[[Job, float, int], Snapshot]:
    """Return a function that reports the given counts one after another, and then always the last."""
    asked = [0]

    def report(job: Job, second: float, number: int) -> Snapshot:
        asked[0] += 1
        return snapshot(numbers[min(asked[0], len(numbers)) - 1], second)

    return report


def failing(kind: type[Poll], times: int = 1000, error: TaskCountsError | None = None) -> Any:
    """Return a function that gives the first requests of a kind an error."""
    left = [times]

    def fails(number: int, at: float, step: Poll) -> TaskCountsError | None:
        if not isinstance(step, kind) or not left[0]:
            return None
        left[0] -= 1
        return error or unreachable()

    return fails


def kinds(course: Course) -> list[str]:
    """Return the kinds of the requests, in order."""
    return [
        asked.step.query if isinstance(asked.step, AskTasks) else type(asked.step).__name__[3:].lower()
        for asked in course.asked
    ]


def notes(course: Course) -> list[str]:
    """Return all notes, in order."""
    return [note for asked in course.asked for note in asked.move.notes]
