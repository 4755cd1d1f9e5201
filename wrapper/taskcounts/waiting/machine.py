"""Decides what a wait asks next, and when it ends. Pure: no clock, no I/O, no chance.

A wait is a row of ticks, with a rest after each. A tick asks one cheap question, mostly for the counts.
Only where they claim what would end the wait are there further questions at once: a `proof`, made of
list queries, which are never behind. Since counts may also stand still although the job is at its end,
other questions take their place now and then: every second tick once nothing has changed for two
answers in a row, else after eight.

No wait ends blind: its last tick comes shortly before the deadline, whatever the interval, and asks for
the counts and whatever else could end the wait, as the counts may be behind.

`begin`, `wake` (the rest is over) and `hear` (an answer came) return a `Move`: the new state, what to
do next, and what a person may want to know.
"""

from __future__ import annotations

import math

from taskcounts.errors import (
    AuthenticationFailed,
    CredentialFailed,
    JobNotFound,
    ServiceError,
    TaskCountsError,
)
from taskcounts.retry import LONGEST
from taskcounts.waiting import rules
from taskcounts.waiting.notes import about_counts, about_exact, about_finding, about_job
from taskcounts.waiting.pace import interval_seconds, observe_rate
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.proof import Claim, Finding, Result, Trial, begin_trial, weigh
from taskcounts.waiting.state import (
    AskCounts,
    AskExact,
    Asking,
    AskJob,
    AskTasks,
    Counted,
    End,
    Event,
    Failed,
    JobSeen,
    Listed,
    Looked,
    Move,
    Reason,
    Rest,
    State,
    Why,
)

# Nothing changed for so many answers in a row: every second tick asks something else than the counts.
STANDSTILL = 2
# However much the counts change, something else is asked after so many of them.
PATIENCE = 8
# Listing all tasks again waits for so many times as long as it took.
LIST_SPACING = 9


def begin(plan: WaitPlan, now: float) -> Move:
    """Return the first move of a wait."""
    return Move(State(plan=plan, began=now, tick=now, since_check=1), AskCounts())


def wake(state: State, now: float) -> Move:
    """Return the first move of a tick."""
    if state.over:
        # Also if the clock has woken us a moment too soon.
        return Move(state, End(Reason.TIMED_OUT))
    state = state.but(tick=now)
    if state.last:
        # All is asked anew, as there is no later tick: what was refuted may be so by now.
        closing = rules.checks(state.plan)
        state = state.but(
            again=None, otherwise=None, refuted=frozenset(), list_after=-math.inf, closing=closing
        )
    match state.again:
        case End() as pending:
            return _ask(state.but(again=None, pending=pending), AskExact(), now)
        case AskJob():
            # If it tells nothing new, all else is to be asked anew, too: much may have changed.
            return _ask(state.but(again=None, why=Why.CHECK), AskJob(), now)
        case Trial() as trial:
            # Counts of before don't tell any more that nothing has changed.
            otherwise = None if state.why is Why.STALL else state.otherwise
            return _ask(state.but(again=None, trial=trial, otherwise=otherwise), AskTasks(trial.look), now)
    counted = state.snapshot is not None and not state.last
    if counted and not _stands_too_long(state, now) and _check_is_due(state):
        return _check(state, now)
    return _ask(state.but(since_check=state.since_check + 1), AskCounts(), now)


def hear(state: State, event: Event, now: float) -> Move:
    """Return the move after an answer, or after a poll that got none."""
    state = state.but(polls=state.polls + 1)
    if isinstance(event, Failed):
        return _fail(state, event, now)
    state = state.but(failures=0, last_error=None)
    if isinstance(event, Counted):
        return _count(state, event, now)
    if isinstance(event, Looked):
        return _look(state, event, now)
    if isinstance(event, JobSeen):
        return _see_job(state, event, now)
    return _list(state, event, now)


def _ask(state: State, question: Asking, now: float, notes: tuple[str, ...] = ()) -> Move:
    """Return a question as the next step, if there is time for it."""
    if now >= state.ends:
        return Move(state, End(Reason.TIMED_OUT), notes)
    return Move(state, question, notes)


def _rest(state: State, now: float, notes: tuple[str, ...] = ()) -> Move:
    """Return the rest until the next tick; in the last one, what hasn't been asked yet."""
    if state.closing:
        return _close(state, now, notes)
    plan = state.plan
    interval = plan.interval
    if interval is None:
        limit = min(state.ends - state.tick, state.same_since + plan.stall - state.tick)
        # Nothing is left by counts that a list has just refuted.
        left = state.left or None
        interval = interval_seconds(plan.min_interval, state.unchanged + state.failures, left, limit=limit)
    until = min(max(state.tick + interval, state.not_before, now), now + LONGEST)
    last_look, over = state.last_look, state.last
    if until >= last_look:
        until = max(last_look, state.not_before, now)
        # Later there is no time for an answer.
        over = over or until > last_look
        state = state.but(last=True)
    if over:
        until = max(state.ends, now)
    otherwise = state.otherwise if isinstance(state.again, Trial | AskJob) else None
    ended = state.ended and state.again is not None
    state = state.but(trial=None, pending=None, otherwise=otherwise, over=over, ended=ended)
    return Move(state, Rest(until), notes)


def _close(state: State, now: float, notes: tuple[str, ...]) -> Move:
    """Return the next check of the last tick."""
    claim, *left = state.closing
    state = state.but(closing=tuple(left), trial=None, pending=None)
    if claim is None:
        return _ask(state, AskJob(), now, notes)
    if claim in state.refuted:
        return _rest(state, now, notes)
    return _try(state, claim, Why.CHECK, now, notes)


# Questions that take the place of the counts.


def _check_is_due(state: State) -> bool:
    return state.since_check >= (1 if state.unchanged >= STANDSTILL else PATIENCE)


def _check(state: State, now: float) -> Move:
    """Return what is asked instead of the counts, which may be behind."""
    turns = rules.checks(state.plan)
    claim = turns[state.checks % len(turns)]
    state = state.but(checks=state.checks + 1, since_check=0, unchanged=state.unchanged + 1)
    if claim is None:
        return _ask(state, AskJob(), now)
    return _try(state, claim, Why.CHECK, now)


def _stands_too_long(state: State, now: float) -> bool:
    return now - state.same_since >= state.plan.stall


# Trials.


def _try(state: State, claim: Claim, why: Why, now: float, notes: tuple[str, ...] = ()) -> Move:
    """Begin to prove a claim."""
    empty = state.snapshot is not None and not state.snapshot.total
    trial = begin_trial(claim, likely=why is Why.CLAIM or (why is Why.CHECK and empty))
    return _ask(state.but(trial=trial, why=why), AskTasks(trial.look), now, notes)


def _look(state: State, event: Looked, now: float) -> Move:
    assert state.trial is not None  # noqa: S101 - only trials look for tasks.
    after = weigh(state.trial, event.found)
    state = _compare(state, event)
    if isinstance(after, Trial):
        return _ask(state.but(trial=after), AskTasks(after.look), now)
    return _conclude(state, after, now)


def _compare(state: State, event: Looked) -> State:
    """Note whether a look contradicts the counts, or no longer does."""
    if state.snapshot is None or not rules.contradicts(event.look, event.found, state.snapshot):
        return state.but(contradicted=state.contradicted - {event.look})
    if state.counted_at < state.tick:
        # Since then things may have moved: that is no contradiction.
        return state
    return state.but(contradicted=state.contradicted | {event.look})


def _conclude(state: State, finding: Finding, now: float) -> Move:  # noqa: PLR0911 - a line for each case.
    """Return what follows from a trial."""
    claim, result, task = finding
    notes = about_finding(state, finding)
    match claim, result:
        case Claim.FAILED, Result.PROVEN:
            return _rule(state, Reason.FAILED, now, notes, task_id=task and task.id)
        case Claim.ENDED, Result.PROVEN:
            failed = task is not None and task.failed
            reason = Reason.SOME_FAILED if failed else Reason.ALL_SUCCEEDED
            return _rule(state, reason, now, notes, task_id=task.id if task and failed else None)
        case Claim.IDLE, Result.PROVEN:
            return _rule(state, Reason.IDLE, now, notes)
        case _, Result.EMPTY if state.ended or state.plan.empty_is_done:
            return _rule(state, Reason.EMPTY, now, notes)
        case Claim.FAILED, Result.REFUTED if state.otherwise is not None:
            return _give_up(state, state.otherwise, now, notes)
        case _, Result.REFUTED if state.ended and task is not None and task.state == "active":
            return _last_look(state, End(Reason.NEVER_RAN, confirmed=True, task_id=task.id), now, notes)
        case Claim.ENDED | Claim.IDLE, Result.REFUTED | Result.EMPTY if state.why is Why.STALL:
            return _last_look(state, End(Reason.STALLED, task_id=task and task.id), now, notes)
    if result is not Result.OPEN:
        state = state.but(refuted=state.refuted | {claim})
        if state.why is Why.CLAIM:
            # The same counts may claim more than this.
            return _judge_counts(state, now, notes)
    return _rest(state, now, notes)


def _last_look(state: State, end: End, now: float, notes: tuple[str, ...]) -> Move:
    """End a wait that can't reach its goal, unless a task failed and that is what matters."""
    if end.reason is Reason.STALLED and state.counted_at < state.tick:
        # Only counts of now tell that nothing has changed.
        return _ask(state.but(otherwise=end, trial=None), AskCounts(), now, notes)
    if rules.failure_ends(state.plan):
        return _try(state.but(otherwise=end), Claim.FAILED, state.why, now, notes)
    return _give_up(state, end, now, notes)


def _give_up(state: State, end: End, now: float, notes: tuple[str, ...]) -> Move:
    if end.reason is Reason.NEVER_RAN:
        return _rule(state, end.reason, now, notes, task_id=end.task_id)
    # A job stands still for ever if it has ended, is disabled or is being deleted: its state tells.
    return _ask(state.but(otherwise=end, trial=None), AskJob(), now, notes)


# Verdicts.


def _rule(
    state: State, reason: Reason, now: float, notes: tuple[str, ...] = (), *, task_id: str | None = None
) -> Move:
    """End the wait for a reason, or ask the one question that is to come before."""
    plan = state.plan
    end = End(_numbered(plan, reason), confirmed=reason is not Reason.REACHED, task_id=task_id)
    if end.reason in (Reason.REACHED, Reason.SHORT):
        # No single task bears out a number.
        end = end._replace(task_id=None)
    if _lists(plan, end):
        if now < state.list_after:
            return _rest(state, now, notes)
        return _ask(state.but(pending=end), AskExact(), now, notes)
    known = state.snapshot
    agreed = known is not None and rules.borne_out(plan, end.reason, known, ended=state.ended)
    if not agreed and state.counted_at < state.tick and now < state.ends:
        # For the numbers alone: the verdict stands.
        return _ask(state.but(pending=end), AskCounts(), now, notes)
    return Move(state, end, notes)


def _numbered(plan: WaitPlan, reason: Reason) -> Reason:
    """Return what a reason means for a goal that is a number of tasks."""
    if plan.goal.least is None or reason in (Reason.REACHED, Reason.FAILED):
        return reason
    if reason is Reason.SOME_FAILED and rules.failure_ends(plan):
        return Reason.FAILED
    if plan.goal.name == "percent" and reason is Reason.EMPTY:
        return reason
    if plan.goal.name == "percent" and reason in (Reason.ALL_SUCCEEDED, Reason.SOME_FAILED):
        # All of them are completed.
        return Reason.REACHED
    return Reason.SHORT if rules.by_number(plan.goal) else reason


# Answers.


def _count(state: State, event: Counted, now: float) -> Move:
    new = event.snapshot
    notes = about_counts(state.reported, new)
    changed = state.reported is None or state.reported.task_counts != new.task_counts
    state = state.but(snapshot=new, reported=new, counted_at=now)
    if not new.inconsistencies:
        state = state.but(rate=observe_rate(state.rate, now, new.completed))
    if changed:
        state = state.but(
            same_since=now, unchanged=0, refuted=frozenset(), contradicted=frozenset(), otherwise=None
        )
    else:
        state = state.but(unchanged=state.unchanged + 1)
    if (pending := state.pending) is not None:
        # It was proven, whatever the counts say now.
        if not rules.borne_out(state.plan, pending.reason, new, ended=state.ended):
            state = state.but(contradicted=state.contradicted | {"verdict"})
        return Move(state, pending, notes)
    return _judge_counts(state, now, notes)


def _judge_counts(state: State, now: float, notes: tuple[str, ...]) -> Move:
    """Return what follows from the newest counts."""
    assert state.snapshot is not None  # noqa: S101 - they have just come.
    for claim in rules.claims(state.plan, state.snapshot):
        if claim is Reason.REACHED:
            # Counts that a list has just contradicted decide nothing; a list of all tasks may.
            if now >= state.list_after if state.plan.exact_at_end else not state.contradicted:
                return _rule(state, Reason.REACHED, now, notes)
        elif isinstance(claim, Claim) and claim not in state.refuted:
            return _try(state, claim, Why.CLAIM, now, notes)
    # By then the list may have been asked for long: only counts tell that nothing has changed.
    if _stands_too_long(state, state.counted_at):
        if state.otherwise is not None:
            return _last_look(state, state.otherwise, now, notes)
        return _try(state, rules.end_claim(state.plan), Why.STALL, now, notes)
    return _rest(state, now, notes)


def _see_job(state: State, event: JobSeen, now: float) -> Move:
    notes = about_job(state.job_state, event.job_state)
    state = state.but(job_state=event.job_state, ended=event.job_state == "completed")
    if event.job_state == "deleting":
        return Move(state, End(Reason.GONE), notes)
    if event.job_state == "completed":
        return _try(state.but(otherwise=None), rules.end_claim(state.plan), Why.JOB_ENDED, now, notes)
    if state.otherwise is not None and state.why is Why.STALL:
        return Move(state, state.otherwise, notes)
    return _rest(state, now, notes)


def _list(state: State, event: Listed, now: float) -> Move:
    assert state.pending is not None  # noqa: S101 - all tasks are listed only before a verdict.
    exact, pending = event.snapshot, state.pending
    reason = (
        None
        if exact.inconsistencies
        else rules.borne_out(state.plan, pending.reason, exact, ended=state.ended)
    )
    notes = about_exact(exact, believed=reason is not None)
    state = state.but(
        snapshot=exact,
        counted_at=now,
        contradicted=frozenset(),
        list_after=now + LIST_SPACING * event.seconds,
    )
    if reason is None:
        return _rest(state, now, notes)
    return Move(state, pending._replace(reason=reason, confirmed=True), notes)


def _fail(state: State, event: Failed, now: float) -> Move:
    """Return what follows from a poll without a trustworthy answer."""
    error, pending = event.error, state.pending
    never = state.failed_polls + 1 == state.polls
    state = state.but(
        failed_polls=state.failed_polls + 1, failures=state.failures + 1, last_error=error, closing=()
    )
    if pending is not None and not _lists(state.plan, pending):
        # The counts were asked for their numbers alone.
        return Move(state, pending)
    if _is_gone(error):
        return Move(state, End(Reason.GONE, error=error))
    if now >= state.ends:
        return Move(state, End(Reason.TIMED_OUT))
    refused = never and isinstance(error, AuthenticationFailed | CredentialFailed)
    if refused or (state.failures >= state.plan.max_failures and not event.cut_off):
        lost = End(Reason.LOST, error=error)
        # Where only the job's own state is missing, all else is known.
        return Move(state, (state.otherwise or lost) if _wants_job(state) else lost)
    if isinstance(error, ServiceError) and error.retry_after and error.retry_after <= LONGEST:
        state = state.but(not_before=now + error.retry_after)
    return _rest(state.but(again=AskJob() if _wants_job(state) else pending or _broken_off(state)), now)


def _lists(plan: WaitPlan, end: End) -> bool:
    return plan.exact_at_end or end.reason is Reason.SHORT


def _wants_job(state: State) -> bool:
    """Whether the job's own state was asked for before the wait was to end."""
    return state.otherwise is not None and state.trial is None and state.pending is None


def _broken_off(state: State) -> Trial | None:
    """Return the trial that is to go on.

    The counts aren't asked first: a good answer of theirs would hide that nothing can be proven.
    A mere check has its turn later.
    """
    trial = state.trial
    if trial is None or (state.why is Why.CHECK and trial == begin_trial(trial.claim, likely=False)):
        return None
    return trial


def _is_gone(error: TaskCountsError) -> bool:
    return isinstance(error, JobNotFound) or (
        isinstance(error, ServiceError) and error.code == "JobBeingDeleted"
    )
