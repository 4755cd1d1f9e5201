"""Authentication by the Authorization header. Pure functions; a failed check raises a Refusal.

A shared key is verified in full. Of a bearer token only the form, the audience and the expiry are checked,
since it cannot be verified offline. No refusal contains a key, a signature or a token.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import product

from taskcounts.credentials import SharedKey, string_to_sign
from taskcounts_emulator.refusals import Refusal

__all__ = ["RawRequest", "authenticate", "parse_date"]

# The service accepts a date that differs by this much from its own clock.
TOLERANCE = timedelta(minutes=15)

# A real account answered 401 without the slash at the end.
AUDIENCES = (
    "https://batch.core.windows.net/",
    "https://batch.core.usgovcloudapi.net/",
    "https://batch.chinacloudapi.cn/",
)

# The published authorization address (RFC 9110, 11.6.1).
_CHALLENGE = 'Bearer authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'

_SHARED_KEY = re.compile(r"([^:\s]+):([A-Za-z0-9+/]+={0,2})")
# RFC 6750, 2.1
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# The preferred form of a date (RFC 9110, 5.6.7), and the only one that the service documents.
_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_DATE_LENGTH = 29
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it was sent.

    Attributes:
        method: The verb.
        path: The path, percent-encoded.
        query: The query, percent-encoded, without its question mark.
        headers: The headers, with names in lower case. They contain the Authorization, so no repr shows them.
        repeated: The names of headers that were sent more than once.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    repeated: frozenset[str] = frozenset()

    @property
    def target(self) -> str:
        """The path and query as in the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


def authenticate(raw: RawRequest, key: SharedKey, now: datetime) -> None:
    """Check the credentials of a request.

    Args:
        raw: The request.
        key: The name of the account and its access key.
        now: The service's time.

    Raises:
        Refusal: 400, 401 or 403, with the reason.
    """
    if "authorization" in raw.repeated:
        raise Refusal("InvalidAuthenticationInfo")
    if "ocp-date" in raw.repeated:
        raise Refusal("InvalidHeaderValue", "ocp-date", raw.headers["ocp-date"], "The header is repeated")
    given = raw.headers.get("authorization")
    if given is None:
        raise _unauthenticated("The request has no Authorization header.")
    scheme, _, rest = given.partition(" ")
    if scheme.lower() == "sharedkey":
        _check_shared_key(raw, rest.strip(), key, now)
    elif scheme.lower() == "bearer":
        _check_bearer(rest.strip(), now)
    else:
        raise Refusal("InvalidAuthenticationInfo")


def parse_date(text: str) -> datetime | None:
    """Return the time of an RFC 1123 date, or None if the text is not such a date."""
    # Longer texts could be secrets, which are not remembered.
    return _parse_date(text) if len(text) == _DATE_LENGTH else None


@lru_cache(maxsize=4)
def _parse_date(text: str) -> datetime | None:
    """Parse a date; this takes 5 µs, and each request has it parsed twice."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second = (match[group] for group in range(2, 8))
    try:
        date = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except ValueError:
        return None
    return date if _DAYS[date.weekday()] == match[1] else None


def _check_shared_key(raw: RawRequest, credentials: str, key: SharedKey, now: datetime) -> None:
    match = _SHARED_KEY.fullmatch(credentials)
    if match is None:
        raise Refusal("InvalidAuthenticationInfo")
    named, signed = match.groups()

    if named.lower() != key.account:
        reason = f"The account {named!r} does not match {key.account!r}."
    elif reason := _wrong_date(raw, now):
        pass
    else:
        for text in _signable(raw, named):
            # The signature follows the scheme and the account.
            if hmac.compare_digest(key.sign(text).rpartition(":")[2], signed):
                return
        reason = "The signature found in the request is not that of any computed string."
    computed = next(_signable(raw, named))
    raise Refusal("AuthenticationFailed", f"{reason} Server used following string to sign: '{computed}'.")


def _signable(raw: RawRequest, account: str) -> Iterator[str]:
    """Yield possible strings to sign: the documented one, then the variants of Microsoft's clients."""
    lengths: list[Mapping[str, str]] = [raw.headers]
    if raw.method not in ("GET", "HEAD") and raw.headers.get("content-length") in (None, "0"):
        # Clients sign the length of an empty body as 0 or not at all, and send it as 0 or not at all.
        without = {name: value for name, value in raw.headers.items() if name != "content-length"}
        lengths = [without, {**without, "content-length": "0"}]
    targets = [raw.target]
    if "+" in raw.query:
        # Microsoft's clients decode a plus sign as a space, as in a form; others sign the plus sign.
        targets.append(f"{raw.path}?{raw.query.replace('+', '%2B')}")
    for headers, target, folds, dates in product(lengths, targets, (True, False), (False, True)):
        yield string_to_sign(raw.method, target, headers, account, lowercase_names=folds, sign_date=dates)


def _wrong_date(raw: RawRequest, now: datetime) -> str:
    """Return the problem with the signed date; empty if there is none."""
    given = raw.headers.get("ocp-date") or raw.headers.get("date")
    if not given:
        return "The request has no ocp-date and no Date header."
    date = parse_date(given)
    if date is None:
        return "The date of the request is not of the form of RFC 1123."
    if abs(date - now) > TOLERANCE:
        return f"The date of the request is more than {TOLERANCE.seconds // 60} minutes off."
    return ""


def _check_bearer(token: str, now: datetime) -> None:
    if not _TOKEN.fullmatch(token):
        raise Refusal("InvalidAuthenticationInfo")
    claims = _claims(token)
    if "aud" in claims:
        stated = claims["aud"]
        audiences = stated if isinstance(stated, list) else [stated]
        if not any(audience in AUDIENCES for audience in audiences):
            allowed = ", ".join(f"'{audience}'" for audience in AUDIENCES)
            raise _unauthenticated(
                "The access token has been obtained from wrong audience or resource "
                f"'{', '.join(map(str, audiences))}'. It should exactly match (including forward slash) "
                f"with one of the allowed audiences {allowed}"
            )
    expiry = claims.get("exp")
    if isinstance(expiry, int | float) and expiry <= now.timestamp():
        raise _unauthenticated("The access token has expired.")


def _unauthenticated(detail: str) -> Refusal:
    """Return the 401 for a caller without valid credentials; RFC 9110 requires its challenge."""
    headers = (("www-authenticate", _CHALLENGE),)
    return Refusal("AuthenticationFailed", detail, status=401, headers=headers)


def _claims(token: str) -> dict[str, object]:
    """Return the claims of a JSON Web Token (RFC 7519), or none for a token of another kind."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}
