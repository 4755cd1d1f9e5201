"""The text of a verdict. It never gives numbers as the job's that are known to be wrong."""

from __future__ import annotations

from taskcounts.snapshot import Snapshot
from taskcounts.text import one_line
from taskcounts.waiting import rules
from taskcounts.waiting.queries import quoted
from taskcounts.waiting.state import End, Reason, State


def verdict_text(job_id: str, state: State, end: End, now: float) -> str:
    """Return the verdict on a wait in one line, for people."""
    return one_line(f"job {job_id!r}: {_text(state, end, now)}", 2000)


def _text(state: State, end: End, now: float) -> str:  # noqa: PLR0911 - a line for each reason.
    match end.reason:
        case Reason.STALLED:
            # Up to the newest counts: the time since then is unknown.
            same = seconds(state.counted_at - state.same_since)
            how = f"stalled, its counts haven't changed for {same}"
            return f"{how}; {_numbers(state, now)}{_job_state(state)}"
        case Reason.TIMED_OUT:
            how = f"timed out after {seconds(now - state.began)}"
            return f"{how}; {_numbers(state, now)}{_job_state(state)}{_silence(state, '; after ')}"
        case Reason.LOST:
            return f"status lost{_silence(state, ' after ')}; {_numbers(state, now)}"
        case Reason.GONE:
            return _gone(state, end, now)
    known = state.snapshot
    assert known is not None  # noqa: S101 - nothing else ends a wait before there are counts.
    if end.reason in (Reason.REACHED, Reason.SHORT):
        return _number(state, known, end, now)
    if end.reason is Reason.EMPTY:
        return "done, it has no tasks" if state.plan.empty_is_done else "ended without tasks"
    if known.exact:
        return _exactly(known, end)
    if state.doubtful or not rules.supported_reason(state.plan, end.reason, known, job_ended=state.job_ended):
        return _proven(end) + _behind(state, known, now)
    return f"{_proven(end)} ({_numbers_for(end, known)} by the counts)"


def _exactly(known: Snapshot, end: End) -> str:
    """Return a verdict with the numbers of a list of all tasks."""
    counts, total = known.task_counts, known.total
    match end.reason:
        case Reason.ALL_SUCCEEDED:
            return f"done, {'its only task' if total == 1 else f'all {total} tasks'} succeeded"
        case Reason.SOME_FAILED:
            return f"done, {counts.failed} of {_tasks(total)} failed{_such_as(end)}"
        case Reason.FAILED:
            return f"{counts.failed} of {_tasks(total)} failed{_such_as(end)}; {counts.completed} completed"
        case Reason.NEVER_RAN:
            return f"ended, but {counts.active} of {_tasks(total)} never ran{_such_as(end)}"
    return f"no task is active; {counts.completed} of {_tasks(total)} completed"


def _proven(end: End) -> str:
    """Return a verdict without numbers: queries prove that tasks failed or are left, not how many."""
    match end.reason:
        case Reason.ALL_SUCCEEDED:
            return "done, all tasks succeeded"
        case Reason.SOME_FAILED:
            return f"done, tasks failed{_such_as(end)}"
        case Reason.FAILED:
            return f"tasks failed{_such_as(end)}"
        case Reason.NEVER_RAN:
            return f"ended, but tasks never ran{_such_as(end)}"
    return "no task is active"


def _numbers_for(end: End, known: Snapshot) -> str:
    """Return the numbers of counts that agree with a proof."""
    counts, total = known.task_counts, known.total
    match end.reason:
        case Reason.ALL_SUCCEEDED:
            return str(total)
        case Reason.SOME_FAILED | Reason.FAILED:
            return f"{counts.failed} of {total}"
        case Reason.NEVER_RAN:
            return f"{counts.active} of {total}"
    return f"{counts.completed} of {total} completed"


def _such_as(end: End) -> str:
    return f", such as {quoted(end.task_id)}" if end.task_id else ""


def _number(state: State, known: Snapshot, end: End, now: float) -> str:
    """Return the verdict on a goal that is a number of tasks."""
    goal = state.plan.goal
    if goal.name in ("percent", "completed"):
        number = f"{known.completed} of {_tasks(known.total)} completed"
    elif goal.name == "total":
        number = _tasks(known.total)
    else:
        number = f"{getattr(known.task_counts, goal.name)} of {_tasks(known.total)} {goal.name}"
    if end.reason is Reason.SHORT:
        return f"ended, but {goal} isn't reached: {number}"
    if end.confirmed and (state.doubtful or not rules.is_reached(goal, known)):
        return f"{goal} is reached, since all tasks are completed{_behind(state, known, now)}"
    return f"{goal} is reached: {number}{'' if known.exact else ', by the counts'}"


def seconds(number: float) -> str:
    """Return a duration for people, with a decimal below 10 seconds."""
    return f"{number:.0f} s" if number >= 10 else f"{number:.1f}".removesuffix(".0") + " s"


def _tasks(number: int) -> str:
    return f"{number} task{'' if number == 1 else 's'}"


def _numbers(state: State, now: float) -> str:
    """Return the newest counts, with their age and a warning if they are doubtful."""
    known = state.snapshot
    if known is None:
        return "there were no counts"
    failed = f", {known.task_counts.failed} failed" if known.task_counts.failed else ""
    numbers = (
        f"{known.completed} of {_tasks(known.total)} completed{failed}" if known.total else "it has no tasks"
    )
    age = f"counts of {seconds(now - state.counted_at)} ago"
    if state.doubtful:
        return f"by counts that are doubtful ({age}): {numbers}"
    return f"{numbers} ({age})"


def _behind(state: State, known: Snapshot, now: float) -> str:
    """Return the numbers of counts that don't agree with the verdict, and the reason."""
    failed = f" and {known.task_counts.failed} failed" if known.task_counts.failed else ""
    said = f"{known.completed} of {known.total} completed{failed} by the counts"
    if known.inconsistencies:
        return f" ({said}, which contradict themselves)"
    if state.doubtful:
        return f" ({said}, which haven't caught up)"
    return f" ({said} of {seconds(now - state.counted_at)} ago)"


def _job_state(state: State) -> str:
    told = state.job_state or "active"
    return "" if told == "active" else f"; the job is {one_line(told, 100)}"


def _silence(state: State, lead: str) -> str:
    """Return the number of polls in a row without an answer, and the last error."""
    error = state.last_error
    if error is None:
        return ""
    which = "a poll" if state.failures == 1 else f"{state.failures} polls in a row"
    # The line begins with the job already, and so does the error. The error of a failed sign-in is long:
    # it names the error of each credential.
    why = one_line(str(error), 1800).removeprefix(f"job {error.job_id!r}: ")
    return f"{lead}{which} without a trustworthy answer: {why}"


def _gone(state: State, end: End, now: float) -> str:
    if end.error is None or getattr(end.error, "code", None) == "JobBeingDeleted":
        return f"it is being deleted; {_numbers(state, now)}"
    if state.polls == state.failed_polls:
        return "there is no such job"
    return f"gone, it was deleted meanwhile; {_numbers(state, now)}"
