"""The parts of get_many that threads and tasks share: its plan, the flow of one job, and the tally."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

from taskcounts.arguments import check_callback, check_job_id, check_seconds, new_guid
from taskcounts.errors import DeadlineExceeded, TaskCountsError
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Acquire, Flow, Limiter, NoPermit, Settings
from taskcounts.many.values import JobResult
from taskcounts.many.window import check_concurrency
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.messages import Call
from taskcounts.semaphore import Permit
from taskcounts.snapshot import Snapshot

# Job ids that are read beyond the concurrency, so that no worker waits for the next one.
PREFETCH = 4

Progress = Callable[[int, int], object]
SomeIds = TypeVar("SomeIds", bound="Iterable[str] | AsyncIterable[str]")


class ManyPlan(NamedTuple):
    """The checked arguments of one call.

    Attributes:
        settings: The client's, with a limiter.
        call: The call about each job, without its id.
        concurrency: The number of jobs that may be asked for at once.
        deadline: Seconds that all jobs may take together.
        progress: Called before each result is yielded.
    """

    settings: Settings
    call: Call
    concurrency: int
    deadline: float
    progress: Progress | None


def plan_many(
    settings: Settings,
    call: Call,
    *,
    concurrency: int,
    deadline: float | None,
    progress: Progress | None,
    make_limiter: Callable[[int, Any], Limiter],
) -> ManyPlan:
    """Return a plan; raise ValueError or TypeError for an argument that can't be used."""
    check_concurrency(concurrency)
    deadline = math.inf if deadline is None else check_seconds("deadline", deadline)
    check_callback("progress", progress)
    if settings.limiter is None:
        settings = settings._replace(limiter=make_limiter(concurrency, settings.clock))
    return ManyPlan(settings, call, concurrency, deadline, progress)


def check_ids(job_ids: SomeIds, *kinds: type) -> SomeIds:
    """Return an iterable of job ids; raise TypeError for a single string, and for anything else."""
    if isinstance(job_ids, str | bytes | bytearray) or not isinstance(job_ids, kinds):
        # Each letter of a string would pass for a job id.
        raise TypeError(f"job_ids must be several job ids, such as a list, not {type(job_ids).__name__}")
    return job_ids


def job_id_error(job_id: object) -> ValueError | TypeError | None:
    """Return the error of a value that is no job id, None for a job id."""
    try:
        check_job_id(cast(str, job_id))
    except (ValueError, TypeError) as error:
        return error.with_traceback(None)
    return None


def count_job(plan: ManyPlan, job_id: str, ends: float) -> Flow[Snapshot]:
    """Return the counts of one job among many.

    The job's own deadline begins once there is a permit for its first request: a cooldown of the service
    would otherwise use up the time of jobs that were never asked for.

    Args:
        plan: The plan of the call.
        job_id: The job.
        ends: The moment on the monotonic clock at which the time of all jobs is over.

    Raises:
        DeadlineExceeded: There was no permit in time.
    """
    settings, call = plan.settings, plan.call
    permit = yield Acquire(cast(Limiter, settings.limiter), ends, is_retry=False)
    if isinstance(permit, NoPermit):
        raise _not_asked(plan, job_id, permit.cooldown)
    deadline = call.deadline
    if ends != math.inf:
        # At the very end the time may be over by now; then the exchange says so.
        deadline = min(deadline, max(ends - settings.clock.monotonic(), 0.0))
    call = call._replace(job_id=job_id, deadline=deadline, client_request_id=new_guid())
    return (yield from exchange(settings, TASK_COUNTS_OPERATION, call, cast(Permit, permit)))


def _not_asked(plan: ManyPlan, job_id: str, cooldown: float) -> DeadlineExceeded:
    busy = f"; the service is busy, and asked to be left alone for {cooldown:.1f} s" if cooldown else ""
    return DeadlineExceeded(
        f"job {job_id!r}: not asked for: the deadline of {plan.deadline:g} s for all jobs "
        f"ends before{busy} (0 attempts)",
        job_id=job_id,
        attempts=0,
        client_request_id=new_guid(),
        api_version=plan.call.api_version,
    )


def error_result(job_id: str, error: TaskCountsError) -> JobResult:
    """Return the result of a job without counts; the frames of its error would keep many objects alive."""
    return JobResult(job_id=job_id, error=error.with_traceback(None))


class Tally:
    """The number of results so far, and of the errors among them."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._results = 0
        self._errors = 0

    def count(self, result: JobResult) -> JobResult:
        """Count a result, report the progress, and return the result."""
        self._results += 1
        self._errors += result.error is not None
        if self._progress is not None:
            self._progress(self._results, self._errors)
        return result
