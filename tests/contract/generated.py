"""Requests that schemathesis makes from the fragment, right and wrong ones, and its checks of the answers."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st

from contract.keywords import fragment
from contract.probes import OTHER_VERBS
from contract.schemathesis_internals import make_cases
from contract.target import Answered
from taskcounts_rest import contract

# Its checks that judge one answer. Left out are those that send requests of their own
# (without credentials, for one: `probes` does that, a few times and not at every case).
CHECKS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)

_RFC1123 = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"\d\d:\d\d:\d\d GMT"
)

# Who is asking isn't the question here; and a body, or its announcement, is no part of a GET. The others are
# of schemathesis itself, the last one by chance, whatever the seed.
_NOT_SENT = (
    "authorization",
    "content-length",
    "connection",
    "accept",
    "accept-encoding",
    "user-agent",
    "x-schemathesis-testcaseid",
)

# Whether a filter or selection of nothing is one, nobody says.
_BLANK = re.compile(r"[?&]%24(filter|select)=(&|$)")


@dataclass(frozen=True)
class Generated:
    """A request that schemathesis made."""

    case: schemathesis.Case[Any]
    operation: str
    method: str
    target: str
    headers: dict[str, str]

    @property
    def positive(self) -> bool:
        """True if the fragment allows the request."""
        meta = self.case.meta
        return meta is not None and meta.generation.mode is schemathesis.GenerationMode.POSITIVE


def load(api_version: str, job: str) -> Any:
    """Return the fragment as schemathesis sees it, with a job that exists as the example of a job id."""
    # schemathesis doesn't know this format; headers of it would go out empty.
    schemathesis.openapi.format("date-time-rfc1123", st.builds(lambda: "Thu, 01 Aug 2024 12:34:56 GMT"))
    checks = {"enabled": False, **{name: {"enabled": True} for name in CHECKS}}
    described = copy.deepcopy(fragment(api_version))
    described["components"]["parameters"]["jobId"]["example"] = job
    return schemathesis.openapi.from_dict(described, config=schemathesis.Config.from_dict({"checks": checks}))


@cache
def generate(api_version: str, job: str, seed: int, examples: int) -> tuple[Generated, ...]:
    """Return the requests for every operation, the same ones for the same seed.

    They come from all of schemathesis's phases: examples, coverage of boundaries, fuzzing.
    """
    # A schema remembers which verbs were tried, so that each time takes a new one.
    schema = load(api_version, job)
    made = (
        _generated(case, name)
        for name, operation in contract.VERSIONS[api_version].items()
        for case in make_cases(schema[operation.path][operation.method], seed, examples)
    )
    # What the service does there, the fragment leaves out, and a check has no business doing.
    return tuple(
        request
        for request in made
        if request.method not in OTHER_VERBS.get(request.operation, ()) and not _BLANK.search(request.target)
    )


def _generated(case: schemathesis.Case[Any], operation: str) -> Generated:
    parts = case.as_transport_kwargs("http://endpoint")
    prepared = requests.Request(
        parts["method"], parts["url"], params=parts.get("params"), headers=parts.get("headers")
    ).prepare()
    assert prepared.url is not None
    # Servers read a plus sign as itself or as a space; this is a space to all of them.
    path, mark, query = prepared.url.removeprefix("http://endpoint").partition("?")
    headers = {str(name).lower(): str(value) for name, value in prepared.headers.items()}
    for name in _NOT_SENT:
        headers.pop(name, None)
    return Generated(case, operation, parts["method"], path + mark + query.replace("+", "%20"), headers)


def sendable_headers(generated: Generated) -> dict[str, str]:
    """Return the headers of a request; a right date becomes the current one, which alone is accepted."""
    headers = dict(generated.headers)
    if _RFC1123.fullmatch(headers.get("ocp-date", "")):
        headers["ocp-date"] = format_datetime(datetime.now(UTC), usegmt=True)
    return headers


def judge(generated: Generated, answered: Answered) -> Iterator[tuple[str, str | None]]:
    """Yield each of schemathesis's checks by name, with what is wrong with the answer, or None."""
    with suppress(schemathesis.errors.FailureGroup):
        generated.case.validate_response(answered.response)
    for result in _results:
        # That check takes the verbs that the fragment leaves out for ones that there aren't.
        if result.name != "allow_header_conformance" or generated.operation not in OTHER_VERBS:
            yield result.name, _text(result.failure) if result.failure else None


_results: list[schemathesis.CheckResult] = []


@schemathesis.hook
def after_validate(
    context: schemathesis.HookContext,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
    results: list[schemathesis.CheckResult],
) -> None:
    """Note what each check says of an answer: `validate_response` itself tells of failures alone."""
    _results[:] = results


def _text(failure: Any) -> str:
    return " ".join(f"{failure.title}: {failure.message}".split())[:300]
