"""Mutants that take requests which they should refuse, or the reverse: credentials, parameters, verbs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from contract.mutants.answers import GETS_ONLY, NAMES
from contract.mutants.lists import JOBS_AGREE, TASKS_AGREE, reread
from contract.mutants.server import Answer, Mutant, Request, Serve, Server
from contract.target import COUNTS, JOB, JOBS, LISTS, TASKS
from taskcounts.credentials import string_to_sign
from taskcounts.retry import parse_http_date
from taskcounts_rest import contract

FEW_CREDENTIALS = "a named endpoint gets few wrong credentials"
NOBODY_SAYS = "what a named endpoint does there nobody says"
ONE_JOB = "a named endpoint is asked for one job"

# Credentials

Fits = Callable[[Server, Request], bool]


def _trusting(operation: str, fits: Fits) -> Serve:
    """Return a server that takes some wrong credentials of an operation for right ones."""

    def serve(server: Server, request: Request) -> Answer:
        if request.operation == operation and not server.is_trusted(request) and fits(server, request):
            return server.ask(server.trusted(request))
        return server.ask(request)

    return serve


def _scheme(*names: str) -> Fits:
    return lambda _, request: request.headers.get("authorization", "").startswith(names)


def _dated(fits: Callable[[timedelta], bool]) -> Fits:
    """Fit requests that are signed right, but at another time; it is positive in the future."""

    def check(server: Server, request: Request) -> bool:
        date = parse_http_date(request.headers.get("ocp-date", ""))
        return date is not None and fits(date - datetime.now(UTC)) and server.is_trusted(request, date)

    return check


def _without_a_date(server: Server, request: Request) -> bool:
    return "ocp-date" not in request.headers and "authorization" in request.headers


def _with_no_date(server: Server, request: Request) -> bool:
    """Fit requests whose date can't be read."""
    text = request.headers.get("ocp-date")
    return text is not None and parse_http_date(text) is None and "authorization" in request.headers


_ALTERED = {"altered-signature"}


def _in_another_name(server: Server, request: Request) -> bool:
    """Fit requests that are signed right, but in the name of another account."""
    account, _, signature = request.headers.get("authorization", "").rpartition(" ")[2].partition(":")
    text = string_to_sign(request.method, request.target, request.headers, account)
    other = account != server.key.account
    return other and server.key.sign(text).rpartition(":")[2] == signature


def _signed_for(*targets: Callable[[Request], Request]) -> Fits:
    """Fit requests whose signature is right for another path or query."""
    return lambda server, request: any(server.is_trusted(target(request)) for target in targets)


def _bare(request: Request) -> Request:
    return request.asking([part for part in request.parts if part[0].lower() == "api-version"])


def _paths(request: Request) -> Iterator[Request]:
    for job in ("another-job", "nightly-render", "NIGHTLY-RENDER", "empty", "nightly:job-1"):
        yield request.of_job(job)


def _form(accepts: Callable[[str, str, str], bool]) -> Fits:
    """Fit requests by the Authorization that is given, the account, and the signature that would be right."""

    def fits(server: Server, request: Request) -> bool:
        account = server.key.account
        text = string_to_sign(request.method, request.target, request.headers, account)
        right = server.key.sign(text).rpartition(":")[2]
        given = request.headers.get("authorization", "")
        # A right one that isn't trusted has a wrong date.
        return given != f"SharedKey {account}:{right}" and accepts(given, account, right)

    return fits


def _signed_as_counts(request: Request) -> Request:
    return replace(_bare(request), path="/jobs/nightly-render/taskcounts")


# What is taken for a right credential, the checks that find it out, and the operations at which a named
# endpoint is asked with it.
_CREDENTIALS: Mapping[str, tuple[Fits, set[str], Collection[str]]] = {
    "no credential": (lambda _, request: "authorization" not in request.headers, {"no-credential"}, NAMES),
    "any credential": (
        lambda *_: True,
        {"no-credential", "wrong-signature", "stale-date", "wrong-token"},
        NAMES,
    ),
    "any shared key": (_scheme("SharedKey "), {"wrong-signature", "stale-date"}, NAMES),
    "any token": (_scheme("Bearer "), {"wrong-token"}, NAMES),
    "another scheme": (_scheme("Basic "), {"malformed-credential"}, {JOB}),
    "any word": (
        lambda _, request: request.headers.get("authorization", " ").isalpha(),
        {"malformed-credential"},
        {COUNTS, TASKS},
    ),
    "no signature": (_form(lambda given, account, _: given == f"SharedKey {account}:"), _ALTERED, {COUNTS}),
    "a short signature": (
        _form(lambda given, account, _: given == f"SharedKey {account}:QUFB"),
        _ALTERED,
        {TASKS},
    ),
    "a signature in any case": (
        _form(lambda given, _, right: given.lower().endswith(f":{right.lower()}")),
        _ALTERED | {"other-account"},
        NAMES,
    ),
    "a signature by its beginning": (
        _form(lambda given, account, right: given.startswith(f"SharedKey {account}:{right[:8]}")),
        _ALTERED,
        {JOBS},
    ),
    "a right signature in any scheme": (
        _form(lambda given, account, right: given.endswith(f" {account}:{right}")),
        _ALTERED,
        {COUNTS, TASKS},
    ),
    "a right signature without a scheme": (
        _form(lambda given, account, right: given == f"{account}:{right}"),
        _ALTERED,
        {JOB},
    ),
    "any account": (_in_another_name, {"other-account"}, NAMES),
    "any date": (_dated(lambda _: True), {"stale-date"}, NAMES),
    "any early date": (_dated(lambda early: early > timedelta()), {"early-date"}, NAMES),
    "a date 45 minutes ago": (_dated(lambda early: early > -timedelta(minutes=45)), {"stale-date"}, NAMES),
    "no date": (_without_a_date, {"no-date"}, NAMES),
    "a date that is none": (_with_no_date, {"no-date"}, NAMES),
    "another query": (_signed_for(_bare), {"signed-query"}, NAMES),
    "another path": (
        lambda server, request: any(map(server.is_trusted, _paths(request))),
        {"signed-path"},
        NAMES,
    ),
    "a signature of the counts": (_signed_for(_signed_as_counts), {"signed-once"}, {TASKS}),
}


def _credentials() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        for what, (fits, caught_by, seen) in _CREDENTIALS.items():
            # The list of jobs is always at the same path, and the counts have a right to their signature.
            if (operation, what) in ((JOBS, "another path"), (COUNTS, "a signature of the counts")):
                continue
            yield Mutant(
                "credentials: taken",
                f"{name}: {what}",
                frozenset(caught_by),
                _trusting(operation, fits),
                "" if operation in seen else FEW_CREDENTIALS,
            )
        for minutes in (-1, 1):

            def serve(server: Server, request: Request, o: str = operation, sign: int = minutes) -> Answer:
                date = parse_http_date(request.headers.get("ocp-date", ""))
                if (
                    request.operation == o
                    and date
                    and sign * (date - datetime.now(UTC)) > timedelta(minutes=5)
                ):
                    wrong = format_datetime(datetime.now(UTC) + sign * timedelta(hours=1), usegmt=True)
                    return server.ask(replace(request, headers={**request.headers, "ocp-date": wrong}))
                return server.ask(request)

            yield Mutant(
                "credentials: refused",
                f"{name}: a date 14 minutes {'early' if minutes > 0 else 'ago'}",
                frozenset({"early-date" if minutes > 0 else "stale-date"}),
                serve,
            )


# Strangers


def _told(status: int, operation: str, body: object, code: int = 200, *, unknown: bool = False) -> Serve:
    """Return a server that answers strangers with something."""

    def serve(server: Server, request: Request) -> Answer:
        answer = server.ask(request)
        if (
            answer.status == status
            and request.operation == operation
            and not (unknown and _exists(server, request))
        ):
            answer.status, answer.json = code, body
        return answer

    return serve


def _exists(server: Server, request: Request) -> bool:
    return server.ask(server.trusted(request)).status != 404


_ZEROS = dict.fromkeys(("active", "running", "completed", "succeeded", "failed"), 0)
_NOTHING = {
    COUNTS: {"taskCounts": _ZEROS, "taskSlotCounts": _ZEROS},
    TASKS: {"value": []},
    JOB: {"id": "nightly-render", "state": "active"},
    JOBS: {"value": []},
}
_NOT_FOUND = {"code": "JobNotFound", "message": {"lang": "en-US", "value": "There is no such job."}}


def _strangers() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        for status, caught_by in (
            (401, {"no-credential", "wrong-token"}),
            (403, {"wrong-signature", "stale-date"}),
        ):
            yield Mutant(
                "strangers",
                f"{name}: nothing, for a {status}",
                frozenset(caught_by),
                _told(status, operation, _NOTHING[operation]),
            )
        if operation != JOBS:
            yield Mutant(
                "strangers",
                f"{name}: which jobs there are",
                frozenset({"no-credential"}),
                _told(401, operation, _NOT_FOUND, 404, unknown=True),
            )
            yield Mutant(
                "jobs: unknown",
                f"{name}: nothing in place of not found",
                frozenset({"unknown-job"}),
                _told(404, operation, _NOTHING[operation]),
            )


# Parameters: what stands in place of a value that should be refused, or of one that shouldn't.

Values = Callable[[str], bool]


def _any_of(pattern: str) -> Values:
    return lambda text: re.fullmatch(pattern, text) is not None


# Values that are wrong, by parameter.
_WRONG: Mapping[str, Mapping[str, tuple[Values, set[str]]]] = {
    "timeout": {
        "zero": (_any_of("0"), {"service-timeout"}),
        "negative": (_any_of("-[0-9]+"), {"service-timeout"}),
        "a word": (_any_of("[a-z]+"), {"service-timeout"}),
        "a fraction": (_any_of("[0-9]+[.][0-9]+"), {"service-timeout"}),
        "beyond int32": (_any_of("[0-9]{10,}"), {"service-timeout"}),
        "with a sign": (_any_of("[+][0-9]+"), {"service-timeout"}),
        "with an underscore": (_any_of("[0-9]+_[0-9]+"), {"service-timeout"}),
        "with a space": (_any_of(" [0-9]+"), {"service-timeout"}),
        "anything": (lambda _: True, {"service-timeout"}),
    },
    "maxresults": {
        "zero": (_any_of("0"), {"page-sizes"}),
        "negative": (_any_of("-[0-9]+"), {"page-sizes"}),
        "1,001": (_any_of("1001"), {"page-sizes"}),
        "beyond int32": (_any_of("[0-9]{5,}"), {"page-sizes"}),
        "a word": (_any_of("[a-z]+"), {"page-sizes"}),
        "a fraction": (_any_of("[0-9]+[.][0-9]+"), {"page-sizes"}),
    },
    "$filter": {
        "a word": (_any_of("nonsense|state"), {"bad-filters"}),
        "an unknown property": (_any_of("nonsense eq .*"), {"bad-filters"}),
        "a property in another case": (_any_of("State eq .*"), {"bad-filters"}),
        "an unknown state": (_any_of("state eq 'sleeping'"), {"bad-filters"}),
        "without quotes": (_any_of("state eq active"), {"bad-filters"}),
        "with one quote": (_any_of("state eq 'active"), {"bad-filters"}),
        "an unknown operator": (_any_of("state = .*"), {"bad-filters"}),
        "half of an and": (_any_of(".* and"), {"bad-filters"}),
        "null": (_any_of("null"), {"query", "negative_data_rejection"}),
    },
    "$select": {
        "an unknown member": (_any_of(".*nonsense.*"), {"bad-selections"}),
        "a member in another case": (_any_of(".*State"), {"bad-selections"}),
        "true": (_any_of("true"), {"query", "negative_data_rejection"}),
    },
}
# Values that are right.
_RIGHT: Mapping[str, Mapping[str, tuple[Values, set[str]]]] = {
    "timeout": {
        "1": (_any_of("1"), {"service-timeout"}),
        "30": (_any_of("30"), {"service-timeout"}),
        "31 and more": (_any_of("31|[0-9]{3,}"), {"service-timeout"}),
    },
    "maxresults": {
        "1": (_any_of("1"), {"page-sizes", "query-names"}),
        "999": (_any_of("999"), {"page-sizes"}),
        "1,000": (_any_of("1000"), {"page-sizes"}),
    },
}
_RIGHT_FILTERS: Mapping[str, Mapping[str, Values]] = {
    TASKS: {
        "or": lambda text: " or " in text,
        "and": lambda text: " and " in text,
        "ne": lambda text: " ne " in text,
        "results": lambda text: "result" in text,
        "any": lambda _: True,
    },
    JOBS: {
        "ne": lambda text: " ne " in text,
        "states": lambda text: text.startswith("state"),
        "startswith": lambda text: text.startswith("startswith"),
        "any": lambda _: True,
    },
}


def _drop_if(fits: Values) -> Callable[[str], str | None]:
    return lambda text: None if fits(text) else text


def _spoil_if(fits: Values, wrong: str) -> Callable[[str], str | None]:
    return lambda text: wrong if fits(text) else text


def _parameters() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        described = {parameter.lower() for parameter in contract.OPERATIONS[operation].parameters}
        for parameter, values in _WRONG.items():
            for what, (fits, caught_by) in values.items() if parameter in described else ():
                yield Mutant(
                    f"parameters: {parameter} taken",
                    f"{name}: {what}",
                    frozenset(caught_by | {"query", "keywords"}),
                    reread(operation, parameter, _drop_if(fits)),
                )
        for parameter, values in _RIGHT.items():
            for what, (fits, caught_by) in values.items() if parameter in described else ():
                yield Mutant(
                    f"parameters: {parameter} refused",
                    f"{name}: {what}",
                    frozenset(caught_by | {"positive_data_acceptance", "keywords"}),
                    reread(operation, parameter, _spoil_if(fits, "0")),
                )
        agree = TASKS_AGREE | {"task-filters"} if operation == TASKS else JOBS_AGREE
        for what, fits in _RIGHT_FILTERS.get(operation, {}).items():
            yield Mutant(
                "parameters: $filter refused",
                f"{name}: {what}",
                agree | {"positive_data_acceptance"},
                reread(operation, "$filter", _spoil_if(fits, "nonsense")),
            )
        if "$select" in described:
            yield Mutant(
                "parameters: $select refused",
                f"{name}: any",
                agree | {"selection", "positive_data_acceptance"},
                reread(operation, "$select", _spoil_if(lambda _: True, "nonsense")),
            )


def _version(change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]) -> Serve:
    return lambda server, request: server.ask_instead(request, request.asking(change(request.parts)))


_RIGHT_VERSION = ("api-version", contract.API_VERSION)


def _assume(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Need no api-version."""
    return parts if any(name.lower() == "api-version" for name, _ in parts) else [*parts, _RIGHT_VERSION]


def _fill(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Take a blank api-version for the current one."""
    return [
        _RIGHT_VERSION if name.lower() == "api-version" and not text else (name, text) for name, text in parts
    ]


def _any_version(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Take any text for an api-version."""
    return [
        _RIGHT_VERSION
        if name.lower() == "api-version" and text not in ("", *contract.VERSIONS)
        else (name, text)
        for name, text in parts
    ]


def _last_of_two(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Take the last of a parameter that stands twice."""
    return list({name.lower(): (name, text) for name, text in parts}.values())


def _first_of_two(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Take the first of a parameter that stands twice."""
    return list({name.lower(): (name, text) for name, text in reversed(parts)}.values())


def _one_case(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Know parameters in lower case alone."""
    return [(name, text) for name, text in parts if name == name.lower()]


_QUERIES: Mapping[str, tuple[Callable[[list[tuple[str, str]]], list[tuple[str, str]]], set[str], str]] = {
    "no api-version": (_assume, {"version-required"}, ""),
    "a blank api-version": (_fill, {"version-required"}, ""),
    "any api-version": (_any_version, {"negative_data_rejection", "query"}, ""),
    "the last of two": (_last_of_two, {"repeated-query"}, NOBODY_SAYS),
    "the first of two": (_first_of_two, {"repeated-query"}, NOBODY_SAYS),
    "names in one case": (_one_case, {"query-names"}, ""),
}


def _headers(change: Callable[[dict[str, str]], object]) -> Serve:
    """Return a server that reads other headers; none of them is signed."""

    def serve(server: Server, request: Request) -> Answer:
        headers = dict(request.headers)
        change(headers)
        return server.ask(replace(request, headers=headers))

    return serve


def _reread_header(name: str, pattern: str, new: str | None) -> Serve:
    """Return a server that takes some values of a header for another one, or passes over them."""

    def change(headers: dict[str, str]) -> None:
        if re.fullmatch(pattern, headers.get(name, "")):
            del headers[name]
            headers.update({} if new is None else {name: new})

    return _headers(change)


_FLAG, _OWN = "return-client-request-id", "client-request-id"
_HEADERS: Mapping[str, tuple[Serve, set[str], str]] = {
    "1 for true": (_reread_header(_FLAG, "1", "true"), {"bad-headers"}, ""),
    "yes for true": (_reread_header(_FLAG, "yes", "true"), {"bad-headers"}, ""),
    "any flag": (
        _reread_header(_FLAG, "(?!(?i:true|false)$).+", None),
        {"bad-headers", "negative_data_rejection"},
        "",
    ),
    "a wrong id": (_reread_header(_OWN, "[{].*[}]|.{129,}", None), {"bad-headers", "echo"}, ""),
    "no True": (_reread_header(_FLAG, "True", "1"), {"own-id"}, ""),
    "no false": (_reread_header(_FLAG, "false", "0"), {"own-id"}, ""),
    "no id in upper case": (_reread_header(_OWN, "[0-9A-F-]{36}", "x" * 129), {"own-id"}, ""),
}


def _of(operation: str, serve: Serve) -> Serve:
    return lambda server, request: (
        serve(server, request) if request.operation == operation else server.ask(request)
    )


def _queries_and_headers() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        for what, (change, caught_by, unseen) in _QUERIES.items():
            yield Mutant(
                "parameters: query",
                f"{name}: {what}",
                frozenset(caught_by),
                _of(operation, _version(change)),
                unseen,
            )
        for what, (serve, caught_by, unseen) in _HEADERS.items():
            yield Mutant(
                "parameters: headers", f"{name}: {what}", frozenset(caught_by), _of(operation, serve), unseen
            )


# Jobs and verbs


def _other_job(fits: Callable[[str], bool], job: Callable[[str], str]) -> Serve:
    """Return a server that takes some jobs for others."""

    def serve(server: Server, request: Request) -> Answer:
        if request.job and fits(request.job):
            return server.ask_instead(request, request.of_job(job(request.job)))
        return server.ask(request)

    return serve


_TRUTH = {COUNTS: {"true-counts", "counts-agree", "reference"}, TASKS: {"reference"}, JOB: {"unknown-job"}}


def _jobs() -> Iterator[Mutant]:
    one_case = _other_job(lambda job: job.startswith("NIGHTLY"), lambda _: "none")
    no_schedules = _other_job(lambda job: job.startswith("nightly:"), lambda _: "none")
    by_beginning = _other_job(lambda job: job == "nightly:job-12", lambda _: "nightly:job-1")
    any_schedule = _other_job(lambda job: ":" in job, lambda _: "nightly:job-1")
    for operation, name in NAMES.items():
        if operation == JOBS:
            continue
        yield Mutant("jobs: ids", f"{name}: in one case", frozenset({"job-case"}), _of(operation, one_case))
        yield Mutant(
            "jobs: ids",
            f"{name}: any schedule",
            frozenset({"unknown-job"}),
            _of(operation, any_schedule),
        )
        if operation != JOB:
            yield Mutant(
                "jobs: ids",
                f"{name}: none of schedules",
                frozenset(_TRUTH[operation]),
                _of(operation, no_schedules),
                ONE_JOB,
            )
            yield Mutant(
                "jobs: ids",
                f"{name}: by their beginning",
                frozenset(_TRUTH[operation]),
                _of(operation, by_beginning),
                ONE_JOB,
            )


def _verbs() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
            if operation in (JOB, *LISTS) and method in ("POST", "PUT", "DELETE"):
                # The service itself has some of these.
                continue

            def serve(server: Server, request: Request, o: str = operation, method: str = method) -> Answer:
                if request.operation == o and request.method == method:
                    return server.ask_instead(request, replace(request, method="GET"))
                return server.ask(request)

            yield Mutant("verbs", f"{name}: {method} as GET", frozenset({"other-verbs"}), serve, GETS_ONLY)


def mutants() -> Iterator[Mutant]:
    """Yield the mutants of requests."""
    for family in (_credentials, _strangers, _parameters, _queries_and_headers, _jobs, _verbs):
        yield from family()
