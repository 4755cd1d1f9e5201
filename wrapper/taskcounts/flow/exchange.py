"""The one flow from a question to a value or an error, for sync and async alike.

`exchange` is a generator: it says what to do next (wait for leave, fetch a token, send, pause),
is sent what came of it, and returns what the operation makes of the answer. It does no I/O,
never sleeps, and reads the clock only through `Settings`. `drive` runs it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from attrs import evolve

from taskcounts._version import __version__
from taskcounts.credentials import BearerToken, SharedKey
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
from taskcounts.flow.steps import (
    Acquire,
    Exchange,
    FetchToken,
    Limiter,
    NoPermit,
    NoToken,
    Outcome,
    Pause,
    Send,
    Settings,
    Step,
)
from taskcounts.protocol import answers
from taskcounts.protocol.messages import Answer, Ask, Failure, Parts, Question, Reply, Request
from taskcounts.protocol.redact import Secrets, clean, hide, hide_in, hide_in_answer, secrets_of, shown
from taskcounts.protocol.requests import http_date, prepare
from taskcounts.retry import LONGEST, RETRYABLE_STATUSES, RetryPolicy, retry_after_seconds
from taskcounts.retry import http_date as parse_http_date
from taskcounts.semaphore import Permit
from taskcounts.text import one_line

if TYPE_CHECKING:
    import logging

T = TypeVar("T")

# As the module logging has them.
DEBUG, INFO = 10, 20

# Seconds by which two clocks differ that nobody sets right. The service refuses a date 15 minutes off.
MAX_SKEW = 300.0

# The Base64 of an HMAC-SHA256, as it is or in a URL.
_SIGNATURE = re.compile(r"(?:[A-Za-z0-9+/]|%2[BbFf]){43}(?:=|%3[Dd])")

USER_AGENT = f"taskcounts/{__version__}"


def exchange(
    settings: Settings, ask: Ask[T], question: Question, permit: Permit | None = None
) -> Exchange[T]:
    """Ask until there is a value to return or an error to raise.

    Where the settings have a limiter, each attempt acquires a permit, and releases it before any pause.
    ``permit`` is one that the caller has acquired already, for the first attempt.
    """
    clock, limiter = settings.clock, settings.limiter
    ends = clock.monotonic() + question.deadline
    attempt = 0
    failed: TaskCountsError | None = None
    claims: str | None = None
    secrets: Secrets = ()
    while True:
        attempt += 1
        if limiter is not None and permit is None:
            permit = yield from _acquire(settings, limiter, question, failed, ends)
        status, cooldown = None, 0.0
        try:
            # Date and authorization belong to this attempt alone: the service refuses old ones.
            request = stamp(settings, ask.parts, question, claims)
            if "authorization" not in request.headers:
                yield from _fetch_token(settings, question, request, claims, attempt=attempt, ends=ends)
            now = clock.monotonic()
            if now >= ends:
                # A pause or a credential took longer than it should have.
                raise _out_of_time(failed or _unsent(question), question, None)
            outcome = yield Send(request, min(now + question.timeout, ends), ask.limit)
            secrets = secrets_of(request, secrets)
            assert isinstance(outcome, (Answer, Failure))  # noqa: S101 - drivers answer Send with these alone.
            status = outcome.status if isinstance(outcome, Answer) else None
            judged = _judge(settings, ask, question, attempt=attempt, outcome=outcome, secrets=secrets)
            if not isinstance(judged, TaskCountsError):
                _log(question, attempt, None, None)
                return judged
            failed = judged
            if (wanted := _claims_wanted(settings, request, judged, outcome)) is not None and claims is None:
                # The answer to a challenge is no retry: it has no pause, and the policy doesn't count it.
                claims = wanted
                _log(question, attempt, judged, 0.0)
                continue
            again = _worth_asking_again(judged, outcome)
            wish = judged.retry_after if isinstance(judged, ServiceError) else None
            draw = clock.draw() if again else 0.0
            pause = settings.retry.pause_after(attempt - (claims is not None), wish, draw) if again else None
            # The others leave a busy service alone even where this exchange asks no more.
            cooldown = _cooldown(settings.retry, attempt, wish, draw)
        finally:
            if limiter is not None and permit is not None:
                limiter.release(permit, status, cooldown)
                permit = None
        now = clock.monotonic()
        left = ends - now
        # Nobody waits for more than a year, and no clock can. Floats of different sizes round differently:
        # what is compared here is what the clock will say.
        fits = pause is not None and pause < LONGEST and now + pause < ends
        _log(question, attempt, judged, pause if fits else None)
        if not again or (pause is None and left > 0):
            raise judged
        if pause is None or not fits:
            raise _out_of_time(judged, question, pause, left)
        yield Pause(pause)


def _acquire(
    settings: Settings, limiter: Limiter, question: Question, failed: TaskCountsError | None, ends: float
) -> Generator[Step, Outcome, Permit]:
    """Return a permit for one attempt, or raise what failed so far if there is none in time."""
    outcome = yield Acquire(limiter, ends, is_retry=failed is not None)
    if isinstance(outcome, NoPermit):
        raise _out_of_time(
            failed or _unsent(question), question, outcome.cooldown or None, ends - settings.clock.monotonic()
        )
    return cast(Permit, outcome)


def _cooldown(retry: RetryPolicy, attempt: int, wish: float | None, draw: float) -> float:
    """Return for how long a busy service is left alone by all: as it asks, else as long as we would pause.

    What asks for more than a year means something else, and must not silence a client for good.
    """
    if wish is not None and wish <= LONGEST:
        return wish
    return evolve(retry, max_attempts=attempt + 1).pause_after(attempt, None, draw) or 0.0


def _unsent(question: Question) -> TaskCountsError:
    """Return the error of an exchange that sent nothing."""
    return ServiceUnreachable(
        _text(question, "no time was left to send the request", 0), **_facts(question, 0)
    )


def stamp(settings: Settings, parts: Parts, question: Question, claims: str | None = None) -> Request:
    """Return the request of a new attempt, dated now; a token that has to be fetched is not in it yet."""
    form = prepare(parts, question.service_timeout)
    now = settings.clock.now()
    path, date = form.path(question.job_id), http_date(now)
    request = Request(
        form.method,
        settings.endpoint + path + form.query,
        {
            "accept": "application/json",
            # An answer is smaller than what compressing saves, and a bomb can't be sent plain.
            "accept-encoding": "identity",
            "user-agent": USER_AGENT,
            "client-request-id": question.client_request_id,
            "return-client-request-id": "true",
            "ocp-date": date,
        },
    )
    # The credential has no local name here: one of somebody else's shows anything in its repr.
    if isinstance(settings.credential, SharedKey):
        text = f"{form.head}{date}\n/{settings.credential.account}{path}{form.tail}"
        request.headers["authorization"] = settings.credential.sign(text)
    elif isinstance(settings.credential, BearerToken):
        request.headers["authorization"] = settings.credential.authorization()
    elif (token := settings.credential.known(now, claims)) is not None:
        request.headers["authorization"] = token.authorization()
    return request


def _fetch_token(
    settings: Settings, question: Question, request: Request, claims: str | None, *, attempt: int, ends: float
) -> Generator[Step, Outcome, None]:
    """Give the request the Authorization header of a token that its credential fetches."""
    assert not isinstance(settings.credential, (SharedKey, BearerToken))  # noqa: S101 - they wait for nothing.
    outcome = yield FetchToken(settings.credential, settings.scope, claims, ends)
    if isinstance(outcome, NoToken):
        kind = DeadlineExceeded if outcome.timed_out else CredentialFailed
        asked = "" if claims is None else " with the claims that the service asks for"
        text = _text(question, f"the credential gave no token{asked}: {outcome.reason}", attempt - 1)
        error = kind(text, **_facts(question, attempt - 1))
        error.__cause__ = outcome.error
        raise clean(error, ())
    assert isinstance(outcome, BearerToken)  # noqa: S101 - drivers answer FetchToken with these alone.
    request.headers["authorization"] = outcome.authorization()


def _claims_wanted(
    settings: Settings, request: Request, error: TaskCountsError, outcome: Answer | Failure
) -> str | None:
    """Forget a token that the service refuses; return the claims that it asks for in another one, if any."""
    source = settings.credential
    if isinstance(source, SharedKey | BearerToken) or not isinstance(outcome, Answer):
        return None
    if not isinstance(error, AuthenticationFailed) or outcome.status != 401:
        return None
    source.forget(request)
    claims = answers.read_claims(outcome.headers.get("www-authenticate", ""))
    return claims if claims is not None and source.takes_claims() else None


def _judge(
    settings: Settings,
    ask: Ask[T],
    question: Question,
    *,
    attempt: int,
    outcome: Answer | Failure,
    secrets: Secrets,
) -> T | TaskCountsError:
    """Return the value that an outcome gives, or the error that it amounts to."""
    if isinstance(outcome, Answer):
        # Some servers repeat in their answer what they were asked with.
        outcome = hide_in_answer(outcome, secrets)
        if outcome.status == 200 and outcome.broken is not None:
            outcome = outcome.broken
    error: TaskCountsError
    if isinstance(outcome, Failure):
        reason = one_line(hide(outcome.reason, secrets))
        text = _text(question, f"no answer from {settings.endpoint}: {reason}", attempt)
        error = ServiceUnreachable(text, **_facts(question, attempt))
        error.__cause__ = outcome.error
    else:
        try:
            _check_echo(question, outcome)
            if outcome.status == 200:
                return accept(settings, ask, question, attempt=attempt, answer=outcome, secrets=secrets)
            error = _service_error(settings, question, attempt, outcome)
        except answers.Violation as violation:
            error = _violation(question, attempt, outcome, violation, secrets)
    return clean(error, secrets)


def _violation(
    question: Question, attempt: int, answer: Answer, violation: answers.Violation, secrets: Secrets
) -> ContractViolation:
    """Return the error that an answer amounts to which is not what the fragment says."""
    request_id = answer.headers.get("request-id")
    text = f"the answer can't be trusted: {violation.path}: {violation.reason}"
    return ContractViolation(
        _text(question, text, attempt, request_id),
        path=violation.path,
        answer=shown(answer.body, secrets)[:2000],
        status=answer.status,
        request_id=request_id,
        **_facts(question, attempt),
    )


def _check_echo(question: Question, answer: Answer) -> None:
    """Raise Violation if an answer says that it belongs to another request.

    A cache or a mixed-up proxy may hand us the answer to somebody else's question.
    """
    echo, ours = answer.headers.get("client-request-id"), question.client_request_id
    # A header that is there twice, as two layers may write it, has its values joined.
    if echo not in (None, ours) and any(each.strip().lower() != ours for each in str(echo).split(",")):
        raise answers.Violation("$", "it answers another request: its client-request-id isn't ours")


def accept(
    settings: Settings, ask: Ask[T], question: Question, *, attempt: int, answer: Answer, secrets: Secrets
) -> T:
    """Return the value of a 200; raise Violation if it isn't what the fragment says."""
    if answer.oversize:
        raise answers.Violation("$", f"it is larger than {ask.limit:,} bytes")
    try:
        body = answers.read_result(answer.headers, answer.body, ask.check)
        if b"\\" in answer.body:
            # JSON can spell a secret in ways that show only now.
            body = hide_in(body, secrets)
    except RecursionError:
        raise answers.Violation("$", "it is nested too deep") from None
    reply = Reply(question, attempt, body, answer.headers, settings.clock.now(), settings.strict)
    return ask.build(reply)


def _service_error(settings: Settings, question: Question, attempt: int, answer: Answer) -> ServiceError:
    """Return the error that an answer other than 200 amounts to."""
    whole = answer.broken is None and not answer.oversize
    code, message, details = answers.read_error(answer.headers, answer.body if whole else b"")
    kind: type[ServiceError] = ServiceError
    if answer.status in (401, 403):
        kind = AuthenticationFailed
        # The service shows what it has signed, and may show the signature that would have been right.
        message = message and _SIGNATURE.sub("<hidden>", message)
        details = tuple((key, _SIGNATURE.sub("<hidden>", value)) for key, value in details)
    elif answer.status == 404 and code == "JobNotFound":
        kind = JobNotFound
    elif answer.status in (429, 503):
        kind = ServiceBusy
    text = f"{answer.status} {code}" if code else f"{answer.status}"
    if message and message.strip():
        # What follows in further lines repeats the request id and the time.
        text += f": {message.strip().splitlines()[0]}"
    elif answer.status == 407:
        text += ": the proxy wants a user name and password that it knows"
    elif 300 <= answer.status < 400 and answer.status != 304 and answer.headers.get("location"):
        # Following would hand the signature or the token to wherever the answer points.
        text += f": a redirect{_host(answer)}, which is not followed"
    elif not code:
        text += ": not in the service's error format; a proxy on the way may have answered"
    if kind is AuthenticationFailed:
        for reason in _reasons(details, answer, settings.clock.now()):
            text = f"{text.rstrip('.')}; {reason}"
    request_id = answer.headers.get("request-id")
    return kind(
        _text(question, text, attempt, request_id),
        status=answer.status,
        code=code,
        message=message,
        details=details,
        request_id=request_id,
        retry_after=retry_after_seconds(answer.headers, settings.clock.now()),
        **_facts(question, attempt),
    )


def _reasons(details: tuple[tuple[str, str], ...], answer: Answer, now: datetime) -> Iterator[str]:
    """Yield why the service doesn't accept a credential, as far as it says so, or its clock does."""
    for key, value in details:
        if key == "AuthenticationErrorDetail":
            yield one_line(value, 600)
    told = parse_http_date(answer.headers.get("date", ""))
    off = 0.0 if told is None else (now - told).total_seconds()
    if abs(off) > MAX_SKEW:
        side = "ahead of" if off > 0 else "behind"
        yield f"this machine's clock is {abs(off) / 60:,.0f} minutes {side} the service's"


def _host(answer: Answer) -> str:
    """Return where an answer redirects to, as far as it can be shown: a path or query may hold secrets."""
    try:
        host = urlsplit(answer.headers.get("location", "")).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return f" to {host}" if host else ""


def _worth_asking_again(error: TaskCountsError, outcome: Answer | Failure) -> bool:
    """Whether another attempt may end better. Any may be made: a GET changes nothing."""
    if isinstance(error, ServiceError):
        return error.status in RETRYABLE_STATUSES
    broken = outcome.broken if isinstance(outcome, Answer) else outcome
    return broken is not None and not broken.permanent


def _out_of_time(
    error: TaskCountsError, question: Question, pause: float | None, left: float = 0.0
) -> TaskCountsError:
    """Return the error of an exchange that the deadline ends.

    What the service last said is worth more than that time was up: its errors stay, with the reason added.
    """
    why = f"the deadline of {_seconds(question.deadline)} is over"
    if pause is not None and left > 0:
        wish = error.retry_after if isinstance(error, ServiceError) else None
        asked = wish is not None and wish >= pause
        wanted = "the service asks to wait" if asked else "the next attempt would wait"
        why = f"{wanted} {_seconds(pause)}, the deadline leaves {_seconds(left)}"
    text = f"{error.args[0]}; gave up: {why}"
    if isinstance(error, ServiceUnreachable):
        late = DeadlineExceeded(text, **vars(error))
        late.__cause__ = error.__cause__
        return late
    error.args = (text,)
    return error


def _facts(question: Question, attempts: int) -> dict[str, Any]:
    return {
        "job_id": question.job_id,
        "attempts": attempts,
        "client_request_id": question.client_request_id,
    }


def _text(question: Question, text: str, attempts: int, request_id: str | None = None) -> str:
    trail = [f"{attempts} attempt{'' if attempts == 1 else 's'}"]
    if request_id:
        trail.append(f"request id {request_id}")
    return f"{_subject(question)}: {text} ({', '.join(trail)})"


def _subject(question: Question) -> str:
    return f"job {question.job_id!r}" if question.job_id else "the list of jobs"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def _summary(error: TaskCountsError) -> str:
    if isinstance(error, ServiceError):
        return f"{error.status} {error.code or ''}".strip()
    return type(error).__name__ if error.__cause__ is None else str(error.__cause__) or "no answer"


@cache
def _logger() -> logging.Logger:
    import logging  # noqa: PLC0415 - takes 4 ms to load.

    return logging.getLogger("taskcounts")


def _log(question: Question, attempt: int, error: TaskCountsError | None, pause: float | None) -> None:
    """Write the one record of an attempt, cut to one line: a part of it comes from outside."""
    if "logging" not in sys.modules:
        # Nobody can listen yet: without it, Python shows warnings at the most.
        return
    level = DEBUG if error is None else INFO
    if not _logger().isEnabledFor(level):
        return
    then = "" if pause is None else f"; next attempt in {_seconds(pause)}"
    _logger().log(
        level,
        "%s, attempt %d: %s%s",
        _subject(question),
        attempt,
        "200" if error is None else one_line(_summary(error), 200),
        then,
        extra={"client_request_id": question.client_request_id, "pause": pause},
    )
