"""Probes of credentials and dates, on each operation. None of them is told anything by a wrong one."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TypeVar

from contract.checks import new_guid
from contract.probing import Judged, Probe, expect, needs_shared_key, own_headers
from contract.target import COUNTS, JOB, JOBS, LISTS, TASKS, Answered, Target
from taskcounts.credentials import BearerToken, SharedKey, string_to_sign

T = TypeVar("T")


def _spread(target: Target, ways: Iterable[T]) -> Iterator[tuple[str, T]]:
    """Yield each way with each operation; at an endpoint that somebody relies on, each with one of them."""
    for number, way in enumerate(ways):
        for place, operation in enumerate(target.operations):
            if not target.gets_only or place == number % len(target.operations):
                yield operation, way


def _refused(answered: Answered) -> tuple[Answered, str | None]:
    """Judge the refusal of a credential, whether it is said to have no form or to be wrong."""
    if answered.status == 400:
        return expect(answered, 400, "InvalidAuthenticationInfo")
    return expect(answered, 403, "AuthenticationFailed")


def no_credential(target: Target) -> Judged:
    """Without a credential nothing is told, not even which jobs there are."""
    asked = [target.locate(operation) for operation in target.operations]
    unknown = f"no-such-job-{new_guid()[:8]}"
    asked += [target.locate(operation, job=unknown) for operation in (COUNTS, TASKS, JOB)]
    for request_target in asked:
        answered = target.ask(request_target, own_headers(), authorization="")
        yield expect(answered, 401, "AuthenticationFailed")
        scheme = answered.headers.get("www-authenticate", "").partition(" ")[0].lower()
        if answered.status == 401 and scheme not in ("bearer", "sharedkey"):
            yield answered, "a 401 must say in WWW-Authenticate how to authenticate (RFC 9110, 15.5.2)"


def malformed_credential(target: Target) -> Judged:
    """An Authorization header that is none is refused."""
    malformed = ("nonsense", "SharedKey", "Basic dXNlcjpwYXNz", 'Digest username="user"')
    for operation, nonsense in _spread(target, malformed):
        answered = target.ask(target.locate(operation), own_headers(), authorization=nonsense)
        yield expect(answered, 400, "InvalidAuthenticationInfo")


def wrong_signature(target: Target) -> Judged:
    """A signature made with another key is refused."""
    assert isinstance(target.credential, SharedKey)
    stranger = SharedKey(target.credential.account, base64.b64encode(bytes(64)).decode())
    for operation in target.operations:
        answered = target.ask(target.locate(operation), own_headers(), credential=stranger)
        yield expect(answered, 403, "AuthenticationFailed")


def altered_signature(target: Target) -> Judged:
    """A right signature is refused in another form, or if a part of it is another."""
    ways = (
        "SharedKey {account}:",
        "SharedKey {account}:QUFB",
        "SharedKey {account}:{swapped}",
        "SharedKey {account}:{begun}",
        "SharedKeyLite {account}:{right}",
        "HMAC-SHA256 {account}:{right}",
        "{account}:{right}",
    )
    for operation, way in _spread(target, ways):
        asked, date = target.locate(operation), format_datetime(datetime.now(UTC), usegmt=True)
        account, _, right = _signed(target, asked, date).removeprefix("SharedKey ").partition(":")
        swapped, begun = right.swapcase(), right[:12] + right[12:].swapcase()
        altered = way.format(account=account, right=right, swapped=swapped, begun=begun)
        yield _refused(target.ask(asked, {**own_headers(), "ocp-date": date}, authorization=altered))


def other_account(target: Target) -> Judged:
    """A signature in another account's name is refused."""
    for operation in target.operations:
        asked, date = target.locate(operation), format_datetime(datetime.now(UTC), usegmt=True)
        renamed = _signed(target, asked, date, "anotheraccount")
        answered = target.ask(asked, {**own_headers(), "ocp-date": date}, authorization=renamed)
        yield expect(answered, 403, "AuthenticationFailed")


def _signed(target: Target, asked: str, date: str, account: str | None = None) -> str:
    """Return the Authorization of a request by the account's key, in the account's name or another's."""
    assert isinstance(target.credential, SharedKey)
    own = target.credential.account
    signed = target.credential.sign(string_to_sign("GET", asked, {"ocp-date": date}, account or own))
    return f"SharedKey {account or own}:{signed.rpartition(':')[2]}"


def stale_date(target: Target) -> Judged:
    """A request that was signed more than 15 minutes ago is refused; a little less is allowed."""
    yield from _dated(target, -1)


def early_date(target: Target) -> Judged:
    """The same goes for a clock that is fast."""
    yield from _dated(target, 1)


def _dated(target: Target, direction: int) -> Judged:
    for operation in target.operations:
        for minutes, status, codes in ((16, 403, ["AuthenticationFailed"]), (14, 200, [])):
            date = datetime.now(UTC) + direction * timedelta(minutes=minutes)
            yield expect(target.ask(target.locate(operation), own_headers(), date=date), status, *codes)


def no_date(target: Target) -> Judged:
    """A signature needs a date: without one, or with one that is none, it could be used again forever."""
    for operation in target.operations:
        asked = target.locate(operation)
        # Refusals have no business with an id that nobody wants back, either.
        yield expect(target.ask(asked, own_headers(None), dated=False), 403, "AuthenticationFailed")
        for date in (datetime.now(UTC).isoformat(), *(() if target.gets_only else ("yesterday",))):
            answered = target.ask(asked, {**own_headers(), "ocp-date": date})
            # Nobody says whether the date is looked at before the signature.
            codes = {400: "InvalidHeaderValue"}.get(answered.status, "AuthenticationFailed")
            yield expect(answered, 400 if answered.status == 400 else 403, codes)


def signed_query(target: Target) -> Judged:
    """The signature covers the query: adding to it makes it wrong."""
    for operation in target.operations:
        signed = target.locate(operation)
        more = "$filter=state%20ne%20'deleting'" if operation == JOBS else "timeout=20"
        more = "$filter=state%20eq%20'active'" if operation == TASKS else more
        yield expect(target.ask(f"{signed}&{more}", sign_as=signed), 403, "AuthenticationFailed")


def signed_path(target: Target) -> Judged:
    """The signature covers the path: another job needs another one."""
    for operation, job in ((COUNTS, "another-job"), (TASKS, "another-job"), (JOB, target.other_case)):
        other = target.locate(operation, job=job)
        # An id without letters is the same in any case.
        if job != target.job:
            yield expect(target.ask(target.locate(operation), sign_as=other), 403, "AuthenticationFailed")


def signed_once(target: Target) -> Judged:
    """A signature that was right is that of its own request alone."""
    date = format_datetime(datetime.now(UTC), usegmt=True)
    signed = _signed(target, target.locate(), date)
    right = target.ask(headers={**own_headers(), "ocp-date": date}, authorization=signed)
    yield expect(right, 200)
    for operation in (TASKS,) if target.gets_only else (*LISTS, JOB):
        headers = {**own_headers(), "ocp-date": date}
        again = target.ask(target.locate(operation), headers, authorization=signed)
        yield expect(again, 403, "AuthenticationFailed")


def wrong_token(target: Target) -> Judged:
    """A token that nobody issued is refused."""
    forged = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL2JhdGNoLmNvcmUud2luZG93cy5uZXQifQ.x"
    for operation in target.operations:
        answered = target.ask(target.locate(operation), own_headers(None), credential=BearerToken(forged))
        yield expect(answered, 401, "AuthenticationFailed")


PROBES: dict[str, Probe] = {
    "no-credential": Probe(no_credential),
    "malformed-credential": Probe(malformed_credential),
    "wrong-signature": Probe(wrong_signature, needs_shared_key),
    "altered-signature": Probe(altered_signature, needs_shared_key),
    "other-account": Probe(other_account, needs_shared_key),
    "stale-date": Probe(stale_date, needs_shared_key),
    "early-date": Probe(early_date, needs_shared_key),
    "no-date": Probe(no_date, needs_shared_key),
    "signed-query": Probe(signed_query, needs_shared_key),
    "signed-path": Probe(signed_path, needs_shared_key),
    "signed-once": Probe(signed_once, needs_shared_key),
    "wrong-token": Probe(wrong_token),
}
