"""The oracle: judges a verdict by the truth, and by nothing that the machine says of itself.

A verdict is wrong if what it claims was true at no moment of its last questions (a false end), if the truth
was such that it should have ended long before (a missed end), or if its reason didn't exist: nothing had
gone wrong with the questions of one that is lost, time was left to one that timed out, something had changed
for one that stalled. Where counts alone decide, which is allowed for percentages and counters, counts that
trail the truth can mislead a wait; such verdicts stand apart, and have to say that they aren't confirmed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from histories.stage import Asked, Played
from histories.truth import State
from taskcounts.waiting.goals import Goal, parse_goal
from taskcounts.waiting.pace import MIN_INTERVAL
from taskcounts.waiting.values import Kind, Observation, Outcome, Verdict

__all__ = ["PATIENCE", "Judgement", "judge"]

# So many right answers in a row, after the end, and it has to be found, whatever the counts say.
PATIENCE = 12

# Seconds by which times may differ: sums of floats, and the least that a request is given.
_HAIR = 0.01

# Seconds; the longest Retry-After that histories have.
_LONGEST_PAUSE = 31

# Microseconds; a question that follows at once follows within these.
_MOMENT = 10

# Seconds after the stall time until the verdict: the polls that search for the truth, and a pause.
_SLACK = 150.0

# Seconds before the deadline from which on nothing has to be noticed any more.
_BLIND = 2.0

# The outcomes about completion, which queries can confirm.
_LOOKED_AT = ("done", "all-succeeded", "any-failed", "no-active")


class Judgement(NamedTuple):
    """The oracle's judgement of a verdict.

    Attributes:
        wrong: The reason for which it is wrong; None if it isn't.
        apart: Why the truth was otherwise, where the wait only went by reported counts, and says so.
        answers: How many right answers it took to find the end, once the job had come to it for good.
    """

    wrong: str | None
    apart: str | None = None
    answers: int = 0


class _Wrong(Exception):
    """A verdict is wrong."""


class _Apart(Exception):
    """A verdict is wrong, and says that it may be."""


def judge(played: Played) -> Judgement:
    """Return what is to be said of the verdict of a history."""
    verdict = played.verdict
    if verdict is None:
        return Judgement(f"it raised {type(played.error).__name__}: {played.error}")
    if not played.asked:
        return Judgement("it asked nothing")
    answers = _answers_after_the_end(played)
    try:
        _check_form(played, verdict)
        _check_pace(played, verdict)
        _CHECKS[verdict.outcome](played, verdict)
        _check_exact(played, verdict)
        _check_numbers(played, verdict)
    except _Wrong as wrong:
        return Judgement(str(wrong), answers=answers)
    except _Apart as apart:
        return Judgement(None, str(apart), answers)
    return Judgement(None, answers=answers)


def reached(goal: Goal, state: State, empty_is_done: bool) -> bool:
    """Return whether what is waited for is so in some state."""
    if goal.name == "any-failed":
        return state.failed > 0
    if not state.total and goal.least is None:
        return empty_is_done
    if goal.name in ("done", "all-succeeded"):
        return state.finished and not state.failed
    if goal.name == "no-active":
        return not state.active
    if goal.name == "percent":
        # A job that is done has 100 percent of its tasks completed, and be there none.
        return 100 * state.completed >= (goal.least or 0) * state.total if state.total else empty_is_done
    number = {
        "active": state.active,
        "running": state.preparing + state.running,
        "completed": state.completed,
        "succeeded": state.succeeded,
        "failed": state.failed,
        "total": state.total,
    }[goal.name]
    return number >= (goal.least or 0)


def _check_form(played: Played, verdict: Verdict) -> None:
    """See that a verdict is of this wait, and that what was told on the way is whole."""
    seen = played.observations
    if (verdict.job_id, verdict.goal) != (played.history.job_id, str(parse_goal(played.history.goal))):
        raise _Wrong(f"it is of {verdict.job_id!r} and {verdict.goal!r}")
    if [each.number for each in seen] != list(range(1, len(seen) + 1)):
        raise _Wrong("observations are missing, or stand twice")
    # A poll that the deadline cut off needn't be told.
    if verdict.polls - len(seen) not in (0, 1):
        raise _Wrong(f"{verdict.polls} polls, and {len(seen)} observations")
    if "\n" in verdict.text or played.history.job_id not in verdict.text:
        raise _Wrong(f"its text is {verdict.text!r}")
    if verdict.elapsed > _deadline(played) + _HAIR:
        raise _Wrong(f"it came {verdict.elapsed - _deadline(played):.3f} s after the deadline")
    if bool(verdict) != (verdict.outcome is Outcome.MET):
        raise _Wrong("its truth isn't its outcome")
    # What the deadline cut off says nothing about the service.
    early = [each for each in seen if each.elapsed < _deadline(played) - _LONGEST_PAUSE]
    longest = max((len(list(run)) for failed, run in groupby(early, _is_failure) if failed), default=0)
    if longest > played.history.options["max_failures"]:
        raise _Wrong(f"{longest} polls in a row failed, and it went on")


def _check_pace(played: Played, verdict: Verdict) -> None:
    """See that it rested between its polls, and as long as the service asked for."""
    least = played.history.options.get("interval", MIN_INTERVAL)
    ticks = sum(each.pause > 0 for each in played.observations)
    # The first one, and one that is pulled to the front by the end of the time.
    if ticks > verdict.elapsed / least + 2:
        raise _Wrong(f"it asked {ticks} times in {verdict.elapsed:.1f} s, and was to rest for {least} s")
    for busy, after in pairwise(played.asked):
        if after.sent < busy.ended + (busy.wish - _HAIR) * 1e6:
            raise _Wrong(f"it asked again before the {busy.wish:g} s were over that the service asked for")


def _is_failure(observation: Observation) -> bool:
    return observation.kind is Kind.FAILURE


def _check_met(played: Played, verdict: Verdict) -> None:
    goal = parse_goal(played.history.goal)
    empty = _option(played, "empty_is_done")
    if any(reached(goal, state, empty) for state in _lately(played)):
        _check_confirmed(goal, verdict)
        return
    _misled(played, goal, verdict, "what was waited for was not so")


def _check_failed(played: Played, verdict: Verdict) -> None:
    """See that tasks had failed, and that this was an end of this wait."""
    goal, states = parse_goal(played.history.goal), _lately(played)
    if goal.name == "any-failed":
        raise _Wrong("failed, where a failed task is what was waited for")
    if not any(state.failed for state in states):
        raise _Wrong("failed, and no task had")
    at_once = goal.name == "all-succeeded" or _option(played, "fail_fast")
    if not at_once and goal.name != "done":
        raise _Wrong(f"failed, where {goal} doesn't ask for success")
    if not at_once and not any(state.finished for state in states):
        raise _Wrong("failed, and the job wasn't done")
    _check_confirmed(Goal("done"), verdict)
    since, until = _window(played)
    if verdict.task_id is not None and not played.truth.failed(verdict.task_id, since, until):
        raise _Wrong(f"failed, such as {verdict.task_id!r}, which hadn't")


def _check_unmet(played: Played, verdict: Verdict) -> None:
    """See that the job had come to its end without what was waited for."""
    goal, empty = parse_goal(played.history.goal), _option(played, "empty_is_done")
    states = _lately(played)
    for state in states:
        stopped = state.job in ("terminating", "completed") and (state.unfinished or not state.total)
        # All tasks completed is never the end of these without what they wait for, or a failure.
        ended = state.finished and goal.name not in ("done", "all-succeeded", "percent")
        if (stopped or ended or (empty and not state.total)) and not reached(goal, state, empty):
            _check_confirmed(goal, verdict)
            return
    if not any(state.finished or state.job in ("terminating", "completed") for state in states):
        raise _Wrong("unmet, and the job wasn't at its end")
    _misled(played, goal, verdict, "unmet, and it was met at the end of the job")


def _check_gone(played: Played, verdict: Verdict) -> None:
    if not any(state.job in ("deleting", "gone") for state in _lately(played)):
        raise _Wrong("gone, and the job is there")


def _check_lost(played: Played, verdict: Verdict) -> None:
    """See that each of the last questions had met something that was wrong on purpose."""
    most = int(played.history.options["max_failures"])
    last = played.observations[-most:]
    if len(last) < most or not all(map(_is_failure, last)):
        raise _Wrong(f"lost, and there weren't {most} failures in a row")
    earlier = played.observations[: -most or None]
    since = played.began + round(earlier[-1].elapsed * 1e6) if earlier else played.began
    right = [each for each in played.asked if each.sent >= since and each.healthy]
    if played.history.strict:
        # Such a client takes no counts that contradict themselves, and some kinds of lag do.
        right = [each for each in right if each.what != "counts"]
    if right:
        raise _Wrong(f"lost, in spite of {len(right)} right answers, such as to {right[0].what!r}")
    if verdict.error is None:
        raise _Wrong("lost, without an error")


def _check_timed_out(played: Played, verdict: Verdict) -> None:
    left = _deadline(played) - verdict.elapsed
    # Where the service asked to wait for longer than is left, nothing more can be asked.
    excused = not played.asked[-1].healthy and left < _LONGEST_PAUSE
    if left > _HAIR and not excused:
        raise _Wrong(f"timed out, and {left:.3f} s were left")
    _check_not_missed(played, "timed out")
    _check_not_blind(played)
    stall = played.history.options.get("stall")
    counts, since = _standing(played, spoiled=True)
    # Counts that nobody could bring any more don't stand still.
    still = (counts[-1].ended - since.ended) / 1e6 if counts else 0.0
    if stall is not None and still > stall + _SLACK:
        raise _Wrong(f"timed out, and nothing had changed for {still:.0f} s")


def _check_stalled(played: Played, verdict: Verdict) -> None:
    stall = played.history.options.get("stall")
    if stall is None:
        raise _Wrong("stalled, and it may stand still for ever")
    # Counts that contradict themselves may be believed to stand still, or be passed over.
    for spoiled in (False, True):
        counts, since = _standing(played, spoiled=spoiled)
        if counts and (counts[-1].ended - since.ended) / 1e6 >= stall - _HAIR:
            break
    else:
        raise _Wrong("stalled, and the counts had changed within that time")
    # The truth has to be looked for before this is said.
    ended = played.truth.settled(played.ended, lambda state: _ends(played, state))
    last = played.asked[-1]
    # Lists were asked, and don't show it; the job's own state would have, and there was no answer.
    unknown = last.what == "job" and not last.healthy and not played.truth.at(played.ended).finished
    if ended is not None and ended <= counts[-1].sent and not unknown:
        raise _Wrong("stalled, and missed the end: it was there before the last counts were asked for")
    then, now = (played.truth.at(each.seen or 0) for each in (since, counts[-1]))
    if _numbers(then) != _numbers(now):
        if played.history.lies and not verdict.confirmed and "counts" in verdict.text:
            raise _Apart("stalled by counts that stood still; the truth had changed")
        raise _Wrong("stalled, and the truth had changed")


_CHECKS: dict[Outcome, Callable[[Played, Verdict], None]] = {
    Outcome.MET: _check_met,
    Outcome.FAILED: _check_failed,
    Outcome.UNMET: _check_unmet,
    Outcome.GONE: _check_gone,
    Outcome.LOST: _check_lost,
    Outcome.TIMED_OUT: _check_timed_out,
    Outcome.STALLED: _check_stalled,
}


def _check_confirmed(goal: Goal, verdict: Verdict) -> None:
    """See that a verdict that could be confirmed was."""
    if (goal.name in _LOOKED_AT or goal.least == 100) and not verdict.confirmed:
        raise _Wrong(f"{verdict.outcome.value}, and by reported counts alone")


def _misled(played: Played, goal: Goal, verdict: Verdict, why: str) -> None:
    """Raise what a verdict amounts to that the truth contradicts."""
    counted = goal.name not in _LOOKED_AT and goal.least != 100
    if counted and played.history.lies and not verdict.confirmed:
        raise _Apart(f"{verdict.outcome.value} by reported counts: {why}")
    raise _Wrong(f"{verdict.outcome.value}: {why}")


_ALL = re.compile(r"all (\d+) tasks? succeeded")
_SOME = re.compile(r"(\d+) of (\d+) tasks? failed")


def _check_exact(played: Played, verdict: Verdict) -> None:
    """See that all tasks were listed for a verdict that is to be exact, and its numbers were so."""
    ends = (Outcome.MET, Outcome.FAILED, Outcome.UNMET)
    if not _option(played, "exact_at_end") or verdict.outcome not in ends:
        return
    if verdict.snapshot is None or not verdict.snapshot.exact:
        raise _Wrong("its counts aren't exact")
    counts = verdict.snapshot.task_counts
    numbers = (counts.active, counts.running, counts.succeeded, counts.failed)
    if any(_numbers(state) == numbers for state in _lately(played)):
        return
    raise _Wrong(f"its exact counts, {numbers}, were never so")


def _check_numbers(played: Played, verdict: Verdict) -> None:
    """See that the numbers of a job that is done were its numbers, at some moment since they were told."""
    claim = None
    if found := _ALL.search(verdict.text):
        claim = (int(found[1]), 0)
    elif found := _SOME.search(verdict.text):
        claim = (int(found[2]), int(found[1]))
    if verdict.outcome not in (Outcome.MET, Outcome.FAILED) or claim is None:
        return
    counts = [each.sent for each in played.asked if each.what in ("counts", "exact") and each.healthy]
    states = played.truth.during(counts[-1] if counts else played.began, played.ended)
    if any((state.total, state.failed) == claim for state in states):
        return
    text = f"its numbers, {claim[1]} of {claim[0]} failed, were not the job's: {verdict.text!r}"
    # Where it isn't known that they are right, the text has to say where they come from.
    raise _Apart(text) if played.history.lies and "by the counts" in verdict.text else _Wrong(text)


def _check_not_missed(played: Played, verb: str) -> None:
    """See that the job hadn't been for long in a state that ends this wait."""
    answers = _answers_after_the_end(played)
    if answers >= PATIENCE:
        raise _Wrong(f"{verb}, and missed the end: it was there for {answers} right answers in a row")


def _check_not_blind(played: Played) -> None:
    """See that it looked once more before the end of its time, and saw what was so by then."""
    since = played.truth.settled(played.ended, lambda state: _ends(played, state))
    near = played.ended - round(_BLIND * 1e6)
    if since is None or since > near:
        return
    last = [each for each in played.asked if each.sent >= since]
    before = [each for each in played.asked if each.sent < since][-1:]
    # What has no answer, or takes as long as there is time, shows nothing.
    if any(not each.healthy or each.ended >= near for each in before if not last):
        return
    if all(each.healthy for each in last) and (not last or last[-1].sent >= near):
        left = (played.ended - since) / 1e6
        raise _Wrong(f"timed out, and ended blind: the end was there {left:.1f} s before the deadline")


def _answers_after_the_end(played: Played) -> int:
    """Return how many right answers came in a row since the job was in a state that ends the wait."""
    since = played.truth.settled(played.ended, lambda state: _ends(played, state))
    if since is None:
        return 0
    # What reported counts alone can show shows after their delay.
    longest = run = 0
    for each in played.asked:
        run = run + 1 if each.healthy and each.seen is not None and each.seen >= since else 0
        longest = max(longest, run)
    return longest


def _ends(played: Played, state: State) -> bool:
    """Return whether a state has to end the wait, whatever the counts say."""
    goal, empty = parse_goal(played.history.goal), _option(played, "empty_is_done")
    if state.job in ("deleting", "gone", "completed") or state.finished:
        return True
    if state.failed and (goal.name in ("any-failed", "all-succeeded") or _fails_fast(played)):
        return True
    if goal.name in _LOOKED_AT or goal.least == 100 or not played.history.lies:
        return reached(goal, state, empty)
    return False


def _standing(played: Played, *, spoiled: bool) -> tuple[list[Asked], Asked]:
    """Return the answers with counts, and the first one of those at the end that are alike.

    What was spoiled on the way may or may not have been believed: with ``spoiled`` it is among them.
    """
    counts = [each for each in played.asked if each.reported is not None and (each.healthy or spoiled)]
    since = counts[0] if counts else played.asked[0]
    for before, after in pairwise(counts):
        if before.reported != after.reported:
            since = after
    return counts, since


def _numbers(state: State) -> tuple[int, int, int, int]:
    """Return the numbers that counts have."""
    return state.active, state.preparing + state.running, state.succeeded, state.failed


def _lately(played: Played) -> Sequence[State]:
    """Return the states that the job was in during the last questions."""
    return played.truth.during(*_window(played))


def _window(played: Played) -> tuple[int, int]:
    """Return from when to when the last questions were asked, between which the wait didn't rest.

    These are two at the least. After one that failed there is a pause for its next attempt.
    """
    right = [each.sent for each in played.asked if each.healthy]
    since = right[-2] if len(right) > 1 else played.began
    for after, before in pairwise(reversed(played.asked)):
        if before.healthy and after.sent - before.ended > _MOMENT:
            break
        since = min(since, before.sent)
    return since, played.ended


def _fails_fast(played: Played) -> bool:
    # Who waits for failed tasks doesn't want to hear of the first one.
    return bool(_option(played, "fail_fast")) and not played.history.goal.startswith("failed")


def _deadline(played: Played) -> float:
    return float(played.history.options["deadline"])


def _option(played: Played, name: str) -> bool:
    return bool(played.history.options.get(name, False))
