"""What was asked, and what came of it: the last calls to the emulated service, without bodies or secrets.

Everything about a call is scrubbed before it is kept, so that nothing that reads the journal can give a
secret away. A real token may come here: clients send whatever their credential gives them.

Hidden are what proves who asks in Authorization, every header and query value whose name says that it is
secret, and their values wherever else in the call they stand; in headers and parameters that the service
doesn't know also whatever is as long and dense as a token.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["REDACTED", "Entry", "Journal"]

REDACTED = "<hidden>"

# Of a call's method, path, query and headers together: as much as the service's own server takes. Nothing of
# a longer one is kept, so that neither time nor memory is spent on it.
_MAX_HEAD = 16 * 1024

# A plain call is far shorter, its headers' names included.
_MAX_PLAIN = 4 * 1024

# Shorter ones could be part of anything, and nothing so short is a secret.
_SECRET = re.compile(r"[A-Za-z0-9+/_~.-]{8,}")

_ACCOUNT = re.compile(r"(SharedKey|SharedKeyLite) ([A-Za-z0-9]{3,24}):(.*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(
    r"(Bearer|SharedKey|SharedKeyLite|Basic|Digest|Negotiate) (.*)", re.IGNORECASE | re.DOTALL
)
_CREDENTIALS = re.compile(r"\b(bearer|sharedkey|sharedkeylite)((?:\s|%20|\+)+)\S+", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"auth|cookie|credential|key|passw|pwd|secret|^sig$|signature|session|token", re.IGNORECASE
)
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# RFC 7519. Looked for at the beginnings of words alone, so that it takes one pass however long the text is.
_WEB_TOKEN = re.compile(r"(%[0-9A-Fa-f]{2}|(?<![A-Za-z0-9_-]))eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+")
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9+/_~.=%-]{24,}")

# What the service and its clients know: their values may be long, and are no secrets.
# fmt: off
_KNOWN_HEADERS = {
    "accept", "accept-encoding", "accept-language", "cache-control", "client-request-id", "connection",
    "content-encoding", "content-language", "content-length", "content-type", "date", "expect", "host",
    "if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "ocp-date", "range",
    "return-client-request-id", "traceparent", "transfer-encoding", "user-agent", "x-ms-client-request-id",
}
# fmt: on
# A $skiptoken marks a page.
_KNOWN_PARAMETERS = {"api-version", "timeout", "maxresults", "$filter", "$select", "$expand", "$skiptoken"}
_PLAIN_HEADERS = {*_KNOWN_HEADERS, "authorization"}


class Entry(NamedTuple):
    """A call that was answered, or that a fault left without an answer.

    Attributes:
        number: Counts the calls from 1, without a gap.
        time: When it came, by the emulated clock.
        operation: The operation's name; None where the request reached none.
        method: The verb.
        path: The path, percent-encoded.
        query: The query, percent-encoded, without its question mark.
        headers: The headers, names in lower case.
        status: The answer's; None where none left.
        code: The error code of a refusal.
        fault: The kind of the fault that the call met.
        request_id: The service's name of the call.
        client_request_id: The caller's.
        milliseconds: From the request's last byte to the answer's.
    """

    number: int
    time: datetime
    operation: str | None
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    status: int | None
    code: str | None
    fault: str | None
    request_id: str
    client_request_id: str | None
    milliseconds: float

    def as_json(self) -> dict[str, object]:
        """Return the members of the entry; those that say nothing are left out."""
        members: dict[str, object] = {
            "number": self.number,
            "time": self.time.isoformat(),
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": dict(self.headers),
            "status": self.status,
            "code": self.code,
            "fault": self.fault,
            "requestId": self.request_id,
            "clientRequestId": self.client_request_id,
            "milliseconds": self.milliseconds,
        }
        return {name: value for name, value in members.items() if value is not None}


class Journal:
    """The last calls, the oldest first; safe to use from any thread.

    Args:
        size: How many are kept. Those that had to go are counted.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._lock = threading.RLock()
        self._entries: deque[Entry] = deque(maxlen=size)
        self._operations: Counter[str] = Counter()
        self._number = 0
        self._dropped = 0

    def record(
        self,
        *,
        time: datetime,
        operation: str | None,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        status: int | None,
        code: str | None,
        fault: str | None,
        request_id: str,
        seconds: float,
    ) -> None:
        """Keep a call, without its secrets.

        Args:
            time: When it came, by the emulated clock.
            operation: The operation's name; None where the request reached none.
            method: The verb.
            path: The path, percent-encoded.
            query: The query, percent-encoded, without its question mark.
            headers: All headers as they were sent, names in lower case.
            status: The answer's; None where none left.
            code: The error code of a refusal.
            fault: The kind of the fault that the call met.
            request_id: The service's name of the call.
            seconds: How long the answer took.
        """
        shown = _redacted(method, path, query, headers)
        with self._lock:
            self._number += 1
            self._dropped += len(self._entries) == self._entries.maxlen
            self._operations[operation or "none"] += 1
            self._entries.append(
                Entry(
                    self._number,
                    time,
                    operation,
                    *shown,
                    status,
                    code,
                    fault,
                    request_id,
                    shown[3].get("client-request-id"),
                    round(seconds * 1000, 3),
                )
            )

    def entries(self, after: int = 0) -> list[Entry]:
        """Return the entries whose number is greater than ``after``."""
        with self._lock:
            # Without a gap: the place of each follows from its number.
            first = self._number - len(self._entries) + 1
            return list(islice(self._entries, max(0, after + 1 - first), None))

    @property
    def dropped(self) -> int:
        """How many entries had to go for newer ones since the journal was cleared."""
        return self._dropped

    def operations(self) -> dict[str, int]:
        """Return how often each operation was called since the journal was cleared, dropped entries included.

        Calls that reached no operation are counted as ``none``.
        """
        with self._lock:
            return dict(sorted(self._operations.items()))

    def as_json(self, after: int = 0, limit: int = 1000) -> dict[str, object]:
        """Return the entries after a number, at most ``limit``, and what is not among them.

        Returns:
            ``entries``; ``left``: how many more follow them; ``dropped``: how many had to go for newer ones;
            ``operations``: how often each was called.
        """
        with self._lock:
            found = self.entries(after)
            return {
                "entries": [entry.as_json() for entry in found[:limit]],
                "left": max(0, len(found) - limit),
                "dropped": self.dropped,
                "operations": self.operations(),
            }

    def clear(self) -> int:
        """Forget all entries, and return how many they were; the next ones are numbered on."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            self._operations.clear()
            self._dropped = 0
        return count

    def __len__(self) -> int:
        return len(self._entries)


def _redacted(
    method: str, path: str, query: str, headers: Mapping[str, str]
) -> tuple[str, str, str, dict[str, str]]:
    """Return a call as it may be shown."""
    kept, (shown_part, secret) = dict(headers), _split_authorization(headers.get("authorization", ""))
    if "authorization" in kept:
        kept["authorization"] = ""
    if _is_plain(method, path, query, kept, secret):
        if "authorization" in kept:
            kept["authorization"] = f"{shown_part}{REDACTED}"
        return method, path, query, kept
    length = sum(map(len, (method, path, query, *headers, *headers.values())))
    if length > _MAX_HEAD:
        return REDACTED, REDACTED, REDACTED, {"…": f"{length} characters of method, path, query and headers"}
    redact = _Redactor(headers, query)
    shown = {redact(name): _header(name, value, redact) for name, value in headers.items()}
    return (
        redact(method),
        redact(path),
        "&".join(_parameter(part, redact) for part in query.split("&")),
        shown,
    )


def _is_plain(method: str, path: str, query: str, headers: Mapping[str, str], secret: str) -> bool:
    """Return whether nothing is to be hidden of a call but its proof, which was taken out of the headers.

    So it is with most, and looking through all of a call at once takes a fifth of the time.
    """
    if not _PLAIN_HEADERS.issuperset(headers):
        return False
    if query and not all(part.partition("=")[0] in _KNOWN_PARAMETERS for part in query.split("&")):
        return False
    # No secret that is looked for has a line break.
    text = "\n".join((method, path, query, *headers.values()))
    # Without escapes, a secret can only be spelled as it is.
    if len(text) + len(secret) > _MAX_PLAIN or "%" in text or "%" in secret or "eyJ" in text:
        return False
    folded = text.lower()
    if "bearer" in folded or "sharedkey" in folded:
        return False
    return all(run not in text for run in _SECRET.findall(secret))


class _Redactor:
    """Returns texts of one call without the secrets of that call, and without what looks like any."""

    def __init__(self, headers: Mapping[str, str], query: str) -> None:
        given = [
            _split_authorization(value)[1] if name == "authorization" else value
            for name, value in headers.items()
            if name not in _KNOWN_HEADERS and _SECRET_NAME.search(name)
        ]
        parts = [part.partition("=") for part in query.split("&")]
        given += [value for name, _, value in parts if _is_secret(name)]
        # Elsewhere a secret may stand without what is around it here, such as quotes or a cookie's name.
        found = {run for value in given for text in (value, unquote(value)) for run in _SECRET.findall(text)}
        spelled = {spelling for text in found for spelling in _url_spellings(text)}
        # The longest first: one may begin with another.
        self._secrets = sorted(spelled, key=len, reverse=True)

    def __call__(self, text: str, *, known: bool = True) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        if "%" in text:
            # Spelled in yet another way, it would have to be looked for in the middle of escapes.
            plain = unquote(text)
            if any(secret in plain for secret in self._secrets):
                return REDACTED
        # Most calls have neither, and the patterns take longer to see it.
        folded = text.lower()
        if "bearer" in folded or "sharedkey" in folded:
            text = _CREDENTIALS.sub(rf"\1\2{REDACTED}", text)
        if "eyJ" in text:
            text = _WEB_TOKEN.sub(rf"\1{REDACTED}", text)
        return (
            text
            if known
            else _TOKEN_LIKE.sub(lambda run: run[0] if _GUID.fullmatch(run[0]) else REDACTED, text)
        )


def _url_spellings(secret: str) -> tuple[str, str, str]:
    """Return a run of a secret as it is, and as `quote` writes it without and with slashes."""
    quoted = secret.replace("+", "%2B")
    return secret, quoted, quoted.replace("/", "%2F")


def _header(name: str, value: str, redact: _Redactor) -> str:
    if name == "authorization":
        return f"{_split_authorization(value)[0]}{REDACTED}"
    if name in _KNOWN_HEADERS:
        return redact(value)
    return REDACTED if _SECRET_NAME.search(name) else redact(value, known=False)


def _parameter(part: str, redact: _Redactor) -> str:
    name, equals, value = part.partition("=")
    known = unquote(name).lower() in _KNOWN_PARAMETERS
    shown = REDACTED if _is_secret(name) and equals else redact(value, known=known)
    return f"{redact(name, known=known)}{equals}{shown}"


def _split_authorization(authorization: str) -> tuple[str, str]:
    """Return what of an Authorization may be shown, scheme and account, and what may not."""
    if match := _ACCOUNT.fullmatch(authorization):
        return f"{match[1]} {match[2]}:", match[3]
    if match := _SCHEME.fullmatch(authorization):
        return f"{match[1]} ", match[2]
    return "", authorization


def _is_secret(parameter: str) -> bool:
    plain = unquote(parameter).lower()
    return plain not in _KNOWN_PARAMETERS and _SECRET_NAME.search(plain) is not None
