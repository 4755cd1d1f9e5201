"""Exact counts: all tasks of a job, page after page, counted one by one in constant memory.

The list is the service's truth, but no snapshot if it has several pages: a task may move between two of
them. Whatever can't be counted for sure ends the count; a part of a list is no result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from attrs import evolve

from taskcounts.arguments import check_callback, new_guid
from taskcounts.errors import ContractViolation, DeadlineExceeded, TaskCountsError
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Flow, Settings
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.lists import LoopDetector, Page, task_list_operation
from taskcounts.protocol.messages import Call, CheckedAnswer, Operation
from taskcounts.protocol.schema import Violation
from taskcounts.snapshot import Inconsistency, Snapshot, TaskCounts, TaskSlotCounts
from taskcounts.text import one_line

SELECT = "id,state,executionInfo,requiredSlots"

MEMBERS = ("active", "running", "completed", "succeeded", "failed")

# The service's words for where a task stands, compared without regard to case.
_STATES = {"active": "active", "preparing": "running", "running": "running", "completed": "completed"}
_RESULTS = {"success": "succeeded", "failure": "failed"}

# How many ids a text names.
_SHOWN = 3


def exact_counts(
    settings: Settings, call: Call, progress: Callable[[int], object] | None = None
) -> Flow[Snapshot]:
    """List all tasks and return their counts.

    Args:
        settings: Whom to ask, and how.
        call: Its deadline is for all pages together, its client request id for the first one.
        progress: Called after each page with the number of tasks seen so far. What it raises ends the count.

    Raises:
        TaskCountsError: A page has no trustworthy answer; the text says how many tasks were seen before it.
        TypeError: ``progress`` can't be called. Nothing was sent.
    """
    ends = settings.clock.monotonic() + call.deadline
    return (yield from _list(settings, call, ends, progress))


def verified_counts(settings: Settings, call: Call) -> Flow[Snapshot]:
    """Return the reported counts, with what an exact count says against them.

    A difference may mean no more than that reported counts trail the truth, and that listing takes a while.
    It is told in ``Snapshot.inconsistencies``; where a client is strict, it is raised.

    Args:
        settings: Whom to ask, and how.
        call: Its deadline is for the counts and the list together.

    Raises:
        ContractViolation: The list contradicts the counts, and the client is strict.
        TaskCountsError: There are no trustworthy counts, or no trustworthy list to compare them with.
    """
    ends = settings.clock.monotonic() + call.deadline
    reported = yield from exchange(settings, TASK_COUNTS_OPERATION, call)
    try:
        listed = yield from _list(settings, call._replace(client_request_id=new_guid()), ends, None)
    except TaskCountsError as error:
        _add(error, "the counts came, but not the list to verify them")
        raise
    differences = (
        *_differences("taskCounts", reported.task_counts, listed.task_counts),
        *_differences("taskSlotCounts", reported.task_slot_counts, listed.task_slot_counts),
    )
    if differences and settings.strict:
        why = "; ".join(each.text for each in differences)
        raise ContractViolation(
            f"job {call.job_id!r}: the counts can't be trusted, a list of all tasks contradicts them: {why}",
            path=differences[0].path,
            answer="",
            status=200,
            request_id=reported.request_id,
            job_id=call.job_id,
            attempts=reported.attempts + listed.attempts,
            client_request_id=reported.client_request_id,
        )
    return evolve(reported, inconsistencies=reported.inconsistencies + differences, listed=listed)


def _list(
    settings: Settings, call: Call, ends: float, progress: Callable[[int], object] | None
) -> Flow[Snapshot]:
    """List all tasks until some moment and return their counts."""
    check_callback("progress", progress)
    clock = settings.clock
    began_at = clock.now()
    tally, loop_detector = Tally(), LoopDetector()
    link, client_request_id, attempts = None, call.client_request_id, 0
    while True:
        asked = call._replace(
            deadline=max(ends - clock.monotonic(), 0.0), client_request_id=client_request_id
        )
        try:
            page = yield from exchange(
                settings, _counted(settings.endpoint, link, loop_detector, tally), asked
            )
        except TaskCountsError as error:
            if link is not None:
                _add(error, f"{_tasks(tally.listed)} seen before that: a part of a list is no count")
            if isinstance(error, DeadlineExceeded) and asked.deadline < call.deadline - 0.1:
                # Its text has the seconds that were left for this page.
                _add(error, f"all requests together may take {call.deadline:g} s")
            raise
        attempts += page.attempts
        if progress is not None:
            progress(tally.listed)
        if page.link is None:
            return tally.snapshot(call, page, began_at=began_at, attempts=attempts)
        link, client_request_id = page.link, new_guid()


class CountedPage(NamedTuple):
    """What is left of a page once its tasks are counted."""

    link: str | None
    request_id: str | None
    attempts: int
    observed_at: datetime


class Tally:
    """What a list has been counted to so far. Its size doesn't depend on how many tasks that were.

    Attributes:
        listed: How many tasks were counted.
        tasks: How many of them belong in each member of the counts.
        slots: How many task slots these need.
    """

    def __init__(self) -> None:
        self.listed = 0
        self.tasks = dict.fromkeys(MEMBERS, 0)
        self.slots = dict.fromkeys(MEMBERS, 0)
        self._doubts: dict[str, Inconsistency] = {}
        self._repeats = 0
        self._examples: list[str] = []
        self._more = False
        self._seen: Seen | None = None

    def add(self, page: Page, *, strict: bool) -> None:
        """Count a page's tasks.

        Raises:
            Violation: One of them can't be counted, or is listed twice where that isn't allowed.
        """
        if self._seen is None and page.link is not None:
            # A list of one page needs no memory of others.
            self._seen = Seen()
        here: set[str] = set()
        for index, task in enumerate(page.items):
            members, slots = _members_of(task, f"value[{index}]"), task.get("requiredSlots", 1)
            for member in members:
                self.tasks[member] += 1
                self.slots[member] += slots
            folded = task["id"].lower()
            before = self._seen is not None and self._seen.add(folded)
            if folded in here or before:
                self._repeat(task["id"])
                if strict:
                    raise Violation(f"value[{index}]", self._repeated())
            here.add(folded)
        self.listed += len(page.items)
        for doubt in page.inconsistencies:
            self._doubts.setdefault(doubt.invariant, doubt)

    def snapshot(self, call: Call, page: CountedPage, *, began_at: datetime, attempts: int) -> Snapshot:
        """Return what the list was counted to, after its last page."""
        inconsistencies = list(self._doubts.values())
        if self._repeats:
            inconsistencies.append(Inconsistency("listed-twice", "value", self._repeated()))
        return Snapshot(
            job_id=call.job_id,
            task_counts=TaskCounts.from_dict(self.tasks),
            task_slot_counts=TaskSlotCounts.from_dict(self.slots),
            observed_at=page.observed_at,
            request_id=page.request_id,
            client_request_id=call.client_request_id,
            attempts=attempts,
            inconsistencies=tuple(inconsistencies),
            exact=True,
            began_at=began_at,
        )

    def _repeat(self, task_id: str) -> None:
        self._repeats += 1
        if task_id not in self._examples:
            self._more = len(self._examples) == _SHOWN
            self._examples = [*self._examples, task_id][:_SHOWN]

    def _repeated(self) -> str:
        times = f"{self._repeats:,} times" if self._repeats > 1 else "once"
        named = ", ".join(map(_named, self._examples)) + (" …" if self._more else "")
        return (
            f"the list names a task again that it had named before, {times}: {named}; tasks moved "
            "from page to page, or the list repeats them, and each is counted as often as it is named"
        )


class Seen:
    """Which ids were seen before, as far back as it remembers: in two tables of constant size.

    A table holds a 64-bit hash of each id. Once ``limit`` are in it, it becomes the older one and a new one
    begins, so any id is remembered until at least ``limit`` others came, and memory stays at 16 MiB at most
    (of which the system gives only what is written to). With the sizes given here, two ids in a list of a
    million have the same hash once in 30 million such lists; an id that is there twice is always found
    among those remembered.
    """

    __slots__ = ("_held", "_limit", "_older", "_size", "_younger")

    def __init__(self, size: int = 1 << 20, limit: int = 700_000) -> None:
        """Make an empty one.

        Args:
            size: The places of a table, eight bytes each; a power of two.
            limit: How many of them are filled; the emptier a table, the shorter a search.
        """
        self._size, self._limit, self._held = size, limit, 0
        self._younger: Any = self._table()
        self._older: Any = None

    def add(self, folded: str) -> bool:
        """Remember an id, in lower case; return whether it was remembered already."""
        # JSON can hold half a surrogate pair, which UTF-8 can't.
        digest = blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        # An empty place is a 0.
        mark = int.from_bytes(digest) or 1
        place = self._find(self._younger, mark)
        if self._younger[place]:
            return True
        known = self._older is not None and self._older[self._find(self._older, mark)] != 0
        if self._held == self._limit:
            self._younger, self._older, self._held = self._table(), self._younger, 0
            place = mark % self._size
        self._younger[place] = mark
        self._held += 1
        return known

    def _table(self) -> Any:
        # Unlike an array's, the memory of a bytearray is none before it is written to.
        return memoryview(bytearray(8 * self._size)).cast("Q")

    def _find(self, table: Any, mark: int) -> int:
        """Return the place of a hash, or the empty one that it would get."""
        place = mark % self._size
        while table[place] not in (0, mark):
            place = (place + 1) % self._size
        return place


def _counted(
    endpoint: str, link: str | None, loop_detector: LoopDetector, tally: Tally
) -> Operation[CountedPage]:
    """Return the question for a page, whose tasks are counted once its answer is accepted."""
    operation = task_list_operation(endpoint, link=link, loop_detector=loop_detector, select=SELECT)

    def build(answer: CheckedAnswer) -> CountedPage:
        page = operation.build(answer)
        tally.add(page, strict=answer.strict)
        return CountedPage(page.link, page.headers.get("request-id"), page.attempts, answer.observed_at)

    return Operation(operation.parts, operation.check, build, operation.limit)


def _members_of(task: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Return the members of the counts in which a task belongs; raise Violation if that isn't told.

    Source: https://learn.microsoft.com/rest/api/batchservice/jobs/get-task-counts
    """
    state = _STATES.get(task["state"].lower())
    if state is None:
        raise Violation(
            f"{path}.state", f"the state of task {_named(task['id'])}, {_named(task['state'])}, is not known"
        )
    if state != "completed":
        return (state,)
    info = task.get("executionInfo", {})
    if "result" not in info:
        raise Violation(
            f"{path}.executionInfo.result",
            f"task {_named(task['id'])} is completed, and nothing says with which result",
        )
    result = _RESULTS.get(info["result"].lower())
    if result is None:
        raise Violation(
            f"{path}.executionInfo.result",
            f"the result of task {_named(task['id'])}, {_named(info['result'])}, is not known",
        )
    return (state, result)


def _differences(name: str, reported: object, listed: object) -> Iterator[Inconsistency]:
    """Yield in which members reported counts aren't those of a list."""
    for member in MEMBERS:
        told, found = getattr(reported, member), getattr(listed, member)
        if told != found:
            path = f"{name}.{member}"
            if name == "taskCounts":
                text = f"{_tasks(found)} listed so"
            else:
                text = f"the tasks listed so need {found}"
            yield Inconsistency("verified", path, f"{path} is {told}, but {text}")


def _tasks(number: int) -> str:
    return f"{number:,} task was" if number == 1 else f"{number:,} tasks were"


def _named(text: str) -> str:
    return one_line(repr(text), 80)


def _add(error: TaskCountsError, text: str) -> None:
    error.args = (f"{error.args[0]}; {text}",)
