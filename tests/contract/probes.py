"""Requests made on purpose, each with what must come of it.

A probe gets the target, sends what it needs, and yields each answer with what is wrong with it.
What holds for every answer is checked besides, on each of them.
"""

from __future__ import annotations

from contract import authentication, listing, reference
from contract.checks import in_form, new_guid
from contract.probing import (
    REFUSALS,
    Judged,
    Probe,
    expect,
    needs_movement,
    needs_own_job,
    needs_writes,
    own_headers,
)
from contract.target import COUNTS, JOB, JOBS, TASKS, Target

# What the service does beside the operations of the fragment: verbs that it takes where those are.
OTHER_VERBS = {TASKS: {"POST"}, JOB: {"PUT", "PATCH", "DELETE"}, JOBS: {"POST"}}


def right_request(target: Target) -> Judged:
    """A right request gets counts."""
    yield expect(target.ask(), 200)


def own_id(target: Target) -> Judged:
    """The caller's id comes back on request, in either case of its letters; otherwise it doesn't."""
    for operation, described in target.operations.items():
        right = target.locate(operation)
        owns = [new_guid().upper()]
        if in_form(described.parameters["client-request-id"], "our request/1"):
            owns.append("our request/1")
        for headers in (
            *(own_headers(wanted) for wanted in ("true", "false", "True", None)),
            *(own_headers(own=own) for own in owns),
            {"return-client-request-id": "true"},
        ):
            yield expect(target.ask(right, headers), 200)
        # Errors echo it as well.
        for wanted in ("true", None):
            yield expect(target.ask(target.path(None, operation), own_headers(wanted)), 400)
            if operation != JOBS:
                unknown = target.locate(operation, job=f"no-such-job-{new_guid()[:8]}")
                yield expect(target.ask(unknown, own_headers(wanted)), 404)


def bad_headers(target: Target) -> Judged:
    """A client-request-id of another form, or a flag that is neither true nor false, is refused."""
    for operation, described in target.operations.items():
        form = described.parameters["client-request-id"]
        wrong = [own for own in ("{" + new_guid() + "}", "nonsense", "x" * 129) if not in_form(form, own)]
        for headers in (
            *({"client-request-id": own} for own in wrong),
            *({"return-client-request-id": flag} for flag in ("1", "yes", "truee")),
        ):
            yield expect(target.ask(target.locate(operation), headers), 400, "InvalidHeaderValue")


def version_required(target: Target) -> Judged:
    """Without an api-version, or with a blank one, nothing is told; nor with one that there isn't."""
    unknown = ("UnsupportedRequestVersion", "InvalidQueryParameterValue")
    for operation in target.operations:
        path = target.path(None, operation)
        for query in ("", "?api-version=", "?timeout=20"):
            yield expect(target.ask(path + query), 400, "MissingRequiredQueryParameter")
        for version in ("nonsense", "2099-01-01", f"{target.api_version}.1"):
            yield expect(target.ask(f"{path}?api-version={version}"), 400, *unknown)


def query_names(target: Target) -> Judged:
    """The names of query parameters may be in any case, and stand in any order."""
    more = {TASKS: "&maxResults=1&$Select=id,state", JOBS: "&MAXRESULTS=1&$SELECT=id,state"}
    filters = {TASKS: "$Filter=state%20eq%20'active'", JOBS: "$FILTER=state%20ne%20'active'"}
    for operation in target.operations:
        path, version = target.path(None, operation), target.api_version
        for query in (
            f"Api-Version={version}&TimeOut=20{more.get(operation, '')}",
            f"timeout=20&api-version={version}",
            *([f"{filters[operation]}&API-VERSION={version}"] if operation in filters else ()),
        ):
            # That they are heeded is checked on every answer.
            yield expect(target.ask(f"{path}?{query}"), 200)


def service_timeout(target: Target) -> Judged:
    """A timeout is a whole number of seconds from 1; above 30 it is taken for 30."""
    for operation, described in target.operations.items():
        [name] = [name for name in described.parameters if name.lower() == "timeout"]
        for seconds in ("1", "30", "31", "2147483647"):
            yield expect(target.ask(target.locate(operation, f"{name}={seconds}")), 200)
        # Some of these a lenient parser takes for numbers.
        for nonsense in ("0", "-1", "abc", "1.5", "2147483648", "%2B5", "2_0", "%2020", "1e1", "%D9%A1"):
            yield expect(target.ask(target.locate(operation, f"{name}={nonsense}")), 400, *REFUSALS)


def repeated_query(target: Target) -> Judged:
    """A query parameter that stands twice is refused: which one holds?"""
    values = {"api-version": [target.api_version] * 2, "timeout": ["10", "20"], "maxresults": ["1", "2"]}
    values |= {"$select": ["id,state"] * 2, "$filter": ["state%20eq%20'active'"] * 2}
    for operation, described in target.operations.items():
        for name, (first, second) in values.items():
            if name in (parameter.lower() for parameter in described.parameters):
                again = f"{name}={second}" if name == "api-version" else f"{name}={first}&{name}={second}"
                yield expect(target.ask(target.locate(operation, again)), 400, REFUSALS[0])


def unknown_job(target: Target) -> Judged:
    """A job that doesn't exist is not found; it has neither counts of zero nor an empty list of tasks."""
    # One of them has an id that begins as the job's does.
    like = f"{target.job.partition(':')[0][:50]}-{new_guid()[:8]}"
    for job in (f"no-such-job-{new_guid()[:8]}", "no-such-schedule:job-1", like):
        for operation in (COUNTS, TASKS, JOB):
            yield expect(target.ask(target.locate(operation, job=job)), 404, "JobNotFound")


def unknown_path(target: Target) -> Judged:
    """A path that leads nowhere is refused."""
    for path in ("/nonsense", f"{target.path()}/nonsense"):
        yield expect(target.ask(f"{path}?{target.version_query}"), 400, "InvalidUri")


def job_case(target: Target) -> Judged:
    """The case of a job id doesn't matter."""
    # What a schedule adds to the id of its jobs, the fragment has in lower case alone.
    begun, colon, number = target.job.partition(":")
    for operation in (COUNTS, TASKS, JOB):
        for other in (begun.upper(), begun.lower()):
            yield expect(target.ask(target.locate(operation, job=other + colon + number)), 200)


def stillness(target: Target) -> Judged:
    """A job that stands still is counted and listed the same again and again."""
    # That the answers agree is checked on each of them, also behind a question about another job.
    other = next((job for job in target.reference.jobs if job != target.job.lower()), None)
    if other is not None and other not in target.reference.counts:
        yield target.ask(target.locate(job=other)), None
    for _ in range(5):
        for operation in (*target.operations, COUNTS, COUNTS, COUNTS):
            # The next one comes on another connection.
            headers = {"connection": "close"} if operation == JOB else {}
            yield expect(target.ask(target.locate(operation), headers), 200)


def true_counts(target: Target) -> Judged:
    """Jobs whose tasks are known are counted right, tasks and slots."""
    for job in target.known:
        for operation in (COUNTS, JOB):
            yield expect(target.ask(target.locate(operation, job=job)), 200)


def movement(target: Target) -> Judged:
    """The counts and the list follow tasks that start, succeed and fail."""
    for move in target.moves:
        target.known = {**target.known, target.job: move()}
        del target.reference.counts[target.job.lower()]
        yield from reference.take_tasks(target, target.job)
        yield expect(target.ask(), 200)


def other_verbs(target: Target) -> Judged:
    """Every verb that a resource doesn't have is refused, and the answer says that GET is allowed."""
    for operation in target.operations:
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            if method in OTHER_VERBS.get(operation, ()):
                continue
            answered = target.ask(target.locate(operation), method=method)
            if answered.status == 405 and "GET" not in answered.headers.get("allow", ""):
                yield answered, "a 405 whose Allow header doesn't name GET"
            elif method == "HEAD":
                yield expect(answered, 405)
            else:
                yield expect(answered, 405, "UnsupportedHttpVerb")


PROBES: dict[str, Probe] = {
    "right-request": Probe(right_request),
    "reference": Probe(reference.take),
    "own-id": Probe(own_id),
    "bad-headers": Probe(bad_headers),
    "version-required": Probe(version_required),
    "query-names": Probe(query_names),
    "service-timeout": Probe(service_timeout),
    "repeated-query": Probe(repeated_query, needs_own_job),
    "unknown-job": Probe(unknown_job),
    "unknown-path": Probe(unknown_path),
    "job-case": Probe(job_case),
    "stillness": Probe(stillness),
    "true-counts": Probe(true_counts, needs_own_job),
    **authentication.PROBES,
    "other-verbs": Probe(other_verbs, needs_writes),
    **listing.PROBES,
    # What comes after it would find other counts than it knows.
    "movement": Probe(movement, needs_movement),
}
