"""Waits with one fault each, which the histories must reveal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from unittest import mock

from attrs import evolve

from histories import naive
from histories.drawing import History, draw_history
from histories.run import Report, play
from taskcounts.errors import ServiceError
from taskcounts.snapshot import Snapshot
from taskcounts.waiting import flow, machine, proof, queries, rules
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.proof import Claim, Finding, Proof, Result, Stage
from taskcounts.waiting.queries import Task
from taskcounts.waiting.state import Cause, End, Event, Failed, JobSeen, Move, Queried, Reason, State

__all__ = ["MUTANTS", "Mutant", "find_out"]


class Mutant(NamedTuple):
    """A wait with a fault.

    Attributes:
        name: The fault.
        swaps: The replacements: a module, a name in it, and the replacement.
        fits: Tells the histories that may reveal the fault; the others would only take time.
        betrayed: A part of the oracle's text about it.
    """

    name: str
    swaps: tuple[tuple[Any, str, Any], ...]
    betrayed: str
    fits: Callable[[History], object] = lambda _: True

    def is_betrayed(self, report: Report) -> bool:
        """Return whether one of the verdicts is wrong for its reason."""
        return any(self.betrayed in why for why in report.wrong.values())

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Give all waits this fault."""
        with contextlib.ExitStack() as stack:
            for where, name, instead in self.swaps:
                stack.enter_context(mock.patch.object(where, name, instead))
            yield


def find_out(number: int, histories: int) -> Report:
    """Play histories with one of the MUTANTS at work, until one betrays it."""
    mutant = MUTANTS[number]
    with mutant.at_work():
        fitting = (seed for seed in range(1, histories + 1) if mutant.fits(draw_history(seed)))
        return play(fitting, enough=mutant.is_betrayed)


def _believes_counts(
    state: State, claim: Claim, cause: Cause, now: float, notes: tuple[str, ...] = ()
) -> Move:
    if cause is not Cause.CLAIM or state.snapshot is None:
        return _PROVE(state, claim, cause, now, notes)
    failed = state.snapshot.task_counts.failed
    ended = Reason.SOME_FAILED if failed else Reason.ALL_SUCCEEDED
    reason = {Claim.ENDED: ended, Claim.IDLE: Reason.IDLE, Claim.FAILED: Reason.FAILED}[claim]
    return machine._end(state, reason, now, notes)


def _stalls_by_counts(
    state: State, claim: Claim, cause: Cause, now: float, notes: tuple[str, ...] = ()
) -> Move:
    if cause is Cause.STALL:
        return Move(state, End(Reason.STALLED), notes)
    return _PROVE(state, claim, cause, now, notes)


def _queries_once(tried: Proof, found: Task | None) -> Proof | Finding:
    if tried.claim is Claim.ENDED and found is None:
        return Finding(tried.claim, Result.PROVEN)
    return _ADVANCE(tried, found)


def _begins_in_the_middle(claim: Claim, *, likely: bool) -> Proof:
    return _BEGIN(claim, likely=likely) if claim is Claim.FAILED else Proof(claim, Stage.MIDDLE)


def _empty_is_done(tried: Proof, found: Task | None) -> Proof | Finding:
    after = _ADVANCE(tried, found)
    if isinstance(after, Finding) and after.result is Result.EMPTY:
        return after._replace(result=Result.PROVEN)
    return after


def _failed_is_ended(tried: Proof, found: Task | None) -> Proof | Finding:
    if tried.claim is Claim.ENDED and found is not None and found.failed:
        return Finding(tried.claim, Result.PROVEN, found)
    return _ADVANCE(tried, found)


def _refutes_nothing(tried: Proof, found: Task | None) -> Proof | Finding:
    after = _ADVANCE(tried, found)
    if isinstance(after, Finding) and after.result is Result.REFUTED:
        return after._replace(result=Result.PROVEN)
    return after


def _ignores_failed_queries(state: State, event: Failed, now: float) -> Move:
    if state.proof is None:
        return _ON_FAILURE(state, event, now)
    return machine._on_queried(state, Queried(state.proof.query, None), now)


def _keeps_failures(state: State, event: Event, now: float) -> Move:
    move = _HANDLE(state, event, now)
    kept = max(move.state.failures, state.failures)
    return move._replace(state=move.state.replace(failures=kept))


def _forgets_failures(state: State, event: Event, now: float) -> Move:
    return _HANDLE(state.replace(failures=0), event, now)


def _does_not_wait(state: State, event: Event, now: float) -> Move:
    if isinstance(event, Failed) and isinstance(event.error, ServiceError):
        event.error.retry_after = None
    return _HANDLE(state, event, now)


def _believes_the_job(state: State, event: JobSeen, now: float) -> Move:
    if event.job_state == "completed":
        return machine._end(state, Reason.ALL_SUCCEEDED, now)
    return _ON_JOB_STATE(state, event, now)


def _believes_contradictions(plan: WaitPlan, snapshot: Snapshot) -> Iterator[Claim | Reason]:
    return _CLAIMS(plan, evolve(snapshot, inconsistencies=()))


def _leaves_checks_out(state: State, now: float, notes: tuple[str, ...]) -> Move:
    return machine._sleep(state.replace(final_checks=()), now, notes)


_PROVE, _ON_FAILURE, _HANDLE, _ON_JOB_STATE = (
    machine._prove,
    machine._on_failed,
    machine.handle,
    machine._on_job_seen,
)
_ADVANCE, _BEGIN, _CLAIMS = proof.advance, proof.begin_proof, rules.claims

_HASTY: Mapping[str, str | None] = {
    name: filter_ and filter_.replace("state eq 'preparing' or ", "")
    for name, filter_ in queries.FILTERS.items()
}


def _deletes(history: History) -> bool:
    return any(act.kind == "delete" for act in history.acts)


def _prepares(history: History) -> bool:
    return bool(history.scenario["pools"][0]["preparing"] and history.after_all)


def _stalls(history: History) -> bool:
    return "stall" in history.options


def _fails(history: History) -> bool:
    return any(act.kind == "fault" for act in history.acts)


def _ends_jobs(history: History) -> bool:
    return any(act.kind == "terminate-job" for act in history.acts)


def _loses_jobs(history: History) -> bool:
    return any(act.kind == "delete-job" for act in history.acts)


def _contradicts(history: History) -> bool:
    return any(act.fault.get("variant") == "contradiction" for act in history.acts)


def _uses_queries(history: History) -> bool:
    return "=" not in history.goal or history.goal == "percent=100"


MUTANTS = (
    Mutant("believes counts and failures alike", ((flow, "wait", naive.wait),), "not so"),
    Mutant(
        "believes counts that claim the end",
        ((machine, "_prove", _believes_counts),),
        "not so",
        lambda history: history.lies and _uses_queries(history),
    ),
    Mutant(
        "queries unfinished tasks alone, not any",
        ((machine, "advance", _queries_once), (machine, "begin_proof", _begins_in_the_middle)),
        "not so",
        lambda history: _deletes(history) and _uses_queries(history),
    ),
    Mutant(
        "takes an empty job for done",
        ((machine, "advance", _empty_is_done),),
        "not so",
        lambda history: _deletes(history) and _uses_queries(history),
    ),
    Mutant(
        "takes a failed task for the end",
        ((machine, "advance", _failed_is_ended),),
        "wasn't done",
        lambda history: history.goal == "done" and history.after_all,
    ),
    Mutant(
        "takes what is refuted for proven", ((machine, "advance", _refutes_nothing),), "not so", _uses_queries
    ),
    Mutant("forgets tasks that are prepared", ((flow, "FILTERS", _HASTY),), "not so", _prepares),
    Mutant(
        "takes a query that failed for one that found nothing",
        ((machine, "_on_failed", _ignores_failed_queries),),
        "not so",
        lambda history: history.after_all and _fails(history),
    ),
    Mutant(
        "never checks while the counts stand still",
        ((State, "check_is_due", False),),
        "missed the end",
        lambda history: history.lies,
    ),
    Mutant(
        "says that it stalled by the counts alone",
        ((machine, "_prove", _stalls_by_counts),),
        "missed",
        _stalls,
    ),
    Mutant("never stalls", ((State, "is_stalled", lambda *_: False),), "nothing had changed", _stalls),
    Mutant(
        "asks for ever after a job that is gone",
        ((rules, "is_gone", lambda _: False),),
        "lost",
        _loses_jobs,
    ),
    Mutant("never forgets a failure", ((flow, "handle", _keeps_failures),), "lost", _fails),
    Mutant("asks before the service is ready", ((flow, "handle", _does_not_wait),), "asked for", _fails),
    Mutant("ends blind", ((State, "last_tick_at", property(lambda state: state.ends)),), "ended blind"),
    Mutant("polls the counts alone at last", ((machine, "_final_check", _leaves_checks_out),), "ended blind"),
    Mutant("hardly rests", ((machine, "interval_seconds", lambda *_, **__: 0.5),), "was to rest"),
    Mutant("never gives up", ((flow, "handle", _forgets_failures),), "went on", _fails),
    Mutant(
        "takes the end of a job for that of its tasks",
        ((machine, "_on_job_seen", _believes_the_job),),
        "not so",
        _ends_jobs,
    ),
    Mutant(
        "believes counts that contradict themselves",
        ((rules, "claims", _believes_contradictions),),
        "not so",
        _contradicts,
    ),
    Mutant(
        "lists no tasks at the end",
        ((rules, "needs_exact", lambda *_: False),),
        "exact",
        lambda history: history.options.get("exact_at_end"),
    ),
    Mutant(
        "lists all tasks, and ignores them",
        ((rules, "supported_reason", lambda _plan, reason, *_, **__: reason),),
        "it was met",
        lambda history: history.lies and not _uses_queries(history),
    ),
)
