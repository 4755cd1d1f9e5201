"""What asking for many jobs is made of, for threads and tasks alike: arguments, one job's flow, the tally."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

from taskcounts.arguments import check_callback, check_job_id, check_seconds, new_guid
from taskcounts.errors import DeadlineExceeded, TaskCountsError
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Exchange, Limiter, NoPermit, Settings
from taskcounts.many.values import JobResult
from taskcounts.many.window import check_concurrency
from taskcounts.protocol.counts import COUNTS
from taskcounts.protocol.messages import Question
from taskcounts.semaphore import Permit
from taskcounts.snapshot import Snapshot

# How many ids are read beyond those that are asked for, so that nobody who asks waits for the next one.
AHEAD = 4

Progress = Callable[[int, int], object]
SomeIds = TypeVar("SomeIds", bound="Iterable[str] | AsyncIterable[str]")


class Plan(NamedTuple):
    """What is the same for all jobs of one call, its arguments checked.

    Attributes:
        settings: The client's, with the limiter that the requests wait at.
        question: The question about each job, but for its id.
        concurrency: How many jobs may be asked for at once.
        deadline: Seconds that all may take together.
        progress: Called after each result.
    """

    settings: Settings
    question: Question
    concurrency: int
    deadline: float
    progress: Progress | None


def make_plan(
    settings: Settings,
    question: Question,
    *,
    concurrency: int,
    deadline: float | None,
    progress: Progress | None,
    make_limiter: Callable[[int, Any], Limiter],
) -> Plan:
    """Return a plan; raise ValueError or TypeError for an argument that can't be used."""
    check_concurrency(concurrency)
    deadline = math.inf if deadline is None else check_seconds("deadline", deadline)
    check_callback("progress", progress)
    if settings.limiter is None:
        settings = settings._replace(limiter=make_limiter(concurrency, settings.clock))
    return Plan(settings, question, concurrency, deadline, progress)


def check_ids(job_ids: SomeIds, *kinds: type) -> SomeIds:
    """Return what job ids are read from; refuse what would be read as something else."""
    if isinstance(job_ids, str | bytes | bytearray) or not isinstance(job_ids, kinds):
        # The letters of a string are job ids, too.
        raise TypeError(f"job_ids must be several job ids, such as a list, not {type(job_ids).__name__}")
    return job_ids


def refusal(job_id: object) -> ValueError | TypeError | None:
    """Return why something is no job id, None if it is one."""
    try:
        check_job_id(cast(str, job_id))
    except (ValueError, TypeError) as error:
        return error.with_traceback(None)
    return None


def counting(
    plan: Plan, settings: Settings, job_id: str, permit: Permit | NoPermit, ends: float
) -> Exchange[Snapshot]:
    """Return the flow that asks for the counts of one job among many.

    Its deadline begins now that its turn has come: a service that is busy for long would otherwise use up
    the time of jobs that were never asked for.

    Args:
        plan: What is the same for all.
        settings: The plan's, if need be with another limiter.
        job_id: The job.
        permit: What the limiter gave for its first request.
        ends: When the time of all is over, on the monotonic clock.

    Raises:
        DeadlineExceeded: The limiter gave no permit in time.
    """
    _, service_timeout, timeout, deadline, _ = plan.question
    if isinstance(permit, NoPermit):
        raise _not_asked(plan, job_id, permit.cooldown)
    if ends != math.inf:
        # At the very end the time may be over meanwhile; then the exchange says so.
        deadline = min(deadline, max(ends - settings.clock.monotonic(), 0.0))
    question = Question(job_id, service_timeout, timeout, deadline, new_guid())
    return exchange(settings, COUNTS, question, permit)


def _not_asked(plan: Plan, job_id: str, cooldown: float) -> DeadlineExceeded:
    busy = f"; the service is busy, and asked to be left alone for {cooldown:.1f} s" if cooldown else ""
    return DeadlineExceeded(
        f"job {job_id!r}: not asked for: the deadline of {plan.deadline:g} s for all jobs "
        f"ends before{busy} (0 attempts)",
        job_id=job_id,
        attempts=0,
        client_request_id=new_guid(),
    )


def failed(job_id: str, error: TaskCountsError) -> JobResult:
    """Return the result of a job that has no counts. The frames of its error would keep much alive."""
    return JobResult(job_id=job_id, error=error.with_traceback(None))


class Tally:
    """How many results there were, and how many of them were errors."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._results = 0
        self._errors = 0

    def count(self, result: JobResult) -> JobResult:
        """Count a result, tell of it, and return it."""
        self._results += 1
        self._errors += result.error is not None
        if self._progress is not None:
            self._progress(self._results, self._errors)
        return result
