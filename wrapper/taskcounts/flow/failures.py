"""The errors that outcomes amount to, and whether another attempt can mend them; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from taskcounts.errors import (
    AuthenticationFailed,
    ContractViolation,
    CredentialFailed,
    DeadlineExceeded,
    JobNotFound,
    ServiceBusy,
    ServiceError,
    ServiceUnreachable,
    TaskCountsError,
)
from taskcounts.protocol.answers import read_error
from taskcounts.protocol.messages import Answer, Call, Failure
from taskcounts.protocol.redact import Secrets, redact, redacted_body
from taskcounts.protocol.schema import Violation
from taskcounts.retry import RETRYABLE_STATUSES, parse_http_date, retry_after_seconds
from taskcounts.text import one_line
from taskcounts.tokens import NoToken
from taskcounts_rest import contract

# Seconds by which clocks that nobody sets may differ. The service refuses a date that is 15 minutes off.
MAX_SKEW = 300.0

# The Base64 of an HMAC-SHA256, as it is or in a URL.
_SIGNATURE = re.compile(r"(?:[A-Za-z0-9+/]|%2[BbFf]){43}(?:=|%3[Dd])")


def nothing_sent(call: Call) -> ServiceUnreachable:
    """Return the error of a call whose deadline passed before its first request."""
    return ServiceUnreachable(_text(call, "no time was left to send the request", 0), **_facts(call, 0))


def credential_failed(call: Call, attempts: int, outcome: NoToken, claims: str | None) -> TaskCountsError:
    """Return the error of a call whose credential gave no token, with the credential's own as its cause."""
    kind = DeadlineExceeded if outcome.timed_out else CredentialFailed
    asked = "" if claims is None else " with the claims that the service asks for"
    text = f"the credential gave no token{asked}: {outcome.reason}"
    error = kind(_text(call, text, attempts), **_facts(call, attempts))
    error.__cause__ = outcome.error
    return error


def no_answer(
    endpoint: str, call: Call, attempts: int, failure: Failure, secrets: Secrets
) -> ServiceUnreachable:
    """Return the error of an attempt without a whole answer, with the transport's own as its cause."""
    text = f"no answer from {endpoint}: {one_line(redact(failure.reason, secrets))}"
    error = ServiceUnreachable(_text(call, text, attempts), **_facts(call, attempts))
    error.__cause__ = failure.error
    return error


def contract_violation(
    call: Call, attempts: int, answer: Answer, violation: Violation, secrets: Secrets
) -> ContractViolation:
    """Return the error of an answer that isn't what the fragment describes."""
    request_id = answer.headers.get("request-id")
    text = f"the answer can't be trusted: {violation.path}: {violation.reason}"
    return ContractViolation(
        _text(call, text, attempts, request_id),
        path=violation.path,
        answer=redacted_body(answer.body, secrets)[:2000],
        status=answer.status,
        request_id=request_id,
        **_facts(call, attempts),
    )


def service_error(call: Call, attempts: int, answer: Answer, now: datetime) -> ServiceError:
    """Return the error that an answer with another status than 200 amounts to."""
    whole = answer.broken is None and not answer.oversize
    code, message, details = read_error(answer.headers, answer.body if whole else b"")
    kind: type[ServiceError] = ServiceError
    if answer.status in (401, 403):
        kind = AuthenticationFailed
        # The service shows the string that it signed, and may show the signature that it expected.
        message = message and _SIGNATURE.sub("<hidden>", message)
        details = tuple((key, _SIGNATURE.sub("<hidden>", value)) for key, value in details)
    elif answer.status == 404 and code == "JobNotFound":
        kind = JobNotFound
    elif answer.status in (429, 503):
        kind = ServiceBusy
    text = f"{answer.status} {code}" if code else f"{answer.status}"
    if message and message.strip():
        # The further lines repeat the request id and the time.
        text += f": {message.strip().splitlines()[0]}"
    elif answer.status == 407:
        text += ": the proxy requires valid credentials"
    elif 300 <= answer.status < 400 and answer.status != 304 and answer.headers.get("location"):
        # Whoever follows a redirect hands the signature or the token to its target.
        text += f": a redirect{_redirect_host(answer)}, which is not followed"
    elif not code:
        text += ": not in the service's error format; a proxy on the way may have answered"
    for reason in _refusal_reasons(call, code, details, answer, now):
        text = f"{text.rstrip('.')}; {reason}"
    request_id = answer.headers.get("request-id")
    return kind(
        _text(call, text, attempts, request_id),
        status=answer.status,
        code=code,
        message=message,
        details=details,
        request_id=request_id,
        retry_after=retry_after_seconds(answer.headers, now),
        **_facts(call, attempts),
    )


def refuses_version(code: str | None, details: Iterable[tuple[str, str]]) -> bool:
    """Return whether an error of the service, by its code and details, refuses the api-version."""
    named = ("queryparametername", "api-version")
    return code == "UnsupportedRequestVersion" or (
        code == "InvalidQueryParameterValue"
        and any((key.lower(), value.lower()) == named for key, value in details)
    )


def _refusal_reasons(
    call: Call, code: str | None, details: tuple[tuple[str, str], ...], answer: Answer, now: datetime
) -> Iterator[str]:
    """Yield the reasons of a refusal: the api-version, or of a credential the service's words and clock."""
    if refuses_version(code, details):
        yield (
            f"the service refuses api-version {call.api_version}; "
            f"this client speaks {', '.join(contract.VERSIONS)}: "
            "choose by api_version= or --api-version, or by AZURE_BATCH_API_VERSION, "
            "which from_environment() and the command line read"
        )
    if answer.status not in (401, 403):
        return
    for key, value in details:
        if key == "AuthenticationErrorDetail":
            yield one_line(value, 600)
    date = parse_http_date(answer.headers.get("date", ""))
    ahead = 0.0 if date is None else (now - date).total_seconds()
    if abs(ahead) > MAX_SKEW:
        side = "ahead of" if ahead > 0 else "behind"
        yield f"this machine's clock is {abs(ahead) / 60:,.0f} minutes {side} the service's"


def _redirect_host(answer: Answer) -> str:
    """Return the host of a redirect's target, for a message: the path and query may hold secrets."""
    try:
        host = urlsplit(answer.headers.get("location", "")).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return f" to {host}" if host else ""


def is_retryable(error: TaskCountsError, outcome: Answer | Failure) -> bool:
    """Return whether another attempt may succeed. Any may be made: a GET changes nothing."""
    if isinstance(error, ServiceError):
        return error.status in RETRYABLE_STATUSES
    broken = outcome.broken if isinstance(outcome, Answer) else outcome
    return broken is not None and not broken.permanent


def deadline_passed(
    error: TaskCountsError, call: Call, pause: float | None, left: float = 0.0
) -> TaskCountsError:
    """Return the error of a call that its deadline ends.

    An answer of the service says more than a deadline that has passed: its error stays, and gets the reason.

    Args:
        error: The error of the last attempt.
        call: The call.
        pause: Seconds that the next attempt would have had to wait, None if it needn't have.
        left: Seconds up to the deadline.
    """
    why = f"the deadline of {format_seconds(call.deadline)} has passed"
    if pause is not None and left > 0:
        retry_after = error.retry_after if isinstance(error, ServiceError) else None
        is_asked_for = retry_after is not None and retry_after >= pause
        wanted = "the service asks to wait" if is_asked_for else "the next attempt would wait"
        why = f"{wanted} {format_seconds(pause)}, the deadline leaves {format_seconds(left)}"
    text = f"{error.args[0]}; gave up: {why}"
    if isinstance(error, ServiceUnreachable):
        late = DeadlineExceeded(text, **vars(error))
        late.__cause__ = error.__cause__
        return late
    error.args = (text,)
    return error


def summary(error: TaskCountsError) -> str:
    """Return an error in a few words, for the log."""
    if isinstance(error, ServiceError):
        return f"{error.status} {error.code or ''}".strip()
    return type(error).__name__ if error.__cause__ is None else str(error.__cause__) or "no answer"


def subject(call: Call) -> str:
    """Return what a call is about, for messages."""
    return f"job {call.job_id!r}" if call.job_id else "the list of jobs"


def format_seconds(seconds: float) -> str:
    """Return a time as text, to a tenth of a second."""
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def _facts(call: Call, attempts: int) -> dict[str, Any]:
    return {
        "job_id": call.job_id,
        "attempts": attempts,
        "client_request_id": call.client_request_id,
        "api_version": call.api_version,
    }


def _text(call: Call, text: str, attempts: int, request_id: str | None = None) -> str:
    facts = f"{attempts} attempt{'' if attempts == 1 else 's'}"
    if request_id:
        facts += f", request id {request_id}"
    return f"{subject(call)}: {text} ({facts})"
