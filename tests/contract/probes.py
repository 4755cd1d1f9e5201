"""Requests made on purpose, each with what must come of it.

A probe gets the target, sends what it needs, and yields each answer with what is wrong with it.
What holds for every answer is checked besides, on each of them.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from contract import listing
from contract.checks import counts_of, new_guid
from contract.probing import (
    Judged,
    Probe,
    expect,
    needs_movement,
    needs_own_job,
    needs_shared_key,
    needs_shared_key_and_own,
    needs_writes,
    own_headers,
)
from contract.target import COUNTS, JOB, JOBS, TASKS, Answered, Counts, Target
from taskcounts.credentials import BearerToken, SharedKey
from taskcounts_rest import contract

# What the service does beside the operations of the fragment: verbs that it takes where those are.
OTHER_VERBS = {TASKS: {"POST"}, JOB: {"PUT", "PATCH", "DELETE"}, JOBS: {"POST"}}


def right_request(target: Target) -> Judged:
    """A right request gets counts."""
    yield expect(target.ask(), 200)


def own_id(target: Target) -> Judged:
    """The caller's id comes back on request, in either case of its letters; otherwise it doesn't."""
    for wanted in ("true", "false", "True", None):
        headers = {"client-request-id": new_guid()}
        if wanted:
            headers["return-client-request-id"] = wanted
        yield expect(target.ask(headers=headers), 200)
    upper = {"client-request-id": new_guid().upper(), "return-client-request-id": "true"}
    yield expect(target.ask(headers=upper), 200)
    yield expect(target.ask(headers={"return-client-request-id": "true"}), 200)
    # Errors echo it as well.
    headers = {"client-request-id": new_guid(), "return-client-request-id": "true"}
    yield expect(target.ask(f"{target.path()}?", headers), 400)


def fresh_ids(target: Target) -> Judged:
    """No two requests get the same request-id."""
    first, second = target.ask(), target.ask()
    same = first.headers.get("request-id") == second.headers.get("request-id")
    yield second, "two answers carry the same request-id" if same else None


def bad_headers(target: Target) -> Judged:
    """A client-request-id with braces, or a flag that is neither true nor false, is refused."""
    for headers in (
        {"client-request-id": "{" + new_guid() + "}"},
        *({"return-client-request-id": flag} for flag in ("1", "yes", "truee")),
    ):
        yield expect(target.ask(headers=headers), 400, "InvalidHeaderValue")


def version_required(target: Target) -> Judged:
    """Without an api-version, or with a blank one, nothing is told."""
    for query in ("", "?api-version=", "?timeout=20"):
        yield expect(target.ask(target.path() + query), 400, "MissingRequiredQueryParameter")
    for operation in (TASKS, JOB, JOBS):
        yield expect(target.ask(target.path(None, operation)), 400, "MissingRequiredQueryParameter")


def query_names(target: Target) -> Judged:
    """The names of query parameters may be in any case."""
    yield expect(target.ask(f"{target.path()}?Api-Version={target.api_version}&TimeOut=20"), 200)
    # A client of Microsoft's spells it so.
    listed = target.ask(f"{target.locate(TASKS)}&maxResults=1")
    yield expect(listed, 200)
    page = listed.conforming(TASKS)
    if page is not None and len(page["value"]) > 1:
        yield listed, "maxResults isn't taken for maxresults: the page has more than one task"


def service_timeout(target: Target) -> Judged:
    """A timeout is a whole number of seconds from 1; above 30 it is taken for 30."""
    for seconds in ("1", "30", "31", "2147483647"):
        yield expect(target.ask(f"{target.locate()}&timeout={seconds}"), 200)
    refusals = ("InvalidQueryParameterValue", "OutOfRangeQueryParameterValue")
    # Some of these a lenient parser takes for numbers.
    for nonsense in ("0", "-1", "abc", "1.5", "2147483648", "%2B5", "2_0", "%2020", "1e1", "%D9%A1"):
        yield expect(target.ask(f"{target.locate()}&timeout={nonsense}"), 400, *refusals)


def repeated_query(target: Target) -> Judged:
    """A query parameter that stands twice is refused: which one holds?"""
    for query in (
        f"{target.version_query}&{target.version_query}",
        f"{target.version_query}&timeout=10&timeout=20",
    ):
        yield expect(target.ask(f"{target.path()}?{query}"), 400, "InvalidQueryParameterValue")
    for query in (
        f"{target.version_query}&maxresults=1&maxresults=2",
        f"{target.version_query}&$select=id,state&$select=id,state",
    ):
        yield expect(target.ask(f"{target.path(None, TASKS)}?{query}"), 400, "InvalidQueryParameterValue")


def unknown_job(target: Target) -> Judged:
    """A job that doesn't exist is not found; it has neither counts of zero nor an empty list of tasks."""
    for job in (f"no-such-job-{new_guid()[:8]}", "no-such-schedule:job-1"):
        for operation in (COUNTS, TASKS, JOB):
            yield expect(target.ask(target.locate(operation, job=job)), 404, "JobNotFound")


def job_case(target: Target) -> Judged:
    """The case of a job id doesn't matter."""
    for operation in (COUNTS, TASKS, JOB):
        yield expect(
            target.ask(f"{target.path(target.job.swapcase(), operation)}?{target.version_query}"), 200
        )


def stillness(target: Target) -> Judged:
    """A job that stands still is counted the same twice."""
    first, second = target.ask(), target.ask()
    changed = counts_of(first) != counts_of(second)
    yield second, f"{counts_of(first)} became {counts_of(second)}" if changed else None


def true_counts(target: Target) -> Judged:
    """Jobs whose tasks are known are counted right, tasks and slots."""
    for job, counts in target.known.items():
        answered = target.ask(f"{target.path(job)}?{target.version_query}")
        yield _compare(answered, job, counts)


def movement(target: Target) -> Judged:
    """The counts and the list follow tasks that start, succeed and fail."""
    for move in target.moves:
        counts = move()
        yield _compare(target.ask(), target.job, counts)
        yield from listing.compared(target, target.job, counts)


def _compare(answered: Answered, job: str, counts: Counts) -> tuple[Answered, str | None]:
    got = counts_of(answered)
    if got == counts:
        return answered, None
    return answered, f"job {job}: tasks and slots are {counts}, the answer says {got or answered.status}"


def no_credential(target: Target) -> Judged:
    """Without a credential nothing is told, not even which jobs there are."""
    paths = [target.path(), target.path("no-such-job")]
    paths += [target.path(None, operation) for operation in (TASKS, JOB, JOBS)]
    for path in paths:
        answered = target.ask(f"{path}?{target.version_query}", own_headers(), authorization="")
        yield expect(answered, 401, "AuthenticationFailed")
        if answered.status == 401 and "www-authenticate" not in answered.headers:
            yield answered, "a 401 must say in WWW-Authenticate how to authenticate (RFC 9110, 15.5.2)"


def malformed_credential(target: Target) -> Judged:
    """An Authorization header that is none is refused."""
    for nonsense in ("SharedKey", "Basic dXNlcjpwYXNz", "nonsense"):
        yield expect(
            target.ask(None, own_headers(), authorization=nonsense), 400, "InvalidAuthenticationInfo"
        )


def wrong_signature(target: Target) -> Judged:
    """A signature made with another key gives no counts."""
    stranger = SharedKey(_account(target), base64.b64encode(bytes(64)).decode())
    yield expect(target.ask(None, own_headers(), credential=stranger), 403, "AuthenticationFailed")


def other_account(target: Target) -> Judged:
    """A signature in another account's name gives no counts."""
    assert isinstance(target.credential, SharedKey)
    right = target.credential.authorization("GET", "/", {})
    renamed = right.replace(f"SharedKey {target.credential.account}:", "SharedKey anotheraccount:")
    yield expect(target.ask(authorization=renamed), 403, "AuthenticationFailed")


def stale_date(target: Target) -> Judged:
    """A request that was signed more than 15 minutes ago gives no counts; a little less is allowed."""
    for minutes, status, codes in ((-16, 403, ["AuthenticationFailed"]), (-14, 200, [])):
        date = datetime.now(UTC) + timedelta(minutes=minutes)
        yield expect(target.ask(date=date), status, *codes)


def early_date(target: Target) -> Judged:
    """The same goes for a clock that is fast."""
    for minutes, status, codes in ((16, 403, ["AuthenticationFailed"]), (14, 200, [])):
        date = datetime.now(UTC) + timedelta(minutes=minutes)
        yield expect(target.ask(date=date), status, *codes)


def signed_query(target: Target) -> Judged:
    """The signature covers the query: adding to it makes it wrong."""
    signed = f"{target.locate()}"
    yield expect(target.ask(f"{signed}&timeout=20", sign_as=signed), 403, "AuthenticationFailed")


def signed_path(target: Target) -> Judged:
    """The signature covers the path: another job needs another one."""
    other = f"{target.path('another-job')}?{target.version_query}"
    yield expect(target.ask(sign_as=other), 403, "AuthenticationFailed")


def wrong_token(target: Target) -> Judged:
    """A token that nobody issued gives no counts."""
    forged = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL2JhdGNoLmNvcmUud2luZG93cy5uZXQifQ.x"
    yield expect(target.ask(credential=BearerToken(forged)), 401, "AuthenticationFailed")


def other_verbs(target: Target) -> Judged:
    """Every verb that a resource doesn't have is refused, and the answer says that GET is allowed."""
    for operation in contract.OPERATIONS:
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


def _account(target: Target) -> str:
    return target.credential.account if isinstance(target.credential, SharedKey) else "nobody"


PROBES: dict[str, Probe] = {
    "right-request": Probe(right_request),
    "own-id": Probe(own_id),
    "fresh-ids": Probe(fresh_ids),
    "bad-headers": Probe(bad_headers),
    "version-required": Probe(version_required),
    "query-names": Probe(query_names),
    "service-timeout": Probe(service_timeout),
    "repeated-query": Probe(repeated_query, needs_own_job),
    "unknown-job": Probe(unknown_job),
    "job-case": Probe(job_case),
    "stillness": Probe(stillness),
    "true-counts": Probe(true_counts, needs_own_job),
    "no-credential": Probe(no_credential),
    "malformed-credential": Probe(malformed_credential, needs_shared_key_and_own),
    "wrong-signature": Probe(wrong_signature, needs_shared_key),
    "other-account": Probe(other_account, needs_shared_key_and_own),
    "stale-date": Probe(stale_date, needs_shared_key),
    "early-date": Probe(early_date, needs_shared_key_and_own),
    "signed-query": Probe(signed_query, needs_shared_key_and_own),
    "signed-path": Probe(signed_path, needs_shared_key_and_own),
    "wrong-token": Probe(wrong_token),
    "other-verbs": Probe(other_verbs, needs_writes),
    **listing.PROBES,
    # What comes after it would find other counts than it knows.
    "movement": Probe(movement, needs_movement),
}
