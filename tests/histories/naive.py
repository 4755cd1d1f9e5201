"""A naive wait: it asks for counts every few seconds, and trusts them."""

from __future__ import annotations

from taskcounts.errors import JobNotFound, TaskCountsError
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Flow, Pause, Settings
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.messages import Call
from taskcounts.snapshot import Snapshot
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.values import Kind, Observation, Observer, Outcome, Verdict

__all__ = ["wait"]


def wait(
    settings: Settings, call: Call, plan: WaitPlan, observer: Observer | None, *, check: bool
) -> Flow[Verdict]:
    """Ask for counts until nothing is active or running."""
    clock = settings.clock
    began, began_at, polls = clock.monotonic(), clock.now(), 0
    snapshot: Snapshot | None = None
    error: TaskCountsError | None = None
    outcome = Outcome.TIMED_OUT
    while (left := plan.deadline - (clock.monotonic() - began)) > 0:
        polls, error = polls + 1, None
        try:
            snapshot = yield from exchange(
                settings, TASK_COUNTS_OPERATION, call._replace(deadline=min(120, left))
            )
        except JobNotFound as missing:
            outcome, error = Outcome.GONE, missing
            break
        except TaskCountsError as failed:
            error = failed
        observation = Observation(
            job_id=call.job_id,
            number=polls,
            at=clock.now(),
            elapsed=clock.monotonic() - began,
            kind=Kind.COUNTS if error is None else Kind.FAILURE,
            snapshot=snapshot,
        )
        if observer is not None:
            observer(observation)
        # Most scripts ignore failures.
        if error is None and snapshot is not None:
            counts = snapshot.task_counts
            if not counts.active and not counts.running:
                outcome = Outcome.FAILED if counts.failed else Outcome.MET
                break
        yield Pause(min(5, max(1e-3, plan.deadline - (clock.monotonic() - began))))
    return Verdict(
        job_id=call.job_id,
        goal=str(plan.goal),
        outcome=outcome,
        text=f"job {call.job_id!r}: {outcome.value}",
        confirmed=True,
        snapshot=snapshot,
        error=error,
        polls=polls,
        failed_polls=0,
        began_at=began_at,
        ended_at=clock.now(),
        elapsed=clock.monotonic() - began,
    )
