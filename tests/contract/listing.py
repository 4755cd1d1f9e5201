"""Probes of lists: from page to page, filtered and selected, and against the counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from contract.items import Item
from contract.probing import Judged, Probe, expect, needs_own_job
from contract.target import JOB, JOBS, LISTS, TASKS, Answered, Counts, Target
from taskcounts_rest import contract

# How many pages of a list are looked at; more of it says nothing new.
MOST_PAGES = 40

# What exact counts are made from.
COUNTED = "$select=id,state,executionInfo,requiredSlots"

REFUSALS = ("InvalidQueryParameterValue", "OutOfRangeQueryParameterValue")


@dataclass
class Listing:
    """The result of following the links of a list.

    Attributes:
        answers: The answers, one for each page.
        items: The items on all pages.
        whole: Whether the last page was reached.
        wrong: The promise of the service that the list breaks, None if there is none.
    """

    answers: list[Answered] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    whole: bool = False
    wrong: str | None = None

    @property
    def ids(self) -> set[str]:
        """The ids of what is listed, in lower case."""
        return {item["id"].lower() for item in self.items}

    def judged(self, wrong: str | None = None) -> Judged:
        """Yield the answers, the last one with what is wrong with the list."""
        *before, last = self.answers
        yield from ((answered, None) for answered in before)
        yield last, self.wrong or wrong


def follow(
    target: Target, operation: str, query: str = "", job: str | None = None, most: int = MOST_PAGES
) -> Listing:
    """Ask for a list page by page, by the links that the pages give.

    Args:
        target: Who is asked.
        operation: Which list.
        query: Further parameters, as they are sent.
        job: Whose tasks; by default those of the target's job.
        most: How many pages to ask for.
    """
    listing = Listing()
    asked = target.locate(operation, job=job) + (f"&{query}" if query else "")
    pages: dict[str, int] = {}
    found: dict[str, int] = {}
    while True:
        number = pages[asked] = len(pages) + 1
        answered = target.ask(asked)
        listing.answers.append(answered)
        page = answered.conforming(operation)
        if page is None:
            listing.wrong = f"page {number} is no list: {answered.status}"
            return listing
        for item in page["value"]:
            name = item["id"].lower()
            if found.setdefault(name, number) != number:
                listing.wrong = f"{item['id']!r} stands on page {found[name]} and on page {number}"
                return listing
        listing.items += page["value"]
        link = page.get("odata.nextLink")
        if link is None:
            listing.whole = True
            return listing
        if not link.lower().startswith(target.endpoint.lower() + "/"):
            # The credential would go to wherever that is.
            listing.wrong = f"the link on page {number} leads elsewhere"
            return listing
        asked = link[len(target.endpoint) :]
        if asked in pages:
            listing.wrong = f"the link on page {number} leads back to page {pages[asked]}"
            return listing
        if number == most:
            return listing


def pages(operation: str, target: Target) -> Judged:
    """In pages of another size, a list has the same items, each of them once."""
    whole = follow(target, operation, most=1)
    yield from whole.judged()
    if not whole.items:
        return
    size = -(-len(whole.items) // 3)
    parts = follow(target, operation, f"maxresults={size}")
    # Somebody else's account may get jobs meanwhile; its job stands still.
    steady = operation == TASKS or target.known
    lost = whole.ids - parts.ids if steady else {target.job.lower()} & whole.ids - parts.ids
    more = parts.ids - whole.ids if steady and whole.whole else set()
    wrong = None
    if parts.whole and (lost or more):
        wrong = f"of {len(whole.items)} items, pages of {size} have {len(parts.items)}: {_some(lost, more)}"
    yield from parts.judged(wrong)


def _some(lost: set[str], more: set[str]) -> str:
    parts = [(f"without {min(lost)!r}" if lost else ""), (f"with {min(more)!r} besides" if more else "")]
    return ", ".join(filter(None, parts))


def task_filters(target: Target) -> Judged:
    """By state, and by result, each task is listed where it belongs, and nowhere else."""
    whole = follow(target, TASKS)
    yield from whole.judged()
    if not whole.whole:
        return
    filters: dict[str, Callable[[Item], bool]] = {
        f"state eq '{state}'": partial(_is_in, state=state)
        for state in contract.KNOWN_VALUES["CloudTask.state"]
    }
    for result in contract.KNOWN_VALUES["TaskExecutionInformation.result"]:
        text = f"state eq 'completed' and executionInfo/result eq '{result}'"
        filters[text] = partial(_ended, result=result)
    for text, belongs in filters.items():
        part = follow(target, TASKS, f"$filter={quote(text)}")
        wanted = {item["id"].lower() for item in whole.items if belongs(item)}
        lost, more = wanted - part.ids, part.ids - wanted
        yield from part.judged(f"{text}: the list comes {_some(lost, more)}" if lost or more else None)


def _is_in(item: Item, state: str) -> bool:
    return bool(item["state"].lower() == state)


def _ended(item: Item, result: str) -> bool:
    return bool(item.get("executionInfo", {}).get("result", "").lower() == result)


def job_filters(target: Target) -> Judged:
    """The job is listed by the beginning of its id and by its state, and not by any other state."""
    answered = target.ask(target.locate(JOB))
    yield expect(answered, 200)
    job = answered.conforming(JOB)
    if job is None:
        return
    if job["id"].lower() != target.job.lower():
        yield answered, f"it is the job {job['id']!r}; {target.job!r} was asked for"
    beginning, state = target.job.partition(":")[0], job["state"].lower()
    for text, wanted in (
        (f"startswith(id,'{beginning}')", True),
        (f"startswith(id,'{beginning.swapcase()}')", True),
        (f"startswith(id,'no-{beginning[:60]}')", False),
        (f"state eq '{state}'", True),
        (f"state ne '{state}'", False),
    ):
        listing = follow(target, JOBS, f"$filter={quote(text)}")
        found = [item for item in listing.items if item["id"].lower() == target.job.lower()]
        wrong = None
        if bool(found) != wanted and (listing.whole or found):
            wrong = f"{text}: the job {target.job!r} is {'not ' if wanted else ''}listed"
        for item in found:
            for member in ("id", "state", "stateTransitionTime"):
                if item.get(member) != job.get(member):
                    wrong = (
                        f"{text}: {member} is {item.get(member)!r}; the job itself says {job.get(member)!r}"
                    )
        yield from listing.judged(wrong)


def jobs(target: Target) -> Judged:
    """The account's jobs are listed, each under its own name."""
    listing = follow(target, JOBS)
    found, known = sorted(item["id"] for item in listing.items), sorted(target.known)
    yield from listing.judged(f"{found} are listed; there are {known}" if found != known else None)


def selection(target: Target) -> Judged:
    """A selection has the same items; what each of them may have is checked on every answer."""
    whole = follow(target, TASKS, most=1)
    for names in ("id,state", "id,state,executionInfo,requiredSlots"):
        part = follow(target, TASKS, f"$select={names}", most=1)
        # Pages needn't end where others do.
        differ = whole.whole and part.whole and part.ids != whole.ids
        yield from part.judged(f"selecting {names} changes which tasks are listed" if differ else None)
    for asked in (target.locate(JOB), target.locate(JOBS)):
        for names in ("id,state", "id,state,executionInfo"):
            yield expect(target.ask(f"{asked}&$select={names}"), 200)


def listed_counts(target: Target) -> Judged:
    """The tasks of known jobs, listed and counted, come to their true counts."""
    for job, counts in target.known.items():
        yield from compared(target, job, counts)


def compared(target: Target, job: str, counts: Counts) -> Judged:
    """Yield the pages of a job's tasks, the last one with how far they are from its true counts."""
    listing = follow(target, TASKS, COUNTED, job)
    got = tally(listing.items)
    yield from listing.judged(
        f"job {job}: tasks and slots are {counts}, the list comes to {got}" if got != counts else None
    )


def tally(items: list[Item]) -> Counts:
    """Count listed tasks: how many they are, and how many slots they need."""
    tasks, slots = [0] * 5, [0] * 5
    for item in items:
        info = item.get("executionInfo", {})
        for place in _places(item["state"].lower(), info.get("result", "").lower()):
            tasks[place] += 1
            slots[place] += item.get("requiredSlots", 1)
    return (tasks[0], tasks[1], tasks[2], tasks[3], tasks[4]), (
        slots[0], slots[1], slots[2], slots[3], slots[4]
    )  # fmt: skip


def _places(state: str, result: str) -> Iterator[int]:
    """Yield which of active, running, completed, succeeded and failed a task counts to."""
    places = {"active": 0, "preparing": 1, "running": 1, "completed": 2}
    if state in places:
        yield places[state]
    if state == "completed" and result in ("success", "failure"):
        yield 3 if result == "success" else 4


def page_sizes(target: Target) -> Judged:
    """A page may have 1 to 1000 items; any other number is refused, and what is none as well."""
    for operation in LISTS:
        asked = f"{target.locate(operation)}&maxresults="
        for size in ("1", "1000"):
            yield expect(target.ask(asked + size), 200)
        for size in ("0", "-1", "1001", "abc", "1.5", "4294967297"):
            yield expect(target.ask(asked + size), 400, *REFUSALS)


def bad_filters(target: Target) -> Judged:
    """A filter that can't be read, of a property that there isn't, or of an unknown state, is refused."""
    broken = (
        "nonsense",
        "state",
        "state eq active",
        "state eq 'active",
        "state = 'active'",
        "state eq 'active' and",
    )
    unknown = ("nonsense eq 'x'", "State eq 'active'", "state eq 'sleeping'")
    for operation, own in (
        (TASKS, ("requiredSlots eq 1",)),
        (JOBS, ("startswith(id", "executionInfo/result eq 'x'")),
    ):
        for text in (*broken, *unknown, *own):
            asked = f"{target.locate(operation)}&$filter={quote(text)}"
            yield expect(target.ask(asked), 400, REFUSALS[0])


def bad_selections(target: Target) -> Judged:
    """A member that there isn't, or one in the wrong case, can't be selected."""
    for operation in (TASKS, JOB, JOBS):
        for names in ("nonsense", "id,State", "id,state,nonsense"):
            asked = f"{target.locate(operation)}&$select={names}"
            yield expect(target.ask(asked), 400, REFUSALS[0])


def forged_links(target: Target) -> Judged:
    """A token that no page gave is refused, and one that a page of another list gave."""
    asked = f"{target.locate(TASKS)}&maxresults=1"
    link = (target.ask(asked).conforming(TASKS) or {}).get("odata.nextLink", "")
    _, _, token = link.partition("$skiptoken=")
    other = next(job for job in target.known if job != target.job)
    for job, forged in ((target.job, "bm9uc2Vuc2U"), (other, token)):
        path = target.path(job, TASKS)
        yield expect(
            target.ask(f"{path}?{target.version_query}&maxresults=1&$skiptoken={forged}"), 400, REFUSALS[0]
        )


PROBES: dict[str, Probe] = {
    "task-pages": Probe(partial(pages, TASKS)),
    "job-pages": Probe(partial(pages, JOBS)),
    "task-filters": Probe(task_filters),
    "job-filters": Probe(job_filters),
    "jobs": Probe(jobs, needs_own_job),
    "selection": Probe(selection),
    "listed-counts": Probe(listed_counts, needs_own_job),
    "page-sizes": Probe(page_sizes),
    "bad-filters": Probe(bad_filters),
    "bad-selections": Probe(bad_selections),
    "forged-links": Probe(forged_links, needs_own_job),
}
