"""A journal of the last requests to the emulated service, without bodies and with secrets redacted.

A request is redacted before it is stored, so that no reader of the journal can reveal a secret. Requests can
contain real tokens: clients send whatever their credential gives them.

Redacted are the credentials in Authorization, every header and query value whose name suggests a secret, and
the same values wherever else they occur in the request; in headers and parameters that the service doesn't
know, also any text that is as long and dense as a token.
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

# Characters of method, path, query and headers together, the limit of the service's own server. Nothing of a
# longer request is kept, so that it costs neither time nor memory.
_MAX_HEAD = 16 * 1024

# Characters of a request that takes the fast path; usual requests are far shorter.
_MAX_PLAIN = 4 * 1024

# Shorter runs occur in ordinary text, and no secret is that short.
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
# A JSON Web Token (RFC 7519). Matching only at the beginnings of words keeps the search linear.
_WEB_TOKEN = re.compile(r"(%[0-9A-Fa-f]{2}|(?<![A-Za-z0-9_-]))eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+")
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9+/_~.=%-]{24,}")

# Headers and parameters of the service and its clients; their values may be long and are not secret.
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
    """A request that was answered, or that a fault left unanswered.

    Attributes:
        number: The number of the request, from 1, without gaps.
        time: The time of the request, by the machine's clock.
        operation: The operation's name; None if the request matched none.
        method: The method.
        path: The path, percent-encoded.
        query: The query, percent-encoded, without the question mark.
        headers: The headers, with names in lower case.
        status: The status of the response; None if none was sent.
        code: The error code of a refusal.
        fault: The kind of the injected fault.
        request_id: The service's id of the request.
        client_request_id: The caller's id of the request.
        milliseconds: The time from the last byte of the request to the response.
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
        """Return the entry as JSON members, without those that are None."""
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
    """The last requests, the oldest first; safe to use from any thread.

    Args:
        size: The number of entries to keep; dropped entries are counted.
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
        """Record a request without its secrets.

        The arguments are those of an ``Entry``; ``seconds`` is the time that the response took.
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
            # The numbers have no gaps, so the position of an entry follows from its number.
            first = self._number - len(self._entries) + 1
            return list(islice(self._entries, max(0, after + 1 - first), None))

    @property
    def dropped(self) -> int:
        """The number of entries that were dropped for newer ones since the journal was cleared."""
        return self._dropped

    def operations(self) -> dict[str, int]:
        """Return the number of requests by operation since the journal was cleared, dropped entries included.

        Requests that matched no operation are counted as ``none``.
        """
        with self._lock:
            return dict(sorted(self._operations.items()))

    def as_json(self, after: int = 0, limit: int = 1000) -> dict[str, object]:
        """Return the entries after a number, at most ``limit``, and statistics.

        Returns:
            ``entries``; ``left``: the number of entries that follow them; ``dropped``: the number of dropped
            entries; ``operations``: the number of requests by operation.
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
        """Remove all entries, and return their number; numbering continues."""
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
    """Return method, path, query and headers without secrets."""
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
    """Return whether a request has no secret except that of its Authorization, which is not in the headers.

    This is true of most requests, and checking all of the text at once takes a fifth of the full redaction.
    """
    if not _PLAIN_HEADERS.issuperset(headers):
        return False
    if query and not all(part.partition("=")[0] in _KNOWN_PARAMETERS for part in query.split("&")):
        return False
    # No secret contains a line break, so none can match across two parts.
    text = "\n".join((method, path, query, *headers.values()))
    # With percent-escapes a secret has several spellings; those take the full redaction.
    if len(text) + len(secret) > _MAX_PLAIN or "%" in text or "%" in secret or "eyJ" in text:
        return False
    folded = text.lower()
    if "bearer" in folded or "sharedkey" in folded:
        return False
    return all(run not in text for run in _SECRET.findall(secret))


class _Redactor:
    """Removes the secrets of one request, and anything that looks like a secret, from its texts."""

    def __init__(self, headers: Mapping[str, str], query: str) -> None:
        given = [
            _split_authorization(value)[1] if name == "authorization" else value
            for name, value in headers.items()
            if name not in _KNOWN_HEADERS and _SECRET_NAME.search(name)
        ]
        parts = [part.partition("=") for part in query.split("&")]
        given += [value for name, _, value in parts if _is_secret(name)]
        # Elsewhere the secret may occur without the quotes or the cookie name that surround it here.
        found = {run for value in given for text in (value, unquote(value)) for run in _SECRET.findall(text)}
        spelled = {spelling for text in found for spelling in _url_spellings(text)}
        # The longest first, since one secret may be the beginning of another.
        self._secrets = sorted(spelled, key=len, reverse=True)

    def __call__(self, text: str, *, known: bool = True) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        if "%" in text:
            # A secret in another escaped spelling cannot be cut out reliably, so the whole text is redacted.
            plain = unquote(text)
            if any(secret in plain for secret in self._secrets):
                return REDACTED
        # Most texts have neither, and these checks are faster than the patterns.
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
    """Return a secret as it is, and percent-encoded as ``quote`` does without and with slashes."""
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
    """Return the scheme and account of an Authorization, which may be shown, and its secret part."""
    if match := _ACCOUNT.fullmatch(authorization):
        return f"{match[1]} {match[2]}:", match[3]
    if match := _SCHEME.fullmatch(authorization):
        return f"{match[1]} ", match[2]
    return "", authorization


def _is_secret(parameter: str) -> bool:
    plain = unquote(parameter).lower()
    return plain not in _KNOWN_PARAMETERS and _SECRET_NAME.search(plain) is not None
