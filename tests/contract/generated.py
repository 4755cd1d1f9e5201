"""Requests that schemathesis makes from the fragment, right and wrong ones, and its checks of the answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import strategies as st
from ruamel.yaml import YAML
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation.hypothesis.builder import (
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.specs.openapi import checks

from contract.probes import OTHER_VERBS
from contract.target import Answered
from taskcounts_rest import contract

FRAGMENT = Path(__file__).parents[2] / "spec" / "taskcounts.openapi.yaml"

# Its checks that judge one answer. Left out are those that send requests of their own
# (without credentials, for one: `probes` does that, a few times and not at every case).
CHECKS: dict[str, Callable[..., Any]] = {
    check.__name__: check
    for check in (
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
        checks.negative_data_rejection,
        checks.positive_data_acceptance,
        checks.missing_required_header,
        checks.unsupported_method,
        checks.allow_header_conformance,
    )
}

_RFC1123 = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"\d\d:\d\d:\d\d GMT"
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


def load(job: str) -> Any:
    """Return the fragment as schemathesis sees it, with a job that exists as the example of a job id."""
    # schemathesis doesn't know this format; headers of it would go out empty.
    schemathesis.openapi.format("date-time-rfc1123", st.builds(lambda: "Thu, 01 Aug 2024 12:34:56 GMT"))
    fragment = YAML(typ="safe").load(FRAGMENT)
    fragment["components"]["parameters"]["jobId"]["example"] = job
    return schemathesis.openapi.from_dict(fragment)


@cache
def generate(job: str, examples: int) -> tuple[Generated, ...]:
    """Return the requests for every operation.

    They come from all of schemathesis's phases: examples, coverage of boundaries, fuzzing.
    """
    # A schema remembers which verbs were tried, so that each time takes a new one.
    schema = load(job)
    return tuple(
        request
        for name, operation in contract.OPERATIONS.items()
        for request in _requests(schema, name, operation, examples)
        # What the service does there, the fragment leaves out, and a check has no business doing.
        if request.method not in OTHER_VERBS.get(name, ()) and not _BLANK.search(request.target)
    )


def _requests(schema: Any, name: str, operation: contract.Operation, examples: int) -> list[Generated]:
    found: list[Generated] = []
    test = create_test(
        operation=schema[operation.path][operation.method],
        test_func=lambda case: found.append(_generated(case, name)),
        config=HypothesisTestConfig(
            project=schema.config,
            modes=list(HypothesisTestMode),
            settings=hypothesis.settings(
                max_examples=examples,
                database=None,
                derandomize=True,
                deadline=None,
                phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            ),
        ),
    )
    test()
    return found


def _generated(case: schemathesis.Case[Any], operation: str) -> Generated:
    parts = case.as_transport_kwargs("http://endpoint")
    prepared = requests.Request(
        parts["method"], parts["url"], params=parts.get("params"), headers=parts.get("headers")
    ).prepare()
    assert prepared.url is not None
    # Servers read a plus sign as itself or as a space; this is a space to all of them.
    path, mark, query = prepared.url.removeprefix("http://endpoint").partition("?")
    headers = {str(name).lower(): str(value) for name, value in prepared.headers.items()}
    # Who is asking isn't the question here; and a body, or its announcement, is no part of a GET.
    for name in ("authorization", "content-length", "connection", "accept-encoding"):
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
    # Once for all checks: it takes longer than most of them.
    response = schemathesis.Response.from_any(answered.response)
    for name, check in CHECKS.items():
        if check is checks.allow_header_conformance and generated.operation in OTHER_VERBS:
            # It takes the verbs that the fragment leaves out for ones that there aren't.
            continue
        try:
            generated.case.validate_response(response, checks=[check])
        except FailureGroup as group:
            yield name, "; ".join(_text(failure) for failure in group.exceptions)
        except Failure as failure:
            yield name, _text(failure)
        else:
            yield name, None


def _text(failure: BaseException) -> str:
    title, message = getattr(failure, "title", type(failure).__name__), getattr(failure, "message", "")
    return " ".join(f"{title}: {message}".split())[:300]
