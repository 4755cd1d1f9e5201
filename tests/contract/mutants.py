"""Servers that are wrong on purpose, each in one way: the emulator behind something that spoils it.

A contract run has to catch every one of them, by the check that names what is wrong.
"""

from __future__ import annotations

from contract.list_mutants import LIST_MUTANTS
from contract.mutant import Mutant
from contract.spoil import (
    COUNTERS,
    always_echo,
    bump,
    canned,
    capped,
    counts,
    drop,
    failed_twice,
    failure,
    flat,
    header,
    jitter,
    no_echo_for_strangers,
    put,
    remembered,
    repeat_authorization,
    same_request_id,
    stale_echo,
    status,
    success,
    swap,
    tell_strangers,
    text,
    utf16,
    value,
    when,
    wrapped,
    zero_for_unknown,
)
from contract.spoil_requests import (
    any_account,
    any_verb,
    any_version,
    assume_version,
    beginning_of_id,
    case_sensitive,
    drop_bad_flag,
    drop_timeout,
    edit_headers,
    edit_query,
    fill_version,
    last_of_two,
    one_for_true,
    other_path,
    pythonic_timeout,
    refuse_long,
    strip_braces,
    trust_all,
    trust_signed_by,
    undated,
)

MUTANTS = (
    # Status
    Mutant("201 for 200", "status", success(status(201))),
    Mutant("206 for 200", "status", success(status(206))),
    Mutant("500 for 400", "status", when(400, 500)),
    Mutant("302 for 404", "status", when(404, 302)),
    Mutant("404 for 200", "right-request", success(status(404))),
    Mutant("400 for 404", "unknown-job", when(404, 400)),
    Mutant("404 for 405", "other-verbs", when(405, 404)),
    Mutant("zeros for an unknown job", "unknown-job", zero_for_unknown),
    Mutant("every verb is GET", "other-verbs", request=any_verb),
    # Headers
    Mutant("no Allow with 405", "other-verbs", header("allow", None)),
    Mutant("no request-id", "request-id", header("request-id", None)),
    Mutant("no request-id with errors", "request-id", failure(header("request-id", None))),
    Mutant("request-id is no GUID", "request-id", header("request-id", "42")),
    Mutant(
        "request-id in braces", "request-id", header("request-id", "{730e1b9c-034b-4162-aa94-9e4f2ce0cebd}")
    ),
    Mutant("the same request-id again", "fresh-ids", same_request_id),
    Mutant("echo unasked", "echo", always_echo),
    Mutant("no echo", "echo", header("client-request-id", None)),
    Mutant("stale echo", "echo", stale_echo),
    # Media type
    Mutant("text/json", "media-type", success(header("content-type", "text/json;odata=minimalmetadata"))),
    Mutant("no odata parameter", "media-type", success(header("content-type", "application/json"))),
    Mutant("odata=fullmetadata", "media-type", header("content-type", "application/json;odata=fullmetadata")),
    Mutant("errors as text/html", "media-type", failure(header("content-type", "text/html"))),
    Mutant("no content type", "media-type", header("content-type", None)),
    # Members
    Mutant(
        "taskSlotCounts missing",
        "result-body",
        success(value(lambda body: body.pop("taskSlotCounts") and body)),
    ),
    Mutant("failed missing", "result-body", drop(0, "failed")),
    Mutant("active slots missing", "result-body", drop(1, "active")),
    Mutant("the flat body of old", "result-body", success(value(flat))),
    Mutant("an array around", "result-body", success(value(lambda body: [body]))),
    Mutant("taskCounts is null", "result-body", success(value(lambda body: {**body, "taskCounts": None}))),
    Mutant("a member twice", "result-body", success(text(b'"active":', b'"active":0,"active":'))),
    # Types and ranges
    Mutant("a number as text", "result-body", put(0, "running", "7")),
    Mutant("5.0 for 5", "result-body", put(0, "active", 9.0)),
    Mutant("true for 1", "result-body", put(1, "failed", True)),
    Mutant("null for 0", "result-body", put(1, "failed", None)),
    Mutant("NaN", "result-body", put(0, "failed", float("nan"))),
    Mutant("-1", "result-body", put(0, "active", -1)),
    Mutant("beyond int32", "result-body", put(0, "active", 2**31)),
    Mutant("an empty body", "result-body", success(lambda exchange: setattr(exchange, "body", b""))),
    Mutant(
        "a cut body", "result-body", success(lambda exchange: setattr(exchange, "body", exchange.body[:-9]))
    ),
    Mutant("UTF-16", "result-body", success(utf16)),
    Mutant("HTML", "result-body", success(lambda exchange: setattr(exchange, "body", b"<html></html>"))),
    # Invariants and counts
    Mutant("completed without the failed", "invariants", counts(failed_twice)),
    Mutant("one succeeded too many", "invariants", bump(0, "succeeded")),
    Mutant("one failed slot too many", "invariants", bump(1, "failed")),
    Mutant("active and running swapped", "true-counts", counts(swap)),
    Mutant("preparing is active", "true-counts", counts(lambda tasks, _: tasks.update(active=12, running=4))),
    Mutant("slots are tasks", "true-counts", counts(lambda tasks, slots: slots.update(tasks))),
    Mutant(
        "slots are all 0", "true-counts", counts(lambda _, slots: slots.update(dict.fromkeys(COUNTERS, 0)))
    ),
    Mutant(
        "pages end at 1,000",
        "true-counts",
        counts(lambda tasks, _: tasks.update(running=min(tasks["running"], 1000))),
    ),
    Mutant("canned counts", "movement", success(canned)),
    Mutant("counts that waver", "stillness", success(jitter)),
    *(Mutant(f"{counter} ends at 1,000", "true-counts", capped(0, counter, 1000)) for counter in COUNTERS),
    *(
        Mutant(f"{counter} slots in 16 bits", "true-counts", wrapped(1, counter, 2**16))
        for counter in COUNTERS
    ),
    *(Mutant(f"{counter} as it was at first", "movement", remembered(counter)) for counter in COUNTERS),
    # Authentication
    Mutant("no credential needed", "no-credential", request=trust_all),
    Mutant("any shared key", "wrong-signature", request=trust_signed_by("SharedKey ")),
    Mutant("any token", "wrong-token", request=trust_signed_by("Bearer ")),
    Mutant("any scheme", "malformed-credential", request=trust_signed_by("Basic ", "nonsense")),
    Mutant("any account", "other-account", request=any_account),
    Mutant("any date", "stale-date", request=undated(0)),
    Mutant("a date 45 minutes off", "stale-date", request=undated(45)),
    Mutant("a clock 45 minutes fast", "early-date", request=undated(45)),
    Mutant("jobs told to strangers", "no-credential", tell_strangers),
    Mutant("no challenge with 401", "no-credential", header("www-authenticate", None)),
    Mutant("no echo for strangers", "echo", no_echo_for_strangers),
    Mutant("the signature repeated", "secrecy", failure(repeat_authorization)),
    Mutant("401 for 403", "wrong-signature", when(403, 401)),
    # Parameters
    Mutant("no api-version needed", "version-required", request=edit_query(assume_version)),
    Mutant("a blank api-version", "version-required", request=edit_query(fill_version)),
    Mutant("any api-version", "negative_data_rejection", request=edit_query(any_version)),
    Mutant("query names in one case", "query-names", request=edit_query(case_sensitive)),
    Mutant("a timeout of Python's", "service-timeout", request=edit_query(pythonic_timeout)),
    Mutant("the last of two parameters", "repeated-query", request=edit_query(last_of_two)),
    Mutant("1 for true", "bad-headers", request=edit_headers(one_for_true)),
    Mutant("ids by their beginning", "true-counts", request=beginning_of_id),
    Mutant("any timeout", "service-timeout", request=edit_query(drop_timeout)),
    Mutant("no timeout above 30", "service-timeout", request=edit_query(refuse_long)),
    Mutant("a GUID in braces", "bad-headers", request=edit_headers(strip_braces)),
    Mutant("any boolean", "negative_data_rejection", request=edit_headers(drop_bad_flag)),
    Mutant("job ids in one case", "job-case", request=other_path(lambda path: "NIGHTLY" in path)),
    Mutant("no jobs of schedules", "true-counts", request=other_path(lambda path: "nightly:job" in path)),
    # Errors
    Mutant("errors without a code", "error-body", failure(value(lambda body: body.pop("code") and body))),
    Mutant(
        "errors without a message", "error-body", failure(value(lambda body: body.pop("message") and body))
    ),
    Mutant("message is text", "error-body", failure(value(lambda body: {**body, "message": "no"}))),
    Mutant(
        "values is an object", "error-body", failure(value(lambda body: {**body, "values": {"key": "x"}}))
    ),
    Mutant("errors wrapped", "error-body", failure(value(lambda body: {"error": body}))),
    Mutant("empty errors", "error-body", failure(lambda exchange: setattr(exchange, "body", b""))),
    Mutant("HTML errors", "error-body", failure(lambda exchange: setattr(exchange, "body", b"<h1>no</h1>"))),
    Mutant("another service's code", "error-code", failure(value(lambda body: {**body, "code": "NotFound"}))),
    *LIST_MUTANTS,
)
