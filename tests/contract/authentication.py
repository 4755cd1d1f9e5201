"""Probes of credentials and dates, on each operation. None of them is told anything by a wrong one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from contract.checks import new_guid
from contract.probing import (
    Judged,
    Probe,
    expect,
    needs_shared_key,
    needs_shared_key_and_own,
    own_headers,
)
from contract.target import COUNTS, JOB, TASKS, Target
from taskcounts.credentials import BearerToken, SharedKey, string_to_sign


def no_credential(target: Target) -> Judged:
    """Without a credential nothing is told, not even which jobs there are."""
    asked = [target.locate(operation) for operation in target.operations]
    for request_target in [*asked, target.locate(job=f"no-such-job-{new_guid()[:8]}")]:
        answered = target.ask(request_target, own_headers(), authorization="")
        yield expect(answered, 401, "AuthenticationFailed")
        scheme = answered.headers.get("www-authenticate", "").partition(" ")[0].lower()
        if answered.status == 401 and scheme not in ("bearer", "sharedkey"):
            yield answered, "a 401 must say in WWW-Authenticate how to authenticate (RFC 9110, 15.5.2)"


def malformed_credential(target: Target) -> Judged:
    """An Authorization header that is none is refused."""
    # An endpoint that somebody relies on isn't shown more wrong credentials than needed.
    malformed = ("nonsense",) if target.gets_only else ("SharedKey", "Basic dXNlcjpwYXNz", "nonsense")
    for operation in target.operations:
        for nonsense in malformed:
            answered = target.ask(target.locate(operation), own_headers(), authorization=nonsense)
            yield expect(answered, 400, "InvalidAuthenticationInfo")


def wrong_signature(target: Target) -> Judged:
    """A signature made with another key is refused."""
    assert isinstance(target.credential, SharedKey)
    stranger = SharedKey(target.credential.account, base64.b64encode(bytes(64)).decode())
    for operation in target.operations:
        answered = target.ask(target.locate(operation), own_headers(), credential=stranger)
        yield expect(answered, 403, "AuthenticationFailed")


def other_account(target: Target) -> Judged:
    """A signature in another account's name is refused."""
    assert isinstance(target.credential, SharedKey)
    for operation in target.operations:
        asked, date = target.locate(operation), format_datetime(datetime.now(UTC), usegmt=True)
        signed = target.credential.sign(string_to_sign("GET", asked, {"ocp-date": date}, "anotheraccount"))
        renamed = f"SharedKey anotheraccount:{signed.rpartition(':')[2]}"
        answered = target.ask(asked, {**own_headers(), "ocp-date": date}, authorization=renamed)
        yield expect(answered, 403, "AuthenticationFailed")


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
        answered = target.ask(asked, {**own_headers(), "ocp-date": "yesterday"})
        # Nobody says whether the date is looked at before the signature.
        codes = {400: "InvalidHeaderValue"}.get(answered.status, "AuthenticationFailed")
        yield expect(answered, 400 if answered.status == 400 else 403, codes)


def signed_query(target: Target) -> Judged:
    """The signature covers the query: adding to it makes it wrong."""
    for operation in target.operations:
        signed = target.locate(operation)
        yield expect(target.ask(f"{signed}&timeout=20", sign_as=signed), 403, "AuthenticationFailed")


def signed_path(target: Target) -> Judged:
    """The signature covers the path: another job needs another one."""
    for operation in (COUNTS, TASKS, JOB):
        other = target.locate(operation, job="another-job")
        yield expect(target.ask(target.locate(operation), sign_as=other), 403, "AuthenticationFailed")


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
    "other-account": Probe(other_account, needs_shared_key_and_own),
    "stale-date": Probe(stale_date, needs_shared_key),
    "early-date": Probe(early_date, needs_shared_key),
    "no-date": Probe(no_date, needs_shared_key),
    "signed-query": Probe(signed_query, needs_shared_key_and_own),
    "signed-path": Probe(signed_path, needs_shared_key_and_own),
    "wrong-token": Probe(wrong_token),
}
