"""Probes of lists: from page to page, filtered and selected.

What a list has to have is checked on every page of every list (see `reference`); a probe here
asks for the lists in which an error would show.
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import quote

from contract.checks import new_guid
from contract.filters import filter_of
from contract.paging import Listing, follow
from contract.probing import REFUSALS, Judged, Probe, expect, needs_own_job, own_headers
from contract.reference import JOB_STATES, TASK_STATES
from contract.target import JOB, JOBS, LISTS, TASKS, Asked, Item, Target
from taskcounts_rest import contract

# How many pages of a filtered list are looked at: of a job with very many tasks, not all.
MOST_FILTERED = 4

# What a wait selects.
SELECTED = "id,state,creationTime,executionInfo"

TASK_RESULTS = contract.KNOWN_VALUES["TaskExecutionInformation.result"]


def pages(operation: str, target: Target) -> Judged:
    """In pages of another size, a list has the same items, each of them once."""
    there = len(_items(target, operation))
    third, half = -(-there // 3), -(-there // 2)
    # With one item less than there are, the last page has one; with as many, there is one page.
    for size in sorted({size for size in (third, half, there - 1, there, there + 1) if 0 < size <= 1000}):
        yield from follow(target, operation, f"maxresults={size}").judged()


def task_filters(target: Target) -> Judged:
    """By state and by result, each task is listed where it belongs, and nowhere else."""
    states = [f"state eq '{state}'" for state in TASK_STATES]
    results = [f"executionInfo/result eq '{result}'" for result in TASK_RESULTS]
    others = [f"executionInfo/result ne '{result}'" for result in TASK_RESULTS]
    # Each term of an `or` decides in one of these; a wait asks for the last ones.
    either = [f"{one} or {other}" for one in states for other in states if one < other]
    either += [f"{state} or {result}" for state in states[:3] for result in results]
    unfinished = " or ".join(states[:3])
    # The longest one that there is; and one that a task fits twice.
    either += [f"{unfinished} or {' or '.join(results)}", f"{states[3]} or {results[0]}"]
    either += [
        unfinished,
        f"{unfinished} or {states[3]}",
        *(f"{unfinished} or {result}" for result in results),
    ]
    ended = [f"{states[3]} and {result}" for result in (*results, *others)]
    for text in (*states, *results, *others, *ended, *either):
        yield from _filtered(target, TASKS, text)
    for job in (target.other_case, *target.known):
        for text in (unfinished, *ended):
            yield from follow(target, TASKS, f"$filter={quote(text)}", job).judged()


def job_filters(target: Target) -> Judged:
    """The job is listed by the beginning of its id and by its state, and not by any other."""
    beginning = target.job.partition(":")[0][:64]
    texts = [f"startswith(id,'{begun}')" for begun in (beginning, beginning.swapcase(), beginning[:1])]
    texts += [f"startswith(id,'{beginning[:50]}-{new_guid()[:8]}')", f"startswith(id,'no-{beginning[:60]}')"]
    texts += [f"startswith(id,'{other}')" for other in (beginning[1:], "no_such", "x" * 64) if other]
    texts += [f"state {operator} '{state}'" for operator in ("eq", "ne") for state in JOB_STATES]
    for text in texts:
        yield from _filtered(target, JOBS, text)


def _filtered(target: Target, operation: str, text: str) -> Judged:
    """Ask for all that fits, for one of it, and for some pages: their links keep filter and selection."""
    query = f"$filter={quote(text)}"
    yield from follow(target, operation, query, most=MOST_FILTERED).judged()
    fits = filter_of(Asked("GET", target.locate(operation, query), {}, "", target.api_version))
    assert fits is not None
    fitting = sum(fits(item) is True for item in _items(target, operation).values())
    query += f"&$select={SELECTED}&maxresults="
    yield from follow(target, operation, f"{query}1", most=1).judged()
    size = max(1, min(1000, -(-fitting // 3)))
    yield from follow(target, operation, f"{query}{size}", most=MOST_FILTERED).judged()


def _items(target: Target, operation: str) -> dict[str, Item]:
    """Return what the list had at the start of the run, as far as it is known."""
    reference = target.reference
    return reference.jobs if operation == JOBS else reference.tasks.get(target.job.lower(), {})


def jobs(target: Target) -> Judged:
    """The account's jobs are listed, each under its own name."""
    listing = follow(target, JOBS)
    found, known = sorted(item["id"] for item in listing.items), sorted(target.known)
    yield from listing.judged(f"{found} are listed; there are {known}" if found != known else None)


def standing_jobs(target: Target) -> Judged:
    """Jobs that haven't changed since the start were on each list meanwhile that they fit."""
    before, listing, after = (
        follow(target, JOBS, query) for query in ("maxresults=900", "", "maxresults=900")
    )
    lost = set(before.by_id) & set(after.by_id) - set(listing.by_id) if listing.whole else None
    yield from before.judged()
    yield from listing.judged(
        f"{min(lost)!r} isn't listed, as it is with maxresults" if lost else _unlisted(listing, target)
    )
    yield from after.judged()
    target.reference.lists.clear()


def _unlisted(listing: Listing, target: Target) -> str | None:
    """Return what is wrong with earlier lists, seen from the last one."""
    still = [
        (name, item)
        for name, item in listing.by_id.items()
        if all(item.get(member) == target.reference.jobs.get(name, {}).get(member)
               for member in ("id", "state", "stateTransitionTime"))
    ]  # fmt: skip
    for chain in target.reference.lists:
        fits = filter_of(chain.first)
        for name, item in still:
            if fits is not None and fits(item) and name not in chain.ids:
                return f"the job {name!r}, which hasn't changed, wasn't listed by {chain.first}"
    return None


def selection(target: Target) -> Judged:
    """Each member can be selected; that it comes then, and no other, is checked on every answer."""
    for operation in (TASKS, JOB, JOBS):
        members = re.findall(r",(\w+)\)", target.operations[operation].parameters["$select"]["pattern"])
        several = [[], *([member] for member in members), members]
        for names in several:
            asked = target.locate(operation, f"$select={','.join(['id', 'state', *names])}")
            yield expect(target.ask(asked), 200)
    # What exact counts are made from.
    counted = "$select=id,state,executionInfo,requiredSlots"
    size = max(1, min(1000, -(-len(_items(target, TASKS)) // 3)))
    yield from follow(target, TASKS, f"{counted}&maxresults={size}").judged()
    for job in target.known:
        yield from follow(target, TASKS, counted, job).judged()


def page_sizes(target: Target) -> Judged:
    """A page may have 1 to 1000 items; any other number is refused, and what is none as well."""
    for operation in LISTS:
        for size in ("1", "2", "999", "1000"):
            yield expect(target.ask(target.locate(operation, f"maxresults={size}")), 200)
        for size in ("0", "-1", "1001", "abc", "1.5", "4294967297"):
            yield expect(target.ask(target.locate(operation, f"maxresults={size}")), 400, *REFUSALS)


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
            asked = target.locate(operation, f"$filter={quote(text)}")
            yield expect(target.ask(asked), 400, REFUSALS[0])


def bad_selections(target: Target) -> Judged:
    """A member that there isn't, or one in the wrong case, can't be selected."""
    for operation in (TASKS, JOB, JOBS):
        for names in ("nonsense", "id,State", "id,state,nonsense"):
            yield expect(target.ask(target.locate(operation, f"$select={names}")), 400, REFUSALS[0])


def forged_links(target: Target) -> Judged:
    """A token that no page gave is refused, and one of another list; and none is a credential."""
    page = target.ask(target.locate(TASKS, "maxresults=1"))
    yield expect(page, 200)
    link = (page.conforming(TASKS) or {}).get("odata.nextLink", "")
    _, _, token = link.partition("$skiptoken=")
    stranger = target.ask(link[len(target.endpoint) :], own_headers(), authorization="")
    yield expect(stranger, 401, "AuthenticationFailed")
    other = next(job for job in target.known if job != target.job)
    for job, forged in ((target.job, "bm9uc2Vuc2U"), (other, token)):
        query = f"maxresults=1&$skiptoken={forged}"
        yield expect(target.ask(target.locate(TASKS, query, job)), 400, REFUSALS[0])


PROBES: dict[str, Probe] = {
    "task-pages": Probe(partial(pages, TASKS)),
    "job-pages": Probe(partial(pages, JOBS)),
    "task-filters": Probe(task_filters),
    "job-filters": Probe(job_filters),
    "jobs": Probe(jobs, needs_own_job),
    "selection": Probe(selection),
    "page-sizes": Probe(page_sizes),
    "bad-filters": Probe(bad_filters),
    "bad-selections": Probe(bad_selections),
    "forged-links": Probe(forged_links, needs_own_job),
    "standing-jobs": Probe(standing_jobs),
}
