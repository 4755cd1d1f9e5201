"""The one flow from a call to its value or error, for sync and async alike.

`exchange` is a generator: it yields the next step (wait for the limiter, fetch a token, send, pause), is sent
the outcome of that step, and returns the value that the operation makes of the answer. It does no I/O, never
sleeps, and reads the clock only through `Settings`. `drive` runs it; `failures` has its errors.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from attrs import evolve

from taskcounts._version import __version__
from taskcounts.credentials import BearerToken, SharedKey
from taskcounts.errors import AuthenticationFailed, ServiceError, TaskCountsError
from taskcounts.flow import failures
from taskcounts.flow.steps import (
    Acquire,
    Flow,
    Limiter,
    NoPermit,
    Outcome,
    Pause,
    Send,
    Settings,
    Step,
)
from taskcounts.protocol import answers
from taskcounts.protocol.messages import (
    Answer,
    Call,
    CheckedAnswer,
    Failure,
    Operation,
    Request,
    RequestParts,
)
from taskcounts.protocol.redact import Secrets, redact_answer, redact_error, redact_value, secrets_of
from taskcounts.protocol.requests import format_http_date, request_template
from taskcounts.protocol.schema import Violation
from taskcounts.retry import LONGEST
from taskcounts.semaphore import Permit
from taskcounts.text import one_line
from taskcounts.tokens import FetchToken, NoToken

if TYPE_CHECKING:
    import logging

T = TypeVar("T")

# The levels of the module logging.
DEBUG, INFO = 10, 20

USER_AGENT = f"taskcounts/{__version__}"


class RetryPlan(NamedTuple):
    """The decision on a failed attempt.

    Attributes:
        retryable: Whether another attempt may succeed.
        pause: Seconds to pause before it; None if the policy allows no other attempt.
        cooldown: Seconds for which the client's other calls hold off, too: Retry-After, else the next pause.
    """

    retryable: bool
    pause: float | None
    cooldown: float


def exchange(
    settings: Settings, operation: Operation[T], call: Call, permit: Permit | None = None
) -> Flow[T]:
    """Send requests until there is a value to return or an error to raise.

    If the settings have a limiter, each attempt acquires a permit, and releases it before any pause.

    Args:
        settings: The client's settings.
        operation: The operation to call.
        call: The job, the limits of time and the client request id.
        permit: A permit that the caller has acquired already, for the first attempt.
    """
    clock, limiter = settings.clock, settings.limiter
    ends = clock.monotonic() + call.deadline
    attempt = 0
    error: TaskCountsError | None = None
    claims: str | None = None
    secrets: Secrets = ()
    while True:
        attempt += 1
        if limiter is not None and permit is None:
            permit = yield from _acquire(settings, limiter, call, error, ends)
        status, cooldown = None, 0.0
        try:
            # The date and the authorization are those of this attempt: the service refuses old ones.
            request = _new_request(settings, operation.parts, call, claims)
            if "authorization" not in request.headers:
                yield from _fetch_token(settings, call, request, claims, attempt=attempt, ends=ends)
            now = clock.monotonic()
            if now >= ends:
                # A pause or a credential took longer than it should have.
                raise failures.deadline_passed(error or failures.nothing_sent(call), call, None)
            outcome = yield Send(request, min(now + call.timeout, ends), operation.limit)
            secrets = secrets_of(request, secrets)
            assert isinstance(outcome, (Answer, Failure))  # noqa: S101 - drivers answer Send with these alone.
            status = outcome.status if isinstance(outcome, Answer) else None
            result = _value_or_error(
                settings, operation, call, attempt=attempt, outcome=outcome, secrets=secrets
            )
            if not isinstance(result, TaskCountsError):
                _log(call, attempt, None, None)
                return result
            error = result
            if (wanted := _wanted_claims(settings, request, error, outcome)) is not None and claims is None:
                # The answer to a challenge is no retry: it has no pause, and the policy doesn't count it.
                claims = wanted
                _log(call, attempt, error, 0.0)
                continue
            retryable, pause, cooldown = _plan_retry(
                settings, attempt, error, outcome, challenged=claims is not None
            )
        finally:
            if limiter is not None and permit is not None:
                limiter.release(permit, status, cooldown)
                permit = None
        now = clock.monotonic()
        left = ends - now
        # Nobody waits for more than a year, and no clock can. Floats of different sizes round differently, so
        # this compares the very numbers that the clock will give.
        fits = pause is not None and pause < LONGEST and now + pause < ends
        _log(call, attempt, error, pause if fits else None)
        if not retryable or (pause is None and left > 0):
            # Another attempt is useless, or the policy allows none: the deadline is not the reason.
            raise error
        if pause is None or not fits:
            raise failures.deadline_passed(error, call, pause, left)
        yield Pause(pause)


def _acquire(
    settings: Settings, limiter: Limiter, call: Call, error: TaskCountsError | None, ends: float
) -> Generator[Step, Outcome, Permit]:
    """Return a permit for one attempt, or raise the last attempt's error if none is free in time."""
    outcome = yield Acquire(limiter, ends, is_retry=error is not None)
    if isinstance(outcome, NoPermit):
        left = ends - settings.clock.monotonic()
        raise failures.deadline_passed(
            error or failures.nothing_sent(call), call, outcome.cooldown or None, left
        )
    return cast(Permit, outcome)


def _plan_retry(
    settings: Settings, attempt: int, error: TaskCountsError, outcome: Answer | Failure, *, challenged: bool
) -> RetryPlan:
    """Plan what follows a failed attempt.

    Args:
        settings: The client's settings.
        attempt: The number of the attempt, from 1.
        error: Its error.
        outcome: Its outcome.
        challenged: Whether one attempt answered a challenge, so that the policy doesn't count it.
    """
    retryable = failures.is_retryable(error, outcome)
    retry_after = error.retry_after if isinstance(error, ServiceError) else None
    draw = settings.clock.draw() if retryable else 0.0
    pause = settings.retry.pause_after(attempt - challenged, retry_after, draw) if retryable else None
    if retry_after is not None and retry_after <= LONGEST:
        return RetryPlan(retryable, pause, retry_after)
    # A Retry-After of more than a year is a mistake, which must not silence a client for good.
    cooldown = evolve(settings.retry, max_attempts=attempt + 1).pause_after(attempt, None, draw)
    return RetryPlan(retryable, pause, cooldown or 0.0)


def _new_request(settings: Settings, parts: RequestParts, call: Call, claims: str | None) -> Request:
    """Return the request of a new attempt, dated now; without authorization if a token has to be fetched."""
    template = request_template(parts, call.service_timeout, call.api_version)
    now = settings.clock.now()
    path, date = template.path(call.job_id), format_http_date(now)
    request = Request(
        template.method,
        settings.endpoint + path + template.query,
        {
            "accept": "application/json",
            # Answers are small, and a decompression bomb can't be sent uncompressed.
            "accept-encoding": "identity",
            "user-agent": USER_AGENT,
            "client-request-id": call.client_request_id,
            "return-client-request-id": "true",
            "ocp-date": date,
        },
    )
    # No local variable holds the credential: the repr of a foreign class may show anything.
    if isinstance(settings.credential, SharedKey):
        text = template.string_to_sign(settings.credential.account, path, date)
        request.headers["authorization"] = settings.credential.sign(text)
    elif isinstance(settings.credential, BearerToken):
        request.headers["authorization"] = settings.credential.authorization()
    elif (token := settings.credential.known(now, claims)) is not None:
        request.headers["authorization"] = token.authorization()
    return request


def _fetch_token(
    settings: Settings, call: Call, request: Request, claims: str | None, *, attempt: int, ends: float
) -> Generator[Step, Outcome, None]:
    """Add the Authorization header, with a token that the credential fetches."""
    assert not isinstance(settings.credential, (SharedKey, BearerToken))  # noqa: S101 - they fetch nothing.
    outcome = yield FetchToken(settings.credential, settings.scope, claims, ends)
    if isinstance(outcome, NoToken):
        raise redact_error(failures.credential_failed(call, attempt - 1, outcome, claims), ())
    assert isinstance(outcome, BearerToken)  # noqa: S101 - drivers answer FetchToken with these alone.
    request.headers["authorization"] = outcome.authorization()


def _wanted_claims(
    settings: Settings, request: Request, error: TaskCountsError, outcome: Answer | Failure
) -> str | None:
    """Forget a refused token; return the claims that the service wants in another one, None without."""
    source = settings.credential
    if isinstance(source, SharedKey | BearerToken) or not isinstance(outcome, Answer):
        return None
    if not isinstance(error, AuthenticationFailed) or outcome.status != 401:
        return None
    source.forget(request)
    claims = answers.read_claims(outcome.headers.get("www-authenticate", ""))
    return claims if claims is not None and source.takes_claims() else None


def _value_or_error(
    settings: Settings,
    operation: Operation[T],
    call: Call,
    *,
    attempt: int,
    outcome: Answer | Failure,
    secrets: Secrets,
) -> T | TaskCountsError:
    """Return the value that an outcome gives, or the error that it amounts to."""
    if isinstance(outcome, Answer):
        # Some servers repeat parts of the request in their answer.
        outcome = redact_answer(outcome, secrets)
        if outcome.status == 200 and outcome.broken is not None:
            outcome = outcome.broken
    error: TaskCountsError
    if isinstance(outcome, Failure):
        error = failures.no_answer(settings.endpoint, call, attempt, outcome, secrets)
    else:
        try:
            _check_echo(call, outcome)
            if outcome.status == 200:
                return _value(settings, operation, call, attempt=attempt, answer=outcome, secrets=secrets)
            error = failures.service_error(call, attempt, outcome, settings.clock.now())
        except Violation as violation:
            error = failures.contract_violation(call, attempt, outcome, violation, secrets)
    return redact_error(error, secrets)


def _check_echo(call: Call, answer: Answer) -> None:
    """Raise Violation if an answer says that it belongs to another request.

    A cache or a mixed-up proxy may hand us the answer to somebody else's request.
    """
    echo, ours = answer.headers.get("client-request-id"), call.client_request_id
    # Two layers may write the header twice; its values are joined.
    if echo not in (None, ours) and any(each.strip().lower() != ours for each in str(echo).split(",")):
        raise Violation("$", "it answers another request: its client-request-id isn't ours")


def _value(
    settings: Settings, operation: Operation[T], call: Call, *, attempt: int, answer: Answer, secrets: Secrets
) -> T:
    """Return the value of a 200; raise Violation if it isn't what the fragment describes."""
    if answer.oversize:
        raise Violation("$", f"it is larger than {operation.limit:,} bytes")
    try:
        body = answers.read_result(answer.headers, answer.body, operation.check)
        if b"\\" in answer.body:
            # JSON escapes may have concealed a secret up to here.
            body = redact_value(body, secrets)
    except RecursionError:
        raise Violation("$", "it is nested too deeply") from None
    checked = CheckedAnswer(call, attempt, body, answer.headers, settings.clock.now(), settings.strict)
    return operation.build(checked)


@cache
def _logger() -> logging.Logger:
    import logging  # noqa: PLC0415 - takes 4 ms to load.

    return logging.getLogger("taskcounts")


def _log(call: Call, attempt: int, error: TaskCountsError | None, pause: float | None) -> None:
    """Write the one record of an attempt, cut to one line: a part of it comes from outside."""
    if "logging" not in sys.modules:
        # Nobody can listen yet: without the module, Python shows warnings at the most.
        return
    level = DEBUG if error is None else INFO
    if not _logger().isEnabledFor(level):
        return
    _logger().log(
        level,
        "%s, attempt %d: %s%s",
        failures.subject(call),
        attempt,
        "200" if error is None else one_line(failures.summary(error), 200),
        "" if pause is None else f"; next attempt in {failures.format_seconds(pause)}",
        extra={
            "api_version": call.api_version,
            "client_request_id": call.client_request_id,
            "pause": pause,
        },
    )
