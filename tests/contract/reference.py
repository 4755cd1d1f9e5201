"""What an endpoint says, held against what it said at the start of the run.

The reference is taken once: the job, its tasks with all members, and the account's jobs. After that every
answer of the run is held against it, whoever asked. Only the job under test is known to stand still;
where the run knows all jobs, each of them is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from contract.checks import COUNTERS, counts_of
from contract.filters import filter_of
from contract.items import Complaints, is_selection, unselected
from contract.paging import follow, tally
from contract.probing import Judged, expect
from contract.target import JOB, JOBS, TASKS, Answered, Asked, Chain, Counts, Item, Target
from taskcounts_rest import contract

_TASK = contract.OPERATIONS[TASKS].result["properties"]["value"]["items"]
_JOB = contract.OPERATIONS[JOB].result

TASK_STATES = contract.KNOWN_VALUES["CloudTask.state"]
JOB_STATES = contract.KNOWN_VALUES["CloudJob.state"]

# What is compared without its case: ids, and values that are known by name.
_ANY_CASE = {"id", "poolId", *(name.partition(".")[2] for name in contract.KNOWN_VALUES)}


def take(target: Target) -> Judged:
    """The job, its tasks and its counts agree; so do those of every job that the run knows."""
    answered = target.ask(target.locate(JOB))
    job = answered.conforming(JOB)
    if job is not None:
        target.reference.jobs[target.job.lower()] = job
    yield expect(answered, 200)
    for name in dict.fromkeys([target.job, *target.known]):
        yield from take_tasks(target, name)
    listing = follow(target, JOBS)
    if listing.whole:
        target.reference.jobs = listing.by_id | target.reference.jobs
    yield from listing.judged()


def take_tasks(target: Target, job: str) -> Judged:
    """List the tasks of a job; its counts are to be theirs, or those that the run knows."""
    listing, reference = follow(target, TASKS, job=job), target.reference
    if not listing.whole:
        yield from listing.judged()
        return
    listed = tally(listing.items)
    counts = target.known.get(job, listed)
    seen = reference.counts.get(job.lower(), counts)
    reference.tasks[job.lower()] = listing.by_id
    reference.counts[job.lower()] = counts
    wrong = None
    if listed != counts or seen != counts:
        wrong = f"job {job}: tasks and slots are {counts}, its list comes to {listed}, its counts were {seen}"
    yield from listing.judged(wrong)


def weaknesses(target: Target) -> list[str]:
    """Return what the run couldn't see, since the job or the account doesn't have it."""
    tasks = target.reference.tasks.get(target.job.lower())
    if tasks is None:
        found = ["the tasks could not be listed to the end: counts are only held against each other"]
    elif not tasks:
        found = ["the job has no tasks: every count is 0, and no filter finds any"]
    else:
        found = list(_weak_tasks(list(tasks.values())))
    if throttled := target.reference.throttled:
        found.append(f"{throttled} answers were 429 or 503, and were asked for again")
    return [*found, *_weak_jobs(target)]


def _weak_tasks(tasks: list[Item]) -> Iterator[str]:
    counts = tally(tasks)
    there = {item["state"].lower() for item in tasks}
    there |= {name for name, count in zip(COUNTERS, counts[0], strict=True) if count}
    lacking = [name for name in (*TASK_STATES, "succeeded", "failed") if name not in there]
    if lacking:
        yield f"the job has no tasks that are {' or '.join(lacking)}: their counts and filters don't show"
    for same in _alike(counts):
        yield f"{same} are equally many: one taken for the other looks the same"
    if counts[0] == counts[1]:
        yield "every task needs one slot: slots that are tasks look the same"
    if len(tasks) < 3:
        yield "the job has less than three tasks: most lists have one page"
    if len(tasks) <= 1000:
        yield "the job has at most 1,000 tasks: errors beyond a full page don't show"


def _weak_jobs(target: Target) -> Iterator[str]:
    jobs = target.reference.jobs
    lacking = set(JOB_STATES) - {item["state"].lower() for item in jobs.values()}
    if lacking:
        yield f"the account has no jobs that are {' or '.join(sorted(lacking))}: filters by those find none"
    if len(jobs) < 3:
        yield "the account has less than three jobs: most lists of jobs have one page"
    if target.other_case == target.job:
        yield "the id of the job has no letters: whether their case matters doesn't show"


def _alike(counts: Counts) -> Iterator[str]:
    """Yield the pairs of counters that have the same numbers."""
    values = list(zip(*counts, strict=True))
    for one, first in enumerate(COUNTERS):
        for other in range(one + 1, len(COUNTERS)):
            # All that are completed may well have succeeded, or failed.
            if values[one] == values[other] != (0, 0) and (one, other) not in ((2, 3), (2, 4)):
                yield f"{first} and {COUNTERS[other]}"


def job_version(target: Target, answered: Answered) -> Complaints:
    """A job that stands still keeps its ETag and its Last-Modified."""
    asked = answered.asked
    if answered.conforming(JOB) is None or asked.job != target.job.lower():
        return
    now = (answered.headers.get("etag"), answered.headers.get("last-modified"))
    before = target.reference.versions.setdefault(asked.job, now)
    if now != before:
        yield f"the job's ETag and Last-Modified were {before}, and are {now}"


def counts_agree(target: Target, answered: Answered) -> Complaints:
    """The counts of a job are those of its tasks, each time."""
    got = counts_of(answered)
    if got is None:
        return
    # Without a list, at least all counts of a job are the same.
    counts = target.reference.counts.setdefault(answered.asked.job, got)
    if got != counts:
        yield f"job {answered.asked.job}: tasks and slots are {counts}, the answer says {got}"


def tasks_agree(target: Target, answered: Answered) -> Complaints:
    """Each list of tasks has all those that fit it and no others, as they were, with what was selected."""
    tasks = target.reference.tasks.get(answered.asked.job)
    if answered.conforming(TASKS) is not None and tasks is not None:
        yield from _page(target, answered, tasks, _TASK, closed=True)


def jobs_agree(target: Target, answered: Answered) -> Complaints:
    """Each list of jobs has the job if it fits, as it was; likewise all others, if they stand still."""
    jobs = target.reference.jobs
    if answered.conforming(JOBS) is None or not jobs:
        return
    steady = jobs if target.known else {name: jobs[name] for name in (target.job.lower(),) if name in jobs}
    yield from _page(target, answered, steady, _JOB, closed=bool(target.known))


def job_agrees(target: Target, answered: Answered) -> Complaints:
    """A job is the one that was asked for, and as it was."""
    job, asked = answered.conforming(JOB), answered.asked
    if job is None:
        return
    if job["id"].lower() != asked.job:
        yield f"it is the job {job['id']!r}; {asked.job!r} was asked for"
    elif asked.job in (name.lower() for name in (target.job, *target.known)):
        yield from _difference(job, target.reference.jobs.get(asked.job, job), _JOB, _selected(asked))


def _page(
    target: Target, answered: Answered, steady: dict[str, Item], schema: dict[str, Any], *, closed: bool
) -> Complaints:
    """Hold a page against the items that stand still; `closed` if there are no others."""
    reference, page = target.reference, answered.result[0]
    chain = reference.pages.get(answered.asked.target, Chain(answered.asked))
    fits = filter_of(chain.first)
    # One complaint says that the page is wrong; a thousand say no more.
    yield from islice(_wrong_items(page["value"], chain, steady, schema, closed=closed), 1)
    most = chain.first.query.get("maxresults", "")
    if most.isascii() and most.isdigit() and len(page["value"]) > int(most) > 0:
        yield f"a page of {len(page['value'])} items; at most {most} were asked for on the first page"
    ids = chain.ids | {item["id"].lower() for item in page["value"]}
    link = page.get("odata.nextLink")
    if link is not None:
        reference.pages[link[len(target.endpoint) :]] = Chain(chain.first, ids)
    elif fits is not None and "$skiptoken" not in chain.first.query:
        lost = [name for name, item in steady.items() if fits(item) and name not in ids]
        if lost:
            yield f"{_said(chain)}: {len(lost)} are not listed, such as {min(lost)!r}"
        if not closed:
            reference.lists.append(Chain(chain.first, ids))


def _wrong_items(
    items: list[Item], chain: Chain, steady: dict[str, Item], schema: dict[str, Any], *, closed: bool
) -> Complaints:
    fits, names = filter_of(chain.first), _selected(chain.first)
    for item in items:
        name = item["id"].lower()
        known = steady.get(name, item)
        if name in chain.ids:
            yield f"{name!r} was on a page before"
        if closed and name not in steady:
            yield f"{name!r} is listed, and wasn't there at first"
        if fits is not None and fits(known) is False:
            yield f"{_said(chain)}: {name!r} is listed, and doesn't fit"
        yield from unselected(item, names)
        for wrong in _difference(item, known, schema, names):
            yield f"{name!r}: {wrong}"


def _said(chain: Chain) -> str:
    return chain.first.query.get("$filter", "without a filter")


def _selected(asked: Asked) -> set[str] | None:
    """Return the members that a request selects; None for all."""
    given = asked.query.get("$select")
    return set(given.split(",")) if given is not None and is_selection(asked) else None


def _difference(item: Item, known: Item, schema: dict[str, Any], names: set[str] | None = None) -> Complaints:
    """Yield the first member of the fragment's that isn't as it was."""
    for name, member in schema["properties"].items():
        if names is not None and name not in names:
            continue
        now, before = item.get(name), known.get(name)
        if isinstance(now, dict) and isinstance(before, dict):
            for wrong in _difference(now, before, member):
                yield f"{name}.{wrong}"
                return
        elif now != before and not (name in _ANY_CASE and str(now).lower() == str(before).lower()):
            yield f"{name} is {now!r}, and was {before!r}" if name in item else f"{name} is missing"
            return


def fresh_ids(target: Target, answered: Answered) -> Complaints:
    """No two answers carry the same request-id."""
    given = answered.headers.get("request-id", "").lower()
    if given in target.reference.request_ids:
        yield f"the request-id {given} came before"
    if given:
        target.reference.request_ids.add(given)


Agreement = Callable[[Target, Answered], Complaints]

AGREEMENTS: dict[str, Agreement] = {
    "counts-agree": counts_agree,
    "tasks-agree": tasks_agree,
    "jobs-agree": jobs_agree,
    "job-agrees": job_agrees,
    "job-version": job_version,
    "fresh-ids": fresh_ids,
}
