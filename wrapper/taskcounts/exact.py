"""Exact counts: all tasks of a job, listed page by page and counted one by one in constant memory.

The list is exact, but a list of several pages is no snapshot: a task may change between two of them. A task
that can't be counted for sure ends the count, and so does a page that fails: a part of a list is no result.
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

# The service's names for states and results, compared without regard to case.
_STATES = {"active": "active", "preparing": "running", "running": "running", "completed": "completed"}
_RESULTS = {"success": "succeeded", "failure": "failed"}

# The number of ids that a message names.
_MOST_EXAMPLES = 3


def exact_counts(
    settings: Settings, call: Call, progress: Callable[[int], object] | None = None
) -> Flow[Snapshot]:
    """List all tasks and return their counts.

    Args:
        settings: The client's settings.
        call: The call. Its deadline is for all pages together, its client request id for the first one.
        progress: Called after each page with the number of tasks so far. An exception that it raises ends the
            count.

    Raises:
        TaskCountsError: A page has no trustworthy answer; the text has the number of tasks before it.
        TypeError: ``progress`` is not a plain function. Nothing was sent.
    """
    ends = settings.clock.monotonic() + call.deadline
    return (yield from _list(settings, call, ends, progress))


def verified_counts(settings: Settings, call: Call) -> Flow[Snapshot]:
    """Return the reported counts, compared with an exact count.

    Differences may only show that reported counts lag, and that listing takes a while. They are reported in
    ``Snapshot.inconsistencies``; a strict client raises them.

    Args:
        settings: The client's settings.
        call: The call. Its deadline is for the counts and the list together.

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
            api_version=call.api_version,
        )
    return evolve(reported, inconsistencies=reported.inconsistencies + differences, listed=listed)


def _list(
    settings: Settings, call: Call, ends: float, progress: Callable[[int], object] | None
) -> Flow[Snapshot]:
    """List all tasks, until ``ends`` on the monotonic clock at the latest, and return their counts."""
    check_callback("progress", progress)
    clock = settings.clock
    began_at = clock.now()
    tally, loop_detector = Tally(), LoopDetector()
    link, client_request_id, attempts = None, call.client_request_id, 0
    while True:
        page_call = call._replace(
            deadline=max(ends - clock.monotonic(), 0.0), client_request_id=client_request_id
        )
        try:
            page = yield from exchange(
                settings, _counted(settings.endpoint, link, loop_detector, tally), page_call
            )
        except TaskCountsError as error:
            if link is not None:
                _add(error, f"{_tasks(tally.listed)} seen before that: a part of a list is no count")
            if isinstance(error, DeadlineExceeded) and page_call.deadline < call.deadline - 0.1:
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
    """The facts of a page that are kept once its tasks are counted."""

    link: str | None
    request_id: str | None
    attempts: int
    observed_at: datetime


class Tally:
    """The counts of a list so far, in memory that doesn't grow with the number of tasks.

    Attributes:
        listed: The number of tasks that were counted.
        tasks: The number of tasks in each member of the counts.
        slots: The number of task slots in each member of the counts.
    """

    def __init__(self) -> None:
        self.listed = 0
        self.tasks = dict.fromkeys(MEMBERS, 0)
        self.slots = dict.fromkeys(MEMBERS, 0)
        self._inconsistencies: dict[str, Inconsistency] = {}
        self._repeats = 0
        self._examples: list[str] = []
        self._more = False
        self._seen: Seen | None = None

    def add(self, page: Page, *, strict: bool) -> None:
        """Count a page's tasks.

        Raises:
            Violation: A task can't be counted, or is listed twice and the client is strict.
        """
        if self._seen is None and page.link is not None:
            # A list of one page needs no memory of other pages.
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
        for each in page.inconsistencies:
            self._inconsistencies.setdefault(each.invariant, each)

    def snapshot(self, call: Call, page: CountedPage, *, began_at: datetime, attempts: int) -> Snapshot:
        """Return the snapshot of the list, after its last page."""
        inconsistencies = list(self._inconsistencies.values())
        if self._repeats:
            inconsistencies.append(Inconsistency("listed-twice", "value", self._repeated()))
        return Snapshot(
            job_id=call.job_id,
            task_counts=TaskCounts.from_dict(self.tasks),
            task_slot_counts=TaskSlotCounts.from_dict(self.slots),
            observed_at=page.observed_at,
            request_id=page.request_id,
            client_request_id=call.client_request_id,
            api_version=call.api_version,
            attempts=attempts,
            inconsistencies=tuple(inconsistencies),
            exact=True,
            began_at=began_at,
        )

    def _repeat(self, task_id: str) -> None:
        self._repeats += 1
        if task_id not in self._examples:
            self._more = len(self._examples) == _MOST_EXAMPLES
            self._examples = [*self._examples, task_id][:_MOST_EXAMPLES]

    def _repeated(self) -> str:
        times = f"{self._repeats:,} times" if self._repeats > 1 else "once"
        named = ", ".join(map(_named, self._examples)) + (" …" if self._more else "")
        return (
            f"the list names a task again that it had named before, {times}: {named}; tasks moved "
            "from page to page, or the list repeats them, and each is counted as often as it is named"
        )


class Seen:
    """The ids of a list's last tasks, in two tables of constant size.

    A table holds a 64-bit hash of each id. A table with ``limit`` hashes becomes the older one, and a new one
    replaces it, so an id is remembered until at least ``limit`` others have come, and the memory stays at 16
    MiB at most (of which the system provides only the pages that are written to). A remembered id is always
    found. With the default sizes, two different ids in a list of a million have the same hash in one of 30
    million such lists.
    """

    __slots__ = ("_held", "_limit", "_older", "_size", "_younger")

    def __init__(self, size: int = 1 << 20, limit: int = 700_000) -> None:
        """Make empty tables.

        Args:
            size: The number of slots of a table, eight bytes each; a power of two.
            limit: The number of slots that are filled at most; searches in an emptier table are shorter.
        """
        self._size, self._limit, self._held = size, limit, 0
        self._younger: Any = self._table()
        self._older: Any = None

    def add(self, folded: str) -> bool:
        """Remember an id, in lower case; return whether it was remembered already."""
        # JSON may hold a lone surrogate, which UTF-8 can't encode.
        digest = blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        # 0 marks an empty slot.
        fingerprint = int.from_bytes(digest) or 1
        slot = self._find(self._younger, fingerprint)
        if self._younger[slot]:
            return True
        known = self._older is not None and self._older[self._find(self._older, fingerprint)] != 0
        if self._held == self._limit:
            self._younger, self._older, self._held = self._table(), self._younger, 0
            slot = fingerprint % self._size
        self._younger[slot] = fingerprint
        self._held += 1
        return known

    def _table(self) -> Any:
        # Unlike an array, a bytearray takes no memory before it is written to.
        return memoryview(bytearray(8 * self._size)).cast("Q")

    def _find(self, table: Any, fingerprint: int) -> int:
        """Return the slot of a hash, or the empty slot that it would get."""
        slot = fingerprint % self._size
        while table[slot] not in (0, fingerprint):
            slot = (slot + 1) % self._size
        return slot


def _counted(
    endpoint: str, link: str | None, loop_detector: LoopDetector, tally: Tally
) -> Operation[CountedPage]:
    """Return the operation that gets a page of tasks and adds them to a tally."""
    operation = task_list_operation(endpoint, link=link, loop_detector=loop_detector, select=SELECT)

    def build(answer: CheckedAnswer) -> CountedPage:
        page = operation.build(answer)
        tally.add(page, strict=answer.strict)
        return CountedPage(page.link, page.headers.get("request-id"), page.attempts, answer.observed_at)

    return Operation(operation.parts, operation.check, build, operation.limit)


def _members_of(task: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Return the members of the counts that a task belongs to; raise Violation if they are unknown.

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
    """Yield the members in which reported counts differ from those of a list."""
    for member in MEMBERS:
        reported_number, listed_number = getattr(reported, member), getattr(listed, member)
        if reported_number != listed_number:
            path = f"{name}.{member}"
            if name == "taskCounts":
                text = f"{_tasks(listed_number)} listed so"
            else:
                text = f"the tasks listed so need {listed_number}"
            yield Inconsistency("verified", path, f"{path} is {reported_number}, but {text}")


def _tasks(number: int) -> str:
    return f"{number:,} task was" if number == 1 else f"{number:,} tasks were"


def _named(text: str) -> str:
    return one_line(repr(text), 80)


def _add(error: TaskCountsError, text: str) -> None:
    error.args = (f"{error.args[0]}; {text}",)
