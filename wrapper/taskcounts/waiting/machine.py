"""Decides on the next poll of a wait, and on its end. Pure: no clock, no I/O, no randomness.

A wait is a series of ticks, with a sleep after each. A tick makes one cheap poll, mostly for the counts. If
the counts claim that the goal is reached, the tick goes on with a `proof` by list queries, which are never
behind. Counts may also stand still after the job has ended, so a check takes their place now and then: in
every second tick once two answers in a row brought no change, else after eight.

Every wait polls once more before its deadline: its last tick comes shortly before the deadline, whatever the
interval. It polls the counts, and makes all checks that could end the wait, as the counts may be behind.

`begin`, `begin_tick` (after a sleep) and `handle` (after a poll) return a `Move`: the new state, the next
step, and notes for people.
"""

from __future__ import annotations

import math

from taskcounts.errors import AuthenticationFailed, CredentialFailed, ServiceError
from taskcounts.flow.failures import refuses_version
from taskcounts.retry import LONGEST
from taskcounts.waiting import rules
from taskcounts.waiting.notes import about_counts, about_exact, about_finding, about_job
from taskcounts.waiting.pace import interval_seconds, observe_rate
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.proof import Claim, Finding, Proof, Result, advance, begin_proof
from taskcounts.waiting.state import (
    AskCounts,
    AskExact,
    AskJob,
    AskTasks,
    Cause,
    Counted,
    End,
    Event,
    Failed,
    JobSeen,
    Listed,
    Move,
    Poll,
    Queried,
    Reason,
    Sleep,
    State,
)

# All tasks are listed again only after this multiple of the time that the last list took.
LIST_SPACING = 9


def begin(plan: WaitPlan, now: float) -> Move:
    """Return the first move of a wait."""
    return Move(State(plan=plan, began=now, tick=now, since_check=1), AskCounts())


def begin_tick(state: State, now: float) -> Move:
    """Return the first move of a tick."""
    if state.deadline_reached:
        # Even if the clock woke the flow a moment too soon.
        return Move(state, End(Reason.TIMED_OUT))
    state = state.replace(tick=now)
    if state.last_tick:
        # There is no later tick: all is asked anew, as a refuted claim may be true by now.
        closing = rules.checks(state.plan)
        state = state.replace(
            resume_with=None,
            fallback_end=None,
            refuted=frozenset(),
            list_after=-math.inf,
            final_checks=closing,
        )
    match state.resume_with:
        case End() as pending:
            return _ask(state.replace(resume_with=None, pending_end=pending), AskExact(), now)
        case AskJob():
            # Unless it ends the wait, all is asked anew: much may have changed meanwhile.
            return _ask(state.replace(resume_with=None, cause=Cause.CHECK), AskJob(), now)
        case Proof() as proof:
            # The counts are too old by now to show that nothing has changed.
            fallback_end = None if state.cause is Cause.STALL else state.fallback_end
            return _ask(
                state.replace(resume_with=None, proof=proof, fallback_end=fallback_end),
                AskTasks(proof.query),
                now,
            )
    counted = state.snapshot is not None and not state.last_tick
    if counted and not state.is_stalled(now) and state.check_is_due:
        return _check(state, now)
    return _ask(state.replace(since_check=state.since_check + 1), AskCounts(), now)


def handle(state: State, event: Event, now: float) -> Move:
    """Return the move after a poll, with or without an answer."""
    state = state.replace(polls=state.polls + 1)
    if isinstance(event, Failed):
        return _on_failed(state, event, now)
    state = state.replace(failures=0, last_error=None)
    if isinstance(event, Counted):
        return _on_counted(state, event, now)
    if isinstance(event, Queried):
        return _on_queried(state, event, now)
    if isinstance(event, JobSeen):
        return _on_job_seen(state, event, now)
    return _on_listed(state, event, now)


def _ask(state: State, question: Poll, now: float, notes: tuple[str, ...] = ()) -> Move:
    """Return a poll as the next step, or the end of the wait after its deadline."""
    if now >= state.ends:
        return Move(state, End(Reason.TIMED_OUT), notes)
    return Move(state, question, notes)


def _sleep(state: State, now: float, notes: tuple[str, ...] = ()) -> Move:
    """Return the sleep until the next tick; in the last one, the next of the final checks."""
    if state.final_checks:
        return _final_check(state, now, notes)
    plan = state.plan
    interval = plan.interval
    if interval is None:
        limit = min(state.ends - state.tick, state.same_since + plan.stall - state.tick)
        # Counts that leave nothing to do were just refuted by a list.
        left = state.left or None
        interval = interval_seconds(plan.min_interval, state.unchanged + state.failures, left, limit=limit)
    until = min(max(state.tick + interval, state.not_before, now), now + LONGEST)
    last_tick_at, deadline_reached = state.last_tick_at, state.last_tick
    # A tick that begins just before the last one may still be under way when that is due.
    if until >= last_tick_at or last_tick_at - until < state.ends - last_tick_at:
        until = max(last_tick_at, state.not_before, now)
        # After this moment there is no time for an answer.
        deadline_reached = deadline_reached or until > last_tick_at
        state = state.replace(last_tick=True)
    if deadline_reached:
        until = max(state.ends, now)
    fallback_end = state.fallback_end if isinstance(state.resume_with, Proof | AskJob) else None
    job_ended = state.job_ended and state.resume_with is not None
    state = state.replace(
        proof=None,
        pending_end=None,
        fallback_end=fallback_end,
        deadline_reached=deadline_reached,
        job_ended=job_ended,
    )
    return Move(state, Sleep(until), notes)


def _final_check(state: State, now: float, notes: tuple[str, ...]) -> Move:
    """Return the next check of the last tick."""
    claim, *left = state.final_checks
    state = state.replace(final_checks=tuple(left), proof=None, pending_end=None)
    if claim is None:
        return _ask(state, AskJob(), now, notes)
    if claim in state.refuted:
        return _sleep(state, now, notes)
    return _prove(state, claim, Cause.CHECK, now, notes)


# Checks, which take the place of the counts.


def _check(state: State, now: float) -> Move:
    """Return the next check."""
    turns = rules.checks(state.plan)
    claim = turns[state.checks % len(turns)]
    state = state.replace(checks=state.checks + 1, since_check=0, unchanged=state.unchanged + 1)
    if claim is None:
        return _ask(state, AskJob(), now)
    return _prove(state, claim, Cause.CHECK, now)


# Proofs.


def _prove(state: State, claim: Claim, cause: Cause, now: float, notes: tuple[str, ...] = ()) -> Move:
    """Begin to prove a claim."""
    empty = state.snapshot is not None and not state.snapshot.total
    proof = begin_proof(claim, likely=cause is Cause.CLAIM or (cause is Cause.CHECK and empty))
    return _ask(state.replace(proof=proof, cause=cause), AskTasks(proof.query), now, notes)


def _on_queried(state: State, event: Queried, now: float) -> Move:
    assert state.proof is not None  # noqa: S101 - only proofs query tasks.
    after = advance(state.proof, event.found)
    state = _record_contradiction(state, event)
    if isinstance(after, Proof):
        return _ask(state.replace(proof=after), AskTasks(after.query), now)
    return _apply_finding(state, after, now)


def _record_contradiction(state: State, event: Queried) -> State:
    """Record whether a query contradicts the counts."""
    if state.snapshot is None or not rules.contradicts(event.query, event.found, state.snapshot):
        return state.replace(contradicted=state.contradicted - {event.query})
    if state.counted_at < state.tick:
        # Tasks may have moved since the counts came: no contradiction.
        return state
    return state.replace(contradicted=state.contradicted | {event.query})


def _apply_finding(state: State, finding: Finding, now: float) -> Move:  # noqa: PLR0911 - a line for each case.
    """Return the move after a proof."""
    claim, result, task = finding
    notes = about_finding(state, finding)
    match claim, result:
        case Claim.FAILED, Result.PROVEN:
            return _end(state, Reason.FAILED, now, notes, task_id=task and task.id)
        case Claim.ENDED, Result.PROVEN:
            failed = task is not None and task.failed
            reason = Reason.SOME_FAILED if failed else Reason.ALL_SUCCEEDED
            return _end(state, reason, now, notes, task_id=task.id if task and failed else None)
        case Claim.IDLE, Result.PROVEN:
            return _end(state, Reason.IDLE, now, notes)
        case _, Result.EMPTY if state.job_ended or state.plan.empty_is_done:
            return _end(state, Reason.EMPTY, now, notes)
        case Claim.FAILED, Result.REFUTED if state.fallback_end is not None:
            return _confirm_by_job_state(state, state.fallback_end, now, notes)
        case _, Result.REFUTED if state.job_ended and task is not None and task.state == "active":
            return _end_unmet(state, End(Reason.NEVER_RAN, confirmed=True, task_id=task.id), now, notes)
        case Claim.ENDED | Claim.IDLE, Result.REFUTED | Result.EMPTY if state.cause is Cause.STALL:
            return _end_unmet(state, End(Reason.STALLED, task_id=task and task.id), now, notes)
    if result is not Result.OPEN:
        state = state.replace(refuted=state.refuted | {claim})
        if state.cause is Cause.CLAIM:
            # The same counts may make another claim.
            return _evaluate_counts(state, now, notes)
    return _sleep(state, now, notes)


def _end_unmet(state: State, end: End, now: float, notes: tuple[str, ...]) -> Move:
    """End a wait that can't reach its goal, unless a failed task decides it."""
    if end.reason is Reason.STALLED and state.counted_at < state.tick:
        # Only fresh counts show that nothing has changed.
        return _ask(state.replace(fallback_end=end, proof=None), AskCounts(), now, notes)
    if rules.failure_ends(state.plan):
        return _prove(state.replace(fallback_end=end), Claim.FAILED, state.cause, now, notes)
    return _confirm_by_job_state(state, end, now, notes)


def _confirm_by_job_state(state: State, end: End, now: float, notes: tuple[str, ...]) -> Move:
    if end.reason is Reason.NEVER_RAN:
        return _end(state, end.reason, now, notes, task_id=end.task_id)
    # A job that has ended, is disabled or is being deleted stands still for ever: its own state shows it.
    return _ask(state.replace(fallback_end=end, proof=None), AskJob(), now, notes)


# Verdicts.


def _end(
    state: State, reason: Reason, now: float, notes: tuple[str, ...] = (), *, task_id: str | None = None
) -> Move:
    """End the wait for a reason, or make the one poll that has to come before."""
    plan = state.plan
    end = End(rules.reason_for(plan, reason), confirmed=reason is not Reason.REACHED, task_id=task_id)
    if end.reason in (Reason.REACHED, Reason.SHORT):
        # No single task proves a number.
        end = end._replace(task_id=None)
    if rules.needs_exact(plan, end.reason):
        if now < state.list_after:
            return _sleep(state, now, notes)
        return _ask(state.replace(pending_end=end), AskExact(), now, notes)
    known = state.snapshot
    agreed = known is not None and rules.supported_reason(plan, end.reason, known, job_ended=state.job_ended)
    if not agreed and state.counted_at < state.tick and now < state.ends:
        # Only for fresh numbers in the verdict, which stands.
        return _ask(state.replace(pending_end=end), AskCounts(), now, notes)
    return Move(state, end, notes)


# Answers.


def _on_counted(state: State, event: Counted, now: float) -> Move:
    new = event.snapshot
    notes = about_counts(state.reported, new)
    changed = state.reported is None or state.reported.task_counts != new.task_counts
    state = state.replace(snapshot=new, reported=new, counted_at=now)
    if not new.inconsistencies:
        state = state.replace(rate=observe_rate(state.rate, now, new.completed))
    if changed:
        state = state.replace(
            same_since=now, unchanged=0, refuted=frozenset(), contradicted=frozenset(), fallback_end=None
        )
    else:
        state = state.replace(unchanged=state.unchanged + 1)
    if (pending := state.pending_end) is not None:
        # The end is proven, whatever the counts say now.
        if not rules.supported_reason(state.plan, pending.reason, new, job_ended=state.job_ended):
            state = state.replace(contradicted=state.contradicted | {"verdict"})
        return Move(state, pending, notes)
    return _evaluate_counts(state, now, notes)


def _evaluate_counts(state: State, now: float, notes: tuple[str, ...]) -> Move:
    """Return the move after new counts, or after a proof that refuted one of their claims."""
    assert state.snapshot is not None  # noqa: S101 - they have just come.
    for claim in rules.claims(state.plan, state.snapshot):
        if claim is Reason.REACHED:
            # Contradicted counts decide nothing; a list of all tasks may.
            if now >= state.list_after if state.plan.exact_at_end else not state.contradicted:
                return _end(state, Reason.REACHED, now, notes)
        elif isinstance(claim, Claim) and claim not in state.refuted:
            return _prove(state, claim, Cause.CLAIM, now, notes)
    # At the moment of the counts, not now: later queries don't show that nothing has changed.
    if state.is_stalled(state.counted_at):
        if state.fallback_end is not None:
            return _end_unmet(state, state.fallback_end, now, notes)
        return _prove(state, rules.end_claim(state.plan), Cause.STALL, now, notes)
    return _sleep(state, now, notes)


def _on_job_seen(state: State, event: JobSeen, now: float) -> Move:
    notes = about_job(state.job_state, event.job_state)
    state = state.replace(job_state=event.job_state, job_ended=event.job_state == "completed")
    if event.job_state == "deleting":
        return Move(state, End(Reason.GONE), notes)
    if event.job_state == "completed":
        return _prove(
            state.replace(fallback_end=None), rules.end_claim(state.plan), Cause.JOB_ENDED, now, notes
        )
    if state.fallback_end is not None and state.cause is Cause.STALL:
        return Move(state, state.fallback_end, notes)
    return _sleep(state, now, notes)


def _on_listed(state: State, event: Listed, now: float) -> Move:
    assert state.pending_end is not None  # noqa: S101 - all tasks are listed only before a verdict.
    exact, pending = event.snapshot, state.pending_end
    reason = (
        None
        if exact.inconsistencies
        else rules.supported_reason(state.plan, pending.reason, exact, job_ended=state.job_ended)
    )
    notes = about_exact(exact, believed=reason is not None)
    state = state.replace(
        snapshot=exact,
        counted_at=now,
        contradicted=frozenset(),
        list_after=now + LIST_SPACING * event.seconds,
    )
    if reason is None:
        return _sleep(state, now, notes)
    return Move(state, pending._replace(reason=reason, confirmed=True), notes)


def _on_failed(state: State, event: Failed, now: float) -> Move:
    """Return the move after a poll without a trustworthy answer."""
    error, pending = event.error, state.pending_end
    never_answered = state.failed_polls + 1 == state.polls
    state = state.replace(
        failed_polls=state.failed_polls + 1, failures=state.failures + 1, last_error=error, final_checks=()
    )
    if pending is not None and not rules.needs_exact(state.plan, pending.reason):
        # The counts were asked for only for the numbers in the verdict.
        return Move(state, pending)
    if rules.is_gone(error):
        return Move(state, End(Reason.GONE, error=error))
    if now >= state.ends:
        return Move(state, End(Reason.TIMED_OUT))
    refused = (never_answered and isinstance(error, AuthenticationFailed | CredentialFailed)) or (
        isinstance(error, ServiceError) and refuses_version(error.code, error.details)
    )
    if refused or (state.failures >= state.plan.max_failures and not event.cut_off):
        lost = End(Reason.LOST, error=error)
        # If only the job's own state is missing, the rest is known.
        return Move(state, (state.fallback_end or lost) if state.awaits_job_state else lost)
    if isinstance(error, ServiceError) and error.retry_after and error.retry_after <= LONGEST:
        state = state.replace(not_before=now + error.retry_after)
    return _sleep(
        state.replace(resume_with=AskJob() if state.awaits_job_state else pending or state.interrupted_proof),
        now,
    )
